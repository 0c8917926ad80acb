// In turn, by weight and smoothly (nginx's algorithm: of weights 5, 1, 1 never five in a row), with the weights of warm-up.

import type { Algorithm, PickContext } from './algorithm.ts'
import type { DrawingDeps } from './drawing.ts'
import type { Endpoint } from './endpoint-table.ts'
import { untried, WeightedSet } from './weighted.ts'

/** A pick takes as long as the set is large. */
const mostSkipped = 256

export class RoundRobin implements Algorithm {
  readonly #deps: DrawingDeps
  /** What each has saved up; kept for who stays when the set changes. */
  #credit = new Map<Endpoint, number>()
  #set: WeightedSet

  constructor(deps: DrawingDeps) {
    this.#deps = deps
    this.#set = new WeightedSet([], deps.clock, deps.warmUp)
  }

  refresh(available: readonly Endpoint[]): void {
    this.#set = new WeightedSet(available, this.#deps.clock, this.#deps.warmUp)
    const begins = this.#credit.size === 0
    this.#credit = new Map(this.#set.endpoints.map((endpoint) => [endpoint, this.#credit.get(endpoint) ?? 0]))
    // A new set begins anywhere: or the first endpoint would get the first request of every worker and replica.
    const skipped = begins ? Math.floor(this.#deps.random() * Math.min(this.#credit.size, mostSkipped)) : 0
    for (let count = 0; count < skipped; count += 1) this.pick({})
  }

  pick({ tried }: PickContext): Endpoint | undefined {
    const set = this.#set
    const allowed = untried(set.endpoints, tried)
    const skipping = allowed !== set.endpoints
    let best: Endpoint | undefined
    let most = Number.NEGATIVE_INFINITY
    let total = 0
    for (const [index, endpoint] of set.endpoints.entries()) {
      if (skipping && tried?.has(endpoint) === true) continue
      const weight = set.weight(index)
      const credit = this.#credit.get(endpoint)! + weight
      this.#credit.set(endpoint, credit)
      total += weight
      if (credit > most) {
        most = credit
        best = endpoint
      }
    }
    if (best !== undefined) this.#credit.set(best, most - total)
    return best
  }
}
