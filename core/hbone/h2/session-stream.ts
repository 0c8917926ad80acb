// What a session and its sender know of a stream, whatever it carries: stream.ts (a Duplex, for tunnels) and message-stream.ts (requests
// and answers) are the two kinds.
import type { FrameWriter } from './frame-writer.ts'

export interface SessionStream {
  readonly id: number
  /** What the peer lets us send; negative after it made its initial window smaller (RFC 9113 6.9.2). */
  sendWindow: number
  /** In a list of sender.ts. */
  listed: boolean
  /** The peer's header block was taken: further ones are trailers. */
  opened: boolean
  /** Called once when the session no longer counts this stream. */
  onReleased: (() => void) | undefined
  /** The peer sends no more. */
  readonly remoteEnded: boolean
  /** No frame of it is expected or allowed any more, but for those that were on their way. */
  readonly ended: boolean
  readonly destroyed: boolean
  /** What the peer may still send. */
  readonly receiveWindow: number
  /** Bytes that wait to be sent. */
  readonly queuedBytes: number
  /** Accounts for a DATA frame. False where the peer sent more than its window. */
  admits(bytes: number): boolean
  /** Bytes that are this stream's own from now on. */
  receive(chunk: Buffer): void
  /** Padding and what nobody reads count as consumed. */
  consumed(bytes: number): void
  remoteEnd(): void
  /** RST_STREAM came, or the session ended (`cause`). */
  remoteReset(code: number, cause?: Error): void
  /** Moves up to `budget` bytes and, after the last of them, the end into frames. Returns the bytes. */
  sendTo(writer: FrameWriter, budget: number, maxFrameBytes: number): number
  /** Tells those who wait for what `sendTo` did. It may write more. */
  afterSend(): void
}

/** What a stream needs of its session. */
export interface StreamOwner<S> {
  /** There is something to send, or the end of it. */
  ready(stream: S): void
  /** Puts the first `length` bytes of a buffer into the frames of this turn; false where they have to wait like any others. */
  copy(stream: S, buffer: Buffer, length: number): boolean
  /** RST_STREAM; the stream is closed. */
  reset(stream: S, code: number): void
  /** Both sides ended. */
  completed(stream: S): void
  /** How large the receive window is to be. */
  windowBytes(): number
  windowUpdate(stream: S, bytes: number): void
  /** More (or less) received bytes wait for a reader. */
  holds(bytes: number): void
  /** HEADERS with the end of the stream, into the frames that are written at the moment. */
  trailers(stream: S, fields: readonly string[]): void
}

export type StreamFactory<S> = (owner: StreamOwner<S>, id: number, sendWindow: number, receiveWindow: number) => S
