// Waypoints and agents at one feed: who gets what, what becomes of a subscriber that changes, and when a Gateway says that it is served.
import t from 'tap'
import type { Control } from '../../control/app.ts'
import type { WorkloadReport } from '../../core/feed/messages.ts'
import { waypointFeature } from '../../core/feed/views.ts'
import type { Condition } from '../../core/model/resource.ts'
import { Snapshot } from '../../core/model/snapshot.ts'
import { api, directory, enrol, Host, start, type Test, token, until } from '../helpers/control-world.ts'

const gateways = '/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways'
const listeners = [{ name: 'mesh', port: 15008, protocol: 'HBONE' }]
const wp = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'wp', namespace: 'shop' },
  spec: { gatewayClassName: 'culvert-waypoint', listeners },
}
const key = 'shop/wp.shop.svc.cluster.local'

const itself: WorkloadReport = {
  uid: 'wp-1/shop/wp-1/1',
  name: 'wp-1',
  namespace: 'shop',
  serviceAccount: 'wp',
  addresses: ['10.0.0.9'],
  labels: { 'gateway.networking.k8s.io/gateway-name': 'wp' },
  ports: {},
  locality: '',
  weight: 1,
  captured: true,
  uncapturedConnections: 0,
}

async function world(t: Test) {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  await api(stateDir, 'POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } })
  return { stateDir, control }
}

async function joined(control: Control, stateDir: string, host: string, identity: string) {
  return enrol(control, host, await token(stateDir, host, [identity]))
}

async function conditionsOf(stateDir: string, path: string): Promise<readonly Condition[]> {
  const { body } = await api(stateDir, 'GET', path)
  return (body['status'] as { conditions?: readonly Condition[] } | undefined)?.conditions ?? []
}

t.test('a waypoint joins with its identity alone, and its Gateway tells that it is served', async (t) => {
  const { stateDir, control } = await world(t)
  t.equal((await api(stateDir, 'POST', gateways, wp)).status, 201)
  const programmed = async () =>
    (await conditionsOf(stateDir, `${gateways}/wp`)).find(({ type }) => type === 'Programmed')
  await until('nobody serves it', async () => (await programmed())?.reason === 'NoInstances')
  const host = await new Host(control, await joined(control, stateDir, 'wp-1', 'shop/wp'), undefined, [
    waypointFeature,
  ]).connect(t)
  t.strictSame(await host.report(itself), [])
  t.match(await host.report({ ...itself, serviceAccount: 'orders' }), [{ reason: /was not granted shop\/orders/ }])
  t.strictSame(await host.report(itself), [])
  await host.certificate('spiffe://cluster.local/ns/shop/sa/wp')
  await until('it is served', async () => (await programmed())?.status === 'True')
  const { body } = await api(stateDir, 'GET', `${gateways}/wp`)
  t.match(body['status'], { addresses: [{ value: '10.0.0.9' }], listeners: [{ name: 'mesh', attachedRoutes: 0 }] })
  t.match(
    host.snapshot.endpointsOf(key).map(({ name, protocol }) => [name, protocol]),
    [['wp-1', 'HBONE']],
  )
  const { body: status } = await api(stateDir, 'GET', '/culvert/v1/status')
  t.match(status['hosts'], [{ host: 'wp-1', kind: 'waypoint', lag: 0 }])
  await host.client.close()
  await until('it is away', async () => (await programmed())?.reason === 'NoInstances')
})

t.test('a subscriber that becomes a waypoint, or stops to be one, is compared and not taken at its word', async (t) => {
  const { stateDir, control } = await world(t)
  const credentials = await joined(control, stateDir, 'h1', 'shop/*')
  const agent = await new Host(control, credentials).connect(t)
  await agent.client.close()
  const held = agent.snapshot
  const epoch = held.epoch
  const same = async (features: readonly string[], of: Snapshot) => {
    const host = await new Host(control, credentials, of, features).connect(t)
    await host.client.close()
    const fresh = await new Host(control, credentials, new Snapshot(), features).connect(t)
    await fresh.client.close()
    t.equal(host.snapshot.digest(), fresh.snapshot.digest())
    t.equal(host.snapshot.epoch, fresh.snapshot.epoch)
    t.notOk(host.deltas[0]?.full, 'what it has is not sent again')
    return host.snapshot
  }
  const waypoint = await same([waypointFeature], held)
  t.not(waypoint.epoch, epoch)
  t.equal((await same([], waypoint)).epoch, epoch)
})

t.test('routes reach waypoints only, and are programmed once those have them, whatever agents do', async (t) => {
  const { stateDir, control } = await world(t)
  const metadata = { name: 'orders', namespace: 'shop', labels: { 'istio.io/use-waypoint': 'wp' } }
  const services = '/api/v1/namespaces/shop/services'
  const ports = [{ name: 'http', port: 80 }]
  await api(stateDir, 'POST', services, { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports } })
  await api(stateDir, 'POST', gateways, wp)
  const agent = await new Host(control, await joined(control, stateDir, 'h1', 'shop/*')).connect(t)
  await agent.report({
    ...itself,
    uid: 'h1/shop/a/1',
    name: 'a',
    serviceAccount: 'a',
    addresses: ['10.0.0.1'],
    labels: {},
  })
  const features = [waypointFeature]
  const waypoint = await new Host(
    control,
    await joined(control, stateDir, 'wp-1', 'shop/wp'),
    undefined,
    features,
  ).connect(t)
  await waypoint.report(itself)
  await until('both have all that', () =>
    [agent, waypoint].every(({ snapshot }) => snapshot.endpointsOf(key).length > 0),
  )
  agent.acknowledges = false
  waypoint.acknowledges = false
  const routes = '/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes'
  const route = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'r', namespace: 'shop' },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: 'orders', port: 80 }],
      rules: [{ backendRefs: [{ name: 'orders', port: 80 }] }],
    },
  }
  t.equal((await api(stateDir, 'POST', routes, route)).status, 201)
  const orders = 'shop/orders.shop.svc.cluster.local'
  const table = await until('the waypoint has it', () => waypoint.snapshot.routesOf(orders, 80))
  t.match(table.everyone?.routes, [{ origin: { name: 'r' } }])
  const { version } = waypoint.snapshot
  await until('the agent has the version', () => agent.snapshot.version >= version)
  t.equal(agent.snapshot.routesOf(orders, 80), undefined)
  t.strictSame(agent.deltas.at(-1)?.upserts, [])
  const programmed = async () => {
    const { body } = await api(stateDir, 'GET', `${routes}/r`)
    const status = body['status'] as { parents?: readonly { conditions: readonly Condition[] }[] } | undefined
    return status?.parents?.[0]?.conditions.find(({ type }) => type === 'Programmed')
  }
  await until('it is waited for', async () => (await programmed())?.reason === 'Pending')
  t.match(await programmed(), { message: /^wp-1 has not/ })
  waypoint.client.acknowledge(waypoint.snapshot.epoch, version, [])
  await until('it is in force', async () => (await programmed())?.status === 'True')
})

t.test('the class of waypoints is there from the beginning, and accepted', async (t) => {
  const { stateDir } = await world(t)
  const path = '/apis/gateway.networking.k8s.io/v1/gatewayclasses/culvert-waypoint'
  const { body } = await api(stateDir, 'GET', path)
  t.match(body['spec'], { controllerName: 'culvert.dev/waypoint' })
  const accepted = async () => (await conditionsOf(stateDir, path)).find(({ type }) => type === 'Accepted')
  await until('accepted', async () => (await accepted())?.status === 'True')
  t.notOk((await conditionsOf(stateDir, path)).some(({ type }) => type === 'Programmed'))
})
