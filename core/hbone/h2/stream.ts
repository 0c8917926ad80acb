// One CONNECT stream of a session: a Duplex for everyone, and beside it a direct way for the byte pump that leaves out the
// buffers of node:stream. Made by session.ts; sent from by sender.ts.
import { Duplex } from 'node:stream'
import { MeshError } from '../../base/errors.ts'
import { release } from '../../net/read-buffers.ts'
import { ReceiveWindow } from './flow.ts'
import type { FrameWriter } from './frame-writer.ts'
import { HeldBytes } from './held-bytes.ts'
import type { HeaderField } from './hpack-table.ts'
import { errorCode, errorName } from './protocol.ts'
import { moveToFrame } from './send-queue.ts'
import type { SessionStream, StreamOwner } from './session-stream.ts'

/** The direct way in and out; one per stream, see `direct`. */
export interface DirectReader {
  data(chunk: Buffer): void
}

/** So much in the queue keeps the stream busy until more comes. */
const lowWaterBytes = 64 * 1_024

type Callback = (error?: Error | null) => void

interface Chunk {
  readonly chunk: Buffer
}

export class TunnelHttp2Stream extends Duplex implements SessionStream {
  readonly id: number
  readonly #owner: StreamOwner<TunnelHttp2Stream>
  readonly #window: ReceiveWindow
  /** What the peer lets us send; negative after it made its initial window smaller (RFC 9113 6.9.2). */
  sendWindow: number
  /** In a list of sender.ts. */
  listed = false
  /** The peer's header block was taken: further ones are trailers. */
  opened = false
  /** Called once when the session no longer counts this stream. */
  onReleased: (() => void) | undefined
  /** The header list that answers it (client). */
  onAnswer: ((fields: readonly HeaderField[], tooLarge: boolean) => void) | undefined
  /** Called when little is left in the queue. */
  onDrained: (() => void) | undefined
  #queue: Buffer[] = []
  /** Bytes of the first chunk of the queue that are sent. */
  #sent = 0
  #queuedBytes = 0
  #written: Callback | undefined
  #finished: Callback | undefined
  #remoteEnded = false
  #localEnded = false
  #resetCode: number | undefined
  #held: HeldBytes | undefined
  /** Held bytes go out by themselves as soon as the reader wants more. */
  #wanted = false
  #reader: DirectReader | undefined
  #endPushed = false

  constructor(owner: StreamOwner<TunnelHttp2Stream>, id: number, sendWindow: number, receiveWindow: number) {
    // Readable keeps at most one chunk: waiting bytes are kept here, compactly.
    super({ allowHalfOpen: true, readableHighWaterMark: 1, writableHighWaterMark: 64 * 1024, decodeStrings: true })
    this.#owner = owner
    this.id = id
    this.sendWindow = sendWindow
    this.#window = new ReceiveWindow(receiveWindow)
    this.on('error', ignore)
  }

  /** The peer sends no more. */
  get remoteEnded(): boolean {
    return this.#remoteEnded
  }

  /** No frame of it is expected or allowed any more, but for those that were on their way. */
  get ended(): boolean {
    return this.#resetCode !== undefined || (this.#remoteEnded && this.#localEnded)
  }

  /** The peer says that it did not look at this one: it may be tried again (RFC 9113 8.7). */
  get refused(): boolean {
    return this.#resetCode === errorCode.refusedStream
  }

  /** What the peer may still send. */
  get receiveWindow(): number {
    return this.#window.open
  }

  /** Bytes that wait to be sent. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  // ---- the direct way -----------------------------------------------------------------------------------------------

  /** From now on data goes to `reader`, and neither 'data' nor 'readable' is emitted; 'end', 'error' and 'close' are. */
  readDirect(reader: DirectReader): void {
    this.#reader = reader
    for (let chunk = this.read(); chunk !== null; chunk = this.read()) reader.data(chunk as Buffer)
    this.resume()
    this.resumeDirect()
  }

  pauseDirect(): void {
    this.#wanted = false
  }

  resumeDirect(): void {
    this.#wanted = true
    this.#deliver()
  }

  /**
   * Writes past the buffer of node:stream; `end` sends the end after it. Watch `queuedBytes` and `onDrained`. The chunk is
   * released when it was sent (net/read-buffers.ts).
   */
  send(chunk: Buffer): void {
    if (this.destroyed || this.#localEnded || this.#resetCode !== undefined) {
      release(chunk)
      return
    }
    this.#enqueue(chunk)
    this.#owner.ready(this)
  }

  /**
   * As `send`, of the first `length` bytes of a buffer that stays the caller's: for a short message that nothing stands before. False
   * where it has to be kept and sent.
   */
  sendCopy(buffer: Buffer, length: number): boolean {
    if (this.destroyed || this.#localEnded || this.#resetCode !== undefined) return false
    if (this.#queuedBytes > 0 || this.#finished !== undefined) return false
    return this.#owner.copy(this, buffer, length)
  }

  // ---- node:stream --------------------------------------------------------------------------------------------------

  override _read(): void {
    if (this.#reader !== undefined) return
    this.#wanted = true
    if (this.#held !== undefined) this.#deliver()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    if (this.#discards(callback)) return
    this.#written = callback
    this.#enqueue(chunk)
    this.#owner.ready(this)
  }

  override _writev(chunks: Chunk[], callback: Callback): void {
    if (this.#discards(callback)) return
    this.#written = callback
    for (const { chunk } of chunks) this.#enqueue(chunk)
    this.#owner.ready(this)
  }

  override _final(callback: Callback): void {
    if (this.#discards(callback)) return
    this.#finished = callback
    this.#owner.ready(this)
  }

  override _destroy(error: Error | null, callback: Callback): void {
    if (!this.ended) {
      this.#resetCode = errorCode.cancel
      this.#owner.reset(this, errorCode.cancel)
    }
    const waits = this.#queuedBytes > 0 || this.#written !== undefined || this.#finished !== undefined
    if (waits) this.#dropQueue(error ?? new MeshError('ABORTED', 'the tunnel stream was closed'))
    this.#dropHeld()
    callback(error)
  }

  /** Ends the stream of a peer that got its answer and has nothing more to say of interest (RFC 9113 8.1). */
  abandon(): void {
    if (!this.ended) {
      this.#resetCode = errorCode.noError
      this.#owner.reset(this, errorCode.noError)
    }
    this.destroy()
  }

  // ---- called by the session and the sender -------------------------------------------------------------------------

  /** Accounts for a DATA frame. False where the peer sent more than its window. */
  admits(bytes: number): boolean {
    return this.#window.receive(bytes)
  }

  receive(chunk: Buffer): void {
    if (this.destroyed) release(chunk)
    else if (!this.#wanted || this.#held !== undefined) {
      this.#held ??= new HeldBytes()
      this.#held.add(chunk)
      this.#owner.holds(chunk.length)
    } else this.#pass(chunk)
  }

  /** Padding and what nobody reads count as consumed. */
  consumed(bytes: number): void {
    this.#window.consume(bytes)
    const grant = this.#remoteEnded ? 0 : this.#window.grant(this.#owner.windowBytes())
    if (grant > 0 && this.#resetCode === undefined) this.#owner.windowUpdate(this, grant)
  }

  remoteEnd(): void {
    this.#remoteEnded = true
    if (this.#localEnded) this.#owner.completed(this)
    if (this.#held === undefined) this.#pushEnd()
  }

  /** RST_STREAM came, or the session ended. Whatever came after a complete answer is of no interest (RFC 9113 8.1). */
  remoteReset(code: number, cause?: Error): void {
    this.#resetCode = code
    if (this.#remoteEnded && code === errorCode.noError) {
      this.#dropQueue(undefined)
      return
    }
    this.destroy(cause ?? this.#resetError())
  }

  /** Whether it has anything to send now. */
  get sendable(): boolean {
    return this.#queuedBytes > 0 ? this.sendWindow > 0 : this.#finished !== undefined && !this.#localEnded
  }

  /** Moves up to `budget` bytes and, after the last of them, the end into frames. Returns the bytes. */
  sendTo(writer: FrameWriter, budget: number, maxFrameBytes: number): number {
    if (this.#localEnded || this.#resetCode !== undefined) return 0
    const bytes = Math.max(0, Math.min(this.#queuedBytes, this.sendWindow, budget))
    const ends = this.#finished !== undefined && bytes === this.#queuedBytes
    if (bytes === 0 && !ends) return 0
    this.sendWindow -= bytes
    let rest = bytes
    do {
      const frame = Math.min(rest, maxFrameBytes)
      rest -= frame
      writer.data(this.id, frame, ends && rest === 0)
      this.#move(writer, frame)
    } while (rest > 0)
    if (ends) this.#localEnded = true
    return bytes
  }

  /** Tells those who wait for what `sendTo` did. It may write more. */
  afterSend(): void {
    if (this.#queuedBytes <= lowWaterBytes) this.onDrained?.()
    if (this.#queuedBytes > 0) return
    const written = this.#written
    this.#written = undefined
    written?.()
    if (!this.#localEnded || this.#finished === undefined) return
    const finished = this.#finished
    this.#finished = undefined
    if (this.#remoteEnded) this.#owner.completed(this)
    finished()
  }

  // ---- inside -------------------------------------------------------------------------------------------------------

  #enqueue(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
  }

  #move(writer: FrameWriter, bytes: number): void {
    // What came through node:stream may be a part of something that others still read: only `send` hands over.
    this.#sent = moveToFrame(writer, this.#queue, this.#sent, bytes, this.#written === undefined)
    this.#queuedBytes -= bytes
  }

  #pass(chunk: Buffer): void {
    if (this.#reader !== undefined) this.#reader.data(chunk)
    else this.#wanted = this.push(chunk)
    this.consumed(chunk.length)
  }

  /** Held bytes, as long as they are wanted; then the end. */
  #deliver(): void {
    while (this.#held !== undefined && this.#wanted && !this.destroyed) {
      const chunk = this.#held.take()
      if (this.#held.bytes === 0) this.#held = undefined
      this.#owner.holds(-chunk.length)
      this.#pass(chunk)
    }
    if (this.#remoteEnded && this.#held === undefined) this.#pushEnd()
  }

  #pushEnd(): void {
    if (this.#endPushed || this.destroyed) return
    this.#endPushed = true
    this.push(null)
  }

  /** After a complete answer the peer may reset with NO_ERROR: what we still send goes nowhere, but the answer stays good. */
  #discards(callback: Callback): boolean {
    if (this.#resetCode === undefined) return false
    callback(this.#resetCode === errorCode.noError && this.#remoteEnded ? null : this.#resetError())
    return true
  }

  #dropQueue(error: Error | undefined): void {
    const callbacks = [this.#written, this.#finished]
    this.#written = undefined
    this.#finished = undefined
    this.#queue = []
    this.#sent = 0
    this.#queuedBytes = 0
    for (const callback of callbacks) callback?.(error ?? null)
    if (error === undefined) this.onDrained?.()
  }

  #dropHeld(): void {
    if (this.#held !== undefined) this.#owner.holds(-this.#held.bytes)
    this.#held = undefined
  }

  #resetError(): MeshError {
    const code = errorName(this.#resetCode ?? errorCode.cancel)
    return new MeshError('TUNNEL_UNAVAILABLE', `the peer reset the tunnel stream (${code})`)
  }
}

function ignore(): void {
  // Whoever reads the stream listens too; before the answer there may be nobody.
}
