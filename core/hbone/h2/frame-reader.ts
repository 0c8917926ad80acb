// Bytes to frames (RFC 9113 4 and 6): an incremental parser that hands out DATA as parts of what was read, without a copy, and
// everything else whole. It checks what can be seen in one frame and the order of CONTINUATION; engine.ts does the rest.
import { errorCode, flag, frameHeaderBytes, frameType, maxStreamId, protocolError, SessionError } from './protocol.ts'

/** Called in the order of the frames. Buffers of other frames than DATA are valid during the call only. */
export interface FrameHandler {
  /** A DATA frame begins; `bytes` with padding is what flow control counts. */
  dataBegins(streamId: number, bytes: number): void
  /** Payload of it, as it comes in: the bytes of `chunk` from `start` to `end`. */
  data(chunk: Buffer, start: number, end: number): void
  /** `padding` counts in flow control and was not handed out. */
  dataEnds(endStream: boolean, padding: number): void
  headers(streamId: number, endStream: boolean, block: Buffer, start: number, end: number): void
  resetStream(streamId: number, code: number): void
  settings(ack: boolean, payload: Buffer, start: number, end: number): void
  ping(ack: boolean, payload: Buffer, start: number): void
  goaway(lastStreamId: number, code: number): void
  windowUpdate(streamId: number, increment: number): void
  /** A frame that means nothing to us: PRIORITY and unknown types. */
  ignored(): void
}

export interface ReaderLimits {
  /** SETTINGS_MAX_FRAME_SIZE as we told the peer. */
  readonly maxFrameBytes: number
  /** Of an encoded header block, over all its frames. */
  readonly maxBlockBytes: number
}

/** A header block that needs more frames than this is an attack (CVE-2024-27316). */
const maxContinuations = 16
const maxSettingsBytes = 64 * 6
const goawayBytes = 8

type Mode = 'header' | 'data' | 'collect' | 'skip'

export class FrameReader {
  readonly #handler: FrameHandler
  readonly #limits: ReaderLimits
  readonly #header = Buffer.allocUnsafeSlow(frameHeaderBytes)
  #headerBytes = 0
  #mode: Mode = 'header'
  #type = 0
  #flags = 0
  #streamId = 0
  /** Of the payload, still to come. */
  #left = 0
  /** Of the payload, padding at its end; -1 while its length is still to come. */
  #padding = 0
  #padded = 0
  #collected = 0
  #scratch: Buffer = Buffer.allocUnsafeSlow(256)
  /** The header block that waits for CONTINUATION; 0 means none. */
  #blockStream = 0
  #blockEndsStream = false
  #blockFrames = 0
  #blockBytes = 0
  #block: Buffer = this.#scratch
  #stopped = false

  constructor(handler: FrameHandler, limits: ReaderLimits) {
    this.#handler = handler
    this.#limits = limits
  }

  /** Nothing more is handed out, not even of the chunk at hand. */
  stop(): void {
    this.#stopped = true
  }

  /** Throws SessionError; whatever the handler throws passes through. Not to be called again after that. */
  push(chunk: Buffer): void {
    const end = chunk.length
    let at = 0
    while (at < end && !this.#stopped) {
      if (this.#mode === 'data') at = this.#data(chunk, at)
      else if (this.#mode === 'collect') at = this.#collect(chunk, at)
      else if (this.#mode === 'skip') at = this.#skip(chunk, at)
      else if (this.#headerBytes === 0 && end - at >= frameHeaderBytes) {
        this.#begin(chunk, at)
        at += frameHeaderBytes
      } else at = this.#partOfHeader(chunk, at)
    }
  }

  #partOfHeader(chunk: Buffer, at: number): number {
    const bytes = Math.min(frameHeaderBytes - this.#headerBytes, chunk.length - at)
    chunk.copy(this.#header, this.#headerBytes, at, at + bytes)
    this.#headerBytes += bytes
    if (this.#headerBytes === frameHeaderBytes) {
      this.#headerBytes = 0
      this.#begin(this.#header, 0)
    }
    return at + bytes
  }

  #begin(source: Buffer, at: number): void {
    const length = (source[at]! << 16) | (source[at + 1]! << 8) | source[at + 2]!
    const type = source[at + 3]!
    this.#type = type
    this.#flags = source[at + 4]!
    this.#streamId = source.readUInt32BE(at + 5) & maxStreamId
    this.#left = length
    if (length > this.#limits.maxFrameBytes) throw sizeError('a frame larger than allowed')
    if (this.#blockStream !== 0 && (type !== frameType.continuation || this.#streamId !== this.#blockStream)) {
      throw protocolError('a header block was interrupted')
    }
    if (type === frameType.data) this.#beginData(length)
    else if (type > frameType.continuation || type === frameType.priority) this.#beginIgnored(length)
    else {
      this.#checkLength(type, length)
      this.#collected = 0
      this.#mode = 'collect'
      if (length === 0) this.#finish(source, 0, 0)
    }
  }

  #beginData(length: number): void {
    if (this.#streamId === 0) throw protocolError('DATA on stream 0')
    const padded = (this.#flags & flag.padded) !== 0
    if (padded && length === 0) throw sizeError('padded DATA without room for the padding')
    this.#padding = padded ? -1 : 0
    this.#padded = 0
    this.#mode = 'data'
    this.#handler.dataBegins(this.#streamId, length)
    if (length === 0) this.#endData()
  }

  #data(chunk: Buffer, from: number): number {
    let at = from
    if (this.#padding < 0) {
      this.#left -= 1
      this.#padding = chunk[at++]!
      this.#padded = this.#padding + 1
      if (this.#padding > this.#left) throw protocolError('more padding than DATA')
    }
    const bytes = Math.min(this.#left - this.#padding, chunk.length - at)
    if (bytes > 0) {
      this.#left -= bytes
      this.#handler.data(chunk, at, at + bytes)
      at += bytes
    }
    if (this.#left <= this.#padding) {
      const rest = Math.min(this.#left, chunk.length - at)
      this.#left -= rest
      this.#padding -= rest
      at += rest
      if (this.#left === 0) this.#endData()
    }
    return at
  }

  #endData(): void {
    this.#mode = 'header'
    this.#handler.dataEnds((this.#flags & flag.endStream) !== 0, this.#padded)
  }

  #beginIgnored(length: number): void {
    if (this.#type === frameType.priority && length !== 5) throw sizeError('PRIORITY must have 5 bytes')
    if (this.#type === frameType.priority && this.#streamId === 0) throw protocolError('PRIORITY on stream 0')
    this.#mode = length === 0 ? 'header' : 'skip'
    this.#handler.ignored()
  }

  #skip(chunk: Buffer, at: number): number {
    const bytes = Math.min(this.#left, chunk.length - at)
    this.#left -= bytes
    if (this.#left === 0) this.#mode = 'header'
    return at + bytes
  }

  #checkLength(type: number, length: number): void {
    const onSession = type === frameType.settings || type === frameType.ping || type === frameType.goaway
    if (onSession && this.#streamId !== 0) throw protocolError('a frame of the session on a stream')
    switch (type) {
      case frameType.headers:
      case frameType.continuation:
        this.#checkBlock(type, length)
        break
      case frameType.resetStream:
      case frameType.windowUpdate:
        if (length !== 4) throw sizeError('RST_STREAM and WINDOW_UPDATE must have 4 bytes')
        if (type === frameType.resetStream && this.#streamId === 0) throw protocolError('RST_STREAM on stream 0')
        break
      case frameType.settings:
        if (length % 6 !== 0) throw sizeError('SETTINGS must have 6 bytes each')
        if ((this.#flags & flag.ack) !== 0 && length !== 0) throw sizeError('an acknowledgement with SETTINGS')
        if (length > maxSettingsBytes) throw tooMuch('too many SETTINGS in a frame')
        break
      case frameType.ping:
        if (length !== 8) throw sizeError('PING must have 8 bytes')
        break
      case frameType.goaway:
        if (length < goawayBytes) throw sizeError('GOAWAY must have 8 bytes')
        break
      default:
        throw protocolError('PUSH_PROMISE, which is off')
    }
  }

  #checkBlock(type: number, length: number): void {
    if (this.#streamId === 0) throw protocolError('a header block on stream 0')
    if (type === frameType.continuation) {
      if (this.#blockStream === 0) throw protocolError('CONTINUATION without HEADERS')
      this.#blockFrames += 1
      if (this.#blockFrames > maxContinuations) throw tooMuch('too many CONTINUATION frames')
    }
    // A pad length, a priority and padding can come on top; they are not worth a byte more of tolerance than this.
    const overhead = 5 + 256
    if (this.#blockBytes + length > this.#limits.maxBlockBytes + overhead) throw tooMuch('a header block too large')
  }

  #collect(chunk: Buffer, at: number): number {
    const available = chunk.length - at
    if (this.#collected === 0 && available >= this.#left) {
      this.#finish(chunk, at, at + this.#left)
      return at + this.#left
    }
    // GOAWAY may carry any amount of text; of that nothing is kept.
    const wanted = this.#type === frameType.goaway ? Math.max(0, goawayBytes - this.#collected) : this.#left
    const bytes = Math.min(this.#left, available)
    const kept = Math.min(wanted, bytes)
    if (kept > 0) {
      this.#scratch = grown(this.#scratch, this.#collected + kept, this.#collected)
      chunk.copy(this.#scratch, this.#collected, at, at + kept)
      this.#collected += kept
    }
    this.#left -= bytes
    if (this.#left === 0) this.#finish(this.#scratch, 0, this.#collected)
    return at + bytes
  }

  #finish(payload: Buffer, start: number, end: number): void {
    this.#mode = 'header'
    const streamId = this.#streamId
    switch (this.#type) {
      case frameType.headers:
        this.#headers(payload, start, end)
        break
      case frameType.continuation:
        this.#continuation(payload, start, end)
        break
      case frameType.windowUpdate:
        this.#handler.windowUpdate(streamId, payload.readUInt32BE(start) & 0x7fff_ffff)
        break
      case frameType.resetStream:
        this.#handler.resetStream(streamId, payload.readUInt32BE(start))
        break
      case frameType.settings:
        this.#handler.settings((this.#flags & flag.ack) !== 0, payload, start, end)
        break
      case frameType.ping:
        this.#handler.ping((this.#flags & flag.ack) !== 0, payload, start)
        break
      default:
        this.#handler.goaway(payload.readUInt32BE(start) & maxStreamId, payload.readUInt32BE(start + 4))
    }
  }

  #headers(payload: Buffer, from: number, to: number): void {
    const flags = this.#flags
    let start = from
    let end = to
    if ((flags & flag.padded) !== 0) {
      if (start >= end) throw sizeError('padded HEADERS without room for the padding')
      end -= payload[start++]!
    }
    if ((flags & flag.priority) !== 0) start += 5
    if (start > to) throw sizeError('HEADERS too short for its priority')
    if (end < start) throw protocolError('more padding than HEADERS')
    const endStream = (flags & flag.endStream) !== 0
    if ((flags & flag.endHeaders) !== 0) {
      this.#handler.headers(this.#streamId, endStream, payload, start, end)
      return
    }
    this.#blockStream = this.#streamId
    this.#blockEndsStream = endStream
    this.#blockFrames = 0
    this.#blockBytes = 0
    // The scratch buffer takes the next frame; the block needs one of its own.
    this.#block = Buffer.allocUnsafe(Math.max(1_024, 2 * (end - start)))
    this.#append(payload, start, end)
  }

  #append(payload: Buffer, start: number, end: number): void {
    this.#block = grown(this.#block, this.#blockBytes + end - start, this.#blockBytes)
    this.#blockBytes += payload.copy(this.#block, this.#blockBytes, start, end)
  }

  #continuation(payload: Buffer, start: number, end: number): void {
    this.#append(payload, start, end)
    if ((this.#flags & flag.endHeaders) === 0) return
    const streamId = this.#blockStream
    const block = this.#block
    const bytes = this.#blockBytes
    this.#blockStream = 0
    this.#blockBytes = 0
    this.#block = this.#scratch
    this.#handler.headers(streamId, this.#blockEndsStream, block, 0, bytes)
  }
}

function grown(buffer: Buffer, bytes: number, used: number): Buffer {
  if (buffer.length >= bytes) return buffer
  const larger = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * buffer.length))
  buffer.copy(larger, 0, 0, used)
  return larger
}

function sizeError(message: string): SessionError {
  return new SessionError(errorCode.frameSizeError, message)
}

function tooMuch(message: string): SessionError {
  return new SessionError(errorCode.enhanceYourCalm, message)
}
