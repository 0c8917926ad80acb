// How soon changes go out: at once after a quiet time, and the less often the longer they keep coming, so that each of many hosts
// gets few deltas with much in them. Used by Publisher.

export interface PaceOptions {
  /** From a change to the first delta: what is written together goes out together. */
  readonly settleMs: number
  /** Pause after that; it doubles while changes come. */
  readonly firstPauseMs: number
  readonly longestPauseMs: number
}

const defaults: PaceOptions = { settleMs: 3, firstPauseMs: 20, longestPauseMs: 100 }

/** Times are milliseconds of one monotonic clock. */
export class Pace {
  readonly #options: PaceOptions
  #sentAt = Number.NEGATIVE_INFINITY
  #pauseMs = 0

  constructor(options: Partial<PaceOptions> = {}) {
    this.#options = { ...defaults, ...options }
  }

  /** How long a change that comes now is kept back. */
  delay(now: number): number {
    return Math.max(this.#options.settleMs, this.#sentAt + this.#pauseMs - now)
  }

  /** What was kept back has gone out. */
  sent(now: number): void {
    const { firstPauseMs, longestPauseMs } = this.#options
    const quiet = now - this.#sentAt > 2 * Math.max(this.#pauseMs, firstPauseMs)
    this.#pauseMs = quiet ? firstPauseMs : Math.min(longestPauseMs, this.#pauseMs * 2)
    this.#sentAt = now
  }
}
