// A copy of a request's body for a mirror: never holds the request up. What the mirror cannot take at once waits, up to a limit; then the
// mirror is given up.
import { release } from '../../core/net/read-buffers.ts'
import type { Body, BodyReader } from '../http/body.ts'
import { Failure } from '../http/failure.ts'
import type { Headers } from '../http/message.ts'
import type { Listener } from './client-body.ts'

/** Linkerd and Envoy keep as much for retries; a mirror is worth no more. */
export const mostWaitingBytes = 256 * 1_024

export class MirrorBody implements Body, Listener {
  readonly length: number | undefined
  readonly #giveUp: () => void
  #reader: BodyReader | undefined
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #paused = false
  #ending: { readonly trailers: Headers | undefined } | 'cut' | undefined
  #done = false

  /** @param giveUp called once where too much waits */
  constructor(length: number | undefined, giveUp: () => void) {
    this.length = length
    this.#giveUp = giveUp
  }

  onData(chunk: Buffer): void {
    if (this.#done) {
      release(chunk)
      return
    }
    if (this.#reader !== undefined && !this.#paused && this.#waiting.length === 0) {
      this.#reader.onData(chunk)
      return
    }
    this.#waiting.push(chunk)
    this.#waitingBytes += chunk.length
    if (this.#waitingBytes <= mostWaitingBytes) return
    this.cancel()
    this.#giveUp()
  }

  onEnd(trailers: Headers | undefined): void {
    this.#ending = { trailers }
    this.#deliver()
  }

  onCut(): void {
    this.#ending = 'cut'
    this.#deliver()
  }

  read(reader: BodyReader): void {
    this.#reader = reader
    this.#deliver()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#deliver()
  }

  cancel(): void {
    this.#done = true
    for (const chunk of this.#waiting.splice(0)) release(chunk)
  }

  #deliver(): void {
    const reader = this.#reader
    if (reader === undefined) return
    while (!this.#paused && !this.#done) {
      const chunk = this.#waiting.shift()
      if (chunk === undefined) break
      this.#waitingBytes -= chunk.length
      reader.onData(chunk)
    }
    if (this.#paused || this.#done || this.#ending === undefined) return
    this.#done = true
    if (this.#ending === 'cut') reader.onError(new Failure('client', 'the request that was mirrored ended early'))
    else reader.onEnd(this.#ending.trailers)
  }
}
