import t from 'tap'
import { compileRouting, routeRequest } from '../../../core/decide/http/route-request.ts'
import type { Destination } from '../../../core/model/destinations.ts'
import type { RateLimit } from '../../../core/model/rate-limits.ts'
import type { RequestMatch, Route, RouteTable } from '../../../core/model/routes.ts'
import { Snapshot } from '../../../core/model/snapshot.ts'
import type { CompiledDelta, CompiledKey, CompiledResource } from '../../../core/model/types.ts'
import { request } from '../../helpers/routing.ts'

const orders = 'shop/orders.shop.svc.cluster.local'
const hostname = 'orders.shop.svc.cluster.local'

function delta(
  version: number,
  upserts: readonly CompiledResource[],
  removes: readonly CompiledKey[] = [],
): CompiledDelta {
  return { epoch: 'e', version, full: false, upserts, removes }
}

const route: Route = {
  origin: { kind: 'HTTPRoute', namespace: 'shop', name: 'r', index: 0 },
  matches: [{ path: { kind: 'segments', value: '/v1' }, headers: [{ name: 'x-a', match: { kind: 'present' } }] }],
  action: {
    kind: 'forward',
    destinations: [{ weight: 1, backend: { kind: 'service', service: orders, hostname, port: 80 }, filters: {} }],
  },
  filters: { fault: { abort: { grpc: 14, share: 0.5 } }, mirrors: [] },
  retry: 'none',
}

function tableResource(change: Partial<RouteTable> = {}): CompiledResource {
  const value: RouteTable = {
    service: orders,
    port: 80,
    everyone: { precedence: 'specific', routes: [route] },
    consumers: {},
    ...change,
  }
  return { kind: 'Routes', key: `${value.service}:${value.port}`, value }
}

function destination(change: Partial<Destination> = {}): CompiledResource {
  const value: Destination = {
    service: orders,
    sources: ['shop/orders'],
    policy: { loadBalancing: { kind: 'hash', key: { kind: 'source' }, table: { kind: 'maglev', size: 65537 } } },
    ports: {},
    subsets: [{ name: 'v1', labels: { version: 'v1' }, policy: {}, ports: {} }],
    ...change,
  }
  return { kind: 'Destination', key: value.service, value }
}

function rateLimit(change: Partial<RateLimit> = {}): CompiledResource {
  const value: RateLimit = {
    namespace: 'shop',
    name: 'slow',
    targets: [{ kind: 'service', service: orders }],
    rules: [
      {
        name: 'all',
        matches: [],
        key: [{ by: 'identity' }],
        size: { capacity: 10, perSecond: 1 },
        scope: 'local',
        dryRun: false,
      },
    ],
    headers: true,
    grpcStatus: 'UNAVAILABLE',
    ...change,
  }
  return { kind: 'RateLimit', key: `${value.namespace}/${value.name}`, value }
}

t.test('what is said of requests to a service is found by its key, and gone with its resource', async (t) => {
  const snapshot = new Snapshot()
  const all = [tableResource(), destination(), rateLimit()]
  t.same(snapshot.apply(delta(1, all)), [])
  t.equal(snapshot.routesOf(orders, 80)?.port, 80)
  t.equal(snapshot.routesOf(orders, 8080), undefined)
  t.same(snapshot.destinationsOf(orders)[0]?.sources, ['shop/orders'])
  t.equal(snapshot.rateLimitsOf(orders)[0]?.name, 'slow')
  for (const kind of ['routes', 'destinations', 'rateLimits'] as const) {
    t.same([...snapshot.lastChange[kind]], [orders], kind)
    t.equal([...snapshot[kind]()].length, 1)
  }
  t.equal(snapshot.lastChange.authorizations, false)
  t.equal(Object.keys(snapshot.digests()).length, 3)
  snapshot.apply(delta(2, all))
  t.equal(snapshot.lastChange.routes.size, 0, 'equal values are no change')
  const removes = all.map(({ kind, key }) => ({ kind, key }))
  snapshot.apply(delta(3, [], removes))
  t.equal(snapshot.routesOf(orders, 80), undefined)
  t.same(snapshot.destinationsOf(orders), [])
  t.same(snapshot.rateLimitsOf(orders), [])
  t.same([...snapshot.lastChange.rateLimits], [orders])
})

t.test('a rate limit that moves to another target changes both', async (t) => {
  const snapshot = new Snapshot()
  const waypoint = 'shop/wp.shop.svc.cluster.local'
  const attached = { kind: 'HTTPRoute', namespace: 'shop', name: 'r' } as const
  snapshot.apply(delta(1, [rateLimit(), rateLimit({ name: 'a-first' })]))
  t.same(
    snapshot.rateLimitsOf(orders).map(({ name }) => name),
    ['a-first', 'slow'],
  )
  const moved = rateLimit({
    targets: [
      { kind: 'waypoint', waypoint },
      { kind: 'route', route: attached, services: [waypoint] },
    ],
  })
  t.same(snapshot.apply(delta(2, [moved])), [])
  t.same([...snapshot.lastChange.rateLimits].sort(), [orders, waypoint])
  t.equal(snapshot.rateLimitsOf(orders).length, 1)
  t.equal(snapshot.rateLimitsOf(waypoint).length, 1)
})

t.test('routes with a condition that is unknown are refused, and the frontend answers 503', async (t) => {
  const strange = { ...route, matches: [{ ...route.matches[0], bodyContains: 'x' } as RequestMatch] }
  const bad = tableResource({ everyone: { precedence: 'first', routes: [strange] } })
  for (const before of [[], [tableResource()]]) {
    const snapshot = new Snapshot()
    snapshot.apply(delta(1, before))
    const refused = snapshot.apply(delta(2, [bad]))
    t.match(refused, [
      { kind: 'Routes', key: bad.key, reason: 'everyone.routes[0].matches[0].bodyContains: unknown field' },
    ])
    const table = snapshot.routesOf(orders, 80)!
    const decision = routeRequest(compileRouting(table), request({ path: '/v1' }), 0)
    t.match(decision, { kind: 'respond', status: 503, reason: /cannot be read: .*bodyContains/ })
    t.same(table.everyone?.connections, [], 'nothing that is not HTTP passes either')
    t.ok(snapshot.lastChange.routes.has(orders))
    const again = new Snapshot()
    again.apply(snapshot.toDelta())
    t.equal(again.digest(), snapshot.digest(), 'a stand-in is itself readable')
    snapshot.apply(delta(3, [tableResource()]))
    t.equal(snapshot.routesOf(orders, 80)?.everyone?.precedence, 'specific', 'until readable routes come')
  }
})

t.test('refused destinations and rate limits leave what was there', async (t) => {
  const snapshot = new Snapshot()
  snapshot.apply(delta(1, [destination(), rateLimit()]))
  const bad = [
    destination({ policy: { loadBalancing: { kind: 'guess' } as never } }),
    rateLimit({ targets: [{ kind: 'planet' } as never] }),
  ]
  t.same(
    snapshot.apply(delta(2, bad)).map(({ reason }) => reason.split(':')[0]),
    ['policy.loadBalancing.kind', 'targets[0].kind'],
  )
  t.equal(snapshot.destinationsOf(orders).length, 1)
  t.equal(snapshot.rateLimitsOf(orders).length, 1)
})

t.test('a table whose key names no frontend is refused without a trace', async (t) => {
  const snapshot = new Snapshot()
  const value = tableResource().value
  const nowhere = { kind: 'Routes', key: 'nowhere', value } as CompiledResource
  t.match(snapshot.apply(delta(1, [nowhere])), [{ reason: /^key: expected/ }])
  t.same([...snapshot.routes()], [])
})
