// Received bytes without a reader, over all sessions of a thread: a window is a promise of memory, and many promises together
// must not be more than there is. Used by session-window.ts; whoever reports metrics reads `bytes` and `maxBytes`.

const defaultBytes = 256 * 1_024 * 1_024

export class HeldBudget {
  readonly maxBytes: number
  #bytes = 0
  readonly #waiting = new Set<() => void>()

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** More than half is in use: windows stay small. */
  get tight(): boolean {
    return this.#bytes * 2 > this.maxBytes
  }

  /** What a session may still hold beyond its window before it waits for its readers. */
  get free(): number {
    return Math.max(0, this.maxBytes - this.#bytes)
  }

  add(bytes: number): void {
    this.#bytes += bytes
    if (bytes >= 0 || this.#waiting.size === 0 || this.#bytes * 8 > this.maxBytes * 7) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }

  /** Calls once when there is room again. */
  wait(wake: () => void): void {
    this.#waiting.add(wake)
  }

  forget(wake: () => void): void {
    this.#waiting.delete(wake)
  }
}

/** That of this thread. */
export const heldBudget = new HeldBudget(defaultBytes)
