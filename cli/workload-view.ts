// What the API's WorkloadEntries say about workloads, in words for people. Pure; used by `workloads` and `status`.
import { isEnrolled } from '../core/model/enrolment.ts'
import type { MeshObject } from '../core/model/resource.ts'
import { gatewayName } from '../core/model/waypoint-labels.ts'

export interface WorkloadView {
  readonly namespace: string
  readonly name: string
  readonly host: string
  readonly serviceAccount: string
  readonly addresses: readonly string[]
  /** `ambient` by label, `none` by opt-out or because nothing asks for it. */
  readonly enrolled: boolean
  /** Of a waypoint: that it takes tunnels. */
  readonly captured: boolean
  /** An instance of a waypoint, which nobody captures. */
  readonly waypoint: boolean
  /** Connections from before capture that still bypass the mesh. */
  readonly uncapturedConnections: number
  readonly health: string
  /** Those that the mesh goes by: what the host reported, with those of the operator over them. */
  readonly labels: Readonly<Record<string, string>>
}

/** `namespaces`: objects by name, whose label enrols what is in them. */
export function viewWorkload(entry: MeshObject, namespaces: ReadonlyMap<string, MeshObject>): WorkloadView {
  const { name, namespace = '', annotations = {} } = entry.metadata
  const spec = (entry.spec ?? {}) as { address?: string; serviceAccount?: string; labels?: Record<string, string> }
  const listed = annotations['culvert.dev/addresses']
  const labels = { ...spec.labels, ...entry.metadata.labels }
  const serviceAccount = spec.serviceAccount ?? 'default'
  const waypoint = labels[gatewayName] === serviceAccount
  return {
    namespace,
    name,
    host: annotations['culvert.dev/node'] ?? '',
    serviceAccount,
    addresses: listed === undefined ? [spec.address ?? ''].filter((address) => address !== '') : listed.split(','),
    enrolled: !waypoint && isEnrolled(labels, namespaces.get(namespace)?.metadata.labels ?? {}),
    captured: annotations['culvert.dev/redirection'] === 'enabled',
    waypoint,
    uncapturedConnections: Number(annotations['culvert.dev/uncaptured-connections'] ?? 0),
    health: annotations['culvert.dev/health'] ?? 'healthy',
    labels,
  }
}

/** One word for where a workload stands. */
export function captureState(view: WorkloadView): 'captured' | 'pending' | 'leaving' | 'outside' | 'waypoint' {
  if (view.waypoint) return 'waypoint'
  if (view.enrolled) return view.captured ? 'captured' : 'pending'
  return view.captured ? 'leaving' : 'outside'
}
