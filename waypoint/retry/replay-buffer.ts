// The request's body as far as it has come, for the next try. Holds the chunks as they are, without a copy, up to a limit; beyond it
// the request can no longer be retried and nothing is held. Filled by the layer that reads the request, read by each try.

export interface ReplayLimits {
  /** Linkerd's 64 KiB. */
  readonly bytes: number
  /** A chunk costs more than its bytes, and a small one may hold a large buffer. */
  readonly chunks: number
}

export const replayLimits: ReplayLimits = { bytes: 64 * 1024, chunks: 1_024 }

export type ReplayState = 'open' | 'complete' | 'abandoned'

export class ReplayBuffer {
  readonly #limits: ReplayLimits
  #chunks: Uint8Array[] = []
  #bytes = 0
  #state: ReplayState = 'open'

  constructor(limits: ReplayLimits = replayLimits) {
    this.#limits = limits
  }

  /** `open`: more comes. `complete`: that is all. `abandoned`: there was too much, or nobody needs it any more. */
  get state(): ReplayState {
    return this.#state
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The body so far, in order. A try writes these, then what comes. Not to be changed; valid until abandoned. */
  get chunks(): readonly Uint8Array[] {
    return this.#chunks
  }

  /** The chunk must not be written to afterwards. @returns whether the request can still be replayed */
  add(chunk: Uint8Array): boolean {
    if (this.#state !== 'open') return this.#state === 'complete'
    if (chunk.byteLength === 0) return true
    if (this.#bytes + chunk.byteLength > this.#limits.bytes || this.#chunks.length >= this.#limits.chunks) {
      this.abandon()
      return false
    }
    this.#chunks.push(chunk)
    this.#bytes += chunk.byteLength
    return true
  }

  /** The client's last byte came. */
  complete(): void {
    if (this.#state === 'open') this.#state = 'complete'
  }

  /** Too much, or no further try can come: lets go of everything. */
  abandon(): void {
    this.#state = 'abandoned'
    this.#chunks = []
    this.#bytes = 0
  }
}
