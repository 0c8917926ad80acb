import t from 'tap'
import { parseRoutes, type Route, type RouteState } from '../../../../agent/redirect/inspect.ts'
import { planRouteRemoval, planRoutes } from '../../../../agent/redirect/routes.ts'

const vipRanges = ['240.240.0.0/16', '2001:2::/48']
const lo = { name: 'lo', up: true, loopback: true, addresses: [] }
const eth0 = { name: 'eth0', up: true, loopback: false, addresses: ['10.0.0.2'] }
const empty: RouteState = { rules: [], routes: [], links: [lo, eth0] }
const replyLines = [
  'rule add fwmark 0x111/0xfff pref 32764 lookup 100',
  'route add local 0.0.0.0/0 dev lo table 100 proto 111',
]
const vipLine = 'route add 240.240.0.0/16 dev eth0 proto 111'

const cases: readonly { name: string; state: RouteState; lines: readonly string[]; unroutable?: readonly string[] }[] =
  [
    { name: 'nothing there: all is added', state: empty, lines: [...replyLines, vipLine] },
    {
      name: 'a default route leads to virtual IPs already',
      state: { ...empty, routes: [{ dst: 'default', dev: 'eth0' }] },
      lines: replyLines,
    },
    {
      name: 'a default route of another table does not count',
      state: { ...empty, routes: [{ dst: 'default', dev: 'eth0', table: '7' }] },
      lines: [...replyLines, vipLine],
    },
    {
      name: 'an unreachable default route does not count',
      state: { ...empty, routes: [{ dst: 'default', type: 'unreachable' }] },
      lines: [...replyLines, vipLine],
    },
    {
      name: 'a wider route covers the range, a narrower one does not',
      state: { ...empty, routes: [{ dst: '240.0.0.0/4', dev: 'eth0' }] },
      lines: replyLines,
    },
    {
      name: 'a narrower route does not cover the range',
      state: { ...empty, routes: [{ dst: '240.240.1.0/24', dev: 'eth0' }] },
      lines: [...replyLines, vipLine],
    },
    {
      name: 'a namespace without links has no way to virtual IPs',
      state: { ...empty, links: [lo] },
      lines: replyLines,
      unroutable: ['240.240.0.0/16'],
    },
    {
      name: 'a link that is down or has no address is not used',
      state: {
        ...empty,
        links: [lo, { ...eth0, up: false }, { ...eth0, name: 'eth1', addresses: [] }, { ...eth0, name: 'eth2' }],
      },
      lines: [...replyLines, 'route add 240.240.0.0/16 dev eth2 proto 111'],
    },
    {
      name: 'loopback serves where it alone has an address',
      state: { ...empty, links: [{ ...lo, addresses: ['10.9.9.9'] }] },
      lines: [...replyLines, 'route add 240.240.0.0/16 dev lo proto 111'],
    },
  ]
for (const { name, state, lines, unroutable = [] } of cases) {
  t.test(name, async (t) => {
    t.same(planRoutes('ipv4', state, vipRanges), { lines, unroutable })
  })
}

t.test('IPv6 takes its own range', async (t) => {
  const { lines } = planRoutes('ipv6', empty, vipRanges)
  t.same(lines.slice(1), [
    'route add local ::/0 dev lo table 100 proto 111',
    'route add 2001:2::/48 dev eth0 proto 111',
  ])
})

const rulesText = '[{"priority":32764,"src":"all","fwmark":"0x111","fwmask":"0xfff","table":"100"}]'
const ours: readonly (Route & { readonly scope?: string })[] = [
  { type: 'local', dst: 'default', dev: 'lo', table: '100', protocol: '111' },
  { dst: '240.240.0.0/16', dev: 'eth0', protocol: '111' },
  { dst: '10.0.0.0/24', dev: 'eth0', protocol: 'kernel' },
]

t.test('what ip prints of our routes is complete, and is taken away line by line; foreign routes stay', async (t) => {
  const links =
    '[{"ifname":"lo","flags":["LOOPBACK","UP"],"addr_info":[{"scope":"host","local":"127.0.0.1"}]},{"ifname":"eth0","flags":["UP"],"addr_info":[{"scope":"global","local":"10.0.0.2"}]}]'
  const state = parseRoutes(`${rulesText}\n${JSON.stringify(ours)}\n${links}\n`)
  t.same(state.links, [lo, eth0])
  t.same(planRoutes('ipv4', state, vipRanges).lines, [])
  t.same(planRouteRemoval('ipv4', state), [
    'rule del fwmark 0x111/0xfff pref 32764 lookup 100',
    'route del local 0.0.0.0/0 dev lo table 100 proto 111',
    'route del 240.240.0.0/16 dev eth0 proto 111',
  ])
  t.same(planRouteRemoval('ipv4', empty), [])
})

t.test('an answer that is not three arrays is an error', async (t) => {
  t.throws(() => parseRoutes('[]\n'), { code: 'REDIRECT_FAILED' })
})
