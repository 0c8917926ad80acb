// The compiled model of rate limits, from RateLimitPolicies: types only. Which limits meet a request is core/decide/http/limits.ts's;
// the waypoint counts.
import type { RequestMatch, RouteOrigin } from './routes.ts'

/** What the limits are for; `services` are keys of Services, so that a proxy finds them by what it stands in front of. */
export type RateLimitTarget =
  /** All requests to a Service, or to one of its ports. */
  | { readonly kind: 'service'; readonly service: string; readonly port?: number }
  /** All requests that a waypoint takes. `waypoint`: key of its Service. */
  | { readonly kind: 'waypoint'; readonly waypoint: string }
  /** The requests that a route takes, or one of its rules. `services`: those that it is attached to. */
  | {
      readonly kind: 'route'
      readonly route: { readonly kind: RouteOrigin['kind']; readonly namespace: string; readonly name: string }
      /** Name of the rule. */
      readonly rule?: string
      readonly services: readonly string[]
    }

/** A part of what tells callers apart. */
export type RateLimitKey =
  /** SPIFFE identity of the caller, its namespace, its address. */
  | { readonly by: 'identity' | 'namespace' | 'source' }
  /** Normalised path without the query. */
  | { readonly by: 'path' | 'method' }
  /** `name` in lower case. */
  | { readonly by: 'header'; readonly name: string }
  /** Of a verified token: `['sub']`, `['realm', 'roles']`. */
  | { readonly by: 'claim'; readonly path: readonly string[] }

export interface RateLimitRule {
  /** Unique in the policy. */
  readonly name: string
  /** Any is enough; none at all: every request of the target. */
  readonly matches: readonly RequestMatch[]
  /** Each value has a bucket of its own; empty: one bucket for all. */
  readonly key: readonly RateLimitKey[]
  /** Tokens: the most at once, and how many come back. */
  readonly size: { readonly capacity: number; readonly perSecond: number }
  /** `mesh`: all waypoints of the target count together. */
  readonly scope: 'local' | 'mesh'
  /** Counts and tells, never refuses. */
  readonly dryRun: boolean
}

export interface RateLimit {
  /** Of the RateLimitPolicy. */
  readonly namespace: string
  readonly name: string
  readonly targets: readonly RateLimitTarget[]
  readonly rules: readonly RateLimitRule[]
  /** Whether RateLimit and RateLimit-Policy headers are sent, also under the limit. */
  readonly headers: boolean
  /** For gRPC callers over the limit. */
  readonly grpcStatus: 'RESOURCE_EXHAUSTED' | 'UNAVAILABLE'
}

/** Keys of the Services at which a proxy looks for this limit. */
export function servicesOf(limit: RateLimit): readonly string[] {
  const keys = limit.targets.flatMap((target) => {
    if (target.kind === 'service') return [target.service]
    return target.kind === 'waypoint' ? [target.waypoint] : target.services
  })
  return [...new Set(keys)]
}
