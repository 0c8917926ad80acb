// Requests that wait for a connection: first come, first served, a bounded number, each with a deadline. Without timers: its owner asks
// for `nextDeadlineMs` and calls `expire`.

export interface Waiter<Grant> {
  /** Monotonic milliseconds; Infinity waits for ever. */
  readonly deadlineMs: number
  granted(grant: Grant): void
  /** Its deadline passed. */
  expired(): void
}

export class WaitQueue<Grant> {
  /** In the order of arrival: a Set keeps it and forgets one in constant time. */
  readonly #waiting = new Set<Waiter<Grant>>()

  get length(): number {
    return this.#waiting.size
  }

  /** @returns false where `most` wait already */
  add(waiter: Waiter<Grant>, most: number): boolean {
    if (this.#waiting.size >= most) return false
    this.#waiting.add(waiter)
    return true
  }

  /** The client went away. @returns whether it waited still */
  cancel(waiter: Waiter<Grant>): boolean {
    return this.#waiting.delete(waiter)
  }

  /** Takes the first out whose deadline has not passed; those before it expire. */
  next(nowMs: number): Waiter<Grant> | undefined {
    for (const waiter of this.#waiting) {
      this.#waiting.delete(waiter)
      if (waiter.deadlineMs > nowMs) return waiter
      waiter.expired()
    }
    return undefined
  }

  expire(nowMs: number): void {
    for (const waiter of [...this.#waiting]) {
      if (waiter.deadlineMs <= nowMs && this.#waiting.delete(waiter)) waiter.expired()
    }
  }

  /** Infinity where nobody waits for a time. Looks at all: ask when the timer fires or is to be set, not for each request. */
  get nextDeadlineMs(): number {
    let next = Number.POSITIVE_INFINITY
    for (const { deadlineMs } of this.#waiting) if (deadlineMs < next) next = deadlineMs
    return next
  }
}
