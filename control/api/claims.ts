// Which objects may own which address, so that a write is checked against the whole store without reading it. Follows the store, and
// is told of each write here at once; resources.ts asks it inside its write lock.
import { type Problem, problemAt } from '../../core/model/problem.ts'
import type { MeshObject, ObjectKey } from '../../core/model/resource.ts'
import { formatObjectKey } from '../../core/model/resource.ts'
import { claimsOf, objectKeyOf } from '../../core/model/validate-set.ts'
import type { StoreListener } from '../store/follower.ts'
import type { Store, StoredObject, StoreEvent } from '../store/store.ts'

/** Only these kinds own addresses. */
const claimingKinds = ['WorkloadEntry', 'Service']

/** Who claimed an address, by formatObjectKey, and in which revision. */
type Owners = Map<string, { readonly key: ObjectKey; readonly revision: number }>

export class ClaimIndex implements StoreListener {
  readonly #store: Store
  /** Never less than what is claimed; what is claimed no more goes when somebody asks. */
  #owners: Map<string, Owners> | undefined

  constructor(store: Store) {
    this.#store = store
  }

  /** Addresses of the object that belong to another one. */
  async clashes(object: MeshObject): Promise<readonly Problem[]> {
    const wanted = claimIds(object)
    if (wanted.length === 0) return []
    const owners = await this.#load()
    const own = formatObjectKey(objectKeyOf(object))
    const problems: Problem[] = []
    for (const { id, at, address } of wanted) {
      for (const [name, { key, revision }] of [...(owners.get(id) ?? [])]) {
        if (name === own) continue
        // the store has the last word
        const current = await this.#store.get(key)
        if (current === undefined || !claimIds(current.object).some((claim) => claim.id === id)) {
          forget(owners, id, name, Math.max(revision, current?.revision ?? 0))
        } else problems.push(problemAt(at, `${address} belongs to ${name} already`, 'duplicate'))
      }
    }
    return problems
  }

  /** After a creation or an update here. */
  put(stored: StoredObject): void {
    if (this.#owners !== undefined) put(this.#owners, stored)
  }

  reset(objects: ReadonlyMap<string, StoredObject>): void {
    // what was written here after the list was made is among the old ones
    const owners = this.#owners ?? new Map<string, Owners>()
    for (const stored of objects.values()) put(owners, stored)
    this.#owners = owners
  }

  changed(name: string, { type, stored }: StoreEvent): void {
    if (this.#owners === undefined) return
    if (type !== 'DELETED') put(this.#owners, stored)
    else for (const { id } of claimIds(stored.object)) forget(this.#owners, id, name, stored.revision)
  }

  async #load(): Promise<Map<string, Owners>> {
    if (this.#owners !== undefined) return this.#owners
    const owners = new Map<string, Owners>()
    for (const kind of claimingKinds) {
      const { items } = await this.#store.list({ kind })
      for (const stored of items) put(owners, stored)
    }
    this.#owners = owners
    return owners
  }
}

function put(owners: Map<string, Owners>, { key, object, revision }: StoredObject): void {
  for (const { id } of claimIds(object)) {
    const claimed = owners.get(id) ?? new Map()
    owners.set(id, claimed.set(formatObjectKey(key), { key, revision }))
  }
}

/** Claims that are newer than the revision stay. */
function forget(owners: Map<string, Owners>, id: string, name: string, revision: number): void {
  const claimed = owners.get(id)
  if (claimed === undefined || (claimed.get(name)?.revision ?? 0) > revision) return
  claimed.delete(name)
  if (claimed.size === 0) owners.delete(id)
}

function claimIds(object: MeshObject) {
  return claimsOf(object).map((claim) => ({ ...claim, id: `${object.kind}|${claim.scope}|${claim.address}` }))
}
