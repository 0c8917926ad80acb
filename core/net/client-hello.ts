// The server name of a TLS connection that nobody here opens, read from its ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3): for
// routes by server name. Pure; a waypoint gives it the first bytes of a connection until it knows.

export type Hello =
  /** More bytes are needed. */
  | { readonly kind: 'incomplete' }
  /** Not TLS, or a hello that cannot be read. */
  | { readonly kind: 'other' }
  /** `serverName` in lower case; undefined where the client names none. */
  | { readonly kind: 'tls'; readonly serverName: string | undefined }

const incomplete: Hello = { kind: 'incomplete' }
const other: Hello = { kind: 'other' }

const handshakeRecord = 22
const clientHello = 1
const serverNameExtension = 0
const hostName = 0
/** Hellos with post-quantum keys have about 2 KiB; nobody needs more than this. */
const longestHello = 65_536
const longestRecord = 16_384

/** @param bytes from the first of the connection */
export function readHello(bytes: Buffer): Hello {
  const message = handshake(bytes)
  if (!Buffer.isBuffer(message)) return message
  try {
    return { kind: 'tls', serverName: nameIn(new Reader(message)) }
  } catch (error: unknown) {
    if (error instanceof RangeError) return other
    throw error
  }
}

/** The body of the ClientHello, put together from as many records as it has. */
function handshake(bytes: Buffer): Buffer | Hello {
  const parts: Buffer[] = []
  let have = 0
  for (let at = 0; ; ) {
    if (at < bytes.length && bytes[at] !== handshakeRecord) return other
    if (at + 1 < bytes.length && bytes[at + 1] !== 3) return other
    if (at + 5 > bytes.length) return incomplete
    const length = bytes.readUInt16BE(at + 3)
    if (length === 0 || length > longestRecord) return other
    const part = bytes.subarray(at + 5, at + 5 + length)
    parts.push(part)
    have += part.length
    const message = parts.length === 1 ? part : Buffer.concat(parts)
    if (message.length > 0 && message[0] !== clientHello) return other
    if (message.length >= 4) {
      const end = 4 + message.readUIntBE(1, 3)
      if (end > longestHello) return other
      if (have >= end) return message.subarray(4, end)
    }
    if (part.length < length) return incomplete
    at += 5 + length
  }
}

function nameIn(hello: Reader): string | undefined {
  // version, random, session, cipher suites, compression
  hello.skip(2 + 32)
  hello.skip(hello.number(1))
  hello.skip(hello.number(2))
  hello.skip(hello.number(1))
  if (hello.done) return undefined
  const extensions = hello.part(2)
  while (!extensions.done) {
    const type = extensions.number(2)
    const body = extensions.part(2)
    if (type !== serverNameExtension) continue
    const names = body.part(2)
    while (!names.done) {
      const kind = names.number(1)
      const name = names.part(2)
      if (kind === hostName) return textOf(name.rest())
    }
  }
  return undefined
}

/** A name with other bytes than a host has is none that a rule could mean. */
function textOf(bytes: Buffer): string {
  const name = bytes.toString('latin1')
  if (!/^[A-Za-z0-9._-]{1,255}$/.test(name)) throw new RangeError('not a host name')
  return name.toLowerCase().replace(/\.$/, '')
}

/** Throws RangeError at the end. */
class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length
  }

  number(size: 1 | 2): number {
    const value = this.#bytes.readUIntBE(this.#at, size)
    this.#at += size
    return value
  }

  skip(count: number): void {
    if (this.#at + count > this.#bytes.length) throw new RangeError('too short')
    this.#at += count
  }

  /** With its length in front. */
  part(size: 1 | 2): Reader {
    const length = this.number(size)
    const from = this.#at
    this.skip(length)
    return new Reader(this.#bytes.subarray(from, from + length))
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#at)
  }
}
