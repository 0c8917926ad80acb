import { createHash } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { connect as http2Connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { WebSocket } from 'ws'
import { type EchoServer, startEcho } from '../../../lab/echo/server.ts'

const context = { namespace: 'shop', ingress: '', service: 'orders', pod: 'orders-v1', host: 'h1' }
let echo: EchoServer

t.before(async () => {
  echo = await startEcho(context, { http: [0, 0], grpc: 0, tcp: 0, tls: 0 })
})
t.teardown(() => echo.close())

const port = (): number => echo.ports.http[0]!

t.test('HTTP/1.1 is answered in the shape of the conformance echo server', async (t) => {
  const { status, body } = await get('/a%20b?x=1', { 'x-some-thing': 'v', host: 'orders:8080' })
  t.equal(status, 200)
  const answer = JSON.parse(body)
  t.match(answer, {
    path: '/a%20b?x=1',
    host: 'orders:8080',
    method: 'GET',
    proto: 'HTTP/1.1',
    headers: { 'X-Some-Thing': ['v'] },
    namespace: 'shop',
    service: 'orders',
    pod: 'orders-v1',
    node: 'h1',
  })
  t.match(answer.remoteAddress, /^127\.0\.0\.1:\d+$/)
})

t.test('IPv6 callers are told their IPv6 address', async (t) => {
  const response = await fetch(`http://[::1]:${port()}/`)
  t.match(((await response.json()) as { remoteAddress: string }).remoteAddress, /^\[::1\]:\d+$/)
})

t.test('h2c is spoken on the same port', async (t) => {
  const session = http2Connect(`http://127.0.0.1:${port()}`)
  const stream = session.request({ ':path': '/two' })
  const answer = JSON.parse(await text(stream))
  session.close()
  t.match(answer, { path: '/two', proto: 'HTTP/2.0', host: `127.0.0.1:${port()}` })
})

t.test('a preface that comes byte by byte is still recognised', async (t) => {
  const socket = connect(port(), '127.0.0.1')
  for (const byte of 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') {
    socket.write(byte)
    await new Promise(setImmediate)
  }
  socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]))
  const [frame] = (await once(socket, 'data')) as [Buffer]
  t.equal(frame[3], 4, 'the server answers with SETTINGS')
  socket.destroy()
})

t.test('delay, responseCode and succeedAfter control the answer', async (t) => {
  const begin = performance.now()
  t.equal((await get('/?delay=120ms')).status, 200)
  t.ok(performance.now() - begin >= 115)
  t.equal((await get('/?responseCode=503')).status, 503)
  const series = []
  for (let i = 0; i < 3; i++) series.push((await get('/?responseCode=502&succeedAfter=2&uuid=one')).status)
  t.same(series, [502, 502, 200])
  t.equal((await get('/?delay=soon')).status, 400)
  t.equal((await get('/status/418')).status, 418)
})

t.test('an upload is counted and hashed, and bytes are streamed', async (t) => {
  const body = Buffer.alloc(3_000_000, 'culvert')
  const upload = await fetch(`http://127.0.0.1:${port()}/upload`, { method: 'POST', body })
  t.same(await upload.json(), { bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') })
  const download = await fetch(`http://127.0.0.1:${port()}/bytes?n=1234567`)
  t.equal((await download.arrayBuffer()).byteLength, 1_234_567)
})

t.test('gRPC answers a unary call with its context, and refuses unknown methods', async (t) => {
  const known = await grpc('/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo')
  t.equal(known.status, '0')
  t.equal(known.body.readUInt32BE(1), known.body.length - 5)
  t.match(known.body.toString('latin1'), /orders-v1/)
  t.equal((await grpc('/other.Service/Method')).status, '12')
})

t.test('TLS is served over HTTP/1.1 and HTTP/2', async (t) => {
  const answer = await new Promise<string>((resolve, reject) => {
    httpsRequest({ port: echo.ports.tls, rejectUnauthorized: false, servername: 'orders' }, (response) => {
      text(response).then(resolve, reject)
    })
      .on('error', reject)
      .end()
  })
  t.match(JSON.parse(answer), { proto: 'HTTP/1.1', tls: { version: 'TLSv1.3', serverName: 'orders' } })
  const session = http2Connect(`https://127.0.0.1:${echo.ports.tls}`, { rejectUnauthorized: false })
  const two = JSON.parse(await text(session.request({ ':path': '/' })))
  session.close()
  t.match(two, { proto: 'HTTP/2.0', tls: { negotiatedProtocol: 'h2' } })
})

t.test('TCP echoes, and a half-closed caller still gets everything', async (t) => {
  const socket = connect({ port: echo.ports.tcp, host: '127.0.0.1', allowHalfOpen: true })
  socket.end('hello, half')
  t.equal(await text(socket), 'hello, half')
})

t.test('WebSocket messages come back as they were', async (t) => {
  const socket = new WebSocket(`ws://127.0.0.1:${port()}/ws`)
  await once(socket, 'open')
  socket.send('ping')
  const [data, isBinary] = (await once(socket, 'message')) as [Buffer, boolean]
  t.equal(data.toString(), 'ping')
  t.equal(isBinary, false)
  socket.terminate()
})

interface Emitter {
  once(event: string, listener: (...args: unknown[]) => void): unknown
}

function once(emitter: Emitter, event: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    emitter.once('error', reject)
    emitter.once(event, (...args) => resolve(args))
  })
}

function get(path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    httpRequest({ port: port(), host: '127.0.0.1', path, headers, agent: false }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
    })
      .on('error', reject)
      .end()
  })
}

async function grpc(path: string): Promise<{ status: string; body: Buffer }> {
  const session = http2Connect(`http://127.0.0.1:${echo.ports.grpc}`)
  const stream = session.request({
    ':path': path,
    ':method': 'POST',
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  let status = ''
  for (const event of ['response', 'trailers']) {
    stream.on(event, (headers) => {
      status = String(headers['grpc-status'] ?? status)
    })
  }
  stream.end(Buffer.alloc(5))
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  session.close()
  return { status, body: Buffer.concat(chunks) }
}
