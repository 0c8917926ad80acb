// What happens in a mesh can be read as Events, as kubectl reads them.
import t from 'tap'
import type { StoredEvent } from '../../control/events/recorder.ts'
import { hostIdentity } from '../../core/identity/spiffe.ts'
import type { CertificateStatus, MeshStatus } from '../../core/model/mesh-status.ts'
import { host, report } from '../helpers/control-reports.ts'
import { api, directory, start, until } from '../helpers/control-world.ts'

async function eventsOf(stateDir: string, selector: string, namespace = 'default'): Promise<readonly StoredEvent[]> {
  const path = `/api/v1/namespaces/${namespace}/events?fieldSelector=${encodeURIComponent(selector)}`
  const { status, body } = await api(stateDir, 'GET', path)
  if (status !== 200) throw new Error(`${status}: ${JSON.stringify(body)}`)
  return body['items'] as unknown as readonly StoredEvent[]
}

t.test('a host that joins, is refused a workload and is revoked leaves its story', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const h1 = await host(t, control, stateDir, 'h1')
  await h1.report(report('h1', 'a', '10.1.0.1', { namespace: 'elsewhere' }))
  t.equal((await api(stateDir, 'DELETE', '/culvert/v1/hosts/h1')).status, 200)
  const events = await until('the events', async () => {
    const found = await eventsOf(stateDir, 'involvedObject.kind=Node,involvedObject.name=h1')
    return found.length >= 3 && found
  })
  t.same(events.map(({ reason }) => reason).toSorted(), ['HostJoined', 'HostRevoked', 'WorkloadRefused'])
  t.match(
    events.find(({ reason }) => reason === 'WorkloadRefused'),
    {
      type: 'Warning',
      count: 1,
      involvedObject: { kind: 'Node', uid: 'h1' },
      source: { component: 'culvert-control' },
    },
  )
  t.same(
    (await eventsOf(stateDir, 'involvedObject.name=h1,type=Warning,reason=WorkloadRefused')).map(({ type }) => type),
    ['Warning'],
  )
})

t.test(
  'certificates can be listed, and a policy that nobody can take says so as an event of just this object',
  async (t) => {
    const stateDir = await directory(t)
    const control = await start(t, stateDir)
    const h1 = await host(t, control, stateDir, 'h1')
    await h1.report(report('h1', 'a', '10.1.0.1'))
    await h1.certificate('spiffe://cluster.local/ns/shop/sa/a')
    const held = await until('the certificates', async () => {
      const { body } = await api(stateDir, 'GET', '/culvert/v1/certificates')
      const { certificates } = body as unknown as { readonly certificates: readonly CertificateStatus[] }
      return certificates.length === 2 && certificates
    })
    t.match(held, [
      { host: 'h1', identity: hostIdentity('cluster.local', 'h1'), serial: /^[0-9a-f]+$/, notBefore: /^20/ },
      { host: 'h1', identity: 'spiffe://cluster.local/ns/shop/sa/a', serial: /^[0-9a-f]+$/, notAfter: /^20/ },
    ])
    h1.acknowledges = false
    const refused = [{ kind: 'Authorization', key: 'shop/p', reason: 'too large' }] as const
    h1.client.on('delta', ({ epoch, version }) => h1.client.acknowledge(epoch, version, refused))
    const policy = {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'p', namespace: 'shop' },
      spec: { action: 'DENY', rules: [{ from: [{ source: { namespaces: ['x'] } }] }] },
    }
    const path = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies'
    const { status, body } = await api(stateDir, 'POST', path, policy)
    t.equal(status, 201)
    const uid = (body.metadata as { uid?: string }).uid ?? ''
    const [event] = await until('the event', async () => {
      const found = await eventsOf(stateDir, `involvedObject.uid=${uid}`, 'shop')
      return found.length > 0 && found
    })
    t.match(event, { type: 'Warning', reason: 'Refused', message: /^h1 could not take it: too large/ })
    const { hosts } = (await api(stateDir, 'GET', '/culvert/v1/status')).body as unknown as MeshStatus
    t.match(hosts[0]?.lastRefusal, { kind: 'Authorization', key: 'shop/p', reason: 'too large', at: /^20/ })
    t.match(hosts[0], { connected: true, replica: /^[0-9a-f-]{36}$/, certificates: [{ notBefore: /^20/ }] })
  },
)
