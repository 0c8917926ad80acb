// How much of what has a bound each caller has, by its address: so that one caller never shuts all others out. Used by serve.ts for
// connections of clients, by upstream/pool.ts for those to endpoints.

export class Shares {
  readonly #byCaller = new Map<string, number>()
  #total = 0

  get total(): number {
    return this.#total
  }

  of(caller: string): number {
    return this.#byCaller.get(caller) ?? 0
  }

  /** Whether a caller may have one more of at most `most`: nobody has more than is left for all. */
  hasRoom(caller: string, most: number): boolean {
    const left = most - this.#total
    return left > 0 && this.of(caller) <= left
  }

  take(caller: string): void {
    this.#total += 1
    this.#byCaller.set(caller, this.of(caller) + 1)
  }

  give(caller: string): void {
    const own = this.of(caller)
    if (own === 0) throw new Error(`${caller} gives back what it does not have`)
    this.#total -= 1
    if (own > 1) this.#byCaller.set(caller, own - 1)
    else this.#byCaller.delete(caller)
  }
}
