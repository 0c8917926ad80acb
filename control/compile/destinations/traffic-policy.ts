// The traffic policy of a DestinationRule, compiled: for a whole service, for one of its ports or for a subset. Pure. Limits of 0 are
// none, as in Envoy's configuration that istiod writes; defaults are istiod's.

import type { DestinationExtras } from '../../../core/model/destination-annotations.ts'
import type {
  ConnectionPool,
  DestinationPolicy,
  HashKey,
  HashTable,
  LoadBalancing,
  LocalityPreference,
  OutlierDetection,
  RetryBudget,
  SuccessRate,
  Warmup,
} from '../../../core/model/destinations.ts'
import type { DestinationRuleSpec } from '../../../core/model/fields/destination-rule.ts'
import { durationMs } from '../../../core/model/fields/duration.ts'

type TrafficPolicy = NonNullable<DestinationRuleSpec['trafficPolicy']>
type Part<Name extends keyof TrafficPolicy> = NonNullable<TrafficPolicy[Name]>
type Balancer = Part<'loadBalancer'>
type PortPolicy = Pick<TrafficPolicy, 'loadBalancer' | 'connectionPool' | 'outlierDetection' | 'tls'>

export interface CompiledPolicy {
  readonly policy: DestinationPolicy
  /** By port. */
  readonly ports: Readonly<Record<string, DestinationPolicy>>
}

/** @param extras of the rule's annotations; a hash that is written goes before another balancing */
export function compileTraffic(written: TrafficPolicy | undefined, extras?: DestinationExtras): CompiledPolicy {
  const { portLevelSettings = [], retryBudget } = written ?? {}
  const budget = retryBudget === undefined ? {} : { retryBudget: budgetOf(retryBudget) }
  const parts = (each: PortPolicy): DestinationPolicy => withRate(partsOf(each), extras?.successRate)
  const ports = portLevelSettings.map((entry) => [String(entry.port?.number), parts(entry)] as const)
  const rated = extras?.successRate !== undefined && written?.outlierDetection === undefined
  const whole = parts(rated ? { ...written, outlierDetection: {} } : (written ?? {}))
  const byLatency = extras?.balancing !== undefined && whole.loadBalancing?.kind !== 'hash'
  const loadBalancing = byLatency ? { loadBalancing: { kind: 'peak-ewma' } as const } : {}
  return { policy: { ...whole, ...loadBalancing, ...budget }, ports: Object.fromEntries(ports) }
}

function withRate(policy: DestinationPolicy, successRate: SuccessRate | undefined): DestinationPolicy {
  const { outliers } = policy
  return outliers === undefined || successRate === undefined
    ? policy
    : { ...policy, outliers: { ...outliers, successRate } }
}

function partsOf({ loadBalancer, connectionPool, outlierDetection, tls }: PortPolicy): DestinationPolicy {
  const balancer = loadBalancer === undefined ? {} : balancingOf(loadBalancer)
  const mode = tls?.mode === 'DISABLE' ? 'disable' : tls?.mode === 'ISTIO_MUTUAL' ? 'mesh' : undefined
  return {
    ...balancer,
    ...(connectionPool === undefined ? {} : { pool: poolOf(connectionPool) }),
    ...(outlierDetection === undefined ? {} : { outliers: outliersOf(outlierDetection) }),
    ...(mode === undefined ? {} : { tls: mode }),
  }
}

const simple = {
  LEAST_CONN: 'least-request',
  LEAST_REQUEST: 'least-request',
  ROUND_ROBIN: 'round-robin',
  RANDOM: 'random',
  PASSTHROUGH: 'passthrough',
  UNSPECIFIED: undefined,
} as const

function balancingOf(balancer: Balancer): DestinationPolicy {
  const { localityLbSetting } = balancer
  const consistentHash = balancer.consistentHash as Hash | undefined
  const kind = balancer.simple === undefined ? undefined : simple[balancer.simple]
  const key = consistentHash === undefined ? undefined : hashKey(consistentHash)
  const loadBalancing: LoadBalancing | undefined =
    key !== undefined && consistentHash !== undefined
      ? { kind: 'hash', key, table: hashTable(consistentHash) }
      : kind === undefined
        ? undefined
        : { kind }
  const warmup = warmupOf(balancer)
  return {
    ...(loadBalancing === undefined ? {} : { loadBalancing }),
    ...(warmup === undefined ? {} : { warmup }),
    ...(localityLbSetting === undefined ? {} : { locality: localityOf(localityLbSetting) }),
  }
}

/** consistentHash, spelt out: its table is too deep for the compiler to follow from here. */
interface Hash {
  readonly httpHeaderName?: string
  readonly httpQueryParameterName?: string
  readonly useSourceIp?: boolean
  readonly httpCookie?: {
    readonly name: string
    readonly path?: string
    readonly ttl?: string
    readonly attributes?: readonly { readonly name: string; readonly value?: string }[]
  }
  readonly maglev?: { readonly tableSize?: number }
  readonly ringHash?: { readonly minimumRingSize?: number }
  readonly minimumRingSize?: number
}

function hashKey(hash: Hash): HashKey | undefined {
  const { httpHeaderName = '', httpCookie, httpQueryParameterName = '', useSourceIp } = hash
  if (httpHeaderName !== '') return { kind: 'header', name: httpHeaderName.toLowerCase() }
  if (httpQueryParameterName !== '') return { kind: 'query', name: httpQueryParameterName }
  if (useSourceIp === true) return { kind: 'source' }
  if (httpCookie === undefined) return undefined
  const { name, path = '', ttl, attributes = [] } = httpCookie
  return {
    kind: 'cookie',
    name,
    ...(path === '' ? {} : { path }),
    ...(ttl === undefined ? {} : { ttlMs: durationMs(ttl) ?? 0 }),
    attributes: attributes.map(({ name, value = '' }) => ({ name, value })),
  }
}

function hashTable({ maglev, ringHash, minimumRingSize = 0 }: Hash): HashTable {
  if (maglev !== undefined) return { kind: 'maglev', size: maglev.tableSize ?? 65_537 }
  const written = ringHash?.minimumRingSize ?? minimumRingSize
  return { kind: 'ring', minimumSize: written === 0 ? 1024 : written }
}

function warmupOf({ warmup, warmupDurationSecs }: Balancer): Warmup | undefined {
  const durationText = warmup?.duration ?? warmupDurationSecs
  const duration = durationText === undefined ? 0 : (durationMs(durationText) ?? 0)
  if (duration === 0) return undefined
  return { durationMs: duration, minimumPercent: warmup?.minimumPercent ?? 10, aggression: warmup?.aggression ?? 1 }
}

function localityOf(setting: NonNullable<Balancer['localityLbSetting']>): LocalityPreference {
  const { enabled = true, distribute = [], failover = [], failoverPriority = [] } = setting
  return {
    enabled,
    distribute: distribute.map(({ from = '', to = {} }) => ({ from, to })),
    failover: failover.map(({ from = '', to = '' }) => ({ from, to })),
    failoverPriority,
  }
}

function poolOf({ tcp = {}, http = {} }: Part<'connectionPool'>): ConnectionPool {
  const limit = <Name extends string>(name: Name, value: number | undefined) =>
    (value === undefined || value === 0 ? {} : { [name]: value }) as { readonly [Key in Name]?: number }
  const time = <Name extends string>(name: Name, value: string | undefined) =>
    limit(name, value === undefined ? undefined : durationMs(value))
  const upgrade = http.h2UpgradePolicy
  const forced = upgrade === 'UPGRADE' ? 'http2' : upgrade === 'DO_NOT_UPGRADE' ? 'http1' : 'default'
  return {
    ...limit('maxConnections', tcp.maxConnections),
    ...time('connectTimeoutMs', tcp.connectTimeout),
    ...time('maxConnectionDurationMs', tcp.maxConnectionDuration),
    ...time('tcpIdleTimeoutMs', tcp.idleTimeout),
    ...limit('maxPendingRequests', http.http1MaxPendingRequests),
    ...limit('maxRequests', http.http2MaxRequests),
    ...limit('maxRequestsPerConnection', http.maxRequestsPerConnection),
    ...limit('maxRetries', http.maxRetries),
    ...limit('maxConcurrentStreams', http.maxConcurrentStreams),
    ...time('idleTimeoutMs', http.idleTimeout),
    protocol: http.useClientProtocol === true ? 'client' : forced,
  }
}

function outliersOf(written: Part<'outlierDetection'>): OutlierDetection {
  const time = (text: string | undefined, otherwise: number): number => {
    const ms = text === undefined ? 0 : (durationMs(text) ?? 0)
    return ms === 0 ? otherwise : ms
  }
  const split = written.splitExternalLocalOriginErrors ?? false
  return {
    consecutive5xx: written.consecutive5xxErrors ?? 5,
    consecutiveGatewayErrors: written.consecutiveGatewayErrors ?? written.consecutiveErrors ?? 0,
    consecutiveLocalFailures: split ? (written.consecutiveLocalOriginFailures ?? 5) : 0,
    splitLocalOrigin: split,
    statuses: written.outlierDetectionHttpErrorCodes ?? [],
    intervalMs: time(written.interval, 10_000),
    baseEjectionMs: time(written.baseEjectionTime, 30_000),
    maxEjectionPercent: written.maxEjectionPercent ?? 10,
    minHealthPercent: written.minHealthPercent ?? 0,
  }
}

function budgetOf({ percent = 20, minRetryConcurrency = 3 }: Part<'retryBudget'>): RetryBudget {
  return { percent, minConcurrency: minRetryConcurrency }
}
