// When a workload opens so many connections at a time that one listener becomes the narrow place. Pure; asked by workloads.ts.

/** Opened besides the first one. */
export const rushListeners = 7
const windowMs = 1_000
const mostPerWindow = 500

/** Says once that a rush begins. */
export class RushWatch {
  #since = Number.NEGATIVE_INFINITY
  #count = 0
  #told = false

  /** @param now monotonic milliseconds; called for each connection */
  begins(now: number): boolean {
    if (this.#told) return false
    if (now - this.#since >= windowMs) {
      this.#since = now
      this.#count = 0
    }
    this.#count += 1
    this.#told = this.#count > mostPerWindow
    return this.#told
  }
}
