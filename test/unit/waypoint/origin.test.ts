import t from 'tap'
import type { Service, Workload } from '../../../core/model/types.ts'
import { mayStay, originOf, type Self } from '../../../waypoint/origin.ts'
import { service, snapshotOf, workload } from '../../helpers/model.ts'
import { instance, waypoint, wpKey } from '../../helpers/waypoint-model.ts'

const key = 'shop/orders.shop.svc.cluster.local'
const self: Self = { key: wpKey, addresses: ['10.0.5.1', 'fd00::5'] }
const client = workload({ name: 'client', addresses: ['10.0.9.9'], serviceAccount: 'frontend' })
const behind = service({ waypoint: wpKey })
const orders = workload({ services: [{ service: key, ports: { 80: 8080 } }] })
const base = [client, behind, orders, waypoint(), instance()]
const frontend = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'frontend' }

function ask(authority: string, values: readonly (Workload | Service)[] = base, identity = frontend) {
  const peer = { identity, address: { address: '10.0.9.9', port: 41_000 } }
  return originOf(snapshotOf(...values), self, { authority, peer })
}

t.test('a virtual IP of a service behind the waypoint is served, and the caller is who its certificate says', (t) => {
  t.match(ask('240.240.0.1:80'), {
    identity: frontend,
    principal: 'spiffe://cluster.local/ns/shop/sa/frontend',
    address: { address: '10.0.9.9', port: 41_000 },
    workload: { name: 'client' },
    destination: { address: '240.240.0.1', port: 80 },
    service: { name: 'orders' },
    target: undefined,
  })
  t.equal(ask('[2001:2::1]:80').service?.name, 'orders')
  t.end()
})

t.test('an address does not make a caller: without the identity it is nobody’s workload', (t) => {
  t.equal(ask('240.240.0.1:80', base, { ...frontend, serviceAccount: 'other' }).workload, undefined)
  t.end()
})

t.test('a workload is served by its own address where the waypoint stands before that port', (t) => {
  t.match(ask('10.0.0.1:8080'), { service: undefined, target: { name: 'orders-1' } })
  t.throws(() => ask('10.0.0.1:9999'), { code: 'POLICY_DENIED' }, 'the service does not lead to this port')
  const own = workload({ name: 'bank', addresses: ['10.0.0.5'], waypoint: wpKey })
  t.match(ask('10.0.0.5:1234', [...base, own]), { target: { name: 'bank' } })
  t.end()
})

t.test('nothing else is reached through it: it is no open proxy', (t) => {
  const foreign = service({ name: 'pay', vips: ['240.240.0.2'], waypoint: 'bank/wp.bank.svc.cluster.local' })
  const plain = service({ name: 'plain', vips: ['240.240.0.3'] })
  const stranger = workload({ name: 'stranger', addresses: ['10.0.0.7'] })
  const all = [...base, foreign, plain, stranger]
  for (const authority of [
    '240.240.0.2:80',
    '240.240.0.3:80',
    '240.240.0.99:80',
    '240.240.9.1:80',
    '10.0.0.7:8080',
    '93.184.215.14:80',
    '169.254.169.254:80',
    '10.0.9.9:80',
  ]) {
    t.throws(() => ask(authority, all), { code: 'POLICY_DENIED' }, authority)
  }
  for (const authority of [
    '',
    'orders.shop:80',
    '240.240.0.1',
    '240.240.0.1:0',
    '240.240.0.1:81',
    '127.0.0.1:15000',
    '[::1]:80',
    '[::ffff:127.0.0.1]:80',
    '0.0.0.0:80',
    '10.0.5.1:80',
    '10.0.5.1:15008',
    '[fd00::5]:80',
    '10.0.0.1:15008',
    '10.0.0.1:15001',
    '240.240.0.1:15006',
  ]) {
    t.throws(() => ask(authority, all), { code: 'TUNNEL_BAD_REQUEST' }, authority)
  }
  t.end()
})

t.test('a connection to an address that changed hands ends, even where its new owner is served, too', (t) => {
  const connected = ask('240.240.0.1:80')
  const stays = (values: readonly (Workload | Service)[], origin = connected) =>
    mayStay(snapshotOf(...values), self, origin)
  t.doesNotThrow(() => stays(base))
  t.doesNotThrow(() => stays([...base, workload({ name: 'more', addresses: ['10.0.0.9'] })]))
  const heir = service({ name: 'pay', waypoint: wpKey })
  t.throws(() => stays([client, heir, waypoint(), instance()]), {
    code: 'POLICY_DENIED',
    message: /belongs to shop\/pay/,
  })
  t.throws(() => stays([client, service(), orders, waypoint()]), { code: 'POLICY_DENIED' }, 'not behind it any more')
  const byAddress = ask('10.0.0.1:8080')
  t.doesNotThrow(() => stays(base, byAddress))
  const next = workload({ name: 'next', services: [{ service: key, ports: { 80: 8080 } }] })
  t.throws(() => stays([client, behind, next, waypoint()], byAddress), { code: 'POLICY_DENIED' }, 'a new workload')
  t.end()
})
