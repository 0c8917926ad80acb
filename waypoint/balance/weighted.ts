// Draws endpoints at random by weight, where a new one gets its weight little by little (Istio's warmup, Envoy's slow start). Used
// by the algorithms that draw.

import type { Endpoint } from './endpoint-table.ts'

export interface WarmUp {
  /** Until the full weight. */
  readonly durationMs: number
  /** Share at the start, percent; 10 where absent. */
  readonly minimumPercent?: number | undefined
  /** 1 (where absent) grows evenly, more grows faster at first: `(elapsed / duration) ^ (1 / aggression)`. */
  readonly aggression?: number | undefined
}

/** Share in (0, 1] of its weight that an endpoint gets `elapsedMs` after it began. */
export function warmUpFactor(elapsedMs: number, { durationMs, minimumPercent = 10, aggression = 1 }: WarmUp): number {
  if (elapsedMs >= durationMs) return 1
  return Math.max(minimumPercent / 100, (Math.max(0, elapsedMs) / durationMs) ** (1 / aggression))
}

/** Endpoints of weight 0 serve only where all have it; then they are alike. */
export function weighty(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const heavy = endpoints.filter(({ facts }) => facts.weight > 0)
  return heavy.length > 0 ? heavy : endpoints
}

/** In an order that is the same in every replica. */
export function byPlace(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  return [...endpoints].sort((a, b) => (a.place < b.place ? -1 : a.place > b.place ? 1 : a.key < b.key ? -1 : 1))
}

/** The endpoints that were not tried; all, where every one was. */
export function untried(endpoints: readonly Endpoint[], tried: ReadonlySet<Endpoint> | undefined): readonly Endpoint[] {
  if (tried === undefined || tried.size === 0) return endpoints
  const left = endpoints.filter((endpoint) => !tried.has(endpoint))
  return left.length > 0 ? left : endpoints
}

/** Weights that warm up are worked out anew so often in the course of a warm-up. */
const stepsOfWarmUp = 200

export class WeightedSet {
  readonly endpoints: readonly Endpoint[]
  readonly #clock: () => number
  readonly #warmUp: WarmUp | undefined
  /** Running sums of the weights. */
  readonly #sums: Float64Array
  #alike = false
  /** The sums hold until then. */
  #validUntilMs = Number.NEGATIVE_INFINITY

  constructor(endpoints: readonly Endpoint[], clock: () => number, warmUp?: WarmUp) {
    this.endpoints = weighty(endpoints)
    this.#clock = clock
    this.#warmUp = warmUp
    this.#sums = new Float64Array(this.endpoints.length)
  }

  /** Effective weight now. */
  weight(index: number): number {
    this.#refresh()
    return this.#sums[index]! - (index === 0 ? 0 : this.#sums[index - 1]!)
  }

  /** Mean of the effective weights. */
  get mean(): number {
    this.#refresh()
    return (this.#sums.at(-1) ?? 0) / this.endpoints.length
  }

  /** @returns an index, -1 of an empty set */
  draw(random: () => number): number {
    const count = this.endpoints.length
    if (count <= 1) return count - 1
    this.#refresh()
    if (this.#alike) return Math.floor(random() * count)
    return this.#find(random() * this.#sums[count - 1]!)
  }

  /** Another than `first`, by weight among the others; -1 where there is none. */
  drawOther(first: number, random: () => number): number {
    const count = this.endpoints.length
    if (count < 2) return -1
    this.#refresh()
    if (this.#alike) {
      const other = Math.floor(random() * (count - 1))
      return other < first ? other : other + 1
    }
    const before = first === 0 ? 0 : this.#sums[first - 1]!
    const own = this.#sums[first]! - before
    const drawn = random() * (this.#sums[count - 1]! - own)
    const found = this.#find(drawn < before ? drawn : drawn + own)
    // Rounding may lead to the border of the first.
    return found !== first ? found : first + 1 < count ? first + 1 : first - 1
  }

  /** Index of the first sum above `drawn`. */
  #find(drawn: number): number {
    let low = 0
    let high = this.#sums.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#sums[middle]! > drawn) high = middle
      else low = middle + 1
    }
    return low
  }

  #refresh(): void {
    if (this.#validUntilMs === Number.POSITIVE_INFINITY) return
    const nowMs = this.#clock()
    if (nowMs < this.#validUntilMs) return
    const warmUp = this.#warmUp
    let sum = 0
    let warming = false
    let alike = true
    let first = 0
    this.endpoints.forEach(({ facts, warmSinceMs }, index) => {
      const factor = warmUp === undefined ? 1 : warmUpFactor(nowMs - warmSinceMs, warmUp)
      const weight = (facts.weight > 0 ? facts.weight : 1) * factor
      if (index === 0) first = weight
      warming ||= factor < 1
      alike &&= weight === first
      sum += weight
      this.#sums[index] = sum
    })
    this.#alike = alike
    this.#validUntilMs =
      warming && warmUp !== undefined ? nowMs + warmUp.durationMs / stepsOfWarmUp : Number.POSITIVE_INFINITY
  }
}
