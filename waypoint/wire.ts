// The bytes of one connection, whether it is a socket or a stream of a tunnel: in by borrowed chunks, out by batches, both with
// backpressure, and its end told apart from its death. Used by the codecs of HTTP/1.1 on both sides and by detect.ts.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TunnelHttp2Stream } from '../core/hbone/h2/stream.ts'
import { timer } from '../core/hbone/limits.ts'
import { keepSlice, keptBytes, release } from '../core/net/read-buffers.ts'
import { readSocket, type SocketInput } from '../core/net/socket-reader.ts'
import { resetSocket } from '../core/net/sys.ts'
import type { Keeper } from './http1/reader.ts'

/** Who writes stops when so much waits, and is told when little of it is left. */
const fullBytes = 256 * 1_024

export interface WireOwner {
  /** Valid during the call; `keeper.keep` makes it, or a slice of it, last until it is released. */
  onBytes(chunk: Buffer, keeper: Keeper): void
  /** The peer sends no more. */
  onEnd(): void
  /** After `full`: there is room again. */
  onDrained(): void
  /** Both directions are over, in order or not. Once, the last call. */
  onClosed(): void
}

/** A chunk of a tunnel or of any other stream: its reader owns it, and gives it up when the call is over. */
const counting: Keeper = { keep: keepSlice }

export class Wire {
  readonly stream: Duplex
  #owner: WireOwner
  #paused = false
  #ended = false
  #closed = false
  #finishing = false
  #waits = false
  #grace: NodeJS.Timeout | undefined

  /** Nothing is called back before `start`. */
  constructor(stream: Duplex, owner: WireOwner) {
    this.stream = stream
    this.#owner = owner
    stream.on('error', ignore)
  }

  start(): void {
    const { stream } = this
    stream.on('close', this.#onClose)
    stream.on('end', this.#onEnd)
    if (stream instanceof TunnelHttp2Stream) {
      stream.onDrained = () => this.#drained()
      stream.readDirect(this)
    } else {
      stream.on('drain', this.#drained)
      if (stream instanceof Socket) readSocket(stream, this)
      else stream.on('data', this.#onData).resume()
    }
    if (stream.destroyed) queueMicrotask(this.#onClose)
    else if (stream.readableEnded) queueMicrotask(this.#onEnd)
  }

  /** Everything from now on goes to another owner: detection hands over what it has recognised. */
  handTo(owner: WireOwner): void {
    this.#owner = owner
  }

  /**
   * The stream is somebody else's from now on, who reads it as `start` does (the pump, a session of HTTP/2); what comes meanwhile waits
   * in it.
   */
  detach(): Duplex {
    const { stream } = this
    this.pause()
    // also one that is read directly: what its next reader puts back must wait for it, and not flow to nobody
    stream.pause()
    stream.off('close', this.#onClose)
    stream.off('end', this.#onEnd)
    stream.off('drain', this.#drained)
    stream.off('data', this.#onData)
    if (stream instanceof TunnelHttp2Stream) stream.onDrained = undefined
    return stream
  }

  // ---- in ------------------------------------------------------------------------------------------------------------

  /** From socket-reader.ts. */
  read(chunk: Buffer, input: SocketInput): void {
    if (!this.#closed) this.#owner.onBytes(chunk, input)
  }

  /** From a tunnel. */
  data(chunk: Buffer): void {
    if (!this.#closed) this.#owner.onBytes(chunk, counting)
    release(chunk)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#owner.onBytes(chunk, counting)
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    if (this.stream instanceof TunnelHttp2Stream) this.stream.pauseDirect()
    else this.stream.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.stream instanceof TunnelHttp2Stream) this.stream.resumeDirect()
    else this.stream.resume()
  }

  /** The peer has ended its direction. */
  get ended(): boolean {
    return this.#ended
  }

  // ---- out -----------------------------------------------------------------------------------------------------------

  /** What is written now may reach the peer. */
  get writable(): boolean {
    return !this.#closed && !this.#finishing && this.stream.writable
  }

  /** Takes the buffers over: they are released when they have left. */
  readonly write = (buffers: readonly Buffer[]): void => {
    const { stream } = this
    if (!this.writable) {
      for (const buffer of buffers) release(buffer)
      return
    }
    if (stream instanceof TunnelHttp2Stream) {
      for (const buffer of buffers) stream.send(buffer)
      return
    }
    const single = buffers.length === 1
    if (!single) stream.cork()
    for (const buffer of buffers) {
      if (buffer.length >= keptBytes) stream.write(buffer, () => release(buffer))
      else stream.write(buffer)
    }
    if (!single) stream.uncork()
  }

  /** True: stop writing until `onDrained`. */
  get full(): boolean {
    const { stream } = this
    const queued = stream instanceof TunnelHttp2Stream ? stream.queuedBytes : stream.writableLength
    const full = queued >= fullBytes
    // Only `onDrained` takes it back: whoever asks again meanwhile still waits for that.
    if (full) this.#waits = true
    return full
  }

  readonly #drained = (): void => {
    if (!this.#waits || this.#closed) return
    this.#waits = false
    this.#owner.onDrained()
  }

  // ---- the end -------------------------------------------------------------------------------------------------------

  /** Ends our direction after what was written; the peer goes on as long as it likes. */
  endWrites(): void {
    if (!this.#closed) this.stream.end()
  }

  /** Ends our direction after what was written; a peer that does not end its own within `graceMs` is cut off. */
  finish(graceMs: number): void {
    if (this.#finishing || this.#closed) return
    this.#finishing = true
    this.stream.end()
    this.#grace = timer(graceMs, () => this.stream.destroy())
  }

  /** RST for a socket, RST_STREAM for a tunnel: the peer must not take what it has for all. */
  reset(): void {
    const { stream } = this
    if (stream instanceof Socket) resetSocket(stream)
    else stream.destroy()
  }

  readonly #onEnd = (): void => {
    if (this.#ended || this.#closed) return
    this.#ended = true
    this.#owner.onEnd()
  }

  readonly #onClose = (): void => {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#grace)
    this.#owner.onClosed()
  }
}

function ignore(): void {
  // 'close' follows, and says all that anybody needs.
}
