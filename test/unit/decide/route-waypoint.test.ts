import t from 'tap'
import { type RouteDecision, type RouteRequest, route } from '../../../core/decide/route.ts'
import type { Service, Workload } from '../../../core/model/types.ts'
import { service, snapshotOf, workload } from '../../helpers/model.ts'
import { instance, waypoint, wpKey } from '../../helpers/waypoint-model.ts'

const key = 'shop/orders.shop.svc.cluster.local'
const source = workload({ name: 'client', addresses: ['10.0.9.9'], serviceAccount: 'frontend' })
const member = { service: key, ports: { 80: 8080 } }
const orders = workload({ services: [member] })
const behind = service({ waypoint: wpKey })
const through = {
  kind: 'tunnel',
  waypoint: { key: wpKey, waypoint: { name: 'wp' } },
  peer: { address: '10.0.5.1', port: 15008 },
}

function ask(values: readonly (Workload | Service)[], to: string, port: number, more: Partial<RouteRequest> = {}) {
  const request = { source, destination: { address: to, port }, random: () => 0, ...more }
  return route(snapshotOf(source, ...values), request)
}

const wayOf = (decision: RouteDecision): string => {
  if (decision.kind === 'refuse') return decision.error.code
  return decision.kind === 'tunnel' && decision.waypoint !== undefined ? decision.workload.name : decision.kind
}
const messageOf = (decision: RouteDecision): string => (decision.kind === 'refuse' ? decision.error.message : '')

t.test('traffic to a service goes to an instance of its waypoint, which must prove that it is one', async (t) => {
  const decision = ask([orders, behind, waypoint(), instance()], '240.240.0.1', 80)
  t.match(decision, { ...through, target: { address: '240.240.0.1', port: 80 }, service: { name: 'orders' } })
  t.same(decision.kind === 'tunnel' && decision.expectedIdentities, ['spiffe://cluster.local/ns/shop/sa/wp'])
  t.match(ask([orders, behind, waypoint(), instance()], '2001:2::1', 80), { target: { address: '2001:2::1' } })
})

t.test('the ports of a service behind a waypoint are those of the service', async (t) => {
  t.equal(wayOf(ask([orders, behind, waypoint(), instance()], '240.240.0.1', 81)), 'UNKNOWN_PORT')
})

t.test('a service without endpoints is still its waypoint’s to answer for', async (t) => {
  t.equal(wayOf(ask([behind, waypoint(), instance()], '240.240.0.1', 80)), 'wp-1')
})

const outside = workload({ services: [member], protocol: 'TCP', enrolled: false })
t.test('an endpoint outside the mesh is reached through the waypoint as well', async (t) => {
  t.equal(wayOf(ask([outside, behind, waypoint(), instance()], '240.240.0.1', 80)), 'wp-1')
  t.equal(wayOf(ask([outside, behind, waypoint(), instance()], '10.0.0.1', 8080)), 'wp-1')
})

t.test('instances are drawn by weight, and a retry leaves out those that were tried', async (t) => {
  const second = instance({ name: 'wp-2', addresses: ['10.0.5.2'], weight: 3 })
  const values = [orders, behind, waypoint(), instance(), second]
  const drawn = [0, 0.2, 0.3, 0.9].map((draw) => wayOf(ask(values, '240.240.0.1', 80, { random: () => draw })))
  t.same(drawn, ['wp-1', 'wp-1', 'wp-2', 'wp-2'])
  const exclude = new Set([instance().uid])
  t.equal(wayOf(ask(values, '240.240.0.1', 80, { exclude })), 'wp-2')
  const both = ask(values, '240.240.0.1', 80, { exclude: new Set([instance().uid, second.uid]) })
  t.match(messageOf(both), /waypoint shop\/wp of service shop\/orders.* has no healthy instance \(2 known, 2 tried/)
})

const unreachable: readonly [string, readonly (Workload | Service)[]][] = [
  ['that has no instance', [waypoint()]],
  ['whose instance is not healthy', [waypoint(), instance({ health: 'unhealthy' })]],
  ['whose instance takes no tunnels', [waypoint(), instance({ protocol: 'TCP' })]],
  ['whose instance has no address', [waypoint(), instance({ addresses: [] })]],
  ['whose instance has another service account', [waypoint(), instance({ serviceAccount: 'default' })]],
  ['whose instance is of another namespace', [waypoint(), instance({ namespace: 'evil' })]],
  ['whose instance is of another trust domain', [waypoint(), instance({ trustDomain: 'evil.local' })]],
]
for (const [what, values] of unreachable) {
  t.test(`a waypoint ${what} is not gone around, unless its Gateway says so`, async (t) => {
    for (const [address, port] of [
      ['240.240.0.1', 80],
      ['10.0.0.1', 8080],
    ] as const) {
      const refused = ask([orders, behind, ...values], address, port)
      t.equal(wayOf(refused), 'NO_ENDPOINT')
      t.match(
        messageOf(refused),
        /does "culvert waypoint" run for it, with service account wp\? Nothing goes around it/,
      )
      const open = [orders, behind, ...values, waypoint({ whenUnreachable: 'bypass' })]
      const decision = ask(open, address, port)
      t.match(decision, { kind: 'tunnel', peer: { address: '10.0.0.1', port: 15008 }, waypoint: undefined })
    }
  })
}

t.test('a waypoint that the model does not know is never gone around', async (t) => {
  const ordinary = service({ name: 'wp', vips: [] })
  for (const values of [[], [ordinary], [ordinary, instance()]]) {
    t.match(messageOf(ask([orders, behind, ...values], '240.240.0.1', 80)), /which the mesh does not know/)
    t.match(messageOf(ask([orders, behind, ...values], '10.0.0.1', 8080)), /which the mesh does not know/)
  }
})

t.test('the waypoint itself goes straight to the endpoint', async (t) => {
  const values = [orders, behind, waypoint(), instance()]
  for (const destination of [
    { address: '240.240.0.1', port: 80 },
    { address: '10.0.0.1', port: 8080 },
  ]) {
    const decision = ask(values, '', 0, { destination, source: instance() })
    t.match(decision, { kind: 'tunnel', peer: { address: '10.0.0.1' }, waypoint: undefined })
  }
})

t.test('a workload that has the waypoint’s service account and is none goes through it like everybody', async (t) => {
  const shared = workload({ name: 'job', serviceAccount: 'wp', addresses: ['10.0.5.7'] })
  const values = [orders, behind, waypoint(), instance(), shared]
  for (const [address, port] of [
    ['240.240.0.1', 80],
    ['10.0.0.1', 8080],
  ] as const)
    t.match(ask(values, address, port, { source: shared }), { kind: 'tunnel', peer: { address: '10.0.5.1' } })
})

const own = workload({ services: [member], waypoint: wpKey })
const other = 'shop/other.shop.svc.cluster.local'
const plainMember = workload({ services: [member, { service: other, ports: { 80: 8080, 90: 9090 } }] })
const plainService = service({ name: 'other', vips: ['240.240.0.2'] })
/** Where a connection to the workload’s own address goes, by what is declared. */
const addressed: readonly [string, readonly (Workload | Service)[], number, string][] = [
  ['its own waypoint', [own, service(), waypoint()], 9999, 'wp-1'],
  ['its own waypoint, although that may be gone around', [own, service(), waypoint({ bypass: 'allowed' })], 1, 'wp-1'],
  ['the waypoint of the service that leads to this port', [orders, behind, waypoint()], 8080, 'wp-1'],
  ['no waypoint where no service leads to the port', [orders, behind, waypoint()], 9999, 'tunnel'],
  [
    'the waypoint of a service whose ports are not known',
    [workload({ services: [{ service: key, ports: {} }] }), behind, waypoint()],
    9999,
    'wp-1',
  ],
  ['a waypoint that takes such traffic', [orders, behind, waypoint({ takes: 'all', bypass: 'allowed' })], 8080, 'wp-1'],
  [
    'no waypoint for services that may be gone around',
    [orders, behind, waypoint({ bypass: 'allowed' })],
    8080,
    'tunnel',
  ],
  [
    'the waypoint of a headless service in any case',
    [orders, { ...behind, headless: true, vips: [] }, waypoint({ bypass: 'allowed' })],
    8080,
    'wp-1',
  ],
]
for (const [what, values, port, expected] of addressed) {
  t.test(`a connection to the address of a workload goes through ${what}`, async (t) => {
    const decision = ask([...values, instance()], '10.0.0.1', port)
    t.equal(wayOf(decision), expected)
    t.match(decision, { target: { address: '10.0.0.1', port } })
    t.notOk('service' in decision && decision.service, 'no service was addressed')
  })
}

t.test('a service without a waypoint leads through that of another one which its endpoint may not miss', async (t) => {
  const values = [plainMember, behind, plainService, instance()]
  const refused = ask([...values, waypoint()], '240.240.0.2', 80)
  t.match(refused, { ...through, target: { address: '10.0.0.1', port: 8080 }, service: { name: 'other' } })
  const allowed = ask([...values, waypoint({ bypass: 'allowed' })], '240.240.0.2', 80)
  t.match(allowed, { kind: 'tunnel', waypoint: undefined }, 'as in Istio, its own waypoint is not asked')
  const workloads = [{ ...plainMember, waypoint: wpKey }, plainService, instance()]
  t.equal(wayOf(ask([...workloads, waypoint()], '240.240.0.2', 80)), 'wp-1')
  t.equal(wayOf(ask([...workloads, waypoint({ bypass: 'allowed' })], '240.240.0.2', 80)), 'tunnel')
})

t.test('nothing stands before a waypoint, whatever its labels say', async (t) => {
  const labelled = instance({ waypoint: wpKey, services: [...instance().services, member] })
  const values = [behind, waypoint({}, { waypoint: wpKey }), labelled]
  t.match(ask(values, '10.0.5.1', 8080), { kind: 'tunnel', waypoint: undefined })
  t.equal(wayOf(ask(values, '240.240.9.1', 15008)), 'LOOP_REFUSED', 'nobody addresses a waypoint itself')
})

t.test('two waypoints before each other do not make a loop', async (t) => {
  const second = waypoint({}, { name: 'wq', hostname: 'wq.shop.svc.cluster.local', vips: [], waypoint: wpKey })
  const first = waypoint({}, { waypoint: 'shop/wq.shop.svc.cluster.local' })
  const one = instance({ waypoint: 'shop/wq.shop.svc.cluster.local' }, first)
  const two = instance({ waypoint: wpKey, addresses: ['10.0.5.2'] }, second)
  const values = [orders, behind, first, second, one, two]
  t.match(ask(values, '10.0.5.1', 8080), { kind: 'tunnel', waypoint: undefined })
  t.match(ask(values, '10.0.5.2', 8080, { source: one }), { kind: 'tunnel', waypoint: undefined })
  t.equal(wayOf(ask(values, '240.240.0.1', 80, { source: two })), 'wp-1', 'another waypoint is a caller like others')
})

t.test('a second waypoint is passed where the first may be gone around', async (t) => {
  const first = waypoint({ whenUnreachable: 'bypass' })
  const second = waypoint({}, { name: 'wq', hostname: 'wq.shop.svc.cluster.local', vips: [] })
  const two = instance({ addresses: ['10.0.5.2'] }, second)
  const both = workload({ services: [member, { service: other, ports: { 80: 8080 } }] })
  const values = [both, behind, { ...plainService, waypoint: 'shop/wq.shop.svc.cluster.local' }, first, second, two]
  t.equal(wayOf(ask(values, '10.0.0.1', 8080)), 'wq-1')
  t.equal(wayOf(ask(values, '240.240.0.1', 80)), 'wq-1')
  t.equal(wayOf(ask(values, '10.0.0.1', 8080, { source: instance() })), 'tunnel', 'but not by the first itself')
  t.match(ask(values, '10.0.0.1', 8080, { source: instance() }), { waypoint: undefined })
})
