import t from 'tap'
import { place } from '../../../control/placement.ts'
import type { WorkloadReport } from '../../../core/feed/messages.ts'
import { report } from '../../helpers/control-reports.ts'

const gateway = 'gateway.networking.k8s.io/gateway-name'
const grant = { host: 'wp.shop', identities: ['shop/wp'], cidrs: [], waypoint: true }
const entries = { get: () => undefined, withAddress: () => [] }

function placed(...reports: readonly WorkloadReport[]) {
  const { accepted, refused } = place({ grant, reports, entries, isVirtual: () => false })
  return { accepted: accepted.map(({ report: { name } }) => name), refused: refused.map(({ reason }) => reason) }
}

function self(more: Partial<WorkloadReport> = {}): WorkloadReport {
  return report('wp.shop', 'wp', '10.0.5.1', { serviceAccount: 'wp', labels: { [gateway]: 'wp' }, ...more })
}

t.test('the token of a waypoint is good for one instance of it, and for nothing else', async (t) => {
  t.same(placed(self()), { accepted: ['wp'], refused: [] })
  const nothing = { accepted: [] }
  t.match(placed(self({ labels: { app: 'orders' } })), { ...nothing, refused: [/an instance of the waypoint wp only/] })
  t.match(placed(self({ labels: { [gateway]: 'wp', app: 'orders' } })), { ...nothing, refused: [/only/] })
  t.match(placed(self({ labels: { [gateway]: 'other' } })), { ...nothing, refused: [/only/] })
  t.match(placed(self({ serviceAccount: 'orders' })), { ...nothing, refused: [/was not granted shop\/orders/] })
  t.match(placed(self({ namespace: 'bank', uid: 'wp.shop/bank/wp/1' })), { ...nothing, refused: [/was not granted/] })
  const second = self({ name: 'wp-2', uid: 'wp.shop/shop/wp-2/1', addresses: ['10.0.5.2'] })
  t.match(placed(self(), second), { accepted: ['wp'], refused: [/one instance of a waypoint only/] })
})
