import fc from 'fast-check'
import t from 'tap'
import { type RouteDecision, type RouteRequest, route } from '../../../core/decide/route.ts'
import type { Workload } from '../../../core/model/types.ts'
import { service, snapshotOf, workload } from '../../helpers/model.ts'

const key = 'shop/orders.shop.svc.cluster.local'
const member = { service: key, ports: { 80: 8080 } }
const source = workload({ name: 'client', addresses: ['10.0.9.9'], serviceAccount: 'frontend' })
const orders = workload({ addresses: ['10.0.0.1', '2001:db8::1'], services: [member] })

function ask(snapshot: ReturnType<typeof snapshotOf>, address: string, port: number, more: Partial<RouteRequest> = {}) {
  return route(snapshot, { source, destination: { address, port }, random: () => 0, ...more })
}

function refusal(decision: RouteDecision): string {
  return decision.kind === 'refuse' ? decision.error.code : decision.kind
}

t.test('a virtual IP leads through a tunnel to an endpoint and its port, which must prove its identity', async (t) => {
  const decision = ask(snapshotOf(source, orders, service()), '240.240.0.1', 80)
  t.match(decision, {
    kind: 'tunnel',
    workload: { uid: orders.uid },
    service: { name: 'orders' },
    target: { address: '10.0.0.1', port: 8080 },
    peer: { address: '10.0.0.1', port: 15008 },
  })
  t.same(decision.kind === 'tunnel' && decision.expectedIdentities, ['spiffe://cluster.local/ns/shop/sa/orders'])
})

t.test('further identities of the service are expected too, each once', async (t) => {
  const identities = ['spiffe://cluster.local/ns/shop/sa/orders', 'spiffe://cluster.local/ns/shop/sa/legacy']
  const decision = ask(snapshotOf(orders, service({ identities })), '240.240.0.1', 80)
  t.same(decision.kind === 'tunnel' && decision.expectedIdentities, identities)
})

t.test(
  'an IPv6 virtual IP prefers the IPv6 address of an endpoint, and takes IPv4 where there is no other',
  async (t) => {
    const snapshot = snapshotOf(orders, service())
    t.match(ask(snapshot, '2001:2::1', 80), { target: { address: '2001:db8::1', port: 8080 } })
    const v4 = snapshotOf(workload({ services: [member] }), service())
    t.match(ask(v4, '2001:2::1', 80), { target: { address: '10.0.0.1', port: 8080 } })
  },
)

t.test('an endpoint without a tunnel is reached in plaintext', async (t) => {
  const plain = workload({ services: [member], protocol: 'TCP', enrolled: false })
  t.match(ask(snapshotOf(plain, service()), '240.240.0.1', 80), {
    kind: 'plain',
    target: { address: '10.0.0.1', port: 8080 },
    workload: { uid: plain.uid },
    service: { name: 'orders' },
  })
})

t.test('the address of a workload leads to that workload, healthy or not', async (t) => {
  const snapshot = snapshotOf({ ...orders, health: 'unhealthy' }, service())
  const decision = ask(snapshot, '10.0.0.1', 9090)
  t.match(decision, {
    kind: 'tunnel',
    target: { address: '10.0.0.1', port: 9090 },
    peer: { address: '10.0.0.1', port: 15008 },
    expectedIdentities: ['spiffe://cluster.local/ns/shop/sa/orders'],
  })
  t.notOk('service' in decision)
  const plain = snapshotOf(workload({ protocol: 'TCP' }))
  t.match(ask(plain, '10.0.0.1', 9090), { kind: 'plain', target: { address: '10.0.0.1', port: 9090 } })
})

t.test('an address that the mesh does not know passes as it is', async (t) => {
  const decision = ask(snapshotOf(orders), '192.0.2.1', 443)
  t.same(decision, { kind: 'plain', target: { address: '192.0.2.1', port: 443 } })
  t.match(ask(snapshotOf(orders), '192.0.2.1', 15008), { kind: 'plain' }, 'another program may use that port out there')
})

const sick = workload({ services: [member], health: 'unhealthy' })
const other = workload({ services: [{ service: key, ports: { 81: 8080 } }] })
const bare = workload({ services: [member], addresses: [] })
const looped = workload({ services: [{ service: key, ports: { 80: 15008 } }] })
const through = workload({ waypoint: 'shop/wp' })
const refusals: readonly [string, ReturnType<typeof snapshotOf>, string, number, string][] = [
  ['a port that the service does not have', snapshotOf(orders, service()), '240.240.0.1', 81, 'UNKNOWN_PORT'],
  ['a service without endpoints', snapshotOf(service()), '240.240.0.1', 80, 'NO_ENDPOINT'],
  ['a service without healthy endpoints', snapshotOf(sick, service()), '240.240.0.1', 80, 'NO_ENDPOINT'],
  ['a service whose endpoints lack the port', snapshotOf(other, service()), '240.240.0.1', 80, 'NO_ENDPOINT'],
  ['a service whose endpoints lack addresses', snapshotOf(bare, service()), '240.240.0.1', 80, 'NO_ENDPOINT'],
  ['a virtual IP of nobody', snapshotOf(orders), '240.240.7.7', 80, 'NO_ENDPOINT'],
  ['a virtual IPv6 of nobody', snapshotOf(orders), '2001:2::77', 80, 'NO_ENDPOINT'],
  [
    'a service that wants a waypoint',
    snapshotOf(orders, service({ waypoint: 'a/b' })),
    '240.240.0.1',
    80,
    'NO_ENDPOINT',
  ],
  ['a workload that wants a waypoint', snapshotOf(through), '10.0.0.1', 80, 'NO_ENDPOINT'],
  ['loopback', snapshotOf(), '127.0.0.1', 80, 'LOOP_REFUSED'],
  ['other loopback addresses', snapshotOf(), '127.8.8.8', 80, 'LOOP_REFUSED'],
  ['IPv6 loopback', snapshotOf(), '::1', 80, 'LOOP_REFUSED'],
  ['the address of nothing', snapshotOf(), '0.0.0.0', 80, 'LOOP_REFUSED'],
  ['the IPv6 address of nothing', snapshotOf(), '::', 80, 'LOOP_REFUSED'],
  ['the outbound port of the caller itself', snapshotOf(), '10.0.9.9', 15001, 'LOOP_REFUSED'],
  ['the inbound port of another workload', snapshotOf(orders), '10.0.0.1', 15006, 'LOOP_REFUSED'],
  ['the tunnel port of another workload', snapshotOf(orders), '10.0.0.1', 15008, 'LOOP_REFUSED'],
  ['a service that maps to the tunnel port', snapshotOf(looped, service()), '240.240.0.1', 80, 'LOOP_REFUSED'],
]
for (const [what, snapshot, address, port, code] of refusals) {
  t.test(`${what} is refused with ${code}`, async (t) => t.equal(refusal(ask(snapshot, address, port)), code))
}

t.test('a workload that the mesh does not capture may use the ports of the proxy itself', async (t) => {
  const plain = workload({ protocol: 'TCP', enrolled: false })
  t.match(ask(snapshotOf(plain), '10.0.0.1', 15008), { kind: 'plain' })
})

t.test('a retry leaves out the endpoints that were tried, and ends when none is left', async (t) => {
  const second = workload({ name: 'orders-2', addresses: ['10.0.0.2'], services: [member] })
  const snapshot = snapshotOf(orders, second, service())
  t.match(ask(snapshot, '240.240.0.1', 80, { exclude: new Set([orders.uid]) }), { workload: { name: 'orders-2' } })
  const both = new Set([orders.uid, second.uid])
  const decision = ask(snapshot, '240.240.0.1', 80, { exclude: both })
  t.equal(refusal(decision), 'NO_ENDPOINT')
  t.match(decision.kind === 'refuse' && decision.error.message, /2 tried already/)
})

function shares(members: readonly Workload[], draws: number): Record<string, number> {
  const snapshot = snapshotOf(service(), ...members)
  const counts: Record<string, number> = {}
  for (let draw = 0; draw < draws; draw++) {
    const decision = ask(snapshot, '240.240.0.1', 80, { random: () => draw / draws })
    const name = decision.kind === 'tunnel' ? decision.workload.name : decision.kind
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

t.test('endpoints are drawn by weight', async (t) => {
  const at = (name: string, weight: number) => workload({ name, weight, services: [member], addresses: ['10.0.0.5'] })
  t.same(shares([at('a', 1), at('b', 3)], 400), { a: 100, b: 300 })
  t.same(shares([at('a', 0), at('b', 3), at('c', 0)], 400), { b: 400 })
  t.same(shares([at('a', 0), at('b', 0)], 400), { a: 200, b: 200 })
})

t.test('a draw is always a healthy endpoint that has weight, whatever the numbers', async () => {
  const member1 = fc.record({ weight: fc.constantFrom(0, 0.1, 1, 7, 1e9), healthy: fc.boolean() })
  fc.assert(
    fc.property(
      fc.array(member1, { minLength: 1, maxLength: 8 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (specs, draw) => {
        const members = specs.map(({ weight, healthy }, index) =>
          workload({ name: `w${index}`, weight, health: healthy ? 'healthy' : 'unhealthy', services: [member] }),
        )
        const decision = ask(snapshotOf(service(), ...members), '240.240.0.1', 80, { random: () => draw })
        const healthy = members.filter(({ health }) => health === 'healthy')
        if (healthy.length === 0) return refusal(decision) === 'NO_ENDPOINT'
        const anyWeight = healthy.some(({ weight }) => weight > 0)
        const drawn = decision.kind === 'tunnel' ? decision.workload : undefined
        return drawn !== undefined && drawn.health === 'healthy' && (!anyWeight || drawn.weight > 0)
      },
    ),
  )
})
