// All destinations that routes lead to, made when one is first asked for and kept as long as the model has it. Follows the model: only
// what a change touches is worked on.

import { isDeepStrictEqual } from 'node:util'
import type { Destination } from '../../core/model/destinations.ts'
import type { Backend, Subset } from '../../core/model/routes.ts'
import type { Service, Workload } from '../../core/model/types.ts'
import { takesHttp2 } from '../detect.ts'
import type { RoutingModel } from '../routing-model.ts'
import { Cluster, type ClusterDeps } from './cluster.ts'
import { endpointOf, hasLabels, type ServingFacts, workloadEndpoint } from './endpoints.ts'
import type { Place } from './options.ts'
import { policyOf } from './policy.ts'

export type ServiceBackend = Backend & { readonly kind: 'service' }

/** What a cluster was last made of: the same objects mean that nothing changed. */
interface Basis {
  readonly members: readonly Workload[]
  readonly destinations: readonly Destination[]
  readonly service: Service | undefined
}

interface Entry {
  readonly cluster: Cluster
  readonly subset: Subset | undefined
  /** For a workload by its own address. */
  readonly workload: string | undefined
  basis: Basis | undefined
  /** No frontend has held on to it since. */
  unusedSinceMs: number | undefined
}

/** So long a destination is kept that no route leads to any more: routes come back, and what is known of its endpoints with them. */
const keptUnusedMs = 600_000

const none: readonly never[] = []

export class Clusters {
  readonly #model: RoutingModel
  readonly #deps: ClusterDeps
  readonly #entries = new Map<string, Entry>()
  #place: Place

  constructor(model: RoutingModel, deps: ClusterDeps) {
    this.#model = model
    this.#deps = deps
    this.#place = deps.place()
  }

  get count(): number {
    return this.#entries.size
  }

  /** @param service its key */
  ofService(service: string, port: number, subset?: Subset): Cluster {
    const key = subset === undefined ? `${service} ${port}` : `${service} ${port} ${JSON.stringify(subset)}`
    return this.#entry(key, () => {
      const cluster = new Cluster({ service, port, subset: subset?.name }, this.#deps)
      return { cluster, subset, workload: undefined, basis: undefined, unusedSinceMs: undefined }
    })
  }

  ofBackend({ service, port, subset }: ServiceBackend): Cluster {
    return this.ofService(service, port, subset)
  }

  /** A workload by its own address: no service's rules hold. */
  ofWorkload(workload: string, port: number): Cluster {
    return this.#entry(workloadKey(workload, port), () => this.#workloadEntry(workload, port))
  }

  /** As `ofWorkload`, for one connection: nothing is kept of it, so clients may try as many ports as they like. */
  onceOfWorkload(workload: string, port: number): Cluster {
    const entry = this.#workloadEntry(workload, port)
    this.#follow(entry)
    return entry.cluster
  }

  #workloadEntry(workload: string, port: number): Entry {
    const cluster = new Cluster({ workload, port }, this.#deps)
    return { cluster, subset: undefined, workload, basis: undefined, unusedSinceMs: undefined }
  }

  #entry(key: string, make: () => Entry): Cluster {
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = make()
      this.#entries.set(key, entry)
      this.#follow(entry)
    }
    entry.unusedSinceMs = undefined
    return entry.cluster
  }

  /**
   * The model has changed.
   * @param used clusters that frontends hold on to; of the others those go whose service or workload is gone, and after a while all
   * @returns those whose policy is another than before
   */
  update(used: ReadonlySet<Cluster>): ReadonlySet<Cluster> {
    const changed = new Set<Cluster>()
    const nowMs = this.#deps.clock()
    this.#rebalance()
    for (const [key, entry] of this.#entries) {
      if (this.#follow(entry)) changed.add(entry.cluster)
      if (used.has(entry.cluster)) entry.unusedSinceMs = undefined
      else {
        entry.unusedSinceMs ??= nowMs
        if (!this.#exists(entry) || nowMs - entry.unusedSinceMs >= keptUnusedMs) this.#drop(key, entry)
      }
    }
    return changed
  }

  /** The waypoint's own place is in the model too, and may come later than the rest. */
  #rebalance(): void {
    const place = this.#deps.place()
    if (isDeepStrictEqual(place, this.#place)) return
    this.#place = place
    for (const { cluster } of this.#entries.values()) cluster.rebalance()
  }

  /** Nobody asks for that port of the workload any more. */
  dropWorkload(workload: string, port: number): void {
    const key = workloadKey(workload, port)
    const entry = this.#entries.get(key)
    if (entry !== undefined) this.#drop(key, entry)
  }

  #drop(key: string, { cluster }: Entry): void {
    cluster.close()
    this.#entries.delete(key)
  }

  #exists({ workload, cluster }: Entry): boolean {
    if (workload !== undefined) return this.#model.workloadByUid(workload) !== undefined
    return this.#model.serviceByKey(cluster.name.service ?? '') !== undefined
  }

  /** @returns whether the policy changed */
  #follow(entry: Entry): boolean {
    const before = entry.basis
    const now = this.#basis(entry, before)
    if (now === before) return false
    entry.basis = now
    const { cluster } = entry
    const changed =
      now.destinations !== before?.destinations &&
      cluster.configure(policyOf(now.destinations, cluster.name.port, cluster.name.subset))
    if (changed || before === undefined || now.members !== before.members || now.service !== before.service) {
      this.#populate(entry, now)
    }
    return changed
  }

  /** `before` itself where nothing changed. */
  #basis({ workload, cluster }: Entry, before: Basis | undefined): Basis {
    if (workload !== undefined) {
      const found = this.#model.workloadByUid(workload)
      if (before !== undefined && before.members[0] === found) return before
      return { members: found === undefined ? none : [found], destinations: none, service: undefined }
    }
    const key = cluster.name.service ?? ''
    const members = this.#model.endpointsOf(key)
    const destinations = this.#model.destinationsOf(key)
    const service = this.#model.serviceByKey(key)
    const same =
      before !== undefined &&
      before.members === members &&
      before.destinations === destinations &&
      before.service === service
    return same ? before : { members, destinations, service }
  }

  #populate({ cluster, subset, workload }: Entry, { members, service }: Basis): void {
    const { port } = cluster.name
    cluster.populate(
      (options) => {
        const found: ServingFacts[] = []
        for (const member of members) {
          if (subset !== undefined && !hasLabels(member, subset.labels)) continue
          const facts =
            workload !== undefined
              ? workloadEndpoint(member, port, options)
              : endpointOf(member, cluster.name.service ?? '', port, options)
          if (facts !== undefined) found.push(facts)
        }
        return found
      },
      service?.hostname,
      service?.identities ?? none,
      takesHttp2(service?.ports.find((each) => each.port === port)?.appProtocol) ? 'http2' : 'auto',
    )
  }

  close(): void {
    for (const { cluster } of this.#entries.values()) cluster.close()
    this.#entries.clear()
  }

  /** For the admin page. */
  toJSON() {
    return [...this.#entries.values()].map(({ cluster }) => cluster.toJSON())
  }
}

function workloadKey(workload: string, port: number): string {
  return `${workload} ${port} workload`
}
