// An index from an address or name to the one resource that owns it, where several may claim it at once: while an address
// passes from a workload to its successor both exist for a moment, and removing either must leave the other. Used by Snapshot.

/** Negative where `a` comes before `b`; must be total, so that the owner does not depend on the order of arrival. */
export type Order<T> = (a: T, b: T) => number

export class Owners<T> {
  readonly #order: Order<T>
  readonly #claims = new Map<string, { readonly all: Set<T>; first: T }>()

  constructor(order: Order<T>) {
    this.#order = order
  }

  get(name: string): T | undefined {
    return this.#claims.get(name)?.first
  }

  add(name: string, owner: T): void {
    const claim = this.#claims.get(name)
    if (claim === undefined) {
      this.#claims.set(name, { all: new Set([owner]), first: owner })
      return
    }
    claim.all.add(owner)
    if (this.#order(owner, claim.first) < 0) claim.first = owner
  }

  delete(name: string, owner: T): void {
    const claim = this.#claims.get(name)
    if (claim === undefined || !claim.all.delete(owner)) return
    let first: T | undefined
    if (claim.first !== owner) return
    for (const other of claim.all) if (first === undefined || this.#order(other, first) < 0) first = other
    if (first === undefined) this.#claims.delete(name)
    else claim.first = first
  }
}
