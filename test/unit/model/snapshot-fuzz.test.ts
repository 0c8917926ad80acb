import fc from 'fast-check'
import t from 'tap'
import { authorize } from '../../../core/decide/authorize.ts'
import { route } from '../../../core/decide/route.ts'
import { Snapshot } from '../../../core/model/snapshot.ts'
import type { CompiledDelta, CompiledResource } from '../../../core/model/types.ts'
import { answer } from '../../../daemon/dns/answer.ts'
import { authorization, meshResource, resourceOf, rule, service, snapshotOf, workload } from '../../helpers/model.ts'

const key = 'shop/orders.shop.svc.cluster.local'
const target = workload({ services: [{ service: key, ports: { 80: 8080 } }], authorizations: ['shop/policy'] })
const match = {
  principals: [{ kind: 'prefix', value: 'a' }],
  sourceIps: ['10.0.0.0/8'],
  destinationPorts: [80],
} as const
const good: readonly CompiledResource[] = [
  meshResource,
  resourceOf(target),
  resourceOf(service()),
  resourceOf(authorization({ rules: rule(match) })),
]

/** Uses everything that looks into a snapshot. */
function useAll(snapshot: Snapshot): void {
  for (const [address, port] of [
    ['240.240.0.1', 80],
    ['10.0.0.1', 80],
  ] as const) {
    route(snapshot, { source: target, destination: { address, port }, random: Math.random })
  }
  for (const each of snapshot.workloads()) {
    authorize(snapshot, {
      sourceAddress: '10.0.0.2',
      destinationAddress: '10.0.0.1',
      destinationPort: 80,
      workload: each,
    })
  }
  answer(snapshot, { namespace: 'shop' }, { name: 'orders', type: 1, class: 1 })
  snapshot.digests()
  new Snapshot().apply(structuredClone(snapshot.toDelta()))
}

/** Every place inside a value, as paths. */
function places(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([name, inner]) => places(inner, [...path, name]))]
}

function replaced(value: unknown, [name, ...rest]: readonly string[], by: unknown): unknown {
  if (name === undefined) return by
  const copy = Array.isArray(value) ? [...value] : { ...(value as object) }
  Reflect.set(copy, name, replaced(Reflect.get(copy, name), rest, by))
  return copy
}

const oddValue = fc.oneof(
  fc.constantFrom(undefined, null, -1, 0, 65_536, 1.5, Number.NaN, '', '*', '10.0.0.0/8', '::1', [], {}, [null], true),
  fc.jsonValue({ maxDepth: 2 }),
)

t.test('a resource that is wrong in one place is refused or taken, and nothing throws afterwards', async () => {
  const damage = fc.constantFrom(...good).chain((resource) =>
    fc.record({
      resource: fc.constant(resource),
      path: fc.constantFrom(...places(resource.value)),
      by: oddValue,
    }),
  )
  fc.assert(
    fc.property(damage, ({ resource, path, by }) => {
      const value = replaced(resource.value, path, by)
      const broken = { ...resource, value } as CompiledResource
      const snapshot = new Snapshot()
      snapshot.apply({ epoch: 'e', version: 1, full: true, upserts: good, removes: [] })
      snapshot.apply({ epoch: 'e', version: 2, full: false, upserts: [broken], removes: [] })
      useAll(snapshot)
      const removes = [{ kind: resource.kind, key: resource.key }]
      snapshot.apply({ epoch: 'e', version: 3, full: false, upserts: [], removes })
      useAll(snapshot)
    }),
    { numRuns: 3000 },
  )
})

t.test('a policy that is wrong in one place never allows what the right one denies', async () => {
  const right = authorization({ rules: rule({ principals: [{ kind: 'exact', value: 'x' }], destinationPorts: [1] }) })
  // Values that make the policy mean something else that is valid are the operator's business, not damage.
  const garbage = fc.constantFrom(undefined, null, -1, '', {}, 7.5, '*', 'DENYALL', [null], ['x'], true)
  const at = { sourceAddress: '10.0.0.2', destinationAddress: '10.0.0.1', destinationPort: 80 }
  const structural = places(right).filter((path) => path.length > 0 && !path.includes('index'))
  fc.assert(
    fc.property(fc.constantFrom(...structural), garbage, (path, by) => {
      const snapshot = snapshotOf(workload(), right)
      const value = replaced(right, path, by)
      const refused = snapshot.apply({
        epoch: 'e',
        version: 2,
        full: false,
        upserts: [{ kind: 'Authorization', key: 'shop/policy', value } as CompiledResource],
        removes: [],
      })
      const dry = path[0] === 'dryRun' && by === true
      const widened = refused.length === 0 && authorize(snapshot, { ...at, workload: workload() }).allowed
      return dry || !widened
    }),
    { numRuns: 1000 },
  )
})

t.test('arbitrary deltas never throw', async () => {
  const kind = fc.constantFrom('Workload', 'Service', 'Authorization', 'Mesh', 'Route', '__proto__', 'constructor')
  const resource = fc.oneof(fc.record({ kind, key: fc.string(), value: fc.jsonValue() }), fc.jsonValue())
  const removed = fc.record({ kind, key: fc.string() })
  fc.assert(
    fc.property(
      fc.array(resource, { maxLength: 4 }),
      fc.array(removed, { maxLength: 4 }),
      fc.boolean(),
      (upserts, removes, full) => {
        const snapshot = snapshotOf(target, service(), authorization())
        snapshot.apply({ epoch: 'e', version: 2, full, upserts, removes } as unknown as CompiledDelta)
        useAll(snapshot)
      },
    ),
  )
})
