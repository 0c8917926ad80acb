// Limits of a destination through the stack: who waits, who is refused, who comes next.
import t from 'tap'
import type { ConnectionPool } from '../../../../core/model/destinations.ts'
import { isOverflow } from '../../../../waypoint/circuit/circuit.ts'
import { type Asked, route, scene, settled } from '../../../helpers/waypoint-scene.ts'

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

t.test('so many requests at once, with all their tries; the others are refused', async (t) => {
  const { begin, upstream, told, circuit } = limited({ maxRequests: 2 })
  const all = begin(5)
  await settled()
  t.equal(upstream.tries.length, 2)
  t.match(circuit(), { requests: { open: true, used: 2, overflows: 3 } })
  t.match(told, [{ status: 503, flags: ['UO'], attempts: 0 }, { flags: ['UO'] }, { flags: ['UO'] }])
  for (const attempt of upstream.tries) attempt.answer(200)
  t.same(
    (await Promise.all(all)).map(({ status }) => status),
    [200, 200, 503, 503, 503],
  )
  t.match(circuit(), { requests: { used: 0, open: false } })
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

t.test('the pool asks the circuit of the destination for connections, where they are limited', async (t) => {
  const { begin, upstream, circuit, model, stack } = limited({ maxConnections: 1 })
  begin(1)
  await settled()
  const { connections } = upstream.last.target
  const permit = connections?.connection()
  if (permit === undefined || isOverflow(permit)) throw new Error('no permit')
  t.match(connections?.connection(), { flag: 'UO', limit: 'connections' })
  permit.release()
  t.match(circuit(), { connections: { used: 0 } })
  model.treat({})
  stack.update()
  begin(1)
  await settled()
  t.equal(upstream.last.target.connections, undefined)
})

t.test('a pool whose circuit is full is no reason for another try', async (t) => {
  const { begin, upstream, time } = limited({ maxConnections: 1 })
  upstream.script = (attempt) => attempt.fail('overflow')
  const coming = begin(1)[0]
  await time.pass(1_000)
  const { status, headers } = (await coming)!
  t.same([status, headers.get('x-envoy-overloaded'), upstream.tries.length], [503, 'true', 1])
})

t.test('a larger limit holds at once', async (t) => {
  const { begin, upstream, model, stack } = limited({ maxRequests: 1 })
  begin(1)
  await settled()
  model.treat({ pool: { protocol: 'default', maxRequests: 10 } })
  stack.update()
  begin(4)
  await settled()
  t.equal(upstream.tries.length, 5)
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
