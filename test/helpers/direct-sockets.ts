// Sockets for the direct ring: every model address is a loopback port, and each socket says the addresses that it would have
// in a real namespace. Capture is played: the original destination is handed in. Used by direct-world.ts.
import net from 'node:net'
import type { CancelSignal } from '../../core/base/cancel.ts'
import { MeshError } from '../../core/base/errors.ts'
import type { LocalWorkload } from '../../core/feed/handoff.ts'
import { ports } from '../../core/model/ports.ts'
import { familyOf, formatSocketAddress, type SocketAddress } from '../../core/net/address.ts'
import { connectSocket } from '../../core/net/tcp.ts'
import type { ConnectRequest, ListenAt, Sockets } from '../../daemon/sockets.ts'
import { endOf } from './socket-ends.ts'

/** What an accepted socket claims to be. */
interface Ends {
  readonly remote: SocketAddress
  readonly local: SocketAddress
  readonly original?: SocketAddress
}

const loopback = '127.0.0.1'
const originals = new WeakMap<net.Socket, SocketAddress>()

/** The network between all workloads of one direct world. */
export class Fabric {
  /** `address:port` → the loopback port that stands for it. */
  readonly #listeners = new Map<string, number>()
  /** Addresses whose inbound traffic is captured. */
  readonly captured = new Set<string>()
  /** By the connecting side's loopback port: what the accepting side shall see. */
  readonly #ends = new Map<number, Ends>()
  readonly #arrivals = new Map<number, (ends: Ends) => void>()

  /** A server for `addresses` at `port`; sockets reach `onSocket` with their played addresses. */
  async listen(
    addresses: readonly string[],
    port: number,
    onSocket: (socket: net.Socket) => void,
  ): Promise<net.Server> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on('error', () => {})
      this.#introduce(socket, onSocket)
    })
    await new Promise<void>((resolve) => server.listen(0, loopback, resolve))
    const actual = (server.address() as net.AddressInfo).port
    const names = addresses.map((address) => formatSocketAddress({ address, port }))
    for (const name of names) this.#listeners.set(name, actual)
    server.on('close', () => {
      for (const name of names) if (this.#listeners.get(name) === actual) this.#listeners.delete(name)
    })
    return server
  }

  #introduce(socket: net.Socket, onSocket: (socket: net.Socket) => void): void {
    const key = socket.remotePort ?? 0
    const meet = (ends: Ends): void => {
      this.#ends.delete(key)
      this.#arrivals.delete(key)
      play(socket, 'remote', { address: ends.remote.address, port: key })
      play(socket, 'local', ends.local)
      if (ends.original !== undefined) originals.set(socket, ends.original)
      onSocket(socket)
    }
    const ends = this.#ends.get(key)
    if (ends === undefined) this.#arrivals.set(key, meet)
    else meet(ends)
  }

  /** A connection from `from` to what listens at `door`, which sees it as addressed to `local` and, captured, to `original`. */
  async connect(
    door: SocketAddress,
    from: string,
    signal: CancelSignal,
    original?: SocketAddress,
  ): Promise<net.Socket> {
    const port = this.#listeners.get(formatSocketAddress(door))
    if (port === undefined) {
      const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
      throw new MeshError('CONNECT_FAILED', `${formatSocketAddress(door)}: ECONNREFUSED`, { cause })
    }
    const socket = await connectSocket(new net.Socket({ allowHalfOpen: true }), { address: loopback, port }, signal)
    const key = socket.localPort ?? 0
    const ends = {
      remote: { address: from, port: key },
      local: original === undefined ? door : { address: original.address, port: door.port },
      ...(original === undefined ? {} : { original }),
    }
    const arrival = this.#arrivals.get(key)
    if (arrival === undefined) this.#ends.set(key, ends)
    else arrival(ends)
    return socket
  }

  /** Over the played wire: what a packet to `to` meets there. */
  async deliver(to: SocketAddress, from: string, signal: CancelSignal): Promise<net.Socket> {
    if (to.port === ports.hbone || !this.captured.has(to.address)) return await this.connect(to, from, signal)
    return await this.connect({ address: to.address, port: ports.inboundPlaintext }, from, signal, to)
  }
}

function play(socket: net.Socket, end: 'remote' | 'local', { address, port }: SocketAddress): void {
  Object.defineProperty(socket, `${end}Address`, { value: address })
  Object.defineProperty(socket, `${end}Port`, { value: port })
  Object.defineProperty(socket, `${end}Family`, { value: familyOf(address) === 'ipv6' ? 'IPv6' : 'IPv4' })
}

/** The daemon's view of the fabric. */
export class FabricSockets implements Sockets {
  readonly #fabric: Fabric

  constructor(fabric: Fabric) {
    this.#fabric = fabric
  }

  open(): void {}

  close(): void {}

  async listen(
    workload: LocalWorkload,
    at: ListenAt,
    onSocket: (socket: net.Socket) => void,
  ): Promise<readonly net.Server[]> {
    const family = familyOf(at.address)
    const addresses = workload.addresses.filter((address) => familyOf(address) === family)
    return [await this.#fabric.listen(addresses, at.port, onSocket)]
  }

  async connectTcp(request: ConnectRequest): Promise<net.Socket> {
    const { workload, to, signal } = request
    const own = workload.addresses.find((address) => familyOf(address) === familyOf(to.address)) ?? loopback
    const from = request.bind ?? own
    // Marked packets to the workload itself pass its rules: they meet the application (or the tunnel listener) directly.
    if (workload.addresses.includes(to.address)) return await this.#fabric.connect(to, from, signal)
    return await this.#fabric.deliver(to, from, signal)
  }

  remoteEnd({ remoteAddress, remotePort }: net.Socket): SocketAddress | undefined {
    return endOf(remoteAddress, remotePort)
  }

  localEnd({ localAddress, localPort }: net.Socket): SocketAddress | undefined {
    return endOf(localAddress, localPort)
  }

  originalDestination(socket: net.Socket): SocketAddress | undefined {
    return originals.get(socket)
  }
}
