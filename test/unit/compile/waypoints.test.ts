// Which waypoint stands in front of what: labels × what the waypoint takes × namespaces × `none`, and what is said where it is not to be had.
import t from 'tap'
import { compile } from '../../../control/compile/compile.ts'
import type { MeshObject, ObjectMeta } from '../../../core/model/resource.ts'
import type { Service, Workload } from '../../../core/model/types.ts'
import { entry, gateway, gatewayClass, namespace, policy, service, settings } from '../../helpers/compile-objects.ts'

type Labels = Readonly<Record<string, string>>

const wp = 'shop/wp.shop.svc.cluster.local'
const reported = { 'culvert.dev/workload-uid': 'h1/shop/a/1', 'culvert.dev/redirection': 'enabled' }
const orders = (labels: Labels = {}) => service('orders', { selector: { app: 'a' }, ports: [{ port: 80 }] }, { labels })
const a = (labels: Labels = {}) => entry('a', { address: '10.0.0.1', labels: { app: 'a', ...labels } })
const takes = (what: string, meta: Partial<ObjectMeta> = {}) =>
  gateway('wp', {}, { labels: { 'istio.io/waypoint-for': what }, ...meta })

function compiled(objects: readonly MeshObject[], istioLabels = true) {
  const { resources, conditions } = compile(objects, { ...settings, istioLabels })
  const values = (kind: string) => resources.filter((resource) => resource.kind === kind).map(({ value }) => value)
  const services = values('Service') as Service[]
  const workloads = values('Workload') as Workload[]
  return {
    service: (name: string) => services.find((each) => each.name === name),
    workload: (name: string) => workloads.find((each) => each.name === name),
    /** `Type Reason: message` of what is not True, of the object of a kind. */
    told: (kind: string, name: string) =>
      [...conditions].flatMap(([key, list]) =>
        /^[A-Za-z]+/.exec(key)?.[0] === kind && /[^ /]+$/.exec(key)?.[0] === name
          ? list
              .filter(({ status }) => status !== 'True')
              .map(({ type, reason, message }) => `${type} ${reason}: ${message}`)
          : [],
      ),
  }
}

/** What stands in front of the service and of the workload. */
function fronts(objects: readonly MeshObject[]) {
  const { service, workload } = compiled(objects)
  return { service: service('orders')?.waypoint, workload: workload('a')?.waypoint }
}

t.test('a Gateway of a class for waypoints is a Service with the port for tunnels', async (t) => {
  for (const [gatewayClassName, classes, istio, is] of [
    ['culvert-waypoint', [], false, true],
    ['istio-waypoint', [], true, true],
    ['istio-waypoint', [], false, false],
    ['mine', [gatewayClass('mine', 'culvert.dev/waypoint')], true, true],
    ['mine', [gatewayClass('mine', 'example.com/x')], true, false],
    ['mine', [], true, false],
  ] as const) {
    const { service } = compiled([...classes, gateway('wp', { gatewayClassName })], istio)
    t.equal(service('wp') !== undefined, is, JSON.stringify([gatewayClassName, classes.length, istio]))
  }
  t.strictSame(compiled([gateway('wp')]).service('wp'), {
    namespace: 'shop',
    name: 'wp',
    hostname: 'wp.shop.svc.cluster.local',
    vips: [],
    headless: true,
    ports: [{ name: 'hbone', port: 15008, protocol: 'TCP' }],
    identities: [],
    gateway: { takes: 'service', whenUnreachable: 'refuse', bypass: 'refused' },
    loadBalancing: 'random',
  })
})

t.test('a Gateway whose name fits no label is no waypoint, and says so', async (t) => {
  const { service, told } = compiled([gateway('a'.repeat(63)), gateway('b'.repeat(64))])
  t.ok(service('a'.repeat(63)))
  t.notOk(service('b'.repeat(64)))
  t.match(told('Gateway', 'b'.repeat(64)), [/Accepted InvalidParameters: the name has 64 characters/])
})

t.test('a Gateway says what its waypoint takes, and only the very words make it laxer', async (t) => {
  const of = (labels: Labels, annotations: Labels) =>
    compiled([gateway('wp', {}, { labels, annotations })]).service('wp')?.gateway
  const lax = { 'culvert.dev/waypoint-when-unreachable': 'bypass', 'culvert.dev/waypoint-bypass': 'allowed' }
  t.strictSame(of({}, lax), { takes: 'service', whenUnreachable: 'bypass', bypass: 'allowed' })
  const wrong = { 'culvert.dev/waypoint-when-unreachable': 'allow', 'culvert.dev/waypoint-bypass': 'Allowed' }
  t.match(of({}, wrong), { whenUnreachable: 'refuse', bypass: 'refused' })
  t.match(of({ 'istio.io/waypoint-for': 'all' }, {}), { takes: 'all' })
  t.match(of({ 'istio.io/waypoint-for': 'all', 'culvert.dev/waypoint-for': 'none' }, {}), { takes: 'none' })
  t.match(of({ 'culvert.dev/waypoint-for': 'services', 'istio.io/waypoint-for': 'all' }, {}), { takes: 'all' })
  const { conditions } = compile(
    [gateway('wp', {}, { annotations: wrong, labels: { 'istio.io/waypoint-for': 'x' } })],
    settings,
  )
  const ignored = [...conditions.values()].flat().filter(({ type }) => type.startsWith('Ignored.metadata'))
  t.match(ignored, [
    { message: /"x" is not one of service, workload, all, none/ },
    { message: /"allow" is not.*"Allowed" is not/ },
  ])
})

t.test('the listener must be the one that waypoints have', async (t) => {
  const mesh = { name: 'mesh', port: 15008, protocol: 'HBONE' }
  const http = { name: 'http', port: 80, protocol: 'HTTP' }
  const far = { name: 'far', port: 15009, protocol: 'HBONE' }
  const labelled = orders({ 'istio.io/use-waypoint': 'wp' })
  for (const [listeners, is, says] of [
    [[mesh], true, undefined],
    [[{ ...mesh, name: 'any' }], true, undefined],
    [[http, mesh], true, undefined],
    [[http], false, /Accepted ListenersNotValid: .*http: protocol HTTP: a waypoint takes HBONE/],
    [[far], false, /far: port 15009: a waypoint listens on 15008/],
  ] as const) {
    const { service, told } = compiled([gateway('wp', { listeners }), labelled])
    t.equal(service('wp') !== undefined, is)
    t.equal(service('orders')?.waypoint, wp, 'what cannot be had is not gone around')
    if (says !== undefined) t.match(told('Gateway', 'wp')[0], says)
    if (says !== undefined) t.match(told('Service', 'orders')[0], /WaypointBound NotAWaypoint:/)
  }
})

t.test(
  'the label of a service or workload goes before that of its namespace, and Culvert’s before Istio’s',
  async (t) => {
    const waypoints = [takes('all'), gateway('other', {}, { labels: { 'istio.io/waypoint-for': 'all' } })]
    const other = 'shop/other.shop.svc.cluster.local'
    for (const [above, own, expected] of [
      [{}, {}, undefined],
      [{ 'istio.io/use-waypoint': 'wp' }, {}, wp],
      [{ 'culvert.dev/use-waypoint': 'wp' }, {}, wp],
      [{ 'istio.io/use-waypoint': 'wp' }, { 'istio.io/use-waypoint': 'other' }, other],
      [{ 'istio.io/use-waypoint': 'wp' }, { 'istio.io/use-waypoint': 'none' }, undefined],
      [{ 'istio.io/use-waypoint': 'wp' }, { 'culvert.dev/use-waypoint': 'none' }, undefined],
      [{ 'istio.io/use-waypoint': 'wp' }, { 'istio.io/use-waypoint': '' }, wp],
      [{ 'istio.io/use-waypoint': 'none' }, {}, undefined],
      [{ 'istio.io/use-waypoint': 'none' }, { 'istio.io/use-waypoint': 'wp' }, wp],
      [{}, { 'istio.io/use-waypoint': 'wp', 'culvert.dev/use-waypoint': 'other' }, other],
      [{ 'istio.io/use-waypoint': 'wp', 'culvert.dev/use-waypoint': 'other' }, {}, other],
    ] as const) {
      const found = fronts([namespace('shop', above), ...waypoints, orders(own), a(own)])
      t.strictSame(found, { service: expected, workload: expected }, JSON.stringify({ above, own }))
    }
    const labelled = orders({ 'istio.io/use-waypoint': 'wp' })
    t.equal(compiled([gateway('wp'), labelled], false).service('orders')?.waypoint, undefined, 'compat is off')
  },
)

t.test('a waypoint stands in front of what it takes and of nothing else', async (t) => {
  const above = namespace('shop', { 'istio.io/use-waypoint': 'wp' })
  t.strictSame(fronts([above, takes('service'), orders(), a()]), { service: wp, workload: undefined })
  t.strictSame(fronts([above, takes('workload'), orders(), a()]), { service: undefined, workload: wp })
  t.strictSame(fronts([above, takes('all'), orders(), a()]), { service: wp, workload: wp })
  t.strictSame(fronts([above, takes('none'), orders(), a()]), { service: undefined, workload: undefined })
  const own = { 'istio.io/use-waypoint': 'wp' }
  const { told } = compiled([namespace('shop'), takes('service'), orders(own), a(own)])
  t.strictSame(told('Service', 'orders'), [])
  t.match(
    told('WorkloadEntry', 'a')[0],
    /WaypointBound UnsupportedTrafficType: .*takes service traffic only, so workload/,
  )
  t.match(compiled([above, takes('none')]).told('Namespace', 'shop')[0], /UnsupportedTrafficType: .*takes no traffic/)
  t.strictSame(compiled([above, takes('workload')]).told('Namespace', 'shop'), [])
})

t.test('a waypoint that is not there stays in front: nothing goes around it', async (t) => {
  const own = { 'istio.io/use-waypoint': 'wp' }
  const missing = compiled([namespace('shop'), orders(own), a(own)])
  t.equal(missing.service('orders')?.waypoint, wp)
  t.equal(missing.workload('a')?.waypoint, wp)
  t.match(
    missing.told('Service', 'orders')[0],
    /WaypointBound WaypointMissing: istio.io\/use-waypoint: there is no Gateway shop\/wp/,
  )
  t.match(missing.told('WorkloadEntry', 'a')[0], /WaypointMissing/)
  const above = compiled([namespace('shop', own), orders(), a()])
  t.equal(above.service('orders')?.waypoint, wp)
  t.match(above.told('Namespace', 'shop')[0], /WaypointMissing/)
  t.strictSame(above.told('Service', 'orders'), [], 'the namespace has said it')
  const foreign = compiled([gateway('wp', { gatewayClassName: 'istio' }), orders(own)])
  t.equal(foreign.service('orders')?.waypoint, wp)
  t.match(foreign.told('Service', 'orders')[0], /NotAWaypoint: .*there is no GatewayClass istio/)
})

t.test('another namespace may use a waypoint where its listener allows that', async (t) => {
  const own = { 'istio.io/use-waypoint': 'wp', 'istio.io/use-waypoint-namespace': 'infra' }
  const key = 'infra/wp.infra.svc.cluster.local'
  const allowing = (namespaces: object | undefined) => {
    const allowedRoutes = namespaces === undefined ? {} : { allowedRoutes: { namespaces } }
    const listeners = [{ name: 'mesh', port: 15008, protocol: 'HBONE', ...allowedRoutes }]
    return gateway('wp', { listeners }, { namespace: 'infra' })
  }
  const selector = (matchLabels: Labels, ...matchExpressions: object[]) => ({
    from: 'Selector',
    selector: { matchLabels, matchExpressions },
  })
  for (const [namespaces, allowed] of [
    [undefined, false],
    [{ from: 'Same' }, false],
    [{ from: 'All' }, true],
    [selector({ team: 'shop' }), true],
    [selector({ team: 'other' }), false],
    [selector({ 'kubernetes.io/metadata.name': 'shop' }), true],
    [selector({}, { key: 'team', operator: 'In', values: ['a', 'shop'] }), true],
    [selector({}, { key: 'team', operator: 'NotIn', values: ['shop'] }), false],
    [selector({}, { key: 'none', operator: 'DoesNotExist' }, { key: 'team', operator: 'Exists' }), true],
  ] as const) {
    const { service, told } = compiled([namespace('shop', { team: 'shop' }), allowing(namespaces), orders(own)])
    const text = JSON.stringify(namespaces)
    t.equal(service('orders')?.waypoint, allowed ? key : 'infra/not-allowed:wp', text)
    t.equal(told('Service', 'orders').length, allowed ? 0 : 1, text)
    if (!allowed)
      t.match(told('Service', 'orders')[0], /WaypointBound AttachmentDenied: .*does not allow the namespace shop/)
  }
  const mixed = { 'culvert.dev/use-waypoint': 'wp', 'istio.io/use-waypoint-namespace': 'infra' }
  t.equal(compiled([orders(mixed)]).service('orders')?.waypoint, wp, 'each label has a namespace of its own')
})

t.test(
  'a workload with the label and the service account of the Gateway is an instance, and nothing else',
  async (t) => {
    const labels = { 'gateway.networking.k8s.io/gateway-name': 'wp', app: 'a' }
    const instance = entry(
      'wp-1',
      { address: '10.0.0.9', labels, serviceAccount: 'wp' },
      { annotations: { 'culvert.dev/workload-uid': 'u' } },
    )
    const above = namespace('shop', { 'istio.io/use-waypoint': 'wp', 'culvert.dev/dataplane-mode': 'ambient' })
    const { workload, told } = compiled([
      above,
      takes('all'),
      orders(),
      instance,
      policy('p', { selector: { matchLabels: { app: 'a' } } }),
    ])
    t.match(workload('wp-1'), { enrolled: false, protocol: 'HBONE', authorizations: ['shop/p'] })
    t.strictSame(workload('wp-1')?.services, [{ service: wp, ports: { '15008': 15008 } }])
    t.equal(workload('wp-1')?.waypoint, undefined)
    t.strictSame(told('WorkloadEntry', 'wp-1'), [])
  },
)

t.test('an instance that takes no tunnels yet, or no more, is sent nothing', async (t) => {
  const labels = { 'gateway.networking.k8s.io/gateway-name': 'wp' }
  const health = (annotations: Labels) =>
    compiled([
      gateway('wp'),
      entry('i', { address: '10.0.0.9', labels, serviceAccount: 'wp' }, { annotations }),
    ]).workload('i')?.health
  t.equal(health({ 'culvert.dev/workload-uid': 'u' }), 'unhealthy')
  t.equal(health(reported), 'healthy')
  t.equal(health({}), 'healthy', 'one that somebody wrote')
})

t.test('the label alone makes no instance, and the identity alone is told', async (t) => {
  const labels = { 'gateway.networking.k8s.io/gateway-name': 'wp', app: 'a' }
  const impostor = entry('a', { address: '10.0.0.9', labels, serviceAccount: 'app' }, { annotations: reported })
  const twin = entry('b', { address: '10.0.0.8', serviceAccount: 'wp' })
  const { workload, told } = compiled([gateway('wp'), orders(), impostor, twin])
  t.match(workload('a')?.services, [{ service: 'shop/orders.shop.svc.cluster.local' }])
  t.match(
    told('WorkloadEntry', 'a')[0],
    /WaypointInstance ServiceAccountMismatch: .*only with the service account wp, and it has app/,
  )
  t.strictSame(workload('b')?.services, [])
  t.match(told('WorkloadEntry', 'b')[0], /WaypointInstance IdentityOfWaypoint/)
  const elsewhere = entry('c', { address: '10.0.0.7', labels, serviceAccount: 'wp' }, { namespace: 'other' })
  t.strictSame(compiled([gateway('wp'), elsewhere]).workload('c')?.services, [], 'the Gateway is of another namespace')
})

t.test('a Gateway that has the name of the common service account is no waypoint', async (t) => {
  const asks = orders({ 'istio.io/use-waypoint': 'default' })
  const { service: found, told } = compiled([gateway('default'), asks])
  t.equal(found('default'), undefined)
  t.match(told('Gateway', 'default'), [/Accepted InvalidParameters: .*every workload without one of its own/])
  t.equal(found('orders')?.waypoint, 'shop/default.shop.svc.cluster.local', 'which fails closed')
})

t.test('a Service of the waypoint’s name gives way, with everything that its selector finds', async (t) => {
  const twin = service('wp', { selector: { app: 'a' }, clusterIP: '240.240.0.9', ports: [{ port: 80 }] })
  const { service: found, workload, told } = compiled([gateway('wp'), twin, a()])
  t.ok(found('wp')?.gateway)
  t.strictSame(workload('a')?.services, [])
  t.match(told('Service', 'wp'), [/Accepted NameOfWaypoint: the Gateway shop\/wp is a waypoint/])
  t.strictSame(compiled([gateway('wp', { gatewayClassName: 'istio' }), twin, a()]).service('wp')?.vips, ['240.240.0.9'])
})
