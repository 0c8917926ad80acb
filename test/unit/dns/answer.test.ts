import type { Answer } from 'dns-packet'
import t from 'tap'
import { answer } from '../../../daemon/dns/answer.ts'
import { recordClasses, recordTypes } from '../../../daemon/dns/wire.ts'
import { service, snapshotOf, workload } from '../../helpers/model.ts'

const headlessKey = 'shop/peers.shop.svc.cluster.local'
const peers = (name: string, addresses: readonly string[], health: 'healthy' | 'unhealthy' = 'healthy') =>
  workload({ name, addresses, health, services: [{ service: headlessKey, ports: { 80: 8080 } }] })

const snapshot = snapshotOf(
  service(),
  service({ name: 'v4', vips: ['240.240.0.4'] }),
  service({ name: 'orders', namespace: 'other', vips: ['240.240.1.1'] }),
  service({ name: 'peers', headless: true, vips: [] }),
  service({ name: 'lonely', headless: true, vips: [] }),
  service({ name: 'outside', hostname: 'api.example.com', vips: ['240.240.0.9'] }),
  peers('peer-0', ['10.0.0.10', '2001:db8::10']),
  peers('peer-1', ['10.0.0.11']),
  peers('peer-2', ['10.0.0.12'], 'unhealthy'),
)

function ask(name: string, type: keyof typeof recordTypes | 'MX' = 'A', rrclass: number = recordClasses.IN) {
  const number = type === 'MX' ? 15 : recordTypes[type]
  return answer(snapshot, { namespace: 'shop' }, { name, type: number, class: rrclass }, () => 0)
}

function short(decision: ReturnType<typeof ask>): string {
  if (decision.kind === 'forward') return 'forward'
  const { rcode, answers, authorities } = decision
  if (rcode !== 'NOERROR') return rcode
  if (answers.length === 0) return authorities[0]?.type === 'SOA' ? 'NODATA' : 'EMPTY'
  return answers.map((each: Answer) => ('data' in each ? String(each.data) : each.type)).join(' ')
}

const table: readonly [string, keyof typeof recordTypes | 'MX', string][] = [
  // the four ways to name a service
  ['orders', 'A', '240.240.0.1'],
  ['orders.shop', 'A', '240.240.0.1'],
  ['orders.shop.svc', 'A', '240.240.0.1'],
  ['orders.shop.svc.cluster.local', 'A', '240.240.0.1'],
  ['orders.shop.svc.cluster.local', 'AAAA', '2001:2::1'],
  ['orders.shop.svc.cluster.local', 'ANY', '240.240.0.1 2001:2::1'],
  ['OrDeRs.ShOp.SvC.ClUsTeR.LoCaL', 'A', '240.240.0.1'],
  // a bare name is one of the caller's own namespace
  ['orders.other', 'A', '240.240.1.1'],
  ['orders.other.svc.cluster.local', 'A', '240.240.1.1'],
  // a name without that type
  ['v4.shop', 'AAAA', 'NODATA'],
  ['orders.shop.svc.cluster.local', 'MX', 'NODATA'],
  ['orders', 'MX', 'NODATA'],
  ['svc.cluster.local', 'A', 'NODATA'],
  // unknown names of the mesh's zone never leave the host, others do
  ['nothing.shop.svc.cluster.local', 'A', 'NXDOMAIN'],
  ['example.com.shop.svc.cluster.local', 'A', 'NXDOMAIN'],
  ['shop.svc.cluster.local', 'A', 'NXDOMAIN'],
  ['.svc.cluster.local', 'A', 'NXDOMAIN'],
  ['nothing', 'A', 'forward'],
  ['nothing.shop', 'A', 'forward'],
  ['nothing.shop.svc', 'A', 'forward'],
  ['example.com', 'A', 'forward'],
  ['www.example.com', 'MX', 'forward'],
  ['cluster.local', 'A', 'forward'],
  ['notsvc.cluster.local', 'A', 'forward'],
  ['orders.shop.svc.cluster.local.example.com', 'A', 'forward'],
  ['', 'A', 'forward'],
  // hosts outside that are services
  ['api.example.com', 'A', '240.240.0.9'],
  // headless
  ['peers.shop.svc.cluster.local', 'A', '10.0.0.10 10.0.0.11'],
  ['peers', 'AAAA', '2001:db8::10'],
  ['lonely', 'A', 'NODATA'],
  ['peer-1.peers.shop.svc.cluster.local', 'A', '10.0.0.11'],
  ['peer-1.peers.shop.svc.cluster.local', 'AAAA', 'NODATA'],
  ['peer-9.peers.shop.svc.cluster.local', 'A', 'NXDOMAIN'],
  ['peer-1.peers.shop', 'A', 'forward'],
  ['peer-1.orders.shop.svc.cluster.local', 'A', 'NXDOMAIN'],
  // reverse
  ['1.0.240.240.in-addr.arpa', 'PTR', 'orders.shop.svc.cluster.local'],
  ['1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.1.0.0.2.ip6.arpa', 'PTR', 'orders.shop.svc.cluster.local'],
  ['1.0.240.240.in-addr.arpa', 'A', 'NODATA'],
  ['77.7.240.240.in-addr.arpa', 'PTR', 'NXDOMAIN'],
  ['1.0.0.10.in-addr.arpa', 'PTR', 'forward'],
  ['999.0.0.10.in-addr.arpa', 'PTR', 'forward'],
  // SRV
  ['_http._tcp.nothing.shop.svc.cluster.local', 'SRV', 'NXDOMAIN'],
  ['_nope._tcp.orders.shop.svc.cluster.local', 'SRV', 'NXDOMAIN'],
  ['_http._udp.orders.shop.svc.cluster.local', 'SRV', 'NXDOMAIN'],
  ['_http._tcp.orders.shop.svc.cluster.local', 'A', 'NODATA'],
  ['_http._tcp.example.com', 'SRV', 'forward'],
  ['_dmarc.example.com', 'MX', 'forward'],
]
for (const [name, type, expected] of table) {
  t.test(`${type} of "${name}" is ${expected}`, async (t) => t.equal(short(ask(name, type)), expected))
}

t.test('records live for 30 seconds and carry the name as it was asked', async (t) => {
  t.match(ask('OrDeRs'), { answers: [{ name: 'OrDeRs', type: 'A', ttl: 30, data: '240.240.0.1' }] })
})

t.test('an absence names the zone and may be remembered for a moment only', async (t) => {
  t.match(ask('nothing.shop.svc.cluster.local'), {
    authorities: [{ type: 'SOA', name: 'svc.cluster.local', ttl: 5, data: { minimum: 5, serial: 1 } }],
  })
  t.match(ask('orders', 'MX'), { authorities: [{ type: 'SOA', name: 'orders' }] }, 'the zone of a short form is itself')
})

t.test('SRV names the service port and adds the addresses, in every way to name the service', async (t) => {
  for (const name of ['orders', 'orders.shop', 'orders.shop.svc', 'orders.shop.svc.cluster.local']) {
    t.match(ask(`_http._tcp.${name}`, 'SRV'), {
      answers: [{ type: 'SRV', data: { port: 80, target: 'orders.shop.svc.cluster.local' } }],
      additionals: [{ data: '240.240.0.1' }, { data: '2001:2::1' }],
    })
  }
})

t.test('SRV of a headless service names each healthy endpoint and its own port', async (t) => {
  t.match(ask('_http._tcp.peers', 'SRV'), {
    answers: [
      { data: { port: 8080, target: 'peer-0.peers.shop.svc.cluster.local' } },
      { data: { port: 8080, target: 'peer-1.peers.shop.svc.cluster.local' } },
    ],
    additionals: [{ data: '10.0.0.10' }, { data: '2001:db8::10' }, { data: '10.0.0.11' }],
  })
})

t.test('endpoints of a headless service take turns at being first', async (t) => {
  const question = { name: 'peers', type: recordTypes.A, class: recordClasses.IN }
  const second = answer(snapshot, { namespace: 'shop' }, question, () => 0.99)
  t.match(second, { answers: [{ data: '10.0.0.11' }, { data: '10.0.0.10' }] }, 'the IPv6 address turned too, unseen')
})

t.test('another class is refused for names of the mesh and forwarded for others', async (t) => {
  t.equal(short(ask('orders', 'A', 3)), 'REFUSED')
  t.equal(short(ask('nothing.shop.svc.cluster.local', 'A', 3)), 'REFUSED')
  t.equal(short(ask('version.bind', 'A', 3)), 'forward')
  t.equal(short(ask('orders', 'A', recordClasses.ANY)), '240.240.0.1')
})
