// The bytes of a message on their way through the proxy: pushed by who parses them, paused by who cannot take more, never held but
// for the moment before somebody reads. Made by the codecs and by layers that answer themselves; read by codecs and layers.
import { release } from '../../core/net/read-buffers.ts'
import type { Failure } from './failure.ts'
import type { Headers } from './message.ts'

/** Called by a body, in this order: `onData` any number of times, then one of the two others. Nothing comes while it is paused. */
export interface BodyReader {
  /**
   * The reader may keep the chunk, must not change it, and says with `release` (core/net/read-buffers.ts), at most once, that its
   * bytes are gone; who cannot tell does not. A producer that cuts one buffer into several chunks retains it for each.
   */
  onData(chunk: Buffer): void
  /** All is there. After a tunnel (an accepted upgrade): that direction has ended. */
  onEnd(trailers: Headers | undefined): void
  /** The rest will never come. */
  onError(failure: Failure): void
}

export interface Body {
  /** Bytes that come, where known; 0: none at all. Undefined: until the end. */
  readonly length: number | undefined
  /** The length that a HEAD or 304 answer tells of a body that it does not have. */
  readonly declared?: number | undefined
  /** Begins the flow; once. Callbacks may come before it returns. */
  read(reader: BodyReader): void
  pause(): void
  resume(): void
  /** Nobody wants the rest: its producer stops, or throws it away. Harmless after the end. No callback comes afterwards. */
  cancel(): void
}

/** What the producer of a channel does about its reader. All optional; none is called after `end` or `fail`. */
export interface ChannelOwner {
  /** Somebody begins to read. */
  onRead?(): void
  /** The reader cannot take more, or nobody reads yet and something waits. */
  onPause?(): void
  onResume?(): void
  onCancel?(): void
}

type ChannelState = 'flowing' | 'ended' | 'cancelled'

/** A body whose producer pushes. What comes before `read`, or while paused, waits in it: the producer stops at `onPause`. */
export class BodyChannel implements Body {
  readonly length: number | undefined
  declared: number | undefined
  readonly #owner: ChannelOwner
  #reader: BodyReader | undefined
  #waiting: Buffer[] = []
  #paused = false
  #told = false
  #state: ChannelState = 'flowing'
  #last: (() => void) | undefined

  constructor(owner: ChannelOwner, length?: number) {
    this.#owner = owner
    this.length = length
  }

  /** False once the producer need not go on. */
  get open(): boolean {
    return this.#state === 'flowing'
  }

  get cancelled(): boolean {
    return this.#state === 'cancelled'
  }

  /** Somebody reads, and nothing waits. */
  get flowing(): boolean {
    return this.#reader !== undefined && !this.#paused && this.#waiting.length === 0
  }

  push(chunk: Buffer): void {
    if (this.#state !== 'flowing') release(chunk)
    else if (this.flowing) this.#reader?.onData(chunk)
    else {
      this.#waiting.push(chunk)
      this.#tell(true)
    }
  }

  end(trailers?: Headers): void {
    this.#close(() => this.#reader?.onEnd(trailers))
  }

  fail(failure: Failure): void {
    this.#close(() => this.#reader?.onError(failure))
  }

  read(reader: BodyReader): void {
    if (this.#reader !== undefined) throw new Error('a body is read once')
    this.#reader = reader
    if (this.#state === 'flowing') this.#owner.onRead?.()
    this.#deliver()
  }

  pause(): void {
    this.#paused = true
    if (this.#state === 'flowing') this.#tell(true)
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#deliver()
  }

  cancel(): void {
    const flowed = this.#state === 'flowing'
    this.#state = 'cancelled'
    this.#last = undefined
    for (const chunk of this.#waiting.splice(0)) release(chunk)
    if (flowed) this.#owner.onCancel?.()
  }

  #close(last: () => void): void {
    if (this.#state !== 'flowing') return
    this.#state = 'ended'
    if (this.flowing) last()
    else this.#last = last
  }

  #deliver(): void {
    const reader = this.#reader
    if (reader === undefined) return
    for (;;) {
      if (this.#paused || this.cancelled) return
      const chunk = this.#waiting.shift()
      if (chunk === undefined) break
      reader.onData(chunk)
    }
    const last = this.#last
    this.#last = undefined
    last?.()
    if (this.#state === 'flowing') this.#tell(false)
  }

  #tell(paused: boolean): void {
    if (this.#told === paused) return
    this.#told = paused
    if (paused) this.#owner.onPause?.()
    else this.#owner.onResume?.()
  }
}

/** Nothing, and its end. */
export const emptyBody: Body = {
  length: 0,
  read: (reader) => reader.onEnd(undefined),
  pause: () => {},
  resume: () => {},
  cancel: () => {},
}

/** One piece that is there already. */
export function bodyOf(bytes: Buffer): Body {
  if (bytes.length === 0) return emptyBody
  const channel = new BodyChannel({}, bytes.length)
  channel.push(bytes)
  channel.end()
  return channel
}
