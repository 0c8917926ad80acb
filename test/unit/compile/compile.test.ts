import fc from 'fast-check'
import t from 'tap'
import { compile } from '../../../control/compile/compile.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { Snapshot } from '../../../core/model/snapshot.ts'
import type { Service, Workload } from '../../../core/model/types.ts'
import { entry, namespace, peerAuthentication, policy, service, settings } from '../../helpers/compile-objects.ts'

function workload(objects: readonly MeshObject[], name = 'a', with_ = settings): Workload {
  const found = compile(objects, with_).resources.find((r) => r.kind === 'Workload' && r.value.name === name)
  return found!.value as Workload
}

function services(objects: readonly MeshObject[]): readonly Service[] {
  return compile(objects, settings).resources.flatMap((r) => (r.kind === 'Service' ? [r.value] : []))
}

const reported = {
  'culvert.dev/workload-uid': 'h1/shop/a/1',
  'culvert.dev/node': 'h1',
  'culvert.dev/addresses': '10.0.0.1, FD00:0::1',
}

t.test('a reported workload keeps its uid, host and both addresses', async (t) => {
  const a = workload([entry('a', { address: '10.0.0.1', serviceAccount: 'sa' }, { annotations: reported })])
  t.match(a, { uid: 'h1/shop/a/1', node: 'h1', addresses: ['10.0.0.1', 'fd00::1'], serviceAccount: 'sa' })
  t.match(a, { trustDomain: 'td.example', protocol: 'TCP', health: 'healthy', weight: 1, enrolled: false })
})

t.test(
  "an operator's entry has the object's uid, the account default and no address where it names a host",
  async (t) => {
    const a = workload([entry('a', { address: 'db.example.com' })])
    t.match(a, { uid: 'uid-WorkloadEntry-shop-a', serviceAccount: 'default', addresses: [] })
  },
)

t.test(
  'enrolment is the word of the workload, then of its namespace; the own label goes before that of Istio',
  async (t) => {
    const cases = [
      { ns: { 'culvert.dev/dataplane-mode': 'ambient' }, own: {}, enrolled: true },
      { ns: { 'istio.io/dataplane-mode': 'ambient' }, own: {}, enrolled: true },
      { ns: { 'istio.io/dataplane-mode': 'ambient', 'culvert.dev/dataplane-mode': 'none' }, own: {}, enrolled: false },
      {
        ns: { 'culvert.dev/dataplane-mode': 'ambient' },
        own: { 'culvert.dev/dataplane-mode': 'none' },
        enrolled: false,
      },
      { ns: { 'culvert.dev/dataplane-mode': 'ambient' }, own: { 'istio.io/dataplane-mode': 'none' }, enrolled: false },
      { ns: {}, own: { 'culvert.dev/dataplane-mode': 'ambient' }, enrolled: true },
      { ns: {}, own: {}, enrolled: false },
      {
        ns: { 'culvert.dev/dataplane-mode': 'ambient' },
        own: { 'istio.io/dataplane-mode': 'Ambient' },
        enrolled: true,
      },
      { ns: { 'culvert.dev/dataplane-mode': '', 'istio.io/dataplane-mode': 'ambient' }, own: {}, enrolled: true },
      { ns: { 'culvert.dev/dataplane-mode': 'sidecar' }, own: {}, enrolled: false },
    ]
    for (const { ns, own, enrolled } of cases) {
      const objects = [namespace('shop', ns), entry('a', { address: '10.0.0.1', labels: own })]
      t.equal(workload(objects).enrolled, enrolled, JSON.stringify({ ns, own }))
    }
    const withoutIstio = { ...settings, istioLabels: false }
    const objects = [namespace('shop', { 'istio.io/dataplane-mode': 'ambient' }), entry('a', { address: '10.0.0.1' })]
    t.equal(workload(objects, 'a', withoutIstio).enrolled, false)
  },
)

t.test('labels for the mesh that have no effect are told on the object that carries them', async (t) => {
  const waypoint = { 'istio.io/use-waypoint-namespace': 'infra' }
  const objects = [
    namespace('shop', { 'istio.io/dataplane-mode': 'Ambient', ...waypoint }),
    service('web', { ports: [{ port: 80 }] }, { labels: waypoint }),
    entry('a', { address: '10.0.0.1', labels: { 'culvert.dev/dataplane-mode': 'yes' } }),
    entry('b', {
      address: '10.0.0.2',
      labels: { 'culvert.dev/dataplane-mode': 'none', 'istio.io/use-waypoint': 'none' },
    }),
  ]
  const { conditions } = compile(objects, settings)
  const ignored = [...conditions].map(([key, list]) => [
    key,
    list.filter(({ type }) => type.startsWith('Ignored.')).map(({ type, message }) => `${type} ${message}`),
  ])
  t.match(ignored, [
    [
      /Namespace/,
      [
        /^Ignored.metadata.labels .*"Ambient" is neither ambient nor none.*has no effect without istio.io\/use-waypoint/,
      ],
    ],
    [/Service/, [/^Ignored.metadata.labels .*has no effect without/]],
    [/WorkloadEntry/, [/^Ignored.spec.labels .*"yes" is neither/]],
    [/WorkloadEntry/, []],
  ])
})

t.test("the operator's labels win over the reported ones, so opting out works on a running workload", async (t) => {
  const labels = { app: 'a', 'culvert.dev/dataplane-mode': 'ambient' }
  const a = workload([
    entry('a', { address: '10.0.0.1', labels }, { labels: { 'culvert.dev/dataplane-mode': 'none' } }),
  ])
  t.equal(a.enrolled, false)
  t.strictSame(a.labels, { app: 'a', 'culvert.dev/dataplane-mode': 'none' })
})

t.test('peers use the tunnel once the agent says captured, or where the operator says so', async (t) => {
  const captured = { ...reported, 'culvert.dev/redirection': 'enabled' }
  const tunnel = { labels: { 'networking.istio.io/tunnel': 'http' } }
  t.equal(workload([entry('a', { address: '10.0.0.1' }, { annotations: captured })]).protocol, 'HBONE')
  t.equal(workload([entry('a', { address: '10.0.0.1' }, { annotations: reported, ...tunnel })]).protocol, 'TCP')
  t.equal(workload([entry('a', { address: '10.0.0.1' }, tunnel)]).protocol, 'HBONE')
})

t.test('an unhealthy annotation or condition takes a workload out of balancing', async (t) => {
  const annotated = entry('a', { address: '10.0.0.1' }, { annotations: { 'culvert.dev/health': 'unhealthy' } })
  const conditions = [{ type: 'Healthy', status: 'False' as const, reason: 'Probe', message: '' }]
  t.equal(workload([annotated]).health, 'unhealthy')
  t.equal(workload([{ ...entry('a', { address: '10.0.0.1' }), status: { conditions } }]).health, 'unhealthy')
})

t.test('an address or uid that two entries claim belongs to the older, and the younger says so', async (t) => {
  const old = entry('old', { address: '10.0.0.1' }, { creationTimestamp: '2026-01-01T00:00:00Z' })
  const young = entry('young', { address: '10.0.0.1' }, { creationTimestamp: '2026-02-01T00:00:00Z' })
  const { conditions } = compile([young, old], settings)
  t.strictSame(workload([young, old], 'old').addresses, ['10.0.0.1'])
  t.strictSame(workload([young, old], 'young').addresses, [])
  t.match(conditions.get('WorkloadEntry.networking.istio.io shop/young'), [{}, { type: 'AddressesUnique' }])
  const twin = { ...young, metadata: { ...young.metadata, uid: old.metadata.uid! } }
  const result = compile([twin, old], settings)
  t.equal(result.resources.filter((r) => r.kind === 'Workload').length, 1)
  t.match(result.conditions.get('WorkloadEntry.networking.istio.io shop/young'), [{ status: 'False' }])
})

t.test('a service reaches the workloads that its selector finds, on the port that each of them has', async (t) => {
  const ports = [
    { name: 'http', port: 80, targetPort: 'web' },
    { name: 'grpc', port: 7070 },
    { name: 'admin', port: 9000, targetPort: 9001 },
    { name: 'dns', port: 53, protocol: 'UDP' },
  ]
  const orders = service('orders', { selector: { app: 'orders' }, ports, clusterIP: '240.240.0.9' })
  const objects = [
    orders,
    entry('a', { address: '10.0.0.1', labels: { app: 'orders' }, ports: { web: 8080 } }),
    entry('b', { address: '10.0.0.2', labels: { app: 'orders' }, ports: { grpc: 17070 } }),
    entry(
      'reported',
      { address: '10.0.0.5', labels: { app: 'orders' }, ports: { web: 8080, admin: 1, grpc: 2 } },
      { annotations: { 'culvert.dev/workload-uid': 'h1/shop/reported/1' } },
    ),
    entry('c', { address: '10.0.0.3', labels: { app: 'other' } }),
    entry('d', { address: '10.0.0.4', labels: { app: 'orders' } }, { namespace: 'elsewhere' }),
  ]
  const key = 'shop/orders.shop.svc.cluster.local'
  t.strictSame(workload(objects, 'a').services, [{ service: key, ports: { 80: 8080, 7070: 7070, 9000: 9001 } }])
  t.strictSame(workload(objects, 'b').services, [{ service: key, ports: { 7070: 17070, 9000: 9001 } }])
  const reported = workload(objects, 'reported').services
  t.strictSame(reported, [{ service: key, ports: { 80: 8080, 7070: 7070, 9000: 9001 } }], 'as a pod of Kubernetes')
  t.strictSame(workload(objects, 'c').services, [])
  t.strictSame(workload(objects, 'd').services, [])
  t.match(services(objects), [{ hostname: 'orders.shop.svc.cluster.local', vips: ['240.240.0.9'], headless: false }])
  t.strictSame(
    services(objects)[0]!.ports.map((port) => port.port),
    [80, 7070, 9000],
  )
  const conditions = compile(objects, settings).conditions.get('Service shop/orders')
  t.match(
    conditions?.find((condition) => condition.type === 'PortsResolved'),
    { status: 'False', message: 'port 80: workload shop/b has no port named "web"' },
  )
})

t.test(
  'a service without selector has no endpoints, a headless one no address, an ExternalName is left out',
  async (t) => {
    const port = [{ port: 80 }]
    const objects = [
      service('all', { ports: port, clusterIP: '240.240.0.1' }),
      service('headless', { ports: port, clusterIP: 'None', selector: { app: 'a' } }),
      service('external', { type: 'ExternalName', externalName: 'example.com' }),
      entry('a', { address: '10.0.0.1', labels: { app: 'a' } }),
    ]
    t.strictSame(
      workload(objects).services.map((part) => part.service),
      ['shop/headless.shop.svc.cluster.local'],
    )
    t.match(services(objects), [
      { name: 'all', vips: ['240.240.0.1'] },
      { name: 'headless', vips: [], headless: true },
    ])
    t.equal(services(objects).length, 2)
  },
)

t.test('a virtual IP that two services claim belongs to the older', async (t) => {
  const spec = { ports: [{ port: 80 }], clusterIP: '240.240.0.1', clusterIPs: ['240.240.0.1', '2001:2:0:0::1'] }
  const [second, first] = services([
    service('b', spec, { creationTimestamp: '2026-02-01T00:00:00Z' }),
    service('a', spec, { creationTimestamp: '2026-01-01T00:00:00Z' }),
  ])
  t.match([first!.name, first!.vips], ['a', ['240.240.0.1', '2001:2::1']])
  t.match([second!.name, second!.vips], ['b', []])
})

t.test('PeerAuthentication: workload before namespace before mesh, ports apart, UNSET inherits', async (t) => {
  const a = entry('a', { address: '10.0.0.1', labels: { app: 'a' } })
  const root = { namespace: 'culvert-system' }
  const own = { selector: { matchLabels: { app: 'a' } } }
  const strict = { mtls: { mode: 'STRICT' } }
  const permissive = { mtls: { mode: 'PERMISSIVE' } }
  const cases: readonly [string, readonly MeshObject[], object][] = [
    ['nothing', [], { mode: 'PERMISSIVE', ports: {} }],
    ['mesh', [peerAuthentication('m', strict, root)], { mode: 'STRICT', ports: {}, source: 'culvert-system/m' }],
    [
      'namespace over mesh',
      [peerAuthentication('m', strict, root), peerAuthentication('n', permissive)],
      { mode: 'PERMISSIVE', ports: {}, source: 'shop/n' },
    ],
    [
      'UNSET namespace inherits the mesh',
      [peerAuthentication('m', strict, root), peerAuthentication('n', { mtls: { mode: 'UNSET' } })],
      { mode: 'STRICT', ports: {}, source: 'culvert-system/m' },
    ],
    [
      'an empty namespace policy inherits too',
      [peerAuthentication('m', strict, root), peerAuthentication('n', {})],
      { mode: 'STRICT', ports: {}, source: 'culvert-system/m' },
    ],
    [
      'workload with ports',
      [
        peerAuthentication('n', strict),
        peerAuthentication('w', {
          ...own,
          mtls: { mode: 'DISABLE' },
          portLevelMtls: { 8080: { mode: 'STRICT' }, 9090: { mode: 'UNSET' } },
        }),
      ],
      { mode: 'PERMISSIVE', ports: { 8080: 'STRICT', 9090: 'PERMISSIVE' }, source: 'shop/w' },
    ],
    [
      'workload without mode takes the mode of the namespace, for its ports too',
      [
        peerAuthentication('n', strict),
        peerAuthentication('w', { ...own, portLevelMtls: { 80: { mode: 'DISABLE' }, 81: {} } }),
      ],
      { mode: 'STRICT', ports: { 80: 'PERMISSIVE', 81: 'STRICT' }, source: 'shop/n' },
    ],
    [
      'the oldest wins',
      [
        peerAuthentication('new', permissive, { creationTimestamp: '2026-02-01T00:00:00Z' }),
        peerAuthentication('old', strict, { creationTimestamp: '2026-01-01T00:00:00Z' }),
      ],
      { mode: 'STRICT', ports: {}, source: 'shop/old' },
    ],
    ['another namespace', [peerAuthentication('n', strict, { namespace: 'x' })], { mode: 'PERMISSIVE', ports: {} }],
    ['root with selector', [peerAuthentication('m', { ...own, ...strict }, root)], { mode: 'PERMISSIVE', ports: {} }],
  ]
  for (const [name, objects, expected] of cases) {
    t.strictSame(workload([a, ...objects]).peerAuthentication, expected, name)
  }
})

t.test('a PeerAuthentication without effect says so', async (t) => {
  const { conditions } = compile(
    [
      peerAuthentication('a', {}, { creationTimestamp: '2026-01-01T00:00:00Z' }),
      peerAuthentication('b', {}, { creationTimestamp: '2026-02-01T00:00:00Z' }),
      peerAuthentication('c', { selector: { matchLabels: { app: 'a' } } }, { namespace: 'istio-system' }),
    ],
    settings,
  )
  t.match(conditions.get('PeerAuthentication.security.istio.io shop/a'), [{ type: 'Accepted', status: 'True' }])
  t.match(conditions.get('PeerAuthentication.security.istio.io shop/b'), [{ status: 'False', reason: 'Overruled' }])
  t.match(conditions.get('PeerAuthentication.security.istio.io istio-system/c'), [
    { status: 'False', reason: 'SelectorInRootNamespace' },
  ])
})

t.test('the same objects compile to the same, whatever their order, and every proxy takes the result', async (t) => {
  const objects = [
    namespace('shop', { 'culvert.dev/dataplane-mode': 'ambient' }),
    service('orders', { selector: { app: 'a' }, ports: [{ port: 80 }], clusterIP: '240.240.0.1' }),
    service('more', { selector: { app: 'a' }, ports: [{ port: 80 }], clusterIP: '240.240.0.1' }),
    entry('a', { address: '10.0.0.1', labels: { app: 'a' } }),
    entry('b', { address: '10.0.0.1', labels: { app: 'a' } }),
    policy('p', { selector: { matchLabels: { app: 'a' } }, rules: [{}] }),
    policy('q', { rules: [{ from: [{ source: { principals: ['cluster.local/ns/x/sa/y'] } }] }] }),
    peerAuthentication('x', { mtls: { mode: 'STRICT' } }),
    peerAuthentication('y', { mtls: { mode: 'PERMISSIVE' } }),
  ]
  const sorted = (list: readonly MeshObject[]) =>
    [...compile(list, settings).resources].sort((a, b) => (`${a.kind}${a.key}` < `${b.kind}${b.key}` ? -1 : 1))
  const expected = sorted(objects)
  fc.assert(
    fc.property(fc.shuffledSubarray(objects, { minLength: objects.length }), (shuffled) => {
      t.strictSame(sorted(shuffled), expected)
    }),
    { numRuns: 30 },
  )
  const upserts = compile(objects, settings).resources
  t.strictSame(new Snapshot().apply({ epoch: 'e', version: 1, full: true, upserts, removes: [] }), [])
})

t.test('a field without effect is told by a condition of its own', async (t) => {
  const spec = { ports: [{ port: 80, nodePort: 30_000 }], type: 'NodePort', clusterIP: '240.240.0.1' }
  const conditions = compile([service('orders', spec)], settings).conditions.get('Service shop/orders')
  t.match(conditions, [
    { type: 'Accepted', status: 'True', observedGeneration: 1 },
    { type: 'Ignored.spec.type', status: 'True', reason: 'FieldIgnored' },
    { type: 'Ignored.spec.ports.0.nodePort', message: /no port is opened/ },
  ])
})

t.test(
  'an object that does not fit its kind stops no other, and a security rule among them refuses everything',
  async (t) => {
    const objects = [
      service('bad', { ports: 'x' }),
      policy('bad', { rules: [{ form: [] }] }),
      peerAuthentication('bad', { mtls: 'x' }),
      entry('a', { address: '10.0.0.1' }),
    ]
    const { resources, conditions } = compile(objects, settings)
    t.match(
      resources.find((resource) => resource.kind === 'Authorization'),
      { key: 'shop/bad', value: { scope: 'namespace', action: 'DENY', rules: [{ clauses: [] }] } },
    )
    t.equal(workload(objects).peerAuthentication.mode, 'STRICT')
    t.strictSame(services(objects), [])
    for (const key of ['Service', 'AuthorizationPolicy.security.istio.io', 'PeerAuthentication.security.istio.io']) {
      t.match(conditions.get(`${key} shop/bad`), [{ type: 'Accepted', status: 'False', reason: 'Invalid' }], key)
    }
  },
)

t.test('what is spoken on a port of a Service goes to the proxies where it is said', async (t) => {
  const ports = [
    { name: 'h', port: 80 },
    { name: 'g', port: 7070, appProtocol: 'kubernetes.io/h2c' },
  ]
  const [found] = services([service('spoken', { ports, clusterIP: '240.240.0.1' })])
  t.same(found?.ports, [
    { name: 'h', port: 80, protocol: 'TCP' },
    { name: 'g', port: 7070, protocol: 'TCP', appProtocol: 'kubernetes.io/h2c' },
  ])
})
