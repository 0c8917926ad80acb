// The parts of a DNS message (RFC 1035, RFC 6891) that the proxy itself must understand: header, question and the EDNS size.
// Everything else of a forwarded message passes as the bytes that came. server.ts and forwarder.ts read with it.

export const recordTypes = { A: 1, PTR: 12, AAAA: 28, SRV: 33, OPT: 41, ANY: 255 } as const
export const recordClasses = { IN: 1, ANY: 255 } as const
export const rcodes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const
export type Rcode = keyof typeof rcodes

export const flagBits = {
  response: 0x8000,
  opcode: 0x7800,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  checkingDisabled: 0x0010,
  rcode: 0x000f,
} as const

export const headerBytes = 12
/** Size of an answer over UDP to a client that does not say more (RFC 1035 §2.3.4). */
export const plainUdpBytes = 512
/** Largest answer over UDP that the proxy gives or asks for, however much the client offers. */
export const maxUdpBytes = 4096

export interface Question {
  /** As sent, without the final dot; empty for the root. Bytes outside printable ASCII and dots in labels are escaped `\ddd`. */
  readonly name: string
  readonly type: number
  readonly class: number
  /** The section as it came. */
  readonly bytes: Buffer
}

export interface Edns {
  readonly udpBytes: number
  readonly version: number
  readonly dnssecOk: boolean
}

export interface DnsQuery {
  readonly id: number
  readonly flags: number
  readonly question: Question
  readonly edns: Edns | undefined
  /** The whole message. */
  readonly bytes: Buffer
}

export type ReadQuery =
  | { readonly kind: 'query'; readonly query: DnsQuery }
  /** Answered with this code and no question. */
  | { readonly kind: 'reject'; readonly id: number; readonly flags: number; readonly rcode: Rcode }
  /** Not answered at all: no header, or itself an answer (answering those makes loops). */
  | { readonly kind: 'drop' }

/** Reads what a client sent. Never throws. */
export function readQuery(bytes: Buffer): ReadQuery {
  if (bytes.length < headerBytes) return { kind: 'drop' }
  const id = bytes.readUInt16BE(0)
  const flags = bytes.readUInt16BE(2)
  if ((flags & flagBits.response) !== 0) return { kind: 'drop' }
  if ((flags & flagBits.opcode) !== 0) return { kind: 'reject', id, flags, rcode: 'NOTIMP' }
  const question = readQuestion(bytes)
  const edns = question === undefined ? 'malformed' : readEdns(bytes, headerBytes + question.bytes.length)
  if (question === undefined || edns === 'malformed') return { kind: 'reject', id, flags, rcode: 'FORMERR' }
  return { kind: 'query', query: { id, flags, question, edns, bytes } }
}

/** The question of a message that has exactly one. */
export function readQuestion(bytes: Buffer): Question | undefined {
  if (bytes.length < headerBytes || bytes.readUInt16BE(4) !== 1) return undefined
  const labels: string[] = []
  let offset = headerBytes
  for (;;) {
    const length = bytes[offset]
    // A pointer has nothing before it to point to here.
    if (length === undefined || length > 63) return undefined
    offset++
    if (length === 0) break
    if (offset + length > bytes.length) return undefined
    labels.push(labelText(bytes.subarray(offset, offset + length)))
    offset += length
  }
  const end = offset + 4
  if (end > bytes.length || offset - headerBytes > 255) return undefined
  return {
    name: labels.join('.'),
    type: bytes.readUInt16BE(offset),
    class: bytes.readUInt16BE(offset + 2),
    bytes: bytes.subarray(headerBytes, end),
  }
}

function labelText(label: Buffer): string {
  let text = ''
  for (const byte of label) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c
    text += plain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`
  }
  return text
}

/** Walks the records behind the question to the OPT record. */
function readEdns(bytes: Buffer, start: number): Edns | undefined | 'malformed' {
  const records = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10)
  let edns: Edns | undefined
  let offset = start
  for (let record = 0; record < records; record++) {
    const fixed = skipName(bytes, offset)
    if (fixed === undefined || fixed + 10 > bytes.length) return 'malformed'
    const end = fixed + 10 + bytes.readUInt16BE(fixed + 8)
    if (end > bytes.length) return 'malformed'
    if (bytes.readUInt16BE(fixed) === recordTypes.OPT) {
      if (edns !== undefined) return 'malformed'
      const udpBytes = bytes.readUInt16BE(fixed + 2)
      edns = { udpBytes, version: bytes[fixed + 5]!, dnssecOk: (bytes[fixed + 6]! & 0x80) !== 0 }
    }
    offset = end
  }
  return edns
}

/** Offset behind a name, which may end in a compression pointer. */
function skipName(bytes: Buffer, start: number): number | undefined {
  let offset = start
  for (;;) {
    const length = bytes[offset]
    if (length === undefined) return undefined
    if (length === 0) return offset + 1
    if (length >= 0xc0) return offset + 2
    if (length > 63) return undefined
    offset += length + 1
  }
}

/** How large an answer over UDP may be. */
export function udpLimit(query: DnsQuery): number {
  if (query.edns === undefined) return plainUdpBytes
  return Math.min(maxUdpBytes, Math.max(plainUdpBytes, query.edns.udpBytes))
}

/** A message that answers `bytes` of the same question: names compare without case (servers may fold it). */
export function sameQuestion(asked: Question, answered: Question | undefined): boolean {
  return (
    answered !== undefined &&
    asked.type === answered.type &&
    asked.class === answered.class &&
    asked.name.toLowerCase() === answered.name.toLowerCase()
  )
}

/** Header and question only, with the truncation bit: the client comes again over TCP. */
export function truncatedCopy(response: Buffer, question: Question): Buffer {
  const copy = Buffer.concat([response.subarray(0, headerBytes), question.bytes])
  copy.writeUInt16BE(copy.readUInt16BE(2) | flagBits.truncated, 2)
  copy.writeUInt16BE(1, 4)
  copy.fill(0, 6, headerBytes)
  return copy
}

/** An answer without question or records. */
export function bareResponse(id: number, flags: number, rcode: Rcode): Buffer {
  const response = Buffer.alloc(headerBytes)
  response.writeUInt16BE(id, 0)
  response.writeUInt16BE(responseFlags(flags, rcode), 2)
  return response
}

/** Flags of an answer of the proxy's own to a query with `flags`. */
export function responseFlags(flags: number, rcode: Rcode): number {
  const copied = flags & (flagBits.opcode | flagBits.recursionDesired | flagBits.checkingDisabled)
  return flagBits.response | copied | flagBits.recursionAvailable | rcodes[rcode]
}
