// Whether TCP streams of a capture are TLS from their first byte to their last: puts every stream together by its sequence
// numbers and walks its records. Fed with the frames of a pcap file by wire.test.ts.
import { createReadStream } from 'node:fs'
import { readFrame, type Segment } from '../../lab/capture/frames.ts'
import { PcapSplitter } from '../../lab/capture/pcap.ts'

/** Record types of TLS (RFC 8446 section 5.1): change_cipher_spec, alert, handshake, application_data. */
const firstType = 20
const lastType = 23
/** 2^14 bytes and what encryption may add. */
const longestRecord = 2 ** 14 + 256
const headerBytes = 5

export interface TlsVerdict {
  /** Streams, one per direction of a connection, that carried payload. */
  readonly streams: number
  readonly records: number
  /** What is no TLS record, or no whole stream. */
  readonly problems: readonly string[]
}

/** One direction of one connection. */
class Stream {
  readonly name: string
  /** Sequence number of the next byte. */
  #next: number
  /** Segments that came before one in front of them. */
  readonly #early = new Map<number, Buffer>()
  /** Bytes of the record at hand that are still to come. */
  #left = 0
  #header: Buffer = Buffer.alloc(0)
  records = 0
  problem: string | undefined

  constructor(name: string, next: number) {
    this.name = name
    this.#next = next
  }

  add(sequence: number, payload: Buffer): void {
    if (payload.length > 0 && ahead(sequence, this.#next) >= 0) {
      const known = this.#early.get(sequence)
      if (known === undefined || known.length < payload.length) this.#early.set(sequence, Buffer.from(payload))
    } else if (payload.length > 0) {
      const fresh = payload.subarray(Math.min(payload.length, -ahead(sequence, this.#next)))
      if (fresh.length > 0) this.#early.set(this.#next, Buffer.from(fresh))
    }
    for (let part = this.#early.get(this.#next); part !== undefined; part = this.#early.get(this.#next)) {
      this.#early.delete(this.#next)
      this.#next = (this.#next + part.length) >>> 0
      this.#walk(part)
    }
  }

  /** Segments behind a gap that never closed. */
  get missing(): boolean {
    return [...this.#early.keys()].some((sequence) => ahead(sequence, this.#next) > 0)
  }

  #walk(data: Buffer): void {
    let at = 0
    while (at < data.length && this.problem === undefined) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, data.length - at)
        this.#left -= taken
        at += taken
        continue
      }
      const wanted = headerBytes - this.#header.length
      this.#header = Buffer.concat([this.#header, data.subarray(at, at + wanted)])
      at = Math.min(data.length, at + wanted)
      if (this.#header.length === headerBytes) this.#begin()
    }
  }

  #begin(): void {
    const header = this.#header
    const [type = 0, major] = header
    const length = header.readUInt16BE(3)
    this.#header = Buffer.alloc(0)
    if (type < firstType || type > lastType || major !== 3 || length > longestRecord) {
      this.problem = `${this.name}: no TLS record after ${this.records} records: ${header.toString('hex')}`
      return
    }
    this.records++
    this.#left = length
  }
}

/** How far `sequence` is ahead of `next`; numbers wrap around at 2^32. */
function ahead(sequence: number, next: number): number {
  return (sequence - next) | 0
}

/** Judges all TCP segments of a capture file for which `relevant` holds. */
export async function judgeTls(file: string, relevant: (segment: Segment) => boolean): Promise<TlsVerdict> {
  const judge = new TlsJudge()
  const splitter = new PcapSplitter()
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
    for (const frame of splitter.push(chunk as Buffer)) {
      const segment = readFrame(frame)
      if (segment?.protocol === 'tcp' && relevant(segment)) judge.add(segment)
    }
  }
  return judge.verdict()
}

export class TlsJudge {
  readonly #streams: Stream[] = []
  readonly #current = new Map<string, Stream>()

  add(segment: Segment): void {
    const { source, sourcePort, destination, destinationPort, sequence, payload, synchronizes } = segment
    const name = `${source} ${sourcePort} → ${destination} ${destinationPort}`
    let stream = this.#current.get(name)
    if (synchronizes || stream === undefined) {
      stream = new Stream(name, (sequence + (synchronizes ? 1 : 0)) >>> 0)
      this.#current.set(name, stream)
      this.#streams.push(stream)
    }
    stream.add(sequence, payload)
  }

  verdict(): TlsVerdict {
    const problems = this.#streams.flatMap(({ name, problem, missing }) => [
      ...(problem === undefined ? [] : [problem]),
      ...(missing ? [`${name}: bytes are missing`] : []),
    ])
    const used = this.#streams.filter(({ records, problem }) => records > 0 || problem !== undefined)
    return { streams: used.length, records: used.reduce((sum, { records }) => sum + records, 0), problems }
  }
}
