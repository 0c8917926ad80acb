// Endpoints that could not be reached a moment ago, so that the next connection of a service does not begin with one of them.
// Passive and short: it knows only what connections met. Asked and told by outbound.ts; one per data worker.

export interface OutlierLimits {
  /** How long an endpoint is avoided after its first failure; twice as long after each further one. */
  readonly baseMs: number
  readonly maxMs: number
  /** Endpoints remembered; the oldest is forgotten for a new one. */
  readonly most: number
}

export const outlierLimits: OutlierLimits = { baseMs: 5_000, maxMs: 60_000, most: 1_024 }

interface Outlier {
  readonly failures: number
  /** Avoided before this time. */
  readonly until: number
}

export class Outliers {
  readonly #limits: OutlierLimits
  readonly #clock: () => number
  /** By workload uid, oldest failure first. */
  readonly #known = new Map<string, Outlier>()

  /** @param clock monotonic milliseconds */
  constructor(clock: () => number, limits: OutlierLimits = outlierLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  /** uids of the endpoints to avoid now, if another one serves. */
  get avoided(): readonly string[] {
    if (this.#known.size === 0) return []
    const now = this.#clock()
    return [...this.#known].flatMap(([uid, { until }]) => (now < until ? [uid] : []))
  }

  /** A connection is made to it: until it is known how that goes, others avoid one that failed before. */
  trying(uid: string): void {
    const known = this.#known.get(uid)
    if (known !== undefined) this.#avoid(uid, known.failures)
  }

  failed(uid: string): void {
    const failures = (this.#known.get(uid)?.failures ?? 0) + 1
    this.#known.delete(uid)
    this.#avoid(uid, failures)
    if (this.#known.size <= this.#limits.most) return
    const [oldest] = this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
  }

  #avoid(uid: string, failures: number): void {
    const { baseMs, maxMs } = this.#limits
    this.#known.set(uid, { failures, until: this.#clock() + Math.min(maxMs, baseMs * 2 ** (failures - 1)) })
  }

  succeeded(uid: string): void {
    if (this.#known.size > 0) this.#known.delete(uid)
  }
}
