// Every case of the conformance table, judged by the decision: compile step and core/decide/http, without a proxy.
import t from 'tap'
import { topology } from '../conformance/base.ts'
import { titleOf } from '../conformance/case.ts'
import { allCases } from '../conformance/cases/all.ts'
import { observedOf, problemsOf, shareProblems } from '../conformance/compare.ts'
import { judgeByModel } from '../conformance/model.ts'
import { settings } from '../helpers/compile-objects.ts'

for (const test of allCases) {
  t.test(`${test.profile} ${test.level}: ${test.name}`, (t) => {
    t.same(judgeByModel(test, settings), [])
    t.end()
  })
}

t.test('the table holds every mesh test of the suite, by level', (t) => {
  const names = (level: string, profile: string): number =>
    new Set(allCases.filter((test) => test.level === level && test.profile === profile).map(({ name }) => name)).size
  t.equal(names('core', 'MESH-HTTP'), 7)
  t.equal(names('core', 'MESH-GRPC'), 3)
  t.equal(names('extended', 'MESH-HTTP'), 7)
  t.equal(names('uncounted', 'MESH-HTTP'), 7)
  t.ok(topology.includes('waypoints:'))
  const asked = allCases.flatMap(({ name, requests }) => requests.map((request) => `${name} ${titleOf(request)}`))
  t.equal(new Set(asked).size, asked.length, 'no request stands there twice')
  t.end()
})

const echo = {
  pod: 'echo-v1',
  namespace: 'conformance',
  path: '/p',
  host: 'echo',
  proto: 'HTTP/1.1',
  headers: { A: ['1', '2'] },
}
const answered = {
  kind: 'answered',
  status: 200,
  headers: [['x-r', '1']],
  trailers: [],
  body: JSON.stringify(echo),
  bodyBytes: 1,
  interim: [],
  headMs: 1,
  totalMs: 5,
} as const

t.test('what differs from the expectation is found, whatever it is', (t) => {
  const problems = (expect: object, path = '/p', more: object = {}): readonly string[] =>
    problemsOf({ expect, path, ...more }, path, observedOf(answered))
  t.same(problems({ backend: 'echo-v1', request: { a: '1, 2' }, response: { 'X-R': ['2', '1'] } }), [])
  const wrong = [
    [{ status: 404 }, /status 200, expected 404/],
    [{ backend: 'echo-v2' }, /backend echo-v1/],
    [{ namespace: 'x' }, /namespace/],
    [{ path: '/q' }, /path \/p, expected \/q/],
    [{ host: 'x' }, /host echo/],
    [{ proto: 'HTTP/2.0' }, /protocol/],
    [{ request: { a: '1' } }, /request header a is 1,2/],
    [{ request: { b: '1' } }, /request header b is undefined/],
    [{ requestAbsent: ['a'] }, /expected none/],
    [{ response: { 'x-r': '2' } }, /response header/],
    [{ responseAbsent: ['x-r'] }, /expected none/],
    [{ location: 'http://x/' }, /location is undefined/],
    [{ body: 'x' }, /body/],
    [{ atLeastMs: 10 }, /after 5 ms/],
  ] as const
  for (const [expect, problem] of wrong) t.match(problems(expect), [problem], JSON.stringify(expect))
  t.match(problems({}, '/other'), [/path \/p, expected \/other/])
  t.match(problems({}, '/p', { to: 'echo-v1' }), [/host echo, expected echo-v1/])
  t.match(problems({}, '/p', { protocol: 'grpc' }), [/grpc-status undefined/, /host/])
  const nobody = problemsOf({ expect: { backend: 'echo-v1' } }, '/', observedOf({ ...answered, body: '' }))
  t.match(nobody, [/no backend answered/])
  t.end()
})

t.test('shares are compared in points, and what must not be there is told', (t) => {
  t.same(shareProblems({ a: 70, b: 30 }, { a: 375, b: 125 }, 500), [])
  t.match(shareProblems({ a: 70, b: 30 }, { a: 376, b: 124 }, 500), [/a has 75\.2 %/, /b has/])
  t.match(shareProblems({ a: 100 }, { a: 499, 'status 503': 1 }, 500), [/status 503 has 0\.2 %/])
  t.end()
})
