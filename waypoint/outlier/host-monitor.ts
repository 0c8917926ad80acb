// What the outlier detector remembers of one endpoint.

export class HostMonitor {
  /** In a row. */
  errors = 0
  gatewayErrors = 0
  localFailures = 0
  /** Undefined while it serves. */
  ejectedAtMs: number | undefined
  /** An ejection lasts so many times the base; one less after each interval without. */
  times = 0
  /** In all. */
  ejections = 0
  #requests = 0
  #successes = 0

  answered(what: 'success' | 'error' | 'gateway-error'): void {
    this.#requests += 1
    if (what === 'success') {
      this.#successes += 1
      this.errors = 0
      this.gatewayErrors = 0
      return
    }
    this.errors += 1
    this.gatewayErrors = what === 'gateway-error' ? this.gatewayErrors + 1 : 0
  }

  localOrigin(success: boolean): void {
    this.localFailures = success ? 0 : this.localFailures + 1
  }

  /** The count that led to a verdict begins anew. */
  forget(reason: 'consecutive-5xx' | 'consecutive-gateway-errors' | 'consecutive-local-origin' | 'success-rate'): void {
    if (reason === 'consecutive-5xx') this.errors = 0
    if (reason === 'consecutive-gateway-errors') this.gatewayErrors = 0
    if (reason === 'consecutive-local-origin') this.localFailures = 0
  }

  eject(nowMs: number): void {
    this.ejectedAtMs = nowMs
    this.times += 1
    this.ejections += 1
  }

  restore(): void {
    this.ejectedAtMs = undefined
    this.errors = 0
    this.gatewayErrors = 0
    this.localFailures = 0
  }

  /** An interval without ejection. */
  forgive(): void {
    if (this.times > 0) this.times -= 1
  }

  /** Requests and successes since the last interval; begins the next. */
  closeInterval(): { readonly requests: number; readonly successes: number } {
    const closed = { requests: this.#requests, successes: this.#successes }
    this.#requests = 0
    this.#successes = 0
    return closed
  }
}
