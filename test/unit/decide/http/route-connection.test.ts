import t from 'tap'
import {
  asksServerName,
  compileConnections,
  type RoutedConnection,
  routeConnection,
  takesHttp,
} from '../../../../core/decide/http/route-connection.ts'
import type { RouteTable } from '../../../../core/model/routes.ts'
import {
  backend,
  httpRoute,
  RoutedWorld,
  routed,
  routeObject,
  toEcho,
  virtualService,
} from '../../../helpers/route-objects.ts'

const gateway = 'gateway.networking.k8s.io/v1'
const tcpRoute = (name: string, backends: readonly object[], meta = {}) =>
  routeObject(gateway, 'TCPRoute', name, { parentRefs: toEcho, rules: [{ backendRefs: backends }] }, meta)
const tlsRoute = (name: string, hostnames: readonly string[], backends: readonly object[], meta = {}) =>
  routeObject(gateway, 'TLSRoute', name, { parentRefs: toEcho, hostnames, rules: [{ backendRefs: backends }] }, meta)
const to = (host: string, weight?: number) => ({
  destination: { host, port: { number: 80 } },
  ...(weight && { weight }),
})

function goal(table: RouteTable, asked: Partial<RoutedConnection> = {}, random = 0): string {
  const connection: RoutedConnection = {
    port: 80,
    destination: '240.240.0.1',
    source: '10.0.0.1',
    sourceNamespace: 'clients',
    serverName: undefined,
    ...asked,
  }
  const decision = routeConnection(compileConnections(table), connection, random)
  if (decision.kind === 'forward') return decision.backend.hostname.split('.')[0] ?? ''
  return decision.kind
}

t.test('TCPRoute: weights over its backends; a share of nothing is refused; nobody looks for HTTP', async (t) => {
  const table = new RoutedWorld([tcpRoute('r', [backend('echo-v1', 3), backend('gone', 1)])]).table()!
  t.same(
    [0, 0.5, 0.7, 0.8].map((random) => goal(table, {}, random)),
    ['echo-v1', 'echo-v1', 'echo-v1', 'refuse'],
  )
  t.notOk(takesHttp(table, 'clients'))
  t.notOk(asksServerName(table, 'clients'))
  t.equal(goal(new RoutedWorld([tcpRoute('r', [backend('echo-v1', 0)])]).table()!), 'refuse')
})

t.test('of two TCPRoutes the older holds, and HTTPRoute comes before both', async (t) => {
  const older = { creationTimestamp: '2020-01-01T00:00:00Z' }
  const two = new RoutedWorld([tcpRoute('young', [backend('echo-v1')]), tcpRoute('old', [backend('echo-v2')], older)])
  t.equal(goal(two.table()!), 'echo-v2')
  t.same(two.said('young'), ['Accepted=False Conflicted'])
  const http = new RoutedWorld([
    tcpRoute('old', [backend('echo-v2')], older),
    tlsRoute('tls', ['x.example'], [backend('echo-v2')], older),
    httpRoute('h', [{ backendRefs: [backend('echo-v1')] }]),
  ])
  t.same([http.goal(), goal(http.table()!)], ['echo-v1', 'unrouted'])
  for (const lost of ['old', 'tls']) t.same(http.said(lost), ['Accepted=False Conflicted'])
})

t.test('TLSRoute: by server name, the most specific first over all routes, refused where none fits', async (t) => {
  const table = new RoutedWorld([
    tlsRoute('wide', ['*.example'], [backend('echo')], { creationTimestamp: '2020-01-01T00:00:00Z' }),
    tlsRoute('narrow', ['*.a.example', 'b.example'], [backend('echo-v1')]),
  ]).table()!
  t.ok(asksServerName(table, 'clients'))
  const goals = ['x.example', 'x.A.example', 'b.example', 'a.example', 'example'].map((serverName) =>
    goal(table, { serverName }),
  )
  t.same(goals, ['echo', 'echo-v1', 'echo-v1', 'echo', 'refuse'])
  t.equal(goal(table), 'refuse', 'not TLS')
})

t.test('VirtualService: tls before tcp, in order, every kind of match', async (t) => {
  const spec = {
    hosts: ['echo', '*.example'],
    tls: [{ match: [{ sniHosts: ['x.example'], port: 80 }], route: [to('echo-v1')] }],
    tcp: [
      { match: [{ destinationSubnets: ['240.240.9.0/24'] }, { sourceSubnet: '10.9.0.0/16' }], route: [to('echo-v2')] },
      { match: [{ sourceNamespace: 'admin', sourceLabels: { app: 'x' } }, { port: 8080 }], route: [to('echo-v1')] },
      { match: [{ gateways: ['shop/edge'] }], route: [to('echo-v1')] },
      { match: [{ port: 80, sourceLabels: { app: 'y' } }], route: [to('echo', 1), to('echo-v2', 3)] },
    ],
  }
  const virtual = routeObject('networking.istio.io/v1', 'VirtualService', 'vs', spec, {})
  const world = new RoutedWorld([virtual])
  const [table, alt] = [world.table()!, world.table(8080)!]
  t.equal(goal(table, { serverName: 'x.example' }), 'echo-v1')
  t.equal(goal(table, { destination: '240.240.9.7' }), 'echo-v2')
  t.equal(goal(table, { source: '10.9.1.1' }), 'echo-v2')
  t.equal(goal(table, { sourceNamespace: 'admin', sourceLabels: { app: 'x' } }), 'echo-v1')
  t.equal(goal(table, { sourceNamespace: 'admin' }), 'refuse')
  t.equal(goal(alt, { port: 8080 }), 'echo-v1')
  t.same(
    [goal(table, { sourceLabels: { app: 'y' } }), goal(table, { sourceLabels: { app: 'y' } }, 0.5)],
    ['echo', 'echo-v2'],
  )
  t.notOk(takesHttp(table, ''))
})

t.test(
  'a VirtualService with http and tcp keeps them apart; one with http alone leaves the rest to the Service',
  async (t) => {
    const http = [{ route: [to('echo-v1')] }]
    const both = new RoutedWorld([virtualService('vs', http, { tcp: [{ route: [to('echo-v2')] }] })])
    t.same([both.goal(), goal(both.table()!), takesHttp(both.table()!, 'a')], ['echo-v1', 'echo-v2', true])
    const alone = new RoutedWorld([virtualService('vs', http)], [routed('echo'), routed('echo-v1')])
    t.same([alone.goal(), goal(alone.table()!), takesHttp(alone.table()!, 'a')], ['echo-v1', 'unrouted', true])
  },
)

t.test('a consumer route holds for the clients of its namespace only', async (t) => {
  const own = routeObject(
    gateway,
    'TCPRoute',
    'mine',
    {
      parentRefs: [{ ...toEcho[0], namespace: 'shop' }],
      rules: [{ backendRefs: [{ ...backend('echo-v1'), namespace: 'shop' }] }],
    },
    { namespace: 'admin' },
  )
  const table = new RoutedWorld([own]).table()!
  t.same([goal(table, { sourceNamespace: 'admin' }), goal(table)], ['echo-v1', 'unrouted'])
  t.same([takesHttp(table, 'admin'), takesHttp(table, 'clients')], [false, true])
})
