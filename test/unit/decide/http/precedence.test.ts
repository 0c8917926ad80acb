import t from 'tap'
import { compareMatches, ranked } from '../../../../core/decide/http/precedence.ts'
import type { NamedMatch, PathMatch, RequestMatch } from '../../../../core/model/routes.ts'
import { exact, routeTo, segments } from '../../../helpers/routing.ts'

const named = (...names: readonly string[]): readonly NamedMatch[] =>
  names.map((name) => ({ name, match: { kind: 'exact', value: '1' } }))
const get = { kind: 'exact', value: 'GET' } as const
const call = (service?: string, method?: string): PathMatch => ({
  kind: 'grpc',
  ...(service === undefined ? {} : { service: { kind: 'exact', value: service } }),
  ...(method === undefined ? {} : { method: { kind: 'exact', value: method } }),
})

t.test('HTTPRoute: Exact, then the longer prefix, method, more headers, more query parameters', (t) => {
  const order: readonly RequestMatch[] = [
    { path: exact('/match/exact/one') },
    { path: exact('/m') },
    { path: { kind: 'regex', value: '/m.*' } },
    { path: segments('/match/this/long/path') },
    { path: segments('/match'), method: get, headers: named('a') },
    { path: segments('/match'), method: get },
    { path: segments('/match'), headers: named('a', 'b'), query: named('x') },
    { path: segments('/match'), headers: named('a', 'b') },
    { path: segments('/match'), headers: named('a'), query: named('x', 'y', 'z') },
    { path: segments('/match'), query: named('x', 'y') },
    { path: segments('/match'), query: named('x') },
    { path: segments('/match') },
    { path: segments('/'), method: get },
    { headers: named('a') },
    {},
  ]
  for (const [index, first] of order.entries()) {
    for (const second of order.slice(index + 1)) {
      const text = `${JSON.stringify(first)} before ${JSON.stringify(second)}`
      t.ok(compareMatches(first, second) < 0, text)
      t.ok(compareMatches(second, first) > 0, `not the other way: ${text}`)
    }
  }
  t.end()
})

t.test('GRPCRoute: more characters of the service, then of the method, then more headers', (t) => {
  const order: readonly RequestMatch[] = [
    { path: call('long.package.Service', 'M') },
    { path: call('long.package.Service') },
    { path: call('a.S', 'Method') },
    { path: call('a.S', 'M'), headers: named('a', 'b') },
    { path: call('a.S', 'M') },
    { path: call('a.S'), headers: named('a') },
    { path: call(undefined, 'LongMethod') },
    { headers: named('a') },
    {},
  ]
  for (const [index, first] of order.entries()) {
    for (const second of order.slice(index + 1)) {
      t.ok(compareMatches(first, second) < 0, `${JSON.stringify(first)} before ${JSON.stringify(second)}`)
    }
  }
  t.end()
})

t.test('each match ranks by itself, and what is equal stays in the order of routes and rules', (t) => {
  const routes = [
    routeTo('old', [{ path: segments('/') }, { path: exact('/x') }]),
    routeTo('young', [{ path: segments('/a') }, { path: exact('/x') }]),
    routeTo('rest', []),
  ]
  const order = ranked({ precedence: 'specific', routes }).map(
    ({ route, position }) => `${route.origin.name}[${position}]`,
  )
  t.same(order, ['old[1]', 'young[1]', 'young[0]', 'old[0]', 'rest[-1]'])
  const first = ranked({ precedence: 'first', routes }).map(
    ({ route, position }) => `${route.origin.name}[${position}]`,
  )
  t.same(first, ['old[0]', 'old[1]', 'young[0]', 'young[1]', 'rest[-1]'])
  t.end()
})
