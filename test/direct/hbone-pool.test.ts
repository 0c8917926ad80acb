// The client pool over real sockets: sharing, single flight, retries, deadlines, end of life.
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import t from 'tap'
import { MeshError } from '../../core/base/errors.ts'
import { createCredentials, serverTls } from '../../core/identity/tls.ts'
import {
  Bench,
  type BenchOptions,
  clientIdentity,
  echo,
  eventually,
  listen,
  readAll,
  serverIdentity,
} from '../helpers/tunnel.ts'

/** A bench whose tunnel server is Node's own HTTP/2, to misbehave in ways that ours does not. */
async function misbehaving(
  onSession: (session: http2.ServerHttp2Session, count: number) => void,
  options: BenchOptions & { readonly settings?: http2.Settings } = {},
): Promise<Bench & { readonly rogue: net.Server }> {
  const bench: Bench = await Bench.create({
    ...options,
    pool: {
      dial: async () => {
        bench.dials += 1
        const socket = net.connect({ port: rogue.port, host: '127.0.0.1', allowHalfOpen: true })
        await once(socket, 'connect')
        return socket
      },
      ...options.pool,
    },
  })
  let count = 0
  const rogue = await listen((socket) => {
    const tls = serverTls(socket, () => bench.serverCredentials.context)
    tls.on('error', () => {})
    tls.once('secure', () => {
      const session = http2.performServerHandshake(tls, { settings: options.settings ?? {} })
      session.on('error', () => {})
      session.on('stream', (stream) => stream.on('error', () => {}))
      count += 1
      onSession(session, count)
    })
  })
  rogue.server.unref()
  return Object.assign(bench, { rogue: rogue.server })
}

const answer = (session: http2.ServerHttp2Session) => {
  session.on('stream', (stream) => {
    stream.respond({ ':status': 200 })
    stream.end('answer')
    stream.resume()
  })
}

t.test('300 tunnels at once share one dial for each 100, and all work', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const opened = await Promise.all(Array.from({ length: 300 }, () => bench.connect()))
  t.equal(bench.dials, 3)
  t.equal(bench.pool.sessions, 3)
  const echoes = opened.map(async ({ stream }, index) => {
    stream.end(`tunnel ${index}`)
    return (await readAll(stream)).toString()
  })
  t.same(
    await Promise.all(echoes),
    opened.map((_, index) => `tunnel ${index}`),
  )
  await bench.connect()
  t.equal(bench.dials, 3, 'a place that became free is used again')
  await bench.close()
})

t.test('a key shares a session only with itself', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  await bench.connect()
  await bench.connect()
  t.equal(bench.dials, 1)
  await bench.connect({ sourceUid: 'h1/shop/frontend/2' })
  await bench.connect({ sourceAddress: '127.0.0.2' })
  await bench.connect({ destinationUid: 'h2/shop/orders/2' })
  await bench.connect({ expectedIdentities: [`${serverIdentity}2`, serverIdentity] })
  await bench.connect({ sourceIdentity: `${clientIdentity}2` })
  t.equal(bench.dials, 6)
  await bench.close()
})

t.test('the stream limit of the peer is kept', async (t) => {
  const bench = await Bench.create({ onConnect: echo, serverLimits: { serverMaxStreams: 7 } })
  await Promise.all(Array.from({ length: 20 }, () => bench.connect()))
  t.equal(bench.dials, 3)
  await bench.close()
})

t.test('a peer that allows no streams is an error and no endless dialling', async (t) => {
  const bench = await misbehaving(() => {}, { settings: { maxConcurrentStreams: 0 } })
  await t.rejects(bench.connect(), { code: 'LIMIT_REACHED' })
  t.equal(bench.dials, 1)
  await bench.close()
})

t.test('an error while connecting reaches every waiter, and the next attempt starts afresh', async (t) => {
  let fail = true
  let dials = 0
  const bench: Bench = await Bench.create({
    onConnect: echo,
    pool: {
      dial: async () => {
        dials += 1
        if (fail) throw new MeshError('CONNECT_FAILED', 'connection refused')
        return bench.raw()
      },
    },
  })
  const attempts = await Promise.allSettled(Array.from({ length: 10 }, () => bench.connect()))
  t.ok(attempts.every((attempt) => attempt.status === 'rejected' && attempt.reason.code === 'CONNECT_FAILED'))
  t.equal(dials, 1)
  fail = false
  await bench.connect()
  t.equal(dials, 2)
  await bench.close()
})

t.test('a waiter that gives up leaves the shared connect to the others', async (t) => {
  const gate = Promise.withResolvers<void>()
  let dials = 0
  const bench: Bench = await Bench.create({
    onConnect: echo,
    pool: {
      dial: async () => {
        dials += 1
        await gate.promise
        return bench.raw()
      },
    },
  })
  const abort = new AbortController()
  const first = bench.connect({}, abort.signal)
  const second = bench.connect()
  abort.abort(new MeshError('POLICY_DENIED', 'changed'))
  await t.rejects(first, { code: 'POLICY_DENIED' })
  gate.resolve()
  await second
  t.equal(dials, 1)
  await bench.close()
})

const deaths: readonly [string, (session: http2.ServerHttp2Session, stream: http2.ServerHttp2Stream) => void][] = [
  // Node writes the last stream it saw for 0; 1 is a stream that this server never opened for an answer.
  ['GOAWAY that excludes the stream', (session) => session.goaway(0, 1)],
  ['the end of the session', (session) => session.destroy()],
  ['a refused stream', (_, stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)],
  ['a reset', (_, stream) => stream.close(http2.constants.NGHTTP2_CANCEL)],
]

t.test('a CONNECT without an answer is repeated once on a fresh session after', async (t) => {
  for (const [name, kill] of deaths) {
    const bench = await misbehaving((session, count) => {
      if (count > 1) return answer(session)
      session.on('stream', (stream, headers) => {
        if (headers[':authority'] === 'first:1') stream.respond({ ':status': 200 })
        else kill(session, stream)
      })
    })
    await bench.connect({}, AbortSignal.timeout(5_000), 'first:1')
    const { stream } = await bench.connect()
    t.equal((await readAll(stream)).toString(), 'answer', name)
    t.equal(bench.dials, 2, name)
    await bench.close()
    bench.rogue.close()
  }
})

t.test('a CONNECT that is never answered by two sessions is unavailable', async (t) => {
  const bench = await misbehaving((session) => session.on('stream', () => session.destroy()))
  await t.rejects(bench.connect(), { code: 'TUNNEL_UNAVAILABLE' })
  t.equal(bench.dials, 2)
  await bench.close()
  bench.rogue.close()
})

t.test('a CONNECT that the server did not look at is repeated more than once, but not for ever', async (t) => {
  const refuse = (session: http2.ServerHttp2Session) =>
    session.on('stream', (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM))
  const fourth = await misbehaving((session, count) => (count < 4 ? refuse(session) : answer(session)))
  const { stream } = await fourth.connect()
  t.equal((await readAll(stream)).toString(), 'answer')
  t.equal(fourth.dials, 4)
  await fourth.close()
  fourth.rogue.close()

  const never = await misbehaving((session) => refuse(session))
  await t.rejects(never.connect(), { code: 'TUNNEL_UNAVAILABLE' })
  t.equal(never.dials, 4)
  await never.close()
  never.rogue.close()
})

t.test('a denial is final', async (t) => {
  const bench = await Bench.create({ onConnect: (connect) => connect.reject(401) })
  await t.rejects(bench.connect(), { code: 'TUNNEL_DENIED' })
  t.equal(bench.dials, 1)
  await bench.close()
})

t.test('a server that stops while tunnels are opened costs no request', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  await bench.connect()
  const second = await Bench.create({ onConnect: echo })
  let target = bench
  const pool = await Bench.create({ onConnect: echo, pool: { dial: () => target.raw() } })
  pool.serverCredentials = bench.serverCredentials
  // All certificates must be of one authority: the second server takes over those of the first.
  second.serverCredentials = bench.serverCredentials
  const credentials = bench.clientCredentials
  pool.clientCredentials = credentials
  const requests: Promise<string>[] = []
  for (let count = 0; count < 200; count += 1) {
    if (count === 100) {
      target = second
      bench.tunnels.drain(10_000)
    }
    requests.push(
      pool.connect().then(async ({ stream }) => {
        stream.end('x')
        return (await readAll(stream)).toString()
      }),
    )
    if (count % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  t.same(new Set(await Promise.all(requests)), new Set(['x']))
  for (const each of [pool, second, bench]) await each.close()
})

t.test('an idle session closes, and the next tunnel opens another', async (t) => {
  const bench = await Bench.create({ onConnect: echo, poolLimits: { idleTimeoutMs: 40 } })
  const { stream } = await bench.connect()
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.equal(bench.pool.sessions, 1, 'a stream keeps its session')
  stream.end()
  await readAll(stream)
  await eventually('idle close', () => bench.pool.sessions === 0 && bench.tunnels.sessions === 0)
  await bench.connect()
  t.equal(bench.dials, 2)
  t.same(bench.errors, [])
  await bench.close()
})

t.test('a renewed certificate opens new sessions, and established streams live on', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const { stream } = await bench.connect()
  stream.write('before ')
  bench.clientCredentials = createCredentials(await bench.ca.leaf(clientIdentity))
  await bench.connect()
  t.equal(bench.dials, 2)
  t.equal(bench.pool.sessions, 2)
  stream.end('after')
  t.equal((await readAll(stream)).toString(), 'before after')
  await eventually('the old session closes when empty', () => bench.pool.sessions === 1)
  await bench.close()
})

t.test('a session takes no new streams after the certificate of either side ended', async (t) => {
  for (const side of ['server', 'client'] as const) {
    const bench = await Bench.create({ onConnect: echo })
    const short = async (identity: string) =>
      createCredentials(await bench.ca.leaf(identity, { notBefore: Date.now() - 5_000, notAfter: Date.now() + 2_000 }))
    if (side === 'server') bench.serverCredentials = await short(serverIdentity)
    else bench.clientCredentials = await short(clientIdentity)
    const { stream } = await bench.connect()
    if (side === 'server') bench.serverCredentials = createCredentials(await bench.ca.leaf(serverIdentity))
    else {
      const { notAfter } = bench.clientCredentials
      await eventually('expired', () => Date.now() > notAfter)
      await t.rejects(bench.connect(), { code: 'CERTIFICATE_UNAVAILABLE' }, side)
      bench.clientCredentials = createCredentials(await bench.ca.leaf(clientIdentity))
    }
    await eventually('a second session', () => Date.now() > 0 && bench.dials >= 1)
    const until = Date.now() + 5_000
    while (bench.dials < 2 && Date.now() < until) {
      const next = await bench.connect()
      next.stream.destroy()
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    t.equal(bench.dials, 2, side)
    stream.end('still here')
    t.equal((await readAll(stream)).toString(), 'still here', side)
    await bench.close()
  }
})

t.test('retire takes the keys of its predicate out of use, connects under way included', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const { stream } = await bench.connect()
  await bench.connect({ destinationUid: 'other' })
  bench.pool.retire((key) => key.destinationUid !== 'other')
  await bench.connect({ destinationUid: 'other' })
  t.equal(bench.dials, 2)
  const opening = bench.connect()
  await eventually('dialled', () => bench.dials === 3)
  bench.pool.retire((key) => key.destinationUid !== 'other')
  await opening
  t.equal(bench.dials, 4, 'a connect that began before is not used')
  stream.end('still here')
  t.equal((await readAll(stream)).toString(), 'still here')
  await bench.close()
})

t.test('a server that answers no PING loses the session, and its streams fail', async () => {
  const bench = await Bench.create({ onConnect: echo, poolLimits: { pingIntervalMs: 30, pingTimeoutMs: 150 } })
  const { stream } = await bench.connect()
  const failed = once(stream.resume(), 'error')
  Reflect.get(bench.accepted[0]!, '_handle').readStop()
  await failed
  await eventually('the session is gone', () => bench.pool.sessions === 0)
  await bench.close()
})

t.test('every step has a deadline', async (t) => {
  const silent = await listen((socket) => socket.resume())
  const limits = { tcpConnectTimeoutMs: 60, handshakeTimeoutMs: 60, responseTimeoutMs: 60 }

  const never = await Bench.create({ poolLimits: limits, pool: { dial: () => new Promise(() => {}) } })
  await t.rejects(never.connect(), { code: 'TUNNEL_TIMEOUT', message: /TCP.*15008|TCP.*NetworkPolicy/ })
  await never.close()

  const mute: Bench = await Bench.create({
    poolLimits: limits,
    pool: {
      dial: async () => {
        const socket = net.connect(silent.port, '127.0.0.1')
        await once(socket, 'connect')
        return socket
      },
    },
  })
  await t.rejects(mute.connect(), { code: 'TUNNEL_TIMEOUT', message: /handshake/ })
  await mute.close()

  const undecided = await Bench.create({ onConnect: () => {}, poolLimits: { responseTimeoutMs: 60 } })
  await t.rejects(undecided.connect(), { code: 'TUNNEL_TIMEOUT', message: /did not answer/ })
  t.equal(undecided.dials, 1, 'a late answer is not asked for twice')
  await undecided.close()
  silent.server.close()
})

t.test('closing waits for streams, takes nothing new, and cuts at the deadline', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const { stream } = await bench.connect()
  const closing = bench.pool.close(10_000)
  await t.rejects(bench.connect(), { code: 'DRAINING' })
  stream.end('last words')
  t.equal((await readAll(stream)).toString(), 'last words')
  await closing
  t.equal(bench.pool.sessions, 0)
  await bench.close()

  const stuck = await Bench.create({ onConnect: echo })
  const held = (await stuck.connect()).stream
  const failed = once(held.resume(), 'error')
  await stuck.pool.close(30)
  await failed
  t.equal(stuck.pool.sessions, 0)
  await stuck.close()
})
