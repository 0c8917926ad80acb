// Consistent hashing by a table (Maglev, NSDI 2016 section 3.4): each endpoint fills slots in an order of its own, in turn by weight.
// Evener than a ring and one look-up; a change of the set moves a few more keys.

import type { Algorithm, PickContext } from './algorithm.ts'
import { Drawing, type DrawingDeps } from './drawing.ts'
import type { Endpoint } from './endpoint-table.ts'
import { hash32, mix } from './hash.ts'
import { byPlace, weighty } from './weighted.ts'

export interface MaglevOptions {
  /** Slots, made the next prime; 65537 where absent, 5,000,011 at most as in Envoy. */
  readonly tableSize?: number | undefined
}

export const defaultTableSize = 65_537
const mostSlots = 5_000_011
/** A key whose endpoint may not serve is hashed again this often before anyone who serves is drawn by its hash. */
const rehashes = 32

export class Maglev implements Algorithm {
  readonly #owners: readonly Endpoint[]
  readonly #slots: number
  #table: Uint32Array | undefined
  #available: ReadonlySet<Endpoint> = new Set()
  /** Those of the table that may serve, by place. */
  #serving: readonly Endpoint[] = []
  readonly #fallback: Drawing

  /** @param members all of the lane, whether they may serve or not: so that the table stays when one is ejected */
  constructor(members: readonly Endpoint[], deps: DrawingDeps, { tableSize = defaultTableSize }: MaglevOptions = {}) {
    this.#owners = byPlace(weighty(members))
    this.#slots = nextPrime(Math.min(mostSlots, Math.max(2, this.#owners.length, tableSize)))
    this.#fallback = new Drawing(deps)
  }

  get size(): number {
    return this.#slots
  }

  refresh(available: readonly Endpoint[]): void {
    this.#available = new Set(available)
    this.#serving = byPlace(weighty(available))
    this.#fallback.refresh(available)
  }

  pick(context: PickContext): Endpoint | undefined {
    const { hash, tried } = context
    if (hash === undefined || this.#available.size === 0) return this.#fallback.pick(context)
    this.#table ??= this.#build()
    let slot = hash
    for (let attempt = 0; attempt < rehashes; attempt += 1) {
      const endpoint = this.#owners[this.#table[slot % this.#slots]!]!
      if (this.#available.has(endpoint) && tried?.has(endpoint) !== true) return endpoint
      slot = mix(slot + 0x9e3779b9)
    }
    const left = this.#serving.filter((endpoint) => tried?.has(endpoint) !== true)
    const among = left.length > 0 ? left : this.#serving
    return among[mix(hash) % among.length]
  }

  #build(): Uint32Array {
    const slots = this.#slots
    const free = 0xffffffff
    const table = new Uint32Array(slots).fill(free)
    const weights = this.#owners.map(({ facts }) => (facts.weight > 0 ? facts.weight : 1))
    const heaviest = Math.max(...weights)
    const at = this.#owners.map(({ place }) => hash32(place) % slots)
    const skip = this.#owners.map(({ place }) => (hash32(place, 0xdecafbad) % (slots - 1)) + 1)
    const due = weights.map(() => 0)
    for (let filled = 0, turn = 1; filled < slots; turn += 1) {
      for (let owner = 0; owner < weights.length && filled < slots; owner += 1) {
        // One of half the heaviest weight takes a slot every other turn.
        if (turn * weights[owner]! < due[owner]!) continue
        due[owner]! += heaviest
        let slot = at[owner]!
        while (table[slot] !== free) slot = (slot + skip[owner]!) % slots
        table[slot] = owner
        at[owner] = (slot + skip[owner]!) % slots
        filled += 1
      }
    }
    return table
  }
}

/** The first prime from `from` on. */
export function nextPrime(from: number): number {
  for (let candidate = Math.max(2, Math.ceil(from)); ; candidate += 1) {
    let divisor = 2
    while (divisor * divisor <= candidate && candidate % divisor !== 0) divisor += 1
    if (divisor * divisor > candidate) return candidate
  }
}
