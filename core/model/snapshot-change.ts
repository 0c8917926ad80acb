// What one delta changed in a Snapshot: the record that Snapshot writes while it applies, and others read afterwards.
import { isLayerSeven, type LayerSevenChange, recordLayerSeven } from './layer-seven-index.ts'
import type { CompiledResource } from './types.ts'

/** What one delta really changed: equal values that were sent again are not in it. */
export interface SnapshotChange extends LayerSevenChange {
  /** True where any verdict of `authorize` may differ for reasons other than the workloads in `workloads`. */
  readonly authorizations: boolean
  readonly settings: boolean
  /** uids that are new, other than before, or gone. */
  readonly workloads: ReadonlySet<string>
  /** Keys of services, likewise; an endpoint's change is not a change of its service. */
  readonly services: ReadonlySet<string>
}

export interface ChangeRecord extends SnapshotChange {
  authorizations: boolean
  settings: boolean
  readonly workloads: Set<string>
  readonly services: Set<string>
  readonly routes: Set<string>
  readonly destinations: Set<string>
  readonly rateLimits: Set<string>
}

export function noChange(): ChangeRecord {
  return {
    authorizations: false,
    settings: false,
    workloads: new Set(),
    services: new Set(),
    routes: new Set(),
    destinations: new Set(),
    rateLimits: new Set(),
  }
}

export function record(change: ChangeRecord, resource: CompiledResource): void {
  if (resource.kind === 'Workload') change.workloads.add(resource.key)
  else if (resource.kind === 'Service') change.services.add(resource.key)
  else if (isLayerSeven(resource)) recordLayerSeven(change, resource)
  else {
    change.authorizations = true
    if (resource.kind === 'Mesh') change.settings = true
  }
}
