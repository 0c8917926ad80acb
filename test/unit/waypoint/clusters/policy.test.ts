// Which part of a DestinationRule holds for a port and a subset: the most specific place that has it, whole.
import t from 'tap'
import type { Destination, DestinationPolicy } from '../../../../core/model/destinations.ts'
import { circuitLimits, localityOf, outlierOptions } from '../../../../waypoint/clusters/options.ts'
import { policyOf } from '../../../../waypoint/clusters/policy.ts'
import { keyOf, route, scene, settled, toService, workload } from '../../../helpers/waypoint-scene.ts'

const pool = (maxConnections: number, more = {}) =>
  ({ pool: { protocol: 'default', maxConnections, ...more } }) as const
const random: DestinationPolicy = { loadBalancing: { kind: 'random' } }

const destination = {
  service: keyOf('orders'),
  policy: { ...pool(1, { maxRequests: 5 }), ...random },
  ports: { '80': pool(2) },
  subsets: [
    { name: 'v1', labels: { version: 'v1' }, policy: pool(3), ports: { '80': pool(4), '81': {} } },
    { name: 'v2', labels: { version: 'v2' }, policy: {}, ports: {} },
  ],
} as unknown as Destination

t.test('of the port before the whole, of the subset before both, of its port before all; never merged within', (t) => {
  for (const [port, subset, connections] of [
    [81, undefined, 1],
    [80, undefined, 2],
    [81, 'v1', 3],
    [80, 'v1', 4],
    [80, 'v2', 2],
    [80, 'unknown', 2],
  ] as const) {
    const policy = policyOf([destination], port, subset)
    t.equal(policy.pool?.maxConnections, connections, `${port} ${subset}`)
    t.same(policy.loadBalancing, { kind: 'random' })
    if (connections !== 1) t.equal(policy.pool?.maxRequests, undefined)
  }
  t.same(policyOf([], 80, undefined), {})
  t.end()
})

t.test('of several destinations the first; a subset may be in any', (t) => {
  const other = {
    ...destination,
    policy: pool(9),
    ports: {},
    subsets: [{ name: 'v9', labels: {}, policy: random, ports: {} }],
  }
  t.equal(policyOf([destination, other], 81, undefined).pool?.maxConnections, 1)
  t.same(policyOf([other, destination], 81, 'v9').loadBalancing, { kind: 'random' })
  t.equal(policyOf([other, destination], 81, 'v1').pool?.maxConnections, 3)
  t.end()
})

t.test('words of the model and of the parts', (t) => {
  t.same(localityOf(''), undefined)
  t.same(localityOf('eu/a'), { region: 'eu', zone: 'a', subzone: undefined })
  t.same(circuitLimits(undefined), {
    maxConnections: undefined,
    maxPending: undefined,
    maxRequests: undefined,
    maxRetries: undefined,
    maxRequestsPerConnection: undefined,
  })
  const outliers = {
    consecutive5xx: 1,
    consecutiveGatewayErrors: 2,
    consecutiveLocalFailures: 3,
    splitLocalOrigin: true,
    statuses: [500],
    intervalMs: 4,
    baseEjectionMs: 400_000,
    maxEjectionPercent: 6,
    minHealthPercent: 7,
  }
  t.match(outlierOptions(outliers), {
    consecutiveLocalOriginFailures: 3,
    errorCodes: [500],
    baseEjectionMs: 400_000,
    maxEjectionMs: 400_000,
  })
  t.equal(outlierOptions({ ...outliers, statuses: [] }).errorCodes, undefined)
  t.end()
})

t.test('subsets have limits and state of their own', async (t) => {
  const { model, stack, upstream, ask } = scene()
  for (const version of ['v1', 'v2']) model.add(workload(version, { labels: { version } }))
  const { backend } = toService('orders')
  if (backend.kind !== 'service') throw new Error('a service')
  const to = (version: string) => ({
    weight: 1,
    filters: {},
    backend: { ...backend, subset: { name: version, labels: { version } } },
  })
  const exact = (value: string) => [{ path: { kind: 'exact', value } as const }]
  model.route(
    route({ matches: exact('/1'), action: { kind: 'forward', destinations: [to('v1')] } }),
    route({ matches: exact('/2'), action: { kind: 'forward', destinations: [to('v2')] } }),
  )
  model.destinations.set(keyOf('orders'), [
    {
      ...destination,
      policy: {},
      ports: {},
      subsets: [
        { name: 'v1', labels: { version: 'v1' }, policy: { pool: { protocol: 'default', maxRequests: 1 } }, ports: {} },
      ],
    },
  ])
  stack.update()
  upstream.script = undefined
  const all = ['/1', '/1', '/2', '/2'].map((path) => ask({ path }))
  await settled()
  t.same([...upstream.names].sort(), ['v1', 'v2', 'v2'])
  for (const attempt of upstream.tries) attempt.answer(200)
  t.same(
    (await Promise.all(all)).map(({ status }) => status),
    [200, 503, 200, 200],
  )
})

t.test('a change of one service leaves the balancers and endpoints of the others alone', async (t) => {
  const { model, stack, ask, upstream } = scene()
  const services = [{ service: keyOf('other'), ports: { '80': 80 } }]
  model.add({ ...model.serviceByKey(keyOf('orders'))!, name: 'other', hostname: 'other.shop.svc.cluster.local' })
  model.add(workload('o1', { services }), workload('v2'), workload('v3'))
  model.treat({ loadBalancing: { kind: 'round-robin' } })
  model.route(route({ action: { kind: 'forward', destinations: [toService('orders')] } }))
  stack.update()
  const order: string[] = []
  for (let count = 0; count < 6; count += 1) {
    await ask()
    order.push(upstream.last.target.workload.name)
    model.treat({ loadBalancing: { kind: 'random' } }, {}, 'other')
    stack.update()
  }
  t.same(order.slice(0, 3), order.slice(3), 'the turn goes on')
  t.equal(new Set(order).size, 3)
})
