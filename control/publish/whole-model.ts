// The compiled model for whoever looks at all of it within the control plane: everything, under the epoch of the mesh. `explain` follows it.
import type { CompiledDelta } from '../../core/model/types.ts'
import type { DeltaLog } from './delta-log.ts'

export class WholeModel {
  readonly #log: DeltaLog

  constructor(log: DeltaLog) {
    this.#log = log
  }

  get epoch(): string {
    return this.#log.epoch
  }

  get version(): number {
    return this.#log.version
  }

  full(): CompiledDelta {
    return { ...this.#log.full('waypoint'), epoch: this.epoch }
  }

  /** As DeltaLog.since. */
  since(version: number): CompiledDelta | undefined {
    const delta = this.#log.since(version, 'waypoint')
    return delta === undefined ? undefined : { ...delta, epoch: this.epoch }
  }
}
