// Where connections go that are not HTTP, and which are to be taken for it: by the rules of TCPRoute, TLSRoute and VirtualService, else
// to the service that the client asked for. Owned by data-plane.ts.
import { asksServerName, compileConnections, routeConnection, takesHttp } from '../core/decide/http/route-connection.ts'
import type { RateLimitTarget } from '../core/model/rate-limits.ts'
import type { RouteTable } from '../core/model/routes.ts'
import { serviceKey } from '../core/model/snapshot.ts'
import type { Endpoint } from './balance/endpoint-table.ts'
import { hash32 } from './balance/hash.ts'
import { type Cluster, servingFacts } from './clusters/cluster.ts'
import type { Clusters } from './clusters/clusters.ts'
import { hintOf, type ProtocolHint } from './detect.ts'
import type { Origin } from './exchange.ts'
import { Failure } from './http/failure.ts'
import type { OutlierOutcome } from './outlier/detector.ts'
import type { RoutingModel } from './routing-model.ts'
import type { UpstreamTarget } from './upstream/upstream.ts'

/** What one connection is: where it goes, and what it costs there. */
export interface Picking {
  /** The next endpoint to try; undefined where none is left. Throws Failure `denied` where no rule lets it go anywhere. */
  pick(): UpstreamTarget | undefined
  /** Whether the endpoint that was picked last could be reached, for outlier detection. */
  dialled(failure: Failure | undefined): void
  /** The connection is over. */
  ended(): void
}

const reached: OutlierOutcome = { kind: 'response', status: 200 }
const unreachable: OutlierOutcome = { kind: 'unreachable' }

export class ConnectionRouting {
  readonly #model: RoutingModel
  readonly #clusters: Clusters
  readonly #random: () => number
  /** Key of the waypoint's own Service. */
  readonly #waypoint: string
  readonly #compiled = new WeakMap<RouteTable, ReturnType<typeof compileConnections>>()

  constructor(model: RoutingModel, clusters: Clusters, random: () => number, waypoint: string) {
    this.#model = model
    this.#clusters = clusters
    this.#random = random
    this.#waypoint = waypoint
  }

  /**
   * What is known of what a client speaks before it says anything. Where rules for HTTP requests or limits of their rate are attached, a
   * client that waits for the server to speak must not get past them.
   */
  hintFor(origin: Origin): ProtocolHint | undefined {
    const { service, destination, identity } = origin
    if (service === undefined) return this.#silent(origin)
    const table = this.#tableOf(origin)
    if (table !== undefined && !takesHttp(table, identity.namespace)) return 'tcp'
    const called = service.ports.find(({ port }) => port === destination.port)
    const named = hintOf(called?.name ?? '', called?.appProtocol)
    return named ?? (table === undefined ? this.#silent(origin) : 'http')
  }

  /** Limits count requests: who only waits a moment before the first would pass them by. */
  #silent(origin: Origin): ProtocolHint | undefined {
    return this.#isLimited(origin) ? 'client-first' : undefined
  }

  #isLimited({ service, destination: { port } }: Origin): boolean {
    if (this.#model.rateLimitsOf(this.#waypoint).length > 0) return true
    if (service === undefined) return false
    const key = serviceKey(service)
    const isFor = (target: RateLimitTarget): boolean =>
      target.kind === 'service' && target.service === key && (target.port === undefined || target.port === port)
    return this.#model.rateLimitsOf(key).some(({ targets }) => targets.some(isFor))
  }

  /** Whether a connection that is no HTTP is routed by the server name of its TLS, so that somebody must wait for it. */
  asksServerName(origin: Origin): boolean {
    const table = this.#tableOf(origin)
    return table !== undefined && asksServerName(table, origin.identity.namespace)
  }

  /** Decides once, by the weights, then picks endpoints of the same destination. */
  picking(origin: Origin, serverName: string | undefined): Picking {
    const tried = new Set<Endpoint>()
    let cluster: Cluster | undefined
    let current: Endpoint | undefined
    const ended = (): void => {
      current?.ended()
      current = undefined
    }
    const pick = (): UpstreamTarget | undefined => {
      ended()
      cluster ??= this.#clusterOf(origin, serverName)
      const hash = cluster.hash?.by === 'source' ? hash32(origin.address.address) : undefined
      const picked = cluster.balancer.pick(tried.size === 0 && hash === undefined ? undefined : { tried, hash })
      if (picked === undefined || tried.has(picked)) return undefined
      tried.add(picked)
      picked.began()
      current = picked
      return servingFacts(picked.facts).upstream
    }
    const dialled = (failure: Failure | undefined): void => {
      if (current === undefined || failure?.kind === 'denied' || failure?.kind === 'client') return
      cluster?.outliers?.observe(current.key, failure === undefined ? reached : unreachable)
    }
    return { pick, dialled, ended }
  }

  #clusterOf(origin: Origin, serverName: string | undefined): Cluster {
    const { service, target, destination, address, identity, workload } = origin
    const { port } = destination
    if (service === undefined) return this.#clusters.onceOfWorkload(target?.uid ?? '', port)
    if (!service.ports.some((each) => each.port === port)) {
      throw new Failure('no-endpoint', `${serviceKey(service)} has no port ${port}`)
    }
    const table = this.#tableOf(origin)
    if (table === undefined) return this.#clusters.ofService(serviceKey(service), port)
    const decision = routeConnection(
      this.#routesOf(table),
      {
        port,
        destination: destination.address,
        source: address.address,
        sourceNamespace: identity.namespace,
        serverName,
        ...(workload === undefined ? {} : { sourceLabels: workload.labels }),
      },
      this.#random(),
    )
    if (decision.kind === 'forward') return this.#clusters.ofBackend(decision.backend)
    if (decision.kind === 'unrouted') return this.#clusters.ofService(serviceKey(service), port)
    throw new Failure('denied', decision.reason)
  }

  #tableOf({ service, destination }: Origin): RouteTable | undefined {
    return service === undefined ? undefined : this.#model.routesOf(serviceKey(service), destination.port)
  }

  #routesOf(table: RouteTable): ReturnType<typeof compileConnections> {
    let compiled = this.#compiled.get(table)
    if (compiled === undefined) {
      compiled = compileConnections(table)
      this.#compiled.set(table, compiled)
    }
    return compiled
  }
}
