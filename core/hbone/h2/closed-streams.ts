// Streams that we reset: frames that were on their way still come, up to what the peer was allowed. Owned by engine.ts.

const maxRemembered = 4_096

export class ClosedStreams {
  /** Bytes that may still come, by stream. */
  readonly #left = new Map<number, number>()
  #forgotten = 0

  add(streamId: number, bytes: number): void {
    this.#left.set(streamId, bytes)
    if (this.#left.size <= maxRemembered) return
    const [oldest] = this.#left.keys()
    if (oldest === undefined) return
    this.#left.delete(oldest)
    this.#forgotten = Math.max(this.#forgotten, oldest)
  }

  /** Nothing more comes. */
  delete(streamId: number): void {
    this.#left.delete(streamId)
  }

  /** Whether `bytes` of this stream can have been on their way. */
  admits(streamId: number, bytes: number): boolean {
    const left = this.#left.get(streamId)
    // What is no longer known is not held against the peer.
    if (left === undefined) return streamId <= this.#forgotten
    this.#left.set(streamId, left - bytes)
    return left >= bytes
  }
}
