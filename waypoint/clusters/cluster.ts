// One destination: a port of a service or of one of its subsets, or of a workload by its own address. Holds its endpoints and all that is
// shared by the requests to it: balancer, outlier detector, circuit, retry budget. A change of the model keeps what it can of them.
import { isDeepStrictEqual } from 'node:util'
import type { DestinationPolicy } from '../../core/model/destinations.ts'
import { type Balancer, type BalancerOptions, createBalancer } from '../balance/balancer.ts'
import { EndpointTable } from '../balance/endpoint-table.ts'
import type { HashKeyPolicy } from '../balance/hash-key.ts'
import { Circuit } from '../circuit/circuit.ts'
import { OutlierDetector, type OutlierEvent } from '../outlier/detector.ts'
import { ConcurrencyBudget, type RetryBudget } from '../retry/budget.ts'
import type { Timers } from '../timers.ts'
import type { UpstreamConnection } from '../upstream/connection.ts'
import type { ServingFacts, TargetOptions } from './endpoints.ts'
import { balancerOptions, circuitLimits, hashPolicy, outlierOptions, type Place } from './options.ts'

export interface ClusterDeps {
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** [0, 1). */
  readonly random: () => number
  readonly timers: Timers
  /** Where the waypoint is, as far as it knows by now. */
  readonly place: () => Place
  readonly onOutlier?: ((cluster: Cluster, event: OutlierEvent) => void) | undefined
}

export interface ClusterName {
  /** Key of the service; undefined for a workload by its own address. */
  readonly service?: string | undefined
  readonly subset?: string | undefined
  readonly workload?: string | undefined
  readonly port: number
}

/** Makes the endpoints of a cluster for targets with these options. */
export type EndpointSource = (options: TargetOptions) => readonly ServingFacts[]

export class Cluster {
  readonly name: ClusterName
  readonly table: EndpointTable
  readonly circuit: Circuit<UpstreamConnection>
  readonly #deps: ClusterDeps
  #policy: DestinationPolicy = {}
  #balancing: BalancerOptions
  #balancer: Balancer
  #hash: HashKeyPolicy | undefined
  #outliers: OutlierDetector | undefined
  #budget: RetryBudget | undefined
  #ticking: object | undefined
  #closed = false

  constructor(name: ClusterName, deps: ClusterDeps) {
    this.name = name
    this.#deps = deps
    this.table = new EndpointTable({ clock: deps.clock })
    this.#balancing = balancerOptions({}, deps.place())
    this.#balancer = createBalancer(this.#balancing, this.table, deps)
    this.circuit = new Circuit({}, deps.clock)
  }

  get policy(): DestinationPolicy {
    return this.#policy
  }

  get balancer(): Balancer {
    return this.#balancer
  }

  get hash(): HashKeyPolicy | undefined {
    return this.#hash
  }

  get outliers(): OutlierDetector | undefined {
    return this.#outliers
  }

  get budget(): RetryBudget | undefined {
    return this.#budget
  }

  /** @returns whether the policy is another than before, so that what was composed for this cluster must be composed anew */
  configure(policy: DestinationPolicy): boolean {
    const before = this.#policy
    if (isDeepStrictEqual(before, policy)) return false
    this.#policy = policy
    this.rebalance()
    this.#hash = hashPolicy(policy)
    this.circuit.reconfigure(circuitLimits(policy.pool))
    if (!isDeepStrictEqual(before.retryBudget, policy.retryBudget)) {
      this.#budget = policy.retryBudget && new ConcurrencyBudget(policy.retryBudget, () => this.circuit.requests)
    }
    this.#watch(policy)
    return true
  }

  /** A new balancer, if policy or place ask for another than there is. */
  rebalance(): void {
    const options = balancerOptions(this.#policy, this.#deps.place())
    if (isDeepStrictEqual(options, this.#balancing)) return
    this.#balancing = options
    this.#balancer = createBalancer(options, this.table, this.#deps)
  }

  /** The endpoints as they are now. Those that stay keep requests under way, latency and ejection. */
  populate(
    source: EndpointSource,
    hostname: string | undefined,
    identities: readonly string[],
    spoken: 'http2' | 'auto',
  ): void {
    this.table.update(source(this.#targetOptions(hostname, identities, spoken)))
    this.#outliers?.follow()
  }

  #targetOptions(service: string | undefined, identities: readonly string[], spoken: 'http2' | 'auto'): TargetOptions {
    const { pool } = this.#policy
    const protocol = pool?.protocol ?? 'default'
    return {
      service,
      families: this.#deps.place().families,
      identities,
      protocol: protocol === 'default' ? spoken : protocol,
      connectTimeoutMs: pool?.connectTimeoutMs,
      idleTimeoutMs: pool?.idleTimeoutMs,
      maxRequestsPerConnection: pool?.maxRequestsPerConnection,
      connections: pool?.maxConnections === undefined ? undefined : this.circuit,
    }
  }

  #watch({ outliers }: DestinationPolicy): void {
    if (outliers === undefined) {
      // Nobody would take them back.
      for (const { key } of this.table.members) this.table.eject(key, false)
      this.table.ignoreEjections(false)
      this.#outliers = undefined
      this.#stopTicking()
      return
    }
    const options = outlierOptions(outliers)
    const { clock, onOutlier } = this.#deps
    if (this.#outliers !== undefined) this.#outliers.reconfigure(options)
    else
      this.#outliers = new OutlierDetector(options, this.table, { clock, onEvent: (event) => onOutlier?.(this, event) })
    this.#stopTicking()
    this.#tickLater(options.intervalMs)
  }

  #tickLater(intervalMs: number): void {
    if (this.#closed) return
    this.#ticking = this.#deps.timers.start(() => {
      this.#outliers?.tick()
      this.#tickLater(intervalMs)
    }, intervalMs)
  }

  #stopTicking(): void {
    if (this.#ticking !== undefined) this.#deps.timers.stop(this.#ticking)
    this.#ticking = undefined
  }

  /** Nobody asks for it any more; requests under way end as they will. */
  close(): void {
    this.#closed = true
    this.#stopTicking()
  }

  /** For the admin page. */
  toJSON() {
    return {
      ...this.name,
      endpoints: this.table.members.map((endpoint) => {
        const { facts, active, ejected, key } = endpoint
        return { key, ...facts.target, healthy: facts.healthy, weight: facts.weight, active, ejected }
      }),
      circuit: this.circuit.toJSON(),
      outliers: this.#outliers?.toJSON() ?? null,
    }
  }
}

/** Of the facts of a cluster's endpoint: its table is filled by `populate` alone. */
export function servingFacts(facts: object): ServingFacts {
  return facts as ServingFacts
}
