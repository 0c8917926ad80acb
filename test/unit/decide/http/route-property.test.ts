import * as fc from 'fast-check'
import t from 'tap'
import { compareMatches } from '../../../../core/decide/http/precedence.ts'
import { compileRouting, considered, routeRequest } from '../../../../core/decide/http/route-request.ts'
import type { PathMatch, RequestMatch, Route } from '../../../../core/model/routes.ts'
import { type Asked, goal, request, routeTo, tableOf } from '../../../helpers/routing.ts'

const part = fc.constantFrom('a', 'ab', 'b', 'v2', '')
const pathText = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join('/')}`)
const call = fc.record({ service: fc.constantFrom('a', 'ab'), method: fc.constantFrom('b', 'v2') })

const path: fc.Arbitrary<PathMatch> = fc.oneof(
  pathText.map((value): PathMatch => ({ kind: 'exact', value })),
  pathText.map((value): PathMatch => ({ kind: 'segments', value })),
  pathText.map((value): PathMatch => ({ kind: 'prefix', value })),
  pathText.map((value): PathMatch => ({ kind: 'prefix', value: value.toUpperCase(), ignoreCase: true })),
  fc.constantFrom('/a.*', '/[ab]+', '/.*b').map((value): PathMatch => ({ kind: 'regex', value })),
  call.map(
    ({ service, method }): PathMatch => ({
      kind: 'grpc',
      service: { kind: 'exact', value: service },
      method: { kind: 'exact', value: method },
    }),
  ),
)
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined })
const match: fc.Arbitrary<RequestMatch> = fc
  .record({
    path: maybe(path),
    method: maybe(fc.constantFrom('GET', 'POST')),
    header: maybe(fc.constantFrom('1', '2')),
    query: maybe(fc.constantFrom('1', '2')),
  })
  .map(({ path, method, header, query }) => ({
    ...(path && { path }),
    ...(method && { method: { kind: 'exact', value: method } }),
    ...(header && { headers: [{ name: 'x', match: { kind: 'exact', value: header } }] }),
    ...(query && { query: [{ name: 'q', match: { kind: 'exact', value: query } }] }),
  }))
const routes = fc
  .array(fc.array(match, { maxLength: 3 }), { maxLength: 12 })
  .map((all) => all.map((matches, index) => routeTo(`r${index}`, matches)))
const asked: fc.Arbitrary<Asked> = fc
  .record({
    path: pathText,
    method: fc.constantFrom('GET', 'POST'),
    header: maybe(fc.constantFrom('1', '2')),
    query: maybe(fc.constantFrom('1', '2')),
  })
  .map(({ path, method, header, query }) => ({
    path: query === undefined ? path : `${path}?q=${query}`,
    method,
    headers: header === undefined ? {} : { x: header },
  }))

/** The specification read aloud: no index, no compiled tests. */
function holds(match: RequestMatch, { path: target = '/', method = '', headers = {} }: Asked): boolean {
  const [path = '', query = ''] = target.split('?')
  return (
    (match.path === undefined || pathHolds(match.path, path)) &&
    (match.method?.kind !== 'exact' || match.method.value === method) &&
    (match.headers ?? []).every(({ match }) => match.kind === 'exact' && headers['x'] === match.value) &&
    (match.query ?? []).every(({ match }) => match.kind === 'exact' && query === `q=${match.value}`)
  )
}

function pathHolds(match: PathMatch, path: string): boolean {
  if (match.kind === 'grpc') {
    const { service, method } = match
    return service?.kind === 'exact' && method?.kind === 'exact' && path === `/${service.value}/${method.value}`
  }
  if (match.kind === 'regex') return new RegExp(`^(?:${match.value})$`).test(path)
  if (match.kind === 'segments') {
    const prefix = match.value.replace(/\/$/, '')
    return path === prefix || path.startsWith(`${prefix}/`)
  }
  const [text, value] = match.ignoreCase ? [path.toLowerCase(), match.value.toLowerCase()] : [path, match.value]
  return match.kind === 'exact' ? text === value : text.startsWith(value)
}

function oracle(routes: readonly Route[], asked: Asked, specific: boolean): string {
  const all = routes.flatMap((route) =>
    (route.matches.length === 0 ? [{}] : route.matches).map((match) => ({ route, match })),
  )
  let best: (typeof all)[number] | undefined
  for (const candidate of all) {
    if (!holds(candidate.match, asked)) continue
    if (best === undefined || (specific && compareMatches(candidate.match, best.match) < 0)) best = candidate
  }
  return best?.route.origin.name ?? '404'
}

for (const precedence of ['specific', 'first'] as const) {
  t.test(`the index finds what a look at every match finds (${precedence})`, (t) => {
    fc.assert(
      fc.property(routes, fc.array(asked, { minLength: 1, maxLength: 10 }), (routes, all) => {
        const routing = compileRouting(tableOf(routes, precedence))
        for (const each of all) {
          const found = goal(routeRequest(routing, request(each), 0))
          const expected = oracle(routes, each, precedence === 'specific')
          if (found !== expected) throw new Error(`${JSON.stringify(each)}: ${found}, expected ${expected}`)
        }
      }),
      { numRuns: 1500 },
    )
    t.end()
  })
}

t.test('what is said of the other matches agrees with the decision', (t) => {
  fc.assert(
    fc.property(routes, asked, (routes, asked) => {
      const routing = compileRouting(tableOf(routes))
      const found = goal(routeRequest(routing, request(asked), 0))
      const all = considered(routing, request(asked))
      const chosen = all.filter(({ outcome }) => outcome === 'chosen')
      const at = all.findIndex(({ outcome }) => outcome === 'chosen')
      const before = at < 0 ? all : all.slice(0, at)
      if ((chosen[0]?.origin.name ?? '404') !== found || chosen.length > 1) throw new Error(found)
      if (before.some(({ outcome, field }) => outcome !== 'fails' || field === undefined)) throw new Error('before')
    }),
    { numRuns: 500 },
  )
  t.end()
})
