// Which object owns which address, so that a write is checked against the whole store without reading it. Built from the store
// at the first write and kept by every later one; resources.ts asks it inside its write lock.

import { type Problem, problemAt } from '../../core/model/problem.ts'
import type { MeshObject, ObjectKey } from '../../core/model/resource.ts'
import { formatObjectKey } from '../../core/model/resource.ts'
import { claimsOf, objectKeyOf } from '../../core/model/validate-set.ts'
import type { Store } from '../store/store.ts'

/** Only these kinds own addresses. */
const claimingKinds = ['WorkloadEntry', 'Service']

export class ClaimIndex {
  readonly #store: Store
  #owners: Map<string, ObjectKey> | undefined

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
      const owner = owners.get(id)
      if (owner === undefined || formatObjectKey(owner) === own) continue
      // the store has the last word: somebody may have deleted the owner without passing here
      const current = await this.#store.get(owner)
      if (current === undefined || !claimIds(current.object).some((claim) => claim.id === id)) owners.delete(id)
      else problems.push(problemAt(at, `${address} belongs to ${formatObjectKey(owner)} already`, 'duplicate'))
    }
    return problems
  }

  /** After a write: `before` and `after` are absent for a creation and a deletion. */
  changed(before: MeshObject | undefined, after: MeshObject | undefined): void {
    if (this.#owners === undefined) return
    if (before !== undefined) for (const { id } of claimIds(before)) this.#owners.delete(id)
    if (after !== undefined) for (const { id } of claimIds(after)) this.#owners.set(id, objectKeyOf(after))
  }

  async #load(): Promise<Map<string, ObjectKey>> {
    if (this.#owners !== undefined) return this.#owners
    const owners = new Map<string, ObjectKey>()
    for (const kind of claimingKinds) {
      const { items } = await this.#store.list({ kind })
      for (const { key, object } of items) for (const { id } of claimIds(object)) owners.set(id, key)
    }
    this.#owners = owners
    return owners
  }
}

function claimIds(object: MeshObject) {
  return claimsOf(object).map((claim) => ({ ...claim, id: `${object.kind}|${claim.scope}|${claim.address}` }))
}
