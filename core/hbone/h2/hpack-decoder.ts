// Header blocks to header fields (RFC 7541), bounded against header bombs. One per session, called by engine.ts for every
// block in order, those of refused streams included.
import { DynamicTable, defaultTableBytes, entryOverhead, type HeaderField, staticTable } from './hpack-table.ts'
import { huffmanDecode, huffmanDecodedBound } from './huffman.ts'
import { errorCode, SessionError } from './protocol.ts'

export interface DecodedHeaders {
  readonly fields: readonly HeaderField[]
  /** More than `maxListBytes` or `maxFields`; what did not fit is left out, but the table is in step. */
  readonly tooLarge: boolean
}

export interface DecoderLimits {
  /** Of names, values and 32 bytes per field, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
  readonly maxListBytes: number
  readonly maxFields: number
  /** SETTINGS_HEADER_TABLE_SIZE as we told the peer. */
  readonly tableBytes?: number
}

/** A list this many times too large is no mistake: references to one long entry cost a byte each and are worth thousands. */
const bombFactor = 16

export class HpackDecoder {
  readonly #limits: DecoderLimits
  readonly #tableBytes: number
  readonly #table: DynamicTable
  #scratch = Buffer.allocUnsafeSlow(512)
  #source: Buffer = this.#scratch
  #at = 0
  #end = 0

  constructor(limits: DecoderLimits) {
    this.#limits = limits
    this.#tableBytes = limits.tableBytes ?? defaultTableBytes
    this.#table = new DynamicTable(this.#tableBytes)
  }

  /** Of the dynamic table, for tests. */
  get tableLength(): number {
    return this.#table.length
  }

  get tableSize(): number {
    return this.#table.bytes
  }

  /** Decodes the block `source[start, end)`. Throws COMPRESSION_ERROR, and ENHANCE_YOUR_CALM for a bomb, after which the session cannot go on. */
  decode(source: Buffer, start: number, end: number): DecodedHeaders {
    this.#source = source
    this.#at = start
    this.#end = end
    const fields: HeaderField[] = []
    let bytes = 0
    let tooLarge = false
    while (this.#at < end) {
      const first = source[this.#at]!
      if ((first & 0xe0) === 0x20) {
        if (fields.length > 0 || tooLarge) throw broken('a table size update after a header field')
        this.#resize()
        continue
      }
      const field = this.#field(first)
      bytes += field[0].length + field[1].length + entryOverhead
      if (bytes > bombFactor * this.#limits.maxListBytes) throw bomb()
      if (bytes > this.#limits.maxListBytes || fields.length >= this.#limits.maxFields) tooLarge = true
      else fields.push(field)
    }
    return { fields, tooLarge }
  }

  #field(first: number): HeaderField {
    if ((first & 0x80) !== 0) return this.#entry(this.#integer(7))
    const indexed = (first & 0x40) !== 0
    const index = this.#integer(indexed ? 6 : 4)
    const name = index === 0 ? this.#string() : this.#entry(index)[0]
    const field: HeaderField = [name, this.#string()]
    if (indexed) this.#table.add(field)
    return field
  }

  #resize(): void {
    const capacity = this.#integer(5)
    if (capacity > this.#tableBytes) throw broken('a table size beyond the setting')
    this.#table.resize(capacity)
  }

  #entry(index: number): HeaderField {
    const entry = index <= staticTable.length ? staticTable[index - 1] : this.#table.at(index - staticTable.length - 1)
    if (entry === undefined) throw broken(`there is no header field ${index}`)
    return entry
  }

  #integer(prefixBits: number): number {
    const mask = 2 ** prefixBits - 1
    let value = this.#byte() & mask
    if (value < mask) return value
    let scale = 1
    for (let count = 0; count < 5; count += 1) {
      const byte = this.#byte()
      value += (byte & 0x7f) * scale
      if ((byte & 0x80) === 0) return value
      scale *= 128
    }
    throw broken('an integer is too long')
  }

  #byte(): number {
    if (this.#at >= this.#end) throw broken('a header block ends in the middle of a field')
    return this.#source[this.#at++]!
  }

  #string(): string {
    if (this.#at >= this.#end) throw broken('a header block ends in the middle of a field')
    const huffman = (this.#source[this.#at]! & 0x80) !== 0
    const length = this.#integer(7)
    const start = this.#at
    const end = start + length
    if (end > this.#end) throw broken('a string is longer than its header block')
    this.#at = end
    if (!huffman) return this.#source.toString('latin1', start, end)
    const bound = huffmanDecodedBound(length)
    if (this.#scratch.length < bound) this.#scratch = Buffer.allocUnsafeSlow(2 * bound)
    return this.#scratch.toString('latin1', 0, huffmanDecode(this.#source, start, end, this.#scratch))
  }
}

function bomb(): SessionError {
  return new SessionError(errorCode.enhanceYourCalm, 'HPACK: a header list far beyond the limit')
}

function broken(message: string): SessionError {
  return new SessionError(errorCode.compressionError, `HPACK: ${message}`)
}
