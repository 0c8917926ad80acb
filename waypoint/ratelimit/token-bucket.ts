// Token buckets by key: of one thread here, shared by threads in shared-buckets.ts. Kept as one time, when the bucket will be full again
// (GCRA), so a full bucket need not be kept at all. Asked by limiter.ts.

export interface BucketSize {
  /** Tokens of a full bucket: what may come at once. At least 1. */
  readonly capacity: number
  /** Tokens that come back, continuously. */
  readonly perSecond: number
}

export interface Taken {
  readonly allowed: boolean
  /** Whole tokens left. */
  readonly remaining: number
  /** Until it is full again. */
  readonly fullInMs: number
  /** Until as many tokens are there as were asked for; 0 where allowed, Infinity where they never will be. */
  readonly retryAfterMs: number
}

export interface Buckets {
  /** Takes `cost` tokens of a key's bucket, or none. @param nowMs monotonic milliseconds, the same clock in all threads */
  take(key: string, size: BucketSize, cost: number, nowMs: number): Taken
  /** Puts tokens back that were taken for a request that another limit refused. */
  give(key: string, size: BucketSize, cost: number): void
}

/** Rounding errors, in tokens. */
const little = 1e-6

/** @param owedMs until the bucket is full, after the tokens are taken */
export function taken(owedMs: number, size: BucketSize, cost: number): Taken {
  const perMs = size.perSecond / 1_000
  const left = size.capacity - owedMs * perMs
  if (left >= -little) {
    return { allowed: true, remaining: Math.floor(left + little), fullInMs: owedMs, retryAfterMs: 0 }
  }
  return {
    allowed: false,
    remaining: Math.max(0, Math.floor(left + cost + little)),
    fullInMs: owedMs - cost / perMs,
    retryAfterMs: cost > size.capacity ? Number.POSITIVE_INFINITY : -left / perMs,
  }
}

/** The buckets of one thread. The key unused for longest is forgotten for a new one: its bucket begins full again. */
export class LocalBuckets implements Buckets {
  readonly #most: number
  /** When the bucket of a key is full again, in the order of use. */
  readonly #fullAtMs = new Map<string, number>()

  constructor(most: number) {
    this.#most = Math.max(1, most)
  }

  get size(): number {
    return this.#fullAtMs.size
  }

  take(key: string, size: BucketSize, cost: number, nowMs: number): Taken {
    const before = Math.max(nowMs, this.#fullAtMs.get(key) ?? nowMs)
    const after = before + (cost * 1_000) / size.perSecond
    const result = taken(after - nowMs, size, cost)
    this.#fullAtMs.delete(key)
    this.#fullAtMs.set(key, result.allowed ? after : before)
    if (this.#fullAtMs.size > this.#most) {
      const [oldest] = this.#fullAtMs.keys()
      if (oldest !== undefined) this.#fullAtMs.delete(oldest)
    }
    return result
  }

  give(key: string, size: BucketSize, cost: number): void {
    const fullAt = this.#fullAtMs.get(key)
    if (fullAt !== undefined) this.#fullAtMs.set(key, fullAt - (cost * 1_000) / size.perSecond)
  }
}
