import t from 'tap'
import type { RateLimit } from '../../../core/model/rate-limits.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { backend, httpRoute, RoutedWorld, routeObject } from '../../helpers/route-objects.ts'

const gateway = 'gateway.networking.k8s.io'
const limit = { requests: 60, per: '1m', burst: 100 }
const one = [{ name: 'r', limit: { requests: 3, per: '1s' } }]

function policy(targetRefs: readonly object[], rules: readonly object[] = one, spec: object = {}): MeshObject {
  return routeObject('culvert.dev/v1alpha1', 'RateLimitPolicy', 'slow', { targetRefs, rules, ...spec }, {})
}

const waypoint = routeObject(
  `${gateway}/v1`,
  'Gateway',
  'wp',
  { gatewayClassName: 'culvert-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
  {},
)

function world(...objects: readonly MeshObject[]) {
  const found = new RoutedWorld(objects)
  const value = found.compiled.resources.flatMap(({ kind, value }) => (kind === 'RateLimit' ? [value] : []))[0]
  return { limit: value as RateLimit | undefined, said: found.said('slow') }
}

t.test('rules: matches, keys, size, scope, dry run; what callers are told', async (t) => {
  const keys = [
    { type: 'Identity' },
    { type: 'Namespace' },
    { type: 'Header', name: 'X-User' },
    { type: 'Path' },
    { type: 'Claim', name: 'realm.role' },
    { type: 'SourceAddress' },
  ]
  const matches = [{ path: { type: 'PathPrefix', value: '/api/' }, method: 'GET' }]
  const rules = [{ name: 'all', matches, keys, limit, scope: 'Mesh', dryRun: true }, ...one]
  const found = world(policy([{ kind: 'Service', name: 'echo' }], rules, { response: { headers: false } }))
  t.same(found.limit?.rules, [
    {
      name: 'all',
      matches: [{ path: { kind: 'segments', value: '/api' }, method: { kind: 'exact', value: 'GET' } }],
      key: [
        { by: 'identity' },
        { by: 'namespace' },
        { by: 'header', name: 'x-user' },
        { by: 'path' },
        { by: 'claim', path: ['realm', 'role'] },
        { by: 'source' },
      ],
      size: { capacity: 100, perSecond: 1 },
      scope: 'mesh',
      dryRun: true,
    },
    { name: 'r', matches: [], key: [], size: { capacity: 3, perSecond: 3 }, scope: 'local', dryRun: false },
  ])
  t.match(found.limit, { headers: false, grpcStatus: 'RESOURCE_EXHAUSTED', namespace: 'shop', name: 'slow' })
  t.same(found.said, ['Accepted=True Accepted'])
})

t.test('targets: a Service and its ports, a waypoint, a route and its rules', async (t) => {
  const echo = 'shop/echo.shop.svc.cluster.local'
  const targets = [
    { kind: 'Service', name: 'echo' },
    { kind: 'Service', name: 'echo-v1', sectionName: 'alt' },
    { kind: 'Gateway', group: gateway, name: 'wp' },
    { kind: 'HTTPRoute', group: gateway, name: 'h', sectionName: 'named' },
  ]
  const found = world(policy(targets), waypoint, httpRoute('h', [{ backendRefs: [backend('echo-v1')] }]))
  t.same(found.limit?.targets, [
    { kind: 'service', service: echo },
    { kind: 'service', service: 'shop/echo-v1.shop.svc.cluster.local', port: 8080 },
    { kind: 'waypoint', waypoint: 'shop/wp.shop.svc.cluster.local' },
    { kind: 'route', route: { kind: 'HTTPRoute', namespace: 'shop', name: 'h' }, rule: 'named', services: [echo] },
  ])
  t.same(found.said, ['Accepted=True Accepted'])
})

t.test('a target that is not there is told, the others hold', async (t) => {
  const gone = [
    { kind: 'Service', name: 'gone' },
    { kind: 'Service', name: 'echo', sectionName: 'gone' },
    { kind: 'Gateway', group: gateway, name: 'gone' },
    { kind: 'HTTPRoute', group: gateway, name: 'gone' },
  ]
  const none = world(policy(gone))
  t.equal(none.limit, undefined)
  t.same(none.said, ['Accepted=True Accepted', 'ResolvedRefs=False TargetNotFound'])
  t.equal(world(policy([...gone, { kind: 'Service', name: 'echo' }])).limit?.targets.length, 1)
})
