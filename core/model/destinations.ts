// The compiled model of how traffic to a service is treated, from DestinationRules: types only. Read by the waypoint's balancing and
// circuit breaking; a limit that is undefined is no limit.

export type LoadBalancing =
  | { readonly kind: 'least-request' | 'round-robin' | 'random' | 'passthrough' | 'peak-ewma' }
  | { readonly kind: 'hash'; readonly key: HashKey; readonly table: HashTable }

export type HashKey =
  | { readonly kind: 'header' | 'query'; readonly name: string }
  /** Made where the caller has none and `ttlMs` is given; 0 until the browser closes. */
  | {
      readonly kind: 'cookie'
      readonly name: string
      readonly path?: string
      readonly ttlMs?: number
      readonly attributes: readonly { readonly name: string; readonly value: string }[]
    }
  | { readonly kind: 'source' }

export type HashTable =
  | { readonly kind: 'ring'; readonly minimumSize: number }
  | { readonly kind: 'maglev'; readonly size: number }

export interface Warmup {
  readonly durationMs: number
  /** Of the full share, 0–100. */
  readonly minimumPercent: number
  readonly aggression: number
}

export interface LocalityPreference {
  readonly enabled: boolean
  readonly distribute: readonly { readonly from: string; readonly to: Readonly<Record<string, number>> }[]
  readonly failover: readonly { readonly from: string; readonly to: string }[]
  readonly failoverPriority: readonly string[]
}

export interface ConnectionPool {
  readonly maxConnections?: number
  readonly connectTimeoutMs?: number
  readonly maxConnectionDurationMs?: number
  readonly tcpIdleTimeoutMs?: number
  readonly maxPendingRequests?: number
  readonly maxRequests?: number
  readonly maxRequestsPerConnection?: number
  readonly maxRetries?: number
  readonly maxConcurrentStreams?: number
  readonly idleTimeoutMs?: number
  readonly protocol: 'default' | 'http1' | 'http2' | 'client'
}

export interface OutlierDetection {
  /** 0: switched off. */
  readonly consecutive5xx: number
  readonly consecutiveGatewayErrors: number
  readonly consecutiveLocalFailures: number
  readonly splitLocalOrigin: boolean
  /** Statuses that count as errors instead of 5xx. */
  readonly statuses: readonly number[]
  readonly intervalMs: number
  readonly baseEjectionMs: number
  readonly maxEjectionPercent: number
  readonly minHealthPercent: number
  /** Endpoints that succeed clearly less often than the others; absent: not asked for. */
  readonly successRate?: SuccessRate
}

export interface SuccessRate {
  /** Endpoints with enough requests, or nobody is compared. */
  readonly minimumHosts: number
  /** Requests of an interval from which an endpoint is compared. */
  readonly requestVolume: number
  /** Standard deviations below the mean. */
  readonly deviations: number
}

export interface RetryBudget {
  /** Of the requests at once, 0–100. */
  readonly percent: number
  readonly minConcurrency: number
}

/** What holds for a whole service, for one of its ports or for a subset. */
export interface DestinationPolicy {
  readonly loadBalancing?: LoadBalancing
  readonly warmup?: Warmup
  readonly locality?: LocalityPreference
  readonly pool?: ConnectionPool
  readonly outliers?: OutlierDetection
  readonly retryBudget?: RetryBudget
  readonly tls?: 'disable' | 'mesh'
}

/** What DestinationRules say of one Service: those of one host stand together, the oldest first. */
export interface Destination {
  /** Key of the Service. */
  readonly service: string
  /** `namespace/name` of the DestinationRules. */
  readonly sources: readonly string[]
  readonly policy: DestinationPolicy
  /** By port; replaces the same part of `policy`. */
  readonly ports: Readonly<Record<string, DestinationPolicy>>
  readonly subsets: readonly {
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly policy: DestinationPolicy
    readonly ports: Readonly<Record<string, DestinationPolicy>>
  }[]
}
