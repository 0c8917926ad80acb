// Endpoints out of workloads: which of a workload's addresses a try goes to.
import t from 'tap'
import type { Workload } from '../../../../core/model/types.ts'
import { endpointOf, type TargetOptions, workloadEndpoint } from '../../../../waypoint/clusters/endpoints.ts'

const workload: Workload = {
  uid: 'h/shop/a/1',
  name: 'a',
  namespace: 'shop',
  serviceAccount: 'a',
  trustDomain: 'cluster.local',
  node: 'h',
  addresses: ['10.0.0.1', 'fd00::1'],
  labels: {},
  enrolled: true,
  protocol: 'HBONE',
  health: 'unhealthy',
  locality: '',
  weight: 1,
  services: [{ service: 'shop/a', ports: { '80': 8080 } }],
  peerAuthentication: { mode: 'PERMISSIVE', ports: {} },
  authorizations: [],
}

const options = (families?: TargetOptions['families']): TargetOptions => ({ protocol: 'auto', families })

t.test('a try goes to an address of a family that the waypoint has itself', (t) => {
  const at = (families?: TargetOptions['families']) => endpointOf(workload, 'shop/a', 80, options(families))?.target
  t.same(at(['ipv6']), { address: 'fd00::1', port: 8080 })
  t.same(at(['ipv4', 'ipv6']), { address: '10.0.0.1', port: 8080 }, 'the first that fits')
  t.same(at(), { address: '10.0.0.1', port: 8080 })
  t.same(at([]), { address: '10.0.0.1', port: 8080 }, 'the attempt tells what is wrong')
  t.notOk('families' in endpointOf(workload, 'shop/a', 80, options(['ipv6']))!.upstream)
  t.end()
})

t.test(
  'a port that the service maps to none has no endpoint; by its own address a workload serves whatever its health',
  (t) => {
    t.equal(endpointOf(workload, 'shop/a', 81, options()), undefined)
    t.equal(endpointOf(workload, 'shop/b', 80, options()), undefined)
    t.equal(endpointOf(workload, 'shop/a', 80, options())?.healthy, false)
    t.equal(workloadEndpoint(workload, 9090, options(['ipv6']))?.healthy, true)
    t.equal(workloadEndpoint({ ...workload, addresses: [] }, 9090, options()), undefined)
    t.end()
  },
)
