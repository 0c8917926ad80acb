// The pcap file format (classic, microseconds, link type Ethernet), so that tcpdump and Wireshark read what the lab captured.

export const pcapHeader: Buffer = (() => {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b2c3d4, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(262_144, 16)
  header.writeUInt32LE(1, 20)
  return header
})()

/** The header in front of one frame. `timeMs` is since 1970. */
export function frameHeader(length: number, timeMs: number): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt32LE(Math.floor(timeMs / 1_000), 0)
  header.writeUInt32LE(Math.floor((timeMs % 1_000) * 1_000), 4)
  header.writeUInt32LE(length, 8)
  header.writeUInt32LE(length, 12)
  return header
}

/** Splits the bytes of a pcap file, as they arrive, into frames. */
export class PcapSplitter {
  #rest: Buffer = Buffer.alloc(0)
  #started = false

  /** Frames that are complete with this chunk. Throws RangeError for what is no pcap file of this kind. */
  push(chunk: Buffer): readonly Buffer[] {
    const frames: Buffer[] = []
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    if (!this.#started) {
      if (data.length < pcapHeader.length) {
        this.#rest = data
        return frames
      }
      if (data.readUInt32LE(0) !== 0xa1b2c3d4) throw new RangeError('not a pcap file')
      this.#started = true
      data = data.subarray(pcapHeader.length)
    }
    let at = 0
    while (at + 16 <= data.length) {
      const length = data.readUInt32LE(at + 8)
      if (length > 1_048_576) throw new RangeError('a frame of the pcap file is too long')
      if (at + 16 + length > data.length) break
      frames.push(data.subarray(at + 16, at + 16 + length))
      at += 16 + length
    }
    this.#rest = data.subarray(at)
    return frames
  }
}
