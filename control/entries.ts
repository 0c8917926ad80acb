// The WorkloadEntries of the mesh by name, host and address, so that a host's report costs what it is about. Follows the store;
// whoever writes an entry puts it here too, and so reads what it wrote. Used by reports.ts and routes.ts.
import { workloadEntryKind } from '../core/model/kinds/istio.ts'
import type { MeshObject } from '../core/model/resource.ts'
import { nameOf } from './compile/conditions.ts'
import { annotation } from './compile/order.ts'
import { names } from './compile/settings.ts'
import { addressesOf } from './compile/workload-entry.ts'
import { isReported } from './placement.ts'
import type { StoreListener } from './store/follower.ts'
import type { StoredObject, StoreEvent } from './store/store.ts'

interface Held {
  readonly object: MeshObject
  readonly revision: number
  readonly addresses: readonly string[]
  readonly host: string
}

export class EntryIndex implements StoreListener {
  readonly #held = new Map<string, Held>()
  readonly #byHost = new Map<string, Map<string, MeshObject>>()
  readonly #byAddress = new Map<string, Set<string>>()
  /** Revisions of entries that were deleted here and whose deletion has not come back from the store. */
  readonly #forgotten = new Map<string, number>()

  /** Those that the agent of a host reported. */
  reportedBy(host: string): readonly MeshObject[] {
    return [...(this.#byHost.get(host)?.values() ?? [])].filter(isReported)
  }

  /** Hosts on which there are any. */
  hosts(): readonly string[] {
    return [...this.#byHost.keys()].filter((host) => host !== '' && this.reportedBy(host).length > 0)
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

  #put(object: MeshObject, revision: number): void {
    const name = nameOf(object)
    if (revision < (this.#held.get(name)?.revision ?? 0) || revision <= (this.#forgotten.get(name) ?? -1)) return
    this.#remove(name)
    const host = annotation(object, names.node) ?? ''
    const addresses = addressesOf(object)
    this.#held.set(name, { object, revision, addresses, host })
    const onHost = this.#byHost.get(host) ?? new Map<string, MeshObject>()
    this.#byHost.set(host, onHost.set(name, object))
    for (const address of addresses) {
      const owners = this.#byAddress.get(address) ?? new Set<string>()
      this.#byAddress.set(address, owners.add(name))
    }
  }

  #remove(name: string): void {
    const held = this.#held.get(name)
    if (held === undefined) return
    this.#held.delete(name)
    const onHost = this.#byHost.get(held.host)
    onHost?.delete(name)
    if (onHost?.size === 0) this.#byHost.delete(held.host)
    for (const address of held.addresses) {
      const owners = this.#byAddress.get(address)
      owners?.delete(name)
      if (owners?.size === 0) this.#byAddress.delete(address)
    }
  }
}

function isEntry({ group, kind }: StoredObject['key']): boolean {
  return kind === workloadEntryKind.kind && group === workloadEntryKind.group
}
