// One end of an open feed WebSocket, the same on both sides: decodes and checks what comes, bounds what is queued, notices a
// silent peer. FeedClient (agent) and control/feed own one per session.
import type { RawData, WebSocket } from 'ws'
import { asMeshError, MeshError } from '../base/errors.ts'
import { unpack } from './packing.ts'

/** Largest message of the feed: a full state of about 100 k workloads. */
export const maxFeedMessageBytes = 256 * 1024 * 1024
/** Largest message of an agent: the digests of such a state. */
export const maxAgentMessageBytes = 64 * 1024 * 1024

export interface FeedConnectionOptions<In> {
  /** Checks one decoded message; throws FEED_PROTOCOL. */
  readonly parse: (value: unknown) => In
  /** `size`: characters of its text, for owners that queue messages. */
  readonly onMessage: (message: In, size: number) => void
  /** Called exactly once. Without an error the other side closed in good order. */
  readonly onClose: (error: MeshError | undefined) => void
  /** Whether the peer may send packed messages. */
  readonly packs?: boolean
  /** A ping leaves this often; a peer from which nothing came for three times as long is given up. */
  readonly pingMs: number
}

export class FeedConnection<In, Out> {
  readonly #socket: WebSocket
  readonly #options: FeedConnectionOptions<In>
  readonly #timer: NodeJS.Timeout
  #heardAt = performance.now()
  #failure: MeshError | undefined

  /** Takes an open socket over. */
  constructor(socket: WebSocket, options: FeedConnectionOptions<In>) {
    this.#socket = socket
    this.#options = options
    const heard = (): void => {
      this.#heardAt = performance.now()
    }
    socket.on('ping', heard)
    socket.on('pong', heard)
    socket.on('message', (data, isBinary) => {
      heard()
      this.#receive(data, isBinary)
    })
    socket.on('error', (error) => {
      this.#failure ??= asMeshError(error, 'FEED_CLOSED')
    })
    socket.on('close', (code, reason) => this.#closed(code, reason.toString()))
    this.#timer = setInterval(() => this.#keepAlive(), options.pingMs)
  }

  get open(): boolean {
    return this.#socket.readyState === this.#socket.OPEN
  }

  /** Bytes that the peer has not taken yet. */
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount
  }

  /** Queues a message; `written` is called once it has left this process (never, where the connection ends before). */
  send(message: Out, written?: () => void): boolean {
    return this.sendEncoded(JSON.stringify(message), false, written)
  }

  /** The same for a message that is encoded already, as text or packed; the bytes are not copied. */
  sendEncoded(data: string | Uint8Array, packed: boolean, written?: () => void): boolean {
    if (!this.open) return false
    if (this.bufferedBytes > maxFeedMessageBytes) {
      this.fail(new MeshError('LIMIT_REACHED', 'the peer does not read what it is sent'))
      return false
    }
    this.#socket.send(data, { binary: packed }, (error) => {
      if (error === undefined || error === null) written?.()
    })
    return true
  }

  /** Ends in good order; a peer that does not answer within `limitMs` is cut off. */
  close(reason: string, limitMs: number): void {
    this.#socket.close(1000, reason.slice(0, 100))
    const timer = setTimeout(() => this.#socket.terminate(), limitMs)
    this.#socket.once('close', () => clearTimeout(timer))
  }

  /** Ends at once, reporting `error` to `onClose`. */
  fail(error: MeshError): void {
    this.#failure ??= error
    this.#socket.terminate()
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#failure !== undefined) return
    try {
      const text = isBinary ? this.#unpacked(data) : String(data)
      this.#options.onMessage(this.#options.parse(decode(text)), text.length)
    } catch (error: unknown) {
      this.fail(asMeshError(error, 'FEED_PROTOCOL'))
    }
  }

  #unpacked(data: RawData): string {
    if (this.#options.packs !== true) throw new MeshError('FEED_PROTOCOL', 'a binary frame: the feed is JSON text')
    // ws hands a message over as one Buffer unless told otherwise
    return unpack(data as Buffer, maxFeedMessageBytes)
  }

  #keepAlive(): void {
    if (performance.now() - this.#heardAt > 3 * this.#options.pingMs) {
      this.fail(new MeshError('FEED_CLOSED', `nothing came from the peer for ${3 * this.#options.pingMs} ms`))
    } else if (this.open) this.#socket.ping()
  }

  #closed(code: number, reason: string): void {
    clearInterval(this.#timer)
    const orderly = code === 1000 || code === 1001
    this.#failure ??= orderly
      ? undefined
      : new MeshError('FEED_CLOSED', `the control connection ended (${code}${reason === '' ? '' : ` ${reason}`})`)
    this.#options.onClose(this.#failure)
  }
}

function decode(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error: unknown) {
    throw new MeshError('FEED_PROTOCOL', 'a message is not JSON', { cause: error })
  }
}
