// What the compile step alone costs: everything at once, and one change, in a mesh of a given size. Runs in the bench's own process.
import { Compiler } from '../../control/compile/compiler.ts'
import { keyOf } from '../../control/compile/conditions.ts'
import { compileFormat } from '../../control/compile/settings.ts'
import { place } from '../../control/placement.ts'
import { formatObjectKey, type MeshObject } from '../../core/model/resource.ts'
import type { Sample } from '../results.ts'
import { hostName, type MeshSize, namespaceNames, reportsOf, resourcesOf } from './mesh.ts'

const changes = 1000

export function compileCost(size: MeshSize): readonly Sample[] {
  const settings = {
    mesh: {
      trustDomain: 'cluster.local',
      clusterName: `format ${compileFormat}`,
      rootNamespace: 'culvert-system',
      vipRanges: [],
      serviceDomain: 'svc.cluster.local',
    },
    rootNamespaces: ['culvert-system'],
    istioLabels: true,
  }
  const compiler = new Compiler(settings)
  const entries = Array.from({ length: size.hosts }, (_, host) => entriesOf(host, size, new Map())).flat()
  const began = performance.now()
  compiler.apply([...resourcesOf(size), ...entries].map(changeTo))
  const firstMs = performance.now() - began
  const change = (index: number): void => {
    const workload = (index * 7) % size.workloads
    const host = workload % size.hosts
    const changed = entriesOf(host, size, new Map([[workload, 2 + index]])).at(Math.floor(workload / size.hosts))
    const startedAt = performance.now()
    compiler.apply([changeTo(changed!)])
    spentMs += performance.now() - startedAt
  }
  let spentMs = 0
  for (let index = 0; index < changes; index++) change(index)
  // The first round is for the just-in-time compiler.
  spentMs = 0
  for (let index = changes; index < 2 * changes; index++) change(index)
  const better = 'lower'
  return [
    { metric: 'compile-everything', value: firstMs, unit: 'ms', better },
    { metric: 'compile-change', value: (spentMs * 1000) / changes, unit: 'µs', better },
  ]
}

function changeTo(object: MeshObject) {
  return { key: formatObjectKey(keyOf(object)), after: object }
}

/** What a host's report becomes in the store. */
function entriesOf(host: number, size: MeshSize, weights: ReadonlyMap<number, number>): readonly MeshObject[] {
  const identities = namespaceNames().map((namespace) => `${namespace}/*`)
  const { accepted } = place({
    grant: { host: hostName(host), identities, cidrs: [] },
    reports: reportsOf(host, size, weights),
    entries: { get: () => undefined, withAddress: () => [] },
    isVirtual: () => false,
  })
  return accepted.map(({ object }) => ({
    ...object,
    metadata: { ...object.metadata, uid: `${host}/${object.metadata.name}`, creationTimestamp: '2026-01-01T00:00:00Z' },
  }))
}
