// Frames to bytes: gathers the frames of one turn of the event loop into few buffers. Headers, control frames and small DATA
// are copied into slabs, large DATA passes as it is. Filled by engine.ts, which writes `take()` to the socket in one go.
import { errorCode, flag, frameHeaderBytes, frameType } from './protocol.ts'

/** Up to here a copy is cheaper than one more buffer to gather. */
export const copiedBytes = 2_048
const slabBytes = 16 * 1_024
/** Enough for the SETTINGS and PING of a session that carries nothing; thousands of them wait at a time. */
const restingBytes = 512

/** Slabs that wait to be filled again; what is beyond goes to the garbage collector. */
const maxFree = 64
const free: Slab[] = []

/** Where frames are gathered: filled again once all that was cut from it is written. */
interface Slab {
  readonly buffer: Buffer
  /** Parts that are on their way. */
  parts: number
  /** No further frame goes into it. */
  full: boolean
}

export interface Batch {
  readonly bytes: number
  readonly parts: readonly Buffer[]
  /** Chunks that can be released when it was written. */
  readonly spent: readonly Buffer[]
  readonly slabs: readonly Slab[]
}

const nothing: readonly Buffer[] = []

/** The batch is written: nobody reads its parts any more. Whoever cannot tell just does not say it. */
export function written({ slabs }: Batch): void {
  for (const slab of slabs) {
    slab.parts -= 1
    if (slab.parts === 0 && slab.full) reuse(slab)
  }
}

function reuse(slab: Slab): void {
  if (slab.buffer.length === slabBytes && free.length < maxFree) free.push(slab)
}

function slabOf(bytes: number): Slab {
  const used = bytes === slabBytes ? free.pop() : undefined
  if (used === undefined) return { buffer: Buffer.allocUnsafeSlow(bytes), parts: 0, full: false }
  used.full = false
  return used
}

export class FrameWriter {
  #current = slabOf(restingBytes)
  #slab = this.#current.buffer
  /** What of the slab is filled but not yet in `#parts`. */
  #start = 0
  #at = 0
  #parts: Buffer[] = []
  #spent: Buffer[] = []
  #slabs: Slab[] = []
  #bytes = 0

  /** Waiting to be taken. */
  get bytes(): number {
    return this.#bytes
  }

  /** Everything since the last call. */
  take(): Batch {
    this.#cut()
    const spent = this.#spent.length === 0 ? nothing : this.#spent
    const taken = { bytes: this.#bytes, parts: this.#parts, spent, slabs: this.#slabs }
    this.#parts = []
    this.#slabs = []
    // Never shared with the next batch: what is spent there is not written yet when this one is.
    if (spent !== nothing) this.#spent = []
    this.#bytes = 0
    return taken
  }

  /** Nothing is to be expected soon: holds little until then. */
  rest(): void {
    if (this.#slab.length === restingBytes) return
    this.#cut()
    this.#replace(restingBytes)
  }

  /** The last byte of `chunk` is among what waits here. */
  spend(chunk: Buffer): void {
    this.#spent.push(chunk)
  }

  /** The header of a DATA frame; exactly `length` bytes must follow through `payload`. */
  data(streamId: number, length: number, endStream: boolean): void {
    this.#header(length, frameType.data, endStream ? flag.endStream : 0, streamId, length <= copiedBytes ? length : 0)
  }

  /** A DATA frame with the first `length` bytes of a buffer, which is copied. */
  shortData(streamId: number, buffer: Buffer, length: number): void {
    this.#header(length, frameType.data, 0, streamId, length)
    buffer.copy(this.#slab, this.#at, 0, length)
    this.#at += length
    this.#bytes += length
  }

  payload(chunk: Buffer): void {
    const { length } = chunk
    if (length <= copiedBytes) {
      this.#room(length)
      this.#copy(chunk)
    } else {
      this.#cut()
      this.#parts.push(chunk)
      this.#bytes += length
    }
  }

  /** HEADERS and as many CONTINUATION as frames of `maxFrameBytes` need. */
  headers(streamId: number, block: Buffer, endStream: boolean, maxFrameBytes: number): void {
    let at = 0
    let type: number = frameType.headers
    do {
      const end = Math.min(block.length, at + maxFrameBytes)
      const last = end === block.length
      const ends = type === frameType.headers && endStream ? flag.endStream : 0
      this.#header(end - at, type, ends | (last ? flag.endHeaders : 0), streamId, end - at)
      this.#copy(block.subarray(at, end))
      at = end
      type = frameType.continuation
    } while (at < block.length)
  }

  resetStream(streamId: number, code: number): void {
    this.#header(4, frameType.resetStream, 0, streamId, 4)
    this.#uint32(code)
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#header(4, frameType.windowUpdate, 0, streamId, 4)
    this.#uint32(increment)
  }

  settings(entries: readonly (readonly [id: number, value: number])[]): void {
    this.#header(entries.length * 6, frameType.settings, 0, 0, entries.length * 6)
    for (const [id, value] of entries) {
      this.#slab[this.#at++] = id >> 8
      this.#slab[this.#at++] = id & 0xff
      this.#bytes += 2
      this.#uint32(value)
    }
  }

  settingsAck(): void {
    this.#header(0, frameType.settings, flag.ack, 0, 0)
  }

  ping(ack: boolean, payload: Buffer, start: number): void {
    this.#header(8, frameType.ping, ack ? flag.ack : 0, 0, 8)
    this.#copy(payload.subarray(start, start + 8))
  }

  goaway(lastStreamId: number, code: number, text: string): void {
    const debug = Buffer.from(code === errorCode.noError ? '' : text.slice(0, 200), 'latin1')
    this.#header(8 + debug.length, frameType.goaway, 0, 0, 8 + debug.length)
    this.#uint32(lastStreamId)
    this.#uint32(code)
    this.#copy(debug)
  }

  /** Bytes that are no frame: the preface of a client. */
  raw(bytes: Buffer): void {
    this.#room(bytes.length)
    this.#copy(bytes)
  }

  /** Writes a frame header and makes room for `follows` bytes more. */
  #header(length: number, type: number, flags: number, streamId: number, follows: number): void {
    this.#room(frameHeaderBytes + follows)
    const slab = this.#slab
    const at = this.#at
    slab[at] = length >> 16
    slab[at + 1] = length >> 8
    slab[at + 2] = length
    slab[at + 3] = type
    slab[at + 4] = flags
    slab[at + 5] = streamId >> 24
    slab[at + 6] = streamId >> 16
    slab[at + 7] = streamId >> 8
    slab[at + 8] = streamId
    this.#at = at + frameHeaderBytes
    this.#bytes += frameHeaderBytes
  }

  #uint32(value: number): void {
    this.#at = this.#slab.writeUInt32BE(value, this.#at)
    this.#bytes += 4
  }

  #copy(chunk: Buffer): void {
    this.#slab.set(chunk, this.#at)
    this.#at += chunk.length
    this.#bytes += chunk.length
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#slab.length) return
    this.#cut()
    this.#replace(Math.max(slabBytes, bytes))
  }

  /** The old slab is still on its way to the socket, or may be on none any more. */
  #replace(bytes: number): void {
    const old = this.#current
    old.full = true
    if (old.parts === 0) reuse(old)
    this.#current = slabOf(bytes)
    this.#slab = this.#current.buffer
    this.#start = 0
    this.#at = 0
  }

  #cut(): void {
    if (this.#at === this.#start) return
    this.#parts.push(this.#slab.subarray(this.#start, this.#at))
    this.#current.parts += 1
    this.#slabs.push(this.#current)
    this.#start = this.#at
  }
}
