// An HTTP/2 peer that sends whatever a test wants, over any duplex stream, and records what it gets. For tests of what no honest
// implementation sends.
import type { Duplex } from 'node:stream'
import { type FrameHandler, FrameReader } from '../../core/hbone/h2/frame-reader.ts'
import { HpackDecoder } from '../../core/hbone/h2/hpack-decoder.ts'
import { HpackEncoder } from '../../core/hbone/h2/hpack-encoder.ts'
import type { HeaderField } from '../../core/hbone/h2/hpack-table.ts'
import { preface } from '../../core/hbone/h2/protocol.ts'
import { eventually } from './tunnel.ts'

export const type = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const

export function frame(kind: number, flags: number, id: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload.replaceAll(' ', ''), 'hex') : payload
  const header = Buffer.alloc(9)
  header.writeUIntBE(body.length, 0, 3)
  header[3] = kind
  header[4] = flags
  header.writeUInt32BE(id, 5)
  return Buffer.concat([header, body])
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export class RawPeer implements FrameHandler {
  readonly socket: Duplex
  readonly resets = new Map<number, number>()
  readonly answers = new Map<number, readonly HeaderField[]>()
  readonly received = new Map<number, number>()
  readonly ended = new Set<number>()
  pings = 0
  settingsAcks = 0
  gotSettings = false
  goneCode: number | undefined
  closed = false
  readonly #encoder = new HpackEncoder()
  readonly #decoder = new HpackDecoder({ maxListBytes: 1e6, maxFields: 1_000 })
  #current = 0

  /** `skipped` bytes in front are no frames. */
  constructor(socket: Duplex, skipped = 0) {
    this.socket = socket
    let skip = skipped
    const reader = new FrameReader(this, { maxFrameBytes: 2 ** 24, maxBlockBytes: 1e6 })
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      const from = Math.min(skip, chunk.length)
      skip -= from
      reader.push(chunk.subarray(from))
    })
    socket.on('close', () => {
      this.closed = true
    })
  }

  /** A client after its preface and SETTINGS; resolves when those of the server came. */
  static async client(socket: Duplex, settings: Buffer | string = ''): Promise<RawPeer> {
    const peer = new RawPeer(socket)
    peer.send(preface, frame(type.settings, 0, 0, settings))
    await eventually('SETTINGS of the server', () => peer.gotSettings)
    return peer
  }

  /** A server after its SETTINGS. */
  static server(socket: Duplex, settings: Buffer | string = ''): RawPeer {
    const peer = new RawPeer(socket, preface.length)
    peer.send(frame(type.settings, 0, 0, settings))
    return peer
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.writableEnded && !this.socket.destroyed) this.socket.write(Buffer.concat(frames))
  }

  block(fields: readonly HeaderField[]): Buffer {
    return Buffer.from(this.#encoder.encode(fields))
  }

  request(id: number, fields: readonly HeaderField[]): Buffer {
    return frame(type.headers, 4, id, this.block(fields))
  }

  connect(id: number, ...more: readonly HeaderField[]): Buffer {
    return frame(type.headers, 4, id, this.block([[':method', 'CONNECT'], [':authority', '10.0.0.1:80'], ...more]))
  }

  /** The code of the GOAWAY with which the other side ended. */
  async gone(): Promise<number | undefined> {
    await eventually('the session is ended', () => this.closed)
    return this.goneCode
  }

  dataBegins(streamId: number): void {
    this.#current = streamId
  }

  data(whole: Buffer, start: number, end: number): void {
    const chunk = whole.subarray(start, end)
    this.received.set(this.#current, (this.received.get(this.#current) ?? 0) + chunk.length)
  }

  dataEnds(endStream: boolean): void {
    if (endStream) this.ended.add(this.#current)
  }

  headers(streamId: number, _endStream: boolean, block: Buffer, start: number, end: number): void {
    this.answers.set(streamId, this.#decoder.decode(block, start, end).fields)
  }

  resetStream(streamId: number, code: number): void {
    this.resets.set(streamId, code)
  }

  settings(ack: boolean): void {
    if (ack) this.settingsAcks += 1
    else {
      this.gotSettings = true
      this.send(frame(type.settings, 1, 0))
    }
  }

  ping(ack: boolean, payload: Buffer, start: number): void {
    this.pings += 1
    if (!ack) this.send(frame(type.ping, 1, 0, Buffer.from(payload.subarray(start, start + 8))))
  }

  goaway(_lastStreamId: number, code: number): void {
    this.goneCode = code
  }

  windowUpdate(): void {}

  ignored(): void {}
}
