// The latency of one endpoint as Linkerd estimates it (tower's peak EWMA): a worse sample counts at once, a better one by the time
// that has passed, and without samples the estimate falls towards 0. Owned by an endpoint, read by the peak-EWMA balancer.

export interface LatencyOptions {
  /** Time constant: after it a sample weighs 1 - 1/e. */
  readonly decayMs: number
  /** Estimate of an endpoint that has answered nothing yet. */
  readonly defaultMs: number
}

/** linkerd2-proxy, `linkerd/app/core`: decay 10 s, default RTT 30 ms. */
export const latencyDefaults: LatencyOptions = { decayMs: 10_000, defaultMs: 30 }

export class PeakEwma {
  readonly #decayMs: number
  #valueMs: number
  #updatedAtMs: number

  /** @param nowMs monotonic milliseconds, here and below */
  constructor(nowMs: number, { decayMs, defaultMs }: LatencyOptions = latencyDefaults) {
    this.#decayMs = decayMs
    this.#valueMs = defaultMs
    this.#updatedAtMs = nowMs
  }

  /** @param latencyMs until the answer began; a failure may be booked as more than it took */
  observe(latencyMs: number, nowMs: number): void {
    if (latencyMs > this.#valueMs) this.#valueMs = latencyMs
    else {
      const kept = Math.exp(-Math.max(0, nowMs - this.#updatedAtMs) / this.#decayMs)
      this.#valueMs = this.#valueMs * kept + latencyMs * (1 - kept)
    }
    this.#updatedAtMs = Math.max(nowMs, this.#updatedAtMs)
  }

  /** Milliseconds. Asking counts as a sample of 0: so an endpoint that was slow once is tried again. */
  estimate(nowMs: number): number {
    this.observe(0, nowMs)
    return this.#valueMs
  }
}
