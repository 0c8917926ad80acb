// Sockets of a data plane for tests without namespaces: every mesh address (IPv4 or IPv6) gets a loopback address of its own,
// so that ports 15001, 15006 and 15008 are free for each workload and each test process. Both ends see mesh addresses. What
// iptables would do is handed in: `capture` registers where a connection was really going.
import { once } from 'node:events'
import net from 'node:net'
import { deadline } from '../../core/base/deadline.ts'
import type { LocalWorkload } from '../../core/feed/handoff.ts'
import { ports } from '../../core/model/ports.ts'
import { familyOf, type SocketAddress } from '../../core/net/address.ts'
import { connectSocket } from '../../core/net/tcp.ts'
import type { ConnectRequest, ListenAt, Sockets } from '../../daemon/sockets.ts'
import { endOf } from './socket-ends.ts'

const waitMs = 10_000

export class LoopbackSockets implements Sockets {
  readonly #real = new Map<string, string>()
  readonly #mesh = new Map<string, string>()
  /** `address:port` of a captured caller, real → where it was going. */
  readonly #original = new Map<string, SocketAddress>()
  readonly #servers = new Set<net.Server>()
  /** Every connect of a data plane, in order. */
  readonly connects: {
    readonly to: SocketAddress
    readonly bind: string | undefined
    readonly transparent: boolean
  }[] = []
  #next = 1

  /** The loopback address that stands for a mesh address. */
  real(address: string): string {
    const known = this.#real.get(address)
    if (known !== undefined) return known
    const number = this.#next++
    const real = `127.${64 + ((process.pid >> 8) & 63)}.${process.pid & 255}.${number}`
    if (number > 254) throw new Error('a test process has 254 mesh addresses')
    this.#real.set(address, real)
    this.#mesh.set(real, address)
    return real
  }

  mesh(real: string | undefined): string {
    return this.#mesh.get(real ?? '') ?? real ?? ''
  }

  open(): void {}

  close(): void {}

  async listen(
    workload: LocalWorkload,
    at: ListenAt,
    onSocket: (socket: net.Socket) => void,
  ): Promise<readonly net.Server[]> {
    // No port can be shared here.
    if (at.listeners !== undefined) return []
    const family = familyOf(at.address)
    const own = workload.addresses.find((address) => familyOf(address) === family)
    if (own === undefined && family === 'ipv6') {
      throw Object.assign(new Error('IPv6 is disabled here'), { code: 'EAFNOSUPPORT' })
    }
    return [await this.serve({ address: own ?? `${workload.uid} without IPv4`, port: at.port }, onSocket)]
  }

  /** A server at a mesh address: an application, or a listener of a data plane. */
  async serve(at: SocketAddress, onSocket: (socket: net.Socket) => void): Promise<net.Server> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => onSocket(this.#dressed(socket)))
    server.listen({ host: this.real(at.address), port: at.port })
    await once(server, 'listening', { signal: deadline(waitMs) })
    this.#servers.add(server)
    server.once('close', () => this.#servers.delete(server))
    return server
  }

  async connectTcp({ workload, to, bind, transparent, signal }: ConnectRequest): Promise<net.Socket> {
    this.connects.push({ to, bind, transparent })
    const own = workload.addresses.find((address) => familyOf(address) === familyOf(to.address))
    const from = this.real(bind ?? own ?? to.address)
    const socket = new BoundSocket(from)
    await connectSocket(socket, { address: this.real(to.address), port: to.port }, signal)
    return this.#dressed(socket)
  }

  remoteEnd({ remoteAddress, remotePort }: net.Socket): SocketAddress | undefined {
    return endOf(remoteAddress, remotePort)
  }

  localEnd({ localAddress, localPort }: net.Socket): SocketAddress | undefined {
    return endOf(localAddress, localPort)
  }

  originalDestination(socket: net.Socket): SocketAddress | undefined {
    return this.#original.get(`${this.real(socket.remoteAddress ?? '')}:${socket.remotePort}`)
  }

  /** An application at `from` connects to `destination` and the rules of its namespace redirect it to its outbound port. */
  async captureOutbound(from: string, destination: SocketAddress): Promise<net.Socket> {
    return await this.redirected(from, { address: from, port: ports.outbound }, destination)
  }

  /** Somebody at `from` connects in plaintext and the rules of the destination's namespace redirect it. */
  async captureInbound(from: string, destination: SocketAddress): Promise<net.Socket> {
    return await this.redirected(from, { address: destination.address, port: ports.inboundPlaintext }, destination)
  }

  /** Connects to `listener`; `original`, where given, is what the kernel would say of the connection. */
  async redirected(from: string, listener: SocketAddress, original: SocketAddress | undefined): Promise<net.Socket> {
    const socket = net.connect({
      host: this.real(listener.address),
      port: listener.port,
      localAddress: this.real(from),
      allowHalfOpen: true,
    })
    // Tests look at how a connection ended, whenever that was.
    socket.on('error', () => {})
    // The system call of connect happened in the tick before this one, and accept cannot come before the next poll.
    process.nextTick(() => {
      if (original !== undefined) this.#original.set(`${this.real(from)}:${socket.localPort}`, original)
    })
    await once(socket, 'connect', { signal: deadline(waitMs) })
    return socket
  }

  /** Closes the servers that are left. */
  stop(): void {
    for (const server of this.#servers) server.close()
  }

  /** Shows mesh addresses where Node shows loopback ones. */
  #dressed(socket: net.Socket): net.Socket {
    const local = this.mesh(socket.localAddress)
    const remote = this.mesh(socket.remoteAddress)
    Object.defineProperties(socket, { localAddress: { value: local }, remoteAddress: { value: remote } })
    return socket
  }
}

/** Binds its source address when it connects, as a descriptor from `tcpSocket` would be bound already. */
class BoundSocket extends net.Socket {
  readonly #from: string

  constructor(from: string) {
    super({ allowHalfOpen: true })
    this.#from = from
  }

  override connect(...parameters: unknown[]): this {
    const [options] = parameters as [net.TcpNetConnectOpts]
    return super.connect({ ...options, localAddress: this.#from })
  }
}
