import t from 'tap'
import { compileMatch, problemsOf } from '../../../../core/decide/http/match.ts'
import { queryValue } from '../../../../core/decide/http/request.ts'
import type { RequestMatch, ValueMatch } from '../../../../core/model/routes.ts'
import { type Asked, request } from '../../../helpers/routing.ts'

function holds(match: RequestMatch, asked: Asked): boolean {
  const { path, rest } = compileMatch(match)
  const asking = request(asked)
  return (path?.holds(asking) ?? true) && rest.every((test) => test.holds(asking))
}

function check(t: Tap, match: RequestMatch, yes: readonly Asked[], no: readonly Asked[]): void {
  const name = JSON.stringify(match)
  for (const asked of yes) t.ok(holds(match, asked), `${name} takes ${JSON.stringify(asked)}`)
  for (const asked of no) t.notOk(holds(match, asked), `${name} does not take ${JSON.stringify(asked)}`)
}

type Tap = Pick<typeof t, 'ok' | 'notOk'>

const paths = (...list: readonly string[]): readonly Asked[] => list.map((path) => ({ path }))
const is = (value: string): ValueMatch => ({ kind: 'exact', value })
const starts = (value: string): ValueMatch => ({ kind: 'prefix', value })
const regex = (value: string): ValueMatch => ({ kind: 'regex', value })
const present: ValueMatch = { kind: 'present' }

t.test('paths', (t) => {
  check(t, { path: { kind: 'exact', value: '/abc' } }, paths('/abc', '/abc?x'), paths('/abc/', '/ABC', '/abcd', '/'))
  check(
    t,
    { path: { kind: 'segments', value: '/v2' } },
    paths('/v2', '/v2/', '/v2/example'),
    paths('/v2example', '/foo/v2/x', '/V2'),
  )
  check(t, { path: { kind: 'segments', value: '/v2/' } }, paths('/v2', '/v2/', '/v2/example'), paths('/v2example'))
  check(t, { path: { kind: 'segments', value: '/' } }, paths('/', '/x', '//'), [])
  check(t, { path: { kind: 'prefix', value: '/v2' } }, paths('/v2', '/v2x', '/v2/x'), paths('/v', '/V2'))
  check(t, { path: { kind: 'prefix', value: '' } }, paths('/', '/x'), [])
  check(t, { path: { kind: 'prefix', value: '/V2', ignoreCase: true } }, paths('/v2', '/V2x'), paths('/v3'))
  check(t, { path: { kind: 'exact', value: '/Abc', ignoreCase: true } }, paths('/aBC'), paths('/abcd', '/ab'))
  check(t, { path: { kind: 'regex', value: '/v[12]' } }, paths('/v1', '/v2'), paths('/v3', '/v1/', '/x/v1'))
  t.end()
})

t.test('calls of gRPC', (t) => {
  const [service, method] = [is('a.B'), is('C')]
  check(t, { path: { kind: 'grpc', service, method } }, paths('/a.B/C'), paths('/a.B/D', '/a.B', '/a.B/C/', '/A.B/C'))
  check(
    t,
    { path: { kind: 'grpc', service } },
    paths('/a.B/C', '/a.B/D'),
    paths('/a.Bx/C', '/a.B', '/a.B/', '/a.B/C/D'),
  )
  check(t, { path: { kind: 'grpc', method } }, paths('/a.B/C', '/x/C'), paths('/a.B/D', '/C', '//C'))
  check(
    t,
    { path: { kind: 'grpc', service: regex('a\\..*'), method: regex('[A-C]') } },
    paths('/a.b/A'),
    paths('/b.a/A', '/a.b/D'),
  )
  t.end()
})

t.test('method, scheme, authority and port', (t) => {
  check(t, { method: is('GET') }, [{ method: 'GET' }], [{ method: 'get' }, { method: 'POST' }])
  check(t, { method: regex('GET|HEAD') }, [{ method: 'HEAD' }], [{ method: 'PUT' }])
  check(t, { scheme: is('https') }, [{ scheme: 'https' }], [{}])
  check(t, { authority: starts('echo') }, [{ authority: 'echo:80' }], [{ authority: 'Echo' }])
  check(t, { port: 80 }, [{ port: 80 }], [{ port: 8080 }])
  t.end()
})

t.test('headers', (t) => {
  const header = (match: ValueMatch): RequestMatch => ({ headers: [{ name: 'x-user', match }] })
  const of = (...values: readonly string[]): readonly Asked[] =>
    values.map((value) => ({ headers: { 'X-User': value } }))
  check(t, header(is('a')), of('a'), [{}, ...of('A', 'ab')])
  check(t, header(starts('a')), of('a', 'ab'), [{}, ...of('b')])
  check(t, header(regex('a+')), of('aa'), [{}, ...of('ab', '')])
  check(t, header(present), of('a', ''), [{}])
  const both = {
    headers: [
      { name: 'a', match: is('1') },
      { name: 'b', match: is('2') },
    ],
  }
  check(t, both, [{ headers: { A: '1', b: '2' } }], [{ headers: { a: '1' } }])
  t.end()
})

t.test('withoutHeaders: an absent header counts as empty', (t) => {
  const without = (match: ValueMatch): RequestMatch => ({ withoutHeaders: [{ name: 'x', match }] })
  const of = (value: string): Asked => ({ headers: { x: value } })
  check(t, without(is('a')), [{}, of('b')], [of('a')])
  check(t, without(starts('a')), [{}, of('b')], [of('ab')])
  check(t, without(present), [{}], [of('a'), of('')])
  check(t, without(regex('a*')), [of('b')], [{}, of('a'), of('')])
  t.end()
})

t.test('query parameters: the first value, decoded; names in upper and lower case', (t) => {
  const query = (match: ValueMatch): RequestMatch => ({ query: [{ name: 'animal', match }] })
  check(
    t,
    query(is('whale')),
    paths('/?animal=whale', '/?a=1&animal=whale', '/?animal=whale&animal=x', '/?animal=wh%61le'),
    paths('/', '/?Animal=whale', '/?animal=dolphin', '/?animal=x&animal=whale', '/?xanimal=whale'),
  )
  check(t, query(present), paths('/?animal', '/?animal=', '/?%61nimal=x'), paths('/?animals', '/?x=animal'))
  check(t, query(regex('w.*')), paths('/?animal=w1'), paths('/?animal=x'))
  for (const [text, value] of [
    ['a=1', '1'],
    ['a', ''],
    ['a=', ''],
    ['a=%zz', '%zz'],
    ['a=b=c', 'b=c'],
    ['&&a=1', '1'],
    ['b=a=1', undefined],
    ['', undefined],
    [undefined, undefined],
  ] as const) {
    t.equal(queryValue(text, 'a'), value, String(text))
  }
  t.end()
})

t.test('the caller: namespace, labels, claims', (t) => {
  check(t, { sourceNamespace: 'shop' }, [{ namespace: 'shop' }], [{ namespace: 'other' }, { namespace: '' }])
  check(
    t,
    { sourceLabels: { app: 'a' } },
    [{ labels: { app: 'a', x: 'y' } }],
    [{}, { labels: { app: 'b' } }, { labels: {} }],
  )
  const claim = (match: ValueMatch, without = false): RequestMatch => ({
    claims: [{ claim: ['realm', 'roles'], match, without }],
  })
  const of = (...values: readonly string[]): Asked => ({ claims: { 'realm.roles': values } })
  check(t, claim(is('admin')), [of('admin'), of('a', 'admin')], [{}, of('a')])
  check(t, claim(is('admin'), true), [{}, of('a')], [of('a', 'admin')])
  check(t, claim(present), [of('a')], [{}])
  t.end()
})

t.test('a match with an expression that cannot be used holds for nothing, also inverted, and is told', (t) => {
  const bad = regex('(?=a)')
  const all: readonly RequestMatch[] = [
    { path: { kind: 'regex', value: '(?=a)' } },
    { path: { kind: 'grpc', service: bad } },
    { method: bad },
    { authority: bad },
    { headers: [{ name: 'x', match: bad }] },
    { withoutHeaders: [{ name: 'x', match: bad }] },
    { query: [{ name: 'x', match: bad }] },
    { claims: [{ claim: ['a'], match: bad, without: true }] },
  ]
  for (const match of all) {
    check(t, match, [], [{}, { path: '/a/b?x=a', headers: { x: 'a' } }])
    t.equal(problemsOf(match).length, 1, JSON.stringify(match))
  }
  t.same(problemsOf({ method: is('GET'), path: { kind: 'exact', value: '(' } }), [])
  t.end()
})
