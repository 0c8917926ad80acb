// The first piece of an answer's body, looked at before the answer is sent on: a gRPC call that failed without a message says so in its
// trailers. Used by the retry layer.
import { release } from '../../core/net/read-buffers.ts'
import type { Body, BodyReader } from '../http/body.ts'
import type { Failure } from '../http/failure.ts'
import type { Headers } from '../http/message.ts'
import type { Timers } from '../timers.ts'

/** `later`: it takes long, so the head goes on before. */
export type First =
  | { readonly kind: 'data' | 'later' }
  | { readonly kind: 'end'; readonly trailers: Headers | undefined }
  | { readonly kind: 'error'; readonly failure: Failure }

/** Trailers come with the head or right behind it where a call fails at once; a stream may say nothing for hours. */
const patienceMs = 20

export class PeekedBody implements Body, BodyReader {
  readonly #inner: Body
  #reader: BodyReader | undefined
  #waiting: Buffer[] = []
  #first: First | undefined
  #decided: ((first: First) => void) | undefined
  #last: First | undefined
  #paused = false
  #ended = false

  constructor(inner: Body) {
    this.#inner = inner
  }

  /** Once, before `read`. */
  first(timers: Timers): Promise<First> {
    const { promise, resolve } = Promise.withResolvers<First>()
    let timer: object | undefined
    this.#decided = (first) => {
      this.#decided = undefined
      this.#first = first
      if (timer !== undefined) timers.stop(timer)
      resolve(first)
    }
    this.#inner.read(this)
    if (this.#first === undefined) timer = timers.start(() => this.#decided?.({ kind: 'later' }), patienceMs)
    return promise
  }

  get length(): number | undefined {
    return this.#inner.length
  }

  get declared(): number | undefined {
    return this.#inner.declared
  }

  onData(chunk: Buffer): void {
    if (this.#reader !== undefined && !this.#paused && this.#waiting.length === 0) {
      this.#reader.onData(chunk)
      return
    }
    this.#waiting.push(chunk)
    this.#inner.pause()
    this.#decided?.({ kind: 'data' })
  }

  onEnd(trailers: Headers | undefined): void {
    this.#close({ kind: 'end', trailers })
  }

  onError(failure: Failure): void {
    this.#close({ kind: 'error', failure })
  }

  #close(last: First): void {
    this.#last = last
    this.#decided?.(last)
    this.#deliver()
  }

  read(reader: BodyReader): void {
    if (this.#reader !== undefined) throw new Error('a body is read once')
    this.#reader = reader
    const held = this.#waiting.length > 0
    this.#deliver()
    if (held && !this.#paused && this.#last === undefined) this.#inner.resume()
  }

  #deliver(): void {
    const reader = this.#reader
    if (reader === undefined) return
    while (!this.#paused && !this.#ended) {
      const chunk = this.#waiting.shift()
      if (chunk === undefined) {
        this.#end(reader)
        return
      }
      reader.onData(chunk)
    }
  }

  #end(reader: BodyReader): void {
    const last = this.#last
    if (last === undefined || this.#ended) return
    this.#ended = true
    if (last.kind === 'error') reader.onError(last.failure)
    else if (last.kind === 'end') reader.onEnd(last.trailers)
  }

  pause(): void {
    this.#paused = true
    this.#inner.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#deliver()
    if (!this.#paused && this.#last === undefined) this.#inner.resume()
  }

  cancel(): void {
    this.#ended = true
    for (const chunk of this.#waiting.splice(0)) release(chunk)
    this.#inner.cancel()
  }
}
