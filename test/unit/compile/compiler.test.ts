import fc from 'fast-check'
import t from 'tap'
import { Compiler, type ObjectChange } from '../../../control/compile/compiler.ts'
import { keyOf } from '../../../control/compile/conditions.ts'
import { serviceKind } from '../../../core/model/kinds/core.ts'
import { type Condition, formatObjectKey, type MeshObject } from '../../../core/model/resource.ts'
import type { CompiledResource } from '../../../core/model/types.ts'
import {
  entry,
  gateway,
  gatewayClass,
  namespace,
  peerAuthentication,
  policy,
  service,
  settings,
} from '../../helpers/compile-objects.ts'
import { compile as oracle } from '../../oracle/compile/compile.ts'

const labels = fc.dictionary(fc.constantFrom('app', 'v'), fc.constantFrom('a', 'b'), { noNullPrototype: true })
const some = labels.filter((map) => Object.keys(map).length > 0)
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const defined = (fields: object) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
const where = fc.constantFrom('n1', 'n2', 'culvert-system')
const created = fc.constantFrom('2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z')
const name = fc.constantFrom('x', 'y', 'z')
const address = fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', 'db.example')

/** Labels that choose a waypoint, now and then. */
const choices = fc
  .record({
    own: maybe(fc.constantFrom('wp', 'x', 'none', '')),
    istio: maybe(fc.constantFrom('wp', 'x', 'none')),
    where: maybe(where),
    often: fc.boolean(),
  })
  .map(({ own, istio, where, often }): Readonly<Record<string, string>> => {
    const labels = { 'culvert.dev/use-waypoint': own, 'istio.io/use-waypoint': istio }
    const places = { 'culvert.dev/use-waypoint-namespace': where, 'istio.io/use-waypoint-namespace': where }
    return often ? defined({ ...labels, ...places }) : {}
  })

const namespaces = fc
  .record({ name: where, mode: fc.constantFrom('ambient', 'none', 'Ambient', ''), choice: choices })
  .map(({ name, mode, choice }) => namespace(name, { 'culvert.dev/dataplane-mode': mode, ...choice }))

const gateways = fc
  .record({
    name: fc.constantFrom('wp', 'x'),
    namespace: where,
    gatewayClassName: fc.constantFrom('culvert-waypoint', 'culvert-waypoint', 'istio-waypoint', 'own', 'other', 'none'),
    listeners: fc.constantFrom(['mesh'], ['mesh'], ['mesh'], ['http'], ['http', 'mesh'], ['far']),
    from: maybe(fc.constantFrom('All', 'Same', 'Selector')),
    takes: maybe(fc.constantFrom('service', 'workload', 'all', 'none', 'some')),
  })
  .map(({ name, namespace, gatewayClassName, listeners, from, takes }) => {
    const matchExpressions = [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['n1'] }]
    const mode = { 'culvert.dev/dataplane-mode': 'ambient' }
    const namespaces = { from, ...(from === 'Selector' ? { selector: { matchLabels: mode, matchExpressions } } : {}) }
    const shapes: Readonly<Record<string, object>> = {
      mesh: { port: 15008, protocol: 'HBONE', ...(from === undefined ? {} : { allowedRoutes: { namespaces } }) },
      http: { port: 80, protocol: 'HTTP' },
      far: { port: 15009, protocol: 'HBONE' },
    }
    const spec = { gatewayClassName, listeners: listeners.map((name) => ({ name, ...shapes[name] })) }
    const labels: Record<string, string> = takes === undefined ? {} : { 'istio.io/waypoint-for': takes }
    return gateway(name, spec, { namespace, labels })
  })

const gatewayClasses = fc
  .record({ name: fc.constantFrom('own', 'other'), ours: fc.boolean() })
  .map(({ name, ours }) => gatewayClass(name, ours ? 'culvert.dev/waypoint' : 'example.com/x'))

const services = fc
  .record({
    name,
    namespace: where,
    creationTimestamp: created,
    generation: fc.integer({ min: 1, max: 3 }),
    selector: maybe(some),
    vip: fc.constantFrom('240.240.0.1', '240.240.0.2', 'None'),
    target: fc.constantFrom('web', 'none', 80),
    type: fc.constantFrom(undefined, 'ClusterIP', 'ClusterIP', 'ExternalName', 7),
    labels: choices,
  })
  .map(({ name, selector, vip, target, type, ...meta }) => {
    const external = type === 'ExternalName' ? { externalName: 'example.com' } : {}
    const ports = [
      { name: 'http', port: 80, targetPort: target },
      { name: 'more', port: 81 },
    ]
    const clusterIP = type === 'ExternalName' ? undefined : vip
    return service(name, defined({ type, selector, clusterIP, ports, ...external }), meta)
  })

const entries = fc
  .record({
    name,
    namespace: where,
    creationTimestamp: created,
    address,
    labels,
    own: labels,
    uid: maybe(fc.constantFrom('h/1', 'h/2')),
    captured: fc.boolean(),
    ports: fc.constantFrom({}, { web: 8080 }, { http: 9 }),
    healthy: fc.boolean(),
    broken: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    choice: choices,
    gateway: maybe(fc.constantFrom('wp', 'x')),
    serviceAccount: maybe(fc.constantFrom('wp', 'x', 'y')),
  })
  .map(({ name, namespace, creationTimestamp, own, uid, captured, healthy, broken, choice, gateway, ...reported }) => {
    const named: Record<string, string> =
      gateway === undefined ? {} : { 'gateway.networking.k8s.io/gateway-name': gateway }
    const spec = defined(reported)
    const annotations = defined({
      'culvert.dev/workload-uid': uid,
      'culvert.dev/redirection': captured ? 'enabled' : undefined,
    }) as Record<string, string>
    const object = entry(name, broken ? { address: 7 } : spec, {
      namespace,
      creationTimestamp,
      annotations,
      labels: { ...own, ...choice, ...named },
    })
    const conditions: Condition[] = [{ type: 'Healthy', status: 'False', reason: 'x', message: '' }]
    return healthy ? object : { ...object, status: { conditions } }
  })

const policies = fc
  .record({
    name,
    namespace: where,
    creationTimestamp: created,
    selector: maybe(labels),
    targets: maybe(fc.array(fc.record({ kind: fc.constantFrom('Service', 'Gateway'), name }), { minLength: 1 })),
    action: fc.constantFrom('ALLOW', 'DENY', 'AUDIT', 'CUSTOM', 'NO'),
    dryRun: fc.boolean(),
    layer7: fc.boolean(),
  })
  .map(({ name, namespace, creationTimestamp, selector, targets, action, dryRun, layer7 }) => {
    const targetRefs = targets?.map(({ kind, name }) => ({
      kind,
      name,
      group: kind === 'Service' ? '' : 'gateway.networking.k8s.io',
    }))
    const placed = targetRefs === undefined ? { selector: selector && { matchLabels: selector } } : { targetRefs }
    const to = layer7 ? [{ operation: { methods: ['GET'] } }] : undefined
    const annotations: Record<string, string> = dryRun ? { 'istio.io/dry-run': 'true' } : {}
    const spec = defined({ ...placed, action, rules: [defined({ to })] })
    return policy(name, spec, { namespace, creationTimestamp, annotations })
  })

const modes = fc.constantFrom('STRICT', 'PERMISSIVE', 'UNSET', 'DISABLE')
const authentications = fc
  .record({ name, namespace: where, creationTimestamp: created, selector: maybe(labels), mode: modes, port: modes })
  .map(({ name, namespace, creationTimestamp, selector, mode, port }) => {
    const ports = selector === undefined ? {} : { portLevelMtls: { '80': { mode: port } } }
    const spec = defined({ selector: selector && { matchLabels: selector }, mtls: { mode }, ...ports })
    return peerAuthentication(name, spec, { namespace, creationTimestamp })
  })

const objects = fc.oneof(
  { weight: 2, arbitrary: namespaces },
  { weight: 3, arbitrary: gateways },
  { weight: 1, arbitrary: gatewayClasses },
  { weight: 3, arbitrary: services },
  { weight: 6, arbitrary: entries },
  { weight: 3, arbitrary: policies },
  { weight: 2, arbitrary: authentications },
)
const step = fc.record({ object: objects, gone: fc.integer({ min: 0, max: 3 }).map((n) => n === 0) })
const batches = fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 25 })

const keyText = (object: MeshObject) => formatObjectKey(keyOf(object))

function changesOf(batch: readonly { object: MeshObject; gone: boolean }[]): readonly ObjectChange[] {
  const last = new Map(batch.map((step) => [keyText(step.object), step]))
  return [...last].map(([key, { object, gone }]) => (gone ? { key } : { key, after: object }))
}

const byKey = (resources: Iterable<CompiledResource>) =>
  new Map([...resources].map((resource) => [`${resource.kind}/${resource.key}`, resource.value] as const).sort())

t.test('whatever sequence of changes leads there, the result is that of compiling everything at once', async (t) => {
  let [upserted, removed, told] = [0, 0, 0]
  const reasons = new Set<string>()
  fc.assert(
    fc.property(batches, (history) => {
      const compiler = new Compiler(settings)
      const held = new Map<string, MeshObject>()
      const resources = new Map<string, CompiledResource>()
      const conditions = new Map<string, readonly Condition[]>()
      for (const batch of history) {
        const changes = changesOf(batch)
        for (const { key, after } of changes) after === undefined ? held.delete(key) : held.set(key, after)
        const change = compiler.apply(changes)
        for (const { kind, key } of change.removes) resources.delete(`${kind}/${key}`)
        for (const resource of change.upserts) resources.set(`${resource.kind}/${resource.key}`, resource)
        for (const [key, list] of change.conditions)
          list === undefined ? conditions.delete(key) : conditions.set(key, list)
        upserted += change.upserts.length
        removed += change.removes.length
        told += change.conditions.size
        for (const list of change.conditions.values()) for (const { reason } of list ?? []) reasons.add(reason)
        const expected = oracle([...held.values()], settings)
        t.strictSame(byKey(resources.values()), byKey(expected.resources))
        t.strictSame(byKey(compiler.resources), byKey(expected.resources))
        t.strictSame(new Map([...conditions].sort()), new Map([...expected.conditions].sort()))
      }
    }),
    { numRuns: 300 },
  )
  const expected = ['WaypointMissing', 'NotAWaypoint', 'ServiceAccountMismatch', 'NameOfWaypoint', 'AddressTaken']
  for (const reason of expected) t.ok(reasons.has(reason), reason)
  t.ok(upserted > 1000 && removed > 100 && told > 1000, `${upserted} upserts, ${removed} removes, ${told} conditions`)
})

t.test('what does not change is not told again', async (t) => {
  fc.assert(
    fc.property(batches, (history) => {
      const compiler = new Compiler(settings)
      for (const batch of history) {
        const changes = changesOf(batch)
        compiler.apply(changes)
        const again = compiler.apply(changes)
        t.strictSame([again.upserts, again.removes, [...again.conditions], [...again.touched]], [[], [], [], []])
      }
    }),
    { numRuns: 50 },
  )
})

t.test('a change runs the rules of what it touches, however much else there is', async (t) => {
  const many = Array.from({ length: 300 }, (_, n) => n)
  const workloads = many.map((n) =>
    entry(`w${n}`, { address: `10.0.${n >> 8}.${n & 255}`, labels: { app: `a${n % 100}` } }),
  )
  const all = [
    ...many.slice(0, 100).map((n) => service(`s${n}`, { selector: { app: `a${n}` }, ports: [{ port: 80 }] })),
    ...workloads,
    policy('p', { selector: { matchLabels: { app: 'a1' } }, rules: [{}] }),
  ]
  let runs = 0
  const { rules } = await import('../../../control/compile/rules.ts')
  const counted = rules.map((rule) => ({
    ...rule,
    run: ((object, scope) => {
      runs += 1
      rule.run(object, scope)
    }) as typeof rule.run,
  }))
  const compiler = new Compiler(settings, counted)
  compiler.apply(all.map((after) => ({ key: keyText(after), after })))
  const cost = (after: MeshObject) => {
    runs = 0
    compiler.apply([{ key: keyText(after), after }])
    return runs
  }
  t.equal(cost(entry('w7', { address: '10.0.0.7', labels: { app: 'a7' }, weight: 5 })), 2)
  t.equal(cost(service('s7', { selector: { app: 'a7' }, ports: [{ port: 81 }] })), 5 + 3, 'and its three workloads')
  t.equal(cost(service('s7', { selector: { app: 'a7' }, ports: [{ port: 81 }], sessionAffinity: 'None' })), 5)
  t.equal(cost(service('new', { selector: { app: 'a8' }, ports: [{ port: 80 }] })), 5 + 3)
  t.equal(cost(namespace('shop', { 'culvert.dev/dataplane-mode': 'ambient' })), 2 + 300)
  t.equal(cost(namespace('shop', { 'culvert.dev/dataplane-mode': 'ambient', other: 'label' })), 2)
})

t.test('the touched objects are those that changed themselves and those whose resources did', async (t) => {
  const compiler = new Compiler(settings)
  const a = entry('a', { address: '10.0.0.1', labels: { app: 'a' } })
  const orders = service('orders', { selector: { app: 'a' }, ports: [{ port: 80 }] })
  compiler.apply([{ key: keyText(a), after: a }])
  const added = compiler.apply([{ key: keyText(orders), after: orders }])
  t.strictSame([...added.touched].sort(), [keyText(orders), keyText(a)])
  const status = { conditions: [{ type: 'Accepted', status: 'True' as const, reason: 'Accepted', message: '' }] }
  const told = { ...orders, status, metadata: { ...orders.metadata, resourceVersion: '9' } }
  t.strictSame([...compiler.apply([{ key: keyText(orders), after: told }]).touched], [], 'a status is no change')
})

t.test('a rule that reads what a later one offers is a defect that shows', async (t) => {
  const compiler = new Compiler(settings, [
    { kind: serviceKind, run: (_, scope) => void scope.read('later') },
    { kind: serviceKind, run: (_, scope) => scope.offer('later', 1) },
  ])
  const object = service('s', { ports: [{ port: 80 }] })
  t.throws(() => compiler.apply([{ key: keyText(object), after: object }]), /reads what the later rule/)
})
