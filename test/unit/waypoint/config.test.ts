import t from 'tap'
import { parseConfig } from '../../../core/base/config.ts'
import { hostOf, instanceOf, waypointRows } from '../../../waypoint/config.ts'
import { identityOf, reportOf, selfOf } from '../../../waypoint/self.ts'

const needed = { name: 'shop/wp', control: '10.0.0.1:15012', address: '10.0.0.7,2001:DB8::0:7' }
const parse = (flags: Readonly<Record<string, string>>) => parseConfig(waypointRows, { flags: { ...needed, ...flags } })

t.test('a replica joins under its own name, with the identity of the Gateway', (t) => {
  const one = parse({})
  t.equal(instanceOf(one), 'wp')
  t.equal(hostOf(one), 'wp.shop')
  const second = parse({ instance: 'wp-2' })
  t.equal(hostOf(second), 'wp-2.shop')
  t.match(reportOf(second, 'b00t', true), {
    uid: 'wp-2.shop/shop/wp-2/b00t',
    name: 'wp-2',
    namespace: 'shop',
    serviceAccount: 'wp',
    addresses: ['10.0.0.7', '2001:db8::7'],
    labels: { 'gateway.networking.k8s.io/gateway-name': 'wp' },
    captured: true,
  })
  t.equal(reportOf(second, 'b00t', false).captured, false)
  t.equal(selfOf(second, 'svc.cluster.local').key, 'shop/wp.shop.svc.cluster.local')
  t.equal(identityOf(second, 'cluster.local'), 'spiffe://cluster.local/ns/shop/sa/wp')
  t.end()
})

t.test('what names no Gateway, and addresses that nobody could reach, are refused', (t) => {
  for (const name of ['wp', 'shop/', '/wp', 'shop/wp/x', 'Shop/wp', 'shop/w_p']) {
    t.throws(() => parse({ name }), { code: 'CONFIG_INVALID', message: /--name: must be the namespace/ }, name)
  }
  for (const address of ['127.0.0.1', '::1', '0.0.0.0', '::', 'wp.example', '']) {
    t.throws(() => parse({ address }), { code: 'CONFIG_INVALID', message: /--address: / }, address)
  }
  t.throws(() => parse({ instance: 'wp.2' }), { code: 'CONFIG_INVALID' })
  t.throws(() => parse({ control: '' }), { code: 'CONFIG_INVALID' })
  t.end()
})
