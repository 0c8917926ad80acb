// One end of an HTTP/2 connection that sends whatever it is told, and records every frame of both directions. It parses by
// itself, so that it shares no fault with the engine under test. Used by test/hbone-peer and by the oracle tests.
import type { Duplex } from 'node:stream'
import { HpackDecoder } from '../../core/hbone/h2/hpack-decoder.ts'
import { HpackEncoder } from '../../core/hbone/h2/hpack-encoder.ts'
import type { HeaderField } from '../../core/hbone/h2/hpack-table.ts'
import { flag, preface } from '../../core/hbone/h2/protocol.ts'
import { frame, type, uint32 } from '../helpers/raw-http2.ts'

export const frameNames = [
  'DATA',
  'HEADERS',
  'PRIORITY',
  'RST_STREAM',
  'SETTINGS',
  'PUSH_PROMISE',
  'PING',
  'GOAWAY',
  'WINDOW_UPDATE',
  'CONTINUATION',
] as const

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly id: number
  readonly payload: Buffer
}

/** Names of the frame types that went each way, over all connections that share it. */
export interface Coverage {
  readonly sent: Set<string>
  readonly received: Set<string>
}

export interface WireOptions {
  readonly role?: 'client' | 'server'
  readonly coverage?: Coverage
  /** False: no WINDOW_UPDATE goes out by itself. */
  readonly grants?: boolean
  /** False: SETTINGS and PING stay without an answer. */
  readonly answers?: boolean
  /** For every wait. */
  readonly timeoutMs?: number
  /** Of the HPACK decoder: what SETTINGS_HEADER_TABLE_SIZE said. */
  readonly tableBytes?: number
}

export class Wire {
  readonly socket: Duplex
  readonly received: Frame[] = []
  closed = false
  /** What SETTINGS of the other end said, by identifier. */
  readonly settings = new Map<number, number>()
  readonly #options: WireOptions
  readonly #encoder = new HpackEncoder()
  readonly #decoder: HpackDecoder
  readonly #lists = new Map<Frame, readonly HeaderField[]>()
  readonly #sendWindows = new Map<number, number>([[0, 65_535]])
  readonly #waiting = new Set<() => void>()
  #pending: Buffer = Buffer.alloc(0)
  #prefaceLeft: number
  #blockParts: Buffer[] = []
  #blockFirst: Frame | undefined

  constructor(socket: Duplex, options: WireOptions = {}) {
    this.socket = socket
    this.#options = options
    this.#decoder = new HpackDecoder({
      maxListBytes: 2 ** 24,
      maxFields: 10_000,
      tableBytes: options.tableBytes ?? 4_096,
    })
    this.#prefaceLeft = options.role === 'server' ? preface.length : 0
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('end', () => this.#end())
    socket.on('close', () => this.#end())
  }

  // ---- out ----------------------------------------------------------------------------------------------------------

  /** Each argument is one frame. */
  send(...frames: readonly Buffer[]): void {
    for (const one of frames) this.#options.coverage?.sent.add(frameNames[one[3]!] ?? 'unknown')
    this.raw(Buffer.concat(frames))
  }

  raw(bytes: Buffer): void {
    if (!this.socket.writableEnded && !this.socket.destroyed) this.socket.write(bytes)
  }

  block(fields: readonly HeaderField[]): Buffer {
    return Buffer.from(this.#encoder.encode(fields))
  }

  headers(id: number, fields: readonly HeaderField[], flags: number = flag.endHeaders): Buffer {
    return frame(type.headers, flags, id, this.block(fields))
  }

  connect(id: number, authority: string, ...more: readonly HeaderField[]): Buffer {
    return this.headers(id, [[':method', 'CONNECT'], [':authority', authority], ...more])
  }

  /** DATA within what the other end allows, waiting where it allows nothing. */
  async data(id: number, bytes: Buffer, end = false, frameBytes = 16_384): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      await this.until('room in the send windows', () => this.#room(id) > 0)
      const length = Math.min(frameBytes, this.#room(id), bytes.length - at)
      this.#sendWindows.set(0, this.#window(0) - length)
      this.#sendWindows.set(id, this.#window(id) - length)
      const last = at + length === bytes.length
      this.send(frame(type.data, end && last ? flag.endStream : 0, id, bytes.subarray(at, at + length)))
      at += length
    }
    if (bytes.length === 0) this.send(frame(type.data, end ? flag.endStream : 0, id))
  }

  #window(id: number): number {
    return this.#sendWindows.get(id) ?? this.settings.get(4) ?? 65_535
  }

  #room(id: number): number {
    return Math.min(this.#window(0), this.#window(id))
  }

  // ---- what came ----------------------------------------------------------------------------------------------------

  /** Waits until `condition` holds; throws after the time given, or when the connection ends without it. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const end = performance.now() + (this.#options.timeoutMs ?? 5_000)
    while (!condition()) {
      if (this.closed) throw new Error(`the connection ended (${this.story()}) before: ${what}`)
      const left = end - performance.now()
      if (left <= 0) throw new Error(`not in time: ${what} (${this.story()})`)
      await this.#change(left)
    }
  }

  /** Whether `condition` holds within `ms`, or does when the connection ends. */
  async within(ms: number, condition: () => boolean): Promise<boolean> {
    const end = performance.now() + ms
    while (!condition() && !this.closed) {
      const left = end - performance.now()
      if (left <= 0) return false
      await this.#change(left)
    }
    return condition()
  }

  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#waiting.add(done)
    })
  }

  of(kind: number, id?: number): readonly Frame[] {
    return this.received.filter((one) => one.type === kind && (id === undefined || one.id === id))
  }

  bytes(id: number): Buffer {
    return Buffer.concat(this.of(type.data, id).map(payloadOf))
  }

  ended(id: number): boolean {
    return this.received.some((one) => one.id === id && one.type <= 1 && (one.flags & flag.endStream) !== 0)
  }

  /** The code of RST_STREAM for a stream. */
  reset(id: number): number | undefined {
    return this.of(type.reset, id)[0]?.payload.readUInt32BE(0)
  }

  /** The code of the last GOAWAY. */
  get gone(): number | undefined {
    return this.of(type.goaway).at(-1)?.payload.readUInt32BE(4)
  }

  /** The header lists of a stream, in order. */
  lists(id: number): readonly (readonly HeaderField[])[] {
    return [...this.#lists].filter(([first]) => first.id === id).map(([, fields]) => fields)
  }

  /** The final answer to a request. */
  status(id: number): number | undefined {
    const statuses = this.lists(id).map((fields) => Number(fields.find(([name]) => name === ':status')?.[1]))
    return statuses.find((status) => status >= 200)
  }

  /** The last frames that came, for messages. */
  story(): string {
    const last = this.received.slice(-4).map(({ type: kind, flags, id, payload }) => {
      const code = kind === type.goaway ? ` ${payload.readUInt32BE(4)}` : ''
      return `${frameNames[kind] ?? `type ${kind}`}${code} flags ${flags} stream ${id}`
    })
    return last.length === 0 ? 'no frame came' : `last frames: ${last.join(', ')}`
  }

  #end(): void {
    this.closed = true
    for (const done of [...this.#waiting]) done()
  }

  #read(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk])
    const skipped = Math.min(this.#prefaceLeft, this.#pending.length)
    this.#prefaceLeft -= skipped
    let at = skipped
    while (this.#pending.length - at >= 9) {
      const length = this.#pending.readUIntBE(at, 3)
      if (this.#pending.length - at < 9 + length) break
      const payload = this.#pending.subarray(at + 9, at + 9 + length)
      const id = this.#pending.readUInt32BE(at + 5) & 0x7fff_ffff
      this.#take({ type: this.#pending[at + 3]!, flags: this.#pending[at + 4]!, id, payload })
      at += 9 + length
    }
    this.#pending = this.#pending.subarray(at)
    for (const done of [...this.#waiting]) done()
  }

  #take(one: Frame): void {
    this.received.push(one)
    this.#options.coverage?.received.add(frameNames[one.type] ?? 'unknown')
    const answers = this.#options.answers !== false
    if (one.type === type.settings && (one.flags & flag.ack) === 0) {
      for (let at = 0; at + 6 <= one.payload.length; at += 6) {
        this.settings.set(one.payload.readUInt16BE(at), one.payload.readUInt32BE(at + 2))
      }
      if (answers) this.send(frame(type.settings, flag.ack, 0))
    } else if (one.type === type.ping && (one.flags & flag.ack) === 0) {
      if (answers) this.send(frame(type.ping, flag.ack, 0, Buffer.from(one.payload)))
    } else if (one.type === type.window) {
      this.#sendWindows.set(one.id, this.#window(one.id) + one.payload.readUInt32BE(0))
    } else if (one.type === type.data && one.payload.length > 0 && this.#options.grants !== false) {
      this.send(frame(type.window, 0, 0, uint32(one.payload.length)))
      if ((one.flags & flag.endStream) === 0) this.send(frame(type.window, 0, one.id, uint32(one.payload.length)))
    } else if (one.type === type.headers || one.type === type.continuation) this.#part(one)
  }

  #part(one: Frame): void {
    this.#blockFirst ??= one
    this.#blockParts.push(payloadOf(one))
    if ((one.flags & flag.endHeaders) === 0) return
    const block = Buffer.concat(this.#blockParts)
    const { fields } = this.#decoder.decode(block, 0, block.length)
    this.#lists.set(this.#blockFirst, fields)
    this.#blockFirst = undefined
    this.#blockParts = []
  }
}

/** Without padding and priority. */
function payloadOf({ type: kind, flags, payload }: Frame): Buffer {
  const padded = kind <= 1 && (flags & flag.padded) !== 0
  const start = (padded ? 1 : 0) + (kind === type.headers && (flags & flag.priority) !== 0 ? 5 : 0)
  return payload.subarray(start, payload.length - (padded ? payload[0]! : 0))
}
