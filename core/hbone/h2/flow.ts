// Flow control of what we receive (RFC 9113 6.9) and budgets against floods. Used by engine.ts and stream.ts.

/**
 * One receive window. Bytes leave it when they arrive and come back when they are consumed; the peer is told once half of it
 * came back, so that updates are few and the peer never runs dry. Its size may change; what the peer was promised stands.
 */
export class ReceiveWindow {
  /** What the peer may still send. */
  #open: number
  /** Received and not consumed. */
  #pending = 0

  constructor(size: number) {
    this.#open = size
  }

  get open(): number {
    return this.#open
  }

  /** False where the peer sent more than it may. */
  receive(bytes: number): boolean {
    this.#open -= bytes
    this.#pending += bytes
    return this.#open >= 0
  }

  consume(bytes: number): void {
    this.#pending -= bytes
  }

  /** What to tell the peer now for a window of `size`, keeping `withheld` bytes back; 0 for nothing. */
  grant(size: number, withheld = 0): number {
    const bytes = size - this.#open - this.#pending - withheld
    if (bytes <= 0 || bytes * 2 < size) return 0
    this.#open += bytes
    return bytes
  }
}

/** A token bucket. It is filled up when it runs empty, so that the clock is not read for honest peers. */
export class Budget {
  readonly #burst: number
  readonly #perSecond: number
  readonly #clock: () => number
  #tokens: number
  #filledAt: number

  constructor(burst: number, perSecond: number, clock: () => number = () => performance.now()) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#clock = clock
    this.#tokens = burst
    this.#filledAt = clock()
  }

  /** False where the peer has spent more than it may. */
  spend(): boolean {
    if (this.#tokens < 1) {
      const now = this.#clock()
      this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#filledAt) / 1_000) * this.#perSecond)
      this.#filledAt = now
    }
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** Useful work earns tokens. */
  earn(tokens: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + tokens)
  }
}
