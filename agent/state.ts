// The agent's state on disk: the last good model (so that a host works while the control plane is away) and the local
// workloads with what must be undone on them. No private key of a workload is ever here. Used by app.ts and
// the reconciler.
import { join } from 'node:path'
import type { Logger } from '../core/base/log.ts'
import { StateFile } from '../core/base/state-file.ts'
import type { ModelState } from '../core/feed/held-model.ts'
import type { DiscoveredWorkload } from './discover/discoverer.ts'
import type { RedirectRecord } from './redirect/apply.ts'

/** One local workload instance, as remembered over restarts. */
export interface WorkloadRecord {
  readonly uid: string
  /** Name of its pin below `<run-dir>/netns`. */
  readonly pin: string
  readonly definition: DiscoveredWorkload
  /** Present from before the first change to the namespace until everything is undone. */
  readonly redirect?: RedirectRecord
  /** Whether the control plane was told that the workload is captured. */
  readonly captured: boolean
}

export interface HostState {
  /** Inodes and pins mean something only within one boot. */
  readonly bootId: string
  readonly workloads: readonly WorkloadRecord[]
}

export interface AgentState {
  readonly host: StateFile<HostState>
  readonly model: StateFile<ModelState>
}

export function openState(directory: string, log: Logger): AgentState {
  return {
    host: new StateFile<HostState>(join(directory, 'host.json'), log),
    model: new StateFile<ModelState>(join(directory, 'model.json'), log),
  }
}
