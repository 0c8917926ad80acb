// Takes Ethernet frames apart as far as the lab needs it: who talks to whom, on which port, with which payload. Pure.

export interface Segment {
  readonly protocol: 'tcp' | 'udp' | 'other'
  /** `address` in a fixed form: dotted IPv4, or IPv6 as eight groups in hex. */
  readonly source: string
  readonly destination: string
  readonly sourcePort: number
  readonly destinationPort: number
  /** TCP sequence number of the first byte of `payload`; 0 for other protocols. */
  readonly sequence: number
  /** TCP flag SYN without ACK: the beginning of a connection. */
  readonly opens: boolean
  /** TCP flag SYN, with ACK or without: the first segment of one direction. It takes one sequence number. */
  readonly synchronizes: boolean
  readonly payload: Buffer
}

const ethernetHeader = 14
const etherIpv4 = 0x0800
const etherIpv6 = 0x86dd
const tcp = 6
const udp = 17
/** IPv6 extension headers that may come before the transport: hop-by-hop, routing, destination options. */
const skippable: ReadonlySet<number> = new Set([0, 43, 60])

/** The transport segment of a frame; undefined for what is no IP or is cut short. */
export function readFrame(frame: Buffer): Segment | undefined {
  if (frame.length < ethernetHeader) return undefined
  const type = frame.readUInt16BE(12)
  const packet = frame.subarray(ethernetHeader)
  if (type === etherIpv4) return readIpv4(packet)
  if (type === etherIpv6) return readIpv6(packet)
  return undefined
}

function readIpv4(packet: Buffer): Segment | undefined {
  if (packet.length < 20) return undefined
  const header = (packet[0]! & 0x0f) * 4
  const length = packet.readUInt16BE(2)
  // Segmentation offload leaves 0 where a packet is longer than the field can say.
  const end = length === 0 ? packet.length : Math.min(length, packet.length)
  if (header < 20 || end < header) return undefined
  const fragmentOffset = packet.readUInt16BE(6) & 0x1fff
  const protocol = fragmentOffset === 0 ? packet[9]! : -1
  return transport(protocol, ipv4Text(packet, 12), ipv4Text(packet, 16), packet.subarray(header, end))
}

function readIpv6(packet: Buffer): Segment | undefined {
  if (packet.length < 40) return undefined
  const length = packet.readUInt16BE(4)
  const end = length === 0 ? packet.length : Math.min(40 + length, packet.length)
  let next = packet[6]!
  let at = 40
  while (skippable.has(next)) {
    if (at + 8 > end) return undefined
    next = packet[at]!
    at += (packet[at + 1]! + 1) * 8
  }
  if (at > end) return undefined
  return transport(next, ipv6Text(packet, 8), ipv6Text(packet, 24), packet.subarray(at, end))
}

function transport(protocol: number, source: string, destination: string, data: Buffer): Segment | undefined {
  const base = { source, destination, sequence: 0, opens: false, synchronizes: false }
  if (protocol === tcp) {
    if (data.length < 20) return undefined
    const header = (data[12]! >> 4) * 4
    if (header < 20 || header > data.length) return undefined
    const flags = data[13]!
    return {
      ...base,
      protocol: 'tcp',
      ...portsOf(data),
      sequence: data.readUInt32BE(4),
      opens: (flags & 0x12) === 0x02,
      synchronizes: (flags & 0x02) !== 0,
      payload: data.subarray(header),
    }
  }
  if (protocol === udp) {
    if (data.length < 8) return undefined
    return { ...base, protocol: 'udp', ...portsOf(data), payload: data.subarray(8) }
  }
  return { ...base, protocol: 'other', sourcePort: 0, destinationPort: 0, payload: data }
}

function portsOf(data: Buffer): { readonly sourcePort: number; readonly destinationPort: number } {
  return { sourcePort: data.readUInt16BE(0), destinationPort: data.readUInt16BE(2) }
}

function ipv4Text(packet: Buffer, at: number): string {
  return `${packet[at]}.${packet[at + 1]}.${packet[at + 2]}.${packet[at + 3]}`
}

function ipv6Text(packet: Buffer, at: number): string {
  const groups: string[] = []
  for (let index = 0; index < 16; index += 2) groups.push(packet.readUInt16BE(at + index).toString(16))
  return groups.join(':')
}
