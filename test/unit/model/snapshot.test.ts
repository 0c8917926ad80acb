import fc from 'fast-check'
import t from 'tap'
import { Snapshot } from '../../../core/model/snapshot.ts'
import type { CompiledResource, Workload } from '../../../core/model/types.ts'
import {
  authorization,
  delta,
  meshResource,
  meshSettings,
  resourceOf,
  rule,
  service,
  snapshotOf,
  workload,
} from '../../helpers/model.ts'

const member = { service: 'shop/orders.shop.svc.cluster.local', ports: { 80: 8080 } }

t.test('a snapshot finds what a delta brought by every index', async (t) => {
  const orders = workload({ addresses: ['10.0.0.1', '2001:db8::1'], services: [member] })
  const snapshot = snapshotOf(orders, service(), authorization())
  t.equal(snapshot.workloadByUid(orders.uid), orders)
  t.equal(snapshot.workloadByAddress('10.0.0.1'), orders)
  t.equal(snapshot.workloadByAddress('2001:db8::1'), orders)
  t.equal(snapshot.serviceByVip('240.240.0.1')?.name, 'orders')
  t.equal(snapshot.serviceByVip('2001:2::1')?.name, 'orders')
  t.equal(snapshot.serviceByKey(member.service)?.name, 'orders')
  t.equal(snapshot.serviceByHostname('orders.shop.svc.cluster.local')?.name, 'orders')
  t.same(snapshot.endpointsOf(member.service), [orders])
  t.equal(snapshot.authorization('shop/policy')?.action, 'ALLOW')
  t.equal(snapshot.epoch, 'e')
  t.equal(snapshot.version, 1)
  t.ok(snapshot.isVirtual('240.240.3.4'))
  t.notOk(snapshot.isVirtual('10.0.0.1'))
  t.equal([...snapshot.workloads()].length, 1)
  t.equal([...snapshot.services()].length, 1)
  t.equal([...snapshot.authorizations()].length, 1)
})

t.test('an empty snapshot has the default settings and finds nothing', async (t) => {
  const snapshot = new Snapshot()
  t.equal(snapshot.settings.trustDomain, 'cluster.local')
  t.equal(snapshot.workloadByAddress('10.0.0.1'), undefined)
  t.same(snapshot.endpointsOf('a/b'), [])
  t.same(snapshot.digests(), {})
})

t.test('a removed workload leaves every index', async (t) => {
  const orders = workload({ services: [member] })
  const snapshot = snapshotOf(orders, service())
  snapshot.apply(delta(2, [], [{ kind: 'Workload', key: orders.uid }]))
  t.equal(snapshot.workloadByUid(orders.uid), undefined)
  t.equal(snapshot.workloadByAddress('10.0.0.1'), undefined)
  t.same(snapshot.endpointsOf(member.service), [])
  t.same([...snapshot.lastChange.workloads], [orders.uid])
})

t.test('a workload that changes its address and services leaves the old ones', async (t) => {
  const before = workload({ services: [member] })
  const snapshot = snapshotOf(before, service())
  const after = { ...before, addresses: ['10.0.0.2'], services: [] }
  snapshot.apply(delta(2, [after]))
  t.equal(snapshot.workloadByAddress('10.0.0.1'), undefined)
  t.equal(snapshot.workloadByAddress('10.0.0.2'), after)
  t.same(snapshot.endpointsOf(member.service), [])
})

t.test('a full delta replaces what it lacks and keeps the settings', async (t) => {
  const settings = { ...meshSettings, trustDomain: 'example.org' }
  const snapshot = snapshotOf(workload(), service(), authorization())
  snapshot.apply({
    epoch: 'e',
    version: 2,
    full: false,
    upserts: [{ kind: 'Mesh', key: 'mesh', value: settings }],
    removes: [],
  })
  snapshot.apply(delta(3, [workload({ name: 'other', addresses: ['10.0.0.9'] })], [], true))
  t.same(
    [...snapshot.workloads()].map(({ name }) => name),
    ['other'],
  )
  t.same([...snapshot.services()], [])
  t.same([...snapshot.authorizations()], [])
  t.equal(snapshot.settings.trustDomain, 'example.org')
  t.ok(snapshot.lastChange.authorizations, 'a policy that went away is a change of policy')
})

t.test('equal values that are sent again are no change', async (t) => {
  const snapshot = snapshotOf(workload(), service(), authorization())
  const first = snapshot.workloadByUid(workload().uid)
  snapshot.apply({ ...snapshot.toDelta(), upserts: structuredClone(snapshot.toDelta().upserts) })
  t.equal(snapshot.workloadByUid(workload().uid), first, 'the very same object stays')
  t.notOk(snapshot.lastChange.authorizations)
  t.equal(snapshot.lastChange.workloads.size, 0)
  t.equal(snapshot.lastChange.services.size, 0)
})

t.test(
  'of two workloads with one address the one with a tunnel owns it, then the healthy one, then the smaller uid',
  async (t) => {
    const plain = workload({ name: 'a', protocol: 'TCP' })
    const tunnel = workload({ name: 'z' })
    for (const order of [
      [plain, tunnel],
      [tunnel, plain],
    ]) {
      t.equal(snapshotOf(...order).workloadByAddress('10.0.0.1')?.name, 'z')
    }
    const sick = workload({ name: 'a', health: 'unhealthy' })
    t.equal(snapshotOf(sick, tunnel).workloadByAddress('10.0.0.1')?.name, 'z')
    t.equal(snapshotOf(workload({ name: 'b' }), tunnel).workloadByAddress('10.0.0.1')?.name, 'b')
  },
)

t.test('an address goes to its other owner when one is removed', async (t) => {
  const first = workload({ name: 'a' })
  const second = workload({ name: 'b' })
  const snapshot = snapshotOf(first, second)
  snapshot.apply(delta(2, [], [{ kind: 'Workload', key: first.uid }]))
  t.equal(snapshot.workloadByAddress('10.0.0.1')?.name, 'b')
  snapshot.apply(delta(3, [], [{ kind: 'Workload', key: second.uid }]))
  t.equal(snapshot.workloadByAddress('10.0.0.1'), undefined)
})

t.test('two services with one virtual IP: the smaller key owns it, removal gives it to the other', async (t) => {
  const other = service({ name: 'zebra' })
  const snapshot = snapshotOf(other, service())
  t.equal(snapshot.serviceByVip('240.240.0.1')?.name, 'orders')
  snapshot.apply(delta(2, [], [{ kind: 'Service', key: 'shop/orders.shop.svc.cluster.local' }]))
  t.equal(snapshot.serviceByVip('240.240.0.1')?.name, 'zebra')
})

t.test('a refused workload is reported, the others are taken, the previous value stays', async (t) => {
  const orders = workload()
  const snapshot = snapshotOf(orders)
  const wrong = { ...orders, weight: -1 }
  const refused = snapshot.apply(delta(2, [wrong, workload({ name: 'other', addresses: ['10.0.0.7'] })]))
  t.same(refused, [{ kind: 'Workload', key: orders.uid, reason: 'weight: expected a number from 0 to 10⁹' }])
  t.equal(snapshot.workloadByUid(orders.uid), orders)
  t.equal(snapshot.workloadByAddress('10.0.0.7')?.name, 'other')
  t.equal(snapshot.version, 2)
})

t.test('a refused workload of a full delta keeps its previous value too', async (t) => {
  const orders = workload()
  const snapshot = snapshotOf(orders)
  snapshot.apply(delta(2, [{ ...orders, health: 'odd' as 'healthy' }], [], true))
  t.equal(snapshot.workloadByUid(orders.uid), orders)
})

const wrongValues: readonly [string, unknown, string][] = [
  ['nothing', undefined, 'value: expected an object'],
  ['a list', [], 'value: expected an object'],
  ['a missing field', { ...workload(), node: undefined }, 'node: expected'],
  [
    'an address that is no address',
    { ...workload(), addresses: ['10.0.0.1', 'x'] },
    'addresses[1]: expected a canonical',
  ],
  [
    'an address in another spelling',
    { ...workload(), addresses: ['2001:DB8::1'] },
    'addresses[0]: expected a canonical',
  ],
  [
    'a port above 65535',
    { ...workload(), services: [{ service: 'a/b', ports: { 80: 65536 } }] },
    'services[0].ports.80',
  ],
  [
    'a port key with a zero',
    { ...workload(), services: [{ service: 'a/b', ports: { '080': 1 } }] },
    'services[0].ports key',
  ],
  [
    'a mode that is unknown',
    { ...workload(), peerAuthentication: { mode: 'DISABLE', ports: {} } },
    'peerAuthentication.mode',
  ],
  ['an infinite weight', { ...workload(), weight: Number.POSITIVE_INFINITY }, 'weight'],
  ['another uid than its key', { ...workload(), uid: 'else' }, 'key: expected "else"'],
]
for (const [what, value, reason] of wrongValues) {
  t.test(`a workload with ${what} is refused with the reason`, async (t) => {
    const resource = { kind: 'Workload', key: workload().uid, value } as CompiledResource
    const snapshot = new Snapshot()
    const refused = snapshot.apply({ epoch: 'e', version: 1, full: true, upserts: [resource], removes: [] })
    t.equal(refused.length, 1)
    t.match(refused[0]?.reason, reason)
    t.equal([...snapshot.workloads()].length, 0)
  })
}

t.test('a resource of an unknown kind is refused and harms nothing', async (t) => {
  const snapshot = snapshotOf(workload())
  const upserts = [{ kind: 'Route', key: 'x', value: {} }, null, 7] as unknown as CompiledResource[]
  const removes = [{ kind: '__proto__' as 'Workload', key: 'x' }]
  const refused = snapshot.apply({ epoch: 'e', version: 2, full: false, upserts, removes })
  t.same(
    refused.map(({ reason }) => reason),
    ['unknown kind', 'unknown kind', 'unknown kind'],
  )
  t.equal([...snapshot.workloads()].length, 1)
})

t.test('fields of a newer version are ignored on a workload and refused on a policy', async (t) => {
  const snapshot = new Snapshot()
  const newer = { ...workload(), future: 1 } as Workload
  t.same(snapshot.apply(delta(1, [newer])), [])
  const match = { principals: [], futures: ['x'] } as object
  const refused = snapshot.apply(delta(2, [authorization({ rules: rule(match) })]))
  t.match(refused[0]?.reason, 'rules[0].clauses[0][0].futures: unknown field')
})

t.test('a matcher that would match every peer by accident is refused', async (t) => {
  for (const kind of ['exact', 'prefix', 'suffix'] as const) {
    const refused = new Snapshot().apply(
      delta(1, [authorization({ rules: rule({ principals: [{ kind, value: '' }] }) })]),
    )
    t.match(refused[0]?.reason, 'principals[0].value')
  }
})

t.test('digests depend on content, not on the order of keys, and change with it', async (t) => {
  const orders = workload({ labels: { a: '1', b: '2' } })
  const reordered = {
    ...Object.fromEntries(Object.entries(orders).reverse()),
    labels: { b: '2', a: '1' },
  } as unknown as Workload
  const one = snapshotOf(orders, service()).digests()
  t.same(snapshotOf(reordered, service()).digests(), one)
  t.same(Object.keys(one).sort(), ['Mesh/mesh', `Service/${member.service}`, `Workload/${orders.uid}`])
  t.match(one['Mesh/mesh'], /^[\w-]{12}$/)
  t.not(
    snapshotOf({ ...orders, weight: 2 }, service()).digests()[`Workload/${orders.uid}`],
    one[`Workload/${orders.uid}`],
  )
})

t.test('toDelta brings another snapshot to the same state', async (t) => {
  const snapshot = snapshotOf(workload({ services: [member] }), service(), authorization())
  const copy = new Snapshot()
  copy.apply(structuredClone(snapshot.toDelta()))
  t.same(copy.digests(), snapshot.digests())
  t.same(copy.endpointsOf(member.service), snapshot.endpointsOf(member.service))
  t.equal(copy.version, snapshot.version)
})

t.test('the endpoint list is the same array until a member changes', async (t) => {
  const a = workload({ name: 'a', services: [member] })
  const snapshot = snapshotOf(workload({ name: 'b', services: [member] }), a)
  const list = snapshot.endpointsOf(member.service)
  t.same(
    list.map(({ name }) => name),
    ['a', 'b'],
    'in the order of the uids',
  )
  snapshot.apply(delta(2, [workload({ name: 'c', addresses: ['10.0.0.3'] })]))
  t.equal(snapshot.endpointsOf(member.service), list)
  snapshot.apply(delta(3, [{ ...a, weight: 5 }]))
  t.not(snapshot.endpointsOf(member.service), list)
  snapshot.apply(delta(4, [], [{ kind: 'Workload', key: a.uid }]))
  t.same(
    snapshot.endpointsOf(member.service).map(({ name }) => name),
    ['b'],
  )
})

t.test('ten thousand workloads of one service are taken and dropped in a moment', async (t) => {
  const crowd = Array.from({ length: 10_000 }, (_, i) =>
    workload({ name: `w${i}`, addresses: [`10.1.${i >> 8}.${i & 255}`, '10.0.0.1'], services: [member] }),
  )
  const startedAt = performance.now()
  const snapshot = snapshotOf(service(), ...crowd)
  t.equal(snapshot.endpointsOf(member.service).length, 10_000)
  snapshot.apply({ ...snapshot.toDelta(), upserts: structuredClone(snapshot.toDelta().upserts) })
  snapshot.apply({ epoch: 'e', version: 3, full: true, upserts: [meshResource, resourceOf(service())], removes: [] })
  t.equal(snapshot.endpointsOf(member.service).length, 0)
  t.equal(snapshot.workloadByAddress('10.0.0.1'), undefined)
  t.comment(`${Math.round(performance.now() - startedAt)} ms`)
})

t.test('whatever the order of changes, the indexes agree with the resources held', async () => {
  const names = ['a', 'b', 'c']
  const change = fc.record({
    name: fc.constantFrom(...names),
    address: fc.constantFrom('10.0.0.1', '10.0.0.2', '2001:db8::1'),
    protocol: fc.constantFrom('HBONE' as const, 'TCP' as const),
    joined: fc.boolean(),
    gone: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      const snapshot = new Snapshot()
      const held = new Map<string, Workload>()
      changes.forEach(({ name, address, protocol, joined, gone }, index) => {
        const value = workload({ name, addresses: [address], protocol, services: joined ? [member] : [] })
        if (gone) held.delete(name)
        else held.set(name, value)
        const removes = gone ? [{ kind: 'Workload' as const, key: value.uid }] : []
        snapshot.apply(delta(index + 1, gone ? [] : [value], removes))
        snapshot.endpointsOf(member.service)
      })
      for (const address of ['10.0.0.1', '10.0.0.2', '2001:db8::1']) {
        const owners = [...held.values()].filter((each) => each.addresses.includes(address))
        const tunnels = owners.filter((each) => each.protocol === 'HBONE')
        const best = (tunnels.length > 0 ? tunnels : owners).sort((a, b) => (a.uid < b.uid ? -1 : 1))[0]
        if (snapshot.workloadByAddress(address)?.uid !== best?.uid) return false
      }
      const members = [...held.values()].filter((each) => each.services.length > 0).map(({ uid }) => uid)
      const listed = snapshot.endpointsOf(member.service).map(({ uid }) => uid)
      return JSON.stringify(listed) === JSON.stringify(members.sort())
    }),
  )
})
