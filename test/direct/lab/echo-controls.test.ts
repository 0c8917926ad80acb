import { createHash } from 'node:crypto'
import { connect as http2Connect } from 'node:http2'
import { connect } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import t from 'tap'
import { type Answered, type Call, fieldOf } from '../../../lab/calls/call.ts'
import { runCalls } from '../../../lab/calls/run.ts'
import { type EchoServer, startEcho } from '../../../lab/echo/server.ts'

const context = { namespace: 'shop', ingress: '', service: 'orders', pod: 'orders-v1', host: 'h1' }
let echo: EchoServer

t.before(async () => {
  echo = await startEcho(context, { http: [0], grpc: 0, tcp: 0, tls: 0 })
})
t.teardown(() => echo.close())

const origin = (): string => `http://127.0.0.1:${echo.ports.http[0]}`
const at = (path: string, more: Partial<Call> = {}): Call => ({ url: `${origin()}${path}`, ...more })

async function one(call: Call) {
  const [result] = await runCalls([call])
  return result!
}

async function answered(call: Call): Promise<Answered> {
  const result = await one(call)
  if (result.kind !== 'answered') throw new Error(JSON.stringify(result))
  return result
}

t.test('requests are counted by series, over both protocols, and read back', async (t) => {
  for (const protocol of ['http/1.1', 'h2c'] as const) await answered(at('/?uuid=count', { protocol }))
  await answered(at('/elsewhere', { headers: { 'x-echo-uuid': 'count' } }))
  const counts = JSON.parse((await answered(at('/counts?uuid=count'))).body)
  t.match(counts, { uuid: 'count', requests: 3, cancelled: 0, pod: 'orders-v1' })
  t.equal(counts.arrivals.length, 3)
  t.ok(counts.total >= 3)
})

t.test('a caller that goes away before the answer is counted', async (t) => {
  for (const protocol of ['http/1.1', 'h2c'] as const) {
    const call = at('/?uuid=gone&delay=1s', { protocol, timeoutMs: 100 })
    t.match(await one(call), { kind: 'failed', code: 'TIMEOUT' })
  }
  const cancelled = async (): Promise<number> => JSON.parse((await answered(at('/counts?uuid=gone'))).body).cancelled
  while ((await cancelled()) < 2) await new Promise(setImmediate)
})

t.test('the path is told as it came, also where it is none', async (t) => {
  for (const path of ['//double', '/a/../b', '/%2e%2e/x?y=%zz', '/;a=b']) {
    const socket = connect(echo.ports.http[0]!, '127.0.0.1')
    socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    t.equal(JSON.parse((await text(socket)).split('\r\n\r\n')[1]!).path, path)
  }
})

t.test('answers are broken as asked, over HTTP/1.1', async (t) => {
  const rows = [
    ['reset', 'ECONNRESET'],
    ['close', 'ECONNRESET'],
    ['truncate', 'ECONNRESET'],
    ['truncate-chunked', 'ECONNRESET'],
    ['garbage', /^HPE_/],
    ['two-lengths', /^HPE_/],
    ['length-and-chunked', /^HPE_/],
    ['unasked-upgrade', 'UPGRADED'],
  ] as const
  for (const [fault, code] of rows) t.match(await one(at(`/?fault=${fault}`)), { kind: 'failed', code }, fault)
  t.match(await one(at('/?fault=extra-bytes')), { kind: 'answered', body: 'ok' }, 'the rest comes behind the answer')
})

t.test('answers are broken as asked, over HTTP/2', async (t) => {
  const rows = [
    ['reset', 'ERR_HTTP2_STREAM_ERROR'],
    ['refused', 'ERR_HTTP2_STREAM_ERROR'],
    ['goaway', /./],
    ['close', /./],
    ['truncate', 'ERR_HTTP2_STREAM_ERROR'],
  ] as const
  for (const [fault, code] of rows) {
    t.match(await one(at(`/?fault=${fault}`, { protocol: 'h2c' })), { kind: 'failed', code }, fault)
  }
})

t.test('only the first requests of a series fail', async (t) => {
  const calls = Array.from({ length: 3 }, () => at('/?fault=reset&succeedAfter=2&uuid=series'))
  t.match(await runCalls(calls), [{ code: 'ECONNRESET' }, { code: 'ECONNRESET' }, { status: 200 }])
  const statuses = Array.from({ length: 3 }, () => at('/?status=503,200&uuid=statuses'))
  t.match(await runCalls(statuses), [{ status: 503 }, { status: 200 }, { status: 200 }])
})

t.test('hints, trailers and headers come over both protocols', async (t) => {
  const path = '/?hints=</a.css>;rel=preload&trailer=x-check:abc'
  for (const protocol of ['http/1.1', 'h2c'] as const) {
    const headers = { 'x-echo-set-header': 'x-a:1,x-a:2' }
    const answer = await answered(at(path, { protocol, headers }))
    t.same(answer.interim, [103], protocol)
    t.equal(fieldOf(answer.trailers, 'x-check'), 'abc', protocol)
    t.equal(fieldOf(answer.headers, 'x-a'), '1,2', protocol)
  }
})

t.test('an upload is answered early, and one that waits for 100 is asked for its body or refused', async (t) => {
  const raw = async (path: string, body: string): Promise<string> => {
    const socket = connect(echo.ports.http[0]!, '127.0.0.1')
    socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nconnection: close\r\n`)
    socket.write('expect: 100-continue\r\n\r\n')
    socket.write(body)
    return text(socket)
  }
  t.match(await raw('/upload', 'abcde'), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
  t.match(await raw('/upload?expect=refuse', ''), /^HTTP\/1\.1 417 /)
  const stream = http2Connect(origin()).request({ ':path': '/upload?early=413', ':method': 'POST' })
  const status = await new Promise((resolve) => stream.once('response', (headers) => resolve(headers[':status'])))
  t.equal(status, 413, 'while the body is still open')
  stream.end('rest')
  stream.session!.destroy()
})

t.test('a download without length ends with its checksum; a body is piped back while it comes', async (t) => {
  for (const protocol of ['http/1.1', 'h2c'] as const) {
    const answer = await answered(at('/bytes?n=200000&fill=ab&checksum', { protocol }))
    const expected = createHash('sha256').update(Buffer.alloc(200_000, 'ab')).digest('hex')
    t.equal(fieldOf(answer.trailers, 'x-sha256'), expected, protocol)
    t.equal(answer.bodyBytes, 200_000)
  }
  const session = http2Connect(origin())
  const stream = session.request({ ':path': '/pipe', ':method': 'POST' })
  for (const word of ['one', 'two']) {
    stream.write(word)
    const chunk = await new Promise((resolve) => stream.once('data', resolve))
    t.equal(String(chunk), word)
  }
  stream.end()
  await buffer(stream)
  session.close()
})

t.test('events come at once and on demand, each with the time of its writing', async (t) => {
  const response = await fetch(`${origin()}/events?uuid=stream`)
  const reader = response.body!.getReader()
  const event = async () => {
    const { value } = await reader.read()
    return JSON.parse(/^data: (.*)$/m.exec(Buffer.from(value!).toString())![1]!)
  }
  const first = await event()
  t.equal(first.sequence, 0)
  t.ok(Math.abs(performance.timeOrigin + performance.now() - first.writtenAt) < 10_000)
  t.match(JSON.parse((await answered(at('/events/next?uuid=stream', { method: 'POST' }))).body), { streams: 1 })
  t.equal((await event()).sequence, 1)
  await reader.cancel()
})

t.test('WebSocket messages come back over an upgrade and over extended CONNECT', async (t) => {
  t.match(await one(at('/ws', { protocol: 'websocket', body: 'ping' })), { status: 101, body: 'ping' })
  const session = http2Connect(origin())
  await new Promise((resolve) => session.once('remoteSettings', resolve))
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': '/ws',
    ':authority': 'echo',
    ':scheme': 'http',
    'sec-websocket-version': '13',
  })
  const status = await new Promise((resolve) => stream.once('response', (headers) => resolve(headers[':status'])))
  t.equal(status, 200)
  const mask = Buffer.from([1, 2, 3, 4])
  const masked = Buffer.from('ping').map((byte, index) => byte ^ mask[index % 4]!)
  stream.write(Buffer.concat([Buffer.from([0x81, 0x84]), mask, masked]))
  const reply = (await new Promise((resolve) => stream.once('data', resolve))) as Buffer
  t.same(reply, Buffer.from('\x81\x04ping', 'latin1'))
  session.destroy()
})

t.test('repeated calls are counted by who answered', async (t) => {
  const status = at('/?responseCode=503', { repeat: 20 })
  t.match(await runCalls([at('/', { repeat: 200 }), status]), [
    { kind: 'counted', counts: { 'orders-v1': 200 } },
    { kind: 'counted', counts: { 'status 503': 20 } },
  ])
})
