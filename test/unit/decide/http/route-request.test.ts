import t from 'tap'
import { compileRouting, considered, routeRequest } from '../../../../core/decide/http/route-request.ts'
import type { Backend, Route, RouteTable } from '../../../../core/model/routes.ts'
import { decide, exact, goal, request, routeTo, segments, tableOf } from '../../../helpers/routing.ts'

const gone: Backend = { kind: 'invalid', status: 500, reason: 'BackendNotFound', message: 'there is no Service x' }

t.test('without a route the request goes to its Service; with one it is 404 where no rule matches', (t) => {
  t.equal(goal(decide({ service: 's', port: 80, consumers: {} })), 'unrouted')
  t.equal(goal(decide(tableOf([]))), '404')
  t.equal(goal(decide(tableOf([routeTo('a', [{ path: exact('/a') }])]), { path: '/b' })), '404')
  t.end()
})

t.test('the share of an invalid destination is answered with its status and says why', (t) => {
  const good = routeTo('good', []).action
  const destinations = [
    ...(good.kind === 'forward' ? good.destinations : []),
    { weight: 1, backend: gone, filters: {} },
  ]
  const table = tableOf([routeTo('r', [], { action: { kind: 'forward', destinations } })])
  t.equal(goal(decide(table, {}, 0.49)), 'good')
  t.match(decide(table, {}, 0.5), {
    kind: 'respond',
    status: 500,
    grpcStatus: 14,
    reason: /BackendNotFound: there is no/,
  })
  t.end()
})

t.test('without any weight: 500 for the Gateway API, 503 for Istio', (t) => {
  const action = { kind: 'forward', destinations: [] } as const
  const virtual: Partial<Route> = { origin: { kind: 'VirtualService', namespace: 'a', name: 'b', index: 0 }, action }
  t.equal(goal(decide(tableOf([routeTo('r', [], { action })]))), '500')
  t.equal(goal(decide(tableOf([routeTo('r', [], virtual)]))), '503')
  t.end()
})

t.test('an answer that the rule asks for has the gRPC status of its HTTP status', (t) => {
  for (const [status, grpcStatus] of [
    [200, 0],
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [418, 2],
    [429, 14],
    [503, 14],
  ] as const) {
    const action = { kind: 'respond', status } as const
    t.match(decide(tableOf([routeTo('r', [], { action })])), { kind: 'respond', status, grpcStatus, reason: '' })
  }
  t.end()
})

t.test("clients of a namespace with an own group never see everyone's", (t) => {
  const table: RouteTable = {
    ...tableOf([routeTo('everyone', [])]),
    consumers: { own: { precedence: 'specific', routes: [routeTo('own', [{ path: exact('/x') }])] } },
  }
  t.equal(goal(decide(table, { namespace: 'own', path: '/x' })), 'own')
  t.equal(goal(decide(table, { namespace: 'own', path: '/y' })), '404')
  t.equal(goal(decide(table, { namespace: '__proto__' })), 'everyone')
  t.equal(goal(decide(table, { namespace: '' })), 'everyone')
  t.end()
})

t.test('what is decided is made with the table: the same request gets the same object', (t) => {
  const routing = compileRouting(tableOf([routeTo('a', [{ path: segments('/a') }])]))
  const asked = request({ path: '/a/b' })
  t.equal(routeRequest(routing, asked, 0.1), routeRequest(routing, asked, 0.9))
  t.end()
})

t.test('why not the others: the first field that fails, or outranked', (t) => {
  const routes = [
    routeTo('exact', [{ path: exact('/a'), headers: [{ name: 'x', match: { kind: 'exact', value: '1' } }] }]),
    routeTo('longer', [{ path: segments('/a/b') }]),
    routeTo('chosen', [{ path: segments('/a') }, { method: { kind: 'exact', value: 'GET' } }]),
  ]
  const said = considered(compileRouting(tableOf(routes)), request({ path: '/a' }))
  t.same(
    said.map(({ origin, match, outcome, field }) => [origin.name, match, outcome, field]),
    [
      ['exact', 0, 'fails', 'headers["x"]'],
      ['longer', 0, 'fails', 'path'],
      ['chosen', 0, 'chosen', undefined],
      ['chosen', 1, 'outranked', undefined],
    ],
  )
  t.same(considered(compileRouting({ service: 's', port: 80, consumers: {} }), request()), [])
  t.end()
})

t.test('of a thousand rules only those on the way of the path are asked', (t) => {
  const asked = new Set<string>()
  const routes = Array.from({ length: 1000 }, (_, index) =>
    routeTo(`r${index}`, [
      { path: segments(`/team-${index}/api`), headers: [{ name: `h${index}`, match: { kind: 'present' } }] },
    ]),
  )
  const routing = compileRouting(tableOf([...routes, routeTo('rest', [])]))
  const counting = {
    ...request({ path: '/team-77/api/x' }),
    header: (name: string) => {
      asked.add(name)
      return undefined
    },
  }
  t.equal(goal(routeRequest(routing, counting, 0)), 'rest')
  t.same([...asked], ['h77'])
  t.end()
})
