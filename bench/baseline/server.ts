// The engine of Culvert 0.1 on node:http2, kept as the baseline of bench/engine.ts. The server end of tunnels: takes accepted TCP sockets, hands out CONNECT requests, drains. Owned by daemon and waypoint, one
// per place that listens; policy and the connection to the application are the owner's.
import type { Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import { Drain } from '../../core/base/drain.ts'
import type { MeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import { defaultLimits, type TunnelLimits } from '../../core/hbone/limits.ts'
import type { IncomingConnect } from '../../core/hbone/types.ts'
import type { SocketAddress } from '../../core/net/address.ts'
import { ServerSession, type ServerSessionDeps } from './server-session.ts'

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
  readonly limits?: Partial<TunnelLimits>
  readonly clock?: () => number
  readonly log: Logger
}

export class TunnelServer {
  readonly #deps: ServerSessionDeps
  readonly #sessions = new Map<ServerSession, Disposable>()
  readonly #drain = new Drain()

  constructor(options: TunnelServerOptions) {
    this.#deps = {
      contexts: options.contexts,
      trustDomain: options.trustDomain,
      onConnect: options.onConnect,
      onError: options.onError ?? (() => {}),
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
    if (this.#drain.signal.aborted || socket.destroyed) {
      socket.destroy()
      return
    }
    const session = new ServerSession(socket, this.#deps)
    this.#sessions.set(session, this.#drain.guard())
  }

  /** GOAWAY to every peer; resolves when all streams ended, or after `deadlineMs`, when what is left is cut. */
  async drain(deadlineMs: number): Promise<void> {
    const drained = this.#drain.start(deadlineMs)
    for (const session of [...this.#sessions.keys()]) session.drain()
    if ((await drained) === 'deadline') this.close()
  }

  /** No further streams on the sessions that are open. */
  retire(): void {
    for (const session of [...this.#sessions.keys()]) session.drain()
  }

  /** Cuts everything at once. */
  close(): void {
    for (const session of [...this.#sessions.keys()]) session.destroy()
  }

  #closed(session: ServerSession): void {
    this.#sessions.get(session)?.[Symbol.dispose]()
    this.#sessions.delete(session)
  }
}
