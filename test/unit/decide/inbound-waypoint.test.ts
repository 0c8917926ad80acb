import t from 'tap'
import { authorize, type InboundConnection } from '../../../core/decide/authorize.ts'
import { type Claim, callerOf } from '../../../core/decide/inbound.ts'
import { waypointsChanged } from '../../../core/decide/waypoint.ts'
import type { PeerIdentity } from '../../../core/model/canonical.ts'
import type { Authorization, Service, Workload } from '../../../core/model/types.ts'
import { authorization, rule, service, snapshotOf, workload } from '../../helpers/model.ts'
import { identityOfWaypoint, instance, waypoint, wpKey } from '../../helpers/waypoint-model.ts'

const key = 'shop/orders.shop.svc.cluster.local'
const orders = workload({ services: [{ service: key, ports: { 80: 8080 } }] })
const behind = service({ waypoint: wpKey })
const account = (serviceAccount: string, namespace = 'shop', trustDomain = 'cluster.local'): PeerIdentity => {
  return { trustDomain, namespace, serviceAccount }
}
const frontend = account('frontend')

type Value = Workload | Service | Authorization

function judge(values: readonly Value[], change: Partial<InboundConnection> = {}) {
  const workload = values[0] as Workload
  return authorize(snapshotOf(...values), {
    identity: frontend,
    sourceAddress: '10.0.9.9',
    destinationAddress: '10.0.0.1',
    destinationPort: 8080,
    workload,
    ...change,
  })
}

t.test('who goes around a waypoint is denied, and told which', async (t) => {
  const values = [orders, behind, waypoint(), instance()]
  const refusal = { allowed: false, policy: 'waypoint shop/wp', reason: /through this waypoint only.* went around it/ }
  t.match(judge(values), refusal)
  t.match(judge(values, { identity: undefined }), refusal, 'plaintext too')
  t.match(judge(values, { identity: account('wp', 'evil') }), refusal, 'the same name in another namespace')
  t.match(judge(values, { identity: account('wp', 'shop', 'evil.local') }), refusal, 'of another trust domain')
  t.match(judge(values, { identity: identityOfWaypoint }), { allowed: true }, 'the waypoint itself')
  t.match(judge(values, { via: identityOfWaypoint }), { allowed: true }, 'somebody through it')
  t.match(judge([orders, behind, waypoint()], { via: identityOfWaypoint }), { allowed: true }, 'an instance just left')
  t.match(judge(values, { destinationPort: 9999 }), { allowed: true }, 'a port where the service does not lead')
  t.match(judge([orders, behind, waypoint({ bypass: 'allowed' })]), { allowed: true }, 'unless that is allowed')
  t.match(judge([orders, behind]), { policy: `waypoint ${wpKey}`, reason: /does not know \(is its Gateway there\?\)/ })
  t.match(judge([workload({ waypoint: wpKey }), waypoint()], { destinationPort: 1 }), refusal, 'its own waypoint')
  t.match(judge([instance({ waypoint: wpKey }), waypoint()]), { allowed: true }, 'nothing stands before a waypoint')
})

t.test('a member of the waypoint’s Service that lacks its service account is not the waypoint', async (t) => {
  const impostor = instance({ name: 'impostor', serviceAccount: 'mallory' })
  const values = [orders, behind, waypoint(), impostor]
  t.match(judge(values, { identity: account('mallory') }), { allowed: false, policy: 'waypoint shop/wp' })
  t.match(judge(values, { via: account('mallory') }), { allowed: false, reason: /passed a caller on/ })
})

t.test('who speaks for others must be a waypoint of the destination, also where none must be passed', async (t) => {
  const refusal = { allowed: false, policy: 'waypoint cluster.local/ns/shop/sa/wp', reason: /is no waypoint/ }
  t.match(judge([orders, service()], { via: identityOfWaypoint }), refusal)
  const elsewhere = service({ name: 'other', waypoint: wpKey })
  t.match(judge([orders, service(), elsewhere, waypoint(), instance()], { via: identityOfWaypoint }), refusal)
  const open = [orders, behind, waypoint({ bypass: 'allowed' })]
  t.match(judge(open, { via: account('other') }), { allowed: false, reason: /is no waypoint/ })
})

t.test('policies are about the caller, not about the waypoint that passed it on', async (t) => {
  const principals = [{ kind: 'exact' as const, value: 'cluster.local/ns/shop/sa/frontend' }]
  const allow = authorization({ rules: rule({ principals, sourceIps: ['10.0.9.9/32'] }) })
  const values = [orders, behind, waypoint(), allow]
  t.match(judge(values, { via: identityOfWaypoint }), { allowed: true, policy: 'shop/policy rule 0' })
  t.match(judge(values, { via: identityOfWaypoint, identity: account('other') }), { allowed: false })
  t.match(judge(values, { via: identityOfWaypoint, sourceAddress: '10.0.5.1' }), { allowed: false })
  t.match(judge(values, { identity: identityOfWaypoint }), { allowed: false }, 'the waypoint for itself')
  const strict = { ...orders, peerAuthentication: { mode: 'STRICT' as const, ports: {} } }
  t.match(judge([strict, behind, waypoint()], { via: identityOfWaypoint }), { allowed: true })
  t.match(judge([strict, behind, waypoint()], { identity: undefined }), { policy: /PeerAuthentication/ })
})

const good: Claim = { identity: frontend, source: { address: '10.0.9.9', port: 4711 } }

function calls(peer: PeerIdentity, claim: Claim | undefined, values: readonly Value[] = [behind, waypoint()]) {
  const snapshot = snapshotOf(orders, ...values)
  return callerOf(snapshot, { workload: orders, port: 8080, identity: peer, address: '10.0.5.1', claim })
}

t.test('a waypoint of the destination names the caller', async (t) => {
  const passed = calls(identityOfWaypoint, good)
  t.match(passed, { kind: 'passed', identity: frontend, source: { address: '10.0.9.9', port: 4711 } })
  t.match(passed, { via: { name: 'wp' } })
  t.match(calls(identityOfWaypoint, { ...good, source: { address: 'fd00::9', port: 0 } }), { kind: 'passed' })
  t.same(calls(identityOfWaypoint, undefined), { kind: 'peer', ignored: false }, 'without a name it calls itself')
  const open = [behind, waypoint({ bypass: 'allowed' })]
  t.match(calls(identityOfWaypoint, good, open), { kind: 'passed' })
})

t.test('a workload that shares the service account of a waypoint is not the waypoint', async (t) => {
  const shared = workload({ name: 'job', serviceAccount: 'wp', addresses: ['10.0.5.7'], services: [] })
  const values = [behind, waypoint({ bypass: 'allowed' }), instance(), shared]
  const snapshot = snapshotOf(orders, ...values)
  const arriving = { workload: orders, port: 8080, identity: identityOfWaypoint, claim: good }
  t.same(callerOf(snapshot, { ...arriving, address: '10.0.5.7' }), { kind: 'peer', ignored: true })
  t.match(callerOf(snapshot, { ...arriving, address: '10.0.5.1' }), { kind: 'passed' }, 'the instance')
  t.match(callerOf(snapshot, { ...arriving, address: '10.0.5.2' }), { kind: 'passed' }, 'one that is not known yet')
  const closed = [orders, behind, waypoint(), instance(), shared]
  const refusal = { allowed: false, policy: 'waypoint shop/wp', reason: /through this waypoint only/ }
  t.match(judge(closed, { identity: identityOfWaypoint, sourceAddress: '10.0.5.7' }), refusal, 'for itself')
  const via = { via: identityOfWaypoint, viaAddress: '10.0.5.7' }
  t.match(judge(closed, via), { allowed: false, reason: /passed a caller on/ }, 'for others')
  t.match(judge(closed, { ...via, viaAddress: '10.0.5.1' }), { allowed: true })
})

t.test('nobody else does', async (t) => {
  const ignored = { kind: 'peer', ignored: true }
  t.same(calls(frontend, good), ignored)
  t.same(calls(account('wp', 'evil'), good), ignored)
  t.same(calls(account('wp', 'shop', 'evil.local'), good), ignored)
  t.same(calls(account('mallory'), good, [behind, waypoint(), instance({ serviceAccount: 'mallory' })]), ignored)
  t.same(calls(identityOfWaypoint, good, [service(), waypoint()]), ignored, 'a waypoint of another service')
  t.same(calls(identityOfWaypoint, good, [behind]), ignored, 'a waypoint that the model does not know')
  t.same(calls(identityOfWaypoint, good, [behind, service({ name: 'wp' })]), ignored, 'an ordinary service')
  const unknown = { workload: undefined, port: 8080, identity: identityOfWaypoint, address: '10.0.5.1', claim: good }
  t.same(callerOf(snapshotOf(waypoint()), unknown), ignored)
  t.same(calls(frontend, { identity: undefined, source: undefined }), ignored, 'however it is written')
})

const wrong: readonly [string, Partial<Claim>][] = [
  ['an identity that cannot be read', { identity: undefined }],
  ['an address that cannot be read', { source: undefined }],
  ['a caller of another trust domain', { identity: account('frontend', 'shop', 'evil.local') }],
  ...['127.0.0.1', '127.9.9.9', '::1', '0.0.0.0', '0.1.2.3', '::', '224.0.0.1', '255.255.255.255', 'ff02::1'].map(
    (address) => [`a caller at ${address}`, { source: { address, port: 1 } }] as const,
  ),
  ['a caller at a virtual IP', { source: { address: '240.240.0.1', port: 1 } }],
  ['a caller at a virtual IPv6', { source: { address: '2001:2::1', port: 1 } }],
].map(([what, change]) => [what, change] as [string, Partial<Claim>])
for (const [what, change] of wrong) {
  t.test(`${what} is not believed even if its waypoint says so`, async (t) => {
    const caller = calls(identityOfWaypoint, { ...good, ...change })
    t.match(caller, { kind: 'refused', error: { code: 'TUNNEL_BAD_REQUEST', message: /waypoint shop\/wp passed/ } })
    t.match(calls(frontend, { ...good, ...change }), { kind: 'peer', ignored: true })
  })
}

t.test('a change of a service concerns the workloads before which its waypoint stands', async (t) => {
  const values = [orders, behind, waypoint()]
  t.ok(waypointsChanged(snapshotOf(...values), orders, new Set([key])))
  t.ok(waypointsChanged(snapshotOf(...values), orders, new Set([wpKey])))
  t.ok(waypointsChanged(snapshotOf(orders), orders, new Set([key])), 'of a service that is gone too')
  t.notOk(waypointsChanged(snapshotOf(...values), orders, new Set(['shop/other'])))
  t.notOk(waypointsChanged(snapshotOf(...values), orders, new Set()))
  t.ok(waypointsChanged(snapshotOf(), workload({ waypoint: wpKey }), new Set([wpKey])))
})
