import { PassThrough } from 'node:stream'
import t from 'tap'
import type { TunnelPool } from '../../../core/hbone/pool.ts'
import type { IncomingConnect } from '../../../core/hbone/types.ts'
import { Replicas } from '../../../waypoint/replicas.ts'
import { snapshotOf, workload } from '../../helpers/model.ts'
import { identityOfWaypoint, instance, waypoint, wpKey } from '../../helpers/waypoint-model.ts'

function replicas(): Replicas {
  const shared = workload({ name: 'job', serviceAccount: 'wp', addresses: ['10.0.5.7'] })
  const second = instance({ name: 'wp-2', addresses: ['10.0.5.2'] })
  return new Replicas({
    uid: 'wp-1',
    self: () => ({ key: wpKey, addresses: ['10.0.5.1'] }),
    identity: () => 'spiffe://cluster.local/ns/shop/sa/wp',
    snapshot: snapshotOf(waypoint(), instance(), second, shared),
    tunnels: {} as TunnelPool,
    clock: () => 0,
  })
}

t.test('tokens of mesh-wide limits are given to replicas, and to nobody else', async (t) => {
  const own = replicas()
  const take = (authority: string, address: string, identity = identityOfWaypoint) => {
    let accepted = false
    const peer = { identity, address: { address, port: 40_000 } }
    const accept = () => {
      accepted = true
      return new PassThrough()
    }
    const connect = { authority, peer, accept } as unknown as IncomingConnect
    return [own.take(connect), accepted]
  }
  const yes = [true, true]
  const no = [false, false]
  t.same(take('10.0.5.1:15009', '10.0.5.2'), yes)
  t.same(take('10.0.5.1:15009', '10.0.5.3'), yes, 'one that has just come')
  t.same(take('10.0.5.1:15009', '10.0.5.7'), no, 'a workload that only shares the service account')
  t.same(take('10.0.5.1:15009', '10.0.5.2', { ...identityOfWaypoint, serviceAccount: 'frontend' }), no)
  t.same(take('10.0.5.1:15009', '10.0.5.2', { ...identityOfWaypoint, namespace: 'evil' }), no)
  t.same(take('10.0.5.2:15009', '10.0.5.2'), no)
  t.same(take('10.0.5.1:15008', '10.0.5.2'), no)
  await own.close()
})
