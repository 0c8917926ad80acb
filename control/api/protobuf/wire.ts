// Protocol Buffers on the wire: the little of it that older and newer kubectl need of this server. Numbers are plain: no value here
// is larger than 2^53.

/** A field as it stands on the wire: a number for varints and fixed widths, bytes for everything with a length. */
export interface WireField {
  readonly field: number
  readonly value: number | Buffer
}

const deepest = 10

/** The fields of a message, in order. Throws RangeError where the bytes are not a message. */
export function readFields(bytes: Buffer): readonly WireField[] {
  const fields: WireField[] = []
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let index = 0; index < deepest; index += 1) {
      const byte = bytes[at]
      if (byte === undefined) throw new RangeError('the message ends inside a number')
      at += 1
      value += (byte & 0x7f) * 2 ** (7 * index)
      if (byte < 0x80) return value
    }
    throw new RangeError('a number has more than ten bytes')
  }
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError('the message ends inside a field')
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = varint()
    const field = Math.floor(tag / 8)
    const type = tag % 8
    if (field === 0) throw new RangeError('a field has the number 0')
    if (type === 0) fields.push({ field, value: varint() })
    else if (type === 2) fields.push({ field, value: take(varint()) })
    else if (type === 1) fields.push({ field, value: take(8).readDoubleLE() })
    else if (type === 5) fields.push({ field, value: take(4).readFloatLE() })
    else throw new RangeError(`a field has the wire type ${type}`)
  }
  return fields
}

function varintBytes(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}

/** A message that is written field by field, in the order of the calls. */
export class MessageWriter {
  readonly #pieces: Buffer[] = []

  /** Absent where undefined. */
  text(field: number, value: string | undefined): this {
    return value === undefined ? this : this.bytes(field, Buffer.from(value))
  }

  texts(field: number, values: readonly string[]): this {
    for (const value of values) this.text(field, value)
    return this
  }

  flag(field: number, value: boolean | undefined): this {
    if (value === true) this.#pieces.push(varintBytes(field * 8), Buffer.from([1]))
    return this
  }

  /** A whole number from 0. */
  whole(field: number, value: number | undefined): this {
    if (value !== undefined) this.#pieces.push(varintBytes(field * 8), varintBytes(value))
    return this
  }

  double(field: number, value: number | undefined): this {
    if (value === undefined) return this
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleLE(value)
    this.#pieces.push(varintBytes(field * 8 + 1), bytes)
    return this
  }

  message(field: number, value: MessageWriter | undefined): this {
    return value === undefined ? this : this.bytes(field, value.finish())
  }

  messages(field: number, values: readonly MessageWriter[]): this {
    for (const value of values) this.message(field, value)
    return this
  }

  bytes(field: number, value: Buffer): this {
    this.#pieces.push(varintBytes(field * 8 + 2), varintBytes(value.length), value)
    return this
  }

  finish(): Buffer {
    return Buffer.concat(this.#pieces)
  }
}
