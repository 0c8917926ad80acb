// The engine of Culvert 0.1 on node:http2, kept as the baseline of bench/engine.ts. A tunnel stream over an HTTP/2 stream of Node: the exact contract of types.ts, which Node's own stream does not keep. There
// a destroy sends RST_STREAM(NO_ERROR), which the peer reads as an orderly end, and a reset may surface as an orderly end.
import { constants, type Http2Stream } from 'node:http2'
import { addAbortSignal, Duplex } from 'node:stream'
import { MeshError } from '../../core/base/errors.ts'

const { NGHTTP2_NO_ERROR } = constants
/**
 * The one way to RST_STREAM(CANCEL) alone: `close(CANCEL)` ends the writable side first, so that END_STREAM goes out before the
 * reset and the peer takes the torn stream for a complete one.
 */
const cancelled = AbortSignal.abort()
const bufferedBytes = 64 * 1024

/** Of node:stream. */
type Callback = (error?: Error | null) => void

interface Chunk {
  readonly chunk: Buffer
}

/** Made by server.ts and client.ts at the first sight of a stream, so that no end and no reset before the answer is missed. */
export class Http2TunnelStream extends Duplex {
  readonly #inner: Http2Stream
  #peerEnded: boolean
  #settled = false
  #failure: Error | undefined

  constructor(inner: Http2Stream) {
    super({ allowHalfOpen: true, highWaterMark: bufferedBytes })
    this.#inner = inner
    this.#peerEnded = inner.state.remoteClose === 1
    this.#watchEnd()
    this.on('error', ignore)
    inner.on('data', this.#data)
    inner.on('end', this.#end)
    inner.on('error', this.#error)
    inner.on('close', this.#close)
    inner.pause()
    if (inner.destroyed) process.nextTick(this.#close)
  }

  /** END_STREAM is pushed as null while the stream is open; after a reset Node pushes null too, but the stream is closed. */
  #watchEnd(): void {
    const inner = this.#inner
    const push = inner.push.bind(inner)
    inner.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
      if (chunk === null && !inner.closed) this.#peerEnded = true
      return push(chunk, encoding)
    }
  }

  override _read(): void {
    this.#inner.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    if (this.#discards(callback)) return
    this.#inner.write(chunk, (error) => this.#written(error, callback))
  }

  override _writev(chunks: Chunk[], callback: Callback): void {
    if (this.#discards(callback)) return
    const inner = this.#inner
    const last = chunks.length - 1
    inner.cork()
    for (let index = 0; index < last; index += 1) inner.write(chunks[index]!.chunk)
    inner.write(chunks[last]!.chunk, (error) => this.#written(error, callback))
    inner.uncork()
  }

  override _final(callback: Callback): void {
    if (this.#discards(callback)) return
    this.#inner.end((error?: Error | null) => this.#written(error, callback))
  }

  override _destroy(error: Error | null, callback: Callback): void {
    const inner = this.#inner
    const complete = error === null && this.#peerEnded && this.writableFinished
    if (!complete && inner.closed) inner.destroy()
    else if (!complete) addAbortSignal(cancelled, inner)
    inner.resume()
    callback(error)
  }

  /**
   * After a complete answer a server may reset with NO_ERROR (RFC 9113 8.1): what we still send is of no interest to it, but
   * the answer stays good.
   */
  #discards(callback: Callback): boolean {
    if (!this.#inner.closed) return false
    callback(this.#finishedByPeer() ? null : this.#reset())
    return true
  }

  #written(error: Error | null | undefined, callback: Callback): void {
    if (error === null || error === undefined || this.#finishedByPeer()) callback()
    else callback(this.#failure ?? error)
  }

  #finishedByPeer(): boolean {
    return this.#peerEnded && this.#inner.closed && this.#inner.rstCode === NGHTTP2_NO_ERROR
  }

  #reset(): MeshError {
    return new MeshError('TUNNEL_UNAVAILABLE', `the peer reset the tunnel stream (code ${this.#inner.rstCode})`, {
      cause: this.#failure,
    })
  }

  readonly #data = (chunk: Buffer): void => {
    if (this.destroyed) return
    if (!this.push(chunk)) this.#inner.pause()
  }

  readonly #end = (): void => {
    if (this.destroyed) return
    if (!this.#peerEnded) {
      this.destroy(this.#reset())
      return
    }
    this.#settled = true
    this.push(null)
  }

  readonly #error = (error: Error): void => {
    this.#failure ??= error
  }

  /** Our own reset closes without an error; anything else that ends before both sides did is the peer's reset. */
  readonly #close = (): void => {
    if (this.destroyed) return
    if (this.#settled && (this.writableFinished || this.#finishedByPeer())) return
    this.destroy(this.#reset())
  }
}

function ignore(): void {
  // Whoever reads the stream listens too; before the answer there may be nobody.
}
