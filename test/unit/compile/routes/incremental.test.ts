// Whatever way leads to a set of objects, routing is that of compiling them at once.
import fc from 'fast-check'
import t from 'tap'
import { compile } from '../../../../control/compile/compile.ts'
import { Compiler, type ObjectChange } from '../../../../control/compile/compiler.ts'
import { keyOf } from '../../../../control/compile/conditions.ts'
import { type Condition, formatObjectKey, type MeshObject } from '../../../../core/model/resource.ts'
import { Snapshot } from '../../../../core/model/snapshot.ts'
import type { CompiledResource } from '../../../../core/model/types.ts'
import { settings } from '../../../helpers/compile-objects.ts'

const pick = fc.constantFrom
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { minLength: 1, maxLength: 2 })
const name = pick('a', 'b')
const where = pick('n1', 'n2')
const meta = fc.record({
  name,
  namespace: where,
  creationTimestamp: pick('2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z'),
})
const port = pick(80, 81, 82)
const host = pick('a', 'b', 'a.n1', 'b.n2.svc.cluster.local', '*.n1.svc.cluster.local', '*.local', 'gone')
const gateway = 'gateway.networking.k8s.io'

function objectsOf(apiVersion: string, kind: string, spec: fc.Arbitrary<object>): fc.Arbitrary<MeshObject> {
  return fc.tuple(meta, spec).map(([metadata, given]) => ({
    apiVersion,
    kind,
    metadata: { ...metadata, generation: 1 },
    spec: JSON.parse(JSON.stringify(given)) as Record<string, unknown>,
  }))
}

const namespaces = fc.tuple(where, maybe(pick('wp', 'none'))).map(
  ([name, waypoint]): MeshObject => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: waypoint === undefined ? {} : { 'istio.io/use-waypoint': waypoint } },
  }),
)
const services = fc
  .tuple(
    objectsOf(
      'v1',
      'Service',
      fc.record({
        ports: pick(
          [{ port: 80 }],
          [
            { port: 80, name: 'web' },
            { port: 81, name: 'alt' },
          ],
        ),
        clusterIP: pick('None', undefined),
      }),
    ),
    maybe(pick('wp', 'none')),
  )
  .map(([object, waypoint]) =>
    waypoint === undefined
      ? object
      : { ...object, metadata: { ...object.metadata, labels: { 'istio.io/use-waypoint': waypoint } } },
  )
const gateways = where.map(
  (namespace): MeshObject => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'wp', namespace },
    spec: { gatewayClassName: 'culvert-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
  }),
)
const parents = some(
  fc.oneof(
    fc.record({ group: pick(''), kind: pick('Service'), name, namespace: maybe(where) }),
    fc.record({ name: pick('wp', 'edge') }),
  ),
).map((list) => list.filter((each, index) => list.findIndex((other) => other.name === each.name) === index))
const backends = some(
  fc.record({ name: pick('a', 'b', 'gone'), namespace: maybe(where), port, weight: maybe(pick(0, 3)) }),
)
const httpRoutes = objectsOf(
  'gateway.networking.k8s.io/v1',
  'HTTPRoute',
  fc.record({ parentRefs: parents, rules: some(fc.record({ backendRefs: backends })) }),
)
const grpcRoutes = objectsOf(
  'gateway.networking.k8s.io/v1',
  'GRPCRoute',
  fc.record({ parentRefs: parents, rules: some(fc.record({ backendRefs: backends })) }),
)
const tcpRoutes = objectsOf(
  'gateway.networking.k8s.io/v1',
  'TCPRoute',
  fc.record({ parentRefs: parents, rules: fc.record({ backendRefs: backends }).map((rule) => [rule]) }),
)
const tlsRoutes = objectsOf(
  'gateway.networking.k8s.io/v1',
  'TLSRoute',
  fc.record({
    parentRefs: parents,
    hostnames: some(pick('x.example', '*.example')),
    rules: fc.record({ backendRefs: backends }).map((rule) => [rule]),
  }),
)
const destinations = fc.record({
  host: pick('a', 'b.n2', 'gone'),
  subset: maybe(pick('v1', 'v2')),
  port: maybe(port.map((number) => ({ number }))),
})
const virtual = objectsOf(
  'networking.istio.io/v1',
  'VirtualService',
  fc.oneof(
    fc.record({
      hosts: some(host).map((list) => [...new Set(list)].slice(0, 1)),
      exportTo: maybe(pick(['.'], ['n1'], ['*'])),
      http: some(fc.record({ route: some(fc.record({ destination: destinations })).map((list) => list.slice(0, 1)) })),
      tcp: maybe(
        fc.record({ route: fc.record({ destination: destinations }).map((one) => [one]) }).map((one) => [one]),
      ),
    }),
    fc.record({
      hosts: host.map((one) => [one]),
      http: fc.record({ delegate: fc.record({ name, namespace: maybe(where) }) }).map((one) => [one]),
    }),
    fc.record({ http: some(fc.record({ route: fc.record({ destination: destinations }).map((one) => [one]) })) }),
  ),
)
const destinationRules = objectsOf(
  'networking.istio.io/v1',
  'DestinationRule',
  fc.record({
    host,
    exportTo: maybe(pick(['.'], ['*'])),
    subsets: pick([], [{ name: 'v1', labels: { v: '1' } }], [{ name: 'v1', labels: { v: 'x' } }, { name: 'v2' }]),
    trafficPolicy: maybe(pick({ loadBalancer: { simple: 'RANDOM' } }, { outlierDetection: {} })),
    workloadSelector: maybe(pick({ matchLabels: { a: 'b' } })),
  }),
)
const limits = objectsOf(
  'culvert.dev/v1alpha1',
  'RateLimitPolicy',
  fc.record({
    targetRefs: fc
      .oneof(
        fc.record({ kind: pick('Service'), name, sectionName: maybe(pick('web')) }),
        fc.record({ kind: pick('Gateway'), name: pick('wp'), group: pick(gateway) }),
        fc.record({ kind: pick('HTTPRoute', 'GRPCRoute'), name, group: pick(gateway) }),
      )
      .map((one) => [one]),
    rules: pick([{ name: 'r', limit: { requests: 3, per: '1s' } }]),
  }),
)

const objects = fc.oneof(
  { weight: 1, arbitrary: namespaces },
  { weight: 4, arbitrary: services },
  { weight: 1, arbitrary: gateways },
  { weight: 3, arbitrary: httpRoutes },
  { weight: 1, arbitrary: grpcRoutes },
  { weight: 1, arbitrary: tcpRoutes },
  { weight: 1, arbitrary: tlsRoutes },
  { weight: 4, arbitrary: virtual },
  { weight: 3, arbitrary: destinationRules },
  { weight: 2, arbitrary: limits },
)
const step = fc.record({ object: objects, gone: fc.integer({ min: 0, max: 3 }).map((n) => n === 0) })
const batches = fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 20 })

const keyText = (object: MeshObject) => formatObjectKey(keyOf(object))
const byKey = (resources: Iterable<CompiledResource>) =>
  new Map([...resources].map((resource) => [`${resource.kind}/${resource.key}`, resource.value] as const).sort())
const sorted = (conditions: ReadonlyMap<string, readonly Condition[] | undefined>) => new Map([...conditions].sort())

t.test('full and incremental agree, and what comes out is what proxies take', async (t) => {
  const seen = new Map<string, number>()
  const reasons = new Set<string>()
  fc.assert(
    fc.property(batches, (history) => {
      const compiler = new Compiler(settings)
      const held = new Map<string, MeshObject>()
      const snapshot = new Snapshot()
      for (const [version, batch] of history.entries()) {
        const last = new Map(batch.map((each) => [keyText(each.object), each]))
        const changes = [...last].map(
          ([key, { object, gone }]): ObjectChange => (gone ? { key } : { key, after: object }),
        )
        for (const { key, after } of changes) after === undefined ? held.delete(key) : held.set(key, after)
        const { upserts, removes } = compiler.apply(changes)
        const refused = snapshot.apply({ epoch: 'e', version, full: version === 0, upserts, removes })
        if (refused.length > 0) throw new Error(JSON.stringify(refused))
      }
      const full = compile([...held.values()], settings)
      t.strictSame(byKey(compiler.resources), byKey(full.resources))
      t.strictSame(sorted(compiler.conditions), sorted(full.conditions))
      for (const { kind } of full.resources) seen.set(kind, (seen.get(kind) ?? 0) + 1)
      for (const list of full.conditions.values()) for (const { type, reason } of list) reasons.add(`${type} ${reason}`)
    }),
    { numRuns: 600 },
  )
  for (const kind of ['Routes', 'Destination', 'RateLimit'])
    t.ok((seen.get(kind) ?? 0) > 20, `${kind} ${seen.get(kind)}`)
  for (const reason of [
    'Accepted Conflicted',
    'Accepted NoMatchingParent',
    'Accepted UnsupportedValue',
    'Programmed NoWaypoint',
    'ResolvedRefs BackendNotFound',
    'ResolvedRefs SubsetNotFound',
    'ResolvedRefs DelegateNotFound',
    'ResolvedRefs TargetNotFound',
    'ResolvedRefs HostNotFound',
  ]) {
    t.ok(reasons.has(reason), reason)
  }
})

t.test('a change of a route runs its own rules and those of the frontends that it touches', async (t) => {
  const many = Array.from({ length: 200 }, (_, n) => n)
  const object = (apiVersion: string, kind: string, name: string, spec: object): MeshObject => ({
    apiVersion,
    kind,
    metadata: { name, namespace: 'n1' },
    spec: spec as Record<string, unknown>,
  })
  const service = (n: number) => object('v1', 'Service', `s${n}`, { ports: [{ port: 80 }] })
  const route = (n: number, weight: number) =>
    object('networking.istio.io/v1', 'VirtualService', `v${n}`, {
      hosts: [`s${n}`],
      http: [{ route: [{ destination: { host: `s${n}`, subset: 'v1' }, weight }] }],
    })
  const rule = (n: number, version: string) =>
    object('networking.istio.io/v1', 'DestinationRule', `d${n}`, {
      host: `s${n}`,
      subsets: [{ name: 'v1', labels: { version } }],
    })
  let runs = 0
  const { rules } = await import('../../../../control/compile/rules.ts')
  const counted = rules.map((each) => ({
    ...each,
    run: ((object, scope) => {
      runs += 1
      each.run(object, scope)
    }) as typeof each.run,
  }))
  const compiler = new Compiler(settings, counted)
  const all = many.flatMap((n) => [service(n), route(n, 1), rule(n, 'a')])
  compiler.apply(all.map((after) => ({ key: keyText(after), after })))
  const cost = (after: MeshObject) => {
    runs = 0
    const { upserts } = compiler.apply([{ key: keyText(after), after }])
    return [
      runs,
      upserts
        .map(({ kind }) => kind)
        .sort()
        .join(' '),
    ]
  }
  t.same(cost({ ...route(7, 1), metadata: { name: 'v7', namespace: 'n1', labels: { any: 'thing' } } }), [3, ''])
  t.same(cost(route(7, 1)), [3, ''])
  const retimed = route(7, 1) as { spec: { http: object[] } } & MeshObject
  retimed.spec.http[0] = { ...retimed.spec.http[0], timeout: '1s' }
  t.same(cost(retimed), [3 + 1, 'Routes'], 'its table')
  t.same(cost(rule(7, 'b')), [2 + 3, 'Destination Routes'], 'the Service as destination, the route, its table')
})
