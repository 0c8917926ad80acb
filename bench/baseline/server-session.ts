// The engine of Culvert 0.1 on node:http2, kept as the baseline of bench/engine.ts. One accepted connection of a TunnelServer, from TCP accept to its end: TLS, who is it, HTTP/2, streams, expiry, drain.
import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { SecureContext, TLSSocket } from 'node:tls'
import { asMeshError, MeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import { type TunnelLimits, timer } from '../../core/hbone/limits.ts'
import type { IncomingConnect } from '../../core/hbone/types.ts'
import type { Identity } from '../../core/identity/spiffe.ts'
import { serverTls, verifyClientIdentity } from '../../core/identity/tls.ts'
import { canonicalAddress, formatSocketAddress, type SocketAddress } from '../../core/net/address.ts'
import { Http2IncomingConnect, refuse } from './incoming.ts'
import { keepAlive } from './keepalive.ts'
import { serverSessionOptions, tunnelHeaders } from './settings.ts'

const { HTTP2_HEADER_AUTHORITY, HTTP2_HEADER_METHOD, HTTP2_HEADER_PATH, HTTP2_HEADER_SCHEME, NGHTTP2_NO_ERROR } =
  constants

/** The greatest stream id: "no new streams please", while none that is on its way is refused (RFC 9113 6.8). */
const anyStream = 2 ** 31 - 1
const goawayGraceMs = 1_000

export interface ServerSessionDeps {
  readonly contexts: (
    serverName: string | undefined,
    local: SocketAddress,
  ) => { readonly context: SecureContext } | undefined
  readonly trustDomain: () => string
  readonly onConnect: (connect: IncomingConnect) => void
  readonly onError: (error: MeshError, peer: SocketAddress) => void
  readonly onClosed: (session: ServerSession) => void
  readonly limits: TunnelLimits
  readonly clock: () => number
  readonly log: Logger
}

type State =
  | { readonly phase: 'tls' }
  | {
      readonly phase: 'settings' | 'open' | 'draining'
      readonly session: ServerHttp2Session
      readonly identity: Identity
    }
  | { readonly phase: 'closed' }

export class ServerSession {
  readonly peer: SocketAddress
  readonly local: SocketAddress
  readonly #deps: ServerSessionDeps
  readonly #socket: Socket
  readonly #tls: TLSSocket
  readonly #handshake: NodeJS.Timeout
  #expiry: NodeJS.Timeout | undefined
  #state: State = { phase: 'tls' }

  /** Takes the socket over. */
  constructor(socket: Socket, deps: ServerSessionDeps) {
    this.#deps = deps
    this.#socket = socket
    this.peer = addressOf(socket.remoteAddress, socket.remotePort)
    this.local = addressOf(socket.localAddress, socket.localPort)
    const { limits } = deps
    socket.setNoDelay(true)
    socket.setKeepAlive(true, limits.tcpKeepAliveMs)
    this.#handshake = timer(limits.handshakeTimeoutMs, () => {
      this.#fail(new MeshError('TUNNEL_TIMEOUT', `no tunnel handshake within ${limits.handshakeTimeoutMs} ms`))
    })
    const tls = serverTls(socket, (serverName) => deps.contexts(serverName, this.local)?.context)
    this.#tls = tls
    // node:tls hangs up on its own after the error; both sockets may report it.
    socket.on('error', (error) => this.#fail(asMeshError(error, 'TUNNEL_HANDSHAKE')))
    tls.on('error', (error) => this.#fail(asMeshError(error, 'TUNNEL_HANDSHAKE')))
    tls.on('close', () => {
      if (this.#state.phase === 'tls') this.#fail(new MeshError('TUNNEL_HANDSHAKE', 'the client went away during TLS'))
      else this.#closed()
    })
    tls.once('secure', () => this.#secured())
  }

  #secured(): void {
    if (this.#state.phase !== 'tls') return
    try {
      if (this.#tls.alpnProtocol !== 'h2') throw new MeshError('TUNNEL_HANDSHAKE', 'the client did not ask for ALPN h2')
      const identity = verifyClientIdentity(this.#tls, this.#deps.trustDomain())
      this.#startHttp2(identity)
    } catch (error: unknown) {
      this.#fail(asMeshError(error, 'TUNNEL_HANDSHAKE'))
    }
  }

  #startHttp2(identity: Identity): void {
    const { limits } = this.#deps
    const session = performServerHandshake(this.#tls, serverSessionOptions(limits))
    this.#state = { phase: 'settings', session, identity }
    session.setLocalWindowSize(limits.sessionWindowBytes)
    session.once('remoteSettings', () => this.#opened(session, identity))
    session.on('stream', (stream, headers) => this.#stream(stream, headers, identity))
    session.on('error', (error) => this.#fail(asMeshError(error, 'TUNNEL_H2')))
    session.on('close', () => this.#closed())
  }

  #opened(session: ServerHttp2Session, identity: Identity): void {
    if (this.#state.phase !== 'settings') return
    clearTimeout(this.#handshake)
    this.#state = { phase: 'open', session, identity }
    keepAlive(session, this.#tls, this.#deps.limits, () => {
      this.#fail(new MeshError('TUNNEL_TIMEOUT', 'the client does not answer PING'))
    })
    const ends = [this.#tls.getPeerX509Certificate(), this.#tls.getX509Certificate()].map(
      (certificate) => certificate?.validToDate.getTime() ?? 0,
    )
    this.#expiry = timer(Math.min(...ends) - this.#deps.clock(), () => this.drain())
  }

  #stream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, identity: Identity): void {
    const authority = headers[HTTP2_HEADER_AUTHORITY]
    const wellFormed =
      headers[HTTP2_HEADER_METHOD] === 'CONNECT' &&
      headers[HTTP2_HEADER_SCHEME] === undefined &&
      headers[HTTP2_HEADER_PATH] === undefined &&
      typeof authority === 'string' &&
      authority !== ''
    if (!wellFormed) {
      stream.on('error', () => {})
      refuse(stream, 400)
      return
    }
    const connect = new Http2IncomingConnect(stream, {
      authority,
      headers: tunnelHeaders(headers),
      peer: { identity, address: this.peer },
      local: this.local,
    })
    try {
      this.#deps.onConnect(connect)
    } catch (error: unknown) {
      this.#deps.log.error({ err: error, peer: formatSocketAddress(this.peer) }, 'handling a CONNECT failed')
      refuse(stream, 503)
    }
  }

  /** GOAWAY: streams in progress and those on their way are served, further ones go to another session. */
  drain(): void {
    const state = this.#state
    if (state.phase === 'tls' || state.phase === 'settings') this.destroy()
    if (state.phase !== 'open') return
    const { session, identity } = state
    this.#state = { phase: 'draining', session, identity }
    session.goaway(NGHTTP2_NO_ERROR, anyStream)
    const finish = () => {
      clearTimeout(grace)
      if (!session.destroyed) session.close()
    }
    const grace = timer(goawayGraceMs, finish)
    // After the answer the client has seen the GOAWAY, and everything it sent before.
    session.ping(() => finish())
  }

  /** Ends at once, streams included. */
  destroy(): void {
    const state = this.#state
    if (state.phase === 'closed') return
    if (state.phase !== 'tls') state.session.destroy()
    this.#tls.destroy()
    this.#socket.destroy()
    this.#closed()
  }

  #fail(error: MeshError): void {
    if (this.#state.phase === 'closed') return
    this.destroy()
    this.#deps.log.debug({ err: error, peer: formatSocketAddress(this.peer) }, 'a tunnel session failed')
    this.#deps.onError(error, this.peer)
  }

  #closed(): void {
    if (this.#state.phase === 'closed') return
    this.#state = { phase: 'closed' }
    clearTimeout(this.#handshake)
    clearTimeout(this.#expiry)
    this.#deps.onClosed(this)
  }
}

function addressOf(address: string | undefined, port: number | undefined): SocketAddress {
  return { address: canonicalAddress(address ?? '') ?? '0.0.0.0', port: port ?? 0 }
}
