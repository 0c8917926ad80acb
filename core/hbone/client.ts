// One client session towards a tunnel server: handshake on a connected socket, streams, liveness, end of life. Made by the
// pool, which decides when to open, share and retire sessions.
import type { Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { Bag, type Bagged } from '../base/bag.ts'
import type { CancelSignal } from '../base/cancel.ts'
import { asMeshError, MeshError } from '../base/errors.ts'
import { clientTls, type TlsCredentials, verifyServerIdentity } from '../identity/tls.ts'
import { formatSocketAddress } from '../net/address.ts'
import { endWhenUnacknowledged, keepUnsentShort } from '../net/sys.ts'
import { Http2Session } from './h2/session.ts'
import type { TunnelHttp2Stream } from './h2/stream.ts'
import { readAnswer, requestFields } from './headers.ts'
import { keepAlive } from './keepalive.ts'
import { type TunnelLimits, timer } from './limits.ts'
import { Probe } from './probe.ts'
import type { TunnelHeaders, TunnelKey, TunnelStream } from './types.ts'

export interface TunnelRequest {
  readonly authority: string
  readonly headers: TunnelHeaders
  /** Asked where no session is there yet: how long to wait for one, in milliseconds; without it as long as it takes. */
  readonly patience?: () => number | undefined
}

export interface OpenedTunnel {
  readonly stream: TunnelStream
  readonly responseHeaders: TunnelHeaders
}

export interface ClientSessionDeps {
  readonly key: TunnelKey
  readonly credentials: TlsCredentials
  readonly serverName: string | undefined
  readonly trustDomain: string | undefined
  readonly limits: TunnelLimits
  readonly clock: () => number
  /** The session takes no more streams: it was retired, or it is gone. */
  readonly onUnusable: (session: ClientSession) => void
  readonly onClosed: (session: ClientSession) => void
  /** It gave no sign of life while requests waited; it takes no more, and these go elsewhere. */
  readonly onSilent: (session: ClientSession) => void
}

/** The session or the stream ended before an answer: nothing was delivered, another session may try. */
export class Unanswered extends MeshError {
  /** The peer may have begun to serve it; false where it certainly did not. */
  readonly seen: boolean
  constructor(message: string, seen: boolean, cause?: unknown) {
    super('TUNNEL_UNAVAILABLE', message, { cause })
    this.seen = seen
  }
}

/**
 * TLS, then who the server is, then HTTP/2 up to the server's SETTINGS, which it sends only after it accepted our certificate.
 * Takes the socket over: whatever fails, it is destroyed. `signal` carries the deadline of the handshake.
 */
export async function openClientSession(
  socket: Socket,
  deps: ClientSessionDeps,
  signal: AbortSignal,
): Promise<ClientSession> {
  const peer = formatSocketAddress(deps.key.destination)
  socket.on('error', () => {})
  socket.setNoDelay(true)
  socket.setKeepAlive(true, deps.limits.tcpKeepAliveMs)
  endWhenUnacknowledged(socket, deps.limits.tcpUserTimeoutMs)
  keepUnsentShort(socket, deps.limits.tcpUnsentBytes)
  const timeout = () => new MeshError('TUNNEL_TIMEOUT', `the tunnel handshake with ${peer} was not done in time`)
  try {
    const tls = await secured(socket, deps, peer, signal, timeout)
    const certificate = tls.getPeerX509Certificate()
    if (certificate === undefined) throw new MeshError('IDENTITY_INVALID', `${peer} presented no certificate`)
    verifyServerIdentity(certificate, deps.key.expectedIdentities, deps.trustDomain)
    const notAfter = Math.min(certificate.validToDate.getTime(), deps.credentials.notAfter)
    const session = new ClientSession(tls, socket, deps, notAfter)
    await settled(session, deps, peer, signal, timeout)
    return session
  } catch (error: unknown) {
    socket.destroy()
    throw asMeshError(error, 'TUNNEL_HANDSHAKE')
  }
}

/** Resolves with the TLS socket once the handshake is done and the server's chain is verified. */
function secured(
  socket: Socket,
  deps: ClientSessionDeps,
  peer: string,
  signal: AbortSignal,
  timeout: () => MeshError,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const tls = connectTls(clientTls(socket, deps.credentials.context, deps.serverName))
    const fail = (what: string, cause?: unknown) => {
      tls.destroy()
      reject(new MeshError('TUNNEL_HANDSHAKE', `TLS with ${peer} failed: ${what}`, { cause }))
    }
    tls.on('error', (error) => fail(error.message, error))
    const closed = () => fail('the peer closed the connection')
    const aborted = () => {
      tls.destroy()
      reject(timeout())
    }
    tls.once('close', closed)
    signal.addEventListener('abort', aborted, { once: true })
    tls.once('secureConnect', () => {
      tls.off('close', closed)
      signal.removeEventListener('abort', aborted)
      if (!tls.authorized) fail(`the certificate is not trusted (${String(tls.authorizationError)})`)
      else if (tls.alpnProtocol !== 'h2') fail('the peer does not speak ALPN h2')
      else resolve(tls)
    })
    if (signal.aborted) aborted()
  })
}

/** Resolves once the server's SETTINGS arrived. */
function settled(
  session: ClientSession,
  deps: ClientSessionDeps,
  peer: string,
  signal: AbortSignal,
  timeout: () => MeshError,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const refusal = `${peer} closed before HTTP/2 began: it may not accept ${deps.key.sourceIdentity}; check its trust domain and trust bundle`
    const aborted = () => {
      session.destroy()
      reject(timeout())
    }
    session.onOpen = (error) => {
      signal.removeEventListener('abort', aborted)
      session.onOpen = undefined
      if (error === undefined) resolve()
      else if (error.code !== 'TUNNEL_H2') reject(new MeshError('TUNNEL_HANDSHAKE', refusal, { cause: error.cause }))
      else reject(new MeshError('TUNNEL_H2', `HTTP/2 with ${peer}: ${error.message}`, { cause: error }))
    }
    signal.addEventListener('abort', aborted, { once: true })
    if (signal.aborted) aborted()
  })
}

/** Who waits for the answer of a CONNECT. */
interface Waiting extends Bagged {
  readonly fail: (error: MeshError) => void
}

export class ClientSession {
  readonly #session: Http2Session
  readonly #socket: Socket
  readonly #deps: ClientSessionDeps
  readonly #notAfter: number
  readonly #peer: string
  readonly #waiting = new Bag<Waiting>()
  readonly #probe: Probe
  #active = 0
  #limit = 0
  #state: 'opening' | 'open' | 'retired' | 'closed' = 'opening'
  #idle: NodeJS.Timeout | undefined
  #expiry: NodeJS.Timeout | undefined
  #stopPings: (() => void) | undefined
  #late: NodeJS.Timeout | undefined

  constructor(tls: TLSSocket, socket: Socket, deps: ClientSessionDeps, notAfter: number) {
    this.#socket = socket
    this.#deps = deps
    this.#notAfter = notAfter
    this.#peer = formatSocketAddress(deps.key.destination)
    this.#session = new Http2Session(tls, 'client', deps.limits, {
      onSettings: () => this.#settings(),
      onHeaders: (stream, fields, tooLarge) => stream.onAnswer?.(fields, tooLarge),
      onGoaway: () => this.retire(),
      onClosed: (error) => this.#closed(error),
    })
    this.#probe = new Probe({
      session: this.#session,
      socket,
      limits: deps.limits,
      now: () => performance.now(),
      onSilent: () => this.#silent(),
    })
  }

  /** Called once: the server's SETTINGS came, or it ended before. */
  onOpen: ((error: MeshError | undefined) => void) | undefined

  /** Neither retired nor over. */
  get usable(): boolean {
    return this.#state === 'open'
  }

  get closed(): boolean {
    return this.#state === 'closed'
  }

  /** Takes a place for one stream, if one is free and the session still speaks for `serial`; `open` must follow. */
  reserve(serial: string): boolean {
    if (this.outdated(serial) || this.#active >= this.#limit) return false
    this.#active += 1
    clearTimeout(this.#idle)
    return true
  }

  /** Whether it will never be usable again for `serial`. */
  outdated(serial: string): boolean {
    return this.#state !== 'open' || this.#deps.credentials.serial !== serial || this.#deps.clock() >= this.#notAfter
  }

  /** Streams that the server allows at all. */
  get limit(): number {
    return this.#limit
  }

  #settings(): void {
    const allowed = this.#session.peerSettings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY
    this.#limit = Math.min(this.#deps.limits.clientMaxStreams, allowed)
    if (this.#state !== 'opening') return
    this.#state = 'open'
    this.#stopPings = keepAlive(this.#session, this.#socket, this.#deps.limits, () => this.destroy())
    this.#expiry = timer(this.#notAfter - this.#deps.clock(), () => this.retire())
    this.#waitIdle()
    this.onOpen?.(undefined)
  }

  /**
   * Sends a CONNECT and waits for its answer. Throws `Unanswered` where another session may try, else a MeshError by the
   * status. Uses the place that `reserve` took.
   */
  open(request: TunnelRequest, signal: CancelSignal): Promise<OpenedTunnel> {
    let stream: TunnelHttp2Stream | undefined
    try {
      stream = this.#session.request(requestFields(request))
    } catch (error: unknown) {
      this.#released()
      return Promise.reject(error)
    }
    if (stream === undefined) {
      this.#released()
      return Promise.reject(new Unanswered(`the tunnel session with ${this.#peer} ended`, false))
    }
    stream.onReleased = () => this.#released()
    this.#probe.requested()
    return this.#answer(stream, request.authority, signal)
  }

  #answer(stream: TunnelHttp2Stream, authority: string, signal: CancelSignal): Promise<OpenedTunnel> {
    return new Promise((resolve, reject) => {
      const settle = (error: MeshError | undefined) => {
        clearTimeout(late)
        signal.removeEventListener('abort', aborted)
        stream.off('close', closed)
        stream.onAnswer = undefined
        this.#waiting.delete(waiting)
        if (error === undefined) return
        stream.destroy()
        reject(error)
      }
      const closed = () => {
        const text = `the tunnel with ${this.#peer} ended before an answer`
        settle(new Unanswered(text, !stream.refused, stream.errored))
      }
      const aborted = () => settle(abortReason(signal))
      stream.onAnswer = (fields, tooLarge) => {
        const answer = tooLarge ? undefined : readAnswer(fields)
        const refusal = this.#refusal(answer?.status, authority)
        settle(refusal)
        if (refusal === undefined) resolve({ stream, responseHeaders: answer?.headers ?? {} })
      }
      const waiting: Waiting = { place: -1, fail: settle }
      this.#waiting.add(waiting)
      const { responseTimeoutMs } = this.#deps.limits
      const late = timer(responseTimeoutMs, () =>
        settle(new MeshError('TUNNEL_TIMEOUT', `${this.#peer} did not answer CONNECT within ${responseTimeoutMs} ms`)),
      )
      this.#watch()
      stream.once('close', closed)
      signal.addEventListener('abort', aborted, { once: true })
      if (signal.aborted) aborted()
    })
  }

  /** While answers are due, asks now and then for a sign of life. */
  #watch(): void {
    this.#late ??= timer(this.#deps.limits.answerProbeMs, () => {
      this.#late = undefined
      if (this.#waiting.size === 0 || this.#state === 'closed') return
      this.#probe.ask()
      this.#watch()
    })
  }

  #refusal(status: number | undefined, authority: string): MeshError | undefined {
    const at = `${this.#peer} answered ${status} to CONNECT ${authority}`
    if (status === 200) return undefined
    if (status === 401 || status === 403) return new MeshError('TUNNEL_DENIED', `${at}: a policy there denies it`)
    if (status === 400) return new MeshError('TUNNEL_BAD_REQUEST', `${at}: it does not serve this address`)
    return new MeshError('TUNNEL_UNAVAILABLE', `${at}: it could not reach the destination`)
  }

  /** Streams that were answered live on: whether the peer is gone or only slow is for keepalive.ts to find out. */
  #silent(): void {
    if (this.#state === 'closed') return
    if (this.#state === 'open') this.#deps.onSilent(this)
    this.retire()
    const text = `the tunnel session with ${this.#peer} gives no sign of life`
    for (const waiting of [...this.#waiting]) waiting.fail(new Unanswered(text, true))
    if (this.#active === 0) this.destroy()
  }

  /** No new streams; closes once the last one ended. */
  retire(): void {
    if (this.#state !== 'open') return
    this.#state = 'retired'
    clearTimeout(this.#idle)
    clearTimeout(this.#expiry)
    this.#deps.onUnusable(this)
    if (this.#active === 0) this.#session.close()
  }

  /** Ends at once, streams included. */
  destroy(): void {
    this.retire()
    this.#session.destroy()
    this.#socket.destroy()
  }

  #released(): void {
    this.#active -= 1
    if (this.#active > 0 || this.#state === 'closed') return
    this.#probe.rested()
    if (this.#state === 'retired') this.#session.close()
    else this.#waitIdle()
  }

  #waitIdle(): void {
    clearTimeout(this.#idle)
    this.#idle = timer(this.#deps.limits.idleTimeoutMs, () => this.retire())
  }

  #closed(error: MeshError | undefined): void {
    const before = this.#state
    this.#state = 'closed'
    clearTimeout(this.#idle)
    clearTimeout(this.#expiry)
    this.#stopPings?.()
    this.#probe.stop()
    clearTimeout(this.#late)
    if (before === 'opening') this.onOpen?.(error ?? new MeshError('TUNNEL_HANDSHAKE', 'closed'))
    if (before === 'open') this.#deps.onUnusable(this)
    if (before !== 'opening') this.#deps.onClosed(this)
  }
}

/** Why somebody does not want a tunnel any more. */
export function abortReason(signal: CancelSignal): MeshError {
  const reason: unknown = signal.reason
  return reason instanceof MeshError ? reason : new MeshError('ABORTED', 'the tunnel was no longer wanted')
}
