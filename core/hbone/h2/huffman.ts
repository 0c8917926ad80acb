// The Huffman code of HPACK (RFC 7541 5.2 and appendix B), both ways. Called by hpack-encoder.ts and hpack-decoder.ts.
import { errorCode, SessionError } from './protocol.ts'

/** Bits per symbol, 256 is EOS. The code is canonical, so the lengths say it all. */
// biome-ignore format: a table
const lengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
] as const
const endOfString = 256
const codes = canonicalCodes()

function canonicalCodes(): readonly number[] {
  const order = lengths.map((_, symbol) => symbol).sort((a, b) => lengths[a]! - lengths[b]! || a - b)
  const result: number[] = []
  let code = 0
  let bits = 0
  for (const symbol of order) {
    code *= 2 ** (lengths[symbol]! - bits)
    bits = lengths[symbol]!
    result[symbol] = code
    code += 1
  }
  return result
}

/**
 * The decoder eats four bits at a time. An entry of the table, at `state * 16 + nibble`: the next state in the low byte, then
 * the symbol, then whether there is one. Every code has more than four bits, so a nibble ends at most one symbol.
 */
const emits = 0x1_0000
const fails = 0x2_0000
const { table, mayEnd } = stateTable()

function stateTable(): { readonly table: Uint32Array; readonly mayEnd: Uint8Array } {
  // Inner nodes of the code's tree: child per bit, a leaf as -1 - symbol.
  const children: [number, number][] = [[0, 0]]
  for (const [symbol, code] of codes.entries()) {
    let node = 0
    for (let bit = lengths[symbol]! - 1; bit >= 0; bit -= 1) {
      const side = Math.floor(code / 2 ** bit) & 1
      if (bit === 0) children[node]![side] = -1 - symbol
      else if (children[node]![side] === 0) node = children[node]![side] = children.push([0, 0]) - 1
      else node = children[node]![side]!
    }
  }
  const entries = new Uint32Array(children.length * 16)
  for (let state = 0; state < children.length; state += 1) {
    for (let nibble = 0; nibble < 16; nibble += 1) entries[state * 16 + nibble] = step(children, state, nibble)
  }
  // Padding is the beginning of EOS, all ones, and shorter than a byte.
  const ends = new Uint8Array(children.length)
  let node = 0
  for (let bits = 0; bits < 8; bits += 1) {
    ends[node] = 1
    node = children[node]![1]!
  }
  return { table: entries, mayEnd: ends }
}

function step(children: readonly [number, number][], state: number, nibble: number): number {
  let node = state
  let emitted = 0
  for (let bit = 3; bit >= 0; bit -= 1) {
    const next = children[node]![(nibble >> bit) & 1]!
    if (next >= 0) node = next
    else if (next === -1 - endOfString) return fails
    else {
      emitted = emits | ((-1 - next) << 8)
      node = 0
    }
  }
  return emitted | node
}

/** No code is shorter than five bits, so eight bytes out for five in is enough room. */
export function huffmanDecodedBound(bytes: number): number {
  return Math.ceil((bytes * 8) / 5)
}

/** Decodes `source[start, end)` into `target`; returns the number of bytes. Throws COMPRESSION_ERROR. */
export function huffmanDecode(source: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let state = 0
  let length = 0
  for (let at = start; at < end; at += 1) {
    const byte = source[at]!
    const high = table[state * 16 + (byte >> 4)]!
    if ((high & emits) !== 0) target[length++] = (high >> 8) & 0xff
    const low = table[(high & 0xff) * 16 + (byte & 15)]!
    if ((low & emits) !== 0) target[length++] = (low >> 8) & 0xff
    if (((high | low) & fails) !== 0) throw new SessionError(errorCode.compressionError, 'EOS inside a Huffman string')
    state = low & 0xff
  }
  if (mayEnd[state] !== 1) throw new SessionError(errorCode.compressionError, 'a Huffman string ends with bad padding')
  return length
}

/** Bytes that `text` (one byte per character) needs. */
export function huffmanBytes(text: string): number {
  let bits = 0
  for (let at = 0; at < text.length; at += 1) bits += lengths[text.charCodeAt(at) & 0xff]!
  return (bits + 7) >> 3
}

/** Encodes `text` (one byte per character) at `at`; returns where it ends. */
export function huffmanEncode(text: string, target: Uint8Array, at: number): number {
  let position = at
  // At most 7 bits wait between symbols; a symbol has up to 30, so both fit a double's integer, not 32 bits.
  let waiting = 0
  let bits = 0
  for (let index = 0; index < text.length; index += 1) {
    const symbol = text.charCodeAt(index) & 0xff
    const length = lengths[symbol]!
    waiting = waiting * 2 ** length + codes[symbol]!
    bits += length
    while (bits >= 8) {
      bits -= 8
      const scale = 2 ** bits
      const byte = Math.floor(waiting / scale)
      target[position++] = byte
      waiting -= byte * scale
    }
  }
  if (bits > 0) target[position++] = (waiting << (8 - bits)) | (0xff >> bits)
  return position
}
