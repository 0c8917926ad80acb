// What a client sends before its first frame (RFC 9113 3.4), taken off at the server. Owned by engine.ts.
import { errorCode, preface, SessionError } from './protocol.ts'

export class PrefaceReader {
  /** Still to come. */
  #left: number

  constructor(isServer: boolean) {
    this.#left = isServer ? preface.length : 0
  }

  get done(): boolean {
    return this.#left === 0
  }

  /** What is left of the chunk. Throws SessionError. */
  take(chunk: Buffer): Buffer {
    const at = preface.length - this.#left
    const bytes = Math.min(this.#left, chunk.length)
    if (chunk.compare(preface, at, at + bytes, 0, bytes) !== 0) {
      throw new SessionError(errorCode.protocolError, 'this is not HTTP/2')
    }
    this.#left -= bytes
    return chunk.subarray(bytes)
  }
}
