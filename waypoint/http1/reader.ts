// What both readers share: the bytes of a connection in whatever pieces they come, bodies, pausing, the end. It owns no socket; the
// owner pushes what it reads. A body comes out as slices of what was pushed in: nothing is copied but heads that a read cut in two.
import { keepSlice, release } from '../../core/net/read-buffers.ts'
import { HttpError } from '../http/error.ts'
import type { Headers } from '../http/message.ts'
import { ChunkLine } from './chunk-line.ts'
import { collectTrailers } from './collect.ts'
import { incomplete, scanFields } from './field-scanner.ts'
import type { Framing } from './framing.ts'
import type { Http1Limits } from './limits.ts'

const lineFeed = 10
const carriageReturn = 13

/** Called while `push`, `resume` or `finish` runs. None of it comes while the reader is paused. */
export interface BodyHandler {
  /** A slice of what was pushed, valid during the call; `MessageReader.keep` makes it last. */
  onData(chunk: Buffer): void
  /** The message is complete. `trailers` where there are any. */
  onEnd(trailers: Headers | undefined): void
  /** The last call. Whatever comes on this connection afterwards means nothing. */
  onError(error: HttpError): void
}

/** Whoever read a chunk says how a slice of it outlives the call: core/net/socket-reader.ts. */
export interface Keeper {
  keep(slice: Buffer): Buffer
}

/** For chunks that their owner releases when the call is over. */
const counting: Keeper = { keep: keepSlice }

/** `held`: an upgrade waits for its verdict. `closed`: no message follows, bytes are dropped. */
type State =
  | 'head'
  | 'length'
  | 'chunk-line'
  | 'chunk'
  | 'chunk-end'
  | 'trailers'
  | 'raw'
  | 'ending'
  | 'held'
  | 'closed'

export abstract class MessageReader {
  readonly limits: Http1Limits
  readonly #handler: BodyHandler
  readonly #chunkLine = new ChunkLine()
  #state: State = 'head'
  #paused = false
  #running = false
  #finished = false
  #failed = false
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0
  /** The line end after a chunk: its CR has come. */
  #chunkCr = false
  #trailers: Headers | undefined
  /** The beginning of a head or of trailers whose end has not come yet. */
  #begun: Buffer | undefined
  /** What was pushed and not read, since the reader is paused or an upgrade waits. */
  #rest: Buffer | undefined
  /** Of the chunk that is being read. */
  #keeper: Keeper = counting

  constructor(handler: BodyHandler, limits: Http1Limits) {
    this.#handler = handler
    this.limits = limits
  }

  /** Scans and emits one head that begins at `from`; calls `beginBody`. The index after it, or `incomplete`. */
  protected abstract readHead(bytes: Buffer, from: number, end: number): number
  /** A head longer than its limit. */
  protected abstract headTooLarge(begun: Buffer): HttpError
  /** What an error of the shared parsers is on this side. */
  protected abstract asError(error: HttpError): HttpError
  /** The message is complete, `onEnd` comes next. Says how the connection goes on. */
  protected abstract afterMessage(): 'head' | 'held' | 'closed'
  /** The peer has ended the connection between two messages: an error where one was due. */
  protected abstract endedBetween(): HttpError | undefined

  /**
   * Reads on. False: the reader holds bytes (it is paused, or an upgrade waits for its verdict); the owner stops reading until `resume`
   * has returned true. The chunk is the owner's again when the call is over: what must last was kept, by `keeper`.
   */
  push(chunk: Buffer, keeper: Keeper = counting): boolean {
    if (this.#failed || this.#state === 'closed') return true
    const before = this.#rest
    if (before === undefined) return this.#run(chunk, keeper)
    const whole = Buffer.concat([before, chunk])
    this.#rest = undefined
    release(before)
    return this.#run(whole, counting)
  }

  /** Within `onData`: makes the chunk, or a slice of it, last until it is released (core/net/read-buffers.ts). */
  keep(slice: Buffer): Buffer {
    return this.#keeper.keep(slice)
  }

  /** Nothing more is called back from now on until `resume`. May be called from within a callback. */
  pause(): void {
    this.#paused = true
  }

  /** Goes on with what is held. True once nothing is held any more. */
  resume(): boolean {
    this.#paused = false
    return this.#running ? true : this.#goOn()
  }

  get paused(): boolean {
    return this.#paused
  }

  /** The peer will send no more. Waits for `resume` where bytes are still held. */
  finish(): void {
    if (this.#finished) return
    this.#finished = true
    if (!this.#running) this.#goOn()
  }

  /** An error was called back: the connection is dead. */
  get failed(): boolean {
    return this.#failed
  }

  /** Whether bytes wait that no message has claimed. */
  protected get holding(): boolean {
    return this.#rest !== undefined
  }

  protected get between(): boolean {
    return this.#state === 'head' && this.#begun === undefined
  }

  /** After the head: how the body ends. */
  protected beginBody(framing: Framing): void {
    this.#trailers = undefined
    if (framing.kind === 'length' && framing.bytes > 0) {
      this.#left = framing.bytes
      this.#state = 'length'
    } else if (framing.kind === 'chunked') {
      this.#chunkLine.begin()
      this.#state = 'chunk-line'
    } else this.#state = framing.kind === 'close' || framing.kind === 'tunnel' ? 'raw' : 'ending'
  }

  /** The verdict on an upgrade: all bytes from here on are data, or another head follows. */
  protected leaveHeld(state: 'raw' | 'head'): boolean {
    if (this.#state !== 'held') throw new Error('no upgrade is waiting')
    this.#state = state
    return this.#running ? true : this.#goOn()
  }

  #goOn(): boolean {
    const rest = this.#rest
    if (rest === undefined) return this.#run(none, counting)
    this.#rest = undefined
    const done = this.#run(rest, counting)
    release(rest)
    return done
  }

  #run(bytes: Buffer, keeper: Keeper): boolean {
    if (this.#running) throw new Error('a reader was pushed from within its callback')
    this.#running = true
    this.#keeper = keeper
    let at = 0
    try {
      while (this.#goesOn(at < bytes.length)) at = this.#step(bytes, at, bytes.length)
      if (!this.#failed && at >= bytes.length && this.#finished && this.#state !== 'held') this.#end()
    } catch (error: unknown) {
      if (!(error instanceof HttpError)) {
        this.#failed = true
        throw error
      }
      this.#fail(this.asError(error))
    } finally {
      this.#running = false
    }
    if (this.#failed || at >= bytes.length) return true
    this.#rest = keeper.keep(at === 0 ? bytes : bytes.subarray(at))
    return false
  }

  #goesOn(more: boolean): boolean {
    if (this.#paused || this.#failed) return false
    return this.#state === 'ending' || (more && this.#state !== 'held')
  }

  #fail(error: HttpError): void {
    if (this.#failed) return
    this.#failed = true
    this.#begun = undefined
    this.#handler.onError(error)
  }

  /** Index after what was read; at least one byte, or a change of state. */
  #step(bytes: Buffer, at: number, end: number): number {
    switch (this.#state) {
      case 'head':
      case 'trailers':
        return this.#block(bytes, at, end)
      case 'length':
      case 'chunk':
        return this.#data(bytes, at, end)
      case 'chunk-line':
        return this.#chunkBegins(bytes, at, end)
      case 'chunk-end':
        return this.#chunkEnds(bytes, at)
      case 'ending':
        this.#complete(at === end)
        return at
      case 'raw':
        this.#handler.onData(at === 0 ? bytes : bytes.subarray(at))
        return end
      default:
        return end
    }
  }

  #data(bytes: Buffer, at: number, end: number): number {
    const next = Math.min(end, at + this.#left)
    this.#left -= next - at
    if (this.#left === 0) this.#state = this.#state === 'length' ? 'ending' : 'chunk-end'
    this.#handler.onData(at === 0 && next === bytes.length ? bytes : bytes.subarray(at, next))
    return next
  }

  #chunkBegins(bytes: Buffer, at: number, end: number): number {
    const next = this.#chunkLine.read(bytes, at, end, this.limits)
    if (next === incomplete) return end
    this.#left = this.#chunkLine.size
    this.#state = this.#left === 0 ? 'trailers' : 'chunk'
    return next
  }

  #chunkEnds(bytes: Buffer, at: number): number {
    if (bytes[at] !== (this.#chunkCr ? lineFeed : carriageReturn)) {
      throw new HttpError(400, 'chunk', 'a chunk does not end where its size says')
    }
    this.#chunkCr = !this.#chunkCr
    if (!this.#chunkCr) this.#state = 'chunk-line'
    return at + 1
  }

  /** A head or trailers: one block that is read when it is complete, at most as long as the limit. */
  #block(bytes: Buffer, at: number, end: number): number {
    const most = this.#state === 'head' ? this.limits.maxHeadBytes : this.limits.maxTrailerBytes
    const begun = this.#begun
    if (begun === undefined) {
      const stop = Math.min(end, at + most)
      const next = this.#readBlock(bytes, at, stop)
      if (next !== incomplete) return next
      if (stop - at >= most) throw this.#tooLarge(bytes.subarray(at, stop))
      this.#begun = Buffer.from(bytes.subarray(at, end))
      return end
    }
    const whole = Buffer.concat([begun, bytes.subarray(at, Math.min(end, at + most - begun.length))])
    // Before the callbacks: what they ask must not meet the old beginning.
    this.#begun = undefined
    const next = this.#readBlock(whole, 0, whole.length)
    if (next !== incomplete) return at + next - begun.length
    if (whole.length >= most) throw this.#tooLarge(whole)
    this.#begun = whole
    return end
  }

  #tooLarge(begun: Buffer): HttpError {
    return this.#state === 'head' ? this.headTooLarge(begun) : new HttpError(431, 'trailer', 'trailers are too long')
  }

  #readBlock(bytes: Buffer, from: number, end: number): number {
    if (this.#state === 'head') return this.readHead(bytes, from, end)
    const next = scanFields(bytes, from, end, this.limits.maxTrailers)
    if (next === incomplete) return incomplete
    this.#trailers = collectTrailers(bytes, bytes.toString('latin1', from, next), from)
    this.#state = 'ending'
    return next
  }

  /** `drained`: nothing stands behind the message in what was pushed. */
  #complete(drained: boolean): void {
    this.#state = this.afterMessage()
    this.drained = drained
    const trailers = this.#trailers
    this.#trailers = undefined
    this.#handler.onEnd(trailers)
  }

  /** Within `onEnd`: whether the message was the last of what has come so far. */
  protected drained = true

  #end(): void {
    if (this.#paused) return
    if (this.#state === 'raw') this.#complete(true)
    else if (this.between) {
      const error = this.endedBetween()
      if (error !== undefined) throw error
    } else if (this.#state !== 'closed') throw new HttpError(400, 'truncated', 'the connection ended within a message')
    this.#state = 'closed'
  }
}

const none = Buffer.alloc(0)
