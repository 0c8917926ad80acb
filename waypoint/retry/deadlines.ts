// The deadlines of a request: one for all tries with the waits between them, one for each try. Without timers; asked by the layer of
// timeouts, which sets one timer for `nextMs`.

export interface DeadlineOptions {
  /** For everything from the request to the end of the answer; 0 and absent: none. */
  readonly totalMs?: number | undefined
  /** For each try until its answer is sent on; 0 and absent: as long as the total. */
  readonly perTryMs?: number | undefined
}

export class Deadlines {
  readonly #endMs: number
  readonly #perTryMs: number
  #tryEndMs = Number.POSITIVE_INFINITY

  /** @param nowMs monotonic milliseconds, here and below */
  constructor({ totalMs, perTryMs }: DeadlineOptions, nowMs: number) {
    this.#endMs = nowMs + positive(totalMs)
    this.#perTryMs = positive(perTryMs)
  }

  tryBegins(nowMs: number): void {
    this.#tryEndMs = nowMs + this.#perTryMs
  }

  /** Its answer goes to the client, so that only the total counts; or it failed. */
  tryEnds(): void {
    this.#tryEndMs = Number.POSITIVE_INFINITY
  }

  /** When to look again; Infinity never. */
  get nextMs(): number {
    return Math.min(this.#endMs, this.#tryEndMs)
  }

  /** `total`: 504, never retried. `try`: the policy says. */
  passed(nowMs: number): 'total' | 'try' | undefined {
    if (nowMs >= this.#endMs) return 'total'
    return nowMs >= this.#tryEndMs ? 'try' : undefined
  }

  /** Whether a wait ends before the total does: else there is no sense in it. */
  allows(waitMs: number, nowMs: number): boolean {
    return nowMs + waitMs < this.#endMs
  }

  /** Left of all; for the `grpc-timeout` that is sent on. */
  leftMs(nowMs: number): number {
    return Math.max(0, this.nextMs - nowMs)
  }
}

function positive(ms: number | undefined): number {
  return ms === undefined || ms <= 0 ? Number.POSITIVE_INFINITY : ms
}
