// The client end of tunnels: sessions shared per key, one connect at a time per key, retired in time. Owned by each data
// worker of the daemon and by the waypoint; the socket (namespace, mark, source address) is the owner's to dial.
import type { Socket } from 'node:net'
import type { CancelSignal } from '../base/cancel.ts'
import { abortable, deadline } from '../base/deadline.ts'
import { Drain } from '../base/drain.ts'
import { asMeshError, MeshError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import type { TlsCredentials } from '../identity/tls.ts'
import { formatSocketAddress } from '../net/address.ts'
import {
  abortReason,
  type ClientSession,
  type OpenedTunnel,
  openClientSession,
  type TunnelRequest,
  Unanswered,
} from './client.ts'
import { defaultLimits, type TunnelLimits } from './limits.ts'
import { Place, placeId } from './place.ts'
import type { TunnelKey } from './types.ts'

export interface TunnelPoolOptions {
  /** Opens a TCP connection to `key.destination`; resolves with it connected and unread, rejects with a MeshError. */
  readonly dial: (key: TunnelKey, signal: AbortSignal) => Promise<Socket>
  /** The current credentials of a source identity. */
  readonly context: (identity: string) => TlsCredentials | undefined
  /** If given, a server of another trust domain is refused even if it is an expected identity. */
  readonly trustDomain?: () => string
  /** The TLS server name to send; none by default. */
  readonly serverName?: (key: TunnelKey) => string | undefined
  /** Whether the destination of a key is still where and who it was; asked before a session is opened. */
  readonly current?: (key: TunnelKey) => boolean
  /** A CONNECT goes to another session, because the one that it was sent on … */
  readonly onRetry?: (reason: 'refused' | 'ended') => void
  /** A session gave no sign of life while somebody waited for it. */
  readonly onSilent?: (key: TunnelKey) => void
  /** So many requests were refused, because all sessions that may be opened are full. */
  readonly onFull?: (key: TunnelKey, requests: number) => void
  readonly limits?: Partial<TunnelLimits>
  readonly clock?: () => number
  readonly log: Logger
}

/** A peer whose sessions end as soon as they began. */
const maxFruitless = 3
/** CONNECTs for one request, where the peer says each time that it did not look at it. */
const maxAttempts = 4

export class TunnelPool {
  readonly #options: TunnelPoolOptions
  readonly #limits: TunnelLimits
  readonly #clock: () => number
  readonly #places = new Map<string, Place>()
  readonly #sessions = new Map<ClientSession, Disposable>()
  readonly #drain = new Drain()
  readonly #closed = new AbortController()

  constructor(options: TunnelPoolOptions) {
    this.#options = options
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#clock = options.clock ?? Date.now
  }

  /** Established sessions, retired ones included until they are empty. */
  get sessions(): number {
    return this.#sessions.size
  }

  /**
   * Opens a tunnel stream. A CONNECT that a session did not answer is tried on a fresh one: no byte of the application was
   * delivered before a 200. Once only where the peer may have begun to serve it. Throws TUNNEL_DENIED (401), TUNNEL_BAD_REQUEST
   * (400), TUNNEL_UNAVAILABLE (503, or not answered again, or the destination left the mesh), TUNNEL_TIMEOUT, TUNNEL_HANDSHAKE,
   * TUNNEL_H2, IDENTITY_INVALID, CERTIFICATE_UNAVAILABLE, LIMIT_REACHED, DRAINING, ABORTED or the reason of `signal`, or what
   * `dial` throws.
   */
  async connect(key: TunnelKey, request: TunnelRequest, signal: CancelSignal): Promise<OpenedTunnel> {
    let seen = 0
    for (let attempt = 1; ; attempt += 1) {
      const session = await this.#acquire(key, request, signal)
      try {
        return await session.open(request, signal)
      } catch (error: unknown) {
        if (!(error instanceof Unanswered)) throw error
        session.retire()
        if (error.seen) seen += 1
        if (seen > 1 || attempt >= maxAttempts) throw error
        this.#options.log.debug({ err: error }, 'repeating a CONNECT that was not answered on another session')
        this.#options.onRetry?.(error.seen ? 'ended' : 'refused')
      }
    }
  }

  /** No new streams on sessions of the keys that `predicate` accepts; they close when empty. */
  retire(predicate: (key: TunnelKey) => boolean): void {
    for (const place of [...this.#places.values()]) {
      if (!predicate(place.key)) continue
      place.generation += 1
      for (const session of place.open) session.retire()
    }
  }

  /** Opens nothing more, waits `deadlineMs` for the streams to end, then cuts them. */
  async close(deadlineMs: number): Promise<void> {
    this.#closed.abort()
    const drained = this.#drain.start(deadlineMs)
    for (const session of [...this.#sessions.keys()]) session.retire()
    if ((await drained) === 'deadline') for (const session of [...this.#sessions.keys()]) session.destroy()
  }

  /** A session on which a place for one stream is taken; the caller must open it. */
  #acquire(key: TunnelKey, request: TunnelRequest, signal: CancelSignal): ClientSession | Promise<ClientSession> {
    if (signal.aborted) throw abortReason(signal)
    if (this.#closed.signal.aborted) throw closing()
    const id = placeId(key)
    const { serial } = this.#credentials(key)
    const session = this.#places.get(id)?.reserve(serial)
    if (session !== undefined) return session
    // Only now: a place that lost its last session above is no longer in the map.
    const place = this.#place(id, key)
    const patienceMs = request.patience?.()
    const impatient = () =>
      new MeshError('TUNNEL_TIMEOUT', `no session with ${formatSocketAddress(key.destination)} within ${patienceMs} ms`)
    const waiting = place.wait(signal, () => abortReason(signal), patienceMs, impatient)
    if (!place.connecting) void this.#fill(id, place)
    return waiting
  }

  /** Opens sessions, one after the other, until nobody waits. Never rejects. */
  async #fill(id: string, place: Place): Promise<void> {
    place.connecting = true
    try {
      for (let fruitless = 0; place.waiting.size > 0; fruitless += 1) {
        this.#admit(place, fruitless)
        const credentials = this.#credentials(place.key)
        const session = await this.#connect(id, place, credentials)
        if (place.hand(session, credentials.serial)) fruitless = -1
      }
    } catch (error: unknown) {
      const failure = asMeshError(error, 'TUNNEL_UNAVAILABLE')
      if (failure.code === 'LIMIT_REACHED') this.#options.onFull?.(place.key, place.waiting.size)
      place.fail(failure)
    } finally {
      place.connecting = false
      this.#tidy(id, place)
    }
  }

  /** Throws where another session should not or must not be opened. */
  #admit({ key, open }: Place, fruitless: number): void {
    const to = formatSocketAddress(key.destination)
    if (this.#closed.signal.aborted) throw closing()
    if (this.#options.current?.(key) === false) {
      throw new MeshError('TUNNEL_UNAVAILABLE', `${key.destinationUid} is no longer at ${to}`)
    }
    const { maxSessionsPerDestination: most } = this.#limits
    if (open.size >= most) throw new MeshError('LIMIT_REACHED', `all ${most} tunnel sessions with ${to} are full`)
    if (fruitless > maxFruitless) throw new MeshError('TUNNEL_UNAVAILABLE', `${to} ends each tunnel session at once`)
  }

  #credentials(key: TunnelKey): TlsCredentials {
    const credentials = this.#options.context(key.sourceIdentity)
    if (credentials === undefined || this.#clock() >= credentials.notAfter) {
      throw new MeshError('CERTIFICATE_UNAVAILABLE', `no valid certificate for ${key.sourceIdentity} yet`)
    }
    return credentials
  }

  #place(id: string, key: TunnelKey): Place {
    const present = this.#places.get(id)
    if (present !== undefined) return present
    const place = new Place(key)
    this.#places.set(id, place)
    return place
  }

  #tidy(id: string, place: Place): void {
    if (place.empty && this.#places.get(id) === place) this.#places.delete(id)
  }

  /** Shared by everyone who waits: no one's abort ends it, only its deadlines and the end of the pool. */
  async #connect(id: string, place: Place, credentials: TlsCredentials): Promise<ClientSession> {
    const { generation, key } = place
    const socket = await this.#dial(key)
    const signal = deadline(this.#limits.handshakeTimeoutMs, this.#closed.signal)
    const session = await openClientSession(
      socket,
      {
        key,
        credentials,
        serverName: this.#options.serverName?.(key),
        trustDomain: this.#options.trustDomain?.(),
        limits: this.#limits,
        clock: this.#clock,
        onUnusable: (gone) => {
          place.open.delete(gone)
          this.#tidy(id, place)
        },
        onClosed: (gone) => {
          this.#sessions.get(gone)?.[Symbol.dispose]()
          this.#sessions.delete(gone)
        },
        onSilent: () => this.#options.onSilent?.(key),
      },
      signal,
    )
    // A server that drains, or whose trust changed meanwhile, says so right after its SETTINGS.
    if (session.closed) return session
    this.#sessions.set(session, this.#drain.guard())
    if (!session.usable) return session
    place.open.add(session)
    if (place.generation !== generation || this.#closed.signal.aborted) session.retire()
    else if (session.limit < 1) {
      session.retire()
      throw new MeshError('LIMIT_REACHED', `${formatSocketAddress(key.destination)} allows no streams`)
    }
    return session
  }

  async #dial(key: TunnelKey): Promise<Socket> {
    const { tcpConnectTimeoutMs } = this.#limits
    const to = formatSocketAddress(key.destination)
    const signal = deadline(tcpConnectTimeoutMs, this.#closed.signal)
    const dialled = this.#options.dial(key, signal)
    const late = () => {
      // Whoever ignores the signal still gets its socket closed.
      dialled.then(
        (socket) => socket.destroy(),
        () => {},
      )
      return this.#closed.signal.aborted
        ? closing()
        : new MeshError(
            'TUNNEL_TIMEOUT',
            `no TCP connection to ${to} within ${tcpConnectTimeoutMs} ms: maybe a firewall or NetworkPolicy blocks port ${key.destination.port}`,
          )
    }
    try {
      return await abortable(dialled, signal, late)
    } catch (error: unknown) {
      if (signal.aborted && !(error instanceof MeshError)) throw late()
      throw asMeshError(error, 'CONNECT_FAILED')
    }
  }
}

function closing(): MeshError {
  return new MeshError('DRAINING', 'the tunnel pool is closing')
}
