// Runs asynchronous steps one after the other: for decisions on shared records that must not interleave (virtual IPs,
// placement of workloads, the messages of one agent).
export class Serial {
  #last: Promise<unknown> = Promise.resolve()

  /** Settles as `work` does; a failure does not stop those that come after. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => undefined)
    return result
  }

  /** Resolves once everything that was queued so far is done. */
  async idle(): Promise<void> {
    await this.#last
  }
}
