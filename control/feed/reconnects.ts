// A host that connects again and again gets its turn less often: every connection costs a handshake and perhaps a full state, which
// the other hosts wait for. Used by FeedServer.

/** Connections in a row, as after a few failures of the network, … */
const burst = 20
/** … and then one in this time. */
const refillMs = 1000
/** Hosts that are remembered before those that have been quiet are looked for. */
const sweepFrom = 1000

interface Bucket {
  readonly tokens: number
  readonly at: number
}

/** Times are milliseconds of one monotonic clock. */
export class Reconnects {
  readonly #buckets = new Map<string, Bucket>()

  /** Whether the host may connect now. */
  admit(host: string, now: number): boolean {
    if (this.#buckets.size >= sweepFrom) this.#sweep(now)
    const tokens = this.#tokens(this.#buckets.get(host), now)
    this.#buckets.set(host, { tokens: tokens < 1 ? tokens : tokens - 1, at: now })
    return tokens >= 1
  }

  #tokens(bucket: Bucket | undefined, now: number): number {
    return bucket === undefined ? burst : Math.min(burst, bucket.tokens + (now - bucket.at) / refillMs)
  }

  #sweep(now: number): void {
    for (const [host, bucket] of this.#buckets) if (this.#tokens(bucket, now) >= burst) this.#buckets.delete(host)
  }
}
