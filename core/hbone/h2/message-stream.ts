// One stream of a session that carries a request and its answer: plain callbacks in place of node:stream, since there is one of these
// for every request. Made by message-session.ts for its owner in the waypoint; sent from by sender.ts.
import { release } from '../../net/read-buffers.ts'
import { ReceiveWindow } from './flow.ts'
import type { FrameWriter } from './frame-writer.ts'
import { HeldBytes } from './held-bytes.ts'
import { moveToFrame } from './send-queue.ts'
import type { SessionStream, StreamOwner } from './session-stream.ts'

/** Who makes something of the stream. Told in this order: data, the end; a reset at any time. */
export interface StreamUser {
  /** Bytes of the body; whoever gets them says when they are gone (net/read-buffers.ts). */
  streamData(chunk: Buffer): void
  /** The peer's end, once all data was handed out. */
  streamEnd(): void
  /**
   * RST_STREAM came, or, with a `cause`, the session or the stream broke. What waits to be sent is dropped. What was received is
   * still handed out where the peer's end had come before (RFC 9113 8.1), unless `stopReading` follows.
   */
  streamReset(code: number, cause: Error | undefined): void
  /** Little is left to send. */
  streamDrained(): void
  /** Our end is on its way. */
  streamSent(): void
  /** The session no longer counts it. A reset that is the reason is told right after. */
  streamReleased(): void
}

/** So much in the queue keeps the stream busy until more comes. */
const lowWaterBytes = 64 * 1_024

export class MessageStream implements SessionStream {
  readonly id: number
  sendWindow: number
  listed = false
  opened = false
  /** Set before anything but the first header list comes in. */
  user: StreamUser | undefined
  readonly #owner: StreamOwner<MessageStream>
  readonly #window: ReceiveWindow
  #queue: Buffer[] | undefined
  /** Bytes of the first chunk of the queue that are sent. */
  #sent = 0
  #queuedBytes = 0
  #sentBytes = 0
  /** `end` was called. */
  #ending = false
  #trailers: readonly string[] | undefined
  #localEnded = false
  #remoteEnded = false
  #resetCode: number | undefined
  #held: HeldBytes | undefined
  /** Somebody reads. */
  #wanted = false
  /** Nobody will: what comes is thrown away. */
  #unwanted = false
  #endTold = false

  constructor(owner: StreamOwner<MessageStream>, id: number, sendWindow: number, receiveWindow: number) {
    this.#owner = owner
    this.id = id
    this.sendWindow = sendWindow
    this.#window = new ReceiveWindow(receiveWindow)
  }

  get remoteEnded(): boolean {
    return this.#remoteEnded
  }

  /** We send no more. */
  get localEnded(): boolean {
    return this.#localEnded
  }

  get ended(): boolean {
    return this.#resetCode !== undefined || (this.#remoteEnded && this.#localEnded)
  }

  get destroyed(): boolean {
    return this.#resetCode !== undefined
  }

  get receiveWindow(): number {
    return this.#window.open
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** Bytes of bodies that went into frames so far. */
  get sentBytes(): number {
    return this.#sentBytes
  }

  /** Bytes that were received and wait for a reader. */
  get heldBytes(): number {
    return this.#held?.bytes ?? 0
  }

  // ---- called by its user -------------------------------------------------------------------------------------------

  /** Begins or goes on to hand out what comes. */
  resume(): void {
    this.#wanted = true
    this.#deliver()
  }

  pause(): void {
    this.#wanted = false
  }

  /** Nobody reads it any more: what came and what comes is thrown away. */
  stopReading(): void {
    this.#unwanted = true
    const held = this.#held
    if (held === undefined) return
    this.#held = undefined
    this.#owner.holds(-held.bytes)
    while (held.bytes > 0) {
      const chunk = held.take()
      this.consumed(chunk.length)
      release(chunk)
    }
  }

  /** The chunk is released when it was sent. Watch `queuedBytes` and `streamDrained`. */
  send(chunk: Buffer): void {
    if (this.#ending || this.#resetCode !== undefined) release(chunk)
    else if (chunk.length > 0) {
      this.#queue ??= []
      this.#queue.push(chunk)
      this.#queuedBytes += chunk.length
      this.#owner.ready(this)
    }
  }

  /** Our end, after all that was sent; with trailers `[name, value, …]`. */
  end(trailers?: readonly string[]): void {
    if (this.#ending || this.#resetCode !== undefined) return
    this.#ending = true
    this.#trailers = trailers
    this.#owner.ready(this)
  }

  /** The header list that was just sent was all: nothing follows. */
  endNow(): void {
    this.#ending = true
    this.#localEnded = true
    this.#tellSent()
  }

  /** RST_STREAM, where there is still something to reset. Its user is told no more than that it is released. */
  reset(code: number): void {
    this.#unwanted = true
    if (this.ended) {
      this.stopReading()
      return
    }
    this.#resetCode = code
    this.#dropQueue()
    this.stopReading()
    this.#owner.reset(this, code)
  }

  // ---- called by the session and the sender -------------------------------------------------------------------------

  onReleased(): void {
    this.user?.streamReleased()
  }

  admits(bytes: number): boolean {
    return this.#window.receive(bytes)
  }

  receive(chunk: Buffer): void {
    if (this.#unwanted || this.#resetCode !== undefined) {
      const { length } = chunk
      release(chunk)
      this.consumed(length)
    } else if (!this.#wanted || this.#held !== undefined) {
      this.#held ??= new HeldBytes()
      this.#owner.holds(chunk.length)
      this.#held.add(chunk)
    } else this.#pass(chunk)
  }

  consumed(bytes: number): void {
    this.#window.consume(bytes)
    const grant = this.#remoteEnded ? 0 : this.#window.grant(this.#owner.windowBytes())
    if (grant > 0 && this.#resetCode === undefined) this.#owner.windowUpdate(this, grant)
  }

  remoteEnd(): void {
    this.#remoteEnded = true
    if (this.#localEnded) this.#owner.completed(this)
    if (this.#wanted) this.#tellEnd()
  }

  remoteReset(code: number, cause?: Error): void {
    this.#resetCode ??= code
    this.#dropQueue()
    if (!this.#remoteEnded) this.stopReading()
    this.user?.streamReset(code, cause)
  }

  sendTo(writer: FrameWriter, budget: number, maxFrameBytes: number): number {
    if (this.#localEnded || this.#resetCode !== undefined) return 0
    const bytes = Math.max(0, Math.min(this.#queuedBytes, this.sendWindow, budget))
    const ends = this.#ending && bytes === this.#queuedBytes
    const endsPlain = ends && this.#trailers === undefined
    this.sendWindow -= bytes
    let rest = bytes
    while (rest > 0) {
      const frame = Math.min(rest, maxFrameBytes)
      rest -= frame
      writer.data(this.id, frame, endsPlain && rest === 0)
      this.#move(writer, frame)
    }
    if (!ends) return bytes
    if (this.#trailers !== undefined) this.#owner.trailers(this, this.#trailers)
    else if (bytes === 0) writer.data(this.id, 0, true)
    this.#localEnded = true
    return bytes
  }

  afterSend(): void {
    if (this.#resetCode !== undefined) return
    if (this.#localEnded) this.#tellSent()
    else if (this.#queuedBytes <= lowWaterBytes) this.user?.streamDrained()
  }

  // ---- inside -------------------------------------------------------------------------------------------------------

  #tellSent(): void {
    this.user?.streamSent()
    if (this.#remoteEnded) this.#owner.completed(this)
  }

  #move(writer: FrameWriter, bytes: number): void {
    this.#sent = moveToFrame(writer, this.#queue!, this.#sent, bytes, true)
    this.#queuedBytes -= bytes
    this.#sentBytes += bytes
  }

  #pass(chunk: Buffer): void {
    const { length } = chunk
    this.user?.streamData(chunk)
    this.consumed(length)
  }

  /** Held bytes, as long as they are wanted; then the end. */
  #deliver(): void {
    while (this.#held !== undefined && this.#wanted) {
      const chunk = this.#held.take()
      if (this.#held.bytes === 0) this.#held = undefined
      this.#owner.holds(-chunk.length)
      this.#pass(chunk)
    }
    if (this.#remoteEnded && this.#wanted) this.#tellEnd()
  }

  #tellEnd(): void {
    if (this.#endTold || this.#unwanted || this.#held !== undefined) return
    this.#endTold = true
    this.user?.streamEnd()
  }

  /** What was partly sent may still be on its way: it is left to the garbage collector. */
  #dropQueue(): void {
    const queue = this.#queue
    this.#queue = undefined
    this.#queuedBytes = 0
    if (queue === undefined) return
    for (let at = this.#sent > 0 ? 1 : 0; at < queue.length; at += 1) release(queue[at]!)
    this.#sent = 0
  }
}
