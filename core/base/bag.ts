// A set of objects that come and go all the time. Set and Map leave a copy of their table behind whenever they fill up, each with
// a reference to the next: once one of them is in V8's old space, everything that was ever in the set outlives the minor
// collections (measured: all objects of every short connection, a sixth of the CPU). Here an object knows its own place.

/** What a bag needs of an object; an object is in one bag at a time. */
export interface Bagged {
  /** Its place in the bag; -1 where it is in none. Only the bag writes it. */
  place: number
}

export class Bag<T extends Bagged> {
  /** Never shortened: what is beyond `#size` is undefined. */
  readonly #items: (T | undefined)[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  /** An object that is in it already stays where it is. */
  add(item: T): void {
    if (item.place >= 0) return
    item.place = this.#size
    this.#items[this.#size] = item
    this.#size += 1
  }

  /** False where it was not in it. The last object takes its place. */
  delete(item: T): boolean {
    const { place } = item
    if (place < 0 || this.#items[place] !== item) return false
    this.#size -= 1
    const last = this.#items[this.#size]!
    last.place = place
    this.#items[place] = last
    this.#items[this.#size] = undefined
    item.place = -1
    return true
  }

  /** In no particular order. The object that was yielded last may be deleted meanwhile; others may be missed then. */
  *[Symbol.iterator](): Generator<T> {
    for (let place = this.#size - 1; place >= 0; place -= 1) {
      const item = this.#items[place]
      if (item !== undefined) yield item
    }
  }
}
