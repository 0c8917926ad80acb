// Header fields to header blocks (RFC 7541). One per session, called by engine.ts. A field that differs for every connection
// (`forwarded`, `traceparent`) is not indexed: it would push out those that repeat.
import { DynamicTable, defaultTableBytes, type HeaderField, staticTable } from './hpack-table.ts'
import { huffmanBytes, huffmanEncode } from './huffman.ts'

/** What is in a table under one name. */
interface Named {
  /** An entry with this name. */
  any: number
  readonly values: Map<string, number>
}

/** HPACK indexes of the static table. */
const staticNames = new Map<string, Named>()
for (const [at, [name, value]] of staticTable.entries()) {
  const named = staticNames.get(name) ?? { any: at + 1, values: new Map() }
  staticNames.set(name, named)
  if (value !== '') named.values.set(value, at + 1)
}
const firstDynamicIndex = staticTable.length + 1

/** The largest table worth keeping, whatever the peer allows. */
const maxTableBytes = defaultTableBytes

export class HpackEncoder {
  readonly #once: ReadonlySet<string>
  readonly #secret: ReadonlySet<string>
  /** Numbers of the newest entries of the dynamic table. */
  readonly #names = new Map<string, Named>()
  readonly #table = new DynamicTable(defaultTableBytes, (entry, number) => this.#evicted(entry, number))
  /** Sizes to announce at the start of the next block: the smallest since the last one, and the present one. */
  #announce: { smallest: number; present: number } | undefined
  #target = Buffer.allocUnsafeSlow(1_024)
  #at = 0

  /** Values of the names in `once` are not worth remembering, those of the names in `secret` must not be. */
  constructor(once: Iterable<string> = [], secret: Iterable<string> = []) {
    this.#once = new Set(once)
    this.#secret = new Set(secret)
  }

  get tableSize(): number {
    return this.#table.bytes
  }

  /** SETTINGS_HEADER_TABLE_SIZE of the peer. */
  limitTable(bytes: number): void {
    const present = Math.min(bytes, maxTableBytes)
    if (present === (this.#announce?.present ?? this.#table.capacity)) return
    this.#announce = { smallest: Math.min(present, this.#announce?.smallest ?? present), present }
  }

  /** The encoded block, valid until the next call. Names are lower case; characters are bytes. */
  encode(fields: readonly HeaderField[]): Buffer {
    this.#begin()
    for (const field of fields) this.#field(field[0], field[1], field)
    return this.#target.subarray(0, this.#at)
  }

  /** As `encode`, of `[name, value, name, value, …]`. */
  encodeFlat(fields: readonly string[]): Buffer {
    this.#begin()
    for (let at = 0; at < fields.length; at += 2) this.#field(fields[at]!, fields[at + 1]!, undefined)
    return this.#target.subarray(0, this.#at)
  }

  #begin(): void {
    this.#at = 0
    this.#room(16)
    if (this.#announce !== undefined) {
      const { smallest, present } = this.#announce
      this.#announce = undefined
      if (smallest < present) this.#resize(smallest)
      this.#resize(present)
    }
  }

  #resize(bytes: number): void {
    this.#table.resize(bytes)
    this.#integer(0x20, 5, bytes)
  }

  #field(name: string, value: string, field: HeaderField | undefined): void {
    this.#room(name.length + value.length + 32)
    const ofStatic = staticNames.get(name)
    const ofDynamic = this.#names.get(name)
    if (this.#secret.has(name)) {
      this.#never(name, value, ofStatic?.any ?? this.#dynamicIndex(ofDynamic?.any))
      return
    }
    const repeats = !this.#once.has(name)
    const known = repeats
      ? (ofStatic?.values.get(value) ?? this.#dynamicIndex(ofDynamic?.values.get(value)))
      : undefined
    if (known !== undefined) {
      this.#integer(0x80, 7, known)
      return
    }
    const named = ofStatic?.any ?? this.#dynamicIndex(ofDynamic?.any)
    // The first value of a name is remembered for the name's sake.
    const remember = named === undefined || repeats
    this.#integer(remember ? 0x40 : 0x00, remember ? 6 : 4, named ?? 0)
    if (named === undefined) this.#string(name, true)
    this.#string(value, remember)
    if (!remember || !this.#table.add(field ?? [name, value])) return
    this.#remember(name, value, this.#table.next - 1)
  }

  /** A secret in no table can be guessed by nobody who writes into the same session (RFC 7541 7.1). */
  #never(name: string, value: string, named: number | undefined): void {
    this.#integer(0x10, 4, named ?? 0)
    if (named === undefined) this.#string(name, true)
    this.#string(value, false)
  }

  #remember(name: string, value: string, number: number): void {
    // Adding may have evicted the last entry of this name.
    const named = this.#names.get(name) ?? { any: number, values: new Map() }
    named.any = number
    named.values.set(value, number)
    this.#names.set(name, named)
  }

  #dynamicIndex(number: number | undefined): number | undefined {
    return number === undefined ? undefined : firstDynamicIndex + (this.#table.next - 1 - number)
  }

  #evicted([name, value]: HeaderField, number: number): void {
    const named = this.#names.get(name)
    if (named === undefined) return
    if (named.values.get(value) === number) named.values.delete(value)
    // The newest goes last: nothing of this name is left then.
    if (named.any === number) this.#names.delete(name)
  }

  #integer(pattern: number, prefixBits: number, value: number): void {
    const mask = 2 ** prefixBits - 1
    if (value < mask) {
      this.#target[this.#at++] = pattern | value
      return
    }
    this.#target[this.#at++] = pattern | mask
    let rest = value - mask
    while (rest >= 128) {
      this.#target[this.#at++] = 128 | (rest & 127)
      rest = Math.floor(rest / 128)
    }
    this.#target[this.#at++] = rest
  }

  /** Huffman where it is shorter and the string is sent once; what is sent for each connection goes out as it is. */
  #string(text: string, compress: boolean): void {
    const bytes = compress ? huffmanBytes(text) : text.length
    if (bytes < text.length) {
      this.#integer(0x80, 7, bytes)
      this.#at = huffmanEncode(text, this.#target, this.#at)
    } else {
      this.#integer(0x00, 7, text.length)
      this.#at += this.#target.write(text, this.#at, 'latin1')
    }
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#target.length) return
    const larger = Buffer.allocUnsafeSlow(2 * (this.#at + bytes))
    this.#target.copy(larger, 0, 0, this.#at)
    this.#target = larger
  }
}
