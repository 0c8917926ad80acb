import fc from 'fast-check'
import t from 'tap'
import { formatBaggage, newTraceparent } from '../../../core/hbone/tunnel-headers.ts'
import { workload } from '../../helpers/plane-world.ts'

const settings = {
  trustDomain: 'cluster.local',
  clusterName: 'main',
  rootNamespace: 'culvert-system',
  vipRanges: [],
  serviceDomain: 'svc.cluster.local',
}

t.test('baggage names the workload with the keys of ambient', async (t) => {
  const labels = { app: 'orders', version: 'v2' }
  const orders = workload('orders-1', '10.0.0.1', { labels, locality: 'eu/eu-1/rack' })
  t.equal(
    formatBaggage(orders, settings),
    'k8s.cluster.name=main,k8s.namespace.name=mesh,k8s.pod.name=orders-1,service.name=orders,service.version=v2,cloud.region=eu,cloud.availability_zone=eu-1',
  )
})

t.test('whatever a name contains, baggage stays one header with its separators', async () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (name) => {
      const text = formatBaggage(workload(name, '10.0.0.1'), { ...settings, clusterName: name })
      return /^[\x21-\x7e]*$/.test(text) && text.split(',').every((entry) => entry.split('=').length === 2)
    }),
  )
})

t.test('a traceparent is of version 00, not sampled, and never all zero', async (t) => {
  t.match(newTraceparent(), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
  const sources = [Buffer.alloc(24), Buffer.concat([Buffer.alloc(16, 1), Buffer.alloc(8)]), Buffer.alloc(24, 2)]
  t.equal(
    newTraceparent(() => sources.shift()!),
    `00-${'02'.repeat(16)}-${'02'.repeat(8)}-00`,
  )
})
