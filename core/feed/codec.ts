// One JSON object per line over a stream socket, bounded both ways: the handoff between agent and daemon.
import type { Socket } from 'node:net'
import { asMeshError, MeshError } from '../base/errors.ts'

const newline = 0x0a

/** Splits a byte stream into lines of at most `limitBytes` without their newline. Pure but for its buffer. */
export class LineSplitter {
  readonly #limitBytes: number
  #pieces: Uint8Array[] = []
  #bytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Bytes of a line whose end has not come yet. */
  get pendingBytes(): number {
    return this.#bytes
  }

  /** The lines that `chunk` completes. Throws FEED_PROTOCOL once a line is longer than the limit. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      this.#append(chunk.subarray(start, end))
      start = end + 1
      const line = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces)
      this.#pieces = []
      this.#bytes = 0
      yield line
    }
    this.#append(chunk.subarray(start))
  }

  #append(piece: Uint8Array): void {
    if (piece.length === 0 && this.#pieces.length > 0) return
    this.#bytes += piece.length
    if (this.#bytes > this.#limitBytes) {
      throw new MeshError('FEED_PROTOCOL', `a line is longer than ${this.#limitBytes} bytes`)
    }
    this.#pieces.push(piece)
  }
}

export interface LineChannelOptions<In> {
  /** Checks one decoded line; throws FEED_PROTOCOL. */
  readonly parse: (value: unknown) => In
  /** Longest line taken, and the most unsent bytes kept for a peer that does not read. */
  readonly limitBytes: number
}

/** Messages over a connected socket. The channel owns the socket from now on: whatever ends the channel destroys it. */
export class LineChannel<In, Out> {
  readonly #socket: Socket
  readonly #parse: (value: unknown) => In
  readonly #limitBytes: number
  #failure: Error | undefined

  constructor(socket: Socket, options: LineChannelOptions<In>) {
    this.#socket = socket
    this.#parse = options.parse
    this.#limitBytes = options.limitBytes
    socket.on('error', (error: Error) => {
      this.#failure ??= error
    })
  }

  get closed(): boolean {
    return this.#socket.destroyed || !this.#socket.writable
  }

  /**
   * Queues one message. False where it will not arrive: the channel is closed, or the peer has left more than `limitBytes`
   * unread, which closes the channel (its reader then throws LIMIT_REACHED).
   */
  send(message: Out): boolean {
    if (this.closed) return false
    if (this.#socket.writableLength > this.#limitBytes) {
      this.#socket.destroy(
        new MeshError('LIMIT_REACHED', `the peer left ${this.#socket.writableLength} bytes unread: is it stuck?`),
      )
      return false
    }
    this.#socket.write(`${JSON.stringify(message)}\n`)
    return true
  }

  /**
   * Incoming messages until the peer ends or `signal` aborts (both end the loop without an error). For one consumer, once.
   * Throws FEED_PROTOCOL for a line that is too long, cut off, not UTF-8 JSON or not a message, FEED_CLOSED for a broken
   * socket. Reading stops while the consumer is busy: the peer feels backpressure.
   */
  async *messages(signal: AbortSignal): AsyncGenerator<In, void, undefined> {
    const splitter = new LineSplitter(this.#limitBytes)
    const stop = (): void => {
      this.#socket.destroy()
    }
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    try {
      for await (const chunk of this.#socket as AsyncIterable<Uint8Array>) {
        for (const line of splitter.push(chunk)) {
          if (line.length > 0) yield this.#decode(line)
          if (signal.aborted) return
        }
      }
      if (splitter.pendingBytes > 0) throw new MeshError('FEED_PROTOCOL', 'the peer closed in the middle of a message')
    } catch (error: unknown) {
      if (signal.aborted) return
      throw asMeshError(this.#failure ?? error, 'FEED_CLOSED')
    } finally {
      signal.removeEventListener('abort', stop)
      this.#socket.destroy()
    }
  }

  /** Sends what is queued, then ends; a peer that does not read is cut off after a second. */
  close(): void {
    if (this.#socket.destroyed) return
    this.#socket.end()
    const timer = setTimeout(() => this.#socket.destroy(), 1000)
    this.#socket.once('close', () => clearTimeout(timer))
  }

  #decode(line: Uint8Array): In {
    let value: unknown
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line))
    } catch (error: unknown) {
      throw new MeshError('FEED_PROTOCOL', 'a line is not UTF-8 JSON', { cause: error })
    }
    return this.#parse(value)
  }
}
