// Frames: what the writer writes the reader reads, however it is cut; and what a reader must refuse.
import fc from 'fast-check'
import t from 'tap'
import { type FrameHandler, FrameReader } from '../../../../core/hbone/h2/frame-reader.ts'
import { type Batch, FrameWriter, written } from '../../../../core/hbone/h2/frame-writer.ts'
import { errorCode, SessionError } from '../../../../core/hbone/h2/protocol.ts'

/** Everything that a reader hands out, DATA joined per frame. */
class Recorder implements FrameHandler {
  readonly events: unknown[] = []
  #data: Buffer[] = []
  #open: readonly [number, number] = [0, 0]

  dataBegins(streamId: number, bytes: number): void {
    this.#open = [streamId, bytes]
    this.#data = []
  }

  data(whole: Buffer, start: number, end: number): void {
    const chunk = whole.subarray(start, end)
    this.#data.push(Buffer.from(chunk))
  }

  dataEnds(endStream: boolean, padding: number): void {
    this.events.push(['data', ...this.#open, Buffer.concat(this.#data).toString('hex'), endStream, padding])
  }

  headers(streamId: number, endStream: boolean, block: Buffer, start: number, end: number): void {
    this.events.push(['headers', streamId, endStream, block.toString('hex', start, end)])
  }

  resetStream(streamId: number, code: number): void {
    this.events.push(['reset', streamId, code])
  }

  settings(ack: boolean, payload: Buffer, start: number, end: number): void {
    this.events.push(['settings', ack, payload.toString('hex', start, end)])
  }

  ping(ack: boolean, payload: Buffer, start: number): void {
    this.events.push(['ping', ack, payload.toString('hex', start, start + 8)])
  }

  goaway(lastStreamId: number, code: number): void {
    this.events.push(['goaway', lastStreamId, code])
  }

  windowUpdate(streamId: number, increment: number): void {
    this.events.push(['window', streamId, increment])
  }

  ignored(): void {
    this.events.push(['ignored'])
  }
}

const limits = { maxFrameBytes: 32_768, maxBlockBytes: 40_000 }

/** Feeds `bytes` in pieces of the given lengths, again and again. */
function read(bytes: Buffer, pieces: readonly number[]): unknown[] {
  const recorder = new Recorder()
  const reader = new FrameReader(recorder, limits)
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const length = pieces[turn % pieces.length] ?? bytes.length
    reader.push(bytes.subarray(at, at + length))
    at += length
  }
  return recorder.events
}

const streamId = fc.integer({ min: 1, max: 2 ** 31 - 1 })
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))
type Step = { readonly write: (writer: FrameWriter) => void; readonly expect: unknown }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(streamId, fc.array(bytes(5_000), { maxLength: 3 }), fc.boolean()).map(([id, parts, end]) => ({
    write: (writer: FrameWriter) => {
      writer.data(
        id,
        parts.reduce((sum, part) => sum + part.length, 0),
        end,
      )
      for (const part of parts) writer.payload(part)
    },
    expect: ['data', id, Buffer.concat(parts).length, Buffer.concat(parts).toString('hex'), end, 0],
  })),
  fc.tuple(streamId, bytes(4_000), fc.boolean(), fc.integer({ min: 300, max: 5_000 })).map(([id, block, end, max]) => ({
    write: (writer: FrameWriter) => writer.headers(id, block, end, max),
    expect: ['headers', id, end, block.toString('hex')],
  })),
  fc.tuple(streamId, fc.nat(0xffff_ffff)).map(([id, code]) => ({
    write: (writer: FrameWriter) => writer.resetStream(id, code),
    expect: ['reset', id, code],
  })),
  fc.tuple(fc.nat(2 ** 31 - 1), fc.nat(2 ** 31 - 1)).map(([id, increment]) => ({
    write: (writer: FrameWriter) => writer.windowUpdate(id, increment),
    expect: ['window', id, increment],
  })),
  fc.constant({ write: (writer: FrameWriter) => writer.settingsAck(), expect: ['settings', true, ''] }),
  fc.constant({
    write: (writer: FrameWriter) => writer.settings([[4, 65_536]]),
    expect: ['settings', false, '000400010000'],
  }),
  fc.tuple(fc.boolean(), fc.uint8Array({ minLength: 8, maxLength: 8 })).map(([ack, payload]) => ({
    write: (writer: FrameWriter) => writer.ping(ack, Buffer.from(payload), 0),
    expect: ['ping', ack, Buffer.from(payload).toString('hex')],
  })),
  fc.tuple(fc.nat(2 ** 31 - 1), fc.nat(13)).map(([last, code]) => ({
    write: (writer: FrameWriter) => writer.goaway(last, code, 'why'),
    expect: ['goaway', last, code],
  })),
)

t.test('what is written is read, however the bytes are cut', (t) => {
  const pieces = fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), pieces, (steps, cuts) => {
      const writer = new FrameWriter()
      const expected: unknown[] = []
      let length = 0
      const parts: Buffer[] = []
      for (const [at, { write, expect }] of steps.entries()) {
        write(writer)
        expected.push(expect)
        if (at % 7 === 6) {
          length += writer.bytes
          parts.push(...writer.take().parts)
        }
      }
      length += writer.bytes
      parts.push(...writer.take().parts)
      const all = Buffer.concat(parts)
      return all.length === length && JSON.stringify(read(all, cuts)) === JSON.stringify(expected)
    }),
    { numRuns: 300 },
  )
  t.pass()
  t.end()
})

t.test('what is spent belongs to the frames of its own batch', (t) => {
  const writer = new FrameWriter()
  const chunk = Buffer.alloc(5_000)
  writer.settingsAck()
  const first = writer.take()
  writer.data(1, chunk.length, false)
  writer.payload(chunk)
  writer.spend(chunk)
  const second = writer.take()
  t.same(first.spent, [])
  t.same(second.spent, [chunk])
  t.equal(second.parts.at(-1), chunk, 'and large payload passes as it is')
  t.end()
})

function frame(type: number, flags: number, id: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'hex') : payload
  const header = Buffer.alloc(9)
  header.writeUIntBE(body.length, 0, 3)
  header[3] = type
  header[4] = flags
  header.writeUInt32BE(id, 5)
  return Buffer.concat([header, body])
}

t.test('padding, priority and reserved bits are taken off', (t) => {
  const input = Buffer.concat([
    frame(0, 0x9, 0x8000_0001, '03aabb000000'),
    frame(0, 0x8, 1, '00aa'),
    frame(0, 0x8, 1, '0200 00'.replace(' ', '')),
    frame(1, 0x2c, 3, '02 80000001 ff 8283 0000'.replaceAll(' ', '')),
    frame(1, 0x8, 5, '01 84 00'.replaceAll(' ', '')),
    frame(9, 0x4, 5, '85'),
    frame(2, 0, 7, '0000000000'),
    frame(0x42, 0xff, 0, 'abcdef'),
    frame(7, 0, 0, Buffer.concat([Buffer.alloc(8), Buffer.alloc(30_000, 1)])),
  ])
  const expected = [
    ['data', 1, 6, 'aabb', true, 4],
    ['data', 1, 2, 'aa', false, 1],
    ['data', 1, 3, '', false, 3],
    ['headers', 3, false, '8283'],
    ['headers', 5, false, '8485'],
    ['ignored'],
    ['ignored'],
    ['goaway', 0, 0],
  ]
  for (const cut of [1, 2, 7, 10_000_000]) t.same(read(input, [cut]), expected, `in pieces of ${cut}`)
  t.end()
})

const { protocolError, frameSizeError, enhanceYourCalm } = errorCode
const refused: readonly [string, number, Buffer][] = [
  ['a frame beyond the size', frameSizeError, frame(0, 0, 1, Buffer.alloc(32_769))],
  ['DATA on stream 0', protocolError, frame(0, 0, 0, 'aa')],
  ['padding beyond the frame', protocolError, frame(0, 0x8, 1, '05aa')],
  ['padded DATA without room', frameSizeError, frame(0, 0x8, 1)],
  ['HEADERS on stream 0', protocolError, frame(1, 0x4, 0, '82')],
  ['padding beyond HEADERS', protocolError, frame(1, 0xc, 1, '0582')],
  ['padding into the priority', protocolError, frame(1, 0x2c, 1, '04 00000000 00 82'.replaceAll(' ', ''))],
  ['HEADERS too short for its priority', frameSizeError, frame(1, 0x24, 1, '0000')],
  ['padded HEADERS without room', frameSizeError, frame(1, 0xc, 1)],
  ['PRIORITY of a wrong length', frameSizeError, frame(2, 0, 1, '00')],
  ['PRIORITY on stream 0', protocolError, frame(2, 0, 0, '0000000000')],
  ['RST_STREAM of a wrong length', frameSizeError, frame(3, 0, 1, '00')],
  ['RST_STREAM on stream 0', protocolError, frame(3, 0, 0, '00000000')],
  ['SETTINGS of a wrong length', frameSizeError, frame(4, 0, 0, '00')],
  ['SETTINGS on a stream', protocolError, frame(4, 0, 1)],
  ['an acknowledgement with content', frameSizeError, frame(4, 1, 0, '000400000001')],
  ['too many SETTINGS', enhanceYourCalm, frame(4, 0, 0, Buffer.alloc(6 * 100))],
  ['PUSH_PROMISE', protocolError, frame(5, 4, 1, '00000002')],
  ['PING of a wrong length', frameSizeError, frame(6, 0, 0, '00')],
  ['PING on a stream', protocolError, frame(6, 0, 1, '0000000000000000')],
  ['GOAWAY too short', frameSizeError, frame(7, 0, 0, '00')],
  ['GOAWAY on a stream', protocolError, frame(7, 0, 1, '0000000000000000')],
  ['WINDOW_UPDATE of a wrong length', frameSizeError, frame(8, 0, 1, '00')],
  ['CONTINUATION alone', protocolError, frame(9, 4, 1, '82')],
  [
    'a block that is interrupted',
    protocolError,
    Buffer.concat([frame(1, 0, 1, '82'), frame(6, 0, 0, '0000000000000000')]),
  ],
  ['a block that is interrupted by DATA', protocolError, Buffer.concat([frame(1, 0, 1, '82'), frame(0, 0, 1, '00')])],
  ['a block continued on another stream', protocolError, Buffer.concat([frame(1, 0, 1, '82'), frame(9, 4, 3, '82')])],
  ['a flood of CONTINUATION', enhanceYourCalm, Buffer.concat([frame(1, 0, 1), ...Array(20).fill(frame(9, 0, 1))])],
  [
    'a block beyond the limit',
    enhanceYourCalm,
    Buffer.concat([frame(1, 0, 1, Buffer.alloc(30_000)), frame(9, 0, 1, Buffer.alloc(11_000))]),
  ],
]

t.test('a reader refuses', (t) => {
  for (const [name, code, input] of refused) {
    for (const cut of [1, 1_000_000]) {
      t.throws(() => read(input, [cut]), { code }, `${name}, in pieces of ${cut}`)
    }
  }
  t.end()
})

t.test('random bytes are frames or a SessionError, nothing else', (t) => {
  const header = fc
    .tuple(fc.nat(300), fc.nat(12), fc.nat(255), fc.nat(5))
    .chain(([length, type, flags, id]) =>
      fc.uint8Array({ minLength: length, maxLength: length }).map((body) => frame(type, flags, id, Buffer.from(body))),
    )
  fc.assert(
    fc.property(
      fc.array(fc.oneof(header, bytes(50)), { maxLength: 12 }),
      fc.integer({ min: 1, max: 500 }),
      (parts, cut) => {
        try {
          read(Buffer.concat(parts), [cut])
          return true
        } catch (error: unknown) {
          return error instanceof SessionError
        }
      },
    ),
    { numRuns: 3_000 },
  )
  t.pass()
  t.end()
})

t.test('a reader that is stopped hands out nothing more', (t) => {
  const recorder = new Recorder()
  const reader: FrameReader = new FrameReader(Object.assign(recorder, { ping: () => reader.stop() }), limits)
  reader.push(Buffer.concat([frame(6, 0, 0, '0000000000000000'), frame(3, 0, 1, '00000000')]))
  t.same(recorder.events, [])
  t.end()
})

t.test('what was cut from a batch stays as it is until the batch is written, in whatever order that happens', (t) => {
  const bytes = fc.integer({ min: 1, max: 2_048 })
  const step = fc.record({ payloads: fc.array(bytes, { maxLength: 12 }), writes: fc.array(fc.nat(), { maxLength: 3 }) })
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 20 }), fc.constantFrom(1, 2), (steps, count) => {
      const writers = Array.from({ length: count }, () => new FrameWriter())
      const under: { readonly batch: Batch; readonly text: string }[] = []
      const textOf = ({ parts }: Batch): string => Buffer.concat(parts).toString('latin1')
      let fill = 0
      for (const [at, { payloads, writes }] of steps.entries()) {
        const writer = writers[at % count]!
        for (const length of payloads) {
          writer.data(1, length, false)
          writer.payload(Buffer.alloc(length, ++fill))
        }
        const batch = writer.take()
        under.push({ batch, text: textOf(batch) })
        for (const which of writes) {
          if (under.length === 0) break
          const [done] = under.splice(which % under.length, 1)
          if (textOf(done!.batch) !== done!.text) return false
          written(done!.batch)
        }
        if (under.some(({ batch: waiting, text }) => textOf(waiting) !== text)) return false
      }
      return true
    }),
  )
  t.end()
})
