// A destination's policy in the words of the parts that carry it out: balancer, outlier detector, circuit. Pure; asked by cluster.ts.
import type { ConnectionPool, DestinationPolicy, HashKey, OutlierDetection } from '../../core/model/destinations.ts'
import type { AddressFamily } from '../../core/net/address.ts'
import type { BalancerOptions } from '../balance/balancer.ts'
import type { Locality } from '../balance/endpoint-table.ts'
import type { HashKeyPolicy } from '../balance/hash-key.ts'
import type { LocalityPolicy } from '../balance/locality.ts'
import type { CircuitLimits } from '../circuit/circuit.ts'
import { type OutlierOptions, outlierDefaults } from '../outlier/detector.ts'

/** Where this waypoint stands: for its callers. */
export interface Place {
  /** `region/zone/subzone` or empty. */
  readonly locality: string
  readonly labels: Readonly<Record<string, string>>
  /** Of its own addresses. */
  readonly families?: readonly AddressFamily[]
}

export function localityOf(text: string): Locality | undefined {
  if (text === '') return undefined
  const [region = '', zone, subzone] = text.split('/')
  return { region, zone, subzone }
}

export function balancerOptions(policy: DestinationPolicy, place: Place): BalancerOptions {
  const { loadBalancing, warmup } = policy
  return {
    ...algorithmOf(loadBalancing),
    ...(warmup !== undefined && { warmUp: warmup }),
    locality: localityPolicy(policy, place),
  }
}

function algorithmOf(loadBalancing: DestinationPolicy['loadBalancing']): BalancerOptions {
  if (loadBalancing === undefined) return {}
  if (loadBalancing.kind === 'hash') {
    const { table } = loadBalancing
    if (table.kind === 'maglev') return { algorithm: 'maglev', maglev: { tableSize: table.size } }
    return { algorithm: 'ring-hash', ring: { minimumRingSize: table.minimumSize } }
  }
  // The address that a client asked for is the service's own: there is none to pass through to.
  if (loadBalancing.kind === 'passthrough') return {}
  return { algorithm: loadBalancing.kind }
}

/** Istio: shares as the author wrote them; otherwise the nearest first, but only where outlier detection notices that they fail. */
function localityPolicy({ locality, outliers }: DestinationPolicy, place: Place): LocalityPolicy | undefined {
  const from = localityOf(place.locality)
  if (from === undefined || locality?.enabled === false) return undefined
  const { distribute = [], failover = [], failoverPriority = [] } = locality ?? {}
  if (distribute.length > 0) return { from, labels: place.labels, distribute }
  return outliers === undefined ? undefined : { from, labels: place.labels, failover, failoverPriority }
}

export function hashPolicy({ loadBalancing }: DestinationPolicy): HashKeyPolicy | undefined {
  return loadBalancing?.kind === 'hash' ? keyOf(loadBalancing.key) : undefined
}

function keyOf(key: HashKey): HashKeyPolicy {
  if (key.kind === 'source') return { by: 'source' }
  if (key.kind !== 'cookie') return { by: key.kind, name: key.name }
  const { name, path, ttlMs, attributes } = key
  return { by: 'cookie', name, path, ttlMs, attributes }
}

export function outlierOptions(outliers: OutlierDetection): OutlierOptions {
  const { consecutiveLocalFailures, statuses, baseEjectionMs, ...rest } = outliers
  return {
    ...outlierDefaults,
    ...rest,
    baseEjectionMs,
    maxEjectionMs: Math.max(outlierDefaults.maxEjectionMs, baseEjectionMs),
    consecutiveLocalOriginFailures: consecutiveLocalFailures,
    errorCodes: statuses.length === 0 ? undefined : statuses,
  }
}

export function circuitLimits(pool: ConnectionPool | undefined): CircuitLimits {
  return {
    maxConnections: pool?.maxConnections,
    maxPending: pool?.maxPendingRequests,
    maxRequests: pool?.maxRequests,
    maxRetries: pool?.maxRetries,
    maxRequestsPerConnection: pool?.maxRequestsPerConnection,
  }
}
