// The buckets of mesh-wide limits as one replica sees them: each key has a LeasedLimit, and while somebody asks for it, leases are fetched
// in the background. Where the keeper stays away, the replica goes on with its own share. Asked by the rate-limit layer.
import { LeasedLimit, type LeasedTiming, leasedDefaults } from './leased-limit.ts'
import type { LimitLeases } from './leases.ts'
import { type BucketSize, type Buckets, LocalBuckets, type Taken } from './token-bucket.ts'

export interface MeshBucketsDeps {
  /** One life of this replica. */
  readonly replica: string
  readonly leases: LimitLeases
  /** Replicas that count together, this one too; at least 1. */
  readonly replicas: () => number
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** Calls back after some milliseconds; returns what takes it back. */
  readonly later: (ms: number, work: () => void) => () => void
}

export interface MeshBucketsOptions {
  /** Keys that are held; the one unused for longest is given back. */
  readonly most: number
  /** After so long without an answer of the keeper a replica lives on its own share. */
  readonly aloneAfterMs: number
  readonly leased: LeasedTiming
}

export const meshBucketsDefaults: MeshBucketsOptions = { most: 65_536, aloneAfterMs: 1_000, leased: leasedDefaults }

interface Held {
  readonly key: string
  readonly limit: LeasedLimit
  size: BucketSize
  /** The request that is under way. */
  asking: Promise<void> | undefined
  answeredAtMs: number
  stop: (() => void) | undefined
}

export class MeshBuckets implements Buckets {
  readonly #deps: MeshBucketsDeps
  readonly #options: MeshBucketsOptions
  /** In the order of use. */
  readonly #held = new Map<string, Held>()
  readonly #alone: LocalBuckets
  readonly #closed = new AbortController()

  constructor(deps: MeshBucketsDeps, options: MeshBucketsOptions = meshBucketsDefaults) {
    this.#deps = deps
    this.#options = options
    this.#alone = new LocalBuckets(options.most)
  }

  get size(): number {
    return this.#held.size
  }

  take(key: string, size: BucketSize, cost: number, nowMs: number): Taken {
    const held = this.#of(key, size)
    const allowed = held.limit.take(cost, nowMs)
    this.#ask(held)
    if (!allowed && held.limit.unansweredMs(nowMs) >= this.#options.aloneAfterMs) {
      return this.#alone.take(key, this.#share(held, nowMs), cost, nowMs)
    }
    const remaining = held.limit.remaining(nowMs)
    const missing = Math.max(0, size.capacity - remaining)
    return {
      allowed,
      remaining,
      fullInMs: (missing * 1_000) / size.perSecond,
      retryAfterMs: allowed ? 0 : cost > size.capacity ? Number.POSITIVE_INFINITY : (cost * 1_000) / size.perSecond,
    }
  }

  give(key: string, _size: BucketSize, cost: number): void {
    this.#held.get(key)?.limit.give(cost)
  }

  /**
   * For a request that was refused: the answer that may change that. Undefined where the keeper has just said how little there is. The
   * first requests after a rest would be refused for nothing otherwise.
   */
  pending(key: string, nowMs: number): Promise<void> | undefined {
    const held = this.#held.get(key)
    if (held?.asking === undefined) return undefined
    return nowMs - held.answeredAtMs > this.#options.leased.askMs ? held.asking : undefined
  }

  /** Gives everything back; bounded by the leases' own deadline. */
  async close(): Promise<void> {
    const leaving = [...this.#held.values()].map((held) => this.#leave(held))
    this.#held.clear()
    await Promise.all(leaving)
    this.#closed.abort()
  }

  /** Of what the keeper had left when it fell silent: a limit does not begin anew where its keeper dies. The same until it speaks again. */
  #share({ limit, size: { capacity, perSecond } }: Held, nowMs: number): BucketSize {
    const replicas = Math.max(1, this.#deps.replicas())
    const known = limit.known(nowMs)
    const came = known === undefined ? 0 : (Math.max(0, known.ageMs - limit.unansweredMs(nowMs)) * perSecond) / 1_000
    const left = known === undefined ? capacity : Math.min(capacity, known.level + came)
    return { capacity: Math.max(1, left / replicas), perSecond: perSecond / replicas }
  }

  #of(key: string, size: BucketSize): Held {
    const known = this.#held.get(key)
    if (known !== undefined) {
      known.size = size
      this.#held.delete(key)
      this.#held.set(key, known)
      return known
    }
    const limit = new LeasedLimit({ ...this.#options.leased, replica: this.#deps.replica, limit: key, size })
    const held: Held = { key, limit, size, asking: undefined, answeredAtMs: Number.NEGATIVE_INFINITY, stop: undefined }
    this.#held.set(key, held)
    this.#forgetOldest()
    return held
  }

  #forgetOldest(): void {
    if (this.#held.size <= this.#options.most) return
    for (const oldest of this.#held.values()) {
      this.#held.delete(oldest.key)
      void this.#leave(oldest)
      return
    }
  }

  #ask(held: Held): void {
    if (held.asking !== undefined || this.#closed.signal.aborted) return
    const request = held.limit.wants(this.#deps.clock(), held.size)
    if (request === undefined) {
      this.#askLater(held)
      return
    }
    held.asking = this.#deps.leases
      .lease(request, this.#closed.signal)
      .then(
        (grant) => {
          const now = this.#deps.clock()
          held.limit.granted(grant, now)
          held.answeredAtMs = now
        },
        () => held.limit.failed(request.sequence),
      )
      .then(() => {
        held.asking = undefined
        this.#askLater(held)
      })
  }

  /** While tokens are held or somebody asks, the keeper hears of it; a key at rest has no timer. */
  #askLater(held: Held): void {
    if (held.stop !== undefined || this.#held.get(held.key) !== held) return
    if (!held.limit.active(this.#deps.clock())) return
    held.stop = this.#deps.later(this.#options.leased.askSoonMs, () => {
      held.stop = undefined
      this.#ask(held)
    })
  }

  async #leave(held: Held): Promise<void> {
    held.stop?.()
    const request = held.limit.leave(this.#deps.clock(), held.size)
    try {
      await this.#deps.leases.lease(request, this.#closed.signal)
    } catch {
      // The keeper finds out when the lease runs out.
    }
  }
}
