// The only native boundary of the mesh (with sys-calls.ts and sys-encoding.ts): network namespaces, sockets with the options
// that Node lacks, original destinations, bind mounts. DESIGN section 4 says how it is used and why exactly so.
import { closeSync, fstatSync, openSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { isPromise } from 'node:util/types'
import { MeshError } from '../base/errors.ts'
import { type AddressFamily, canonicalAddress, familyOf, isLoopback, type SocketAddress } from './address.ts'
import { callFailed, calls, numbers } from './sys-calls.ts'
import { encodeSocketAddress, flagOn, wordOf } from './sys-encoding.ts'

/** This thread's own namespace (each worker thread loads this module, and has a namespace, of its own). */
let home: { readonly fd: number; readonly inode: number } | undefined
let insideWindow = false

function homeNamespace(): { readonly fd: number; readonly inode: number } {
  if (home === undefined) {
    const fd = openSync('/proc/thread-self/ns/net', 'r')
    home = { fd, inode: fstatSync(fd).ino }
  }
  return home
}

/** An open network namespace. Whoever opens it closes it. */
export class NetworkNamespace {
  readonly inode: number
  #fd: number | undefined

  private constructor(fd: number, inode: number) {
    this.#fd = fd
    this.inode = inode
  }

  /**
   * Opens `/proc/<pid>/ns/net` or a bind mount of it. `expectedInode` guards against a path that means another namespace by
   * now. Throws SYSTEM_CALL.
   */
  static open(path: string, expectedInode?: number): NetworkNamespace {
    const fd = openNamespaceFile(path)
    const inode = fstatSync(fd).ino
    if (expectedInode === undefined || expectedInode === inode) return new NetworkNamespace(fd, inode)
    closeSync(fd)
    throw new MeshError(
      'SYSTEM_CALL',
      `${path} is network namespace ${inode}, not ${expectedInode}: the workload was replaced meanwhile, or this process has ` +
        'another mount namespace than the agent that pinned it (PrivateMounts= or ProtectSystem= under systemd?)',
    )
  }

  /** The namespace that this thread lives in. */
  static self(): NetworkNamespace {
    return NetworkNamespace.open('/proc/thread-self/ns/net')
  }

  /**
   * Runs `work` with this thread inside the namespace and returns its result. Synchronous by design: inside, nothing may
   * await, call back, touch files or start a thread; sockets are made by the functions of this file and wrapped afterwards.
   * If the thread cannot return, the process aborts: it would otherwise open every later socket in a stranger's namespace.
   */
  run<T>(work: () => T): T {
    if (this.#fd === undefined) throw new MeshError('SYSTEM_CALL', 'the network namespace is closed')
    if (insideWindow) throw new MeshError('SYSTEM_CALL', 'a window into a namespace cannot open inside another one')
    const back = homeNamespace()
    if (calls.setns(this.#fd, numbers.CLONE_NEWNET) !== 0) throw callFailed('setns', `namespace ${this.inode}`)
    insideWindow = true
    let result: T
    try {
      result = work()
    } finally {
      // libc's abort, because process.abort() throws in a worker thread.
      if (calls.setns(back.fd, numbers.CLONE_NEWNET) !== 0) calls.abort()
      insideWindow = false
    }
    if (isPromise(result)) throw new TypeError('work in a namespace window must be synchronous, but returned a promise')
    return result
  }

  close(): void {
    if (this.#fd === undefined) return
    closeSync(this.#fd)
    this.#fd = undefined
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

function openNamespaceFile(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error: unknown) {
    throw new MeshError('SYSTEM_CALL', `network namespace ${path} cannot be opened: is the workload still running?`, {
      cause: error,
    })
  }
}

/**
 * Starts the threads of Node's pool, so that they are born in this namespace and not inside some window, where they would
 * stay for ever. Awaited once at the start of a process, before the first `run`.
 */
export async function warmThreadPool(): Promise<void> {
  await stat('/')
}

export interface TcpListenerOptions {
  /** Canonical; `::` takes IPv4 too unless `v6Only`. */
  readonly address: string
  /** 0 for any free one. */
  readonly port: number
  readonly mark?: number
  readonly transparent?: boolean
  readonly reusePort?: boolean
  readonly v6Only?: boolean
  /** Accepted connections send at once (TCP_NODELAY) and notice a peer that vanished: they inherit it, which costs them nothing. */
  readonly accepted?: {
    readonly keepAlive: { readonly idleMs: number; readonly intervalMs: number; readonly count: number }
  }
}

/** A bound descriptor, not yet listening: `server.listen({ fd })` does that and then owns it. Throws SYSTEM_CALL. */
export function tcpListener(options: TcpListenerOptions): number {
  const family = familyOf(options.address)
  return prepared(family, numbers.SOCK_STREAM, (fd) => {
    flag(fd, numbers.SOL_SOCKET, 'SO_REUSEADDR')
    if (options.reusePort) flag(fd, numbers.SOL_SOCKET, 'SO_REUSEPORT')
    if (family === 'ipv6') option(fd, numbers.SOL_IPV6, 'IPV6_V6ONLY', options.v6Only ? 1 : 0)
    mark(fd, options.mark)
    if (options.transparent) transparent(fd, family)
    if (options.accepted !== undefined) inherited(fd, options.accepted)
    bindTo(fd, options)
  })
}

function inherited(fd: number, { keepAlive }: NonNullable<TcpListenerOptions['accepted']>): void {
  flag(fd, numbers.SOL_TCP, 'TCP_NODELAY')
  flag(fd, numbers.SOL_SOCKET, 'SO_KEEPALIVE')
  option(fd, numbers.SOL_TCP, 'TCP_KEEPIDLE', keepAlive.idleMs / 1_000)
  option(fd, numbers.SOL_TCP, 'TCP_KEEPINTVL', keepAlive.intervalMs / 1_000)
  option(fd, numbers.SOL_TCP, 'TCP_KEEPCNT', keepAlive.count)
}

export interface TcpSocketOptions {
  readonly family: AddressFamily
  readonly mark?: number
  /** Source address; port 0 leaves the choice to connect, where one port serves many destinations. */
  readonly bind?: SocketAddress
  /** The source address may be somebody else's (the caller's, towards the application). */
  readonly transparent?: boolean
  /** The source address need not be one of this namespace. */
  readonly freebind?: boolean
}

/** An unconnected, non-blocking descriptor for `boundSocket`. Throws SYSTEM_CALL. */
export function tcpSocket(options: TcpSocketOptions): number {
  const { family } = options
  return prepared(family, numbers.SOCK_STREAM, (fd) => {
    mark(fd, options.mark)
    // A transparent socket may bind to any address anyway.
    if (options.transparent) transparent(fd, family)
    else if (options.freebind) {
      if (family === 'ipv4') flag(fd, numbers.SOL_IP, 'IP_FREEBIND')
      else flag(fd, numbers.SOL_IPV6, 'IPV6_FREEBIND')
    }
    if (options.bind === undefined) return
    if (options.bind.port === 0) flag(fd, numbers.SOL_IP, 'IP_BIND_ADDRESS_NO_PORT')
    bindTo(fd, options.bind)
  })
}

/** A bound descriptor for `dgram.createSocket(…).bind({ fd })`; on an IPv6 address it takes IPv6 only. Throws SYSTEM_CALL. */
export function udpSocket(options: {
  readonly address: string
  readonly port: number
  readonly mark?: number
  readonly reusePort?: boolean
}): number {
  const family = familyOf(options.address)
  return prepared(family, numbers.SOCK_DGRAM, (fd) => {
    if (options.reusePort) flag(fd, numbers.SOL_SOCKET, 'SO_REUSEPORT')
    if (family === 'ipv6') flag(fd, numbers.SOL_IPV6, 'IPV6_V6ONLY')
    mark(fd, options.mark)
    bindTo(fd, options)
  })
}

/**
 * Takes a datagram socket out of those that share its address: what is queued can still be read and answered, further datagrams
 * go to the others, or nowhere. A connected socket hears its peer alone, and this one's peer is its own address, from which
 * nobody else can send. Node is not told, so that it still lets answers go to everybody. Throws SYSTEM_CALL.
 */
export function deafenUdp(fd: number, own: SocketAddress): void {
  const address = encodeSocketAddress(own)
  if (calls.connect(fd, address, address.length) !== 0) throw callFailed('connect', `${own.address} port ${own.port}`)
}

/** Makes a socket and lets `prepare` set it up; the descriptor is closed where that fails. */
function prepared(family: AddressFamily, type: number, prepare: (fd: number) => void): number {
  const domain = family === 'ipv4' ? numbers.AF_INET : numbers.AF_INET6
  const fd: number = calls.socket(domain, type | numbers.SOCK_NONBLOCK | numbers.SOCK_CLOEXEC, 0)
  if (fd < 0) throw callFailed('socket', family)
  try {
    prepare(fd)
    return fd
  } catch (error: unknown) {
    calls.close(fd)
    throw error
  }
}

function flag(fd: number, level: number, name: keyof typeof numbers): void {
  if (calls.setsockopt(fd, level, numbers[name], flagOn, 4) !== 0) throw callFailed(`setsockopt ${name}`, `on ${fd}`)
}

function option(fd: number, level: number, name: keyof typeof numbers, value: number): void {
  if (calls.setsockopt(fd, level, numbers[name], wordOf(value), 4) !== 0)
    throw callFailed(`setsockopt ${name}`, `on ${fd}`)
}

function mark(fd: number, value: number | undefined): void {
  if (value !== undefined && value !== 0) option(fd, numbers.SOL_SOCKET, 'SO_MARK', value)
}

function transparent(fd: number, family: AddressFamily): void {
  if (family === 'ipv4') flag(fd, numbers.SOL_IP, 'IP_TRANSPARENT')
  else flag(fd, numbers.SOL_IPV6, 'IPV6_TRANSPARENT')
}

function bindTo(fd: number, to: SocketAddress): void {
  const address = encodeSocketAddress(to)
  if (calls.bind(fd, address, address.length) !== 0) throw callFailed('bind', `${to.address} port ${to.port}`)
}

/** Node gives a destroyed socket a new descriptor on `connect`, in this thread's namespace and without the mark: never here. */
class BoundSocket extends Socket {
  override connect(...target: unknown[]): this {
    if (this.destroyed) throw new MeshError('ABORTED', 'the socket was closed before it could connect')
    return Reflect.apply(super.connect, this, target) as this
  }
}

/**
 * Wraps a descriptor of `tcpSocket`; the socket owns it from here on, and it is closed even when wrapping fails. Then
 * `connect(port, address)`, with an address, never a name; ABORTED is thrown where the socket was destroyed meanwhile.
 */
export function boundSocket(fd: number): Socket {
  // manualStart: reading an unconnected socket would end in ENOTCONN; Node starts to read when it has connected.
  const options = { fd, allowHalfOpen: true, manualStart: true }
  try {
    return new BoundSocket(options)
  } catch (error: unknown) {
    calls.close(fd)
    throw new MeshError('SYSTEM_CALL', `descriptor ${fd} cannot be wrapped as a socket`, { cause: error })
  }
}

/** Closes a descriptor that nothing wraps. */
export function closeDescriptor(fd: number): void {
  if (calls.close(fd) !== 0) throw callFailed('close', String(fd))
}

/** The descriptor behind a socket of Node. Throws SYSTEM_CALL for a closed one. */
export function descriptorOf(socket: object): number {
  const handle: unknown = '_handle' in socket ? socket._handle : undefined
  const fd: unknown = typeof handle === 'object' && handle !== null && 'fd' in handle ? handle.fd : undefined
  if (typeof fd === 'number' && fd >= 0) return fd
  throw new MeshError('SYSTEM_CALL', 'the socket has no descriptor: it is closed or not yet open')
}

/** struct linger {on, 0 seconds}: closing discards what is buffered and sends a reset. */
const lingerNone = Buffer.concat([wordOf(1), wordOf(0)])

/**
 * Closes a TCP socket at once so that the other side sees a reset (RFC 9293, ABORT). `Socket.resetAndDestroy` of Node waits until
 * everything buffered is written, for ever where the reader stalls, and a second call on it leaks the descriptor.
 */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return
  try {
    calls.setsockopt(descriptorOf(socket), numbers.SOL_SOCKET, numbers.SO_LINGER, lingerNone, lingerNone.length)
  } catch {
    // Not open (any more): there is nothing that could be reset.
  }
  socket.destroy()
}

/**
 * Lets the kernel end a connection whose peer acknowledges nothing for `ms` milliseconds (RFC 5482): by itself it would go on
 * for a quarter of an hour. Not for sockets whose reader may stall: an empty window counts as silence.
 */
export function endWhenUnacknowledged(socket: Socket, ms: number): void {
  try {
    calls.setsockopt(descriptorOf(socket), numbers.SOL_TCP, numbers.TCP_USER_TIMEOUT, wordOf(ms), 4)
  } catch {
    // Not open (any more), or no socket of the kernel.
  }
}

/**
 * Lets the kernel take no more than `bytes` that it cannot send yet (tcp(7), TCP_NOTSENT_LOWAT): what waits there can no longer be
 * overtaken by a small message. Leaves a socket that is closed as it is.
 */
export function keepUnsentShort(socket: Socket, bytes: number): void {
  try {
    calls.setsockopt(descriptorOf(socket), numbers.SOL_TCP, numbers.TCP_NOTSENT_LOWAT, wordOf(bytes), 4)
  } catch {
    // Not open (any more), or no socket of the kernel.
  }
}

/** Who is at the other end of a unix socket, as the kernel knows it. Throws SYSTEM_CALL. */
export function peerCredentials(socket: Socket): { readonly pid: number; readonly uid: number; readonly gid: number } {
  const fd = descriptorOf(socket)
  const credentials = Buffer.alloc(12)
  const length = wordOf(credentials.length)
  if (calls.getsockopt(fd, numbers.SOL_SOCKET, numbers.SO_PEERCRED, credentials, length) !== 0) {
    throw callFailed('getsockopt SO_PEERCRED', `on ${fd}`)
  }
  return { pid: credentials.readInt32LE(0), uid: credentials.readUInt32LE(4), gid: credentials.readUInt32LE(8) }
}

/** Global addresses of the namespace it is called in: no loopback, no link-local. Allowed inside a window. */
export function interfaceAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? [])
  const canonical = all.map((entry) => canonicalAddress(entry.address))
  return canonical
    .filter((address) => address !== undefined)
    .filter((address) => !isLoopback(address) && !isLinkLocal(address))
}

function isLinkLocal(address: string): boolean {
  return address.startsWith('169.254.') || /^fe[89ab]/.test(address)
}

/** Makes `source` (a namespace file, say) appear at the existing file `target`. Throws SYSTEM_CALL. */
export function bindMount(source: string, target: string): void {
  if (calls.mount(source, target, null, numbers.MS_BIND, null) !== 0)
    throw callFailed('mount', `${source} on ${target}`)
}

/** Takes a mount away, from users of it as they finish. Throws SYSTEM_CALL. */
export function unmountDetach(target: string): void {
  if (calls.umount2(target, numbers.MNT_DETACH) !== 0) throw callFailed('umount2', target)
}
