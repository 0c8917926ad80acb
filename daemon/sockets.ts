// Every TCP socket of the data plane: listeners inside a workload's network namespace and marked connections out of it.
// DataPlane gets this interface; tests hand in loopback sockets, the worker hands in NamespaceSockets.
import net from 'node:net'
import { MeshError } from '../core/base/errors.ts'
import type { LocalWorkload } from '../core/feed/handoff.ts'
import { marks } from '../core/model/ports.ts'
import { familyOf, formatSocketAddress, type SocketAddress } from '../core/net/address.ts'
import { boundSocket, closeDescriptor, NetworkNamespace, tcpListener, tcpSocket } from '../core/net/sys.ts'
import { localEnd, originalDestination, remoteEnd } from '../core/net/sys-ends.ts'

export interface ListenAt {
  /** `0.0.0.0` or `::`. */
  readonly address: string
  readonly port: number
}

export interface ConnectRequest {
  readonly workload: LocalWorkload
  readonly to: SocketAddress
  /** Source address; the port is chosen by the kernel. */
  readonly bind?: string
  /** The source address is not the workload's own: the caller's address is shown to the application. */
  readonly transparent: boolean
  readonly signal: AbortSignal
}

export interface Sockets {
  /** Opens the workload's namespace. Throws SYSTEM_CALL where the pin is gone or is another namespace. */
  open(workload: LocalWorkload): void
  /** Forgets the namespace; existing sockets live on. */
  close(workload: LocalWorkload): void
  /** Resolves with a listening server. Rejects with a system error whose `code` says why (`EAFNOSUPPORT`: no IPv6 here). */
  listen(workload: LocalWorkload, at: ListenAt, onSocket: (socket: net.Socket) => void): Promise<net.Server>
  /** Resolves once connected. Rejects with CONNECT_FAILED, or with the signal's reason. */
  connectTcp(request: ConnectRequest): Promise<net.Socket>
  /** The other end of a socket; undefined once it is gone. */
  remoteEnd(socket: net.Socket): SocketAddress | undefined
  /** This end of a socket; undefined once it is closed. */
  localEnd(socket: net.Socket): SocketAddress | undefined
  /** Where a redirected connection was going; undefined where nothing redirected it. */
  originalDestination(socket: net.Socket): SocketAddress | undefined
}

export function sameEnd(a: SocketAddress, b: SocketAddress): boolean {
  return a.port === b.port && a.address === b.address
}

/** As ztunnel. libuv's own interval of one second would end a quiet connection after ten seconds of an outage. */
const keepAlive = { enable: true, initialDelay: 180_000, interval: 180_000, count: 9 } as const
const backlog = 4096

/** What each system error of a connect means to an operator. */
const hints: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ETIMEDOUT: 'no answer: is the host up, and does a firewall drop this port?',
  EHOSTUNREACH: 'the host does not answer: is it up?',
  ENETUNREACH: 'no route: is there an address of this family on both ends?',
  EADDRNOTAVAIL: 'no free source port, or the source address is not of this namespace',
  EMFILE: 'this process has no descriptor left: raise LimitNOFILE or lower maxTotalConnections',
  ENFILE: 'this machine has no descriptor left: raise fs.file-max',
  EADDRINUSE: 'no free source port: is tcp_tw_reuse set in this namespace?',
}

/** No matter where to: this process, or the machine, has none left. */
const outOfDescriptors: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE'])

/** `ECONNREFUSED` and the like, of the error or of what caused it. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if (error instanceof MeshError) return systemCode(error.cause)
  return 'code' in error && typeof error.code === 'string' ? error.code : systemCode(error.cause)
}

/** A failed connect as the mesh reports it. */
export function connectError(to: SocketAddress, error: unknown): MeshError {
  const known = systemCode(error)
  const what = known ?? (error instanceof Error ? error.message : String(error))
  const hint = known === undefined ? undefined : hints[known]
  const text = `${formatSocketAddress(to)}: ${what}${hint === undefined ? '' : ` (${hint})`}`
  return new MeshError(outOfDescriptors.has(known ?? '') ? 'LIMIT_REACHED' : 'CONNECT_FAILED', text, { cause: error })
}

/** Options that every data socket carries: small writes leave at once, a vanished peer is noticed. */
function tuneSocket(socket: net.Socket): void {
  socket.setNoDelay(true)
  socket.setKeepAlive(keepAlive)
}

/** Connects a fresh socket. The socket is destroyed when the wait fails. */
export function connectSocket(socket: net.Socket, to: SocketAddress, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      socket.off('connect', onConnect)
      socket.off('error', onError)
      signal.removeEventListener('abort', onAbort)
    }
    const onConnect = (): void => {
      done()
      tuneSocket(socket)
      resolve(socket)
    }
    const onError = (error: Error): void => {
      done()
      socket.destroy()
      reject(connectError(to, error))
    }
    const onAbort = (): void => {
      done()
      socket.once('error', () => {})
      socket.destroy()
      reject(signal.reason instanceof MeshError ? signal.reason : connectError(to, signal.reason))
    }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', onConnect)
    socket.once('error', onError)
    socket.connect({ host: to.address, port: to.port })
  })
}

/** Resolves once `server` listens on a bound descriptor, rejects with the system error. */
function listening(server: net.Server, descriptor: number): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      closeDescriptor(descriptor)
      reject(error)
    })
    // `backlog` counts as an argument of its own only: Node ignores the option beside `fd`.
    server.listen({ fd: descriptor }, backlog, () => {
      server.removeAllListeners('error')
      resolve(server)
    })
  })
}

function nameOf(workload: LocalWorkload): string {
  return `${workload.uid} ${workload.netns.inode}`
}

/** The real sockets: descriptors made inside the workload's namespace, marked so that its rules let them pass. */
export class NamespaceSockets implements Sockets {
  /** By uid and inode; counted, because a workload may come back while its former stay still drains. */
  readonly #namespaces = new Map<string, { readonly namespace: NetworkNamespace; users: number }>()
  open(workload: LocalWorkload): void {
    const known = this.#namespaces.get(nameOf(workload))
    if (known !== undefined) {
      known.users++
      return
    }
    const namespace = NetworkNamespace.open(workload.netns.path, workload.netns.inode)
    this.#namespaces.set(nameOf(workload), { namespace, users: 1 })
  }

  close(workload: LocalWorkload): void {
    const known = this.#namespaces.get(nameOf(workload))
    if (known === undefined || --known.users > 0) return
    this.#namespaces.delete(nameOf(workload))
    known.namespace.close()
  }

  /** For the DNS server, which makes its own sockets. Throws SYSTEM_CALL where the workload is not open. */
  namespaceOf(workload: LocalWorkload): NetworkNamespace {
    const known = this.#namespaces.get(nameOf(workload))
    if (known !== undefined) return known.namespace
    throw new MeshError('SYSTEM_CALL', `the network namespace of ${workload.uid} is not open (any more)`)
  }

  async listen(workload: LocalWorkload, at: ListenAt, onSocket: (socket: net.Socket) => void): Promise<net.Server> {
    const v6Only = familyOf(at.address) === 'ipv6'
    // Shared with the other workers, with the one that replaces this one, and with the next daemon while this one drains.
    const accepted = {
      keepAlive: { idleMs: keepAlive.initialDelay, intervalMs: keepAlive.interval, count: keepAlive.count },
    }
    const options = { ...at, mark: marks.proxy, reusePort: true, v6Only, accepted }
    const descriptor = this.namespaceOf(workload).run(() => tcpListener(options))
    return await listening(net.createServer({ allowHalfOpen: true }, onSocket), descriptor)
  }

  async connectTcp(request: ConnectRequest): Promise<net.Socket> {
    const { workload, to, bind, transparent } = request
    const options = {
      family: familyOf(to.address),
      mark: marks.proxy,
      ...(bind === undefined ? {} : { bind: { address: bind, port: 0 } }),
      transparent,
      freebind: transparent,
    }
    const descriptor = this.#inside(workload, to, () => tcpSocket(options))
    return await connectSocket(boundSocket(descriptor), to, request.signal)
  }

  /** Makes the descriptor; a failed option or bind is a failed connect. */
  #inside(workload: LocalWorkload, to: SocketAddress, work: () => number): number {
    try {
      return this.namespaceOf(workload).run(work)
    } catch (error: unknown) {
      throw connectError(to, error)
    }
  }

  remoteEnd(socket: net.Socket): SocketAddress | undefined {
    return remoteEnd(socket)
  }

  localEnd(socket: net.Socket): SocketAddress | undefined {
    return localEnd(socket)
  }

  originalDestination(socket: net.Socket): SocketAddress | undefined {
    return originalDestination(socket)
  }
}
