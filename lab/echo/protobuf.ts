// The few bytes of protobuf that the echo workload's gRPC messages need: length-delimited fields and varints, and the framing of
// messages in gRPC over HTTP/2. Pure; used by grpc.ts and by the callers in lab/load.

/** Length-prefixed message: a compression flag and 32 bits of length. */
export function frame(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

/** Cuts a stream of bytes into the messages of its frames, however they are split. Throws RangeError for one that is too long. */
export class Deframer {
  readonly #mostBytes: number
  #rest: Buffer = Buffer.alloc(0)

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  push(chunk: Buffer): readonly Buffer[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const messages: Buffer[] = []
    while (this.#rest.length >= 5) {
      const length = this.#rest.readUInt32BE(1)
      if (length > this.#mostBytes) throw new RangeError('message is too large')
      if (this.#rest.length < 5 + length) break
      messages.push(this.#rest.subarray(5, 5 + length))
      this.#rest = this.#rest.subarray(5 + length)
    }
    return messages
  }
}

/** A string field; the empty string is not written (proto3). */
export function text(number: number, value: string): Buffer {
  return value === '' ? Buffer.alloc(0) : field(number, Buffer.from(value))
}

/** A length-delimited field (wire type 2). */
export function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(content.length), content])
}

/** An unsigned number below 2³¹ (wire type 0); 0 is not written. */
export function count(number: number, value: number): Buffer {
  return value === 0 ? Buffer.alloc(0) : Buffer.concat([varint(number << 3), varint(value)])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}

/** Fields of a message in order: bytes of length-delimited ones, numbers of varints. Throws RangeError for what is no message. */
export function readMessage(message: Buffer): readonly { readonly number: number; readonly value: Buffer | number }[] {
  const fields: { number: number; value: Buffer | number }[] = []
  let at = 0
  const readVarint = (): number => {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = message.readUInt8(at++)
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new RangeError('a number has more than 32 bits')
  }
  while (at < message.length) {
    const key = readVarint()
    const [number, type] = [key >>> 3, key & 7]
    if (type === 0) fields.push({ number, value: readVarint() })
    else if (type === 2) {
      const length = readVarint()
      if (at + length > message.length) throw new RangeError('a field is longer than its message')
      fields.push({ number, value: message.subarray(at, at + length) })
      at += length
    } else throw new RangeError(`wire type ${type}`)
  }
  return fields
}
