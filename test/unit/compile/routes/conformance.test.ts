// The mesh cases of the Gateway API's conformance suite (gateway-api 4564255, conformance/tests/mesh), at the level of the decision,
// with what the suite does not look at: the path that is forwarded, Location, and the conditions.
import t from 'tap'
import type { MeshObject } from '../../../../core/model/resource.ts'
import { backend, grpcRoute, httpRoute, RoutedWorld, routed } from '../../../helpers/route-objects.ts'
import type { Asked } from '../../../helpers/routing.ts'

const prefix = (value: string): object => ({ path: { type: 'PathPrefix', value } })
const exactly = (value: string): object => ({ path: { type: 'Exact', value } })
const header = (name: string, value: string): object => ({ name, value })
const [v1, v2] = [{ backendRefs: [backend('echo-v1')] }, { backendRefs: [backend('echo-v2')] }]

type Row = readonly [Asked, string]

function check(name: string, routes: readonly MeshObject[], rows: readonly Row[]): void {
  t.test(name, (t) => {
    const world = new RoutedWorld(routes)
    for (const [asked, goal] of rows) t.equal(world.goal(asked), goal, JSON.stringify(asked))
    t.end()
  })
}

const at = (path: string, headers: Readonly<Record<string, string>> = {}): Asked => ({ path, headers })

check('MeshBasic: without a route to the Service itself', [], [[at('/'), 'unrouted']])

check(
  'MeshHTTPRouteSimpleSameNamespace',
  [httpRoute('r', [v1])],
  [
    [at('/'), 'echo-v1'],
    [at('/any/path'), 'echo-v1'],
  ],
)

check(
  'MeshHTTPRouteMatching',
  [
    httpRoute('r', [
      { matches: [prefix('/'), { headers: [header('version', 'one')] }], ...v1 },
      { matches: [prefix('/v2'), { headers: [header('version', 'two')] }], ...v2 },
    ]),
  ],
  [
    [at('/'), 'echo-v1'],
    [at('/example'), 'echo-v1'],
    [at('/', { Version: 'one' }), 'echo-v1'],
    [at('/v2'), 'echo-v2'],
    [at('/v2/'), 'echo-v2'],
    [at('/v2/example'), 'echo-v2'],
    [at('/', { Version: 'two' }), 'echo-v2'],
    [at('/v2example'), 'echo-v1'],
    [at('/foo/v2/example'), 'echo-v1'],
  ],
)

check(
  'MeshTrafficSplit',
  [
    httpRoute('r', [
      { matches: [exactly('/v1')], ...v1 },
      { matches: [exactly('/v2')], ...v2 },
    ]),
  ],
  [
    [at('/v1'), 'echo-v1'],
    [at('/v2'), 'echo-v2'],
    [at('/v1/'), '404'],
    [at('/'), '404'],
  ],
)

check(
  'MeshHTTPRouteQueryParamMatching',
  [
    httpRoute('r', [
      { matches: [{ queryParams: [header('animal', 'whale')] }], ...v1 },
      { matches: [{ queryParams: [header('animal', 'dolphin'), header('color', 'blue')] }], ...v2 },
      { matches: [{ ...prefix('/path1'), queryParams: [header('animal', 'whale')] }], ...v1 },
      { matches: [{ ...prefix('/path2'), queryParams: [header('animal', 'whale')] }, prefix('/path3')], ...v2 },
    ]),
  ],
  [
    [at('/?animal=whale'), 'echo-v1'],
    [at('/?animal=dolphin&color=blue'), 'echo-v2'],
    [at('/?color=blue&animal=dolphin&x=y'), 'echo-v2'],
    [at('/?animal=dolphin'), '404'],
    [at('/?animal=shark'), '404'],
    [at('/?ANIMAL=whale'), '404'],
    [at('/path1?animal=whale'), 'echo-v1'],
    [at('/path2?animal=whale'), 'echo-v2'],
    [at('/path3'), 'echo-v2'],
    [at('/path3?animal=shark'), 'echo-v2'],
    [at('/path4'), '404'],
  ],
)

const redirects = (redirect: object): MeshObject =>
  httpRoute('r', [{ filters: [{ type: 'RequestRedirect', requestRedirect: redirect }] }])
const redirecting: readonly (readonly [string, object, Asked, string])[] = [
  ['MeshHTTPRouteRedirectHostAndStatus', { hostname: 'example.org' }, at('/h'), '302 http://example.org/h'],
  ['its status', { hostname: 'example.org', statusCode: 301 }, at('/'), '301 http://example.org/'],
  ['MeshHTTPRouteSchemeRedirect', { scheme: 'https' }, at('/s?q=1'), '302 https://echo/s?q=1'],
  ['its host', { scheme: 'https', hostname: 'example.org' }, at('/s'), '302 https://example.org/s'],
  ['MeshHTTPRouteRedirectPort', { port: 8083 }, at('/p'), '302 http://echo:8083/p'],
  ['its host', { port: 8083, hostname: 'example.org' }, at('/p'), '302 http://example.org:8083/p'],
  ['its other frontend', { hostname: 'example.org' }, { path: '/p', port: 8080 }, '302 http://example.org:8080/p'],
  [
    'MeshHTTPRouteRedirectPath',
    { path: { type: 'ReplaceFullPath', replaceFullPath: '/full' } },
    at('/x/y'),
    '302 http://echo/full',
  ],
  ['303', { statusCode: 303, hostname: 'example.org' }, at('/'), '303 http://example.org/'],
  ['307', { statusCode: 307, hostname: 'example.org' }, at('/'), '307 http://example.org/'],
  ['308', { statusCode: 308, hostname: 'example.org' }, at('/'), '308 http://example.org/'],
]
for (const [name, redirect, asked, expected] of redirecting) {
  check(`${name} ${expected}`, [redirects(redirect)], [[asked, expected]])
}

t.test(
  'MeshHTTPRouteRedirectPath and RewritePath: the prefix that matched is replaced, also in what is forwarded',
  (t) => {
    const path = { type: 'ReplacePrefixMatch', replacePrefixMatch: '/replacement' }
    const redirect = { filters: [{ type: 'RequestRedirect', requestRedirect: { path } }] }
    const rewrite = { filters: [{ type: 'URLRewrite', urlRewrite: { hostname: 'one.example.org', path } }], ...v1 }
    const world = new RoutedWorld([
      httpRoute('r', [
        { matches: [prefix('/original')], ...redirect },
        { matches: [prefix('/rewritten/')], ...rewrite },
      ]),
    ])
    t.equal(world.goal(at('/original/lemon?a=b')), '302 http://echo/replacement/lemon?a=b')
    const decision = world.decide(at('/rewritten/lemon'))
    t.match(decision, { kind: 'forward', host: 'one.example.org' })
    t.equal(decision.kind === 'forward' && decision.rewritePath?.('/rewritten/lemon'), '/replacement/lemon')
    t.equal(decision.kind === 'forward' && decision.rewritePath?.('/rewritten'), '/replacement')
    t.end()
  },
)

t.test('MeshHTTPRouteWeight and MeshGRPCRouteWeight: 70 to 30, a backend of weight 0 need not exist', (t) => {
  const backendRefs = [backend('echo-v1', 70), backend('echo-v2', 30), backend('echo-v3', 0)]
  for (const route of [httpRoute('r', [{ backendRefs }]), grpcRoute('r', [{ backendRefs }])]) {
    const world = new RoutedWorld([route])
    const counts: Record<string, number> = {}
    for (let draw = 0; draw < 500; draw++) {
      const goal = world.goal({ path: '/a.B/C' }, draw / 500)
      counts[goal] = (counts[goal] ?? 0) + 1
    }
    t.same(counts, { 'echo-v1': 350, 'echo-v2': 150 })
    t.ok(world.said('r').includes('ResolvedRefs=False BackendNotFound'))
  }
  t.end()
})

t.test('MeshHTTPRouteRequestHeaderModifier, of the rule and of a backend', (t) => {
  const modifier = { set: [header('X-Set', 's')], add: [header('X-Add', 'a')], remove: ['X-Remove'] }
  const filters = [
    { type: 'RequestHeaderModifier', requestHeaderModifier: modifier },
    { type: 'ResponseHeaderModifier', responseHeaderModifier: { set: [header('X-R', 'r')] } },
  ]
  const world = new RoutedWorld([httpRoute('r', [{ filters, backendRefs: [backend('echo-v1', 1, { filters })] }])])
  const changes = { request: modifier, response: { set: [header('X-R', 'r')], add: [], remove: [] } }
  t.match(world.decide(), { kind: 'forward', route: { filters: changes }, destination: { filters: changes } })
  t.end()
})

t.test('MeshFrontendHostname: hostnames of a route are not compared in the mesh', (t) => {
  const world = new RoutedWorld([httpRoute('r', [v1], { hostnames: ['elsewhere.example'] })])
  t.equal(world.goal({ authority: 'echo.shop' }), 'echo-v1')
  t.end()
})

t.test('MeshPorts: parentRef.port limits the route to one port, sectionName to the port of the name', (t) => {
  for (const parent of [{ port: 80 }, { sectionName: 'http' }]) {
    const parentRefs = [{ group: '', kind: 'Service', name: 'echo', ...parent }]
    const world = new RoutedWorld([httpRoute('r', [v1], { parentRefs })])
    t.equal(world.goal(), 'echo-v1')
    t.equal(world.goal({ port: 8080 }), 'unrouted')
    t.same(world.said('r'), ['Accepted=True Accepted'])
  }
  t.end()
})

t.test('MeshConsumerRoute: it holds for the clients of its namespace only, in place of the producer routes', (t) => {
  const parentRefs = [{ group: '', kind: 'Service', name: 'echo', namespace: 'shop' }]
  const toV2 = { backendRefs: [backend('echo-v2', 1, { namespace: 'shop' })], matches: [prefix('/own')] }
  const consumer = httpRoute('consumer', [toV2], { parentRefs }, { namespace: 'consumers' })
  const world = new RoutedWorld([httpRoute('producer', [v1]), consumer])
  t.equal(world.goal({ path: '/own', namespace: 'consumers' }), 'echo-v2')
  t.equal(world.goal({ path: '/', namespace: 'consumers' }), '404', 'no fallback to the producer')
  t.equal(world.goal({ path: '/own', namespace: 'others' }), 'echo-v1')
  t.equal(world.goal({ path: '/own', namespace: '' }), 'echo-v1')
  const alone = new RoutedWorld([consumer])
  t.equal(alone.goal({ path: '/own', namespace: 'others' }), 'unrouted')
  t.end()
})

check(
  'MeshGRPCRouteRequestHeaderModifier and GRPCRouteExactMethodMatching: by service, method and headers',
  [
    grpcRoute('r', [
      { matches: [{ method: { service: 'echo.Echo', method: 'One' } }], ...v1 },
      { matches: [{ method: { service: 'echo.Echo' }, headers: [header('Version', 'two')] }], ...v2 },
      { matches: [{ method: { type: 'RegularExpression', service: 'other\\..*' } }], ...v2 },
    ]),
  ],
  [
    [at('/echo.Echo/One'), 'echo-v1'],
    [at('/echo.Echo/One', { version: 'two' }), 'echo-v1'],
    [at('/echo.Echo/Two', { version: 'two' }), 'echo-v2'],
    [at('/echo.Echo/Two'), '404'],
    [at('/other.X/Y'), 'echo-v2'],
  ],
)

check(
  'HTTPRouteMatchingAcrossRoutes: the most specific match of all routes, then the oldest route, then by name',
  [
    httpRoute(
      'young',
      [{ matches: [prefix('/a'), prefix('/tie')], ...v1 }],
      {},
      { creationTimestamp: '2026-02-01T00:00:00Z' },
    ),
    httpRoute('old', [{ matches: [prefix('/'), prefix('/tie')], ...v2 }]),
    httpRoute('b', [{ matches: [prefix('/name')], ...v2 }]),
    httpRoute('a', [{ matches: [prefix('/name')], ...v1 }]),
  ],
  [
    [at('/a/x'), 'echo-v1'],
    [at('/b'), 'echo-v2'],
    [at('/tie'), 'echo-v2'],
    [at('/name'), 'echo-v1'],
  ],
)

check(
  'HTTPRoutePathMatchOrder, HTTPRouteMethodMatching and HTTPRouteExactPathMatching',
  [
    httpRoute('r', [
      { matches: [prefix('/match')], ...v1 },
      { matches: [prefix('/match/prefix/'), { ...prefix('/match'), method: 'PATCH' }], ...v2 },
      { matches: [exactly('/match/prefix/one')], ...v1 },
    ]),
  ],
  [
    [at('/match/prefix/one'), 'echo-v1'],
    [at('/match/prefix/one/'), 'echo-v2'],
    [at('/match/prefix'), 'echo-v2'],
    [at('/match/prefixed'), 'echo-v1'],
    [{ path: '/match/x', method: 'PATCH' }, 'echo-v2'],
    [at('/x'), '404'],
  ],
)

t.test('a headless Service and an unknown one are no parents', (t) => {
  const services = [routed('echo', {}, { clusterIP: 'None' }), routed('echo-v1')]
  t.same(new RoutedWorld([httpRoute('r', [v1])], services).said('r'), ['Accepted=False UnsupportedValue'])
  t.same(new RoutedWorld([httpRoute('r', [v1])], [routed('echo-v1')]).said('r'), ['Accepted=False NoMatchingParent'])
  const parentRefs = [{ group: '', kind: 'Service', name: 'echo', port: 1 }]
  t.same(new RoutedWorld([httpRoute('r', [v1], { parentRefs })]).said('r'), ['Accepted=False NoMatchingParent'])
  t.end()
})
