// The way in: tunnels on port 15008 of the waypoint's addresses, from each CONNECT to a connection of a known origin. What speaks HTTP
// on it is somebody else's (`Carry`). Owned by data-plane.ts.
import type { Duplex } from 'node:stream'
import { asMeshError, errorOutcome, MeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import { Repeats } from '../core/base/repeats.ts'
import { TunnelServer, type TunnelServerOptions } from '../core/hbone/server.ts'
import type { IncomingConnect } from '../core/hbone/types.ts'
import { formatSocketAddress } from '../core/net/address.ts'
import type { Origin } from './exchange.ts'
import { Shares } from './shares.ts'
import type { Listener, Sockets } from './sockets.ts'

/** An accepted connection, whatever is spoken on it. */
export interface LiveConnection {
  /** What is spoken on it, as far as it is known. */
  readonly protocol: string
  /** Finishes what is under way, takes nothing more, and ends. */
  drain(): void
  /** Ends at once. */
  destroy(): void
}

/** Takes an accepted stream over; `closed` is called once, when nothing of it is left. */
export type Carry = (stream: Duplex, origin: Origin, closed: () => void) => LiveConnection

export interface ServeOptions extends Pick<TunnelServerOptions, 'contexts' | 'trustDomain'> {
  readonly sockets: Sockets
  /** Takes what is for the waypoint itself, and says so. */
  readonly take: (connect: IncomingConnect) => boolean
  /** Whom a CONNECT is for. Throws a MeshError where it is not for this waypoint. */
  readonly originOf: (connect: IncomingConnect) => Origin
  /** Asked for what is connected, after a change of the model. Throws a MeshError where it may not go on. */
  readonly mayStay: (origin: Origin) => void
  readonly carry: Carry
  readonly maxTunnels: number
  readonly maxConnections: number
  /** A CONNECT was refused. */
  readonly onRefused: (error: MeshError) => void
  readonly log: Logger
}

interface Live {
  readonly id: number
  readonly origin: Origin
  readonly startedAt: number
  connection: LiveConnection | undefined
}

export class Serve {
  readonly #options: ServeOptions
  readonly #tunnels: TunnelServer
  readonly #listeners: Listener[] = []
  readonly #live = new Set<Live>()
  readonly #shares = new Shares()
  readonly #lines = new Repeats()
  #nextId = 1
  #draining = false

  constructor(options: ServeOptions) {
    this.#options = options
    this.#tunnels = new TunnelServer({
      contexts: options.contexts,
      trustDomain: options.trustDomain,
      onConnect: (connect) => this.#connect(connect),
      limits: { serverMaxSessions: options.maxTunnels },
      log: options.log,
    })
  }

  get listeners(): readonly Listener[] {
    return this.#listeners
  }

  get connections(): number {
    return this.#live.size
  }

  get tunnels(): number {
    return this.#tunnels.sessions
  }

  /** Opens the listeners; all or none. Throws SYSTEM_CALL. */
  async listen(addresses: readonly string[]): Promise<void> {
    try {
      for (const address of addresses) {
        this.#listeners.push(await this.#options.sockets.listen(address, (socket) => this.#tunnels.accept(socket)))
      }
    } catch (error: unknown) {
      for (const listener of this.#listeners.splice(0)) await listener.close()
      throw error
    }
  }

  /** After a change of the model: who is connected to what this waypoint serves no longer finishes what is under way. */
  recheck(): void {
    for (const { id, origin, connection } of [...this.#live]) {
      try {
        this.#options.mayStay(origin)
      } catch (thrown: unknown) {
        const { message } = asMeshError(thrown, 'POLICY_DENIED')
        this.#options.log.info({ id, source: formatSocketAddress(origin.address) }, `a connection ends: ${message}`)
        connection?.drain()
      }
    }
  }

  /** The trust bundle is another: who was verified against the former is verified anew. */
  retire(): void {
    this.#tunnels.retire()
  }

  /** For people. */
  list(limit = 10_000): readonly object[] {
    const now = performance.now()
    return [...this.#live].slice(0, limit).map(({ id, origin, startedAt, connection }) => ({
      id,
      source: formatSocketAddress(origin.address),
      identity: origin.principal,
      destination: formatSocketAddress(origin.destination),
      ...(origin.service === undefined ? {} : { service: origin.service.hostname }),
      protocol: connection?.protocol ?? 'opening',
      ageMs: Math.round(now - startedAt),
    }))
  }

  /** Listens no more, says GOAWAY, lets what is under way finish for at most `deadlineMs`, then ends it. */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true
    for (const listener of this.#listeners.splice(0)) await listener.close()
    const drained = this.#tunnels.drain(deadlineMs)
    for (const { connection } of [...this.#live]) connection?.drain()
    await drained
    for (const { connection } of [...this.#live]) connection?.destroy()
  }

  #connect(connect: IncomingConnect): void {
    let origin: Origin
    try {
      if (this.#options.take(connect)) return
      this.#checkRoom(connect.peer.address.address)
      origin = this.#options.originOf(connect)
    } catch (thrown: unknown) {
      this.#refuse(connect, thrown)
      return
    }
    const live: Live = { id: this.#nextId++, origin, startedAt: performance.now(), connection: undefined }
    this.#live.add(live)
    this.#shares.take(origin.address.address)
    live.connection = this.#options.carry(connect.accept(), origin, () => this.#closed(live))
    if (this.#draining) live.connection.drain()
  }

  #closed(live: Live): void {
    if (this.#live.delete(live)) this.#shares.give(live.origin.address.address)
  }

  /** Throws LIMIT_REACHED. */
  #checkRoom(caller: string): void {
    const { maxConnections } = this.#options
    if (this.#shares.hasRoom(caller, maxConnections)) return
    const text = `of at most ${maxConnections} connections ${this.#live.size} are open, ${this.#shares.of(caller)} of them from ${caller}`
    throw new MeshError('LIMIT_REACHED', text)
  }

  #refuse(connect: IncomingConnect, thrown: unknown): void {
    if (!(thrown instanceof MeshError)) throw thrown
    const { tunnelStatus } = errorOutcome(thrown)
    connect.reject(tunnelStatus === 400 || tunnelStatus === 401 ? tunnelStatus : 503)
    this.#options.onRefused(thrown)
    const source = formatSocketAddress(connect.peer.address)
    const withheld = this.#lines.admit(`${thrown.code} ${connect.peer.address.address}`)
    if (withheld === undefined) return
    const more = withheld === 0 ? {} : { withheld }
    this.#options.log.warn({ code: thrown.code, source, ...more }, thrown.message)
  }
}
