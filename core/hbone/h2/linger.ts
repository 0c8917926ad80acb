// The last moments of a session's socket: it is read on until the peer has closed, too, but not for ever. Owned by engine.ts.
import type { Duplex } from 'node:stream'
import { timer } from '../limits.ts'

/** How long a broken session waits for the peer to read the GOAWAY, and an orderly one for its end of the socket. */
export const lingerMs = 1_000
/** For the last bytes of a session that ended in good order to leave over a slow link. */
export const flushMs = 120_000

export class Linger {
  readonly #socket: Duplex
  #timer: NodeJS.Timeout | undefined

  constructor(socket: Duplex) {
    this.#socket = socket
  }

  get begun(): boolean {
    return this.#timer !== undefined
  }

  /** The end of the socket was written: waits for it to leave, then for the peer's. */
  begin(ms: number): void {
    this.wait(ms)
    this.#socket.once('finish', () => this.wait(lingerMs))
  }

  /** Reads on meanwhile: the kernel would answer unread bytes with a reset that overtakes what we sent. */
  wait(ms: number): void {
    if (this.#socket.destroyed) return
    clearTimeout(this.#timer)
    this.#timer = timer(ms, () => this.#socket.destroy())
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
