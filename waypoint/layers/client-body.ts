// The body that the client sends: read once, handed to each try anew as long as all of it is kept, copied to mirrors. Made by
// request-context.ts; the retry layer says that it is to be kept, the mirror layer listens.
import { release, retain } from '../../core/net/read-buffers.ts'
import type { Body, BodyReader } from '../http/body.ts'
import type { Failure } from '../http/failure.ts'
import type { Headers } from '../http/message.ts'
import { ReplayBuffer, replayLimits } from '../retry/replay-buffer.ts'

/** Sees what passes; must not hold it up. */
export interface Listener {
  /** The chunk is retained for it. */
  onData(chunk: Buffer): void
  onEnd(trailers: Headers | undefined): void
  /** The rest will not come. */
  onCut(): void
}

/**
 * What all requests of this thread keep for further tries, counted by the buffers that it holds up. Beyond it requests are sent once: who
 * sends many bodies to an endpoint that does not answer must not fill the memory of the waypoint.
 */
export const replayBudget = { bytes: 0, mostBytes: 128 * 1_024 * 1_024 }

type Ending = { readonly trailers: Headers | undefined } | { readonly failure: Failure }

export class ClientBody implements BodyReader {
  readonly #source: Body
  bytes = 0
  #replay: ReplayBuffer | undefined
  /** Its share of the budget. */
  #keptBytes = 0
  #current: TryBody | undefined
  #listeners: Listener[] | undefined
  #reading = false
  #last = false
  #cancelled = false
  #ending: Ending | undefined
  #ended: (() => void) | undefined

  constructor(source: Body) {
    this.#source = source
  }

  get length(): number | undefined {
    return this.#source.length
  }

  get ending(): Ending | undefined {
    return this.#ending
  }

  /** Nothing comes any more. */
  get over(): boolean {
    return this.#ending !== undefined || this.#cancelled
  }

  /** To be called before it flows: what comes is kept up to the limit, for further tries. */
  keep(): ReplayBuffer {
    this.#replay ??= new ReplayBuffer()
    return this.#replay
  }

  /** One may wait for it. */
  whenEnded(callback: () => void): void {
    this.#ended = callback
  }

  listen(listener: Listener): void {
    this.#listeners ??= []
    this.#listeners.push(listener)
  }

  forTry(): Body {
    const kept = this.#replay?.chunks ?? []
    for (const chunk of kept) retain(chunk as Buffer)
    const body = new TryBody(this, kept as readonly Buffer[])
    this.#current = body
    return body
  }

  /** No other try comes: nothing is kept any more, and who cancels its body from now on cancels this one. */
  lastTry(): void {
    this.#last = true
    this.#forget()
    if (this.#current === undefined) this.#cancel()
  }

  /** The waypoint answers itself: the client need not send the rest. */
  unwanted(): void {
    this.#last = true
    this.#forget()
    this.#current?.cancel()
    this.#cancel()
  }

  /** The exchange is over. */
  settle(): void {
    this.lastTry()
    if (!this.#reading) this.#cancel()
  }

  #cancel(): void {
    if (this.#cancelled || this.#ending !== undefined) return
    this.#cancelled = true
    this.#source.cancel()
    this.#cutListeners()
    this.#ended?.()
  }

  #forget(): void {
    replayBudget.bytes -= this.#keptBytes
    this.#keptBytes = 0
    const replay = this.#replay
    if (replay === undefined || replay.state === 'abandoned') return
    for (const chunk of replay.chunks) release(chunk as Buffer)
    replay.abandon()
  }

  onData(chunk: Buffer): void {
    this.bytes += chunk.length
    if (this.#replay !== undefined && this.#replay.state === 'open') this.#record(this.#replay, chunk)
    if (this.#listeners !== undefined) {
      for (const listener of this.#listeners) {
        retain(chunk)
        listener.onData(chunk)
      }
    }
    if (this.#current === undefined) release(chunk)
    else this.#current.push(chunk)
  }

  #record(replay: ReplayBuffer, chunk: Buffer): void {
    const full = replay.bytes + chunk.length > replayLimits.bytes || replay.chunks.length >= replayLimits.chunks
    const held = chunk.buffer.byteLength
    if (full || replayBudget.bytes + held > replayBudget.mostBytes) this.#forget()
    else {
      replayBudget.bytes += held
      this.#keptBytes += held
      retain(chunk)
      replay.add(chunk)
    }
  }

  onEnd(trailers: Headers | undefined): void {
    this.#ending = { trailers }
    this.#replay?.complete()
    if (this.#listeners !== undefined) for (const listener of this.#listeners) listener.onEnd(trailers)
    this.#current?.finish()
    this.#ended?.()
  }

  onError(failure: Failure): void {
    this.#ending = { failure }
    this.#cutListeners()
    this.#current?.finish()
    this.#ended?.()
  }

  #cutListeners(): void {
    const listeners = this.#listeners
    this.#listeners = undefined
    if (listeners !== undefined) for (const listener of listeners) listener.onCut()
  }

  /** For the try's body: it has given all that was kept. */
  flow(body: TryBody): void {
    if (this.#current !== body || this.#cancelled || this.#ending !== undefined) return
    if (this.#reading) this.#source.resume()
    else {
      this.#reading = true
      this.#source.read(this)
    }
  }

  hold(body: TryBody): void {
    if (this.#current === body && this.#reading && this.#ending === undefined) this.#source.pause()
  }

  drop(body: TryBody): void {
    if (this.#current !== body) return
    this.hold(body)
    this.#current = undefined
    if (this.#last) this.#cancel()
  }
}

/** The body as one try reads it. */
class TryBody implements Body {
  readonly #owner: ClientBody
  readonly #kept: Buffer[]
  #reader: BodyReader | undefined
  #paused = false
  #done = false

  constructor(owner: ClientBody, kept: readonly Buffer[]) {
    this.#owner = owner
    this.#kept = kept.slice()
  }

  get length(): number | undefined {
    return this.#owner.length
  }

  read(reader: BodyReader): void {
    if (this.#reader !== undefined) throw new Error('a body is read once')
    this.#reader = reader
    this.#deliver()
  }

  pause(): void {
    if (this.#done) return
    this.#paused = true
    this.#owner.hold(this)
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#deliver()
  }

  cancel(): void {
    if (this.#done) return
    this.#done = true
    for (const chunk of this.#kept.splice(0)) release(chunk)
    this.#owner.drop(this)
  }

  /** What the client sends now. A pause may come between two chunks of one read. */
  push(chunk: Buffer): void {
    if (this.#done) release(chunk)
    else if (this.#paused || this.#reader === undefined || this.#kept.length > 0) this.#kept.push(chunk)
    else this.#reader.onData(chunk)
  }

  finish(): void {
    if (this.#reader !== undefined && !this.#paused && this.#kept.length === 0) this.#end()
  }

  #end(): void {
    const { ending } = this.#owner
    if (this.#done || ending === undefined) return
    this.#done = true
    if ('failure' in ending) this.#reader?.onError(ending.failure)
    else this.#reader?.onEnd(ending.trailers)
  }

  #deliver(): void {
    const reader = this.#reader
    if (reader === undefined || this.#done) return
    for (;;) {
      if (this.#paused || this.#done) return
      const chunk = this.#kept.shift()
      if (chunk === undefined) break
      reader.onData(chunk)
    }
    if (this.#owner.ending !== undefined) this.#end()
    else this.#owner.flow(this)
  }
}
