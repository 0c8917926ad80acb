// The HTTP/2 server end against Node's client: messages of every shape, both ways, and every way to end early.
import { once } from 'node:events'
import http2 from 'node:http2'
import t, { type Test } from 'tap'
import { heldBudget } from '../../../core/hbone/h2/held-budget.ts'
import type { Exchange } from '../../../waypoint/exchange.ts'
import { BodyChannel } from '../../../waypoint/http/body.ts'
import { Failure } from '../../../waypoint/http/failure.ts'
import { Headers } from '../../../waypoint/http/message.ts'
import type { Http2ServerOptions } from '../../../waypoint/http2/server-connection.ts'
import { answer, readBody, type Served, serveHttp2 } from '../../helpers/http2-waypoint.ts'
import { eventually } from '../../helpers/tunnel.ts'

type Handler = Parameters<typeof serveHttp2>[0]

async function scene(
  t: Test,
  handler: Handler,
  options: Partial<Http2ServerOptions> = {},
): Promise<{ readonly served: Served; readonly client: http2.ClientHttp2Session }> {
  const served = await serveHttp2(handler, options)
  const client = http2.connect(`http://127.0.0.1:${served.port}`)
  client.on('error', () => {})
  t.teardown(() => {
    client.destroy()
    served.close()
  })
  await once(client, 'remoteSettings')
  return { served, client }
}

interface Got {
  readonly status: number
  readonly headers: http2.IncomingHttpHeaders
  readonly body: string
  readonly trailers: http2.IncomingHttpHeaders | undefined
  readonly rstCode: number
  readonly interim: readonly number[]
}

async function got(stream: http2.ClientHttp2Stream): Promise<Got> {
  let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {}
  let trailers: http2.IncomingHttpHeaders | undefined
  const chunks: Buffer[] = []
  const interim: number[] = []
  stream.on('response', (headers) => {
    head = headers
  })
  stream.on('headers', (headers) => interim.push(Number(headers[':status'])))
  stream.on('trailers', (headers) => {
    trailers = headers
  })
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('error', () => {})
  await new Promise((resolve) => stream.on('close', resolve))
  return {
    status: Number(head[':status']),
    headers: head,
    body: Buffer.concat(chunks).toString(),
    trailers,
    rstCode: stream.rstCode ?? 0,
    interim,
  }
}

const echo: Handler = async (exchange) => {
  const { body, trailers } = await readBody(exchange.body)
  const { method, scheme, authority, path, headers } = exchange.head
  const text = JSON.stringify({
    method,
    scheme,
    authority,
    path,
    fields: headers.flat,
    length: exchange.body.length,
    body: body.toString(),
    trailers: trailers?.flat,
  })
  return answer(200, ['content-type', 'application/json'], text)
}

t.test('a request arrives as it was sent, and its answer as it was given', async (t) => {
  const { client, served } = await scene(t, echo)
  const { status, headers, body } = await got(
    client.request({ ':path': '/a/./b?q=1', ':authority': 'orders:8080', 'x-a': '1', cookie: ['a=1', 'b=2'] }),
  )
  t.equal(status, 200)
  t.equal(headers['content-length'], String(body.length))
  t.same(JSON.parse(body), {
    method: 'GET',
    scheme: 'http',
    authority: 'orders:8080',
    path: '/a/./b?q=1',
    fields: ['x-a', '1', 'cookie', 'a=1; b=2'],
    length: 0,
    body: '',
  })
  await eventually('no stream is left', () => served.connections[0]?.active === 0)
})

t.test('bodies and trailers of requests and answers', async (t) => {
  const { client } = await scene(t, async (exchange) => {
    const read = await readBody(exchange.body)
    const channel = new BodyChannel({})
    channel.push(read.body)
    channel.end(new Headers(['x-back', read.trailers?.get('x-sum') ?? 'none']))
    return answer(200, [], channel)
  })
  const stream = client.request({ ':method': 'POST', ':path': '/' }, { waitForTrailers: true, endStream: false })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }))
  stream.end('x'.repeat(500_000))
  const { body, trailers } = await got(stream)
  t.equal(body.length, 500_000)
  t.equal(trailers?.['x-back'], '42')
})

t.test('a body whose end is there already has a length, even where none was declared', async (t) => {
  const lengths: unknown[] = []
  const { client } = await scene(t, async (exchange) => {
    lengths.push(exchange.body.length)
    await readBody(exchange.body)
    return answer(204)
  })
  const post = (headers: http2.OutgoingHttpHeaders, body: string) => {
    const stream = client.request({ ':method': 'POST', ...headers })
    stream.end(body)
    return got(stream)
  }
  const { status, headers } = await post({}, 'abc')
  await post({ 'content-length': 0 }, '')
  t.equal(status, 204)
  t.equal(headers['content-length'], undefined)
  t.ok(lengths[0] === 3 || lengths[0] === undefined)
  t.ok(lengths[1] === 0 || lengths[1] === undefined)
})

t.test('HEAD, 204 and 304 have no body, whatever a layer gives them', async (t) => {
  const { client } = await scene(t, async ({ head }) => answer(Number(head.path.slice(1)), ['etag', 'x'], 'a body'))
  const head = await got(client.request({ ':method': 'HEAD', ':path': '/200' }))
  t.match(head, { status: 200, body: '', headers: { 'content-length': '6' } })
  t.match(await got(client.request({ ':path': '/204' })), { status: 204, body: '', headers: { etag: 'x' } })
  t.match(await got(client.request({ ':path': '/304' })), { status: 304, body: '', headers: { 'content-length': '6' } })
})

t.test('interim answers pass, 100 and 103', async (t) => {
  const { client } = await scene(t, async (exchange) => {
    if (exchange.expectContinue) exchange.informational({ status: 100, headers: new Headers() })
    exchange.informational({ status: 103, headers: new Headers(['link', '</a>']) })
    await readBody(exchange.body)
    return answer(200)
  })
  const stream = client.request({ ':method': 'POST', expect: '100-continue' })
  stream.on('continue', () => stream.end('body'))
  const { status, interim } = await got(stream)
  t.equal(status, 200)
  t.same(interim, [100, 103])
  t.equal((await got(client.request({ ':method': 'POST', expect: 'tea' }))).status, 417)
})

t.test('an answer that comes before the request has ended goes out, and the rest is not wanted', async (t) => {
  let failure: Promise<Failure | undefined> | undefined
  const { client } = await scene(t, async (exchange) => {
    failure = readBody(exchange.body).then((read) => read.failure)
    return answer(413, [], 'too much')
  })
  const stream = client.request({ ':method': 'POST' })
  stream.write('a')
  const { status, body, rstCode } = await got(stream)
  t.match({ status, body, rstCode }, { status: 413, body: 'too much', rstCode: 0 })
  t.equal((await failure)?.kind, 'client')
})

t.test('a body that nobody reads is not kept once it is answered', async (t) => {
  const { client, served } = await scene(t, async () => answer(403))
  const stream = client.request({ ':method': 'POST' })
  stream.end(Buffer.alloc(50_000))
  t.equal((await got(stream)).status, 403)
  await eventually('no stream is left', () => served.connections[0]?.active === 0)
  t.equal(heldBudget.bytes, 0)
})

t.test('both ways at once: each message is answered before the next is sent', async (t) => {
  const { client } = await scene(t, async (exchange) => {
    const channel = new BodyChannel({ onPause: () => exchange.body.pause(), onResume: () => exchange.body.resume() })
    exchange.body.read({
      onData: (chunk) => channel.push(chunk),
      onEnd: (trailers) => channel.end(trailers),
      onError: (error) => channel.fail(error),
    })
    return answer(200, [], channel)
  })
  const stream = client.request({ ':method': 'POST' })
  await once(stream, 'response')
  for (const text of ['one', 'two', 'three']) {
    stream.write(text)
    const [chunk] = (await once(stream, 'data')) as [Buffer]
    t.equal(chunk.toString(), text)
  }
  stream.end()
  t.equal((await got(stream)).rstCode, 0)
})

t.test('a client that resets abandons its exchange', async (t) => {
  const reasons: string[] = []
  let exchange: Exchange | undefined
  const { client } = await scene(t, (incoming) => {
    exchange = incoming
    incoming.onAbandoned((reason) => reasons.push(reason))
    return new Promise(() => {})
  })
  const stream = client.request({ ':method': 'POST' })
  stream.on('error', () => {})
  stream.write('a')
  await eventually('it came', () => exchange !== undefined)
  stream.close(http2.constants.NGHTTP2_CANCEL)
  await eventually('abandoned', () => reasons.length > 0)
  t.same(reasons, ['client'])
})

t.test('so does one whose connection ends', async (t) => {
  const reasons: string[] = []
  let failure: Failure | undefined
  const { client, served } = await scene(t, async (exchange) => {
    exchange.onAbandoned((reason) => reasons.push(reason))
    failure = (await readBody(exchange.body)).failure
    throw failure
  })
  const stream = client.request({ ':method': 'POST' })
  stream.on('error', () => {})
  await eventually('it came', () => served.connections[0]?.served === 1)
  client.destroy()
  await eventually('abandoned', () => reasons.length > 0)
  await eventually('closed', () => served.errors.length === 1)
  t.equal(failure?.kind, 'client')
})

t.test('an answer that breaks off is reset, never ended', async (t) => {
  const { client } = await scene(t, async ({ head }) => {
    const channel = new BodyChannel({}, head.path === '/length' ? 100 : undefined)
    channel.push(Buffer.from('part'))
    if (head.path === '/length') channel.end()
    else channel.fail(new Failure('reset', 'gone'))
    return answer(200, [], channel)
  })
  for (const path of ['/fails', '/length']) {
    const { status, rstCode } = await got(client.request({ ':path': path }))
    t.match({ status, rstCode }, { rstCode: http2.constants.NGHTTP2_INTERNAL_ERROR }, path)
  }
})

t.test('a handler that fails is an answer by its kind, for gRPC a grpc-status', async (t) => {
  const { client, served } = await scene(t, async ({ head }) => {
    if (head.path === '/defect') throw new TypeError('a defect')
    throw new Failure('no-endpoint', 'nobody')
  })
  t.equal((await got(client.request({ ':path': '/' }))).status, 503)
  t.equal((await got(client.request({ ':path': '/defect' }))).status, 500)
  t.match(served.defects, [{ message: 'a defect' }])
  const grpc = await got(client.request({ ':method': 'POST', ':path': '/s/m', 'content-type': 'application/grpc' }))
  t.match(grpc, { status: 200, headers: { 'grpc-status': '14', 'content-type': 'application/grpc' } })
})

t.test('a slow reader holds up its own answer only, and nothing is lost', async (t) => {
  const bytes = 8 * 1024 * 1024
  let pauses = 0
  const { client } = await scene(t, async ({ head }) => {
    if (head.path === '/small') return answer(200, [], 'small')
    let left = bytes
    let paused = false
    const go = () => {
      while (!paused && left > 0) {
        left -= 65_536
        channel.push(Buffer.alloc(65_536, 7))
      }
      if (left === 0) channel.end()
    }
    const channel = new BodyChannel({
      onPause: () => {
        paused = true
        pauses += 1
      },
      onResume: () => {
        paused = false
        go()
      },
    })
    setImmediate(go)
    return answer(200, [], channel)
  })
  const slow = client.request({ ':path': '/large' })
  await once(slow, 'response')
  t.equal((await got(client.request({ ':path': '/small' }))).body, 'small')
  await eventually('the producer was paused', () => pauses > 0)
  const { body } = await got(slow)
  t.equal(body.length, bytes)
})

t.test('a request body waits for its reader, and the window for both', async (t) => {
  let exchange: Exchange | undefined
  const { client } = await scene(t, async (incoming) => {
    exchange = incoming
    await eventually('told to go on', () => stream.writableLength > 0 && waited)
    const { body } = await readBody(incoming.body)
    return answer(200, [], String(body.length))
  })
  let waited = false
  const stream = client.request({ ':method': 'POST' })
  stream.end(Buffer.alloc(4 * 1024 * 1024, 3))
  await eventually('it came', () => exchange !== undefined)
  await new Promise((resolve) => setImmediate(resolve))
  t.ok(stream.writableLength > 0, 'not all of it fits')
  waited = true
  t.equal((await got(stream)).body, String(4 * 1024 * 1024))
})

t.test('a WebSocket by extended CONNECT', async (t) => {
  const { client } = await scene(t, async (exchange) => {
    t.equal(exchange.upgrade, 'websocket')
    t.match(exchange.head, { method: 'GET', path: '/chat', authority: 'orders' })
    const channel = new BodyChannel({})
    exchange.body.read({
      onData: (chunk) => channel.push(chunk),
      onEnd: () => channel.end(),
      onError: (error) => channel.fail(error),
    })
    return { ...answer(200, [], channel), upgraded: true }
  })
  t.equal(client.remoteSettings.enableConnectProtocol, true)
  const stream = client.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'http',
    ':path': '/chat',
    ':authority': 'orders',
  })
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
  t.match(headers, { ':status': 200, 'content-length': undefined })
  stream.write('hello')
  t.equal(String((await once(stream, 'data'))[0]), 'hello')
  stream.end()
  await once(stream, 'close')
  t.equal(stream.rstCode, 0)
})

t.test('draining serves what is under way and takes nothing new', async (t) => {
  let finish: (() => void) | undefined
  const { client, served } = await scene(t, async () => {
    await new Promise<void>((resolve) => {
      finish = resolve
    })
    return answer(200, [], 'done')
  })
  const stream = client.request({})
  await eventually('it came', () => finish !== undefined)
  const goaway = once(client, 'goaway')
  served.connections[0]!.drain()
  await goaway
  finish!()
  t.equal((await got(stream)).body, 'done')
  await eventually('closed', () => served.errors.length === 1)
  t.same(served.errors, [undefined])
})

t.test('a connection without requests ends after its idle time, one with a request does not', async (t) => {
  const { served, client } = await scene(t, () => new Promise(() => {}), { limits: { idleTimeoutMs: 40 } })
  await eventually('closed', () => served.errors.length === 1)
  t.equal(client.closed || client.destroyed, true)
  const busy = http2.connect(`http://127.0.0.1:${served.port}`)
  busy.on('error', () => {})
  busy.request({}).on('error', () => {})
  await eventually('it came', () => served.connections[1]?.served === 1)
  await new Promise((resolve) => setTimeout(resolve, 150))
  t.equal(served.errors.length, 1)
  busy.destroy()
})

t.test('an answer that nobody takes is given up in time', async (t) => {
  const reasons: string[] = []
  const { client } = await scene(
    t,
    async (exchange) => {
      exchange.onAbandoned((reason) => reasons.push(reason))
      return answer(200, [], Buffer.alloc(2 * 1024 * 1024))
    },
    { limits: { stallTimeoutMs: 60 } },
  )
  const stream = client.request({})
  stream.on('error', () => {})
  await once(stream, 'response')
  await eventually('abandoned', () => reasons.length > 0)
})
