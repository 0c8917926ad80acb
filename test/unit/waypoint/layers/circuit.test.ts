// Limits of a destination through the stack: who waits, who is refused, who comes next.
import t from 'tap'
import type { ConnectionPool } from '../../../../core/model/destinations.ts'
import { type Asked, receive, route, scene, settled } from '../../../helpers/waypoint-scene.ts'

function limited(pool: Partial<ConnectionPool>, timeoutMs?: number) {
  const found = scene()
  found.model.treat({ pool: { protocol: 'default', ...pool } })
  found.model.route(route(timeoutMs === undefined ? {} : { timeoutMs }))
  found.stack.update()
  found.upstream.script = undefined
  const begin = (count: number, asked: Asked = {}) => Array.from({ length: count }, () => found.ask(asked))
  const circuit = () => found.stack.stats().clusters[0]!.circuit
  return { ...found, begin, circuit }
}

t.test('one connection, one that waits: the others are refused, and who waits comes next', async (t) => {
  const { begin, upstream, told, circuit } = limited({ maxConnections: 1, maxPendingRequests: 1 })
  const all = begin(4)
  await settled()
  t.equal(upstream.tries.length, 1)
  t.match(circuit(), { connections: { open: true, used: 1 }, pending: { used: 1, overflows: 2 } })
  t.equal(told.length, 2)
  t.match(told, [{ status: 503, flags: ['UO'], attempts: 0 }, { flags: ['UO'] }])
  upstream.last.answer(200)
  await settled()
  t.equal(upstream.tries.length, 2)
  upstream.last.answer(200)
  const statuses = (await Promise.all(all)).map(({ status }) => status)
  t.same(statuses, [200, 200, 503, 503])
  t.match(circuit(), { connections: { used: 0, open: false }, pending: { used: 0 }, requests: { used: 0 } })
})

t.test('a refused request is told so, and not tried again', async (t) => {
  const { begin, upstream, grpc } = limited({ maxRequests: 1 })
  const [first] = begin(1)
  await settled()
  const refused = await begin(1)[0]!
  t.same([refused.status, refused.headers.get('x-envoy-overloaded')], [503, 'true'])
  const call = await begin(1, grpc())[0]!
  t.same([call.status, call.headers.get('grpc-status')], [200, '14'])
  upstream.last.answer(200)
  t.equal((await first)?.status, 200)
  t.equal(upstream.tries.length, 1)
})

t.test('many requests share a connection of HTTP/2, whose pool asks for each connection', async (t) => {
  const { begin, upstream, circuit, grpc } = limited({ maxConnections: 1, maxPendingRequests: 1 })
  begin(5, grpc())
  await settled()
  t.equal(upstream.tries.length, 5)
  const { connections } = upstream.last.target
  const permit = connections?.take()
  t.ok(permit)
  t.equal(connections?.take(), undefined)
  permit?.release()
  t.match(circuit(), { connections: { used: 0 } })
})

t.test('over HTTP/1.1 the pool asks nobody: its requests have been counted', async (t) => {
  const { begin, upstream } = limited({ maxConnections: 1 })
  begin(1)
  await settled()
  t.equal(upstream.last.target.connections, undefined)
})

t.test('who waits is ended by its deadline and by its client, and leaves its place to the next', async (t) => {
  const { stack, exchange, upstream, time, told, circuit } = limited({ maxConnections: 1, maxPendingRequests: 5 }, 100)
  const first = stack.handle(exchange({ upgrade: 'websocket' }))
  await settled()
  const tunnel = upstream.last.stream(200, {}, true)
  const gone = exchange()
  const second = stack.handle(gone)
  const third = stack.handle(exchange())
  await settled()
  gone.abandon('client')
  ;(await second).body.cancel()
  t.match(circuit(), { pending: { used: 1 } })
  await time.pass(100)
  t.equal((await receive(await third)).status, 504)
  t.match(told, [
    { flags: ['DC'], attempts: 0 },
    { flags: ['UT'], attempts: 0 },
  ])
  t.equal(upstream.tries.length, 1)
  t.match(circuit(), { connections: { used: 1 }, pending: { used: 0 }, requests: { used: 1 } })
  tunnel.end()
  await receive(await first)
  t.match(circuit(), { connections: { used: 0 }, requests: { used: 0 } })
})

t.test('a larger limit lets those in who wait', async (t) => {
  const { begin, upstream, model, stack } = limited({ maxConnections: 1, maxPendingRequests: 10 })
  const all = begin(4)
  await settled()
  model.treat({ pool: { protocol: 'default', maxConnections: 10, maxPendingRequests: 10 } })
  stack.update()
  await settled()
  t.equal(upstream.tries.length, 4)
  for (const attempt of upstream.tries) attempt.answer(200)
  t.ok((await Promise.all(all)).every(({ status }) => status === 200))
})

t.test('what a pool is told of connections is what the rule says', async (t) => {
  const { begin, upstream } = limited({
    connectTimeoutMs: 7,
    idleTimeoutMs: 8,
    maxRequestsPerConnection: 9,
    protocol: 'http2',
  })
  begin(1)
  await settled()
  t.match(upstream.last.target, {
    connectTimeoutMs: 7,
    idleTimeoutMs: 8,
    maxRequestsPerConnection: 9,
    protocol: 'http2',
  })
})
