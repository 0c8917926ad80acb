// All frontends that were asked for. Found by the origin of a connection; follows the model.

import type { RateLimit } from '../core/model/rate-limits.ts'
import { serviceKey } from '../core/model/snapshot.ts'
import type { Cluster } from './clusters/cluster.ts'
import type { Clusters } from './clusters/clusters.ts'
import type { Origin } from './exchange.ts'
import { type Composer, Frontend, type FrontendBasis, type FrontendName } from './frontend.ts'
import { redirecting } from './layers/own-answers.ts'
import type { RoutingModel } from './routing-model.ts'

/** Ports of workloads that are asked for by their own address; clients may try as many as they like. */
const mostOfWorkloads = 4_096

const noLimits: readonly RateLimit[] = []

export class Frontends {
  readonly #model: RoutingModel
  readonly #clusters: Clusters
  readonly #compose: Composer
  readonly #waypoint: string | undefined
  readonly #byName = new Map<string, Frontend>()
  /** Names in `#byName`, the one made first at the front. */
  readonly #ofWorkloads = new Set<string>()
  /** All requests of a connection have one origin. */
  readonly #byOrigin = new WeakMap<Origin, Frontend>()

  constructor(model: RoutingModel, clusters: Clusters, compose: Composer, waypoint: string | undefined) {
    this.#model = model
    this.#clusters = clusters
    this.#compose = compose
    this.#waypoint = waypoint
  }

  get count(): number {
    return this.#byName.size
  }

  /** Undefined where the address belongs to nobody, or the service does not have the port. */
  of(origin: Origin): Frontend | undefined {
    const known = this.#byOrigin.get(origin)
    if (known !== undefined && !known.closed) return known
    const found = this.#find(origin)
    if (found !== undefined) this.#byOrigin.set(origin, found)
    return found
  }

  #find({ service, target, destination: { port } }: Origin): Frontend | undefined {
    if (service !== undefined) {
      const key = serviceKey(service)
      const known = this.#model.serviceByKey(key) ?? service
      const hasPort = known.ports.some((each) => each.port === port)
      return hasPort ? this.#named({ service: key, workload: undefined, port }) : undefined
    }
    return target === undefined ? undefined : this.#named({ service: undefined, workload: target.uid, port })
  }

  #named(name: FrontendName): Frontend {
    const key = `${name.service ?? ''} ${name.workload ?? ''} ${name.port}`
    let frontend = this.#byName.get(key)
    if (frontend === undefined) {
      frontend = new Frontend(name, this.#basis(name), this.#compose, redirecting)
      this.#byName.set(key, frontend)
      if (name.workload !== undefined) this.#boundWorkloads(key)
    }
    return frontend
  }

  #boundWorkloads(key: string): void {
    this.#ofWorkloads.add(key)
    if (this.#ofWorkloads.size <= mostOfWorkloads) return
    const [oldest] = this.#ofWorkloads
    const frontend = this.#byName.get(oldest!)
    this.#remove(oldest!, frontend)
    if (frontend?.name.workload !== undefined) this.#clusters.dropWorkload(frontend.name.workload, frontend.name.port)
  }

  #remove(key: string, frontend: Frontend | undefined): void {
    if (frontend !== undefined) frontend.closed = true
    this.#byName.delete(key)
    this.#ofWorkloads.delete(key)
  }

  #basis({ service, port }: FrontendName): FrontendBasis {
    const ofWaypoint = this.#waypoint === undefined ? noLimits : this.#model.rateLimitsOf(this.#waypoint)
    if (service === undefined) return { table: undefined, limits: [ofWaypoint] }
    return { table: this.#model.routesOf(service, port), limits: [this.#model.rateLimitsOf(service), ofWaypoint] }
  }

  /** The model has changed: what this does not touch stays as it is. */
  update(): void {
    for (const [key, frontend] of this.#byName) {
      const { service, workload } = frontend.name
      const exists =
        service !== undefined
          ? this.#model.serviceByKey(service) !== undefined
          : this.#model.workloadByUid(workload ?? '') !== undefined
      if (!exists) this.#remove(key, frontend)
    }
    const used = new Set<Cluster>()
    for (const { clusters } of this.#byName.values()) for (const cluster of clusters) used.add(cluster)
    const changed = this.#clusters.update(used)
    for (const frontend of this.#byName.values()) {
      const basis = this.#basis(frontend.name)
      const touched = changed.size > 0 && [...frontend.clusters].some((cluster) => changed.has(cluster))
      if (touched || !frontend.isMadeOf(basis)) frontend.recompose(basis)
    }
  }
}
