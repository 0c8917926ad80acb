import t from 'tap'
import { changeLabels, parseLabelChanges } from '../../../cli/labels.ts'
import { age, cell, objectTable, painter, table } from '../../../cli/render.ts'
import { findKind, parseTargets, UsageError } from '../../../cli/session.ts'
import { serviceKind } from '../../../core/model/kinds/core.ts'
import { authorizationPolicyKind } from '../../../core/model/kinds/istio.ts'

t.test('kinds are found by every name that kubectl knows', async (t) => {
  const names = ['ap', 'authorizationpolicy', 'AuthorizationPolicies', 'ap.security.istio.io']
  t.ok(names.every((name) => findKind(name) === authorizationPolicyKind))
  t.throws(() => findKind('servces'), { message: /did you mean "services"/ })
})

t.test('targets are KIND NAME…, KIND/NAME… or KIND,KIND', async (t) => {
  t.same(parseTargets(['svc', 'a', 'b']), [{ kind: serviceKind, names: ['a', 'b'] }])
  t.same(parseTargets(['svc/a', 'ap/b']), [
    { kind: serviceKind, names: ['a'] },
    { kind: authorizationPolicyKind, names: ['b'] },
  ])
  t.equal(parseTargets(['svc,ap']).length, 2)
  for (const words of [[], ['svc/a', 'b'], ['svc/a/b'], ['svc,ap', 'x']])
    t.throws(() => parseTargets(words), UsageError)
})

t.test('labels are set, removed, and changed only with --overwrite', async (t) => {
  const { names, changes } = parseLabelChanges(['ns', 'shop', 'a=1', 'b-', 'x.io/c='])
  t.same(names, ['ns', 'shop'])
  t.same(changeLabels({ b: '2', d: '4' }, changes, false), {
    ok: true,
    changed: true,
    labels: { a: '1', d: '4', 'x.io/c': '' },
  })
  t.match(changeLabels({ a: '0' }, changes, false), { ok: false, reason: /already has the value "0"/ })
  t.match(changeLabels({ a: '0' }, changes, true), { ok: true })
  t.match(changeLabels({ a: '1' }, [{ key: 'a', value: '1' }, { key: 'z' }], false), { ok: true, changed: false })
  for (const word of ['a=1 2', '=x', '-', 'a b=1']) t.throws(() => parseLabelChanges(['ns', 'x', word]), UsageError)
  t.throws(() => parseLabelChanges(['ns', 'x', 'a=1', 'a-']), { message: /twice/ })
})

t.test('ages are written as kubectl writes them', async (t) => {
  const minute = 60_000
  const cases = [
    5_000,
    119_000,
    150_000,
    30 * minute,
    200 * minute,
    20 * 60 * minute,
    60 * 60 * minute,
    9 * 1440 * minute,
  ]
  t.same(cases.map(age), ['5s', '119s', '2m30s', '30m', '3h20m', '20h', '2d12h', '9d'])
})

t.test('tables are aligned, and empty cells say so', async (t) => {
  t.equal(
    table(
      ['A', 'LONG'],
      [
        ['xyz', ''],
        ['q', 'v'],
      ],
    ),
    'A     LONG\nxyz   <none>\nq     v\n',
  )
})

t.test('cells follow paths through lists and maps', async (t) => {
  const object = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace: 'n', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { ports: [{ port: 80 }, { port: 443 }], selector: { app: 'x', v: '1' } },
  }
  const now = Date.parse('2026-01-01T00:01:00Z')
  const byName = new Map(serviceKind.columns.map((column) => [column.name, cell(object, column, now)]))
  t.match(Object.fromEntries(byName), {
    'Port(s)': '80/TCP,443/TCP',
    Selector: 'app=x,v=1',
    Age: '60s',
    'Cluster-IP': '',
  })
  const wide = objectTable([object], serviceKind.columns, { namespaces: true, wide: true, now })
  t.same(wide.headers.slice(0, 2), ['NAMESPACE', 'NAME'])
  t.equal(wide.rows[0]?.length, wide.headers.length)
})

t.test('colours are for terminals without NO_COLOR only', async (t) => {
  t.equal(painter({ isTTY: true }, {})('red', 'x'), '\x1b[31mx\x1b[39m')
  t.equal(painter({ isTTY: true }, { NO_COLOR: '1' })('red', 'x'), 'x')
  t.equal(painter({ isTTY: false }, {})('red', 'x'), 'x')
})
