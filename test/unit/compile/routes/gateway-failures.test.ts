import t from 'tap'
import type { Finding } from '../../../../control/compile/conditions.ts'
import type { HttpRule } from '../../../../control/compile/routes/gateway-filters.ts'
import { httpRule } from '../../../../control/compile/routes/gateway-rules.ts'
import { RoutedServices } from '../../../../control/compile/routes/services.ts'
import type { Scope } from '../../../../control/compile/rule.ts'
import type { RouteOrigin } from '../../../../core/model/routes.ts'
import { settings } from '../../../helpers/compile-objects.ts'
import { backend, echoes, grpcRoute, httpRoute, RoutedWorld } from '../../../helpers/route-objects.ts'

const toV1 = { backendRefs: [backend('echo-v1')] }
const modifier = { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'a', value: 'b' }] } }

t.test('500: no backends, all invalid, and the share of an invalid one', (t) => {
  t.equal(new RoutedWorld([httpRoute('r', [{}])]).goal(), '500')
  t.equal(new RoutedWorld([httpRoute('r', [{ backendRefs: [] }])]).goal(), '500')
  t.equal(new RoutedWorld([httpRoute('r', [{ filters: [modifier] }])]).goal(), '500')
  t.equal(new RoutedWorld([httpRoute('r', [{ backendRefs: [backend('gone')] }])]).goal(), '500')
  t.equal(new RoutedWorld([httpRoute('r', [{ backendRefs: [backend('echo-v1', 0)] }])]).goal(), '500')
  const world = new RoutedWorld([httpRoute('r', [{ backendRefs: [backend('echo-v1', 3), backend('gone', 1)] }])])
  const goals = [0, 0.25, 0.5, 0.75, 0.99].map((random) => world.goal({}, random))
  t.same(goals, ['echo-v1', 'echo-v1', 'echo-v1', '500', '500'])
  t.same(world.said('r'), ['Accepted=True Accepted', 'ResolvedRefs=False BackendNotFound'])
  t.end()
})

t.test('a reference is invalid for its kind, its name, its port, each with its reason', (t) => {
  const reasons = [
    [{ name: 'echo-v1', kind: 'Bucket', group: 'x.example', port: 80 }, 'InvalidKind'],
    [{ name: 'echo-v1', kind: 'Service', group: 'x.example', port: 80 }, 'InvalidKind'],
    [{ name: 'gone', port: 80 }, 'BackendNotFound'],
    [{ name: 'echo-v1', port: 81 }, 'BackendNotFound'],
    [{ name: 'echo-v1', namespace: 'other', port: 80 }, 'BackendNotFound'],
  ] as const
  for (const [reference, reason] of reasons) {
    const world = new RoutedWorld([httpRoute('r', [{ backendRefs: [reference] }])])
    t.equal(world.goal(), '500', JSON.stringify(reference))
    t.ok(world.said('r').includes(`ResolvedRefs=False ${reason}`), JSON.stringify(reference))
  }
  t.end()
})

t.test('404 once a route is attached and no rule matches, also where it has no rule at all', (t) => {
  const matches = [{ path: { type: 'Exact', value: '/x' } }]
  t.equal(new RoutedWorld([httpRoute('r', [{ matches, ...toV1 }])]).goal(), '404')
  const call = new RoutedWorld([grpcRoute('r', [])])
  t.match(call.decide({ path: '/a.B/C' }), { kind: 'respond', status: 404, grpcStatus: 12 })
  t.end()
})

t.test('a call that cannot be served is UNAVAILABLE', (t) => {
  const world = new RoutedWorld([grpcRoute('r', [{ backendRefs: [backend('gone')] }])])
  t.match(world.decide({ path: '/a.B/C' }), { kind: 'respond', grpcStatus: 14 })
  t.match(new RoutedWorld([grpcRoute('r', [{}])]).decide({ path: '/a.B/C' }), { kind: 'respond', grpcStatus: 14 })
  t.end()
})

t.test('a filter that cannot be had is an error, never skipped', (t) => {
  const extension = { type: 'ExtensionRef', extensionRef: { group: 'x.example', kind: 'Filter', name: 'f' } }
  const auth = {
    type: 'ExternalAuth',
    externalAuth: { protocol: 'GRPC', grpc: {}, backendRef: { name: 'echo-v1', port: 80 } },
  }
  for (const filter of [extension, auth]) {
    const rule = new RoutedWorld([httpRoute('r', [{ ...toV1, filters: [modifier, filter] }])])
    t.equal(rule.goal(), '500')
    t.equal(rule.said('r').length, 2)
    const ofBackend = backend('echo-v1', 1, { filters: [filter] })
    const one = new RoutedWorld([httpRoute('r', [{ backendRefs: [ofBackend, backend('echo-v2')] }])])
    t.same([one.goal({}, 0), one.goal({}, 0.9)], ['500', 'echo-v2'])
  }
  t.end()
})

t.test('an invalid mirror is dropped and told, the request goes on', (t) => {
  const mirrors = ['gone', 'echo-v2'].map((name) => ({
    type: 'RequestMirror',
    requestMirror: { backendRef: { name, port: 80 }, percent: 20 },
  }))
  const world = new RoutedWorld([httpRoute('r', [{ ...toV1, filters: mirrors }])])
  const decision = world.decide()
  t.match(decision, { kind: 'forward', mirrors: [{ share: 0.2, shadowHost: false }] })
  t.equal(decision.kind === 'forward' && decision.mirrors.length, 1)
  t.ok(world.said('r').includes('ResolvedRefs=False BackendNotFound'))
  t.end()
})

/** For rules that no validated object has: what another version of the mesh may have stored. */
function compiled(rule: HttpRule) {
  const findings: Finding[] = []
  const origin: RouteOrigin = { kind: 'HTTPRoute', namespace: 'shop', name: 'r', index: 0 }
  const tell = (finding: Finding): void => void findings.push(finding)
  return { route: httpRule(rule, origin, { namespace: 'shop', services: nobody, tell }), findings }
}
const nobody = new RoutedServices({ settings, read: () => [] } as unknown as Scope)

t.test('a match that cannot be used is left out; a rule without any other does not become one for all', (t) => {
  const bad = { path: { type: 'RegularExpression', value: '(?=x)' } } as const
  const good = { path: { type: 'Exact', value: '/good' } } as const
  t.equal(compiled({ matches: [bad, good] }).route?.matches.length, 1)
  const none = compiled({ matches: [bad] })
  t.equal(none.route, undefined)
  t.match(none.findings, [{ type: 'PartiallyInvalid', status: 'True' }])
  const stored = new RoutedWorld([httpRoute('r', [{ matches: [bad], ...toV1 }])])
  t.same(stored.said('r'), ['Accepted=False Invalid'], 'such an object has no part in routing at all')
  t.end()
})

t.test('of several matches for one header the first counts', (t) => {
  const headers = [
    { name: 'X', value: '1' },
    { name: 'x', value: '2' },
  ]
  t.same(compiled({ matches: [{ headers }] }).route?.matches[0]?.headers, [
    { name: 'x', match: { kind: 'exact', value: '1' } },
  ])
  t.end()
})

t.test('GRPCRoute comes before HTTPRoute on the same port, which is told; on other ports both hold', (t) => {
  const older = { creationTimestamp: '2020-01-01T00:00:00Z' }
  const port = (number: number): object => ({
    parentRefs: [{ group: '', kind: 'Service', name: 'echo', port: number }],
  })
  const all = new RoutedWorld([
    httpRoute('h', [toV1], {}, older),
    grpcRoute('g', [{ backendRefs: [backend('echo-v2')] }], port(80)),
  ])
  t.equal(all.goal(), 'echo-v2')
  t.equal(all.goal({ port: 8080 }), 'echo-v1')
  t.same(all.said('h'), ['Accepted=True Accepted'])
  const one = new RoutedWorld([
    httpRoute('h', [toV1], port(80), older),
    grpcRoute('g', [{ backendRefs: [backend('echo-v2')] }]),
  ])
  t.same(one.said('h'), ['Accepted=False Conflicted'])
  t.same(one.said('g'), ['Accepted=True Accepted'])
  t.match(
    one.findings('h').filter(({ status }) => status === 'False'),
    [{ parent: 0, type: 'Accepted', message: /GRPCRoute/ }],
  )
  t.end()
})

t.test('timeouts, retries and sessions; 0s is none, names of cookies differ by rule', (t) => {
  const session = { sessionPersistence: { absoluteTimeout: '1h', cookie: { lifetimeType: 'Permanent' } } }
  const rule = {
    ...toV1,
    timeouts: { request: '10s', backendRequest: '1500ms' },
    retry: { attempts: 3, codes: [503], backoff: '100ms' },
    ...session,
  }
  const off = {
    ...toV1,
    timeouts: { request: '0s' },
    matches: [{ path: { type: 'Exact', value: '/off' } }],
    sessionPersistence: { type: 'Header', header: { name: 'S' } },
  }
  const world = new RoutedWorld([
    httpRoute('r', [rule, { ...rule, ...off, retry: {} }, { ...rule, matches: [{ method: 'PUT' }] }]),
  ])
  const first = world.decide()
  const match = {
    timeoutMs: 10_000,
    tryTimeoutMs: 1500,
    retry: { attempts: 3, statuses: [503], backoffMs: 100, backoffIsMinimum: true },
    session: { by: 'cookie', absoluteTimeoutMs: 3_600_000, permanent: true, path: '/' },
  }
  t.match(first, { route: match })
  const second = world.decide({ path: '/off' })
  t.match(second, { route: { retry: { attempts: 2, statuses: [] }, session: { by: 'header', name: 'S' } } })
  t.equal(second.kind === 'forward' && second.route.timeoutMs, undefined)
  const third = world.decide({ method: 'PUT' })
  const names = [first, third].map((each) => each.kind === 'forward' && each.route.session?.name)
  t.not(names[0], names[1])
  t.end()
})

t.test('CORS: wildcards in origins, five seconds where no age is written', (t) => {
  const cors = {
    allowOrigins: ['https://*.example.com:8443', 'http://a.b'],
    allowMethods: ['*'],
    allowCredentials: true,
  }
  const world = new RoutedWorld([httpRoute('r', [{ ...toV1, filters: [{ type: 'CORS', cors }] }])])
  const origins = [
    { kind: 'wildcard', before: 'https://', after: '.example.com:8443' },
    { kind: 'exact', value: 'http://a.b' },
  ]
  t.match(world.decide(), {
    route: { filters: { cors: { origins, maxAgeSeconds: 5, credentials: true, forwardUnmatched: false } } },
  })
  t.end()
})

t.test('Host in a header modifier rewrites the authority; framing headers stay and are told', (t) => {
  const change = {
    set: [
      { name: 'Host', value: 'other' },
      { name: 'Content-Length', value: '0' },
    ],
  }
  const filters = [{ type: 'RequestHeaderModifier', requestHeaderModifier: change }]
  const world = new RoutedWorld([httpRoute('r', [{ ...toV1, filters }])])
  t.match(world.decide(), { kind: 'forward', host: 'other', route: { filters: { request: { set: [] } } } })
  t.ok(world.said('r').includes('FullyEnforced=False FixedHeader'))
  t.end()
})

t.test('routes for gateways have no part in the mesh', (t) => {
  const world = new RoutedWorld([httpRoute('r', [toV1], { parentRefs: [{ name: 'echo' }] })], echoes)
  t.equal(world.goal(), 'unrouted')
  t.same(world.said('r'), ['Accepted=False NoMatchingParent'])
  t.end()
})
