// Consistent hashing on a ring (Envoy's RING_HASH): each endpoint has points by its weight, a key belongs to the next point of an
// endpoint that may serve. How many points one has depends on nobody else, unlike in Envoy, which divides a ring of one size among all:
// so when one leaves, its keys move and no others, and when one comes, keys move to that one alone.

import type { Algorithm, PickContext } from './algorithm.ts'
import { Drawing, type DrawingDeps } from './drawing.ts'
import type { Endpoint } from './endpoint-table.ts'
import { hash32 } from './hash.ts'
import { byPlace, untried, weighty } from './weighted.ts'

export interface RingOptions {
  /** Points at least, of two endpoints and more: the lightest has half of them, a heavier one in proportion. 1024 where absent. */
  readonly minimumRingSize?: number | undefined
}

/** Of the ring: 2 Mi points. Weights are honoured less exactly beyond it. */
const mostPoints = 2 * 1024 * 1024
const ownerSpan = 2 ** 21
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
    this.#owners = byPlace(weighty(members))
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
    const lightest = Math.min(...weights)
    const total = weights.reduce((sum, weight) => sum + weight / lightest, 0)
    const each = Math.min(Math.ceil(this.#minimum / 2), mostPoints / total)
    const counts = weights.map((weight) => Math.max(1, Math.round((each * weight) / lightest)))
    const size = counts.reduce((sum, count) => sum + count, 0)
    // Hash and owner in one number: 32 bits and less than 21 of them, of 53. Sorting these is many times faster than sorting objects.
    const points = new Float64Array(size)
    let at = 0
    for (const [owner, count] of counts.entries()) {
      const { place } = this.#owners[owner]!
      for (let index = 0; index < count; index += 1) points[at++] = hash32(`${place}_${index}`) * ownerSpan + owner
    }
    points.sort()
    this.#points = Uint32Array.from(points, (point) => Math.floor(point / ownerSpan))
    this.#owner = Uint32Array.from(points, (point) => point % ownerSpan)
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
