// Which connection an exchange gets: kept ones first, of the same caller only, within limits; and what an exchange fails with.
import net from 'node:net'
import t, { type Test } from 'tap'
import { Circuit, type CircuitLimits } from '../../../waypoint/circuit/circuit.ts'
import { type Answer, Exchange, type Origin } from '../../../waypoint/exchange.ts'
import { BodyChannel, emptyBody } from '../../../waypoint/http/body.ts'
import { Failure } from '../../../waypoint/http/failure.ts'
import { Headers } from '../../../waypoint/http/message.ts'
import { webSocketAccept } from '../../../waypoint/http1/websocket.ts'
import type { UpstreamConnection } from '../../../waypoint/upstream/connection.ts'
import { openHttp1 } from '../../../waypoint/upstream/http1.ts'
import { type Dial, UpstreamPool } from '../../../waypoint/upstream/pool.ts'
import type { UpstreamTarget } from '../../../waypoint/upstream/upstream.ts'
import { dialPlain, RawBackend, type RawPeer, testOrigin, until } from '../../helpers/http1-world.ts'
import { workload } from '../../helpers/model.ts'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

class PoolWorld {
  readonly backend = new RawBackend()
  readonly pool: UpstreamPool
  now = 0
  dialled = 0
  dial: Dial = (_origin, target) => dialPlain(target.address)
  target!: UpstreamTarget

  constructor(maxConnections?: number) {
    this.pool = new UpstreamPool({
      dial: (origin, target, signal) => {
        this.dialled += 1
        return this.dial(origin, target, signal)
      },
      open: { http1: openHttp1, http2: openHttp1 },
      clock: () => this.now,
      ...(maxConnections === undefined ? {} : { maxConnections }),
    })
  }

  static async create(t: Test, fields: Partial<UpstreamTarget> = {}, maxConnections?: number): Promise<PoolWorld> {
    const world = new PoolWorld(maxConnections)
    world.target = { workload: workload(), address: await world.backend.listen(), protocol: 'client', ...fields }
    t.teardown(async () => {
      world.backend.close()
      await world.pool.close(0)
    })
    return world
  }

  send(exchange = exchangeOf()): Promise<Answer> {
    const answer = this.pool.send(exchange, this.target)
    answer.catch(() => {})
    return answer
  }

  /** One whole exchange over connection `number` of the backend. */
  async serve(number: number, exchange = exchangeOf(), answer = ok): Promise<void> {
    const sent = this.send(exchange)
    const peer = await this.backend.connection(number)
    await peer.read('\r\n\r\n')
    peer.write(answer)
    await whole(await sent)
  }
}

function exchangeOf(facts: Partial<Pick<Exchange, 'origin' | 'protocol' | 'body'>> = {}): Exchange {
  const head = { method: 'GET', scheme: 'http', authority: 'x', path: '/', headers: new Headers() }
  return new Exchange({ origin: testOrigin, protocol: 'http/1.1', head, body: emptyBody, startedAt: 0, ...facts })
}

function whole(answer: Answer): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    answer.body.read({
      onData: (chunk) => {
        text += chunk.toString('latin1')
      },
      onEnd: () => resolve(text),
      onError: reject,
    })
  })
}

async function failureOf(answer: Promise<unknown>): Promise<Failure> {
  const failure: unknown = await answer.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(failure instanceof Failure)) throw new Error(`no failure: ${failure}`)
  return failure
}

t.test('the connection that was used last is used first, and others become old', async (t) => {
  const w = await PoolWorld.create(t, { idleTimeoutMs: 1_000 })
  const two = [w.send(), w.send()]
  for (const number of [0, 1]) {
    const peer = await w.backend.connection(number)
    await peer.read('\r\n\r\n')
    peer.write(ok)
    await whole(await two[number]!)
  }
  w.now = 900
  await w.serve(1)
  w.now = 1_800
  await w.serve(1)
  t.equal(w.dialled, 2)
  await until(() => w.backend.connections[0]!.ended, 'the other one is closed')
  w.now = 2_800
  await w.serve(2)
  t.equal(w.dialled, 3, 'too old now')
})

t.test('a connection is for one caller, at one address, for one service', async (t) => {
  const w = await PoolWorld.create(t)
  await w.serve(0)
  const others: readonly Origin[] = [
    { ...testOrigin, principal: 'spiffe://cluster.local/ns/shop/sa/other' },
    { ...testOrigin, address: { address: '10.0.0.10', port: 40_000 } },
  ]
  for (const [index, origin] of others.entries()) await w.serve(index + 1, exchangeOf({ origin }))
  await w.serve(0, exchangeOf({ origin: { ...testOrigin, address: { ...testOrigin.address, port: 40_001 } } }))
  w.target = { ...w.target, service: 'other.shop.svc.cluster.local' }
  await w.serve(3)
  t.equal(w.dialled, 4)
})

t.test('a server that says when it closes idle connections is not met by a late request', async (t) => {
  const w = await PoolWorld.create(t)
  await w.serve(0, exchangeOf(), ok.replace('\r\n\r\n', '\r\nKeep-Alive: timeout=5, max=9\r\n\r\n'))
  w.now = 3_900
  await w.serve(0)
  w.now = 8_000
  await w.serve(1)
  t.equal(w.dialled, 2)
})

t.test('a connection ends after so many requests', async (t) => {
  const w = await PoolWorld.create(t, { maxRequestsPerConnection: 2 })
  await w.serve(0)
  await w.serve(0)
  await w.serve(1)
  await until(() => w.backend.connections[0]!.ended, 'the first one is closed')
})

t.test('connections to an endpoint that is gone end with their exchange, idle ones at once', async (t) => {
  const w = await PoolWorld.create(t)
  const slow = w.send()
  const peer = await w.backend.connection(0)
  await peer.read('\r\n\r\n')
  await w.serve(1)
  w.pool.retire(({ workload: { uid } }) => uid === 'somebody else')
  await w.serve(1)
  w.pool.retire(({ workload: { uid } }) => uid === w.target.workload.uid)
  await until(() => w.backend.connections[1]!.ended, 'the idle one is closed')
  peer.write(ok)
  t.equal(await whole(await slow), 'ok')
  await until(() => peer.ended, 'the other one, too')
})

t.test('an idle connection that the server closes, or on which it says something, is not used', async (t) => {
  const w = await PoolWorld.create(t)
  await w.serve(0)
  w.backend.connections[0]!.socket.end()
  await until(() => w.pool.connections === 0, 'it is gone')
  await w.serve(1)
  w.backend.connections[1]!.write('HTTP/1.1 408 Late\r\n\r\n')
  await until(() => w.pool.connections === 0, 'it is gone, too')
  await w.serve(2)
})

t.test('what an exchange fails with, and whether the server may have begun', async (t) => {
  const w = await PoolWorld.create(t, { connectTimeoutMs: 50 })
  const fails = async (name: string, act: (peer: RawPeer) => void, kind: string, started = true) => {
    const sent = w.send()
    const number = w.backend.connections.length
    const peer = await w.backend.connection(number)
    await peer.read('\r\n\r\n')
    act(peer)
    const { kind: found, requestStarted } = await failureOf(sent)
    t.same([found, requestStarted], [kind, started], name)
  }
  await fails('an end', ({ socket }) => socket.end(), 'reset')
  await fails('a reset', ({ socket }) => socket.resetAndDestroy(), 'reset')
  await fails('nonsense', (peer) => peer.write('nonsense nonsense\r\n'), 'malformed')
  await fails('half a head', ({ socket }) => socket.end('HTTP/1.1 200 OK\r\n'), 'malformed')
  w.dial = () => Promise.reject(new Error('nobody there'))
  t.same((await failureOf(w.send())).kind, 'connect')
  t.equal((await failureOf(w.send())).requestStarted, false)
  w.dial = () => Promise.reject(new Failure('denied', 'no'))
  t.same((await failureOf(w.send())).kind, 'denied')
  w.dial = () => new Promise(() => {})
  t.match((await failureOf(w.send())).message, /within 50 ms/)
  t.equal(w.pool.connections, 0)
})

t.test('an exchange can be given up while it waits for a connection and while it waits for an answer', async (t) => {
  const w = await PoolWorld.create(t)
  const first = exchangeOf()
  let signal: AbortSignal | undefined
  w.dial = (_origin, _target, given) => {
    signal = given
    return new Promise(() => {})
  }
  const early = w.send(first)
  first.abandon('try-timeout')
  const failure = await failureOf(early)
  t.same([failure.kind, failure.requestStarted], ['try-timeout', false])
  t.ok(signal?.aborted)
  w.dial = (_origin, target) => dialPlain(target.address)
  const second = exchangeOf()
  const late = w.send(second)
  const peer = await w.backend.connection(0)
  await peer.read('\r\n\r\n')
  second.abandon('timeout')
  const after = await failureOf(late)
  t.same([after.kind, after.requestStarted], ['timeout', true])
  await until(() => peer.closed, 'the server hears of it')
  const dead = exchangeOf()
  dead.abandon('client')
  t.equal((await failureOf(w.send(dead))).kind, 'client')
})

t.test('a body longer or shorter than its length never becomes another request', async (t) => {
  for (const [bytes, length] of [
    ['abcd', 3],
    ['ab', 3],
  ] as const) {
    const w = await PoolWorld.create(t)
    const body = new BodyChannel({}, length)
    const sent = w.send(exchangeOf({ body }))
    const peer = await w.backend.connection(0)
    await peer.read('\r\n\r\n')
    body.push(Buffer.from(bytes))
    body.end()
    t.equal((await failureOf(sent)).kind, 'client')
    await until(() => peer.closed, 'the connection is gone')
  }
})

t.test('an extended CONNECT goes out as GET with a key of ours, whose proof is checked', async (t) => {
  const w = await PoolWorld.create(t, { protocol: 'http1' })
  const upgraded = () => {
    const headers = new Headers(['sec-websocket-protocol', 'chat'])
    const head = { method: 'CONNECT', scheme: 'http', authority: 'x', path: '/ws', headers }
    const body = new BodyChannel({})
    return new Exchange({ origin: testOrigin, protocol: 'h2', head, body, upgrade: 'websocket', startedAt: 0 })
  }
  const exchange = upgraded()
  const sent = w.send(exchange)
  const peer = await w.backend.connection(0)
  const head = await peer.read('\r\n\r\n')
  t.match(head, /^GET \/ws HTTP\/1\.1\r\n/)
  t.match(head, 'sec-websocket-version: 13\r\nconnection: upgrade\r\nupgrade: websocket\r\n')
  const key = /sec-websocket-key: (\S+)/.exec(head)?.[1] ?? ''
  t.notOk(exchange.head.headers.has('sec-websocket-key'), 'another try has another key')
  const proof = webSocketAccept(key)
  peer.write(
    `HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${proof}\r\nSec-WebSocket-Protocol: chat\r\n\r\n`,
  )
  const answer = await sent
  t.ok(answer.upgraded)
  t.same(answer.head.headers.flat, ['sec-websocket-protocol', 'chat'])
  const wrong = w.send(upgraded())
  const other = await w.backend.connection(1)
  await other.read('\r\n\r\n')
  other.write('HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: no\r\n\r\n')
  t.equal((await failureOf(wrong)).kind, 'malformed')
})

t.test('a head that cannot be sent costs no connection', async (t) => {
  const w = await PoolWorld.create(t)
  await w.serve(0)
  const exchange = exchangeOf()
  exchange.head.path = '/a b'
  t.equal((await failureOf(w.send(exchange))).kind, 'internal')
  await w.serve(0)
  t.equal(w.dialled, 1)
})

const limited = (limits: CircuitLimits) => new Circuit<UpstreamConnection>(limits, () => performance.now())

t.test(
  'beyond its limit of connections a destination has a queue, in order, and beyond that an overflow',
  async (t) => {
    const connections = limited({ maxConnections: 1, maxPending: 2 })
    const w = await PoolWorld.create(t, { connections })
    const three = [w.send(), w.send(), w.send()]
    await until(() => connections.toJSON().pending.used === 2, 'two wait')
    t.equal((await failureOf(w.send())).kind, 'overflow')
    const peer = await w.backend.connection(0)
    for (const sent of three) {
      await peer.read('\r\n\r\n')
      peer.write(ok)
      await whole(await sent)
    }
    t.equal(w.dialled, 1)
  },
)

t.test(
  'who waits for a connection gets the place of one that idles, or becomes idle, for another caller',
  async (t) => {
    const connections = limited({ maxConnections: 1 })
    const w = await PoolWorld.create(t, { connections })
    await w.serve(0)
    const other = () => exchangeOf({ origin: { ...testOrigin, principal: 'spiffe://cluster.local/ns/shop/sa/other' } })
    await w.serve(1, other())
    const mine = w.send(other())
    const peer = w.backend.connections[1]!
    await peer.read('\r\n\r\n')
    const waiting = w.send()
    await until(() => connections.toJSON().pending.used === 1, 'one waits')
    peer.write(ok)
    await whole(await mine)
    const third = await w.backend.connection(2)
    await third.read('\r\n\r\n')
    third.write(ok)
    await whole(await waiting)
    t.equal(connections.toJSON().connections.used, 1)
    const given = other()
    const held = w.send()
    await third.read('\r\n\r\n')
    const never = w.send(given)
    await until(() => connections.toJSON().pending.used === 1, 'one waits')
    given.abandon('timeout')
    t.equal((await failureOf(never)).kind, 'timeout')
    t.equal(connections.toJSON().pending.used, 0)
    third.socket.resetAndDestroy()
    t.equal((await failureOf(held)).kind, 'reset')
    await until(() => connections.toJSON().connections.used === 0, 'no place is lost')
  },
)

t.test('a pool holds so many connections, and rather those that are used', async (t) => {
  const w = await PoolWorld.create(t, {}, 2)
  const [one, two] = ['a', 'b'].map((sa) => ({ ...testOrigin, principal: `spiffe://cluster.local/ns/shop/sa/${sa}` }))
  await w.serve(0, exchangeOf({ origin: one! }))
  w.now = 10
  await w.serve(1, exchangeOf({ origin: two! }))
  await w.serve(2)
  await until(() => w.backend.connections[0]!.ended, 'the oldest went')
  t.notOk(w.backend.connections[1]!.ended)
})

t.test('a pool that closes lets what is under way finish, and cuts it in the end', async (t) => {
  const w = await PoolWorld.create(t)
  const [one, two] = [w.send(), w.send()]
  const [first, second] = [await w.backend.connection(0), await w.backend.connection(1)]
  await second.read('\r\n\r\n')
  const closed = w.pool.close(300)
  await first.read('\r\n\r\n')
  first.write(ok)
  const answers = await Promise.allSettled([one, two])
  t.same(answers.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  await closed
  t.equal((await failureOf(w.send())).kind, 'connect')
})

t.test('one connection of HTTP/2 is made for all who wait for it', async (t) => {
  let opened = 0
  const sent: Exchange[] = []
  const shared: Partial<UpstreamConnection> & { served: number } = {
    usable: true,
    active: 0,
    served: 0,
    send: async (exchange) => {
      sent.push(exchange)
      shared.served += 1
      return { head: { status: 200, headers: new Headers() }, body: emptyBody }
    },
    retire: () => {},
    destroy: () => {},
  }
  let dial: (socket: net.Socket) => void = () => {}
  const pool = new UpstreamPool({
    dial: () => new Promise((resolve) => (dial = resolve)),
    open: {
      http1: openHttp1,
      http2: () => {
        opened += 1
        return shared as UpstreamConnection
      },
    },
    clock: () => 0,
  })
  const target: UpstreamTarget = { workload: workload(), address: { address: '10.0.0.1', port: 80 }, protocol: 'auto' }
  const abandoned = exchangeOf({ protocol: 'h2' })
  const all = [abandoned, exchangeOf({ protocol: 'h2' }), exchangeOf({ protocol: 'h2' })].map((exchange) =>
    pool.send(exchange, target),
  )
  abandoned.abandon('client')
  t.equal((await failureOf(all[0]!)).kind, 'client')
  dial(new net.Socket())
  await Promise.all(all.slice(1))
  await pool.send(exchangeOf({ protocol: 'h2' }), target)
  t.equal(opened, 1)
  t.equal(sent.length, 3)
})
