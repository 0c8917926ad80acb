// The server end of tunnels: takes accepted TCP sockets, hands out CONNECT requests, drains. Owned by daemon and waypoint, one
// per place that listens; policy and the connection to the application are the owner's.
import type { Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import { Drain } from '../base/drain.ts'
import { MeshError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import type { SocketAddress } from '../net/address.ts'
import { defaultLimits, type TunnelLimits } from './limits.ts'
import { addressOf, ServerSession, type ServerSessionDeps } from './server-session.ts'
import type { IncomingConnect } from './types.ts'

export interface TunnelServerOptions {
  /**
   * The certificate for a server name (`undefined`: the client sent none) at a local address. `undefined` and exceptions
   * refuse the handshake. Asked with `undefined` for every connection, before a name is known.
   */
  readonly contexts: (
    serverName: string | undefined,
    local: SocketAddress,
  ) => { readonly context: SecureContext } | undefined
  readonly trustDomain: () => string
  /** Gets each well-formed CONNECT of an authenticated peer. */
  readonly onConnect: (connect: IncomingConnect) => void
  /** Gets why a connection failed, once per connection at most. */
  readonly onError?: (error: MeshError, peer: SocketAddress) => void
  /** A connection was refused at a limit, before anything was read from it. */
  readonly onRefused?: (limit: 'tunnels' | 'handshakes') => void
  readonly limits?: Partial<TunnelLimits>
  readonly clock?: () => number
  readonly log: Logger
}

export class TunnelServer {
  readonly #deps: ServerSessionDeps
  readonly #sessions = new Map<ServerSession, Disposable>()
  /** Sessions in their handshake with the peer's address, and how many each address has. */
  readonly #shaking = new Map<ServerSession, string>()
  readonly #shakingBy = new Map<string, number>()
  readonly #drain = new Drain()
  readonly #onRefused: (limit: 'tunnels' | 'handshakes') => void

  constructor(options: TunnelServerOptions) {
    this.#onRefused = options.onRefused ?? (() => {})
    this.#deps = {
      contexts: options.contexts,
      trustDomain: options.trustDomain,
      onConnect: options.onConnect,
      onError: options.onError ?? (() => {}),
      onOpened: (session) => this.#shaken(session),
      onClosed: (session) => this.#closed(session),
      limits: { ...defaultLimits, ...options.limits },
      clock: options.clock ?? Date.now,
      log: options.log,
    }
  }

  /** Connections in any phase, handshakes included. */
  get sessions(): number {
    return this.#sessions.size
  }

  /** Takes an accepted socket over, before anything was read from it. While draining it is closed at once. */
  accept(socket: Socket): void {
    socket.on('error', () => {})
    const peer = socket.remoteAddress ?? ''
    if (this.#drain.signal.aborted || socket.destroyed) {
      socket.destroy()
      return
    }
    if (this.#full(peer)) {
      const address = addressOf(socket.remoteAddress, socket.remotePort)
      socket.destroy()
      this.#deps.onError(new MeshError('LIMIT_REACHED', 'too many tunnel connections at the same time'), address)
      return
    }
    const session = new ServerSession(socket, this.#deps)
    this.#sessions.set(session, this.#drain.guard())
    this.#shaking.set(session, peer)
    this.#shakingBy.set(peer, (this.#shakingBy.get(peer) ?? 0) + 1)
  }

  /** Whoever has not proved who it is must not take the room of those who have, nor the descriptors of other workloads. */
  #full(peer: string): boolean {
    const { serverMaxSessions, maxHandshakes, maxHandshakesPerAddress } = this.#deps.limits
    const full = this.#sessions.size >= serverMaxSessions
    const shaking = this.#shaking.size >= maxHandshakes || (this.#shakingBy.get(peer) ?? 0) >= maxHandshakesPerAddress
    if (full || shaking) this.#onRefused(full ? 'tunnels' : 'handshakes')
    return full || shaking
  }

  /** GOAWAY to every peer; resolves when all streams ended, or after `deadlineMs`, when what is left is cut. */
  async drain(deadlineMs: number): Promise<void> {
    const drained = this.#drain.start(deadlineMs)
    for (const session of [...this.#sessions.keys()]) session.drain()
    if ((await drained) === 'deadline') this.close()
  }

  /** The trust bundle is another: sessions that were verified against the former take no more streams; those there go on. */
  retire(): void {
    for (const session of [...this.#sessions.keys()]) session.retire()
  }

  /** Cuts everything at once. */
  close(): void {
    for (const session of [...this.#sessions.keys()]) session.destroy()
  }

  #shaken(session: ServerSession): void {
    const peer = this.#shaking.get(session)
    if (peer === undefined) return
    this.#shaking.delete(session)
    const others = (this.#shakingBy.get(peer) ?? 1) - 1
    if (others > 0) this.#shakingBy.set(peer, others)
    else this.#shakingBy.delete(peer)
  }

  #closed(session: ServerSession): void {
    this.#shaken(session)
    this.#sessions.get(session)?.[Symbol.dispose]()
    this.#sessions.delete(session)
  }
}
