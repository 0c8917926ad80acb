import t from 'tap'
import { compileTraffic } from '../../../../control/compile/destinations/traffic-policy.ts'
import type { Destination } from '../../../../core/model/destinations.ts'
import type { MeshObject } from '../../../../core/model/resource.ts'
import { destinationRule, RoutedWorld, routed } from '../../../helpers/route-objects.ts'

const random = { trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } }
const subset = (name: string, version = name) => ({ name, labels: { version } })
const older = { creationTimestamp: '2020-01-01T00:00:00Z' }

function world(...objects: readonly MeshObject[]) {
  const found = new RoutedWorld(objects, [routed('echo'), routed('other')])
  const destination = (name = 'echo'): Destination | undefined =>
    found.compiled.resources.flatMap(({ kind, value }) =>
      kind === 'Destination' && value.service.startsWith(`shop/${name}.`) ? [value] : [],
    )[0]
  return { destination, said: (name: string) => found.said(name), findings: (name: string) => found.findings(name) }
}

t.test('load balancing: every algorithm and its defaults', async (t) => {
  const balancing = (loadBalancer: object) => compileTraffic({ loadBalancer }).policy
  for (const [written, kind] of [
    ['LEAST_CONN', 'least-request'],
    ['LEAST_REQUEST', 'least-request'],
    ['ROUND_ROBIN', 'round-robin'],
    ['RANDOM', 'random'],
    ['PASSTHROUGH', 'passthrough'],
  ] as const) {
    t.same(balancing({ simple: written }), { loadBalancing: { kind } })
  }
  t.same(balancing({ simple: 'UNSPECIFIED' }), {})
  const ring = { kind: 'ring', minimumSize: 1024 }
  const hash = (consistentHash: object) => balancing({ consistentHash }).loadBalancing
  t.same(hash({ httpHeaderName: 'X-User' }), { kind: 'hash', key: { kind: 'header', name: 'x-user' }, table: ring })
  t.same(hash({ useSourceIp: true, maglev: { tableSize: 251 } }), {
    kind: 'hash',
    key: { kind: 'source' },
    table: { kind: 'maglev', size: 251 },
  })
  t.same(hash({ httpQueryParameterName: 'q', minimumRingSize: 9 }), {
    kind: 'hash',
    key: { kind: 'query', name: 'q' },
    table: { kind: 'ring', minimumSize: 9 },
  })
  const cookie = {
    name: 'c',
    path: '/',
    ttl: '0s',
    attributes: [{ name: 'SameSite', value: 'Lax' }, { name: 'Secure' }],
  }
  t.same(hash({ httpCookie: cookie, ringHash: { minimumRingSize: 8 } }), {
    kind: 'hash',
    key: {
      kind: 'cookie',
      name: 'c',
      path: '/',
      ttlMs: 0,
      attributes: [
        { name: 'SameSite', value: 'Lax' },
        { name: 'Secure', value: '' },
      ],
    },
    table: { kind: 'ring', minimumSize: 8 },
  })
  t.same(hash({}), undefined, 'nothing to hash by')
  t.same(balancing({ warmup: { duration: '30s' } }), {
    warmup: { durationMs: 30_000, minimumPercent: 10, aggression: 1 },
  })
  t.same(balancing({ warmupDurationSecs: '5s' }).warmup?.durationMs, 5000)
  t.same(balancing({ localityLbSetting: { failover: [{ from: 'a', to: 'b' }] } }).locality, {
    enabled: true,
    distribute: [],
    failover: [{ from: 'a', to: 'b' }],
    failoverPriority: [],
  })
})

t.test('pools: 0 is no limit; outliers and budget have the defaults of istiod', async (t) => {
  const tcp = { maxConnections: 3, connectTimeout: '2s', idleTimeout: '0s' }
  const http = { http1MaxPendingRequests: 1, http2MaxRequests: 0, maxRetries: 4, h2UpgradePolicy: 'UPGRADE' as const }
  t.same(compileTraffic({ connectionPool: { tcp, http } }).policy.pool, {
    maxConnections: 3,
    connectTimeoutMs: 2000,
    maxPendingRequests: 1,
    maxRetries: 4,
    protocol: 'http2',
  })
  t.equal(compileTraffic({ connectionPool: { http: { useClientProtocol: true } } }).policy.pool?.protocol, 'client')
  t.same(compileTraffic({ outlierDetection: {} }).policy.outliers, {
    consecutive5xx: 5,
    consecutiveGatewayErrors: 0,
    consecutiveLocalFailures: 0,
    splitLocalOrigin: false,
    statuses: [],
    intervalMs: 10_000,
    baseEjectionMs: 30_000,
    maxEjectionPercent: 10,
    minHealthPercent: 0,
  })
  const split = compileTraffic({ outlierDetection: { splitExternalLocalOriginErrors: true, consecutive5xxErrors: 0 } })
  t.match(split.policy.outliers, { consecutive5xx: 0, consecutiveLocalFailures: 5, splitLocalOrigin: true })
  t.same(compileTraffic({ retryBudget: {} }).policy, { retryBudget: { percent: 20, minConcurrency: 3 } })
  const port = { port: { number: 80 }, tls: { mode: 'DISABLE' as const } }
  t.same(compileTraffic({ tls: { mode: 'ISTIO_MUTUAL' }, portLevelSettings: [port] }), {
    policy: { tls: 'mesh' },
    ports: { 80: { tls: 'disable' } },
  })
})

t.test('rules of one host are joined: subsets of all, the traffic policy of the first that has one', async (t) => {
  const found = world(
    destinationRule('first', { host: 'echo', subsets: [subset('v1')] }, older),
    destinationRule('second', { host: 'echo.shop', subsets: [subset('v1', 'x'), subset('v2')], ...random }),
    destinationRule(
      'third',
      {
        host: 'echo.shop.svc.cluster.local',
        trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN' } },
      },
      { creationTimestamp: '2027-01-01T00:00:00Z' },
    ),
  )
  t.same(found.destination(), {
    service: 'shop/echo.shop.svc.cluster.local',
    sources: ['shop/first', 'shop/second', 'shop/third'],
    policy: { loadBalancing: { kind: 'random' } },
    ports: {},
    subsets: [
      { ...subset('v1'), policy: {}, ports: {} },
      { ...subset('v2'), policy: {}, ports: {} },
    ],
  })
  t.match(
    found.findings('third').filter(({ type }) => type === 'Accepted'),
    [{ status: 'True', message: /older shop\/second counts/ }],
  )
  t.equal(found.destination('other'), undefined)
})

t.test('the namespace of the Service comes before the root, the exact host before a wildcard', async (t) => {
  const everywhere = destinationRule('mesh', { host: '*.local', ...random }, { ...older, namespace: 'culvert-system' })
  const wild = destinationRule('wild', { host: '*.shop.svc.cluster.local', ...random })
  const exact = destinationRule('exact', { host: 'echo' })
  const elsewhere = destinationRule('elsewhere', { host: 'echo.shop', ...random }, { namespace: 'clients' })
  const found = world(everywhere, wild, exact, elsewhere)
  t.same(found.destination()?.sources, ['shop/exact'])
  t.same(found.destination('other')?.sources, ['shop/wild'])
  t.same(found.said('mesh'), ['Accepted=False Overridden'])
  t.same(found.said('wild'), ['Accepted=True Accepted'], 'it has the other Service')
  t.same(found.said('elsewhere'), ['Accepted=False Overridden'])
  t.same(world(everywhere).destination()?.sources, ['culvert-system/mesh'])
  t.equal(world(elsewhere).destination(), undefined)
  t.same(world(elsewhere).said('elsewhere'), ['Accepted=False OtherNamespace'])
})

t.test('a rule for chosen clients holds for none, and says so', async (t) => {
  const chosen = destinationRule('echo', { host: 'echo', workloadSelector: { matchLabels: { a: 'b' } }, ...random })
  t.equal(world(chosen).destination(), undefined)
  t.same(world(chosen).said('echo'), ['Accepted=False UnsupportedValue'])
})

const latency = { annotations: { 'culvert.dev/load-balancing': 'peak-ewma' } }
const rated = {
  annotations: { 'culvert.dev/outlier-success-rate': '1.5', 'culvert.dev/outlier-success-rate-hosts': '3' },
}

t.test(
  'annotations: balancing by latency, which a written hash goes before; success rates with or without outlierDetection',
  async (t) => {
    const of = (spec: object, meta: object) =>
      world(destinationRule('echo', { host: 'echo', ...spec }, meta)).destination()?.policy
    t.same(of({}, latency), { loadBalancing: { kind: 'peak-ewma' } }, 'without a trafficPolicy')
    t.same(of(random, latency), { loadBalancing: { kind: 'peak-ewma' } })
    const hash = { trafficPolicy: { loadBalancer: { consistentHash: { useSourceIp: true } } } }
    t.match(of(hash, latency), { loadBalancing: { kind: 'hash' } })
    const successRate = { deviations: 1.5, minimumHosts: 3, requestVolume: 100 }
    t.match(of({}, rated), { outliers: { consecutive5xx: 5, successRate } })
    const written = { trafficPolicy: { outlierDetection: { consecutive5xxErrors: 0 } } }
    t.match(of(written, rated), { outliers: { consecutive5xx: 0, successRate } })
    t.notHas(of(written, {})?.outliers, 'successRate')
    const ports = { trafficPolicy: { portLevelSettings: [{ port: { number: 80 }, outlierDetection: {} }] } }
    const found = world(
      destinationRule(
        'echo',
        { host: 'echo', ...ports, subsets: [{ ...subset('a'), ...written }, subset('b')] },
        rated,
      ),
    ).destination()
    t.match(found, {
      ports: { 80: { outliers: { successRate } } },
      subsets: [{ policy: { outliers: { successRate } } }, {}],
    })
    t.same(found?.subsets[1]?.policy, {}, 'which has its service’s')
  },
)
