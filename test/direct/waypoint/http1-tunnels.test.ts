// HTTP/1.1 in tunnels on both sides of the waypoint, as in a mesh: client, tunnel, detection, both ends, pool, tunnel, server. What the
// second tunnel says of the caller, what a denial becomes, and that no byte is read after its buffer was given back.
import { randomBytes } from 'node:crypto'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import { pump } from '../../../core/hbone/pump.ts'
import type { IncomingConnect } from '../../../core/hbone/types.ts'
import { poisonReleased } from '../../../core/net/read-buffers.ts'
import { ClientConnection, type ClientOptions } from '../../../waypoint/client-connection.ts'
import type { Exchange } from '../../../waypoint/exchange.ts'
import { TcpConnection } from '../../../waypoint/tcp.ts'
import { dialEndpoint } from '../../../waypoint/upstream/dial.ts'
import { openHttp1 } from '../../../waypoint/upstream/http1.ts'
import { UpstreamPool } from '../../../waypoint/upstream/pool.ts'
import { testOrigin, until } from '../../helpers/http1-world.ts'
import { workload } from '../../helpers/model.ts'
import { Bench, clientIdentity, dialTcp } from '../../helpers/tunnel.ts'

/** One mesh: `captured` takes what an application would send, `backend` serves it. */
class Mesh {
  readonly connects: IncomingConnect[] = []
  readonly exchanges: Exchange[] = []
  readonly clients: ClientConnection[] = []
  captured = 0
  denies = false
  near!: Bench
  far!: Bench
  pool!: UpstreamPool
  readonly #servers: net.Server[] = []

  static async create(t: Test, onSocket: (socket: net.Socket) => void, options: Partial<ClientOptions> = {}) {
    const mesh = new Mesh()
    const backend = await mesh.#listen(onSocket)
    mesh.far = await Bench.create({ onConnect: (connect) => void mesh.#arrive(connect, backend) })
    const dial = dialEndpoint({
      tunnels: mesh.far.pool,
      self: () => ({ uid: 'h9/shop/wp/1', addresses: ['127.0.0.1'], identity: clientIdentity }),
      connectPlain: () => Promise.reject(new Error('not here')),
      tunnelPort: mesh.far.port,
    })
    mesh.pool = new UpstreamPool({
      dial,
      open: { http1: openHttp1, http2: openHttp1 },
      clock: () => performance.now(),
    })
    const address = { address: '127.0.0.1', port: 80 }
    const target = { workload: workload(), address, protocol: 'client', service: 'orders.shop.svc' } as const
    mesh.near = await Bench.create({
      onConnect: (connect) => {
        const client = new ClientConnection(connect.accept(), {
          http1: {
            origin: testOrigin,
            handler: (exchange) => {
              mesh.exchanges.push(exchange)
              return mesh.pool.send(exchange, target)
            },
            clock: () => performance.now(),
          },
          http2: (stream) => ({ drain: () => {}, destroy: () => stream.destroy() }),
          tcp: (stream, first) =>
            new TcpConnection(stream, first, {
              origin: testOrigin,
              pick: (_origin, failed) => (failed.length > 1 ? undefined : target),
              dial,
            }),
          ...options,
        })
        mesh.clients.push(client)
      },
    })
    mesh.captured = await mesh.#listen((socket) => void mesh.#capture(socket))
    t.teardown(() => mesh.#close())
    return mesh
  }

  async #listen(onSocket: (socket: net.Socket) => void): Promise<number> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, onSocket)
    this.#servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }

  async #capture(socket: net.Socket): Promise<void> {
    const { stream } = await this.near.connect()
    await pump(socket, stream)
  }

  async #arrive(connect: IncomingConnect, backend: number): Promise<void> {
    this.connects.push(connect)
    if (this.denies) {
      connect.reject(401)
      return
    }
    const socket = await dialTcp(backend)
    await pump(connect.accept(), socket)
  }

  async #close(): Promise<void> {
    for (const client of this.clients) client.destroy()
    for (const server of this.#servers) server.close()
    await this.pool.close(0)
    await this.near.close()
    await this.far.close()
  }
}

function httpBackend(t: Test, listener: http.RequestListener): (socket: net.Socket) => void {
  const server = http.createServer(listener)
  t.teardown(() => server.closeAllConnections())
  return (socket) => void server.emit('connection', socket)
}

interface Got {
  readonly status: number | undefined
  readonly body: Buffer
}

function request(agent: http.Agent, port: number, options: http.RequestOptions, body: readonly Buffer[]): Promise<Got> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request({ agent, port, host: '127.0.0.1', ...options }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('end', () => resolve({ status: incoming.statusCode, body: Buffer.concat(chunks) }))
      incoming.on('error', reject)
    })
    outgoing.on('error', reject)
    for (const piece of body) outgoing.write(piece)
    outgoing.end()
  })
}

t.test(
  'bodies of all sizes come back as they were, though buffers are overwritten once they are released',
  async (t) => {
    poisonReleased(0xee)
    t.teardown(() => poisonReleased(undefined))
    const mesh = await Mesh.create(
      t,
      httpBackend(t, (incoming, outgoing) => {
        if (incoming.headers['content-length'] !== undefined)
          outgoing.setHeader('content-length', incoming.headers['content-length'])
        incoming.pipe(outgoing)
      }),
    )
    const agent = new http.Agent({ keepAlive: true, maxSockets: 6 })
    t.teardown(() => agent.destroy())
    const sizes = [1, 100, 2_000, 2_048, 4_096, 5_000, 16_384, 70_000, 300_000, 3_000_000]
    const turns = [...sizes, ...sizes].flatMap((size, index) => {
      const body = [randomBytes(size), randomBytes(Math.ceil(size / 3))]
      const whole = Buffer.concat(body)
      const headers = index % 2 === 0 ? { 'content-length': String(whole.length) } : {}
      return Array.from({ length: 3 }, async () => {
        const { status, body: back } = await request(agent, mesh.captured, { method: 'POST', headers }, body)
        t.equal(status, 200)
        t.ok(back.equals(whole), `${whole.length} bytes`)
      })
    })
    await Promise.all(turns)
    t.ok(mesh.connects.length <= 6, `${mesh.connects.length} tunnels for ${mesh.exchanges.length} requests`)
  },
)

t.test('the tunnel to the endpoint says who the caller is, and where it wanted to go', async (t) => {
  const mesh = await Mesh.create(
    t,
    httpBackend(t, (_incoming, outgoing) => void outgoing.end('hello')),
  )
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const { body } = await request(agent, mesh.captured, {}, [])
  t.equal(body.toString(), 'hello')
  const [connect] = mesh.connects
  t.equal(connect?.authority, '127.0.0.1:80')
  t.equal(connect?.headers.source, testOrigin.principal)
  t.equal(connect?.headers.forwarded, 'for="10.0.0.9:40000";host=orders.shop.svc')
})

t.test('a denial at the other end is 403', async (t) => {
  const mesh = await Mesh.create(t, () => {})
  mesh.denies = true
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const { status } = await request(agent, mesh.captured, {}, [])
  t.equal(status, 403)
})

t.test('a client that leaves ends the request at the other end', async (t) => {
  let state = 'nothing'
  const mesh = await Mesh.create(
    t,
    httpBackend(t, (incoming) => {
      state = 'arrived'
      incoming.on('close', () => {
        state = 'closed'
      })
    }),
  )
  const socket = await dialTcp(mesh.captured)
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => state === 'arrived', 'the request arrives')
  socket.resetAndDestroy()
  await until(() => state === 'closed', 'the backend hears of it')
  t.equal(mesh.exchanges[0]?.abandoned, 'client')
})

const collect = (stream: Duplex) => {
  const got = { text: '', ended: false }
  stream.on('data', (chunk: Buffer) => (got.text += chunk.toString('latin1')))
  stream.on('end', () => (got.ended = true))
  stream.on('error', () => {})
  return got
}

t.test('what is no HTTP passes as it is, both ways, with its ends', async (t) => {
  const mesh = await Mesh.create(t, (socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => socket.write(chunk.toString('latin1').toUpperCase()))
    socket.on('end', () => socket.end('BYE'))
  })
  const socket = await dialTcp(mesh.captured)
  const got = collect(socket)
  socket.write('ehlo x\r\n')
  await until(() => got.text === 'EHLO X\r\n', 'an answer')
  t.equal(mesh.clients[0]?.protocol, 'tcp')
  socket.end('quit')
  await until(() => got.ended, 'its end')
  t.equal(got.text, 'EHLO X\r\nQUITBYE')
})

t.test('a server that speaks first is heard, after a moment', async (t) => {
  const mesh = await Mesh.create(t, (socket) => void socket.on('error', () => {}).end('220 hello\r\n'), {
    silentMs: 20,
  })
  const socket = await dialTcp(mesh.captured)
  const got = collect(socket)
  await until(() => got.ended, 'its end')
  t.equal(got.text, '220 hello\r\n')
  socket.end()
})

t.test('raw TCP that is denied, or goes nowhere, is reset', async (t) => {
  const mesh = await Mesh.create(t, () => {})
  mesh.denies = true
  const socket = await dialTcp(mesh.captured)
  let reset = false
  socket.on('error', () => (reset = true))
  socket.resume()
  socket.write('ehlo x\r\n')
  await until(() => socket.destroyed, 'the connection is over')
  t.ok(reset)
  t.equal(mesh.connects.length, 1, 'what policy denies is not tried elsewhere')
})
