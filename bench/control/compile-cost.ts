// What the compile step alone costs: everything at once, and one change, in a mesh of a given size. Runs in the bench's own process.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Compiler } from '../../control/compile/compiler.ts'
import { keyOf } from '../../control/compile/conditions.ts'
import { compileFormat } from '../../control/compile/settings.ts'
import { place } from '../../control/placement.ts'
import { formatObjectKey, type MeshObject } from '../../core/model/resource.ts'
import { Snapshot } from '../../core/model/snapshot.ts'
import type { CompiledResource } from '../../core/model/types.ts'
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
  const everything = [...resourcesOf(size), ...entries].map(changeTo)
  const began = process.cpuUsage()
  compiler.apply(everything)
  const first = spent(began)
  const batch = (from: number) =>
    Array.from({ length: changes }, (_, index) => {
      const workload = (index * 7) % size.workloads
      const host = workload % size.hosts
      const entries = entriesOf(host, size, new Map([[workload, from + index]]))
      return changeTo(entries[Math.floor(workload / size.hosts)]!)
    })
  // The first round is for the just-in-time compiler.
  for (const change of batch(2)) compiler.apply([change])
  const measured = batch(2 + changes)
  const started = process.cpuUsage()
  for (const change of measured) compiler.apply([change])
  const better = 'lower'
  return [
    { metric: 'compile-everything', value: first / 1000, unit: 'ms', better },
    { metric: 'compile-change', value: spent(started) / changes, unit: 'µs', better },
    { metric: 'state-of-a-host', value: stateMib(JSON.stringify(compiler.resources)), unit: 'MiB', better },
  ]
}

/** What the whole mesh takes in the memory of an agent, and of each thread of a daemon. */
function stateMib(text: string): number {
  const collect = collector()
  collect()
  const before = process.memoryUsage().heapUsed
  const snapshot = new Snapshot()
  snapshot.apply({
    epoch: 'bench',
    version: 1,
    full: true,
    upserts: JSON.parse(text) as CompiledResource[],
    removes: [],
  })
  collect()
  const bytes = process.memoryUsage().heapUsed - before
  // the snapshot must live until here
  return snapshot.version === 1 ? bytes / 1024 / 1024 : Number.NaN
}

function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

/** CPU time since then in microseconds: what else the machine does is not in it. */
function spent(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since)
  return user + system
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
