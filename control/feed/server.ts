// The feed's listener: HTTPS for the first contact of a host (trust bundle, join) and the WebSocket of every agent, on one
// port. Built by control/app.ts.
import { constants } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { type WebSocket, WebSocketServer } from 'ws'
import { asMeshError, MeshError } from '../../core/base/errors.ts'
import { FeedConnection, maxAgentMessageBytes } from '../../core/feed/connection.ts'
import type { AgentMessage, ControlMessage } from '../../core/feed/messages.ts'
import { parseAgentMessage } from '../../core/feed/parse.ts'
import type { ExplainQuestion, LiveView } from '../../core/model/explanation.ts'
import type { Refusal } from '../../core/model/mesh-status.ts'
import { canonicalAddress, type SocketAddress } from '../../core/net/address.ts'
import { NetworkNamespace, tcpListener } from '../../core/net/sys.ts'
import type { ServerCertificate, ServerKeyPair } from '../ca/server-certificate.ts'
import type { HostRecord } from '../hosts.ts'
import { handleJoin, type JoinDeps } from './join.ts'
import { type HostPeer, hostPeer } from './peer.ts'
import { Reconnects } from './reconnects.ts'
import { FeedSession, type SessionConnect, type SessionDeps, type SessionStatus } from './session.ts'

const handshakeMs = 10_000
const maxConnections = 10_000
/** For a refused upgrade's answer to arrive. */
const answerMs = 1000

export interface FeedServerOptions extends SessionDeps, JoinDeps {
  readonly listen: SocketAddress
  /** Open the listener in this network namespace. */
  readonly netns?: string | undefined
  readonly certificate: ServerCertificate
  readonly pingMs?: number
}

export class FeedServer {
  readonly #options: FeedServerOptions
  readonly #server: Server
  readonly #sockets: WebSocketServer
  readonly #sessions = new Map<string, { readonly session: FeedSession; readonly serial: string }>()
  readonly #ending = new Set<Promise<void>>()
  /** What hosts that connect again could not take before. */
  readonly #refusals = new Map<string, Refusal>()
  readonly #reconnects = new Reconnects()
  #closing = false

  private constructor(options: FeedServerOptions) {
    this.#options = options
    this.#sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: maxAgentMessageBytes,
      clientTracking: true,
    })
    this.#server = createServer(
      {
        ...tlsOptions(options.certificate.current, options.authority.bundle),
        requestCert: true,
        // The bundle and the join are for those who have no certificate yet; the upgrade checks.
        rejectUnauthorized: false,
        handshakeTimeout: handshakeMs,
        requestTimeout: handshakeMs,
        headersTimeout: handshakeMs,
        connectionsCheckingInterval: 2000,
      },
      (request, response) => void handleJoin(options, request, response),
    )
    this.#server.maxConnections = maxConnections
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head))
    this.#server.on('tlsClientError', (error, socket) => {
      options.log.debug({ peer: socket.remoteAddress, reason: error.message }, 'a TLS handshake failed')
    })
    options.certificate.onRenewal((pair) => {
      this.#server.setSecureContext(tlsOptions(pair, options.authority.bundle))
    })
    options.hosts.onRevoked((host) => void this.#recheck(host))
  }

  static async open(options: FeedServerOptions): Promise<FeedServer> {
    const feed = new FeedServer(options)
    await feed.#listen()
    return feed
  }

  get address(): SocketAddress {
    const { address, port } = this.#server.address() as AddressInfo
    return { address: canonicalAddress(address) ?? address, port }
  }

  /** Of the hosts that are connected now. */
  status(host: string): SessionStatus | undefined {
    return this.#sessions.get(host)?.session.status
  }

  /** Of all hosts that are connected now. */
  get sessions(): ReadonlyMap<string, SessionStatus> {
    return new Map([...this.#sessions].map(([host, { session }]) => [host, session.status]))
  }

  /** A host may have lost the certificate that it is connected with. */
  async #recheck(host: string): Promise<void> {
    const connected = this.#sessions.get(host)
    if (connected === undefined) return
    try {
      await this.#options.hosts.authenticate(host, connected.serial)
    } catch (error: unknown) {
      // a store that is away has revoked nobody
      const { code, message } = asMeshError(error, 'STORE_FAILED')
      if (code === 'NODE_UNAUTHORIZED') connected.session.refuse(new MeshError(code, message))
    }
  }

  /** What the daemon of a host would do. Rejects with FEED_CLOSED where the host is away, else as FeedSession.explain. */
  async explain(host: string, question: ExplainQuestion, signal: AbortSignal): Promise<LiveView> {
    const connected = this.#sessions.get(host)
    if (connected === undefined) throw new MeshError('FEED_CLOSED', 'it is not connected to this control plane')
    return await connected.session.explain(question, signal)
  }

  async close(): Promise<void> {
    this.#closing = true
    for (const socket of this.#sockets.clients) {
      socket.close(1001, 'the control plane stops')
      setTimeout(() => socket.terminate(), 1000).unref()
    }
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeIdleConnections()
    setTimeout(() => this.#server.closeAllConnections(), 1500).unref()
    await closed
    await Promise.all(this.#ending)
  }

  async #listen(): Promise<void> {
    const { listen, netns } = this.#options
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject)
    this.#server.once('listening', resolve)
    if (netns === undefined) this.#server.listen({ host: listen.address, port: listen.port })
    else this.#server.listen({ fd: socketIn(netns, listen) })
    try {
      await promise
    } catch (error: unknown) {
      throw asMeshError(error, 'SYSTEM_CALL')
    }
    this.#server.off('error', reject)
    this.#server.on('error', (error) => this.#options.log.error({ err: error }, 'the feed listener failed'))
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const peerAddress = (socket as TLSSocket).remoteAddress
    const abandon = (): void => {
      socket.destroy()
    }
    socket.on('error', abandon)
    try {
      if (request.url !== '/v1/feed') return answerUpgrade(socket, '404 Not Found', 'no such feed')
      const peer = hostPeer(socket as TLSSocket, this.#options.authority.trustDomain)
      if (!this.#reconnects.admit(peer.host, performance.now())) {
        this.#options.log.warn({ host: peer.host }, 'a host connects too often')
        return answerUpgrade(socket, '429 Too Many Requests', 'this host connects too often')
      }
      const record = await this.#options.hosts.authenticate(peer.host, peer.serial)
      if (this.#closing || socket.destroyed) return abandon()
      socket.off('error', abandon)
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#open(webSocket, peer, record))
    } catch (error: unknown) {
      const failure = asMeshError(error, 'STORE_FAILED')
      this.#options.log.warn({ peer: peerAddress, code: failure.code }, failure.message)
      const status = failure.code === 'STORE_FAILED' ? '503 Service Unavailable' : '401 Unauthorized'
      answerUpgrade(socket, status, failure.message)
    }
  }

  /** A newer connection of a host replaces the older: the older is what a broken network left behind. */
  #open(webSocket: WebSocket, peer: HostPeer, record: HostRecord): void {
    const { log, pingMs = 10_000 } = this.#options
    const { host } = peer
    this.#sessions.get(host)?.session.refuse(new MeshError('FEED_CLOSED', 'a newer connection of this host took over'))
    const connect: SessionConnect = (onMessage) =>
      new FeedConnection<AgentMessage, ControlMessage>(webSocket, {
        parse: parseAgentMessage,
        onMessage,
        onClose: (error) => this.#ended(host, session, error),
        pingMs,
      })
    const earlier = this.#refusals.get(host)
    const session: FeedSession = new FeedSession(this.#options, record, peer.notAfter, connect, earlier)
    this.#sessions.set(host, { session, serial: peer.serial })
    log.info({ host }, 'host connected')
  }

  #ended(host: string, session: FeedSession, error: MeshError | undefined): void {
    if (this.#sessions.get(host)?.session === session) this.#sessions.delete(host)
    const { lastRefusal } = session.status
    if (lastRefusal !== undefined) this.#refusals.set(host, lastRefusal)
    this.#options.log.info({ host, ...(error === undefined ? {} : { reason: error.message }) }, 'host disconnected')
    const ending = session.ended().finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }
}

function tlsOptions(pair: ServerKeyPair, bundle: string) {
  // Resumption would let a stolen ticket stand in for a client certificate.
  return { ...pair, ca: bundle, minVersion: 'TLSv1.3', secureOptions: constants.SSL_OP_NO_TICKET } as const
}

function socketIn(netns: string, listen: SocketAddress): number {
  using namespace = NetworkNamespace.open(netns)
  return namespace.run(() => tcpListener({ address: listen.address, port: listen.port }))
}

function answerUpgrade(socket: Duplex, status: string, text: string): void {
  const body = `${text}\n`
  const head = `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`
  socket.end(head + body)
  // After an upgrade no HTTP deadline holds any more: a client that never ends its side must not keep the connection.
  const timer = setTimeout(() => socket.destroy(), answerMs)
  socket.once('close', () => clearTimeout(timer))
}
