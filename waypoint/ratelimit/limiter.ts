// Holds a request against the rate limits of its route: all must allow it, and one that refuses costs nothing at the others. Pure but
// for the buckets; asked by the rate-limit layer.

import type { LimitState } from './answer.ts'
import { type KeyPart, type LimitedRequest, limitKey } from './limit-key.ts'
import type { BucketSize, Buckets } from './token-bucket.ts'

export interface RateLimit {
  /** Unique in the waypoint, since it is part of the bucket's key: `namespace/policy/rule`. */
  readonly id: string
  /** In the RateLimit fields. */
  readonly name: string
  readonly size: BucketSize
  /** Empty: one bucket for all. */
  readonly key: readonly KeyPart[]
  /** Counts and tells, but never refuses. */
  readonly dryRun?: boolean | undefined
  /** Where it is counted, if not with the others: mesh-wide ones. */
  readonly buckets?: Buckets | undefined
}

export interface LimitVerdict {
  readonly allowed: boolean
  /** ids of the limits that refused it. */
  readonly refusedBy: readonly string[]
  /** ids of the limits in dry run that would have. */
  readonly wouldRefuse: readonly string[]
  /** For the header fields: of the limits that are not in dry run. */
  readonly states: readonly LimitState[]
}

const allowed: LimitVerdict = { allowed: true, refusedBy: [], wouldRefuse: [], states: [] }

/** @param nowMs see Buckets */
export function checkLimits(
  limits: readonly RateLimit[],
  request: LimitedRequest,
  buckets: Buckets,
  nowMs: number,
): LimitVerdict {
  if (limits.length === 0) return allowed
  const checked = limits.map((limit) => {
    const key = limitKey(limit.id, limit.key, request)
    const taken = (limit.buckets ?? buckets).take(key, limit.size, 1, nowMs)
    return { limit, key, taken }
  })
  const refusing = checked.filter(({ limit, taken }) => !taken.allowed && limit.dryRun !== true)
  if (refusing.length > 0) {
    for (const { limit, key, taken } of checked) if (taken.allowed) (limit.buckets ?? buckets).give(key, limit.size, 1)
  }
  return {
    allowed: refusing.length === 0,
    refusedBy: refusing.map(({ limit }) => limit.id),
    wouldRefuse: checked.flatMap(({ limit, taken }) => (!taken.allowed && limit.dryRun === true ? [limit.id] : [])),
    states: checked.flatMap(({ limit, taken }) =>
      limit.dryRun === true ? [] : [{ name: limit.name, size: limit.size, taken }],
    ),
  }
}
