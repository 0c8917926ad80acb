// A client of HTTP/2 in front of an endpoint of HTTP/1.1: what each of the two sees of the other, and that a request whose length was a
// lie never becomes two.
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import type net from 'node:net'
import t, { type Test } from 'tap'
import { webSocketAccept } from '../../../waypoint/http1/websocket.ts'
import { openHttp1 } from '../../../waypoint/upstream/http1.ts'
import { type Served, serveHttp2 } from '../../helpers/http2-waypoint.ts'
import { frame, RawPeer, type } from '../../helpers/raw-http2.ts'
import { dialTcp, eventually } from '../../helpers/tunnel.ts'

interface Scene {
  readonly served: Served
  readonly client: http2.ClientHttp2Session
  /** The bytes that the endpoint got, by connection. */
  readonly wires: string[]
}

async function scene(t: Test, server: http.Server): Promise<Scene> {
  const wires: string[] = []
  server.on('connection', (socket: net.Socket) => {
    const at = wires.push('') - 1
    socket.on('error', () => {})
    socket.prependListener('data', (chunk: Buffer) => {
      wires[at] += chunk.toString('latin1')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const owner = { onAvailable: () => {}, onIdle: () => {}, onUnusable: () => {}, onClosed: () => {} }
  const served = await serveHttp2(async (exchange) => await openHttp1(await dialTcp(port), owner).send(exchange))
  const client = http2.connect(`http://127.0.0.1:${served.port}`)
  client.on('error', () => {})
  t.teardown(() => {
    client.destroy()
    served.close()
    server.closeAllConnections()
    server.close()
  })
  await once(client, 'remoteSettings')
  return { served, client, wires }
}

interface Got {
  readonly headers: http2.IncomingHttpHeaders
  readonly body: string
  readonly trailers: http2.IncomingHttpHeaders | undefined
  readonly interim: readonly unknown[]
  readonly rstCode: number
}

async function got(stream: http2.ClientHttp2Stream): Promise<Got> {
  const chunks: Buffer[] = []
  const interim: unknown[] = []
  let headers: http2.IncomingHttpHeaders = {}
  let trailers: http2.IncomingHttpHeaders | undefined
  stream.on('response', (head) => {
    headers = head
  })
  stream.on('headers', (head) => interim.push(head[':status']))
  stream.on('trailers', (head) => {
    trailers = head
  })
  stream.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {})
  await new Promise((resolve) => stream.on('close', resolve))
  return { headers, body: Buffer.concat(chunks).toString(), trailers, interim, rstCode: stream.rstCode ?? 0 }
}

function echoing(): http.Server {
  return http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      response.writeEarlyHints({ link: '</a>; rel=preload' })
      response.writeHead(200, { trailer: 'x-back', 'x-te': String(request.headers.te) })
      response.write(`${request.method} ${request.url} ${request.headers.host} ${request.headers.cookie} `)
      response.write(Buffer.concat(chunks))
      response.addTrailers({ 'x-back': String(request.trailers['x-sum']) })
      response.end()
    })
  })
}

t.test('requests, answers, interim answers and trailers cross over', async (t) => {
  const { client, wires } = await scene(t, echoing())
  const stream = client.request(
    { ':method': 'POST', ':path': '/b', ':authority': 'orders', te: 'trailers', cookie: ['a=1', 'b=2'] },
    { waitForTrailers: true },
  )
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }))
  stream.write('first ')
  setImmediate(() => stream.end('second'))
  const { headers, body, trailers, interim } = await got(stream)
  t.match(headers, { ':status': 200, 'x-te': 'trailers', connection: undefined, 'transfer-encoding': undefined })
  t.equal(body, 'POST /b orders a=1; b=2 first second')
  t.match(trailers, { 'x-back': '7' })
  t.same(interim, [103])
  t.equal(wires.length, 1)
})

t.test('HEAD, and bodies of a known length', async (t) => {
  const { client, wires } = await scene(
    t,
    http.createServer((request, response) => {
      response.writeHead(200, { 'content-length': '5' })
      if (request.method === 'HEAD') response.end()
      else request.on('data', () => {}).on('end', () => response.end('hello'))
    }),
  )
  t.match(await got(client.request({ ':method': 'HEAD' })), { headers: { 'content-length': '5' }, body: '' })
  const stream = client.request({ ':method': 'POST', 'content-length': '3' })
  stream.end('abc')
  t.match(await got(stream), { headers: { 'content-length': '5' }, body: 'hello' })
  t.match(wires[1], /\r\ncontent-length: 3\r\n/)
  t.notMatch(wires[1], /transfer-encoding/)
})

t.test('a WebSocket by extended CONNECT is an upgrade there', async (t) => {
  const server = http.createServer()
  server.on('upgrade', (request, socket) => {
    t.equal(request.method, 'GET')
    t.equal(request.headers['sec-websocket-version'], '13')
    const accept = webSocketAccept(String(request.headers['sec-websocket-key']))
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept}\r\n\r\nhi `,
    )
    socket.pipe(socket)
  })
  const { client } = await scene(t, server)
  const stream = client.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'http',
    ':path': '/chat',
    ':authority': 'orders',
    'sec-websocket-version': '13',
  })
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
  t.match(headers, { ':status': 200, 'sec-websocket-accept': undefined, upgrade: undefined })
  let text = ''
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  stream.write('hello')
  await eventually('the echo', () => text === 'hi hello')
  stream.end()
  await new Promise((resolve) => stream.on('close', resolve))
  t.equal(stream.rstCode, 0)
})

t.test(
  'a length that is a lie breaks the connection to the endpoint, and no second request gets there (H2.CL)',
  async (t) => {
    const requests: string[] = []
    const ends: string[] = []
    const { served, wires } = await scene(
      t,
      http.createServer((request) => {
        requests.push(`${request.method} ${request.url}`)
        request.on('error', () => {})
        request.on('data', () => {}).on('close', () => ends.push(request.complete ? 'complete' : 'aborted'))
      }),
    )
    const smuggled = 'GET /admin HTTP/1.1\r\nhost: orders\r\n\r\n'
    for (const [length, first, more] of [
      ['3', 'abc', smuggled],
      ['50', 'abc', ''],
    ] as const) {
      const peer = await RawPeer.client(await dialTcp(served.port))
      const head = [':method POST', ':scheme http', ':authority orders', ':path /', `content-length ${length}`]
      const fields = head.map((line): readonly [string, string] => line.split(' ') as [string, string])
      const before = requests.length
      peer.send(frame(type.headers, 4, 1, peer.block(fields)), frame(type.data, 0, 1, Buffer.from(first)))
      await eventually('it came', () => requests.length === before + 1)
      peer.send(frame(type.data, 1, 1, Buffer.from(more)))
      await eventually('reset', () => peer.resets.has(1))
      peer.socket.destroy()
    }
    await eventually('the endpoint saw both end', () => ends.length === 2)
    t.same(requests, ['POST /', 'POST /'])
    t.equal(ends[1], 'aborted')
    t.notOk(wires.some((wire) => wire.includes('/admin')))
  },
)

t.test(
  'an answer of the endpoint that is cut off is reset, and a client that resets closes the connection there',
  async (t) => {
    let closed = 0
    const { client } = await scene(
      t,
      http.createServer((request, response) => {
        request.socket.on('close', () => {
          closed += 1
        })
        if (request.url === '/cut') {
          response.writeHead(200, { 'content-length': '10' })
          response.write('abc', () => request.socket.destroy())
        }
      }),
    )
    const cut = await got(client.request({ ':path': '/cut' }))
    t.equal(cut.rstCode, http2.constants.NGHTTP2_INTERNAL_ERROR)
    const stream = client.request({ ':path': '/never' })
    const over = got(stream)
    await new Promise((resolve) => setTimeout(resolve, 30))
    stream.close(http2.constants.NGHTTP2_CANCEL)
    await over
    await eventually('closed', () => closed === 2)
  },
)
