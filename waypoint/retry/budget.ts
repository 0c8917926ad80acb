// How many retries a destination gets in all, so that they do not bring down what is slow already. Two kinds: of the requests under way
// (Istio and Envoy), and of those of the last seconds (Gateway API's XBackendTrafficPolicy). One per destination; asked by retrier.ts.

export interface RetryBudget {
  /** Each request once, when it arrives. */
  began(): void
  /** Takes one retry of the budget. @returns false where there is none left: the last outcome goes to the client */
  take(): boolean
  /** The retry has ended. */
  done(): void
}

export interface ConcurrencyBudgetOptions {
  /** Of active and waiting requests; 20 in Istio. */
  readonly percent: number
  /** Retries at once in any case; 3 in Istio. */
  readonly minConcurrency: number
}

export class ConcurrencyBudget implements RetryBudget {
  readonly #options: ConcurrencyBudgetOptions
  readonly #requests: () => number
  #retries = 0

  /** @param requests active and waiting ones at the destination */
  constructor(options: ConcurrencyBudgetOptions, requests: () => number) {
    this.#options = options
    this.#requests = requests
  }

  began(): void {}

  take(): boolean {
    const { percent, minConcurrency } = this.#options
    if (this.#retries >= Math.max(minConcurrency, Math.floor((percent * this.#requests()) / 100))) return false
    this.#retries += 1
    return true
  }

  done(): void {
    if (this.#retries > 0) this.#retries -= 1
  }
}

export interface RateBudgetOptions {
  /** Of the requests of the interval; 20. */
  readonly percent: number
  /** 10 s. */
  readonly intervalMs: number
  /** Retries in any case: so many in so long; 10 in 1 s. */
  readonly minRetries: { readonly count: number; readonly intervalMs: number }
}

/** GEP-3388's defaults. */
export const rateBudgetDefaults: RateBudgetOptions = {
  percent: 20,
  intervalMs: 10_000,
  minRetries: { count: 10, intervalMs: 1_000 },
}

export class RateBudget implements RetryBudget {
  readonly #options: RateBudgetOptions
  readonly #clock: () => number
  readonly #requests: SlidingCount
  readonly #retries: SlidingCount
  readonly #recent: SlidingCount

  /** @param clock monotonic milliseconds */
  constructor(options: RateBudgetOptions, clock: () => number) {
    this.#options = options
    this.#clock = clock
    this.#requests = new SlidingCount(options.intervalMs)
    this.#retries = new SlidingCount(options.intervalMs)
    this.#recent = new SlidingCount(options.minRetries.intervalMs)
  }

  began(): void {
    this.#requests.add(this.#clock())
  }

  take(): boolean {
    const { percent, minRetries } = this.#options
    const nowMs = this.#clock()
    const withinShare = this.#retries.sum(nowMs) + 1 <= (percent * this.#requests.sum(nowMs)) / 100
    if (!withinShare && this.#recent.sum(nowMs) >= minRetries.count) return false
    this.#retries.add(nowMs)
    this.#recent.add(nowMs)
    return true
  }

  done(): void {}
}

const slots = 10

/** A count over the last interval, to a tenth of it; what is a little older counts still. */
class SlidingCount {
  readonly #slotMs: number
  readonly #counts = new Float64Array(slots + 1)
  #slot = 0
  #sum = 0

  constructor(intervalMs: number) {
    this.#slotMs = Math.max(1, intervalMs) / slots
  }

  add(nowMs: number): void {
    this.#advance(nowMs)
    this.#counts[this.#slot % this.#counts.length]! += 1
    this.#sum += 1
  }

  sum(nowMs: number): number {
    this.#advance(nowMs)
    return this.#sum
  }

  #advance(nowMs: number): void {
    const slot = Math.floor(nowMs / this.#slotMs)
    for (let passed = 0; this.#slot < slot && passed < this.#counts.length; passed += 1) {
      this.#slot += 1
      const at = this.#slot % this.#counts.length
      this.#sum -= this.#counts[at]!
      this.#counts[at] = 0
    }
    if (this.#slot < slot) {
      // The whole ring is empty: its place in it may be any, but the one of this time.
      this.#slot = slot
    }
  }
}
