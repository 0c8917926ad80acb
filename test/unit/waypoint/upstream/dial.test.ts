import t from 'tap'
import { isLinkLocal } from '../../../../core/net/address.ts'
import { dialEndpoint, refusesOwn } from '../../../../waypoint/upstream/dial.ts'
import { testOrigin } from '../../../helpers/http1-world.ts'
import { workload } from '../../../helpers/model.ts'

const own = ['10.0.5.1', 'fd00::5']

t.test('an endpoint that somebody wrote at the address of the waypoint is not connected to', async (t) => {
  const dialled: string[] = []
  const dial = dialEndpoint({
    tunnels: {
      connect: (_key, { authority }) => {
        dialled.push(authority)
        return Promise.reject(new Error('far enough'))
      },
    },
    self: () => ({ uid: 'waypoint', addresses: own, identity: 'spiffe://cluster.local/ns/shop/sa/wp' }),
    connectPlain: (_from, { address }) => {
      dialled.push(address)
      return Promise.reject(new Error('far enough'))
    },
    refuses: refusesOwn(own),
  })
  const { signal } = new AbortController()
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '0.0.0.0', '::', '169.254.169.254', 'fe80::1', ...own])
    for (const protocol of ['TCP', 'HBONE'] as const) {
      const target = {
        workload: workload({ addresses: [address], protocol }),
        address: { address, port: 15_000 },
        protocol: 'auto',
      } as const
      const failure = await dial(testOrigin, target, signal).catch((error: unknown) => error)
      t.match(failure, { kind: 'connect', message: address }, `${protocol} ${address}`)
    }
  t.same(dialled, [])
  const target = { workload: workload({ protocol: 'TCP' }), address: { address: '10.0.0.1', port: 80 } }
  await t.rejects(dial(testOrigin, { ...target, protocol: 'auto' }, signal), /far enough/)
  t.same(dialled, ['10.0.0.1'])
})

t.test('link-local addresses', async (t) => {
  for (const address of ['169.254.0.1', '169.254.169.254', 'fe80::1', 'febf::1']) t.ok(isLinkLocal(address), address)
  for (const address of ['169.25.4.1', '10.169.254.1', 'fec0::1', 'fd00::fe80', '::fe80:1'])
    t.notOk(isLinkLocal(address))
})
