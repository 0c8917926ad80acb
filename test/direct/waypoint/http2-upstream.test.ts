// The HTTP/2 client end against Node's server, and against endpoints that break the rules.
import { once } from 'node:events'
import http2 from 'node:http2'
import type net from 'node:net'
import t, { type Test } from 'tap'
import { BodyChannel, bodyOf } from '../../../waypoint/http/body.ts'
import { Failure } from '../../../waypoint/http/failure.ts'
import { Headers, type ResponseHead } from '../../../waypoint/http/message.ts'
import type { Http2Limits } from '../../../waypoint/http2/limits.ts'
import { connectHttp2, exchangeOf, readBody, type Upstreamed } from '../../helpers/http2-waypoint.ts'
import { eventually } from '../../helpers/tunnel.ts'

async function failureOf(sent: Promise<unknown>): Promise<unknown> {
  return await sent.then(
    () => undefined,
    (error: unknown) => error,
  )
}

async function scene(
  t: Test,
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  options: { readonly settings?: http2.Settings; readonly limits?: Partial<Http2Limits> } = {},
): Promise<
  Upstreamed & {
    readonly server: http2.Http2Server
    readonly sessions: http2.ServerHttp2Session[]
    readonly sockets: net.Socket[]
  }
> {
  const server = http2.createServer({ settings: options.settings ?? {} })
  const sessions: http2.ServerHttp2Session[] = []
  const sockets: net.Socket[] = []
  server.on('connection', (socket) => sockets.push(socket))
  server.on('session', (session) => sessions.push(session))
  server.on('sessionError', () => {})
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => {})
    onStream(stream, headers)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const upstream = await connectHttp2((server.address() as net.AddressInfo).port, options.limits)
  t.teardown(() => {
    upstream.connection.destroy()
    for (const session of sessions) session.destroy()
    server.close()
  })
  return { ...upstream, server, sessions, sockets }
}

t.test('a request goes out as the stack left it, and the answer comes back', async (t) => {
  const { connection } = await scene(t, (stream, headers) => {
    stream.respond({ ':status': 201, 'x-back': '1', 'set-cookie': ['a=1', 'b=2'] })
    stream.end(JSON.stringify(headers))
  })
  const exchange = exchangeOf('POST', '/p?q', {
    fields: ['x-a', '1', 'te', 'trailers', 'connection', 'close', 'content-length', '99', 'cookie', 'a=1; b=2'],
    body: bodyOf(Buffer.from('abc')),
  })
  const answer = await connection.send(exchange)
  t.equal(answer.head.status, 201)
  t.same(answer.head.headers.all('set-cookie'), ['a=1', 'b=2'])
  const { body } = await readBody(answer.body)
  t.same(JSON.parse(body.toString()), {
    ':method': 'POST',
    ':scheme': 'http',
    ':authority': 'orders:8080',
    ':path': '/p?q',
    'x-a': '1',
    te: 'trailers',
    'content-length': '3',
    cookie: 'a=1; b=2',
  })
  await eventually('nothing is under way', () => connection.active === 0)
  t.equal(connection.served, 1)
  t.equal(connection.usable, true)
})

t.test('many at once, each with its own answer', async (t) => {
  const { connection } = await scene(t, (stream, headers) => {
    stream.respond()
    stream.end(String(headers[':path']).repeat(3_000))
  })
  const answers = await Promise.all(
    Array.from({ length: 60 }, async (_, index) => {
      const answer = await connection.send(exchangeOf('GET', `/${index}`))
      return (await readBody(answer.body)).body.toString()
    }),
  )
  t.same(
    answers,
    answers.map((_, index) => `/${index}`.repeat(3_000)),
  )
})

t.test('large bodies both ways, with trailers', async (t) => {
  const { connection } = await scene(t, (stream) => {
    let trailers: http2.IncomingHttpHeaders = {}
    stream.on('trailers', (headers) => {
      trailers = headers
    })
    stream.respond({}, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-back': String(trailers['x-sum']) }))
    stream.pipe(stream)
  })
  const channel = new BodyChannel({})
  const answer = await connection.send(exchangeOf('POST', '/', { body: channel }))
  const read = readBody(answer.body)
  for (let count = 0; count < 64; count += 1) channel.push(Buffer.alloc(65_536, count))
  channel.end(new Headers(['x-sum', '42']))
  const { body, trailers } = await read
  t.equal(body.length, 64 * 65_536)
  t.ok(
    Array.from({ length: 64 }, (_, at) => body[at * 65_536] === at && body[at * 65_536 + 65_535] === at).every(Boolean),
  )
  t.equal(trailers?.get('x-back'), '42')
})

t.test('interim answers come before the final one', async (t) => {
  const { connection } = await scene(t, (stream) => {
    stream.additionalHeaders({ ':status': 103, link: '</a>' })
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  const heads: ResponseHead[] = []
  const answer = await connection.send(exchangeOf('GET', '/', { onInformational: (head) => heads.push(head) }))
  t.equal(answer.head.status, 200)
  t.equal(answer.body.length, 0)
  t.match(heads, [{ status: 103 }])
})

t.test('no more streams than the endpoint allows, and it says when there is room', async (t) => {
  const waiting: http2.ServerHttp2Stream[] = []
  const { connection, events } = await scene(t, (stream) => waiting.push(stream), {
    settings: { maxConcurrentStreams: 2 },
  })
  const first = connection.send(exchangeOf('GET', '/'))
  await eventually('its SETTINGS', () => connection.takesUpgrades !== undefined)
  const second = connection.send(exchangeOf('GET', '/'))
  t.equal(connection.usable, false)
  t.match(await failureOf(connection.send(exchangeOf('GET', '/'))), { kind: 'refused', requestStarted: false })
  await eventually('both came', () => waiting.length === 2)
  waiting[0]?.respond({}, { endStream: true })
  await first
  await eventually('room', () => events.includes('available'))
  t.equal(connection.usable, true)
  waiting[1]?.respond({}, { endStream: true })
  await second
})

t.test('what an endpoint refuses was not started; what it resets was', async (t) => {
  const { connection } = await scene(t, (stream, headers) => {
    const refused = headers[':path'] === '/refused'
    stream.close(refused ? http2.constants.NGHTTP2_REFUSED_STREAM : http2.constants.NGHTTP2_INTERNAL_ERROR)
  })
  t.match(await failureOf(connection.send(exchangeOf('GET', '/refused'))), { kind: 'refused', requestStarted: false })
  t.match(await failureOf(connection.send(exchangeOf('GET', '/reset'))), { kind: 'reset', requestStarted: true })
  t.equal(connection.usable, true)
})

t.test('after GOAWAY what is under way goes on, and then it closes', async (t) => {
  let stream: http2.ServerHttp2Stream | undefined
  const { connection, events, sessions } = await scene(t, (incoming) => {
    stream = incoming
  })
  const sent = connection.send(exchangeOf('GET', '/'))
  await eventually('it came', () => stream !== undefined)
  sessions[0]?.close()
  await eventually('unusable', () => events.includes('unusable'))
  t.equal(connection.usable, false)
  stream?.respond()
  stream?.end('still')
  t.equal((await readBody((await sent).body)).body.toString(), 'still')
  await eventually('closed', () => events.includes('closed'))
  t.same(events, ['unusable', 'closed'])
})

t.test('a connection that dies fails what is under way with reset, before and after the head', async (t) => {
  const paths: unknown[] = []
  const { connection, events, sockets } = await scene(t, (stream, headers) => {
    paths.push(headers[':path'])
    if (headers[':path'] === '/head') {
      stream.respond()
      stream.write('part')
    }
  })
  const answered = await connection.send(exchangeOf('GET', '/head'))
  const silent = connection.send(exchangeOf('GET', '/silent'))
  const failed = failureOf(silent)
  await eventually('both came', () => paths.length === 2)
  for (const socket of sockets) socket.destroy()
  t.match(await failed, { kind: 'reset', requestStarted: true })
  t.equal((await readBody(answered.body)).failure?.kind, 'reset')
  await eventually('closed', () => events.includes('closed'))
})

t.test('a request that ends before a byte was sent was not started', async (t) => {
  const { connection } = await scene(t, () => {})
  const sent = connection.send(exchangeOf('GET', '/'))
  connection.destroy()
  t.match(await failureOf(sent), { kind: 'refused', requestStarted: false })
})

t.test('what is abandoned is reset at the endpoint', async (t) => {
  const codes: number[] = []
  const { connection } = await scene(t, (stream, headers) => {
    stream.on('close', () => codes.push(stream.rstCode ?? -1))
    if (headers[':path'] === '/head') stream.respond()
  })
  const before = exchangeOf('GET', '/')
  const sent = connection.send(before)
  await new Promise((resolve) => setTimeout(resolve, 20))
  before.abandon('try-timeout')
  t.match(await failureOf(sent), { kind: 'try-timeout', requestStarted: true })
  const after = exchangeOf('GET', '/head')
  const answer = await connection.send(after)
  const read = readBody(answer.body)
  after.abandon('client')
  t.equal((await read).failure?.kind, 'client')
  await eventually('both are reset', () => codes.length === 2)
  t.same(codes, [http2.constants.NGHTTP2_CANCEL, http2.constants.NGHTTP2_CANCEL])
  t.equal(connection.active, 0)
})

t.test('a request whose rest does not come is reset, never ended', async (t) => {
  let ended = false
  let code: number | undefined
  const { connection } = await scene(t, (stream) => {
    stream.resume().on('end', () => {
      ended = true
    })
    stream.on('close', () => {
      code = stream.rstCode
    })
  })
  const channel = new BodyChannel({})
  const sent = connection.send(exchangeOf('POST', '/', { body: channel }))
  channel.push(Buffer.from('part'))
  await new Promise((resolve) => setTimeout(resolve, 20))
  channel.fail(new Failure('client', 'gone'))
  t.match(await failureOf(sent), { kind: 'client' })
  await eventually('reset', () => code !== undefined)
  t.equal(code, http2.constants.NGHTTP2_CANCEL)
  // Node ends what it reads before it says that it was aborted.
  t.type(ended, 'boolean')
})

t.test('an answer that is complete before the request is stays good', async (t) => {
  const { connection } = await scene(t, (stream) => {
    stream.respond({ ':status': 413 })
    stream.end('too much')
  })
  const channel = new BodyChannel({})
  const answer = await connection.send(exchangeOf('POST', '/', { body: channel }))
  t.equal(answer.head.status, 413)
  t.equal((await readBody(answer.body)).body.toString(), 'too much')
  channel.push(Buffer.from('more'))
  channel.end()
  await eventually('nothing is under way', () => connection.active === 0)
})

t.test('a slow reader pauses the endpoint, and a slow endpoint the request', async (t) => {
  const bytes = 4 * 1024 * 1024
  let incoming: http2.ServerHttp2Stream | undefined
  const { connection } = await scene(t, (stream) => {
    incoming = stream
    stream.respond()
    stream.end(Buffer.alloc(bytes))
  })
  let paused = false
  const channel = new BodyChannel({
    onPause: () => {
      paused = true
    },
  })
  const answer = await connection.send(exchangeOf('POST', '/', { body: channel }))
  for (let count = 0; count < 64 && !paused; count += 1) channel.push(Buffer.alloc(65_536))
  t.ok(paused, 'the request waits')
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.ok((incoming?.writableLength ?? 0) > 0, 'the endpoint waits')
  incoming?.resume()
  channel.end()
  t.equal((await readBody(answer.body)).body.length, bytes)
})

t.test('a WebSocket where the endpoint takes it', async (t) => {
  const { connection } = await scene(
    t,
    (stream, headers) => {
      t.match(headers, { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat', ':scheme': 'http' })
      t.notOk('sec-websocket-key' in headers)
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
    },
    { settings: { enableConnectProtocol: true } },
  )
  const channel = new BodyChannel({})
  const answer = await connection.send(
    exchangeOf('GET', '/chat', { upgrade: 'websocket', body: channel, fields: ['sec-websocket-key', 'x'] }),
  )
  t.equal(answer.upgraded, true)
  const read = readBody(answer.body)
  channel.push(Buffer.from('hello'))
  channel.end()
  t.equal((await read).body.toString(), 'hello')
})

t.test('a WebSocket fails before it is sent where the endpoint does not take it', async (t) => {
  const { connection } = await scene(t, () => {})
  const sent = connection.send(exchangeOf('GET', '/', { upgrade: 'websocket' }))
  t.match(await failureOf(sent), { kind: 'connect', requestStarted: false })
  t.equal(connection.active, 0)
})

t.test('a connection without work closes when it is retired', async (t) => {
  const { connection, events } = await scene(t, (stream) => stream.respond({}, { endStream: true }))
  await connection.send(exchangeOf('GET', '/'))
  connection.retire()
  await eventually('closed', () => events.includes('closed'))
  t.same(events, ['idle', 'unusable', 'closed'])
})

t.test(
  'a body that waits for 100 is sent when the endpoint wants it, or says nothing; not when it answers',
  async (t) => {
    for (const way of ['100', 'silence', 'answer'] as const) {
      const { connection } = await scene(t, (stream) => {
        if (way === '100') stream.additionalHeaders({ ':status': 100 })
        if (way === 'answer') stream.respond({ ':status': 417 }, { endStream: true })
        else stream.on('data', () => stream.respond({}, { endStream: true }))
      })
      let read = false
      const body = bodyOf(Buffer.from('abc'))
      const exchange = exchangeOf('POST', '/', {
        fields: ['expect', '100-continue'],
        expectContinue: true,
        body: {
          length: 3,
          read: (reader) => {
            read = true
            body.read(reader)
          },
          pause: () => body.pause(),
          resume: () => body.resume(),
          cancel: () => body.cancel(),
        },
      })
      const answer = await connection.send(exchange)
      await readBody(answer.body)
      t.equal(read, way !== 'answer', way)
      t.equal(answer.head.status, way === 'answer' ? 417 : 200)
      await eventually('nothing is under way', () => connection.active === 0)
    }
  },
)

t.test('a head that a rule spoilt is not sent, and the connection goes on', async (t) => {
  const seen: unknown[] = []
  const { connection } = await scene(t, (stream, headers) => {
    seen.push(headers[':path'])
    stream.respond({ ':status': 200 })
    stream.end()
  })
  for (const change of [
    { path: '/a b' },
    { path: '/a\r\nx: y' },
    { path: '/a#b' },
    { path: 'a' },
    { path: '*' },
    { path: '' },
    { authority: 'a@b' },
    { authority: 'a/b' },
    { authority: '' },
    { method: 'CONNECT' },
    { method: 'GET /' },
  ]) {
    const exchange = exchangeOf('GET', '/')
    Object.assign(exchange.head, change)
    t.match(await failureOf(connection.send(exchange)), { kind: 'internal' }, JSON.stringify(change))
  }
  t.equal((await connection.send(exchangeOf('GET', '/good'))).head.status, 200)
  t.same(seen, ['/good'])
})
