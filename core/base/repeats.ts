// Lets the first of equal events through at once and of those that follow one in each interval, with how many it stands for: so that
// whoever attacks cannot fill the log. Used where strangers cause the lines.

export interface RepeatsOptions {
  /** Between two events of one key that pass. */
  readonly intervalMs?: number
  /** Keys told apart; beyond them all others share one. */
  readonly maxKeys?: number
  readonly clock?: () => number
}

interface Entry {
  at: number
  withheld: number
}

const others = '\0others'

export class Repeats {
  readonly #intervalMs: number
  readonly #maxKeys: number
  readonly #clock: () => number
  /** In the order of the last event that passed. */
  readonly #entries = new Map<string, Entry>()

  constructor({ intervalMs = 10_000, maxKeys = 256, clock = () => performance.now() }: RepeatsOptions = {}) {
    this.#intervalMs = intervalMs
    this.#maxKeys = maxKeys
    this.#clock = clock
  }

  /** How many equal events were withheld before this one; undefined where this one is withheld too. */
  admit(key: string): number | undefined {
    const now = this.#clock()
    this.#forget(now)
    const known = this.#entries.has(key) || this.#entries.size < this.#maxKeys ? key : others
    const entry = this.#entries.get(known)
    if (entry !== undefined && now - entry.at < this.#intervalMs) {
      entry.withheld += 1
      return undefined
    }
    this.#entries.delete(known)
    this.#entries.set(known, { at: now, withheld: 0 })
    return entry?.withheld ?? 0
  }

  /** Where room is short: keys whose interval is long over. What they withheld is in the counters, and nobody asks any more. */
  #forget(now: number): void {
    if (this.#entries.size < this.#maxKeys) return
    for (const [key, { at }] of this.#entries) {
      if (now - at < 2 * this.#intervalMs) return
      this.#entries.delete(key)
    }
  }
}
