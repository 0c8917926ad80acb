// Mesh-wide limits without a service of their own: the interface between the replicas of a waypoint and the one place that keeps a
// limit. A keeper (lease-keeper.ts) has the tokens, a replica (leased-limit.ts) holds some of them for a while and admits from those.

import type { BucketSize } from './token-bucket.ts'

export interface LeaseRequest {
  /** One life of one replica: a restart has another name. */
  readonly replica: string
  /** Of the bucket: limit-key.ts. */
  readonly limit: string
  /** As the policy says now: the keeper follows the latest. */
  readonly size: BucketSize
  /** Grows by one; a repeated one gets the same answer and counts once. */
  readonly sequence: number
  /** Tokens that it holds. */
  readonly held: number
  /** Tokens spent since the request before that was answered, those on credit too. */
  readonly spent: number
  /** What its clients ask for, tokens per second. */
  readonly demandPerSecond: number
  /** What a keeper said last of the whole limit: where another one keeps it now, that one goes on from there. */
  readonly known?: KnownLevel | undefined
  /** It rests or goes: gives back what it holds, but would keep so many tokens for the next request that comes; paid at once. */
  readonly leaving?: { readonly keeps: number } | undefined
}

export interface KnownLevel {
  /** Tokens that were not known to be spent. */
  readonly level: number
  /** So long ago. */
  readonly ageMs: number
}

export interface LeaseGrant {
  readonly sequence: number
  /** Added to what it holds; to one that leaves, what it keeps. */
  readonly tokens: number
  /** All that it holds is void so long after it sent the request, unless there is another answer. */
  readonly validMs: number
  /** Tokens of the whole limit that are not known to be spent, those that are held too. */
  readonly level: number
}

export interface LimitLeases {
  /** Rejects where the keeper cannot be reached. */
  lease(request: LeaseRequest, signal: AbortSignal): Promise<LeaseGrant>
}
