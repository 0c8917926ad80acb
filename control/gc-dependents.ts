// Who belongs to whom, as the garbage collector (gc.ts) has seen it in the store: by owner, by namespace, by uid.
import { formatObjectKey, type ObjectKey, type OwnerReference } from '../core/model/resource.ts'
import type { StoredObject } from './store/store.ts'

interface Entry {
  readonly key: ObjectKey
  readonly uid: string
  readonly owners: readonly OwnerReference[]
  readonly deleting: boolean
}

export class Dependents {
  readonly #entries = new Map<string, Entry>()
  readonly #byUid = new Map<string, ObjectKey>()
  readonly #byOwner = new Map<string, Map<string, ObjectKey>>()
  readonly #byNamespace = new Map<string, Map<string, ObjectKey>>()

  clear(): void {
    for (const index of [this.#entries, this.#byUid, this.#byOwner, this.#byNamespace]) index.clear()
  }

  set({ key, object }: StoredObject): void {
    this.#forget(key)
    const id = formatObjectKey(key)
    const { uid = '', ownerReferences: owners = [], deletionTimestamp } = object.metadata
    this.#entries.set(id, { key, uid, owners, deleting: deletionTimestamp !== undefined })
    this.#byUid.set(uid, key)
    for (const owner of owners) put(this.#byOwner, owner.uid, id, key)
    if (key.namespace !== '') put(this.#byNamespace, key.namespace, id, key)
  }

  delete({ key }: StoredObject): void {
    this.#forget(key)
  }

  has(key: ObjectKey): boolean {
    return this.#entries.has(formatObjectKey(key))
  }

  isDeleting(key: ObjectKey): boolean {
    return this.#entries.get(formatObjectKey(key))?.deleting === true
  }

  byUid(uid: string): ObjectKey | undefined {
    return this.#byUid.get(uid)
  }

  /** Objects with a reference to this owner. */
  of(uid: string | undefined): readonly ObjectKey[] {
    return [...(this.#byOwner.get(uid ?? '')?.values() ?? [])]
  }

  ownersOf(key: ObjectKey): readonly OwnerReference[] {
    return this.#entries.get(formatObjectKey(key))?.owners ?? []
  }

  uidOf(key: ObjectKey): string | undefined {
    return this.#entries.get(formatObjectKey(key))?.uid
  }

  /** Uids of the owners of this object, of theirs, and so on: of itself, where they go in a circle. */
  above(uid: string | undefined): ReadonlySet<string | undefined> {
    const found = new Set<string | undefined>()
    const open = [uid]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const key = this.#byUid.get(next)
      for (const owner of key === undefined ? [] : this.ownersOf(key)) {
        if (found.has(owner.uid)) continue
        found.add(owner.uid)
        open.push(owner.uid)
      }
    }
    return found
  }

  inNamespace(namespace: string): readonly ObjectKey[] {
    return [...(this.#byNamespace.get(namespace)?.values() ?? [])]
  }

  #forget(key: ObjectKey): void {
    const id = formatObjectKey(key)
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    this.#byUid.delete(entry.uid)
    for (const owner of entry.owners) remove(this.#byOwner, owner.uid, id)
    remove(this.#byNamespace, key.namespace, id)
  }
}

type Index = Map<string, Map<string, ObjectKey>>

function put(index: Index, under: string, id: string, key: ObjectKey): void {
  const group = index.get(under)
  if (group === undefined) index.set(under, new Map([[id, key]]))
  else group.set(id, key)
}

function remove(index: Index, under: string, id: string): void {
  const group = index.get(under)
  if (group?.delete(id) === true && group.size === 0) index.delete(under)
}
