// Received bytes whose reader stands still. Pieces are kept as they are, unless the memory that they keep grows out of
// proportion: a peer that sends single bytes would otherwise cost thousands of times what its window allows. Used by stream.ts.

import { release } from '../../net/read-buffers.ts'

/** Memory kept per byte held, at most. */
const maxProportion = 4
const minKeptBytes = 2_048
const maxTailBytes = 16 * 1_024

interface Piece {
  readonly chunk: Buffer
  /** Memory that goes with it; none where the piece before it lies in the same. */
  readonly memory: number
}

export class HeldBytes {
  #pieces: Piece[] = []
  #first = 0
  #tail: Buffer | undefined
  #tailBytes = 0
  #bytes = 0
  #memory = 0

  get bytes(): number {
    return this.#bytes
  }

  /** What it keeps from being collected, for tests. */
  get memory(): number {
    return this.#memory + (this.#tail?.length ?? 0)
  }

  add(chunk: Buffer): void {
    const { length } = chunk
    this.#bytes += length
    if (length >= minKeptBytes) {
      const last = this.#first < this.#pieces.length ? this.#pieces.at(-1) : undefined
      const memory = last?.chunk.buffer === chunk.buffer ? 0 : chunk.buffer.byteLength
      if (this.#memory + memory <= maxProportion * this.#bytes) {
        this.#closeTail()
        this.#push(chunk, memory)
        return
      }
    }
    if (this.#tail === undefined || this.#tailBytes + length > this.#tail.length) {
      this.#closeTail()
      const size = Math.max(length, Math.min(maxTailBytes, Math.max(256, 2 * this.#bytes)))
      this.#tail = Buffer.allocUnsafeSlow(size)
    }
    this.#tail.set(chunk, this.#tailBytes)
    this.#tailBytes += length
    release(chunk)
  }

  /** The next bytes in order; there must be some. */
  take(): Buffer {
    if (this.#first === this.#pieces.length) this.#closeTail()
    const { chunk, memory } = this.#pieces[this.#first]!
    this.#first += 1
    if (this.#first === this.#pieces.length || this.#first > 64) {
      this.#pieces.splice(0, this.#first)
      this.#first = 0
    }
    this.#bytes -= chunk.length
    this.#memory -= memory
    return chunk
  }

  #closeTail(): void {
    const tail = this.#tail
    if (tail !== undefined) this.#push(tail.subarray(0, this.#tailBytes), tail.length)
    this.#tail = undefined
    this.#tailBytes = 0
  }

  #push(chunk: Buffer, memory: number): void {
    this.#pieces.push({ chunk, memory })
    this.#memory += memory
  }
}
