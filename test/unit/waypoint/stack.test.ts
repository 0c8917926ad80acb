// The whole stack over a played upstream: where a request goes, what is told of it, and what a change of the model does to it.
import t from 'tap'
import { replayBudget } from '../../../waypoint/layers/client-body.ts'
import {
  keyOf,
  receive,
  route,
  scene,
  seeded,
  service,
  settled,
  toService,
  workload,
} from '../../helpers/waypoint-scene.ts'

t.test('without routes a request goes to the service that was asked for, with what a mesh adds', async (t) => {
  const { ask, upstream, told } = scene()
  upstream.script = (attempt) => attempt.answer(200, { server: 'app' }, 'hello')
  const { status, body, headers } = await ask({ path: '/a/./b?x=1', headers: { 'x-forwarded-for': '1.2.3.4' } })
  t.same([status, body, headers.flat], [200, 'hello', ['server', 'app']])
  const { path, headers: sent, target } = upstream.last
  t.equal(path, '/a/b?x=1')
  t.same(sent.flat, ['x-forwarded-for', '1.2.3.4, 10.9.9.9', 'x-forwarded-proto', 'http', 'x-request-id', 'id-1'])
  t.match(target, { address: { port: 8080 }, service: 'orders.shop.svc.cluster.local', protocol: 'auto' })
  t.match(told, [{ status: 200, attempts: 1, endpoint: 'v1', flags: [], responseBytes: 5, ending: undefined }])
})

t.test("the caller's request id is kept", async (t) => {
  const { ask, upstream } = scene()
  await ask({ headers: { 'x-request-id': 'mine', 'x-forwarded-proto': 'https' } })
  t.same(upstream.last.headers.all('x-request-id'), ['mine'])
  t.same(upstream.last.headers.all('x-forwarded-proto'), ['https'])
})

t.test('a path that cannot be normalised is refused, and nobody is asked', async (t) => {
  let asked = 0
  const { ask, upstream, told } = scene({
    authorize: () => {
      asked += 1
      return undefined
    },
  })
  t.equal((await ask({ path: '/a%00b' })).status, 400)
  t.same([asked, upstream.tries.length, told.length], [0, 0, 1])
})

t.test('policy sees the normalised path, and a denial goes no further', async (t) => {
  const paths: string[] = []
  const { ask, upstream, told, grpc, model } = scene({
    authorize: (request) => {
      paths.push(request.path)
      return request.path.startsWith('/admin')
        ? { status: 403, grpcStatus: 7, text: 'RBAC: access denied', reason: 'shop/deny' }
        : undefined
    },
  })
  model.route(route({ filters: { fault: { abort: { status: 418, share: 1 } } } }))
  t.equal((await ask({ path: '/x/..//%61dmin' })).status, 418)
  t.equal((await ask({ path: '/x/../%61dmin' })).status, 403)
  const call = await ask(grpc({ path: '/admin.Api/Get' }))
  t.same([call.status, call.headers.get('grpc-status')], [200, '7'])
  t.same(paths, ['//admin', '/admin', '/admin.Api/Get'])
  t.equal(upstream.tries.length, 0)
  t.match(told.at(-1), { flags: ['UAEX'], reason: 'shop/deny', grpcStatus: 7 })
})

t.test('policy that takes its time, and policy that breaks: 500 and nothing is sent', async (t) => {
  const slow = scene({ authorize: async () => ({ status: 401, grpcStatus: 16, text: 'no', reason: 'jwt' }) })
  t.equal((await slow.ask()).status, 401)
  const broken = scene({ authorize: () => Promise.reject(new Error('broken')) })
  t.equal((await broken.ask()).status, 500)
  t.same([slow.upstream.tries.length, broken.upstream.tries.length], [0, 0])
})

t.test('statuses as the specifications say', async (t) => {
  const { ask, model, stack, upstream, told, grpc } = scene()
  const path = { kind: 'exact', value: '/only' } as const
  model.route(route({ matches: [{ path }] }))
  t.equal((await ask({ path: '/other' })).status, 404, 'a route is attached, none matches')
  t.equal((await ask(grpc())).headers.get('grpc-status'), '12')
  t.match(told[0], { flags: ['NR'], status: 404, attempts: 0 })
  for (const status of [500, 503] as const) {
    const backend = { kind: 'invalid', status, reason: 'BackendNotFound', message: 'Service nope' } as const
    model.route(route({ action: { kind: 'forward', destinations: [{ weight: 1, backend, filters: {} }] } }))
    stack.update()
    const answer = await ask()
    t.equal(answer.status, status)
    t.notMatch(answer.body, 'nope', 'names of objects are no business of callers')
    t.equal((await ask(grpc())).headers.get('grpc-status'), '14')
  }
  t.equal(upstream.tries.length, 0)
  model.route(route())
  model.remove('uid-v1')
  stack.update()
  const { status, body } = await ask()
  t.same([status, body], [503, 'no healthy upstream'])
  t.match(told.at(-1), { flags: ['UH'], attempts: 0 })
})

t.test('10,000 requests over 90/10 stay within half a point, with a backend of weight 0 that gets none', async (t) => {
  const { ask, model, upstream, stack } = scene()
  for (const name of ['a', 'b', 'c']) {
    model.add(service(name), workload(name, { services: [{ service: keyOf(name), ports: { '80': 80 } }] }))
  }
  model.route(
    route({ action: { kind: 'forward', destinations: [toService('a', 90), toService('b', 10), toService('c', 0)] } }),
  )
  stack.update()
  for (let count = 0; count < 10_000; count += 1) await ask()
  const share = upstream.names.filter((name) => name === 'a').length / 10_000
  t.ok(Math.abs(share - 0.9) < 0.005, `${share}`)
  t.notOk(upstream.names.includes('c'))
})

t.test('subsets take the workloads with their labels', async (t) => {
  const { ask, model, upstream, stack } = scene()
  model.add(workload('v2', { labels: { app: 'orders', version: 'v2' } }))
  const { backend } = toService('orders')
  if (backend.kind !== 'service') throw new Error('a service')
  const destination = {
    weight: 1,
    filters: {},
    backend: { ...backend, subset: { name: 'v2', labels: { version: 'v2' } } },
  }
  model.route(route({ action: { kind: 'forward', destinations: [destination] } }))
  stack.update()
  for (let count = 0; count < 10; count += 1) await ask()
  t.same(new Set(upstream.names), new Set(['v2']))
})

t.test("traffic to a workload's own address goes to that workload, routes or not, healthy or not", async (t) => {
  const { ask, model, upstream, origin } = scene()
  const target = workload('v9', { health: 'unhealthy' })
  model.add(target)
  model.route(route({ action: { kind: 'respond', status: 418 } }))
  const own = { ...origin, service: undefined, target, destination: { address: '10.0.0.1', port: 9090 } }
  t.equal((await ask({ origin: own })).status, 200)
  t.match(upstream.last.target, { workload: { name: 'v9' }, address: { port: 9090 }, service: undefined })
  model.remove(target.uid)
  t.equal((await ask({ origin: { ...own, target: undefined } })).status, 503)
})

t.test('consumer routes hold for the clients of their namespace, by the identity of the caller', async (t) => {
  const { ask, model, stack, origin } = scene()
  const answer = (status: number) =>
    ({ precedence: 'first', routes: [route({ action: { kind: 'respond', status } })] }) as const
  model.tables.set(`${keyOf('orders')} 80`, {
    service: keyOf('orders'),
    port: 80,
    everyone: answer(201),
    consumers: { web: answer(202) },
  })
  stack.update()
  t.equal((await ask()).status, 202)
  const other = { ...origin, identity: { ...origin.identity, namespace: 'else' } }
  t.equal((await ask({ origin: other })).status, 201)
})

t.test('direct responses and redirects', async (t) => {
  const { ask, model, stack, upstream } = scene()
  const text = { kind: 'text', text: 'down' } as const
  const filters = { response: { set: [{ name: 'X-Set', value: '1' }], add: [], remove: [] } }
  model.route(route({ filters, action: { kind: 'respond', status: 503, body: text } }))
  const down = await ask()
  t.same([down.status, down.body, down.headers.get('x-set')], [503, 'down', '1'])
  t.equal((await ask({ method: 'HEAD' })).body, '')
  model.route(route({ action: { kind: 'redirect', redirect: { status: 302, port: 'frontend', host: 'example.org' } } }))
  stack.update()
  for (const path of ['/a?b=c', '/other']) {
    const { status, headers } = await ask({ path })
    t.same([status, headers.get('location')], [302, `http://example.org${path}`])
  }
  t.equal(upstream.tries.length, 0)
})

t.test(
  'requests under way end as they began when routes swap and endpoints leave; new ones see the new model',
  async (t) => {
    const { model, stack, upstream, exchange, told, ask } = scene()
    model.add(workload('v2'))
    model.route(route())
    stack.update()
    upstream.script = undefined
    const coming = Array.from({ length: 20 }, () => stack.handle(exchange()))
    await settled()
    t.equal(upstream.tries.length, 20)
    model.remove('uid-v1')
    model.route(route({ action: { kind: 'respond', status: 418 } }))
    stack.update()
    t.equal((await ask()).status, 418)
    for (const attempt of upstream.tries) attempt.answer(200, {}, 'old')
    for (const answer of await Promise.all(coming)) t.equal((await receive(answer)).body, 'old')
    t.equal(told.filter(({ status }) => status === 200).length, 20)
    const [orders] = stack.stats().clusters
    t.match(orders?.endpoints, [{ key: 'uid-v2 8080', active: 0 }])
    t.match(orders?.circuit.requests, { used: 0 })
  },
)

t.test('an update that changes nothing keeps clusters and endpoints with what is under way', async (t) => {
  const { stack, upstream, exchange, model } = scene()
  upstream.script = undefined
  const coming = stack.handle(exchange())
  await settled()
  model.add(workload('v2'))
  stack.update()
  t.match(stack.stats().clusters[0]?.endpoints, [
    { key: 'uid-v1 8080', active: 1 },
    { key: 'uid-v2 8080', active: 0 },
  ])
  upstream.last.answer(200)
  await receive(await coming)
  t.match(stack.stats().clusters[0]?.endpoints, [{ active: 0 }, { active: 0 }])
})

t.test('a service that is gone: its clusters go, connections to it are answered, and it may come back', async (t) => {
  const { stack, model, ask } = scene()
  await ask()
  const [orders] = [...model.services.values()]
  model.services.clear()
  model.remove('uid-v1')
  stack.update()
  t.same([stack.stats().frontends, stack.stats().clusters.length], [0, 0])
  t.equal((await ask()).status, 503)
  model.add(orders!, workload('v1'))
  stack.update()
  t.equal((await ask()).status, 200)
})

t.test('a client that goes away ends the try, and everything is given back', async (t) => {
  const { stack, upstream, exchange, told, time } = scene()
  upstream.script = undefined
  const request = exchange()
  const coming = stack.handle(request)
  await settled()
  request.abandon('client')
  ;(await coming).body.cancel()
  t.match(told, [{ status: 0, flags: ['DC'], attempts: 1 }])
  t.match(stack.stats().clusters[0], { circuit: { requests: { used: 0 } }, endpoints: [{ active: 0 }] })
  t.equal(time.waiting, 0)
})

t.test('an answer counts until its body has ended, was cancelled or broke off', async (t) => {
  const { stack, upstream, exchange, told } = scene()
  upstream.script = undefined
  for (const how of ['end', 'cancel', 'fail'] as const) {
    const coming = stack.handle(exchange())
    await settled()
    const body = upstream.last.stream(200)
    const answer = await coming
    body.push(Buffer.from('some'))
    t.match(stack.stats().clusters[0]?.endpoints, [{ active: 1 }])
    if (how === 'cancel') answer.body.cancel()
    else {
      const received = receive(answer)
      if (how === 'end') body.end()
      else upstream.last.exchange.abandon('client')
      await received
    }
    t.match(stack.stats().clusters[0]?.endpoints, [{ active: 0 }])
  }
  t.same(
    told.map(({ ending, responseBytes }) => [ending, responseBytes]),
    [
      [undefined, 4],
      ['client', 0],
      ['client', 4],
    ],
  )
})

t.test('a port that the service does not have: nobody is asked, and nothing is kept for it', async (t) => {
  const { ask, origin, stack, upstream } = scene()
  for (let port = 1_000; port < 1_100; port += 1) {
    t.equal((await ask({ origin: { ...origin, destination: { ...origin.destination, port } } })).status, 503)
  }
  t.same([upstream.tries.length, stack.stats().frontends, stack.stats().clusters.length], [0, 0, 0])
})

t.test('a client that tries all ports of a workload fills no memory', async (t) => {
  const { ask, origin, stack, model } = scene()
  const target = workload('v9')
  model.add(target)
  for (let port = 1; port <= 6_000; port += 1) {
    await ask({ origin: { ...origin, service: undefined, target, destination: { address: '10.0.0.1', port } } })
  }
  t.same([stack.stats().frontends, stack.stats().clusters.length], [4_096, 4_096])
})

t.test('a cluster for one connection is not kept', async (t) => {
  const { stack, model } = scene()
  model.add(workload('v9'))
  const { table, balancer } = stack.clusters.onceOfWorkload('uid-v9', 9_090)
  t.match(balancer.pick()?.facts, { target: { port: 9_090 } })
  t.equal(table.members.length, 1)
  t.equal(stack.stats().clusters.length, 0)
})

t.test('a destination that no route leads to any more goes after a while, not at once', async (t) => {
  const { ask, stack, model, time } = scene()
  const { backend } = toService('orders')
  if (backend.kind !== 'service') throw new Error('a service')
  const to = (version: string) => {
    const subset = { name: 'some', labels: { version } }
    model.add(workload(version, { labels: { version } }))
    model.route(
      route({
        action: { kind: 'forward', destinations: [{ weight: 1, filters: {}, backend: { ...backend, subset } }] },
      }),
    )
    stack.update()
  }
  for (const version of ['a', 'b']) {
    to(version)
    await ask()
  }
  stack.update()
  t.equal(stack.stats().clusters.length, 2)
  time.now += 600_000
  stack.update()
  t.equal(stack.stats().clusters.length, 1)
})

t.test('5,000 requests while routes, policies and endpoints change all the time: none is lost', async (t) => {
  const random = seeded(7)
  const { stack, model, time, ask, upstream, told } = scene()
  const names = ['v1', 'v2', 'v3', 'v4', 'v5']
  model.add(workload('v2'))
  stack.update()
  upstream.script = (attempt) => {
    if (!model.workloads.has(attempt.target.workload.uid)) attempt.fail('connect')
    else time.timers.start(() => attempt.answer(200, {}, 'ok'), random() * 50)
  }
  const change = () => {
    const name = names[Math.floor(random() * names.length)]!
    const others = [...model.workloads.values()].filter((each) => each.health === 'healthy' && each.name !== name)
    // two at least: of one that leaves the stack hears late
    const enough = others.length >= 2
    if (model.workloads.has(`uid-${name}`) && enough) model.remove(`uid-${name}`)
    else model.add(workload(name, { health: random() < 0.2 && enough ? 'unhealthy' : 'healthy' }))
    const kinds = ['round-robin', 'least-request', 'random', 'peak-ewma'] as const
    if (random() < 0.3) model.treat({ loadBalancing: { kind: kinds[Math.floor(random() * 4)]! } })
    if (random() < 0.5) model.route(route(random() < 0.5 ? {} : { timeoutMs: 10_000 }))
  }
  const all: Promise<{ readonly status: number; readonly body: string }>[] = []
  for (let round = 0; round < 500; round += 1) {
    change()
    // the stack hears of it late, as from a feed
    for (let count = 0; count < 10; count += 1) all.push(ask({ method: 'POST', body: 'order' }))
    await time.pass(100)
    stack.update()
  }
  await time.pass(1_000)
  const lost = (await Promise.all(all)).filter(({ status, body }) => status !== 200 || body !== 'ok')
  t.same(lost, [])
  t.equal(told.length, 5_000)
  t.ok(told.some(({ attempts }) => attempts > 1))
  stack.update()
  for (const { circuit, endpoints } of stack.stats().clusters) {
    t.match(circuit, { requests: { used: 0 }, retries: { used: 0 } })
    t.ok(endpoints.every(({ active }) => active === 0))
  }
  t.equal(time.waiting, 0)
  t.equal(replayBudget.bytes, 0)
})
