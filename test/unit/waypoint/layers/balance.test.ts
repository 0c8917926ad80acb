// Where requests go: hash keys, sessions, locality, and what balancing knows of them.
import t from 'tap'
import type { LoadBalancing } from '../../../../core/model/destinations.ts'
import type { SessionPersistence } from '../../../../core/model/routes.ts'
import { keyOf, route, scene, service, settled, toService, workload } from '../../../helpers/waypoint-scene.ts'

const workloads = ['v1', 'v2', 'v3', 'v4', 'v5'].map((name) => workload(name))

function balanced(loadBalancing?: LoadBalancing, options = {}) {
  const found = scene(options)
  found.model.add(...workloads)
  if (loadBalancing !== undefined) found.model.treat({ loadBalancing })
  found.stack.update()
  return found
}

const ring = { kind: 'ring', minimumSize: 1_024 } as const

t.test('one value of a header goes to one endpoint, many to all', async (t) => {
  const { ask, upstream } = balanced({ kind: 'hash', key: { kind: 'header', name: 'x-user' }, table: ring })
  for (let count = 0; count < 20; count += 1) await ask({ headers: { 'x-user': 'a' } })
  t.equal(new Set(upstream.names).size, 1)
  for (let count = 0; count < 100; count += 1) await ask({ headers: { 'x-user': `user ${count}` } })
  t.equal(new Set(upstream.names).size, 5)
})

t.test('when an endpoint leaves, only its keys move; when it is back, they come back', async (t) => {
  const { ask, upstream, model, stack } = balanced({
    kind: 'hash',
    key: { kind: 'query', name: 'u' },
    table: { kind: 'maglev', size: 65_537 },
  })
  const where = async () => {
    const from = upstream.tries.length
    for (let count = 0; count < 200; count += 1) await ask({ path: `/?u=${count}` })
    return upstream.names.slice(from)
  }
  const before = await where()
  model.remove('uid-v3')
  stack.update()
  const without = await where()
  t.ok(before.filter((name, index) => name !== 'v3' && name !== without[index]).length < 20)
  model.add(workloads[2]!)
  stack.update()
  t.same(await where(), before)
})

t.test('who has no cookie gets one that leads back to the same endpoint', async (t) => {
  const key = { kind: 'cookie', name: 'stick', path: '/', ttlMs: 60_000, attributes: [] } as const
  const { ask, upstream } = balanced({ kind: 'hash', key, table: ring })
  const { headers } = await ask()
  const cookie = headers.get('set-cookie')!
  t.match(cookie, /^stick=token\d+; Path=\/; Max-Age=60; HttpOnly$/)
  for (let count = 0; count < 10; count += 1) {
    const again = await ask({ headers: { cookie: `other=1; ${cookie.split(';')[0]}` } })
    t.notOk(again.headers.has('set-cookie'))
  }
  t.equal(new Set(upstream.names).size, 1)
})

t.test('the address of the caller is a key', async (t) => {
  const { ask, upstream, origin } = balanced({ kind: 'hash', key: { kind: 'source' }, table: ring })
  for (let count = 0; count < 60; count += 1)
    await ask({ origin: { ...origin, address: { address: `10.9.0.${count}`, port: 1 } } })
  t.equal(new Set(upstream.names).size, 5)
  const from = upstream.tries.length
  for (let count = 0; count < 10; count += 1) await ask()
  t.equal(new Set(upstream.names.slice(from)).size, 1)
})

t.test('the fewest requests under way, by default', async (t) => {
  const { stack, exchange, upstream } = balanced()
  upstream.script = undefined
  for (let count = 0; count < 50; count += 1) void stack.handle(exchange())
  await settled()
  const counts = workloads.map(({ name }) => upstream.names.filter((each) => each === name).length)
  t.ok(Math.max(...counts) - Math.min(...counts) <= 4, counts.join())
})

t.test('peak EWMA keeps away from who is slow', async (t) => {
  const { stack, exchange, upstream, time } = balanced({ kind: 'peak-ewma' })
  upstream.script = undefined
  for (let count = 0; count < 300; count += 1) {
    const coming = stack.handle(exchange())
    await settled()
    const attempt = upstream.last
    time.now += attempt.target.workload.name === 'v1' ? 500 : 5
    attempt.answer(200)
    ;(await coming).body.cancel()
  }
  t.ok(upstream.names.filter((name) => name === 'v1').length < 15)
})

const cookie: SessionPersistence = { by: 'cookie', name: 'session', permanent: false, path: '/' }

function withSession(session: SessionPersistence, weights = [1, 1] as readonly number[]) {
  const found = scene()
  const { model, stack } = found
  for (const name of ['a', 'b']) {
    const services = [{ service: keyOf(name), ports: { '80': 80 } }]
    model.add(service(name), workload(`${name}1`, { services }), workload(`${name}2`, { services }))
  }
  const weigh = (a: number, b: number) => {
    const destinations = [toService('a', a), toService('b', b)]
    model.route(route({ session, action: { kind: 'forward', destinations } }))
    stack.update()
  }
  weigh(weights[0]!, weights[1]!)
  return { ...found, weigh }
}

t.test('a session stays with its endpoint, also when the weight of its backend is 0', async (t) => {
  const { ask, upstream, weigh } = withSession(cookie)
  const { headers } = await ask()
  const set = headers.get('set-cookie')!
  t.match(set, /^session=[\w-]{22}; Path=\/; HttpOnly$/)
  const [first] = upstream.names
  const sent = { headers: { cookie: set.split(';')[0]! } }
  if (first!.startsWith('a')) weigh(0, 1)
  else weigh(1, 0)
  for (let count = 0; count < 20; count += 1) t.notOk((await ask(sent)).headers.has('set-cookie'))
  t.same(new Set(upstream.names), new Set([first]))
  for (let count = 0; count < 20; count += 1) await ask()
  t.notOk(upstream.names.slice(-20).includes(first!), 'new sessions follow the weights')
})

t.test('a session whose endpoint is gone, not healthy or made up begins anew', async (t) => {
  const { ask, upstream, model, stack } = withSession(cookie)
  const set = (await ask()).headers.get('set-cookie')!
  const sent = { headers: { cookie: set.split(';')[0]! } }
  const first = upstream.last.target.workload
  model.add({ ...first, health: 'unhealthy' })
  stack.update()
  t.ok((await ask(sent)).headers.has('set-cookie'))
  t.not(upstream.last.target.workload.name, first.name)
  model.remove(first.uid)
  stack.update()
  t.ok((await ask(sent)).headers.has('set-cookie'))
  t.ok((await ask({ headers: { cookie: 'session=uid-a1 80' } })).headers.has('set-cookie'))
})

t.test('a session that no longer holds follows the weights', async (t) => {
  const { ask, upstream, model, weigh } = withSession(cookie, [1, 0])
  const set = (await ask()).headers.get('set-cookie')!
  model.add({ ...upstream.last.target.workload, health: 'unhealthy' })
  weigh(0, 1)
  const from = upstream.tries.length
  for (let count = 0; count < 10; count += 1) await ask({ headers: { cookie: set.split(';')[0]! } })
  t.ok(upstream.names.slice(from).every((name) => name.startsWith('b')))
})

t.test('a retry leaves the endpoint of its session, and the session moves with it', async (t) => {
  const { ask, upstream, time } = withSession(cookie)
  const set = (await ask()).headers.get('set-cookie')!
  const { name } = upstream.last.target.workload
  upstream.script = (attempt) => (attempt.target.workload.name === name ? attempt.fail('connect') : attempt.answer(200))
  const coming = ask({ headers: { cookie: set.split(';')[0]! } })
  await time.pass(10_000)
  const answer = await coming
  t.equal(answer.status, 200)
  t.not(answer.headers.get('set-cookie'), set)
})

t.test('sessions in a header, and sessions that end', async (t) => {
  const { ask, upstream, time } = withSession({
    by: 'header',
    name: 'X-Session',
    permanent: false,
    path: '/',
    absoluteTimeoutMs: 60_000,
  })
  const value = (await ask()).headers.get('x-session')!
  const sent = { headers: { 'x-session': value } }
  for (let count = 0; count < 20; count += 1) await ask(sent)
  t.equal(new Set(upstream.names).size, 1)
  time.now += 61_000
  t.ok((await ask(sent)).headers.has('x-session'))
})

t.test('a permanent cookie lives as long as its session', async (t) => {
  const { ask } = withSession({ ...cookie, permanent: true, absoluteTimeoutMs: 60_000 })
  t.match((await ask()).headers.get('set-cookie'), /^session=[\w-]{22}\.\w+; Path=\/; Max-Age=60; HttpOnly$/)
})

t.test('the nearest serve, and those elsewhere when the near ones are ejected', async (t) => {
  let locality = ''
  const found = scene({ place: () => ({ locality, labels: {} }) })
  const { model, stack, ask, upstream } = found
  model.add(workload('v1', { locality: 'eu/a/1' }), workload('v2', { locality: 'us/a/1' }))
  model.treat({
    outliers: {
      consecutive5xx: 1,
      consecutiveGatewayErrors: 0,
      consecutiveLocalFailures: 5,
      splitLocalOrigin: false,
      statuses: [],
      intervalMs: 10_000,
      baseEjectionMs: 30_000,
      maxEjectionPercent: 100,
      minHealthPercent: 0,
    },
  })
  stack.update()
  for (let count = 0; count < 20; count += 1) await ask()
  t.equal(new Set(upstream.names).size, 2, 'until it knows where it is')
  locality = 'eu/a/1'
  stack.update()
  for (let count = 0; count < 20; count += 1) await ask()
  t.same(new Set(upstream.names.slice(20)), new Set(['v1']))
  upstream.script = (attempt) => attempt.answer(attempt.target.workload.name === 'v1' ? 500 : 200)
  await ask()
  for (let count = 0; count < 5; count += 1) t.equal((await ask()).status, 200)
  t.equal(upstream.last.target.workload.name, 'v2')
})
