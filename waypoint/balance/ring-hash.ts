// Consistent hashing on a ring (Envoy's RING_HASH): each endpoint has points by its weight, a key belongs to the next point of an
// endpoint that may serve. So when one leaves, only its keys move.

import type { Algorithm, PickContext } from './algorithm.ts'
import { Drawing, type DrawingDeps } from './drawing.ts'
import type { Endpoint } from './endpoint-table.ts'
import { hash32 } from './hash.ts'
import { untried, weighty } from './weighted.ts'

export interface RingOptions {
  /** Points at least; 1024 where absent. */
  readonly minimumRingSize?: number | undefined
}

/** Envoy's bound of the ring: 8 Mi points. Weights are honoured less exactly beyond it. */
const mostPoints = 8 * 1024 * 1024
export const defaultRingSize = 1024

export class RingHash implements Algorithm {
  readonly #owners: readonly Endpoint[]
  /** Hashes of the points in order, and the index of each one's owner. */
  #points = new Uint32Array(0)
  #owner = new Uint32Array(0)
  #available: readonly Endpoint[] = []
  #serving: ReadonlySet<Endpoint> = new Set()
  /** Whether any owner of points may serve. */
  #serves = false
  readonly #fallback: Drawing
  readonly #minimum: number

  /** @param members all of the lane, whether they may serve or not: so that the ring stays when one is ejected */
  constructor(
    members: readonly Endpoint[],
    deps: DrawingDeps,
    { minimumRingSize = defaultRingSize }: RingOptions = {},
  ) {
    this.#owners = weighty(members)
    this.#minimum = Math.min(mostPoints, Math.max(1, minimumRingSize))
    this.#fallback = new Drawing(deps)
  }

  get size(): number {
    return this.#points.length
  }

  refresh(available: readonly Endpoint[]): void {
    this.#available = available
    this.#serving = new Set(available)
    this.#serves = this.#owners.some((endpoint) => this.#serving.has(endpoint))
    this.#fallback.refresh(available)
  }

  pick(context: PickContext): Endpoint | undefined {
    const { hash } = context
    if (hash === undefined || !this.#serves) return this.#fallback.pick(context)
    if (this.#points.length === 0) this.#build()
    const left = untried(this.#available, context.tried)
    const allowed = left === this.#available ? this.#serving : new Set(left)
    const start = this.#next(hash)
    for (let step = 0; step < this.#points.length; step += 1) {
      const endpoint = this.#owners[this.#owner[(start + step) % this.#points.length]!]!
      if (allowed.has(endpoint)) return endpoint
    }
    // All that is left untried has weight 0.
    return this.#fallback.pick(context)
  }

  #build(): void {
    const weights = this.#owners.map(({ facts }) => (facts.weight > 0 ? facts.weight : 1))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    // The lightest gets whole points, as Envoy scales it.
    const lightest = Math.min(...weights) / total
    const scale = Math.min(Math.ceil(lightest * this.#minimum) / lightest, mostPoints)
    const points = this.#owners.flatMap(({ key }, owner) => {
      const count = Math.max(1, Math.round((scale * weights[owner]!) / total))
      return Array.from({ length: count }, (_, index) => ({ hash: hash32(`${key}_${index}`), key, owner }))
    })
    points.sort((a, b) => a.hash - b.hash || (a.key < b.key ? -1 : 1))
    this.#points = Uint32Array.from(points, ({ hash }) => hash)
    this.#owner = Uint32Array.from(points, ({ owner }) => owner)
  }

  /** Index of the first point at or after `hash`, around the ring. */
  #next(hash: number): number {
    let low = 0
    let high = this.#points.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#points[middle]! < hash) low = middle + 1
      else high = middle
    }
    return low % this.#points.length
  }
}
