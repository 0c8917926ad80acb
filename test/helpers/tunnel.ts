// A tunnel server and a pool over real sockets on the loopback, with certificates of a fake CA: the bench of the direct
// tests of hbone. Everything is closed by `close()`.
import { once } from 'node:events'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { MeshError } from '../../core/base/errors.ts'
import { nullLogger } from '../../core/base/log.ts'
import type { TunnelLimits } from '../../core/hbone/limits.ts'
import { TunnelPool, type TunnelPoolOptions } from '../../core/hbone/pool.ts'
import { TunnelServer, type TunnelServerOptions } from '../../core/hbone/server.ts'
import type { IncomingConnect, TunnelKey } from '../../core/hbone/types.ts'
import { clientTls, createCredentials, type TlsCredentials } from '../../core/identity/tls.ts'
import type { SocketAddress } from '../../core/net/address.ts'
import { FakeCa } from './fake-ca.ts'

export const serverIdentity = 'spiffe://cluster.local/ns/shop/sa/orders'
export const clientIdentity = 'spiffe://cluster.local/ns/shop/sa/frontend'

/** Waits for `condition`, checked as events pass; fails after `ms`. */
export async function eventually(what: string, condition: () => boolean, ms = 10_000): Promise<void> {
  const end = performance.now() + ms
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export interface Listening {
  readonly port: number
  readonly server: net.Server
}

export async function listen(onSocket: (socket: net.Socket) => void): Promise<Listening> {
  const server = net.createServer({ allowHalfOpen: true }, onSocket).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as net.AddressInfo).port }
}

export async function dialTcp(port: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  await once(socket, 'connect')
  return socket
}

/** All bytes until the end; rejects on a reset. */
export async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

export interface BenchOptions {
  readonly onConnect?: (connect: IncomingConnect) => void
  readonly server?: Partial<TunnelServerOptions>
  readonly pool?: Partial<TunnelPoolOptions>
  readonly serverLimits?: Partial<TunnelLimits>
  readonly poolLimits?: Partial<TunnelLimits>
}

export class Bench {
  readonly ca: FakeCa
  readonly tunnels: TunnelServer
  readonly pool: TunnelPool
  readonly port: number
  readonly errors: { readonly error: MeshError; readonly peer: SocketAddress }[] = []
  /** TCP sockets that the server side accepted. */
  readonly accepted: net.Socket[] = []
  serverCredentials: TlsCredentials
  clientCredentials: TlsCredentials
  dials = 0
  readonly #listening: Listening
  readonly #own = new Set<net.Socket>()

  private constructor(
    ca: FakeCa,
    listening: Listening,
    credentials: { server: TlsCredentials; client: TlsCredentials },
    options: BenchOptions,
  ) {
    this.ca = ca
    this.port = listening.port
    this.#listening = listening
    this.serverCredentials = credentials.server
    this.clientCredentials = credentials.client
    this.tunnels = new TunnelServer({
      contexts: (serverName) =>
        serverName === undefined || serverName === 'orders.shop.cluster.local' ? this.serverCredentials : undefined,
      trustDomain: () => 'cluster.local',
      onConnect: options.onConnect ?? ((connect) => connect.reject(503)),
      onError: (error, peer) => this.errors.push({ error, peer }),
      log: nullLogger(),
      ...(options.serverLimits === undefined ? {} : { limits: options.serverLimits }),
      ...options.server,
    })
    this.pool = new TunnelPool({
      dial: async () => {
        this.dials += 1
        return this.raw()
      },
      context: () => this.clientCredentials,
      log: nullLogger(),
      ...(options.poolLimits === undefined ? {} : { limits: options.poolLimits }),
      ...options.pool,
    })
    listening.server.on('connection', (socket) => {
      this.accepted.push(socket)
      this.tunnels.accept(socket)
    })
  }

  static async create(options: BenchOptions = {}): Promise<Bench> {
    const ca = await FakeCa.create()
    const server = createCredentials(await ca.leaf(serverIdentity))
    const client = createCredentials(await ca.leaf(clientIdentity))
    return new Bench(ca, await listen(() => {}), { server, client }, options)
  }

  key(change: Partial<TunnelKey> = {}): TunnelKey {
    return {
      sourceUid: 'h1/shop/frontend/1',
      sourceAddress: '127.0.0.1',
      sourceIdentity: clientIdentity,
      expectedIdentities: [serverIdentity],
      destination: { address: '127.0.0.1', port: this.port },
      destinationUid: 'h2/shop/orders/1',
      ...change,
    }
  }

  connect(
    change: Partial<TunnelKey> = {},
    signal: AbortSignal = AbortSignal.timeout(20_000),
    authority = '10.0.0.1:80',
  ) {
    return this.pool.connect(this.key(change), { authority, headers: {} }, signal)
  }

  /** TCP connections to the server. */
  get dialled(): readonly net.Socket[] {
    return [...this.#own]
  }

  /** A TCP connection to the server, closed with the bench. */
  async raw(): Promise<net.Socket> {
    const socket = await dialTcp(this.port)
    socket.on('error', () => {})
    this.#own.add(socket)
    return socket
  }

  /** A TLS connection with any credentials; resolves after the handshake as the client sees it. */
  async tls(context: tls.SecureContext, options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
    const socket = tls.connect({ ...clientTls(await this.raw(), context, undefined), ...options })
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('secureConnect', resolve).once('close', resolve))
    return socket
  }

  async close(): Promise<void> {
    await this.pool.close(0)
    this.tunnels.close()
    for (const socket of this.#own) socket.destroy()
    this.#listening.server.close()
  }
}

/** A server that answers 200 and sends everything back. */
export function echo(connect: IncomingConnect): void {
  const stream = connect.accept()
  stream.on('error', () => {})
  stream.pipe(stream)
}
