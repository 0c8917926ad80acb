// One pass over the bytes of the fields of a head or of trailers: checks every byte, remembers where names and values are. Strings
// are made afterwards, all out of one, and only once the block is complete. Used by request-head.ts, response-head.ts, reader.ts.
import { HttpError } from '../http/error.ts'
import { hashed, kindOf, knownName, knownSlot, nameBytes } from './names.ts'

const tab = 9
const lineFeed = 10
const carriageReturn = 13
const space = 32
const colon = 58

/** Returned by scanners: all bytes so far are right, but the end is not there yet. */
export const incomplete = -1

const stride = 5

/**
 * The block that was scanned last. There is one for the whole thread, since between `scan` and the strings nothing else runs;
 * it holds numbers only.
 */
let spans = new Int32Array(stride * 128)
let scannedFields = 0

/** Fields of the block that was scanned last. */
export function fieldCount(): number {
  return scannedFields
}

/** Index after the line end at `at`, `incomplete` where its LF is not there yet. Throws where CR and LF do not come together. */
export function afterLineEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at === end) return incomplete
  if (bytes[at] !== carriageReturn) throw wrongByte(bytes[at]!)
  if (at + 1 === end) return incomplete
  if (bytes[at + 1] !== lineFeed) throw new HttpError(400, 'line-end', 'CR without LF')
  return at + 2
}

function wrongByte(byte: number): HttpError {
  if (byte === lineFeed) return new HttpError(400, 'line-end', 'LF without CR')
  return new HttpError(400, 'field-value', `a line has the byte 0x${byte.toString(16)}`)
}

/**
 * Index of the first byte from `at` on that no value may have, or `end`. A value has HTAB, printable ASCII, and obs-text, which is
 * passed on as it is (RFC 9110 5.5).
 */
export function endOfText(bytes: Uint8Array, at: number, end: number): number {
  let next = at
  for (; next < end; next += 1) {
    const byte = bytes[next]!
    if (byte < space ? byte !== tab : byte === 127) break
  }
  return next
}

/**
 * Scans fields up to and with the empty line. What is thrown depends only on the bytes before it, so it is the same however
 * the bytes are cut into reads. Returns the index after the empty line, or `incomplete`.
 */
export function scanFields(bytes: Uint8Array, from: number, end: number, maxFields: number): number {
  let at = from
  for (let count = 0; at < end; count += 1) {
    if (bytes[at] === carriageReturn) {
      scannedFields = count
      return afterLineEnd(bytes, at, end)
    }
    if (count === maxFields) throw new HttpError(431, 'too-many-fields', `more than ${maxFields} fields`)
    if (count * stride === spans.length) spans = grown(spans)
    at = scanField(bytes, at, end, count * stride)
    if (at === incomplete) return incomplete
  }
  return incomplete
}

function scanField(bytes: Uint8Array, from: number, end: number, slot: number): number {
  let at = from
  let hash = 0
  for (; at < end; at += 1) {
    const byte = nameBytes[bytes[at]!]!
    if (byte === 0) break
    hash = hashed(hash, byte)
  }
  if (at === end) return incomplete
  if (bytes[at] !== colon || at === from) throw nameError(bytes, from, at)
  const nameEnd = at
  at += 1
  while (at < end && (bytes[at] === space || bytes[at] === tab)) at += 1
  const valueStart = at
  at = endOfText(bytes, at, end)
  const next = afterLineEnd(bytes, at, end)
  if (next === incomplete) return incomplete
  while (at > valueStart && (bytes[at - 1] === space || bytes[at - 1] === tab)) at -= 1
  spans[slot] = from
  spans[slot + 1] = nameEnd
  spans[slot + 2] = valueStart
  spans[slot + 3] = at
  spans[slot + 4] = hash
  return next
}

function nameError(bytes: Uint8Array, from: number, at: number): HttpError {
  const byte = bytes[at]!
  if (byte === lineFeed || byte === carriageReturn) return new HttpError(400, 'line-end', 'a line is no field')
  if (at === from && (byte === space || byte === tab)) return new HttpError(400, 'field-name', 'a folded line')
  return new HttpError(400, 'field-name', `the name of a field has the byte 0x${byte.toString(16)}`)
}

function grown(old: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(old.length * 2)
  larger.set(old)
  return larger
}

/** The slot of names.ts of field `index`, -1 for a name that is not well-known. */
export function fieldSlot(bytes: Uint8Array, index: number): number {
  const at = index * stride
  return knownSlot(bytes, spans[at]!, spans[at + 1]!, spans[at + 4]!)
}

/** `text` is the latin1 string of the bytes from `base` on. */
export function fieldName(slot: number, index: number, text: string, base: number): string {
  if (slot >= 0) return knownName(slot)
  const at = index * stride
  return text.substring(spans[at]! - base, spans[at + 1]! - base).toLowerCase()
}

export function fieldValue(index: number, text: string, base: number): string {
  const at = index * stride
  return text.substring(spans[at + 2]! - base, spans[at + 3]! - base)
}

/** `fieldKind` of a slot. */
export function slotKind(slot: number): number {
  return slot < 0 ? 0 : kindOf(slot)
}
