// The open streams of a session by their id: open addressing in arrays that are only replaced when they grow (core/base/bag.ts
// says what a Map costs here). Used by streams.ts.

const firstCapacity = 8
const noKey = -1

export class StreamTable<T> {
  #keys = new Int32Array(firstCapacity).fill(noKey)
  #values: (T | undefined)[] = new Array<T | undefined>(firstCapacity).fill(undefined)
  #mask = firstCapacity - 1
  #size = 0

  get size(): number {
    return this.#size
  }

  get(id: number): T | undefined {
    const at = this.#find(id)
    return this.#keys[at] === id ? this.#values[at] : undefined
  }

  set(id: number, value: T): void {
    if ((this.#size + 1) * 2 > this.#keys.length) this.#grow()
    const at = this.#find(id)
    if (this.#keys[at] !== id) this.#size += 1
    this.#keys[at] = id
    this.#values[at] = value
  }

  /** False where it is not there. */
  delete(id: number): boolean {
    let hole = this.#find(id)
    if (this.#keys[hole] !== id) return false
    // Whoever was pushed on by what goes moves back, so that no search ends too early.
    for (let next = (hole + 1) & this.#mask; this.#keys[next] !== noKey; next = (next + 1) & this.#mask) {
      const home = this.#home(this.#keys[next]!)
      if (((next - home) & this.#mask) < ((next - hole) & this.#mask)) continue
      this.#keys[hole] = this.#keys[next]!
      this.#values[hole] = this.#values[next]
      hole = next
    }
    this.#keys[hole] = noKey
    this.#values[hole] = undefined
    this.#size -= 1
    return true
  }

  /** As they are now; in no particular order. */
  values(): readonly T[] {
    return this.#values.filter((value) => value !== undefined)
  }

  /** Ids of one session are all odd. */
  #home(id: number): number {
    return (id >>> 1) & this.#mask
  }

  #find(id: number): number {
    let at = this.#home(id)
    while (this.#keys[at] !== id && this.#keys[at] !== noKey) at = (at + 1) & this.#mask
    return at
  }

  #grow(): void {
    const keys = this.#keys
    const values = this.#values
    const capacity = 2 * keys.length
    this.#keys = new Int32Array(capacity).fill(noKey)
    this.#values = new Array<T | undefined>(capacity).fill(undefined)
    this.#mask = capacity - 1
    this.#size = 0
    for (const [at, id] of keys.entries()) if (id !== noKey) this.set(id, values[at]!)
  }
}
