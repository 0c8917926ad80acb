// What a Gateway of a waypoint and routes say of themselves: who must have them, who has, what is missing.
import t from 'tap'
import { compile } from '../../../control/compile/compile.ts'
import { EntryIndex } from '../../../control/entries.ts'
import type { SessionStatus } from '../../../control/feed/session.ts'
import { Acknowledged } from '../../../control/publish/acknowledged.ts'
import { DeltaLog } from '../../../control/publish/delta-log.ts'
import { LayerSeven } from '../../../control/publish/layer-seven.ts'
import { MeshInventory } from '../../../control/publish/mesh-inventory.ts'
import { statusToWrite } from '../../../control/publish/status-shape.ts'
import { formatObjectKey, type MeshObject } from '../../../core/model/resource.ts'
import { objectKeyOf } from '../../../core/model/validate-set.ts'
import { entry, gateway, gatewayClass, namespace, policy, service, settings } from '../../helpers/compile-objects.ts'

const now = '2026-06-01T00:00:00Z'
const gatewayLabel = 'gateway.networking.k8s.io/gateway-name'

/** An instance of shop/wp on a host, as it reports itself. */
const instance = (host: string, address: string) =>
  entry(
    host,
    { address, labels: { [gatewayLabel]: 'wp' }, serviceAccount: 'wp' },
    {
      annotations: {
        'culvert.dev/workload-uid': `${host}/shop/${host}/1`,
        'culvert.dev/node': host,
        'culvert.dev/redirection': 'enabled',
      },
      resourceVersion: '1',
    },
  )
const worker = entry(
  'app',
  { address: '10.0.0.1' },
  { annotations: { 'culvert.dev/workload-uid': 'h1/shop/app/1', 'culvert.dev/node': 'h1' }, resourceVersion: '1' },
)
const behind = namespace('shop', { 'istio.io/use-waypoint': 'wp' })
const orders = service('orders', { clusterIP: '240.240.0.1', ports: [{ port: 80 }] })
const route = (kind: string, spec: object): MeshObject => ({
  apiVersion: kind.endsWith('Route') ? 'gateway.networking.k8s.io/v1' : 'networking.istio.io/v1',
  kind,
  metadata: { name: 'r', namespace: 'shop', generation: 1 },
  spec: spec as Record<string, unknown>,
})
const httpRoute = route('HTTPRoute', { parentRefs: [{ group: '', kind: 'Service', name: 'orders', port: 80 }] })

type Sessions = Readonly<Record<string, Pick<SessionStatus, 'view' | 'ackedVersion'> & Partial<SessionStatus>>>

/** The mesh of `objects`, at version 5, with these hosts connected. */
function world(objects: readonly MeshObject[], sessions: Sessions) {
  const inventory = new MeshInventory({ ...settings.mesh, rootNamespaces: settings.rootNamespaces }).objects
  const entries = new EntryIndex()
  for (const object of objects) {
    inventory.set(object)
    if (object.kind === 'WorkloadEntry') entries.put(object)
  }
  const { resources, conditions } = compile(objects, settings)
  const log = new DeltaLog('e')
  log.replace(resources, 5)
  const session = (host: string): SessionStatus | undefined => {
    const found = sessions[host]
    return found === undefined ? undefined : ({ epoch: 'e', refusedResources: [], ...found } as SessionStatus)
  }
  const acknowledged = new Acknowledged({ entries, session, epoch: () => 'e' })
  const layerSeven = new LayerSeven({ inventory, entries, service: log.service.bind(log) })
  return {
    hosts: acknowledged.hosts,
    programmed: (object: MeshObject) => layerSeven.programmed(object, 5, acknowledged.hosts),
    status: (object: MeshObject) => {
      const own = conditions.get(formatObjectKey(objectKeyOf(object))) ?? []
      const programmed = { ...layerSeven.programmed(object, 5, acknowledged.hosts), observedGeneration: 1 }
      return statusToWrite(object, [...own, programmed], now, layerSeven.gatewayFacts(object))
    },
  }
}

const wp = gateway('wp')
const has = (view: 'agent' | 'waypoint', ackedVersion: number) => ({ view, ackedVersion })

t.test('a Gateway is programmed with its first instance that is there and has it', async (t) => {
  const agent = { h1: has('agent', 3) }
  const one = instance('w1', '10.0.0.8')
  const two = instance('w2', '10.0.0.9')
  for (const [objects, sessions, expected] of [
    [[wp, worker], agent, { status: 'False', reason: 'NoInstances', message: /culvert waypoint.*--waypoint shop\/wp/ }],
    [[wp, worker, one], agent, { reason: 'NoInstances', message: /is connected: look at w1/ }],
    [[wp, one], { w1: has('waypoint', 4) }, { reason: 'Pending', message: /^w1 has not/ }],
    [[wp, worker, one, two], { ...agent, w1: has('waypoint', 5), w2: has('waypoint', 4) }, { status: 'True' }],
    [[wp, worker, one, two], { w2: has('waypoint', 5) }, { status: 'True' }],
  ] as const) {
    t.match(world(objects, sessions).programmed(wp), { type: 'Programmed', ...expected })
  }
  const key = 'shop/wp.shop.svc.cluster.local'
  const refusing = { ...has('waypoint', 5), refusedResources: [{ kind: 'Service', key, reason: 'no' } as const] }
  t.match(world([wp, one], { w1: refusing }).programmed(wp), { reason: 'Refused' })
})

t.test('a route is programmed once the waypoints that serve it have it; agents do not count', async (t) => {
  const one = instance('w1', '10.0.0.8')
  const two = instance('w2', '10.0.0.9')
  const kinds = [
    httpRoute,
    route('GRPCRoute', httpRoute.spec!),
    route('VirtualService', { hosts: ['orders'], http: [] }),
    route('VirtualService', { hosts: ['orders.shop.svc.cluster.local'], http: [] }),
    route('VirtualService', { hosts: ['orders.shop'], http: [] }),
    route('DestinationRule', { host: 'orders' }),
  ]
  for (const object of kinds) {
    const of = (sessions: Sessions, objects: readonly MeshObject[] = [behind, wp, orders, worker, one, two]) =>
      world([...objects, object], sessions).programmed(object)
    const text = `${object.kind} ${JSON.stringify(object.spec)}`
    t.match(of({ h1: has('agent', 1), w1: has('waypoint', 5), w2: has('waypoint', 5) }), { status: 'True' }, text)
    t.match(of({ h1: has('agent', 5), w1: has('waypoint', 5), w2: has('waypoint', 4) }), { reason: 'Pending' }, text)
    t.match(of({ h1: has('agent', 5), w1: has('waypoint', 5) }), { reason: 'HostAway', message: /^w2 / }, text)
    t.match(of({ h1: has('agent', 5) }, [behind, wp, orders, worker]), { reason: 'NoInstances' }, text)
    const bare = of({ h1: has('agent', 5), w1: has('waypoint', 5) }, [wp, orders, worker, one])
    t.match(bare, { reason: 'NoWaypoint', message: /in front of shop\/orders/ }, text)
  }
})

t.test('waypoints of others, and what they could not take, do not count', async (t) => {
  const one = instance('w1', '10.0.0.8')
  const other = gateway('other')
  const elsewhere = entry(
    'w3',
    { address: '10.0.0.7', labels: { [gatewayLabel]: 'other' }, serviceAccount: 'other' },
    { annotations: { 'culvert.dev/workload-uid': 'w3/shop/w3/1', 'culvert.dev/node': 'w3' }, resourceVersion: '1' },
  )
  const objects = [behind, wp, other, orders, one, elsewhere, httpRoute]
  const { programmed, hosts } = world(objects, { w1: has('waypoint', 5), w3: has('waypoint', 1) })
  t.match(programmed(httpRoute), { status: 'True' })
  t.match(
    hosts.map(({ host, gateways }) => [host, ...gateways]),
    [
      ['w1', 'shop/wp'],
      ['w3', 'shop/other'],
    ],
  )
  const refused = (key: string) => ({
    w1: { ...has('waypoint', 5), refusedResources: [{ kind: 'Routes', key, reason: 'no' } as const] },
  })
  t.match(world(objects, refused('shop/orders.shop.svc.cluster.local:80')).programmed(httpRoute), { reason: 'Refused' })
  t.match(world(objects, refused('shop/else.shop.svc.cluster.local:80')).programmed(httpRoute), { status: 'True' })
})

t.test('a wildcard may be about any service: every waypoint counts, and no agent', async (t) => {
  const everything = route('VirtualService', { hosts: ['*.shop.svc.cluster.local'], http: [] })
  const objects = [behind, wp, orders, worker, instance('w1', '10.0.0.8'), everything]
  const of = (sessions: Sessions) => world(objects, sessions).programmed(everything)
  t.match(of({ h1: has('agent', 1), w1: has('waypoint', 5) }), { status: 'True' })
  t.match(of({ h1: has('agent', 5), w1: has('waypoint', 1) }), { reason: 'Pending' })
})

t.test('a policy of layer 4 waits for agents and waypoints alike', async (t) => {
  const denied = policy('p', { action: 'DENY', rules: [{}] })
  const objects = [wp, worker, instance('w1', '10.0.0.8'), denied]
  t.match(world(objects, { h1: has('agent', 5), w1: has('waypoint', 4) }).programmed(denied), { reason: 'Pending' })
  t.match(world(objects, { h1: has('agent', 5), w1: has('waypoint', 5) }).programmed(denied), { status: 'True' })
})

t.test('a host that was never seen is what its workloads say', async (t) => {
  const { hosts } = world([wp, worker, instance('w1', '10.0.0.8')], {})
  t.match(hosts, [
    { host: 'h1', view: 'agent', connected: false },
    { host: 'w1', view: 'waypoint', connected: false },
  ])
})

t.test('a Gateway tells of its listeners and of the addresses of its instances', async (t) => {
  const listeners = [
    { name: 'mesh', port: 15008, protocol: 'HBONE', allowedRoutes: { kinds: [{ kind: 'HTTPRoute' }] } },
    { name: 'web', port: 80, protocol: 'HTTP' },
  ]
  const object = gateway('wp', { listeners })
  const objects = [object, instance('w1', '10.0.0.8'), instance('w2', 'fd00::1')]
  const status = world(objects, { w1: has('waypoint', 5) }).status(object)
  t.match(status, {
    addresses: [
      { type: 'IPAddress', value: '10.0.0.8' },
      { type: 'IPAddress', value: 'fd00::1' },
    ],
    conditions: [
      { type: 'Accepted', status: 'True', reason: 'ListenersNotValid' },
      { type: 'Ignored.spec.listeners.0.allowedRoutes.kinds' },
      { type: 'Programmed', status: 'True' },
    ],
    listeners: [
      {
        name: 'mesh',
        attachedRoutes: 0,
        supportedKinds: [],
        conditions: [
          { type: 'Accepted', status: 'True', observedGeneration: 1, lastTransitionTime: now },
          { type: 'Programmed', status: 'True' },
          { type: 'ResolvedRefs', status: 'False', reason: 'InvalidRouteKinds' },
          { type: 'Conflicted', status: 'False' },
        ],
      },
      {
        name: 'web',
        conditions: [
          { type: 'Accepted', status: 'False', reason: 'UnsupportedProtocol' },
          { type: 'Programmed', status: 'False', reason: 'Invalid' },
          { type: 'ResolvedRefs', status: 'True' },
          { type: 'Conflicted', status: 'False' },
        ],
      },
    ],
  })
  const again = world(objects, { w1: has('waypoint', 5) }).status({ ...object, status: status! })
  t.equal(again, undefined, 'what stands there is not written again')
})

t.test('a Gateway of another controller is left to it, one that nobody has is told so', async (t) => {
  const foreign = gateway('edge', { gatewayClassName: 'edge' })
  t.equal(world([gatewayClass('edge', 'example.com/edge'), foreign], {}).status(foreign), undefined)
  t.match(world([foreign], {}).status(foreign)?.conditions, [
    { type: 'Accepted', status: 'False', reason: 'InvalidParameters' },
  ])
})
