// What the handlers of connections know of the local workload that they serve. ServedWorkload (workloads.ts) is one.
import type { LocalWorkload } from '../core/feed/handoff.ts'
import type { Workload } from '../core/model/types.ts'

/** One stay of a local workload in this data plane; a workload that leaves and comes back is another one. */
export interface Served {
  readonly uid: string
  readonly local: LocalWorkload
  /** Its compiled form; the last one known, should the model lose it for a moment. */
  readonly model: Workload | undefined
}
