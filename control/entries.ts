// The WorkloadEntries of the mesh by name, host and address, so that a host's report costs what it is about. Follows the store;
// whoever writes an entry puts it here too, and so reads what it wrote. Used by reports.ts and routes.ts.
import type { View } from '../core/feed/views.ts'
import { workloadEntryKind } from '../core/model/kinds/istio.ts'
import type { MeshObject } from '../core/model/resource.ts'
import { nameOf } from './compile/conditions.ts'
import { annotation } from './compile/order.ts'
import { names } from './compile/settings.ts'
import { claimedGateway } from './compile/waypoints/gateway.ts'
import { addressesOf, effectiveLabels, serviceAccountOf } from './compile/workload-entry.ts'
import { isReported } from './placement.ts'
import type { StoreListener } from './store/follower.ts'
import type { StoredObject, StoreEvent } from './store/store.ts'

interface Held {
  readonly object: MeshObject
  readonly revision: number
  readonly addresses: readonly string[]
  readonly host: string
  /** Whose instance it is, see `gatewayOf`. */
  readonly gateway: string | undefined
}

export class EntryIndex implements StoreListener {
  readonly #held = new Map<string, Held>()
  readonly #byHost = new Map<string, Map<string, MeshObject>>()
  readonly #byAddress = new Map<string, Set<string>>()
  readonly #byGateway = new Map<string, Map<string, MeshObject>>()
  /** Revisions of entries that were deleted here and whose deletion has not come back from the store. */
  readonly #forgotten = new Map<string, number>()

  /** Those that the agent of a host reported. */
  reportedBy(host: string): readonly MeshObject[] {
    return [...(this.#byHost.get(host)?.values() ?? [])].filter(isReported)
  }

  /** Hosts on which there are any. */
  hosts(): readonly string[] {
    return [...this.#byHost.keys()].filter((host) => host !== '' && this.#hasReported(host))
  }

  /** Instances of the waypoint that a Gateway `namespace/name` declares. */
  instancesOf(gateway: string): readonly MeshObject[] {
    return [...(this.#byGateway.get(gateway)?.values() ?? [])]
  }

  /** All that say they are on a host. */
  onHost(host: string): readonly MeshObject[] {
    return [...(this.#byHost.get(host)?.values() ?? [])]
  }

  /** The entry `namespace/name`. */
  get(name: string): MeshObject | undefined {
    return this.#held.get(name)?.object
  }

  /** Those that have an address. */
  withAddress(address: string): readonly MeshObject[] {
    return [...(this.#byAddress.get(address) ?? [])].map((name) => this.#held.get(name)!.object)
  }

  /** As the store answered to a write. */
  put(object: MeshObject): void {
    this.#put(object, Number(object.metadata.resourceVersion ?? 0))
  }

  /** After a deletion; `object` as it was. */
  forget(object: MeshObject): void {
    const name = nameOf(object)
    const revision = Math.max(Number(object.metadata.resourceVersion ?? 0), this.#held.get(name)?.revision ?? 0)
    this.#forgotten.set(name, revision)
    this.#remove(name)
  }

  reset(objects: ReadonlyMap<string, StoredObject>, revision: number): void {
    const entries = [...objects.values()].filter(({ key }) => isEntry(key))
    const listed = new Set(entries.map(({ object }) => nameOf(object)))
    this.#forgotten.clear()
    for (const [name, held] of [...this.#held]) {
      // What was written here after the list was made will come again.
      if (!listed.has(name) && held.revision <= revision) this.#remove(name)
    }
    for (const stored of entries) this.#put(stored.object, stored.revision)
  }

  changed(_: string, { type, stored }: StoreEvent): void {
    if (!isEntry(stored.key)) return
    const name = nameOf(stored.object)
    if (type !== 'DELETED') this.#put(stored.object, stored.revision)
    else {
      // an earlier deletion of the same name says nothing of the last one
      if (stored.revision > (this.#forgotten.get(name) ?? -1)) this.#forgotten.delete(name)
      if ((this.#held.get(name)?.revision ?? 0) <= stored.revision) this.#remove(name)
    }
  }

  #hasReported(host: string): boolean {
    for (const entry of this.#byHost.get(host)?.values() ?? []) if (isReported(entry)) return true
    return false
  }

  #put(object: MeshObject, revision: number): void {
    const name = nameOf(object)
    if (revision < (this.#held.get(name)?.revision ?? 0) || revision <= (this.#forgotten.get(name) ?? -1)) return
    this.#remove(name)
    const host = annotation(object, names.node) ?? ''
    const addresses = addressesOf(object)
    const gateway = gatewayOf(object)
    this.#held.set(name, { object, revision, addresses, host, gateway })
    put(this.#byHost, host, name, object)
    if (gateway !== undefined) put(this.#byGateway, gateway, name, object)
    for (const address of addresses) {
      const owners = this.#byAddress.get(address) ?? new Set<string>()
      this.#byAddress.set(address, owners.add(name))
    }
  }

  #remove(name: string): void {
    const held = this.#held.get(name)
    if (held === undefined) return
    this.#held.delete(name)
    drop(this.#byHost, held.host, name)
    if (held.gateway !== undefined) drop(this.#byGateway, held.gateway, name)
    for (const address of held.addresses) {
      const owners = this.#byAddress.get(address)
      owners?.delete(name)
      if (owners?.size === 0) this.#byAddress.delete(address)
    }
  }
}

/** `namespace/name` of the Gateway that a workload says it is an instance of, and has the identity for. */
export function gatewayOf(object: MeshObject): string | undefined {
  const { namespace = '' } = object.metadata
  return claimedGateway({ namespace, serviceAccount: serviceAccountOf(object), labels: effectiveLabels(object) })
}

/** What a host is that is not connected: a waypoint where all that it reported are instances of waypoints. */
export function viewByEntries(reported: readonly MeshObject[]): View {
  return reported.length > 0 && reported.every((entry) => gatewayOf(entry) !== undefined) ? 'waypoint' : 'agent'
}

type Groups = Map<string, Map<string, MeshObject>>

function put(groups: Groups, group: string, name: string, object: MeshObject): void {
  const members = groups.get(group) ?? new Map<string, MeshObject>()
  groups.set(group, members.set(name, object))
}

function drop(groups: Groups, group: string, name: string): void {
  const members = groups.get(group)
  members?.delete(name)
  if (members?.size === 0) groups.delete(group)
}

function isEntry({ group, kind }: StoredObject['key']): boolean {
  return kind === workloadEntryKind.kind && group === workloadEntryKind.group
}
