// A waypoint without a mesh: clients over plain sockets, the server side of HTTP/1.1, a handler, the pool, and backends that a test
// scripts byte by byte. Used by the direct tests of waypoint/.
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SocketAddress } from '../../core/net/address.ts'
import type { Answer, Exchange, Handler, Origin } from '../../waypoint/exchange.ts'
import type { HttpError } from '../../waypoint/http/error.ts'
import { ServerConnection, type ServerOptions } from '../../waypoint/http1/server-connection.ts'
import type { ConnectionOwner, UpstreamConnection } from '../../waypoint/upstream/connection.ts'
import { openHttp1 } from '../../waypoint/upstream/http1.ts'
import { UpstreamPool } from '../../waypoint/upstream/pool.ts'
import type { UpstreamTarget } from '../../waypoint/upstream/upstream.ts'
import { workload } from './model.ts'

export const testOrigin: Origin = {
  identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'frontend' },
  principal: 'spiffe://cluster.local/ns/shop/sa/frontend',
  address: { address: '10.0.0.9', port: 40_000 },
  workload: undefined,
  destination: { address: '240.240.0.1', port: 80 },
  service: undefined,
  target: undefined,
}

export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let turn = 0; !condition(); turn += 1) {
    if (turn > 1_000) throw new Error(`it did not come to pass: ${what}`)
    await sleep(5)
  }
}

/** A client or a backend of raw bytes. */
export class RawPeer {
  readonly socket: net.Socket
  text = ''
  ended = false
  closed = false
  reset = false

  constructor(socket: net.Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1')
    })
    socket.on('end', () => {
      this.ended = true
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.reset ||= error.code === 'ECONNRESET' || error.code === 'EPIPE'
    })
    socket.on('close', () => {
      this.closed = true
    })
  }

  write(text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
  }

  /** Waits for `part`, takes it and what is before it. */
  async read(part: string): Promise<string> {
    await until(
      () => this.text.includes(part) || this.closed,
      `${JSON.stringify(part)} in ${JSON.stringify(this.text)}`,
    )
    const at = this.text.indexOf(part)
    if (at < 0) throw new Error(`closed before ${JSON.stringify(part)}: ${JSON.stringify(this.text)}`)
    const taken = this.text.slice(0, at + part.length)
    this.text = this.text.slice(taken.length)
    return taken
  }

  /** All until its end. */
  async rest(): Promise<string> {
    await until(() => this.ended || this.closed, `the end after ${JSON.stringify(this.text)}`)
    return this.text
  }
}

export class RawBackend {
  readonly connections: RawPeer[] = []
  readonly #server: net.Server
  onConnection: (peer: RawPeer) => void = () => {}

  constructor() {
    this.#server = net.createServer({ allowHalfOpen: true }, (socket) => {
      const peer = new RawPeer(socket)
      this.connections.push(peer)
      this.onConnection(peer)
    })
  }

  async listen(): Promise<SocketAddress> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return { address: '127.0.0.1', port: (this.#server.address() as AddressInfo).port }
  }

  /** The connection with that number, once it is there. */
  async connection(number: number): Promise<RawPeer> {
    await until(() => this.connections.length > number, `connection ${number} of the backend`)
    return this.connections[number]!
  }

  close(): void {
    for (const { socket } of this.connections) socket.destroy()
    this.#server.close()
  }
}

export interface WorldOptions {
  readonly server?: Partial<ServerOptions>
  readonly target?: Partial<UpstreamTarget>
  /** Around the handler that sends to the backend. */
  readonly handler?: (exchange: Exchange, send: () => Promise<Answer>) => Promise<Answer>
  readonly openHttp1?: (stream: import('node:stream').Duplex, owner: ConnectionOwner) => UpstreamConnection
}

export class Http1World {
  readonly backend = new RawBackend()
  readonly exchanges: Exchange[] = []
  readonly refused: HttpError[] = []
  readonly serving: ServerConnection[] = []
  readonly clients: RawPeer[] = []
  readonly pool: UpstreamPool
  readonly #options: WorldOptions
  readonly #server: net.Server
  target!: UpstreamTarget

  constructor(options: WorldOptions = {}) {
    this.#options = options
    this.pool = new UpstreamPool({
      dial: (_origin, target) => dialPlain(target.address),
      open: {
        http1: options.openHttp1 ?? openHttp1,
        http2: () => {
          throw new Error('no HTTP/2 here')
        },
      },
      clock: () => performance.now(),
    })
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#serve(socket))
  }

  async start(): Promise<this> {
    const address = await this.backend.listen()
    this.target = { workload: workload(), address, protocol: 'client', ...this.#options.target }
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return this
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  #serve(socket: net.Socket): void {
    const connection = new ServerConnection(socket, {
      origin: testOrigin,
      handler: this.#handler,
      clock: () => performance.now(),
      onRefused: (error) => this.refused.push(error),
      ...this.#options.server,
    })
    this.serving.push(connection)
    connection.start()
  }

  readonly #handler: Handler = (exchange) => {
    this.exchanges.push(exchange)
    const send = () => this.pool.send(exchange, this.target)
    return this.#options.handler?.(exchange, send) ?? send()
  }

  client(): RawPeer {
    const peer = new RawPeer(net.connect({ port: this.port, host: '127.0.0.1', allowHalfOpen: true }))
    this.clients.push(peer)
    return peer
  }

  async close(): Promise<void> {
    for (const { socket } of this.clients) socket.destroy()
    for (const connection of this.serving) connection.destroy()
    this.backend.close()
    this.#server.close()
    await this.pool.close(0)
  }
}

export async function dialPlain({ address, port }: SocketAddress): Promise<net.Socket> {
  const socket = net.connect({ host: address, port, allowHalfOpen: true, noDelay: true })
  await once(socket, 'connect')
  return socket
}
