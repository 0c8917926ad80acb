// The algorithms that draw at random by weight: `random`, and the better of two by a load: requests under way (least request) or
// Linkerd's peak EWMA.

import type { Algorithm, PickContext } from './algorithm.ts'
import type { Endpoint } from './endpoint-table.ts'
import { untried, type WarmUp, WeightedSet } from './weighted.ts'

export interface DrawingDeps {
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** [0, 1). */
  readonly random: () => number
  readonly warmUp?: WarmUp | undefined
}

/**
 * What a further request costs at an endpoint; less is better.
 * @param share weight relative to the mean: 2 has twice the capacity
 */
export type Load = (endpoint: Endpoint, share: number, nowMs: number) => number

/** Requests per capacity. */
export const leastRequest: Load = ({ active }, share) => active / share

/** Linkerd: latency × (pending + 1), where the pending ones count by capacity. */
export const peakEwma: Load = ({ active, latency }, share, nowMs) => latency.estimate(nowMs) * (active / share + 1)

/** Draws one, or with a load the better of two different ones; of two alike the first, so that an idle set is drawn by weight. */
export class Drawing implements Algorithm {
  readonly #deps: DrawingDeps
  readonly #load: Load | undefined
  #set: WeightedSet

  constructor(deps: DrawingDeps, load?: Load) {
    this.#deps = deps
    this.#load = load
    this.#set = new WeightedSet([], deps.clock, deps.warmUp)
  }

  refresh(available: readonly Endpoint[]): void {
    this.#set = new WeightedSet(available, this.#deps.clock, this.#deps.warmUp)
  }

  pick({ tried }: PickContext): Endpoint | undefined {
    const all = this.#set
    const left = untried(all.endpoints, tried)
    const set = left === all.endpoints ? all : new WeightedSet(left, this.#deps.clock, this.#deps.warmUp)
    const first = set.draw(this.#deps.random)
    const other = this.#load === undefined ? -1 : set.drawOther(first, this.#deps.random)
    const better = other >= 0 && this.#cost(set, other) < this.#cost(set, first) ? other : first
    return set.endpoints[better]
  }

  #cost(set: WeightedSet, index: number): number {
    return this.#load!(set.endpoints[index]!, set.weight(index) / set.mean, this.#deps.clock())
  }
}
