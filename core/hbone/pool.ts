// The client end of tunnels: sessions shared per key, one connect at a time per key, retired in time. Owned by each data
// worker of the daemon and by the waypoint; the socket (namespace, mark, source address) is the owner's to dial.
import type { Socket } from 'node:net'
import { abortable, deadline } from '../base/deadline.ts'
import { Drain } from '../base/drain.ts'
import { asMeshError, MeshError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import type { TlsCredentials } from '../identity/tls.ts'
import { formatSocketAddress } from '../net/address.ts'
import { type ClientSession, type OpenedTunnel, openClientSession, type TunnelRequest, Unanswered } from './client.ts'
import { defaultLimits, type TunnelLimits } from './limits.ts'
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
  readonly limits?: Partial<TunnelLimits>
  readonly clock?: () => number
  readonly log: Logger
}

interface Place {
  readonly key: TunnelKey
  readonly open: Set<ClientSession>
  connecting: Promise<void> | undefined
  /** Grows with `retire`: a connect that began before is not used. */
  generation: number
}

/** A request that loses the race for a session this often meets a broken server or a limit. */
const maxRounds = 64

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
   * Opens a tunnel stream. Throws TUNNEL_DENIED (401), TUNNEL_BAD_REQUEST (400), TUNNEL_UNAVAILABLE (503, or the session died
   * twice before an answer), TUNNEL_TIMEOUT, TUNNEL_HANDSHAKE, TUNNEL_H2, IDENTITY_INVALID, CERTIFICATE_UNAVAILABLE,
   * DRAINING, ABORTED or the reason of `signal`, or what `dial` throws.
   */
  async connect(key: TunnelKey, request: TunnelRequest, signal: AbortSignal): Promise<OpenedTunnel> {
    const session = await this.#acquire(key, signal)
    try {
      return await session.open(request, signal)
    } catch (error: unknown) {
      if (!(error instanceof Unanswered)) throw error
      this.#options.log.debug({ err: error }, 'repeating a CONNECT that was not answered on another session')
      session.retire()
    }
    const second = await this.#acquire(key, signal)
    return second.open(request, signal)
  }

  /** No new streams on sessions of the keys that `predicate` accepts; they close when empty. */
  retire(predicate: (key: TunnelKey) => boolean): void {
    for (const place of [...this.#places.values()]) {
      if (!predicate(place.key)) continue
      place.generation += 1
      for (const session of [...place.open]) session.retire()
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
  async #acquire(key: TunnelKey, signal: AbortSignal): Promise<ClientSession> {
    const id = placeId(key)
    for (let round = 0; round < maxRounds; round += 1) {
      if (signal.aborted) throw aborted(signal)
      if (this.#closed.signal.aborted) throw new MeshError('DRAINING', 'the tunnel pool is closing')
      const credentials = this.#credentials(key)
      const session = reserve(this.#places.get(id), credentials.serial)
      if (session !== undefined) return session
      // Only now: a place that lost its last session above is no longer in the map.
      const place = this.#place(id, key)
      place.connecting ??= this.#connect(id, place, credentials).finally(() => {
        place.connecting = undefined
        this.#tidy(id, place)
      })
      await abortable(place.connecting, signal, () => aborted(signal))
    }
    throw new MeshError('LIMIT_REACHED', `no tunnel session with ${formatSocketAddress(key.destination)} has room`)
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
    const place: Place = { key, open: new Set(), connecting: undefined, generation: 0 }
    this.#places.set(id, place)
    return place
  }

  #tidy(id: string, place: Place): void {
    if (place.open.size === 0 && place.connecting === undefined && this.#places.get(id) === place)
      this.#places.delete(id)
  }

  /** Shared by everyone who waits: no one's abort ends it, only its deadlines and the end of the pool. */
  async #connect(id: string, place: Place, credentials: TlsCredentials): Promise<void> {
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
      },
      signal,
    )
    if (!session.usable)
      throw new MeshError('TUNNEL_UNAVAILABLE', `${formatSocketAddress(key.destination)} closed at once`)
    this.#sessions.set(session, this.#drain.guard())
    place.open.add(session)
    if (place.generation !== generation || this.#closed.signal.aborted) session.retire()
    else if (session.limit < 1) {
      session.retire()
      throw new MeshError('LIMIT_REACHED', `${formatSocketAddress(key.destination)} allows no streams`)
    }
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
        ? new MeshError('DRAINING', 'the tunnel pool is closing')
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

/** The first session with room, so that load gathers on few and the others become idle. Outdated ones leave on the way. */
function reserve(place: Place | undefined, serial: string): ClientSession | undefined {
  for (const session of [...(place?.open ?? [])]) {
    if (session.outdated(serial)) session.retire()
    else if (session.reserve(serial)) return session
  }
  return undefined
}

function aborted(signal: AbortSignal): MeshError {
  const reason: unknown = signal.reason
  return reason instanceof MeshError ? reason : new MeshError('ABORTED', 'the tunnel was no longer wanted')
}

function placeId(key: TunnelKey): string {
  return JSON.stringify([
    key.sourceUid,
    key.sourceAddress,
    key.sourceIdentity,
    key.expectedIdentities,
    key.destination.address,
    key.destination.port,
    key.destinationUid,
  ])
}
