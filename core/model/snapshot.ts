// The compiled model as a proxy holds it: everything that route, authorize and DNS look up, indexed. Deltas of the feed are
// applied synchronously, so no connection ever sees half of one. Every data worker, the agent and `explain` own one each.
import { isDeepStrictEqual } from 'node:util'
import { CidrTrie } from '../net/cidr.ts'
import { checkResource, isCompiledKind } from './compiled-schema.ts'
import type { Destination } from './destinations.ts'
import { digestOf } from './digest.ts'
import { isLayerSeven, LayerSevenIndex } from './layer-seven-index.ts'
import { Owners } from './owners.ts'
import { compilePolicy, type Policy } from './policy.ts'
import { PolicyIndex, type PolicySet } from './policy-index.ts'
import type { RateLimit } from './rate-limits.ts'
import type { RouteTable } from './routes.ts'
import { type ChangeRecord, noChange, record, type SnapshotChange } from './snapshot-change.ts'
import { denyAllFor, unreadableRoutes } from './stand-in.ts'
import type {
  Authorization,
  CompiledDelta,
  CompiledKey,
  CompiledKind,
  CompiledResource,
  MeshSettings,
  RefusedResource,
  Service,
  Workload,
} from './types.ts'

/** Until the control plane has spoken. */
const initialSettings: MeshSettings = {
  trustDomain: 'cluster.local',
  clusterName: 'Kubernetes',
  rootNamespace: 'culvert-system',
  vipRanges: ['240.240.0.0/16', '2001:2::/48'],
  serviceDomain: 'svc.cluster.local',
}

const noEndpoints: readonly Workload[] = []

/** Peers with a tunnel come first: a stale neighbour on the same address must never downgrade traffic to plaintext. */
function byTrust(a: Workload, b: Workload): number {
  if (a.protocol !== b.protocol) return a.protocol === 'HBONE' ? -1 : 1
  if (a.health !== b.health) return a.health === 'healthy' ? -1 : 1
  return a.uid < b.uid ? -1 : 1
}

function byKey(a: Service, b: Service): number {
  return serviceKey(a) < serviceKey(b) ? -1 : 1
}

/** `namespace/hostname`. */
export function serviceKey(service: Service): string {
  return `${service.namespace}/${service.hostname}`
}

export class Snapshot {
  #epoch = ''
  #version = 0
  #settings = initialSettings
  #virtual = rangesOf(initialSettings)
  #lastChange: ChangeRecord = noChange()
  readonly #held: Readonly<Record<CompiledKind, Map<string, CompiledResource>>> = {
    Mesh: new Map(),
    Workload: new Map(),
    Service: new Map(),
    Authorization: new Map(),
    Routes: new Map(),
    Destination: new Map(),
    RateLimit: new Map(),
  }
  readonly #workloadByAddress = new Owners<Workload>(byTrust)
  readonly #serviceByVip = new Owners<Service>(byKey)
  readonly #serviceByHostname = new Owners<Service>(byKey)
  readonly #endpoints = new Map<
    string,
    { readonly members: Map<string, Workload>; list?: readonly Workload[] | undefined }
  >()
  readonly #policies = new PolicyIndex()
  readonly #layerSeven = new LayerSevenIndex()
  /** Tables that stand in for ones that could not be read. */
  readonly #unreadable = new WeakSet<object>()
  readonly #digests = new WeakMap<CompiledResource, string>()

  /** Epoch of the last delta; empty before the first. */
  get epoch(): string {
    return this.#epoch
  }

  get version(): number {
    return this.#version
  }

  get settings(): MeshSettings {
    return this.#settings
  }

  /** What the last `apply` changed. */
  get lastChange(): SnapshotChange {
    return this.#lastChange
  }

  /**
   * Takes a delta: each resource wholly or not at all. What is refused is returned with the reason; of a refused Workload,
   * Service, Mesh, Destination or RateLimit the previous value stays, in place of a refused Authorization everything in its scope
   * is denied, in place of refused Routes every request to the frontend is answered with 503.
   */
  apply(delta: CompiledDelta): readonly RefusedResource[] {
    const change = noChange()
    const refused: RefusedResource[] = []
    if (delta.full) this.#keepOnly(delta.upserts, change)
    else for (const { kind, key } of delta.removes) this.#remove(kind, key, change)
    for (const resource of delta.upserts) {
      const reason = this.#put(resource, change)
      if (reason !== undefined) refused.push({ kind: resource?.kind, key: String(resource?.key), reason })
    }
    this.#epoch = delta.epoch
    this.#version = delta.version
    this.#lastChange = change
    return refused
  }

  workloadByUid(uid: string): Workload | undefined {
    return heldValue<Workload>(this.#held.Workload.get(uid))
  }

  /** `address` canonical. Of several owners the one with a tunnel, then the healthy one, then the smaller uid. */
  workloadByAddress(address: string): Workload | undefined {
    return this.#workloadByAddress.get(address)
  }

  serviceByVip(address: string): Service | undefined {
    return this.#serviceByVip.get(address)
  }

  serviceByKey(key: string): Service | undefined {
    return heldValue<Service>(this.#held.Service.get(key))
  }

  /** `hostname` in lower case. */
  serviceByHostname(hostname: string): Service | undefined {
    return this.#serviceByHostname.get(hostname)
  }

  /** Members of a service in the order of their uids; the same array until one of them changes. */
  endpointsOf(key: string): readonly Workload[] {
    const endpoints = this.#endpoints.get(key)
    if (endpoints === undefined) return noEndpoints
    endpoints.list ??= [...endpoints.members.values()].sort((a, b) => (a.uid < b.uid ? -1 : 1))
    return endpoints.list
  }

  authorization(key: string): Authorization | undefined {
    return heldValue<Authorization>(this.#held.Authorization.get(key))
  }

  /** The matchers that decide for `workload`. */
  authorizationsFor(workload: Workload): PolicySet {
    return this.#policies.for(workload)
  }

  /** Routes of one port of a service, if any are attached. @param key of the Service */
  routesOf(key: string, port: number): RouteTable | undefined {
    return this.#layerSeven.routesOf(key, port)
  }

  /** What DestinationRules say of a service: at most one that says it all. */
  destinationsOf(key: string): readonly Destination[] {
    return this.#layerSeven.destinationsOf(key)
  }

  /** Limits whose targets name the service, a route that is attached to it, or the waypoint that it is; by name. */
  rateLimitsOf(key: string): readonly RateLimit[] {
    return this.#layerSeven.rateLimitsOf(key)
  }

  /** Whether the address is in a range of virtual IPs, owned by a service or not. */
  isVirtual(address: string): boolean {
    return this.#virtual.matches(address)
  }

  *workloads(): IterableIterator<Workload> {
    for (const resource of this.#held.Workload.values()) yield resource.value as Workload
  }

  *services(): IterableIterator<Service> {
    for (const resource of this.#held.Service.values()) yield resource.value as Service
  }

  *authorizations(): IterableIterator<Authorization> {
    for (const resource of this.#held.Authorization.values()) yield resource.value as Authorization
  }

  *routes(): IterableIterator<RouteTable> {
    for (const resource of this.#held.Routes.values()) yield resource.value as RouteTable
  }

  *destinations(): IterableIterator<Destination> {
    for (const resource of this.#held.Destination.values()) yield resource.value as Destination
  }

  *rateLimits(): IterableIterator<RateLimit> {
    for (const resource of this.#held.RateLimit.values()) yield resource.value as RateLimit
  }

  /** The same for equal states, whatever led to them. */
  digest(): string {
    return digestOf(this.digests())
  }

  /** Content digest of every resource held, keyed `Kind/key`. */
  digests(): Record<string, string> {
    const digests: Record<string, string> = {}
    for (const resource of this.#resources()) {
      let digest = this.#digests.get(resource)
      if (digest === undefined) {
        digest = digestOf(resource.value)
        this.#digests.set(resource, digest)
      }
      digests[`${resource.kind}/${resource.key}`] = digest
    }
    return digests
  }

  /** The whole state as one full delta, for a state file or another snapshot. */
  toDelta(): CompiledDelta {
    return { epoch: this.#epoch, version: this.#version, full: true, upserts: [...this.#resources()], removes: [] }
  }

  *#resources(): IterableIterator<CompiledResource> {
    for (const kind of Object.values(this.#held)) yield* kind.values()
  }

  /** Drops what a full delta does not name. The settings stay until others come. */
  #keepOnly(upserts: readonly CompiledResource[], change: ChangeRecord): void {
    const named = new Set(upserts.map((resource) => `${resource?.kind}/${resource?.key}`))
    const gone = [...this.#resources()].filter(({ kind, key }) => !named.has(`${kind}/${key}`))
    for (const { kind, key } of gone) this.#remove(kind, key, change)
  }

  #remove(kind: CompiledKey['kind'], key: string, change: ChangeRecord): void {
    if (!isCompiledKind(kind) || kind === 'Mesh') return
    const held = this.#held[kind].get(key)
    if (held === undefined) return
    this.#held[kind].delete(key)
    this.#unindex(held)
    record(change, held)
  }

  #put(resource: CompiledResource, change: ChangeRecord): string | undefined {
    if (!isCompiledKind(resource?.kind)) return 'unknown kind'
    let reason = checkResource(resource)
    if (reason === undefined) reason = this.#store(resource, change)
    if (reason !== undefined && resource.kind === 'Authorization')
      this.#deny(resource.key, resource.value, reason, change)
    if (reason !== undefined && resource.kind === 'Routes') this.#standIn(resource.key, reason, change)
    return reason
  }

  /** Replaces the value under the resource's key. Nothing is changed before everything that may throw is done. */
  #store({ kind, key, value }: CompiledResource, change: ChangeRecord): string | undefined {
    const held = this.#held[kind].get(key)
    if (held !== undefined && isDeepStrictEqual(held.value, value) && !this.#isStandIn(held)) return undefined
    const resource = { kind, key, value } as CompiledResource
    try {
      const index = this.#indexer(resource)
      if (held !== undefined) this.#unindex(held)
      this.#held[kind].set(key, resource)
      index()
    } catch (error: unknown) {
      return error instanceof Error ? error.message : String(error)
    }
    if (held !== undefined) record(change, held)
    record(change, resource)
    return undefined
  }

  #deny(key: string, value: unknown, reason: string, change: ChangeRecord): void {
    const held = this.#held.Authorization.get(key)
    const denyAll = denyAllFor(key, value, heldValue<Authorization>(held), this.#settings.rootNamespace)
    const resource: CompiledResource = { kind: 'Authorization', key, value: denyAll }
    this.#held.Authorization.set(key, resource)
    this.#policies.set(compilePolicy(key, denyAll, reason))
    record(change, resource)
  }

  /** Takes the place of the frontend's routes, those before them too. */
  #standIn(key: string, reason: string, change: ChangeRecord): void {
    const value = unreadableRoutes(key, reason)
    if (value === undefined) return
    this.#unreadable.add(value)
    this.#store({ kind: 'Routes', key, value }, change)
  }

  #isStandIn(resource: CompiledResource): boolean {
    if (resource.kind === 'Routes') return this.#unreadable.has(resource.value)
    return resource.kind === 'Authorization' && this.#policies.get(resource.key)?.standsInFor !== undefined
  }

  /** Does the work that may fail, and returns the rest. */
  #indexer(resource: CompiledResource): () => void {
    switch (resource.kind) {
      case 'Mesh': {
        const virtual = rangesOf(resource.value)
        return () => {
          this.#settings = resource.value
          this.#virtual = virtual
        }
      }
      case 'Workload':
        return () => this.#indexWorkload(resource.value)
      case 'Service':
        return () => {
          for (const vip of resource.value.vips) this.#serviceByVip.add(vip, resource.value)
          this.#serviceByHostname.add(resource.value.hostname.toLowerCase(), resource.value)
        }
      case 'Authorization': {
        const policy: Policy = compilePolicy(resource.key, resource.value)
        return () => this.#policies.set(policy)
      }
      case 'Routes':
      case 'Destination':
      case 'RateLimit':
        return () => this.#layerSeven.set(resource)
    }
  }

  #unindex(resource: CompiledResource): void {
    if (resource.kind === 'Workload') this.#unindexWorkload(resource.value)
    if (resource.kind === 'Authorization') this.#policies.delete(resource.key)
    if (isLayerSeven(resource)) this.#layerSeven.delete(resource)
    if (resource.kind !== 'Service') return
    for (const vip of resource.value.vips) this.#serviceByVip.delete(vip, resource.value)
    this.#serviceByHostname.delete(resource.value.hostname.toLowerCase(), resource.value)
  }

  #indexWorkload(workload: Workload): void {
    for (const address of workload.addresses) this.#workloadByAddress.add(address, workload)
    for (const { service } of workload.services) {
      const endpoints = this.#endpoints.get(service)
      if (endpoints === undefined) this.#endpoints.set(service, { members: new Map([[workload.uid, workload]]) })
      else {
        endpoints.members.set(workload.uid, workload)
        endpoints.list = undefined
      }
    }
  }

  #unindexWorkload(workload: Workload): void {
    for (const address of workload.addresses) this.#workloadByAddress.delete(address, workload)
    for (const { service } of workload.services) {
      const endpoints = this.#endpoints.get(service)
      if (endpoints === undefined) continue
      endpoints.members.delete(workload.uid)
      endpoints.list = undefined
      if (endpoints.members.size === 0) this.#endpoints.delete(service)
    }
  }
}

function heldValue<T extends CompiledResource['value']>(resource: CompiledResource | undefined): T | undefined {
  return resource?.value as T | undefined
}

function rangesOf(settings: MeshSettings): CidrTrie<true> {
  const ranges = new CidrTrie<true>()
  for (const range of settings.vipRanges) ranges.insert(range, true)
  return ranges
}
