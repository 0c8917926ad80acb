import t from 'tap'
import { compile } from '../../../../control/compile/compile.ts'
import { routeSteps } from '../../../../core/decide/explain/routes.ts'
import type { ExplainQuestion } from '../../../../core/model/explanation.ts'
import type { MeshObject } from '../../../../core/model/resource.ts'
import { Snapshot } from '../../../../core/model/snapshot.ts'
import { settings } from '../../../helpers/compile-objects.ts'
import { workload } from '../../../helpers/model.ts'
import {
  backend,
  destinationRule,
  echoes,
  grpcRoute,
  httpRoute,
  routeObject,
  toEcho,
  virtualService,
} from '../../../helpers/route-objects.ts'

const client = workload({ name: 'client', namespace: 'clients', labels: { app: 'client' } })

function steps(objects: readonly MeshObject[], asked: Partial<ExplainQuestion> = {}, port = 80) {
  const snapshot = new Snapshot()
  const upserts = compile([...echoes, ...objects], settings).resources
  snapshot.apply({ epoch: 'e', version: 1, full: true, upserts, removes: [] })
  const service = snapshot.serviceByHostname('echo.shop.svc.cluster.local')!
  const found = routeSteps(snapshot, { service, port, source: client }, { source: '', destination: '', ...asked })
  return (what: string) => found.find((step) => step.what === what)
}

const path = (value: string, type = 'PathPrefix') => ({ path: { type, value } })

t.test('the rule that takes the request, its backends with their shares, and why the others do not', async (t) => {
  const step = steps(
    [
      httpRoute('r', [
        {
          name: 'two',
          matches: [{ ...path('/v2'), headers: [{ name: 'x', value: '1' }] }],
          backendRefs: [backend('echo-v2')],
        },
        { matches: [path('/v2/a', 'Exact')], backendRefs: [backend('echo-v1')] },
        { backendRefs: [backend('echo-v1', 9), backend('gone', 1)], timeouts: { request: '3s', backendRequest: '1s' } },
      ]),
    ],
    { path: '/v2/b?x=1', method: 'GET' },
  )
  t.match(step('route'), {
    outcome: 'GET /v2/b?x=1 to echo-v1.shop.svc.cluster.local:8080 (90 %), 500 (10 %)',
    because: /^HTTPRoute shop\/r rule 2: its match 0 holds; BackendNotFound: .*gone/,
  })
  t.match(step('other routes'), {
    outcome: '2 matches not taken',
    because:
      'HTTPRoute shop/r rule 1 match 0: path does not hold; HTTPRoute shop/r rule "two" match 0: headers["x"] does not hold',
  })
  t.match(step('timeout and retries at the waypoint'), {
    outcome:
      '3000 ms in all, 1000 ms for a try; 2 retries where nothing of the request was taken, on 503, and on gRPC unavailable and cancelled',
  })
})

t.test('nothing attached, nothing that matches, a redirect, an error, an answer of the waypoint', async (t) => {
  t.match(steps([])('route'), { outcome: 'none', because: /no route is attached to shop\/echo port 80/ })
  const only = [httpRoute('r', [{ matches: [path('/x')], backendRefs: [backend('echo-v1')] }])]
  t.match(steps(only)('route'), { outcome: 'GET /: 404', passed: false })
  t.match(steps([httpRoute('r', [{}])])('route'), { outcome: 'GET /: 500', because: /no backendRefs/, passed: false })
  t.match(steps(only, { path: 'x' })('route'), { outcome: 'GET x: 400', passed: false })
  const redirect = { type: 'RequestRedirect', requestRedirect: { hostname: 'other', statusCode: 301 } }
  t.match(steps([httpRoute('r', [{ filters: [redirect] }])])('route'), { outcome: 'GET /: 301 to http://other/' })
  const teapot = [virtualService('v', [{ directResponse: { status: 418 } }])]
  t.match(steps(teapot)('route'), { outcome: 'GET /: 418', because: /answers itself/ })
  const elsewhere = { parentRefs: [{ ...toEcho[0], namespace: 'shop' }] }
  const consumer = [
    httpRoute('r', [{ backendRefs: [{ ...backend('echo-v1'), namespace: 'shop' }] }], elsewhere, {
      namespace: 'other',
    }),
  ]
  t.match(steps(consumer)('route'), { outcome: 'none', because: /clients of other namespaces/ })
})

t.test('what happens on the way: faults, mirrors, retries, the destination, limits', async (t) => {
  const to = { host: 'echo-v1', port: { number: 80 }, subset: 'a' }
  const rule = {
    route: [{ destination: to }],
    fault: {
      delay: { fixedDelay: '2s', percentage: { value: 50 } },
      abort: { grpcStatus: 'UNAVAILABLE', percentage: { value: 1 } },
    },
    mirror: { host: 'echo-v2', port: { number: 80 } },
    mirrorPercentage: { value: 20 },
    retries: { attempts: 3, retryOn: '503,reset' },
    rewrite: { uri: '/new' },
    headers: { response: { add: { a: 'b' } } },
  }
  const subset = { name: 'a', labels: { v: 'a' }, trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } }
  const limit = {
    targetRefs: [{ kind: 'Service', name: 'echo' }],
    rules: [
      { name: 'slow', limit: { requests: 3, per: '1s' }, dryRun: true },
      { name: 'slower', limit: { requests: 5, per: '1h', burst: 20 } },
    ],
  }
  const step = steps([
    virtualService('v', [rule]),
    destinationRule('d', { host: 'echo-v1', trafficPolicy: { outlierDetection: {} }, subsets: [subset] }),
    routeObject('culvert.dev/v1alpha1', 'RateLimitPolicy', 'p', limit, {}),
  ])
  t.match(step('route')?.because, 'VirtualService shop/v rule 0: it takes every request')
  t.equal(step('other routes'), undefined)
  t.equal(
    step('filters')?.outcome,
    'response headers changed, path rewritten, 20 % mirrored to echo-v2.shop.svc.cluster.local:80, 50 % delayed by 2000 ms, 1 % answered with gRPC status 14',
  )
  t.equal(step('timeout and retries at the waypoint')?.outcome, 'no timeout; 3 retries on reset, 503')
  t.match(step('destination'), {
    outcome:
      'echo-v1.shop.svc.cluster.local subset a: random, outlier detection: ejected after 5 5xx in a row for 30000 ms, at most 10 % of the endpoints',
    because: 'DestinationRule shop/d',
  })
  t.match(step('rate limits'), {
    outcome: 'slow: 3 per second, 3 at once (dry run); slower: 5 per hour, 20 at once',
    because: 'RateLimitPolicy shop/p',
  })
})

t.test('without a route: what the destination rule says, and how often the waypoint tries', async (t) => {
  const connectionPool = { tcp: { maxConnections: 3 }, http: { http2MaxRequests: 7, maxRetries: 1 } }
  const step = steps([destinationRule('d', { host: 'echo', trafficPolicy: { connectionPool } })])
  t.match(step('timeout and retries at the waypoint'), { outcome: /^no timeout; 2 retries/, because: /no rule/ })
  t.match(step('destination'), {
    outcome:
      'echo.shop.svc.cluster.local: at most 3 connections, at most 7 requests at once, at most 1 retries at once',
    because: 'DestinationRule shop/d',
  })
})

t.test('a call of gRPC, and connections that nobody reads', async (t) => {
  const call = { method: { service: 'a.B', method: 'C' } }
  const objects = [grpcRoute('g', [{ matches: [call], backendRefs: [backend('echo-v1')] }])]
  t.match(steps(objects, { method: 'POST', path: '/a.B/C' })('route')?.because, /^GRPCRoute shop\/g rule 0/)
  t.match(steps(objects, { method: 'POST', path: '/a.B/D' })('other routes')?.because, /method does not hold/)
  const tcp = routeObject(
    'gateway.networking.k8s.io/v1',
    'TCPRoute',
    't',
    { parentRefs: toEcho, rules: [{ backendRefs: [backend('echo-v2')] }] },
    {},
  )
  t.match(steps([tcp])('route'), {
    outcome: 'TCPRoute shop/t rule 0: echo-v2.shop.svc.cluster.local:8080',
    because: /nobody reads requests/,
  })
})
