// The streams of a session: which there are, which may still be named, how they open and end. Owned by engine.ts.
import { MeshError } from '../../base/errors.ts'
import type { SessionLimits } from '../limits.ts'
import { ClosedStreams } from './closed-streams.ts'
import type { Floods } from './floods.ts'
import { errorCode, errorName, maxStreamId, maxWindow, SessionError } from './protocol.ts'
import type { Sender } from './sender.ts'
import type { SessionStream, StreamFactory, StreamOwner } from './session-stream.ts'
import { StreamTable } from './stream-table.ts'
import { initialStreamWindow } from './window-growth.ts'

export interface StreamsHooks<S> {
  /** How large the receive windows of streams are now. */
  readonly windowBytes: () => number
  /** More (or less) received bytes wait for a reader. */
  readonly onHeld: (bytes: number) => void
  /** A stream is over. */
  readonly onReleased: () => void
  readonly trailers: (stream: S, fields: readonly string[]) => void
}

export class Streams<S extends SessionStream> {
  readonly #limits: SessionLimits
  readonly #sender: Sender
  readonly #floods: Floods
  readonly #hooks: StreamsHooks<S>
  readonly #make: StreamFactory<S>
  readonly #open = new StreamTable<S>()
  readonly #closed = new ClosedStreams()
  /** The greatest stream of the peer that was taken (server), or that we opened (client); client streams are odd. */
  #last = -1

  constructor(limits: SessionLimits, sender: Sender, floods: Floods, hooks: StreamsHooks<S>, make: StreamFactory<S>) {
    this.#limits = limits
    this.#sender = sender
    this.#floods = floods
    this.#hooks = hooks
    this.#make = make
  }

  get size(): number {
    return this.#open.size
  }

  /** For GOAWAY. */
  get last(): number {
    return Math.max(0, this.#last)
  }

  get(id: number): S | undefined {
    return this.#open.get(id)
  }

  /** As they are now; in no particular order. */
  all(): readonly S[] {
    return this.#open.values()
  }

  /** Undefined when all ids are used up (client). */
  openNext(sendWindow: number): S | undefined {
    return this.#last + 2 > maxStreamId ? undefined : this.create(this.#last + 2, sendWindow)
  }

  /** Whether the peer may open this one (server). */
  isNew(id: number): boolean {
    return id % 2 === 1 && id > this.#last
  }

  create(id: number, sendWindow: number): S {
    this.#last = id
    const stream = this.#make(this.#owner, id, sendWindow, this.#receiveWindow)
    this.#open.set(id, stream)
    return stream
  }

  /** Answers a stream that is not taken, and that the client may try elsewhere (RFC 9113 8.7). */
  refuse(id: number): void {
    this.#last = id
    this.#closed.add(id, this.#receiveWindow)
    this.#sender.writer.resetStream(id, errorCode.refusedStream)
    this.#sender.wake()
  }

  /** RST_STREAM; the stream is over. */
  reset(stream: S, code: number): void {
    if (this.#open.get(stream.id) !== stream) return
    if (!stream.remoteEnded) this.#closed.add(stream.id, stream.receiveWindow)
    this.#sender.writer.resetStream(stream.id, code)
    this.#sender.wake()
    this.release(stream)
  }

  /** The peer broke this stream: who makes us reset streams at will is a flood like one who resets them. */
  break(stream: S, code: number, message: string): void {
    this.#floods.reset()
    const text = `the stream was broken by the peer: ${message} (${errorName(code)})`
    this.reset(stream, code)
    stream.remoteReset(code, new MeshError('TUNNEL_H2', text))
  }

  release(stream: S): void {
    if (!this.#open.delete(stream.id)) return
    stream.onReleased?.()
    this.#hooks.onReleased()
  }

  /** GOAWAY of a server: it did not see these, so that they can be tried again elsewhere. */
  refusedAbove(last: number): void {
    for (const stream of this.#open.values()) {
      if (stream.id <= last) continue
      this.release(stream)
      stream.remoteReset(errorCode.refusedStream)
    }
  }

  /** The session is over. */
  end(cause: MeshError): void {
    for (const stream of this.#open.values()) {
      this.release(stream)
      stream.remoteReset(errorCode.internalError, cause)
    }
  }

  /** RST_STREAM came for a stream that is over: nothing more will. */
  forget(id: number): void {
    this.#closed.delete(id)
  }

  /** A frame for a stream that we do not have: one that never was, one that we reset a moment ago, or one that is over. */
  checkClosed(id: number, bytes: number): void {
    this.checkNotIdle(id)
    if (!this.#closed.admits(id, bytes)) {
      throw new SessionError(errorCode.streamClosed, 'a frame for a stream that is over')
    }
  }

  checkNotIdle(id: number): void {
    if (id % 2 === 1 && id <= this.#last) return
    throw new SessionError(errorCode.protocolError, 'a frame for a stream that never was')
  }

  windowUpdate(id: number, increment: number): void {
    const stream = this.#open.get(id)
    if (stream === undefined) this.checkNotIdle(id)
    else if (increment === 0) this.break(stream, errorCode.protocolError, 'WINDOW_UPDATE of 0')
    else if (stream.sendWindow + increment <= maxWindow) this.#enlarge(stream, increment)
    else this.break(stream, errorCode.flowControlError, 'a window beyond the limit')
  }

  /** The peer's initial window changed: so do those of all streams (RFC 9113 6.9.2). */
  moveWindows(bytes: number): void {
    if (bytes !== 0) for (const stream of this.#open.values()) this.#enlarge(stream, bytes)
  }

  #enlarge(stream: S, bytes: number): void {
    const before = stream.sendWindow
    stream.sendWindow += bytes
    if (stream.sendWindow > maxWindow) {
      throw new SessionError(errorCode.flowControlError, 'a stream window beyond the limit')
    }
    if (before <= 0 && stream.sendWindow > 0 && stream.queuedBytes > 0) this.#sender.ready(stream)
  }

  get #receiveWindow(): number {
    return initialStreamWindow(this.#limits)
  }

  readonly #owner: StreamOwner<S> = {
    ready: (stream) => this.#sender.ready(stream),
    copy: (stream, buffer, length) => this.#sender.copy(stream, buffer, length),
    reset: (stream, code) => this.reset(stream, code),
    completed: (stream) => this.release(stream),
    windowBytes: () => this.#hooks.windowBytes(),
    windowUpdate: (stream, bytes) => {
      this.#sender.writer.windowUpdate(stream.id, bytes)
      this.#sender.wake()
    },
    holds: (bytes) => this.#hooks.onHeld(bytes),
    trailers: (stream, fields) => this.#hooks.trailers(stream, fields),
  }
}
