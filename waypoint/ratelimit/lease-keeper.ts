// The one place that keeps mesh-wide limits: gives each replica tokens by what its clients ask for. What is not given is not spent, so
// the sum keeps to the limit whatever becomes of replicas and messages. Behind whatever carries LimitLeases; without timers.

import type { LeaseGrant, LeaseRequest } from './leases.ts'
import type { BucketSize } from './token-bucket.ts'

export interface KeeperOptions {
  /** How long tokens are held; a replica asks again well before. */
  readonly validMs: number
  /** Buckets kept; the one unused for longest is forgotten. */
  readonly most: number
}

export const keeperDefaults: KeeperOptions = { validMs: 1_000, most: 65_536 }

interface Holder {
  held: number
  demandPerSecond: number
  untilMs: number
  grant: LeaseGrant
}

interface Kept {
  /** Tokens not known to be spent, those that are held too. */
  level: number
  atMs: number
  readonly holders: Map<string, Holder>
}

/** Part of the rate that a replica without any demand counts as: it has a token for the first request that comes. */
const idleShare = 0.02

export class LeaseKeeper {
  readonly #options: KeeperOptions
  readonly #kept = new Map<string, Kept>()

  constructor(options: KeeperOptions = keeperDefaults) {
    this.#options = options
  }

  /**
   * In every window of `w` seconds all replicas together spend at most `capacity + perSecond × (w + validMs / 1000)`, one lease more
   * than the limit, and what each replica spends on credit before its first answer. Where another keeper had the limit before, the
   * replicas that asked it tell how much was left: a replica that goes, or comes, does not begin its limits anew.
   * @param nowMs monotonic milliseconds
   */
  lease(request: LeaseRequest, nowMs: number): LeaseGrant {
    const { size } = request
    const kept = this.#of(request.limit, size, nowMs)
    this.#expire(kept, nowMs)
    const known = kept.holders.get(request.replica)
    if (known !== undefined && known.grant.sequence >= request.sequence) return known.grant
    this.#refill(kept, size, nowMs)
    if (known === undefined && request.known !== undefined) {
      const { level, ageMs } = request.known
      kept.level = Math.min(kept.level, level + (ageMs * size.perSecond) / 1_000)
    }
    kept.level -= request.spent
    const { validMs } = this.#options
    const none: LeaseGrant = { sequence: request.sequence, tokens: 0, validMs, level: Math.max(0, kept.level) }
    if (request.leaving !== undefined) {
      kept.holders.delete(request.replica)
      const tokens = Math.max(0, Math.min(request.leaving.keeps, loose(kept)))
      kept.level -= tokens
      return { ...none, tokens, level: Math.max(0, kept.level) }
    }
    const { demandPerSecond, replica } = request
    const holder: Holder = { held: request.held, demandPerSecond, untilMs: nowMs + validMs, grant: none }
    kept.holders.set(replica, holder)
    holder.grant = { ...none, tokens: share(kept, holder, size) }
    holder.held += holder.grant.tokens
    return holder.grant
  }

  #of(limit: string, size: BucketSize, nowMs: number): Kept {
    const known = this.#kept.get(limit) ?? { level: size.capacity, atMs: nowMs, holders: new Map() }
    this.#kept.delete(limit)
    this.#kept.set(limit, known)
    if (this.#kept.size > this.#options.most) {
      const [oldest] = this.#kept.keys()
      if (oldest !== undefined) this.#kept.delete(oldest)
    }
    return known
  }

  /** One that is not heard of may have spent all that it held. */
  #expire(kept: Kept, nowMs: number): void {
    for (const [replica, { held, untilMs }] of kept.holders) {
      if (untilMs > nowMs) continue
      kept.holders.delete(replica)
      kept.level -= held
    }
  }

  /** What was spent is heard of late, so the level may pass the capacity by what comes in meanwhile. */
  #refill(kept: Kept, { capacity, perSecond }: BucketSize, nowMs: number): void {
    const most = capacity + (perSecond * this.#options.validMs) / 1_000
    kept.level = Math.min(most, kept.level + (Math.max(0, nowMs - kept.atMs) * perSecond) / 1_000)
    kept.atMs = Math.max(kept.atMs, nowMs)
  }
}

/** Whole tokens that nobody holds. */
function loose({ level, holders }: Kept): number {
  let held = 0
  for (const each of holders.values()) held += each.held
  return Math.floor(level - held)
}

/** Whole tokens for one holder: up to its share of the level by demand, out of the loose ones. */
function share(kept: Kept, holder: Holder, { perSecond }: BucketSize): number {
  const most = loose(kept)
  if (most < 1) return 0
  const weight = ({ demandPerSecond }: Holder) => demandPerSecond + idleShare * perSecond
  let weights = 0
  for (const each of kept.holders.values()) weights += weight(each)
  const target = (kept.level * weight(holder)) / weights
  // Where there are fewer tokens than replicas, who asks first has one.
  const least = holder.held < 1 && holder.demandPerSecond > 0 ? 1 : 0
  return Math.min(most, Math.max(least, Math.floor(target - holder.held)))
}
