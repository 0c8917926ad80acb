// What the load-balancing algorithms have in common. balancer.ts makes one for each lane of endpoints.

import type { Endpoint } from './endpoint-table.ts'

export interface PickContext {
  /** Endpoints that this request has tried: avoided as long as there is another (Istio's retryIgnorePreviousHosts). */
  readonly tried?: ReadonlySet<Endpoint> | undefined
  /** Look in the other localities too before one is tried twice (Istio's retryRemoteLocalities). */
  readonly otherLocalities?: boolean | undefined
  /** Unsigned 32 bits from hash-key.ts, for consistent hashing; without it those algorithms draw at random. */
  readonly hash?: number | undefined
}

export interface Algorithm {
  /** Told before the first pick and after each change of who may serve. */
  refresh(available: readonly Endpoint[]): void
  /** Undefined where nobody may serve. */
  pick(context: PickContext): Endpoint | undefined
}
