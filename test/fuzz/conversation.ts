// Arbitraries for HTTP/2: frames, header blocks and whole conversations, mostly as the RFC wants them.
import fc from 'fast-check'
import { HpackEncoder } from '../../core/hbone/h2/hpack-encoder.ts'
import type { HeaderField } from '../../core/hbone/h2/hpack-table.ts'
import { frame, type, uint32 } from '../helpers/raw-http2.ts'

const character = fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code))
const value = fc.oneof(
  fc.string({ unit: character, maxLength: 40 }),
  fc.constantFrom('', 'CONNECT', '10.0.0.1:80', '200'),
)
const name = fc.constantFrom(':method', ':authority', ':path', ':status', 'baggage', 'forwarded', 'x-a', 'te', 'Upper')

export const headerField: fc.Arbitrary<HeaderField> = fc.tuple(name, value)
export const headerList = fc.array(headerField, { maxLength: 8 })

const connect: readonly HeaderField[] = [
  [':method', 'CONNECT'],
  [':authority', '10.0.0.1:80'],
]
const answer: readonly HeaderField[] = [[':status', '200']]
const lists = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(connect, answer) },
  { weight: 1, arbitrary: headerList as fc.Arbitrary<readonly HeaderField[]> },
)

/** One step of a conversation; header lists are encoded in order, as the table wants it. */
type Step = (encoder: HpackEncoder) => Buffer

const id = fc.constantFrom(0, 1, 1, 1, 3, 3, 5, 2, 9)
const flags = fc.constantFrom(0, 0, 1, 4, 5, 5, 8, 0x20, 0x2d)
const small = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes))
const number = fc.constantFrom(0, 1, 5, 100, 65_535, 2 ** 24, 2 ** 31 - 1, 2 ** 32 - 1)

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(id, flags, lists).map(([stream, bits, fields]): Step => {
    return (encoder) => frame(type.headers, bits, stream, Buffer.from(encoder.encode(fields)))
  }),
  fc.tuple(id, lists, fc.double({ min: 0, max: 1, noNaN: true })).map(([stream, fields, cut]): Step => {
    return (encoder) => {
      const block = Buffer.from(encoder.encode(fields))
      const at = Math.floor(cut * block.length)
      const rest = frame(type.continuation, 4, stream, block.subarray(at))
      return Buffer.concat([frame(type.headers, 0, stream, block.subarray(0, at)), rest])
    }
  }),
  fc.tuple(id, flags, small).map(
    ([stream, bits, bytes]): Step =>
      () =>
        frame(type.data, bits, stream, bytes),
  ),
  fc.tuple(id, number).map(
    ([stream, code]): Step =>
      () =>
        frame(type.reset, 0, stream, uint32(code)),
  ),
  fc.tuple(id, number).map(
    ([stream, increment]): Step =>
      () =>
        frame(type.window, 0, stream, uint32(increment)),
  ),
  fc.tuple(fc.integer({ min: 1, max: 9 }), number).map(([setting, amount]): Step => {
    return () => frame(type.settings, 0, 0, Buffer.concat([Buffer.of(0, setting), uint32(amount)]))
  }),
  fc.tuple(id, number).map(
    ([last, code]): Step =>
      () =>
        frame(type.goaway, 0, 0, Buffer.concat([uint32(last), uint32(code)])),
  ),
  fc.constantFrom(0, 1).map(
    (ack): Step =>
      () =>
        frame(type.ping, ack, 0, '0000000000000001'),
  ),
  fc.constantFrom<Step>(
    () => frame(type.settings, 1, 0),
    () => frame(type.priority, 0, 1, '0000000010'),
    () => frame(0x77, 0, 0, '00'),
  ),
  fc.tuple(fc.integer({ min: 0, max: 12 }), flags, id, small).map(([kind, bits, stream, bytes]): Step => {
    return () => frame(kind, bits, stream, bytes)
  }),
)

/** Frames after SETTINGS, without the preface. */
export const conversation = fc.array(step, { maxLength: 15 }).map((steps) => {
  const encoder = new HpackEncoder()
  return Buffer.concat([frame(type.settings, 0, 0), ...steps.map((make) => make(encoder))])
})
