// What the workers have counted, those that crashed included: a total never falls because a worker is no more. Owned by
// workers.ts. What a worker counted after it was last asked ends with it.
import { type MetricSnapshot, mergeSnapshots } from '../core/base/metrics.ts'

export class WorkerMetrics {
  /** By worker, as it answered last. */
  readonly #living = new Map<number, MetricSnapshot>()
  #ended: MetricSnapshot = { families: [] }

  seen(worker: number, snapshot: MetricSnapshot): void {
    this.#living.set(worker, snapshot)
  }

  /** It crashed: what it counted stays, what it had at that moment (gauges) is gone. */
  ended(worker: number): void {
    const last = this.#living.get(worker)
    if (last === undefined) return
    this.#living.delete(worker)
    const counters = last.families.filter(({ type }) => type !== 'gauge')
    this.#ended = mergeSnapshots([this.#ended, { families: counters }])
  }

  /** To be added up. A worker that does not answer counts with what it said last. */
  all(): readonly MetricSnapshot[] {
    return [...this.#living.values(), this.#ended]
  }
}
