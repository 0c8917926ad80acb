// One accepted connection of a TunnelServer, from TCP accept to its end: TLS, who is it, HTTP/2, streams, expiry, drain.
import type { Socket } from 'node:net'
import type { SecureContext, TLSSocket } from 'node:tls'
import { asMeshError, MeshError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import type { Identity } from '../identity/spiffe.ts'
import { serverTls, verifyClientIdentity } from '../identity/tls.ts'
import { canonicalAddress, formatSocketAddress, type SocketAddress } from '../net/address.ts'
import { endWhenUnacknowledged, keepUnsentShort } from '../net/sys.ts'
import type { HeaderField } from './h2/hpack-table.ts'
import { Http2Session } from './h2/session.ts'
import type { TunnelHttp2Stream } from './h2/stream.ts'
import { type ConnectRequest, readRequest } from './headers.ts'
import { Http2IncomingConnect, refuse } from './incoming.ts'
import { keepAlive } from './keepalive.ts'
import { type TunnelLimits, timer } from './limits.ts'
import type { IncomingConnect } from './types.ts'

const goawayGraceMs = 1_000

export interface ServerSessionDeps {
  readonly contexts: (
    serverName: string | undefined,
    local: SocketAddress,
  ) => { readonly context: SecureContext } | undefined
  readonly trustDomain: () => string
  readonly onConnect: (connect: IncomingConnect) => void
  readonly onError: (error: MeshError, peer: SocketAddress) => void
  /** The peer has proved who it is and speaks HTTP/2. */
  readonly onOpened: (session: ServerSession) => void
  readonly onClosed: (session: ServerSession) => void
  readonly limits: TunnelLimits
  readonly clock: () => number
  readonly log: Logger
}

type State =
  | { readonly phase: 'tls' }
  | { readonly phase: 'settings' | 'draining'; readonly session: Http2Session }
  | { readonly phase: 'open'; readonly session: Http2Session }
  | { readonly phase: 'closed' }

export class ServerSession {
  readonly peer: SocketAddress
  readonly local: SocketAddress
  readonly #deps: ServerSessionDeps
  readonly #socket: Socket
  readonly #tls: TLSSocket
  readonly #handshake: NodeJS.Timeout
  #expiry: NodeJS.Timeout | undefined
  #stopPings: (() => void) | undefined
  #drainWhenOpen = false
  #late: NodeJS.Timeout | undefined
  /** Retired before it was open. */
  #retired = false
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
    endWhenUnacknowledged(socket, limits.tcpUserTimeoutMs)
    keepUnsentShort(socket, limits.tcpUnsentBytes)
    this.#handshake = timer(limits.handshakeTimeoutMs, () => {
      this.#fail(new MeshError('TUNNEL_TIMEOUT', `no tunnel handshake within ${limits.handshakeTimeoutMs} ms`))
    })
    const tls = serverTls(socket, (serverName) => deps.contexts(serverName, this.local)?.context)
    this.#tls = tls
    // node:tls hangs up on its own after the error; both sockets may report it.
    const broken = (error: Error) => {
      this.#fail(asMeshError(error, this.#state.phase === 'tls' ? 'TUNNEL_HANDSHAKE' : 'TUNNEL_H2'))
    }
    socket.on('error', broken)
    tls.on('error', broken)
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
    const session = new Http2Session(this.#tls, 'server', this.#deps.limits, {
      onSettings: () => this.#opened(session),
      onHeaders: (stream, fields, tooLarge) => this.#stream(session, stream, tooLarge ? [] : fields, identity),
      onGoaway: () => {},
      onClosed: (error) => this.#ended(error),
    })
    this.#state = { phase: 'settings', session }
  }

  #opened(session: Http2Session): void {
    if (this.#state.phase !== 'settings') return
    clearTimeout(this.#handshake)
    this.#state = { phase: 'open', session }
    this.#deps.onOpened(this)
    this.#stopPings = keepAlive(session, this.#socket, this.#deps.limits, () => {
      this.#fail(new MeshError('TUNNEL_TIMEOUT', 'the client does not answer PING'))
    })
    const ends = [this.#tls.getPeerX509Certificate(), this.#tls.getX509Certificate()].map(
      (certificate) => certificate?.validToDate.getTime() ?? 0,
    )
    this.#expiry = timer(Math.min(...ends) - this.#deps.clock(), () => this.drain())
    if (this.#retired) this.retire()
    else if (this.#drainWhenOpen) this.#late = timer(goawayGraceMs, () => this.drain())
  }

  #stream(session: Http2Session, stream: TunnelHttp2Stream, fields: readonly HeaderField[], identity: Identity): void {
    const request = readRequest(fields)
    if (request === undefined) {
      refuse(session, stream, 400)
      return
    }
    // A stream that is reset in the same breath (CVE-2023-44487) must not cost its owner a connection to the application.
    setImmediate(() => {
      if (!stream.destroyed) this.#handOut(session, stream, request, identity)
    })
  }

  #handOut(session: Http2Session, stream: TunnelHttp2Stream, request: ConnectRequest, identity: Identity): void {
    const connect = new Http2IncomingConnect(session, stream, {
      ...request,
      peer: { identity, address: this.peer },
      local: this.local,
    })
    if (this.#drainWhenOpen) this.drain()
    try {
      this.#deps.onConnect(connect)
    } catch (error: unknown) {
      this.#deps.log.error({ err: error, peer: formatSocketAddress(this.peer) }, 'handling a CONNECT failed')
      if (connect.answered) stream.destroy()
      else connect.reject(503)
    }
  }

  /**
   * GOAWAY: streams in progress and those on their way are served, further ones go to another session. A handshake is finished
   * first, within its own deadline, and the stream for which it was made may come: whoever waits for it would otherwise see its
   * connection fail.
   */
  drain(): void {
    const state = this.#state
    if (state.phase === 'tls' || state.phase === 'settings') this.#drainWhenOpen = true
    if (state.phase !== 'open') return
    const { session } = state
    this.#state = { phase: 'draining', session }
    session.announceEnd()
    const finish = () => {
      clearTimeout(grace)
      session.close()
    }
    const grace = timer(goawayGraceMs, finish)
    // After the answer the client has seen the GOAWAY, and everything it sent before.
    session.ping(finish)
  }

  /**
   * What was verified holds no longer: no further streams, not even those on their way, which the client tries again on a session
   * that is verified anew. A handshake goes on to that point, since a client takes its failure for ours.
   */
  retire(): void {
    this.#retired = true
    if (this.#state.phase !== 'open') return
    const { session } = this.#state
    this.#state = { phase: 'draining', session }
    session.close()
  }

  /** Ends at once, streams included. */
  destroy(): void {
    const state = this.#state
    if (state.phase === 'closed') return
    this.#closed()
    if (state.phase !== 'tls') state.session.destroy()
    this.#tls.destroy()
    this.#socket.destroy()
  }

  #fail(error: MeshError): void {
    if (this.#state.phase === 'closed') return
    this.destroy()
    this.#report(error)
  }

  /** The session is over; where the peer broke it, the socket stays a moment for the GOAWAY that says why. */
  #ended(error: MeshError | undefined): void {
    if (this.#state.phase === 'closed') return
    this.#closed()
    if (error !== undefined) this.#report(error)
  }

  #report(error: MeshError): void {
    this.#deps.log.debug({ err: error, peer: formatSocketAddress(this.peer) }, 'a tunnel session failed')
    this.#deps.onError(error, this.peer)
  }

  #closed(): void {
    if (this.#state.phase === 'closed') return
    this.#state = { phase: 'closed' }
    clearTimeout(this.#handshake)
    clearTimeout(this.#expiry)
    clearTimeout(this.#late)
    this.#stopPings?.()
    this.#deps.onClosed(this)
  }
}

export function addressOf(address: string | undefined, port: number | undefined): SocketAddress {
  return { address: canonicalAddress(address ?? '') ?? '0.0.0.0', port: port ?? 0 }
}
