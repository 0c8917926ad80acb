import t from 'tap'
import { authorize } from '../../../core/decide/authorize.ts'
import type { Snapshot } from '../../../core/model/snapshot.ts'
import type { Authorization, CompiledResource, Workload } from '../../../core/model/types.ts'
import { authorization, delta, rule, snapshotOf, workload } from '../../helpers/model.ts'

const anyone = rule({ sourceIps: ['0.0.0.0/0'] })

function allowed(snapshot: Snapshot, target: Workload): boolean {
  const at = { sourceAddress: '10.0.0.9', destinationAddress: '10.0.0.1', destinationPort: 8080 }
  return authorize(snapshot, { ...at, workload: target }).allowed
}

function broken(fields: Partial<Authorization>): CompiledResource {
  const value = { ...authorization(fields), rules: 'none' } as unknown as Authorization
  return { kind: 'Authorization', key: `${value.namespace}/${value.name}`, value }
}

function take(snapshot: Snapshot, ...upserts: readonly CompiledResource[]) {
  return snapshot.apply({ epoch: 'e', version: snapshot.version + 1, full: false, upserts, removes: [] })
}

t.test('policies apply by scope: the mesh, the namespace, the workload that lists them', async (t) => {
  const here = workload({ authorizations: ['shop/listed'] })
  const beside = workload({ name: 'beside' })
  const elsewhere = workload({ namespace: 'other' })
  const snapshot = snapshotOf(
    here,
    beside,
    elsewhere,
    authorization({ name: 'near' }),
    authorization({ namespace: 'culvert-system', name: 'all', scope: 'mesh', action: 'DENY' }),
    authorization({ name: 'listed', scope: 'workload' }),
    authorization({ name: 'try', dryRun: true }),
  )
  const keys = (target: Workload) => {
    const { deny, allow, dryRun } = snapshot.authorizationsFor(target)
    return [deny, allow, dryRun].map((policies) => policies.map(({ key }) => key))
  }
  t.same(keys(here), [['culvert-system/all'], ['shop/listed', 'shop/near'], ['shop/try']])
  t.same(keys(beside), [['culvert-system/all'], ['shop/near'], ['shop/try']])
  t.same(keys(elsewhere), [['culvert-system/all'], [], []])
})

t.test('the policies of a workload are worked out once, and again when a policy changes', async (t) => {
  const orders = workload()
  const snapshot = snapshotOf(orders, authorization())
  const before = snapshot.authorizationsFor(orders)
  t.equal(snapshot.authorizationsFor(orders), before)
  snapshot.apply(delta(2, [workload({ name: 'other', addresses: ['10.0.0.2'] })]))
  t.equal(snapshot.authorizationsFor(orders), before)
  t.notOk(snapshot.lastChange.authorizations)
  snapshot.apply(delta(3, [authorization({ rules: anyone })]))
  t.ok(snapshot.lastChange.authorizations)
  t.not(snapshot.authorizationsFor(orders), before)
  t.ok(allowed(snapshot, orders))
  snapshot.apply(delta(4, [], [{ kind: 'Authorization', key: 'shop/policy' }]))
  t.same(snapshot.authorizationsFor(orders).allow, [])
})

t.test('a policy that changes its scope leaves the former one', async (t) => {
  const orders = workload()
  const snapshot = snapshotOf(orders, authorization({ action: 'DENY', rules: anyone }))
  t.notOk(allowed(snapshot, orders))
  snapshot.apply(delta(2, [authorization({ action: 'DENY', rules: anyone, scope: 'workload' })]))
  t.ok(allowed(snapshot, orders))
})

t.test('a workload that lists a policy which is not there is closed', async (t) => {
  const orders = workload({ authorizations: ['shop/later'] })
  const snapshot = snapshotOf(orders)
  t.notOk(allowed(snapshot, orders))
  snapshot.apply(delta(2, [authorization({ name: 'later', scope: 'workload', rules: anyone })]))
  t.ok(allowed(snapshot, orders))
  snapshot.apply(delta(3, [], [{ kind: 'Authorization', key: 'shop/later' }]))
  t.notOk(allowed(snapshot, orders))
})

t.test('in place of a refused policy everything in its scope is denied, and nothing outside it', async (t) => {
  const orders = workload({ authorizations: ['shop/policy'] })
  const beside = workload({ name: 'beside', addresses: ['10.0.0.2'] })
  const elsewhere = workload({ namespace: 'other', addresses: ['10.0.0.3'] })
  const cases = [
    { scope: 'workload', closed: [orders] },
    { scope: 'namespace', closed: [orders, beside] },
    { scope: 'mesh', closed: [orders, beside, elsewhere] },
  ] as const
  for (const { scope, closed } of cases) {
    const snapshot = snapshotOf(orders, beside, elsewhere, authorization({ rules: anyone, scope: 'workload' }))
    const refused = take(snapshot, broken({ scope }))
    t.match(refused, [{ kind: 'Authorization', key: 'shop/policy', reason: 'rules: expected a list' }])
    t.ok(snapshot.lastChange.authorizations)
    for (const each of [orders, beside, elsewhere]) {
      t.equal(allowed(snapshot, each), !(closed as readonly Workload[]).includes(each), `${scope}: ${each.name}`)
    }
  }
})

t.test(
  'a refused policy without a readable scope closes the scope it had, or its namespace, or the mesh from the root',
  async (t) => {
    const orders = workload()
    const elsewhere = workload({ namespace: 'other', addresses: ['10.0.0.3'] })
    const nameless = (key: string) => ({ kind: 'Authorization', key, value: null }) as unknown as CompiledResource
    const former = snapshotOf(orders, authorization({ scope: 'workload' }))
    take(former, nameless('shop/policy'))
    t.ok(allowed(former, orders), 'the former scope selected no workload')
    const fresh = snapshotOf(orders, elsewhere)
    take(fresh, nameless('shop/policy'))
    t.notOk(allowed(fresh, orders))
    t.ok(allowed(fresh, elsewhere))
    for (const key of ['culvert-system/policy', 'nonsense', '']) {
      const root = snapshotOf(orders, elsewhere)
      take(root, nameless(key))
      t.notOk(allowed(root, orders), key)
      t.notOk(allowed(root, elsewhere), key)
      root.apply({ epoch: 'e', version: 9, full: false, upserts: [], removes: [{ kind: 'Authorization', key }] })
      t.ok(allowed(root, elsewhere), `${key} can be removed again`)
    }
  },
)

t.test('a refused dry run does not decide either', async (t) => {
  const orders = workload()
  const snapshot = snapshotOf(orders)
  take(snapshot, broken({ dryRun: true }))
  t.ok(allowed(snapshot, orders))
})

t.test('a good version takes the place of the stand-in, even one that also denies everything', async (t) => {
  const orders = workload()
  const snapshot = snapshotOf(orders)
  take(snapshot, broken({ action: 'DENY' }))
  t.notOk(allowed(snapshot, orders))
  const same = authorization({ action: 'DENY', rules: [{ index: 0, clauses: [] }] })
  snapshot.apply(delta(3, [same]))
  t.equal(snapshot.authorizationsFor(orders).deny[0]?.standsInFor, undefined)
  snapshot.apply(delta(4, [authorization({ rules: anyone })]))
  t.ok(allowed(snapshot, orders))
})

t.test('the stand-in is part of the state that is handed on', async (t) => {
  const orders = workload()
  const snapshot = snapshotOf(orders)
  take(snapshot, broken({}))
  const copy = snapshotOf()
  copy.apply(structuredClone(snapshot.toDelta()))
  t.notOk(allowed(copy, orders))
})
