// DNS over TCP: messages behind a two-byte length (RFC 1035 §4.2.2). Used by both ends of the proxy.

/** A message with its length in front. */
export function frame(message: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  return Buffer.concat([length, message])
}

/** Cuts a byte stream into messages; holds at most one unfinished message of 64 KiB. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0)

  /** The messages that `chunk` completes. */
  push(chunk: Buffer): readonly Buffer[] {
    const messages: Buffer[] = []
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    while (bytes.length >= 2) {
      const end = 2 + bytes.readUInt16BE(0)
      if (bytes.length < end) break
      messages.push(bytes.subarray(2, end))
      bytes = bytes.subarray(end)
    }
    this.#rest = Buffer.from(bytes)
    return messages
  }
}
