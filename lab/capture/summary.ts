// What a capture shows: conversations, whether they are TLS, and whether markers can be read in them. Pure but for its state;
// fed frame by frame by read.ts.
import { capturePorts } from '../../core/model/ports.ts'
import { canonicalAddress } from '../../core/net/address.ts'
import { readFrame, type Segment } from './frames.ts'

/** All traffic between two addresses towards one service port, both directions. */
export interface Conversation {
  readonly protocol: 'tcp' | 'udp' | 'other'
  /** The side that opened it; where the capture began later, the side that is not at a port of the mesh, or at the higher port. */
  readonly client: string
  readonly server: string
  /** The server's port. */
  readonly port: number
  readonly connections: number
  readonly frames: number
  readonly payloadBytes: number
  /** How many of the connections, seen from their first byte, began with a TLS handshake. */
  readonly tlsConnections: number
  /** First readable bytes, for people. */
  readonly sample: string
}

export interface CaptureSummary {
  readonly frames: number
  readonly bytes: number
  /** Frames that the kernel could not deliver; a capture with drops proves nothing. */
  readonly dropped: number
  readonly conversations: readonly Conversation[]
  /** How often each marker was seen in the payload. */
  readonly markers: Readonly<Record<string, number>>
}

interface Stream {
  /** The last bytes of the payload so far, so that a marker across two frames is found. */
  tail: Buffer
}

interface Connection {
  readonly key: string
  first: Buffer
  sawStart: boolean
}

interface Counts {
  readonly protocol: Conversation['protocol']
  readonly client: string
  readonly server: string
  readonly port: number
  connections: number
  frames: number
  payloadBytes: number
  tlsConnections: number
  sample: string
}

const sampleBytes = 160

export class CaptureReader {
  readonly #markers: readonly Buffer[]
  readonly #found: number[]
  readonly #overlap: number
  readonly #conversations = new Map<string, Counts>()
  readonly #connections = new Map<string, Connection>()
  readonly #streams = new Map<string, Stream>()
  #frames = 0
  #bytes = 0

  constructor(markers: readonly string[]) {
    this.#markers = markers.map((marker) => Buffer.from(marker))
    this.#found = markers.map(() => 0)
    this.#overlap = Math.max(1, ...this.#markers.map((marker) => marker.length)) - 1
  }

  add(frame: Buffer): void {
    this.#frames++
    this.#bytes += frame.length
    const segment = readFrame(frame)
    if (segment === undefined) {
      this.#searchIn(frame)
      return
    }
    this.#count(segment)
    if (segment.payload.length > 0) this.#search(segment)
  }

  summary(dropped: number): CaptureSummary {
    return {
      frames: this.#frames,
      bytes: this.#bytes,
      dropped,
      conversations: [...this.#conversations.values()].map((counts) => ({
        ...counts,
        client: canonicalAddress(counts.client) ?? counts.client,
        server: canonicalAddress(counts.server) ?? counts.server,
      })),
      markers: Object.fromEntries(this.#markers.map((marker, index) => [marker.toString(), this.#found[index] ?? 0])),
    }
  }

  #count(segment: Segment): void {
    const connection = this.#connection(segment)
    const conversation = this.#conversations.get(connection.key)!
    conversation.frames++
    conversation.payloadBytes += segment.payload.length
    if (segment.opens) {
      conversation.connections++
      connection.sawStart = true
      connection.first = Buffer.alloc(0)
    }
    if (segment.payload.length === 0 || connection.first.length > 0) return
    connection.first = Buffer.from(segment.payload.subarray(0, sampleBytes))
    if (connection.sawStart && isClientHello(connection.first)) conversation.tlsConnections++
    if (conversation.sample === '') conversation.sample = readable(connection.first)
  }

  #connection(segment: Segment): Connection {
    const forward = endsKey(segment.source, segment.sourcePort, segment.destination, segment.destinationPort)
    const known =
      this.#connections.get(forward) ??
      this.#connections.get(endsKey(segment.destination, segment.destinationPort, segment.source, segment.sourcePort))
    if (known !== undefined) return known
    const outbound = segment.opens || leadsOut(segment.sourcePort, segment.destinationPort)
    const client = outbound ? segment.source : segment.destination
    const server = outbound ? segment.destination : segment.source
    const port = outbound ? segment.destinationPort : segment.sourcePort
    const key = `${segment.protocol} ${client} ${server} ${port}`
    if (!this.#conversations.has(key)) {
      const empty = { connections: 0, frames: 0, payloadBytes: 0, tlsConnections: 0, sample: '' }
      this.#conversations.set(key, { protocol: segment.protocol, client, server, port, ...empty })
    }
    const connection: Connection = { key, first: Buffer.alloc(0), sawStart: false }
    this.#connections.set(forward, connection)
    return connection
  }

  #search(segment: Segment): void {
    const key = endsKey(segment.source, segment.sourcePort, segment.destination, segment.destinationPort)
    const stream = this.#streams.get(key) ?? { tail: Buffer.alloc(0) }
    // A marker that lies wholly in the tail cannot be: the tail is one byte shorter than the longest marker. Shorter markers
    // could be counted twice, which errs on the strict side.
    const text = stream.tail.length === 0 ? segment.payload : Buffer.concat([stream.tail, segment.payload])
    this.#searchIn(text)
    stream.tail = Buffer.from(text.subarray(Math.max(0, text.length - this.#overlap)))
    this.#streams.set(key, stream)
  }

  #searchIn(text: Buffer): void {
    for (const [index, marker] of this.#markers.entries()) {
      for (let at = text.indexOf(marker); at >= 0; at = text.indexOf(marker, at + marker.length)) {
        this.#found[index] = (this.#found[index] ?? 0) + 1
      }
    }
  }
}

/** Whether a segment of an older connection goes to its server: to a port of the mesh, else to the lower one. */
function leadsOut(sourcePort: number, destinationPort: number): boolean {
  const [fromMesh, toMesh] = [capturePorts.has(sourcePort), capturePorts.has(destinationPort)]
  return fromMesh === toMesh ? sourcePort >= destinationPort : toMesh
}

function endsKey(a: string, aPort: number, b: string, bPort: number): string {
  return `${a} ${aPort} ${b} ${bPort}`
}

/** A TLS record of type handshake with a ClientHello in it (RFC 8446 §4, §5.1). */
function isClientHello(bytes: Buffer): boolean {
  return bytes.length >= 6 && bytes[0] === 0x16 && bytes[1] === 3 && bytes[2]! <= 4 && bytes[5] === 1
}

/** Bytes as people can read them: everything that is no plain character is a dot. */
export function readable(bytes: Buffer): string {
  return bytes.toString('latin1').replace(/[^\x20-\x7e]/g, '.')
}
