// Our HTTP/2 engine against node:http2 on the wire, in both roles: every frame type, flow control, headers, ends of all kinds.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import t from 'tap'
import type { IncomingConnect, TunnelStream } from '../../core/hbone/types.ts'
import { serverTls } from '../../core/identity/tls.ts'
import { Bench, echo, eventually, listen, readAll } from '../helpers/tunnel.ts'

const connectRequest = { ':method': 'CONNECT', ':authority': '10.0.0.1:80' }

/** Node as the client of our server. */
async function nodeClient(bench: Bench, options: http2.ClientSessionOptions = {}): Promise<http2.ClientHttp2Session> {
  const socket = await bench.tls(bench.clientCredentials.context)
  const session = http2.connect('https://tunnel', { ...options, createConnection: () => socket })
  session.on('error', () => {})
  await once(session, 'remoteSettings')
  return session
}

/** Node as the server of our pool. */
async function nodeServer(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  settings: http2.Settings = {},
) {
  const sessions: http2.ServerHttp2Session[] = []
  const bench: Bench = await Bench.create({
    pool: {
      dial: async () => {
        const socket = net.connect({ port: node.port, host: '127.0.0.1', allowHalfOpen: true })
        await once(socket, 'connect')
        return socket
      },
    },
  })
  const node = await listen((socket) => {
    const tls = serverTls(socket, () => bench.serverCredentials.context)
    tls.on('error', () => {})
    tls.once('secure', () => {
      const session = http2.performServerHandshake(tls, { settings })
      session.on('error', () => {})
      session.on('stream', (stream, headers) => {
        stream.on('error', () => {})
        onStream(stream, headers)
      })
      sessions.push(session)
    })
  })
  const close = async () => {
    await bench.close()
    for (const session of sessions) session.destroy()
    node.server.close()
  }
  return { bench, sessions, close }
}

async function response(request: http2.ClientHttp2Stream): Promise<http2.IncomingHttpHeaders> {
  const [headers] = await once(request, 'response')
  return headers
}

async function hashOf(stream: Duplex): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** Writes `data` in uneven pieces, with regard to backpressure, and ends. */
async function writeAll(stream: Duplex, data: Buffer): Promise<void> {
  const pieces = [1, 100, 16_384, 70_000, 3, 300_000, 9]
  for (let at = 0, turn = 0; at < data.length; turn += 1) {
    const length = pieces[turn % pieces.length]!
    if (!stream.write(data.subarray(at, at + length))) await once(stream, 'drain')
    at += length
  }
  stream.end()
}

const volume = randomBytes(12 * 1024 * 1024)
const volumeHash = createHash('sha256').update(volume).digest('hex')

t.test('Node as client: volume in both directions at once over several streams', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  for (const settings of [{}, { initialWindowSize: 1_000, maxFrameSize: 16_384 }, { maxFrameSize: 1_000_000 }]) {
    const session = await nodeClient(bench, { settings })
    const hashes = Array.from({ length: 3 }, async () => {
      const request = session.request(connectRequest, { endStream: false })
      await response(request)
      const [hash] = await Promise.all([hashOf(request), writeAll(request, volume)])
      return hash
    })
    t.same(new Set(await Promise.all(hashes)), new Set([volumeHash]), JSON.stringify(settings))
    session.destroy()
  }
  await bench.close()
})

t.test('Node as server: volume in both directions at once over several streams', async (t) => {
  for (const settings of [
    {},
    { initialWindowSize: 70_000 },
    { maxFrameSize: 1_000_000, initialWindowSize: 5_000_000 },
  ]) {
    const { bench, close } = await nodeServer((stream) => {
      stream.respond({ ':status': 200 }, { endStream: false })
      stream.pipe(stream)
    }, settings)
    const hashes = Array.from({ length: 3 }, async () => {
      const { stream } = await bench.connect()
      const [hash] = await Promise.all([hashOf(stream), writeAll(stream, volume)])
      return hash
    })
    t.same(new Set(await Promise.all(hashes)), new Set([volumeHash]), JSON.stringify(settings))
    await close()
  }
})

t.test('header lists of any size and content arrive at Node and from Node', async (t) => {
  const seen: http2.IncomingHttpHeaders[] = []
  const { bench, close } = await nodeServer((stream, headers) => {
    seen.push(headers)
    stream.respond({ ':status': 200, baggage: String(headers['baggage'] ?? 'none') })
    stream.end()
  })
  // Every byte that a value may have, sizes around the frame and the table.
  const any = String.fromCharCode(...Array.from({ length: 0x7f - 0x21 }, (_, at) => 0x21 + at))
  const values = [any, 'a', 'x'.repeat(200), 'y'.repeat(5_000), 'z'.repeat(15_000), 'last']
  for (const [at, baggage] of [...values, ...values].entries()) {
    const headers = { baggage, forwarded: `for="10.0.0.${at}:1"`, traceparent: `00-${at}-00` }
    const request = { authority: `10.0.0.${at % 3}:80`, headers }
    const { responseHeaders } = await bench.pool.connect(bench.key(), request, AbortSignal.timeout(5_000))
    t.equal(responseHeaders.baggage, baggage)
    t.match(seen.at(-1), { ':method': 'CONNECT', ':authority': request.authority, ...headers })
  }
  await close()
})

t.test('Node sends long header blocks, and our server reads them across CONTINUATION', async (t) => {
  const got: IncomingConnect[] = []
  const bench = await Bench.create({
    onConnect: (connect) => {
      got.push(connect)
      connect.accept({ baggage: connect.headers.baggage ?? '' }).end()
    },
  })
  const session = await nodeClient(bench)
  for (const bytes of [10, 5_000, 20_000, 50_000]) {
    const baggage = 'b'.repeat(bytes)
    const request = session.request({ ...connectRequest, baggage, 'x-other': 'ignored' }, { endStream: false })
    t.equal((await response(request))['baggage'], baggage)
    request.close()
  }
  t.equal(got.length, 4)
  session.destroy()
  await bench.close()
})

t.test('Node changes its settings in the middle of a stream', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const session = await nodeClient(bench, { settings: { initialWindowSize: 100_000 } })
  const request = session.request(connectRequest, { endStream: false })
  await response(request)
  const hash = hashOf(request)
  const writing = writeAll(request, volume)
  for (const settings of [
    { initialWindowSize: 1_000 },
    { headerTableSize: 0 },
    { initialWindowSize: 2_000_000, maxFrameSize: 500_000 },
    { headerTableSize: 100 },
    { headerTableSize: 4_096, initialWindowSize: 0 },
    { initialWindowSize: 65_535 },
  ]) {
    await new Promise<void>((resolve) => session.settings(settings, () => resolve()))
    const other = session.request({ ...connectRequest, baggage: 'table=1' }, { endStream: false })
    t.equal((await response(other))[':status'], 200)
    other.close()
  }
  await writing
  t.equal(await hash, volumeHash)
  session.destroy()
  await bench.close()
})

t.test('PING is answered, in both roles', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const session = await nodeClient(bench)
  const payload = randomBytes(8)
  const answer = await new Promise<Buffer>((resolve) => session.ping(payload, (_error, _ms, got) => resolve(got)))
  t.ok(answer.equals(payload))
  session.destroy()
  await bench.close()

  const node = await nodeServer((stream) => stream.respond({ ':status': 200 }))
  await node.bench.connect()
  await new Promise((resolve) => node.sessions[0]!.ping(resolve))
  await node.close()
})

t.test('half-close, in both roles and both directions', async (t) => {
  const accepted: TunnelStream[] = []
  const bench = await Bench.create({ onConnect: (connect) => accepted.push(connect.accept()) })
  const session = await nodeClient(bench)
  const request = session.request(connectRequest, { endStream: false })
  await response(request)
  const [far] = accepted
  request.end('question')
  t.equal((await hashOf(far!)) !== '', true)
  far!.end('answer')
  t.equal((await readAll(request)).toString(), 'answer')
  await eventually('closed in order', () => request.closed && request.rstCode === 0)
  session.destroy()
  await bench.close()

  const node = await nodeServer((stream) => {
    stream.respond({ ':status': 200 })
    stream.end('greeting')
    stream.on('data', (chunk: Buffer) => t.equal(chunk.toString(), 'late'))
  })
  const { stream } = await node.bench.connect()
  t.equal(await hashOf(stream), createHash('sha256').update('greeting').digest('hex'))
  stream.end('late')
  await once(stream, 'close')
  t.equal(stream.errored, null)
  await node.close()
})

t.test('resets carry their code to Node, and those of Node are errors for us', async (t) => {
  const accepted: TunnelStream[] = []
  const bench = await Bench.create({ onConnect: (connect) => accepted.push(connect.accept()) })
  const session = await nodeClient(bench)
  const request = session.request(connectRequest, { endStream: false })
  request.on('error', () => {})
  await response(request)
  accepted[0]!.destroy()
  await once(request, 'close')
  t.equal(request.rstCode, http2.constants.NGHTTP2_CANCEL)
  const second = session.request(connectRequest, { endStream: false })
  second.on('error', () => {})
  await response(second)
  const failed = once(accepted[1]!, 'error')
  second.close(http2.constants.NGHTTP2_INTERNAL_ERROR)
  t.match((await failed)[0], { code: 'TUNNEL_UNAVAILABLE' })
  session.destroy()
  await bench.close()
})

t.test('trailers and informational answers of Node are taken in', async (t) => {
  const node = await nodeServer((stream) => {
    stream.additionalHeaders({ ':status': 103, link: 'x' })
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }))
    stream.end('body')
    stream.resume()
  })
  const { stream } = await node.bench.connect()
  t.equal((await readAll(stream)).toString(), 'body')
  await node.close()
})

t.test('GOAWAY of Node keeps the streams below it and moves new ones to another session', async (t) => {
  const node = await nodeServer((stream) => {
    stream.respond({ ':status': 200 })
    stream.pipe(stream)
  })
  const { stream } = await node.bench.connect()
  node.sessions[0]!.goaway(0, 1)
  const second = await node.bench.connect()
  t.equal(node.sessions.length, 2)
  stream.end('still here')
  t.equal((await readAll(stream)).toString(), 'still here')
  second.stream.destroy()
  await node.close()
})

t.test('a drain of ours lets Node finish, and Node opens nothing more', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const session = await nodeClient(bench)
  const request = session.request(connectRequest, { endStream: false })
  await response(request)
  const gone = once(session, 'goaway')
  const drained = bench.tunnels.drain(5_000)
  t.equal((await gone)[0], 0)
  request.end('bye')
  t.equal((await readAll(request)).toString(), 'bye')
  await drained
  await eventually('the session is closed', () => session.closed || session.destroyed)
  await bench.close()
})

t.test('the stream limit of ours is kept by Node, and refused streams do no harm', async (t) => {
  const bench = await Bench.create({ onConnect: echo, serverLimits: { serverMaxStreams: 3 } })
  const session = await nodeClient(bench)
  t.equal(session.remoteSettings.maxConcurrentStreams, 3)
  t.equal(session.remoteSettings.initialWindowSize, 256 * 1024)
  t.equal(session.remoteSettings.maxFrameSize, 1024 * 1024)
  const answers = Array.from({ length: 9 }, async () => {
    const request = session.request(connectRequest, { endStream: false })
    await response(request)
    request.end('x')
    return (await readAll(request)).toString()
  })
  t.same(new Set(await Promise.all(answers)), new Set(['x']))
  session.destroy()
  await bench.close()
})

t.test('everything but a plain CONNECT of Node is answered 400', async (t) => {
  const bench = await Bench.create({ onConnect: () => t.fail('must not reach the owner') })
  const session = await nodeClient(bench)
  for (const headers of [
    { ':method': 'GET', ':path': '/' },
    { ':method': 'POST', ':path': '/x', ':authority': 'a:1' },
    { ':method': 'OPTIONS', ':path': '*' },
  ]) {
    const request = session.request(headers)
    t.equal((await response(request))[':status'], 400)
    request.close()
  }
  session.destroy()
  await bench.close()
})
