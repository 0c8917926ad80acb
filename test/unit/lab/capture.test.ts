import fc from 'fast-check'
import t from 'tap'
import { readFrame } from '../../../lab/capture/frames.ts'
import { frameHeader, PcapSplitter, pcapHeader } from '../../../lab/capture/pcap.ts'
import { CaptureReader } from '../../../lab/capture/summary.ts'

interface Segment {
  readonly from: readonly [string, number]
  readonly to: readonly [string, number]
  readonly flags?: number
  readonly payload?: string
}

const syn = 0x02

/** An Ethernet frame with an IPv4 TCP segment. */
function tcp4({ from, to, flags = 0x18, payload = '' }: Segment): Buffer {
  const ethernet = Buffer.alloc(14)
  ethernet.writeUInt16BE(0x0800, 12)
  const ip = Buffer.alloc(20)
  ip[0] = 0x45
  ip.writeUInt16BE(40 + payload.length, 2)
  ip[9] = 6
  Buffer.from(from[0].split('.').map(Number)).copy(ip, 12)
  Buffer.from(to[0].split('.').map(Number)).copy(ip, 16)
  return Buffer.concat([ethernet, ip, tcpHeader(from[1], to[1], flags), Buffer.from(payload, 'latin1')])
}

function tcpHeader(source: number, destination: number, flags: number): Buffer {
  const header = Buffer.alloc(20)
  header.writeUInt16BE(source, 0)
  header.writeUInt16BE(destination, 2)
  header[12] = 0x50
  header[13] = flags
  return header
}

const a: readonly [string, number] = ['10.0.0.1', 40_000]
const b: readonly [string, number] = ['10.0.0.2', 8080]

t.test('IPv4 TCP is taken apart, padding of short frames left out', async (t) => {
  const frame = Buffer.concat([tcp4({ from: a, to: b, flags: syn }), Buffer.alloc(6)])
  t.match(readFrame(frame), { protocol: 'tcp', source: a[0], destinationPort: 8080, opens: true })
  t.equal(readFrame(frame)?.payload.length, 0)
})

t.test('IPv6 TCP behind an extension header is taken apart', async (t) => {
  const ethernet = Buffer.alloc(14)
  ethernet.writeUInt16BE(0x86dd, 12)
  const ip = Buffer.alloc(40)
  ip[0] = 0x60
  ip.writeUInt16BE(8 + 20 + 2, 4)
  ip[6] = 60
  ip[8 + 15] = 1
  ip[24 + 15] = 2
  const options = Buffer.alloc(8)
  options[0] = 6
  const frame = Buffer.concat([ethernet, ip, options, tcpHeader(1, 2, 0x18), Buffer.from('hi')])
  t.match(readFrame(frame), { protocol: 'tcp', source: '0:0:0:0:0:0:0:1', destinationPort: 2 })
  t.equal(readFrame(frame)?.payload.toString(), 'hi')
})

t.test('no bytes make the reader throw', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void readFrame(Buffer.from(bytes))))
  const headers = fc.constantFrom(0x0800, 0x86dd)
  fc.assert(
    fc.property(headers, fc.uint8Array({ minLength: 14, maxLength: 200 }), (type, bytes) => {
      const frame = Buffer.from(bytes)
      frame.writeUInt16BE(type, 12)
      readFrame(frame)
    }),
  )
})

t.test('a marker is found within a frame, across frames, and in either direction', async (t) => {
  const reader = new CaptureReader(['secret', 'absent'])
  reader.add(tcp4({ from: a, to: b, flags: syn }))
  reader.add(tcp4({ from: a, to: b, payload: 'a secret here and the beginning of a sec' }))
  reader.add(tcp4({ from: b, to: a, payload: 'unrelated' }))
  reader.add(tcp4({ from: a, to: b, payload: 'ret' }))
  reader.add(tcp4({ from: b, to: a, payload: 'secret back' }))
  const summary = reader.summary(3)
  t.same(summary.markers, { secret: 3, absent: 0 })
  t.equal(summary.dropped, 3)
  t.match(summary.conversations, [{ client: a[0], server: b[0], port: 8080, connections: 1, tlsConnections: 0 }])
  t.equal(summary.conversations.length, 1)
})

t.test('a marker cut anywhere is found once', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 30 }), (cut) => {
      const text = '0123456789the-marker0123456789'
      const reader = new CaptureReader(['the-marker'])
      reader.add(tcp4({ from: a, to: b, payload: text.slice(0, cut) }))
      reader.add(tcp4({ from: a, to: b, payload: text.slice(cut) }))
      t.equal(reader.summary(0).markers['the-marker'], 1)
    }),
  )
})

t.test('a connection that begins with a ClientHello counts as TLS, one that does not is seen', async (t) => {
  const reader = new CaptureReader([])
  const tunnel: readonly [string, number] = ['10.0.0.2', 15008]
  reader.add(tcp4({ from: a, to: tunnel, flags: syn }))
  reader.add(tcp4({ from: a, to: tunnel, payload: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' }))
  const other: readonly [string, number] = ['10.0.0.1', 40_001]
  reader.add(tcp4({ from: other, to: tunnel, flags: syn }))
  reader.add(tcp4({ from: other, to: tunnel, payload: 'GET / HTTP/1.1' }))
  t.match(reader.summary(0).conversations, [{ port: 15008, connections: 2, tlsConnections: 1 }])
})

t.test('a pcap file is split into its frames, wherever it is cut', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 }),
      (frames, cuts) => {
        const file = Buffer.concat([
          pcapHeader,
          ...frames.flatMap((frame) => [frameHeader(frame.length, 1_700_000_000_123), Buffer.from(frame)]),
        ])
        const splitter = new PcapSplitter()
        const found: Buffer[] = []
        let at = 0
        for (let index = 0; at < file.length; index++) {
          const end = at + cuts[index % cuts.length]!
          found.push(...splitter.push(file.subarray(at, end)).map((frame) => Buffer.from(frame)))
          at = end
        }
        t.same(
          found,
          frames.map((frame) => Buffer.from(frame)),
        )
      },
    ),
    { numRuns: 50 },
  )
  t.throws(() => new PcapSplitter().push(Buffer.alloc(30, 1)), RangeError)
})
