// What Istio's metrics say of each side of a connection or request. Pure; the telemetry of daemon and waypoint asks.
import { applicationOf, canonicalName, canonicalRevision, versionOf } from './canonical.ts'
import type { Workload } from './types.ts'

const sideLabels = [
  'workload',
  'workload_namespace',
  'principal',
  'app',
  'version',
  'cluster',
  'canonical_service',
  'canonical_revision',
  'region',
  'zone',
] as const

/** What a label says where nothing is known. */
export const unknown = 'unknown'

export function workloadLabelNames(side: 'source' | 'destination'): readonly string[] {
  return sideLabels.map((label) => `${side}_${label}`)
}

/**
 * In the order of the names.
 * @param namespace of the identity, where the workload is not known
 */
export function workloadLabelValues(
  workload: Workload | undefined,
  principal: string,
  namespace: string | undefined,
  clusterName: string,
): readonly string[] {
  if (workload === undefined) {
    return sideLabels.map((label) => {
      if (label === 'principal') return principal
      return label === 'workload_namespace' ? (namespace ?? unknown) : unknown
    })
  }
  const [region, zone] = workload.locality.split('/')
  return [
    workload.name,
    workload.namespace,
    principal,
    applicationOf(workload) ?? unknown,
    versionOf(workload) ?? unknown,
    clusterName || unknown,
    canonicalName(workload),
    canonicalRevision(workload),
    region || unknown,
    zone || unknown,
  ]
}
