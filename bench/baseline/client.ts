// The engine of Culvert 0.1 on node:http2, kept as the baseline of bench/engine.ts. One client session towards a tunnel server: handshake on a connected socket, streams, liveness, end of life. Made by the
// pool, which decides when to open, share and retire sessions.
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2'
import type { Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { asMeshError, MeshError } from '../../core/base/errors.ts'
import { type TunnelLimits, timer } from '../../core/hbone/limits.ts'
import type { TunnelHeaders, TunnelKey, TunnelStream } from '../../core/hbone/types.ts'
import { clientTls, type TlsCredentials, verifyServerIdentity } from '../../core/identity/tls.ts'
import { formatSocketAddress } from '../../core/net/address.ts'
import { keepAlive } from './keepalive.ts'
import { clientSessionOptions, outgoingHeaders, tunnelHeaders } from './settings.ts'
import { Http2TunnelStream } from './stream.ts'

const { HTTP2_HEADER_AUTHORITY, HTTP2_HEADER_METHOD } = constants

export interface TunnelRequest {
  readonly authority: string
  readonly headers: TunnelHeaders
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
}

/** The session or the stream ended before an answer: nothing was delivered, another session may try. */
export class Unanswered extends MeshError {
  constructor(message: string, cause: unknown) {
    super('TUNNEL_UNAVAILABLE', message, { cause })
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
  const timeout = () => new MeshError('TUNNEL_TIMEOUT', `the tunnel handshake with ${peer} was not done in time`)
  try {
    const tls = await secured(socket, deps, peer, signal, timeout)
    const certificate = tls.getPeerX509Certificate()
    if (certificate === undefined) throw new MeshError('IDENTITY_INVALID', `${peer} presented no certificate`)
    verifyServerIdentity(certificate, deps.key.expectedIdentities, deps.trustDomain)
    const session = await settled(tls, deps, peer, signal, timeout)
    const notAfter = Math.min(certificate.validToDate.getTime(), deps.credentials.notAfter)
    return new ClientSession(session, tls, deps, notAfter)
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
  tls: TLSSocket,
  deps: ClientSessionDeps,
  peer: string,
  signal: AbortSignal,
  timeout: () => MeshError,
): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2('https://tunnel', {
      ...clientSessionOptions(deps.limits),
      createConnection: () => tls,
    })
    const refusal = `${peer} closed before HTTP/2 began: it may not accept ${deps.key.sourceIdentity}; check its trust domain and trust bundle`
    let failure: MeshError | undefined
    const closed = () => reject(failure ?? new MeshError('TUNNEL_HANDSHAKE', refusal))
    const aborted = () => {
      session.destroy()
      reject(timeout())
    }
    session.on('error', (error: Error & { readonly code?: string }) => {
      const http2 = error.code?.startsWith('ERR_HTTP2') === true
      failure ??= new MeshError(
        http2 ? 'TUNNEL_H2' : 'TUNNEL_HANDSHAKE',
        http2 ? `HTTP/2 with ${peer}: ${error.message}` : refusal,
        {
          cause: error,
        },
      )
    })
    session.once('close', closed)
    signal.addEventListener('abort', aborted, { once: true })
    session.once('connect', () => {
      if (!session.destroyed) session.setLocalWindowSize(deps.limits.sessionWindowBytes)
    })
    session.once('remoteSettings', () => {
      session.off('close', closed)
      signal.removeEventListener('abort', aborted)
      resolve(session)
    })
    if (signal.aborted) aborted()
  })
}

export class ClientSession {
  readonly #session: ClientHttp2Session
  readonly #deps: ClientSessionDeps
  readonly #notAfter: number
  readonly #peer: string
  #active = 0
  #limit = 0
  #state: 'open' | 'retired' | 'closed' = 'open'
  #idle: NodeJS.Timeout | undefined
  #expiry: NodeJS.Timeout | undefined

  constructor(session: ClientHttp2Session, tls: TLSSocket, deps: ClientSessionDeps, notAfter: number) {
    this.#session = session
    this.#deps = deps
    this.#notAfter = notAfter
    this.#peer = formatSocketAddress(deps.key.destination)
    this.#readLimit()
    session.on('remoteSettings', () => this.#readLimit())
    session.on('goaway', () => this.retire())
    session.on('close', () => this.#closed())
    keepAlive(session, tls, deps.limits, () => this.destroy())
    this.#expiry = timer(notAfter - deps.clock(), () => this.retire())
    if (session.destroyed || session.closed) this.#closed()
    else this.#waitIdle()
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

  #readLimit(): void {
    const allowed = this.#session.remoteSettings.maxConcurrentStreams
    this.#limit = Math.min(this.#deps.limits.clientMaxStreams, allowed ?? Number.POSITIVE_INFINITY)
  }

  /**
   * Sends a CONNECT and waits for its answer. Throws `Unanswered` where another session may try, else a MeshError by the
   * status. Uses the place that `reserve` took.
   */
  open(request: TunnelRequest, signal: AbortSignal): Promise<OpenedTunnel> {
    let inner: ReturnType<ClientHttp2Session['request']>
    try {
      inner = this.#session.request(
        {
          [HTTP2_HEADER_METHOD]: 'CONNECT',
          [HTTP2_HEADER_AUTHORITY]: request.authority,
          ...outgoingHeaders(request.headers),
        },
        { endStream: false },
      )
    } catch (error: unknown) {
      this.#released()
      return Promise.reject(new Unanswered(`the tunnel session with ${this.#peer} ended`, error))
    }
    inner.once('close', () => this.#released())
    const stream = new Http2TunnelStream(inner)
    return new Promise((resolve, reject) => {
      const settle = (error: MeshError | undefined) => {
        clearTimeout(late)
        signal.removeEventListener('abort', aborted)
        stream.off('close', closed)
        inner.off('response', answered)
        if (error === undefined) return
        stream.destroy()
        reject(error)
      }
      const closed = () =>
        settle(new Unanswered(`the tunnel with ${this.#peer} ended before an answer`, stream.errored))
      const aborted = () => settle(abortReason(signal))
      const answered = (headers: IncomingHttpHeaders & IncomingHttpStatusHeader) => {
        const refusal = this.#refusal(headers[':status'], request.authority)
        settle(refusal)
        if (refusal === undefined) resolve({ stream, responseHeaders: tunnelHeaders(headers) })
      }
      const { responseTimeoutMs } = this.#deps.limits
      const late = timer(responseTimeoutMs, () =>
        settle(new MeshError('TUNNEL_TIMEOUT', `${this.#peer} did not answer CONNECT within ${responseTimeoutMs} ms`)),
      )
      stream.once('close', closed)
      inner.once('response', answered)
      signal.addEventListener('abort', aborted, { once: true })
      if (signal.aborted) aborted()
    })
  }

  #refusal(status: number | undefined, authority: string): MeshError | undefined {
    const at = `${this.#peer} answered ${status} to CONNECT ${authority}`
    if (status === 200) return undefined
    if (status === 401 || status === 403) return new MeshError('TUNNEL_DENIED', `${at}: a policy there denies it`)
    if (status === 400) return new MeshError('TUNNEL_BAD_REQUEST', `${at}: it does not serve this address`)
    return new MeshError('TUNNEL_UNAVAILABLE', `${at}: it could not reach the destination`)
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
    if (!this.#session.destroyed) this.#session.destroy()
    this.#closed()
  }

  #released(): void {
    this.#active -= 1
    if (this.#active > 0 || this.#state === 'closed') return
    if (this.#state === 'retired') this.#session.close()
    else this.#waitIdle()
  }

  #waitIdle(): void {
    clearTimeout(this.#idle)
    this.#idle = timer(this.#deps.limits.idleTimeoutMs, () => this.retire())
  }

  #closed(): void {
    if (this.#state === 'closed') return
    const unusable = this.#state === 'open'
    this.#state = 'closed'
    clearTimeout(this.#idle)
    clearTimeout(this.#expiry)
    if (unusable) this.#deps.onUnusable(this)
    this.#deps.onClosed(this)
  }
}

function abortReason(signal: AbortSignal): MeshError {
  const reason: unknown = signal.reason
  return reason instanceof MeshError ? reason : new MeshError('ABORTED', 'the tunnel was no longer wanted')
}
