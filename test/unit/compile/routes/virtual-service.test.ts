import t from 'tap'
import { rewriteOf } from '../../../../control/compile/routes/virtual-service-actions.ts'
import type { MeshObject } from '../../../../core/model/resource.ts'
import {
  backend,
  destinationRule,
  echoes,
  httpRoute,
  RoutedWorld,
  routed,
  virtualService,
} from '../../../helpers/route-objects.ts'

const to = (host: string, more: object = {}): object => ({ destination: { host, port: { number: 80 }, ...more } })
const [v1, v2] = [{ route: [to('echo-v1')] }, { route: [to('echo-v2')] }]
const prefix = (value: string): object => ({ uri: { prefix: value } })

const world = (...objects: readonly MeshObject[]): RoutedWorld => new RoutedWorld(objects)

t.test('the first rule that matches counts, however specific later ones are; 404 where none does', (t) => {
  const found = world(
    virtualService('vs', [
      { match: [prefix('/v')], ...v1 },
      { match: [{ uri: { exact: '/v2' } }], ...v2 },
    ]),
  )
  t.equal(found.goal({ path: '/v2' }), 'echo-v1')
  t.equal(found.goal({ path: '/vx' }), 'echo-v1')
  t.equal(found.goal({ path: '/x' }), '404')
  t.same(found.said('vs'), ['Accepted=True Accepted'])
  t.end()
})

t.test('matches: every field, any of the list', (t) => {
  const match = [
    { uri: { prefix: '/CASE' }, ignoreUriCase: true, method: { exact: 'PUT' } },
    { headers: { 'X-User': { exact: 'a' }, 'x-any': {} }, withoutHeaders: { 'x-no': {} } },
    { queryParams: { q: { regex: '[0-9]+' }, p: { regex: '*' } } },
    { authority: { prefix: 'api.' }, port: 8080 },
    { sourceNamespace: 'admin', sourceLabels: { app: 'x' } },
    { headers: { '@request.auth.claims.group': { exact: 'ops' } } },
    { headers: { '@request.auth.claims[realm][role]': { exact: 'root' } } },
  ]
  const found = world(virtualService('vs', [{ match, ...v1 }]))
  const yes = [
    { path: '/case/x', method: 'PUT' },
    { headers: { 'x-user': 'a', 'X-Any': '' } },
    { path: '/?q=12&p=' },
    { authority: 'api.x', port: 8080 },
    { namespace: 'admin', labels: { app: 'x' } },
    { claims: { group: ['dev', 'ops'] } },
    { claims: { 'realm.role': ['root'] } },
  ]
  const no = [
    { path: '/case/x' },
    { headers: { 'x-user': 'a' } },
    { headers: { 'x-user': 'a', 'x-any': '1', 'x-no': '1' } },
    { path: '/?q=12' },
    { path: '/?q=x&p=1' },
    { authority: 'api.x' },
    { namespace: 'admin' },
    { claims: { group: ['dev'] } },
  ]
  for (const asked of yes) t.equal(found.goal(asked), 'echo-v1', JSON.stringify(asked))
  for (const asked of no) t.equal(found.goal(asked), '404', JSON.stringify(asked))
  t.end()
})

t.test('weights: one destination gets everything, of several those without weight nothing', (t) => {
  t.equal(world(virtualService('vs', [{ route: [{ ...to('echo-v1'), weight: 0 }] }])).goal(), 'echo-v1')
  const route = [{ ...to('echo-v1'), weight: 90 }, { ...to('echo-v2'), weight: 10 }, to('gone')]
  const found = world(virtualService('vs', [{ route }]))
  t.same(
    [0, 0.89, 0.91, 0.999].map((random) => found.goal({}, random)),
    ['echo-v1', 'echo-v1', 'echo-v2', 'echo-v2'],
  )
  t.end()
})

t.test('503 for an unknown host, port or subset', (t) => {
  const destinations = [to('gone'), to('echo-v1', { port: { number: 1 } }), to('echo-v1', { subset: 'x' })]
  const reasons = ['BackendNotFound', 'BackendNotFound', 'SubsetNotFound']
  for (const [index, destination] of destinations.entries()) {
    const found = world(virtualService('vs', [{ route: [destination] }]))
    t.match(found.decide(), { kind: 'respond', status: 503, grpcStatus: 14 })
    t.ok(found.said('vs').includes(`ResolvedRefs=False ${reasons[index]}`))
  }
  t.end()
})

t.test('hosts: short, with namespace, full, wildcard; the more specific host wins', (t) => {
  for (const host of [
    'echo',
    'echo.shop',
    'echo.shop.svc',
    'echo.shop.svc.cluster.local',
    'ECHO',
    '*.shop.svc.cluster.local',
  ]) {
    t.equal(world(virtualService('vs', [v1], { hosts: [host] })).goal(), 'echo-v1', host)
  }
  const wide = virtualService(
    'wide',
    [v1],
    { hosts: ['*.shop.svc.cluster.local'] },
    { creationTimestamp: '2025-01-01T00:00:00Z' },
  )
  const both = world(wide, virtualService('exact', [v2]))
  t.equal(both.goal(), 'echo-v2')
  t.same(both.said('wide'), ['Accepted=True Accepted'], 'it still has the other services')
  t.same(world(virtualService('vs', [v1], { hosts: ['gone'] })).said('vs'), [
    'Accepted=True Accepted',
    'ResolvedRefs=False HostNotFound',
  ])
  const elsewhere = virtualService('vs', [v1], {}, { namespace: 'other' })
  t.equal(world(elsewhere).goal(), 'unrouted', 'a short host is one of its own namespace')
  t.end()
})

t.test('of two for one host the older counts, and the other is told', (t) => {
  const old = virtualService('old', [v1])
  const young = virtualService('young', [v2], {}, { creationTimestamp: '2026-05-01T00:00:00Z' })
  const found = world(young, old)
  t.equal(found.goal(), 'echo-v1')
  t.same(found.said('young'), ['Accepted=False Conflicted'])
  t.end()
})

t.test('routes of the Gateway API come before a VirtualService', (t) => {
  const found = world(virtualService('vs', [v1]), httpRoute('r', [{ backendRefs: [backend('echo-v2')] }]))
  t.equal(found.goal(), 'echo-v2')
  t.same(found.said('vs'), ['Accepted=False Conflicted'])
  t.same(found.said('r'), ['Accepted=True Accepted'])
  t.end()
})

t.test('exportTo limits the clients, gateways the traffic', (t) => {
  const own = world(virtualService('vs', [v1], { exportTo: ['.'] }))
  t.equal(own.goal({ namespace: 'shop' }), 'echo-v1')
  t.equal(own.goal({ namespace: 'other' }), 'unrouted')
  t.equal(world(virtualService('vs', [v1], { exportTo: ['~'] })).goal(), 'unrouted')
  t.equal(world(virtualService('vs', [v1], { gateways: ['gw'] })).goal(), 'unrouted')
  t.equal(world(virtualService('vs', [v1], { gateways: ['gw', 'mesh'] })).goal(), 'echo-v1')
  const match = [{ gateways: ['gw'], ...prefix('/') }]
  t.equal(
    world(virtualService('vs', [{ match, ...v1 }, v2])).goal(),
    'echo-v2',
    'a match for gateways only is none here',
  )
  t.end()
})

t.test('subsets come from the DestinationRule of the route, of the service, of the mesh', (t) => {
  const subsets = [{ name: 's', labels: { version: 'v1' } }]
  const vs = virtualService('vs', [{ route: [to('echo-v1', { subset: 's' })] }])
  const places: readonly (readonly [string, string, string])[] = [
    ['echo-v1', 'shop', 'echo-v1/s'],
    ['echo-v1.shop.svc.cluster.local', 'istio-system', 'echo-v1/s'],
    ['*.shop.svc.cluster.local', 'shop', 'echo-v1/s'],
    ['echo-v1.shop.svc.cluster.local', 'other', '503'],
    ['echo-v2', 'shop', '503'],
  ]
  for (const [host, namespace, expected] of places) {
    t.equal(world(vs, destinationRule('dr', { host, subsets }, { namespace })).goal(), expected, `${host} ${namespace}`)
  }
  const hidden = destinationRule('dr', { host: 'echo-v1', subsets, exportTo: ['other'] })
  t.equal(world(vs, hidden).goal(), '503')
  const wide = destinationRule('a', {
    host: '*.shop.svc.cluster.local',
    subsets: [{ name: 's', labels: { wide: 'yes' } }],
  })
  t.match(world(vs, wide, destinationRule('b', { host: 'echo-v1', subsets })).decide(), {
    destination: { backend: { subset: { labels: { version: 'v1' } } } },
  })
  t.match(world(vs, destinationRule('dr', { host: 'echo-v1', subsets })).decide(), {
    destination: { backend: { subset: { name: 's', labels: { version: 'v1' } } } },
  })
  t.end()
})

t.test('the port is that of the destination, its only one, or that of the frontend', (t) => {
  const services = [routed('echo'), routed('one', {}, { ports: [{ port: 9000 }] }), routed('echo-v1')]
  const portOf = (host: string, port: number): number | undefined => {
    const found = new RoutedWorld([virtualService('vs', [{ route: [{ destination: { host } }] }])], services).decide({
      port,
    })
    return found.kind === 'forward' ? found.destination.backend.port : undefined
  }
  t.equal(portOf('one', 80), 9000)
  t.equal(portOf('echo-v1', 8080), 8080)
  t.end()
})

t.test('retries: two by default, none where attempts is 0, integers are statuses', (t) => {
  const retryOf = (rule: object): unknown => {
    const decision = world(virtualService('vs', [{ ...v1, ...rule }])).decide()
    return decision.kind === 'forward' ? decision.route.retry : undefined
  }
  const conditions = ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes']
  t.match(retryOf({}), {
    attempts: 2,
    conditions,
    statuses: [503],
    backoffMs: 25,
    maxBackoffMs: 250,
    avoidPreviousHosts: true,
  })
  t.equal(retryOf({ retries: { attempts: 0 } }), 'none')
  t.match(retryOf({ retries: { attempts: 5, retryOn: '5xx, 429', backoff: '1s', retryIgnorePreviousHosts: false } }), {
    attempts: 5,
    conditions: ['5xx'],
    statuses: [429],
    backoffMs: 1000,
    maxBackoffMs: 10_000,
    avoidPreviousHosts: false,
  })
  const timed = world(
    virtualService('vs', [{ ...v1, timeout: '5s', retries: { attempts: 1, perTryTimeout: '2s' } }]),
  ).decide()
  t.match(timed, { route: { timeoutMs: 5000, tryTimeoutMs: 2000 } })
  t.end()
})

t.test('faults: a share that is not written is none', (t) => {
  const faultOf = (fault: object): unknown => {
    const decision = world(virtualService('vs', [{ ...v1, fault }])).decide()
    return decision.kind === 'forward' ? decision.route.filters.fault : undefined
  }
  t.same(faultOf({ delay: { fixedDelay: '2s', percentage: { value: 0.0001 } } }), {
    delay: { delayMs: 2000, share: 0.000001 },
  })
  t.same(faultOf({ delay: { fixedDelay: '2s' } }), { delay: { delayMs: 2000, share: 0 } })
  t.same(faultOf({ delay: { fixedDelay: '2s', percent: 10 } }), { delay: { delayMs: 2000, share: 0.1 } })
  t.same(faultOf({ abort: { httpStatus: 418, percentage: { value: 100 } } }), { abort: { status: 418, share: 1 } })
  t.same(faultOf({ abort: { grpcStatus: 'NOT_FOUND', percentage: { value: 100 } } }), { abort: { grpc: 5, share: 1 } })
  t.end()
})

t.test('mirrors: all of the requests where no share is written, none for 0', (t) => {
  const sharesOf = (rule: object): unknown => {
    const decision = world(virtualService('vs', [{ ...v1, ...rule }])).decide()
    return decision.kind === 'forward'
      ? decision.mirrors.map(({ share, shadowHost }) => [share, shadowHost])
      : undefined
  }
  const { destination } = to('echo-v2') as { readonly destination: object }
  t.same(sharesOf({ mirror: destination }), [[1, true]])
  t.same(sharesOf({ mirror: destination, mirrorPercentage: { value: 12.5 } }), [[0.125, true]])
  t.same(sharesOf({ mirror: destination, mirrorPercent: 10 }), [[0.1, true]])
  t.same(sharesOf({ mirror: destination, mirrorPercentage: { value: 0 } }), [])
  t.same(sharesOf({ mirrors: [{ destination }, { destination, percentage: { value: 50 } }] }), [
    [1, true],
    [0.5, true],
  ])
  t.same(sharesOf({ mirror: { host: 'gone' } }), [])
  t.end()
})

t.test('redirects are 301 by default, direct responses have a body', (t) => {
  const goal = (rule: object): string => world(virtualService('vs', [rule])).goal({ path: '/a/b?c' })
  t.equal(goal({ redirect: { authority: 'new.example' } }), '301 http://new.example/a/b?c')
  t.equal(goal({ redirect: { uri: '/new', redirectCode: 307 } }), '307 http://echo/new?c')
  t.equal(goal({ match: [prefix('/a')], redirect: { prefixRewrite: '/z' } }), '301 http://echo/z/b?c')
  t.equal(goal({ redirect: { scheme: 'https', derivePort: 'FROM_PROTOCOL_DEFAULT' } }), '301 https://echo/a/b?c')
  t.match(world(virtualService('vs', [{ directResponse: { status: 418, body: { string: 'tea' } } }])).decide(), {
    kind: 'respond',
    status: 418,
    route: { action: { body: { kind: 'text', text: 'tea' } } },
  })
  t.end()
})

t.test('rewrites and headers; Host is the authority, that of the route before that of the destination', (t) => {
  const host = (value: string): object => ({
    headers: { request: { set: { Host: value, 'x-a': '1' }, remove: ['x-b'] } },
  })
  const route = [{ ...to('echo-v1'), ...host('inner') }]
  const rule = { match: [prefix('/old')], rewrite: { uri: '/new' }, route }
  const inner = world(virtualService('vs', [rule])).decide({ path: '/oldx' })
  t.match(inner, {
    host: 'inner',
    destination: { filters: { request: { set: [{ name: 'x-a', value: '1' }], remove: ['x-b'] } } },
  })
  t.equal(inner.kind === 'forward' && inner.rewritePath?.('/oldx'), '/newx')
  t.match(world(virtualService('vs', [{ ...rule, ...host('outer') }])).decide({ path: '/old' }), { host: 'outer' })
  const regex = { ...v1, rewrite: { uriRegexRewrite: { match: '^/(a+)/', rewrite: '/\\1-' } } }
  const found = world(virtualService('vs', [regex])).decide({ path: '/aa/b' })
  t.equal(found.kind === 'forward' && found.rewritePath?.('/aa/b'), '/aa-b')
  t.equal(
    rewriteOf({ uriRegexRewrite: { match: '(?=a)', rewrite: '' } }, undefined, '', () => {}),
    'broken',
  )
  t.end()
})

t.test("a delegate's rules stand in the root's, within its matches, and inherit what they leave open", (t) => {
  const root = virtualService('root', [
    { match: [prefix('/shop')], delegate: { name: 'd' }, timeout: '3s', retries: { attempts: 0 } },
    v2,
  ])
  const rules = [
    { match: [{ uri: { exact: '/shop/a' }, method: { exact: 'GET' } }], ...v1, timeout: '1s' },
    { match: [prefix('/other')], ...v1 },
    { match: [{ headers: { x: { exact: '1' } } }], ...v1 },
  ]
  const found = world(root, virtualService('d', rules, { hosts: [] }))
  t.equal(found.goal({ path: '/shop/a' }), 'echo-v1')
  t.match(found.decide({ path: '/shop/a' }), {
    route: { timeoutMs: 1000, retry: 'none', origin: { name: 'd', index: 0 } },
  })
  t.match(found.decide({ path: '/shop/b', headers: { x: '1' } }), {
    route: { timeoutMs: 3000, origin: { name: 'd', index: 2 } },
  })
  t.equal(found.goal({ path: '/shop/b' }), 'echo-v2')
  t.equal(found.goal({ path: '/other', headers: { x: '1' } }), 'echo-v2')
  t.ok(found.said('root').includes('ResolvedRefs=False DelegateConflict'))
  const narrow = virtualService('root', [{ match: [{ uri: { exact: '/shop' } }], delegate: { name: 'd' } }, v2])
  const wider = world(narrow, virtualService('d', [{ match: [prefix('/shop')], ...v1 }], { hosts: [] }))
  t.equal(wider.goal({ path: '/shop' }), 'echo-v2', 'a wider match is not within a narrower one')
  const missing = world(virtualService('root', [{ match: [prefix('/shop')], delegate: { name: 'gone' } }, v2]))
  t.same([missing.goal({ path: '/shop' }), missing.goal({ path: '/x' })], ['503', 'echo-v2'])
  t.end()
})

t.test('CORS: origins of all kinds, preflights of others go on unless they are to be ignored', (t) => {
  const corsOf = (corsPolicy: object): unknown => {
    const decision = world(virtualService('vs', [{ ...v1, corsPolicy }])).decide()
    return decision.kind === 'forward' ? decision.route.filters.cors : undefined
  }
  const allowOrigins = [{ exact: '*' }, { prefix: 'https://a' }, { regex: '.*b' }]
  t.match(corsOf({ allowOrigins, maxAge: '24h', allowCredentials: true }), {
    origins: [{ kind: 'present' }, { kind: 'prefix', value: 'https://a' }, { kind: 'regex', value: '.*b' }],
    maxAgeSeconds: 86_400,
    credentials: true,
    forwardUnmatched: true,
  })
  t.match(corsOf({ allowOrigin: ['http://a'], unmatchedPreflights: 'IGNORE' }), {
    origins: [{ kind: 'exact', value: 'http://a' }],
    forwardUnmatched: false,
  })
  t.end()
})

t.test('what several frontends have in common is told once', (t) => {
  const found = new RoutedWorld([virtualService('vs', [{ route: [to('gone')] }])], echoes)
  t.same(found.said('vs'), ['Accepted=True Accepted', 'ResolvedRefs=False BackendNotFound'])
  t.end()
})
