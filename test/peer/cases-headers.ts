// Cases of test/hbone-peer about header blocks: HPACK, CONTINUATION, header lists that are malformed or too large.

import { HpackEncoder } from '../../core/hbone/h2/hpack-encoder.ts'
import type { HeaderField } from '../../core/hbone/h2/hpack-table.ts'
import { huffmanBytes, huffmanEncode } from '../../core/hbone/h2/huffman.ts'
import { errorCode, flag } from '../../core/hbone/h2/protocol.ts'
import { frame, type, uint32 } from '../helpers/raw-http2.ts'
import { accepted, type Target } from './target.ts'
import { alive, echoes, type PeerCase, refusal } from './verdict.ts'
import type { Wire } from './wire.ts'

const { protocolError, compressionError, enhanceYourCalm, frameSizeError } = errorCode
const method: HeaderField = [':method', 'CONNECT']

function string(text: string, huffman: boolean): Buffer {
  if (text.length > 126) throw new Error('this writes short strings')
  if (!huffman) return Buffer.concat([Buffer.of(text.length), Buffer.from(text, 'latin1')])
  const bytes = Buffer.alloc(huffmanBytes(text) + 8)
  const end = huffmanEncode(text, bytes, 1)
  bytes[0] = 0x80 | (end - 1)
  return bytes.subarray(0, end)
}

/** A header field in one of the forms of RFC 7541 6.2, name and value written out. */
function literal(first: number, name: string, value: string, huffman: boolean): Buffer {
  return Buffer.concat([Buffer.of(first), string(name, huffman), string(value, huffman)])
}

function good(name: string, source: string, blocks: (target: Target) => readonly Buffer[]): PeerCase {
  return {
    name,
    source,
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.session()
      let id = 1
      for (const block of blocks(target)) {
        wire.send(frame(type.headers, flag.endHeaders, id, block))
        await accepted(wire, id)
        await echoes(wire, id)
        id += 2
      }
    },
  }
}

function request(authority: string, first: number, huffman: boolean): Buffer {
  return Buffer.concat([
    literal(first, ':method', 'CONNECT', huffman),
    literal(first, ':authority', authority, huffman),
  ])
}

const compression: readonly PeerCase[] = [
  good('plain and Huffman literals of every kind are read', 'RFC 7541 6.2', ({ echo }) =>
    [0x00, 0x10, 0x40].flatMap((first) => [request(echo, first, false), request(echo, first, true)]),
  ),
  good('names by their index, static and dynamic', 'RFC 7541 6.1, 6.2', ({ echo }) => [
    Buffer.concat([Buffer.of(0x42), string('CONNECT', false), Buffer.of(0x41), string(echo, true)]),
    // The newest entry is 62: the authority, before it the method.
    Buffer.of(0xbf, 0xbe),
    Buffer.concat([Buffer.of(0xbf, 0x01), string(echo, false)]),
  ]),
  good('table size updates empty the table and open it again', 'RFC 7541 4.2, 6.3', ({ echo }) => [
    request(echo, 0x40, true),
    Buffer.concat([Buffer.of(0x20), request(echo, 0x40, false)]),
    Buffer.concat([Buffer.of(0x20, 0x3f, 0xe1, 0x1f), request(echo, 0x40, false)]),
    Buffer.of(0xbf, 0xbe),
  ]),
  good('the dynamic table forgets the oldest first', 'RFC 7541 4.4', ({ echo }) => [
    request(echo, 0x40, true),
    ...Array.from({ length: 90 }, (_, at) =>
      Buffer.concat([request(echo, 0, true), literal(0x40, `x-${at}`, 'v'.repeat(90), at % 2 === 0)]),
    ),
    request(echo, 0x40, true),
    Buffer.of(0xbf, 0xbe),
  ]),
  {
    name: 'a table of size 0 of ours is kept to',
    source: 'RFC 7541 4.2, RFC 9113 4.3.1',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.session('0001 00000000', { tableBytes: 0 })
      for (const id of [1, 3, 5]) {
        wire.send(wire.connect(id, target.echo))
        await accepted(wire, id)
      }
    },
  },
  {
    name: 'the table is kept in step by blocks of streams that are refused',
    source: 'RFC 9113 4.3',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.session()
      const bad = Buffer.concat([request(target.echo, 0x40, true), literal(0x40, 'Upper', 'x', false)])
      wire.send(frame(type.headers, flag.endHeaders, 1, bad))
      await refusal(wire, { codes: [protocolError], stream: 1, orStatus: true })
      if (wire.gone !== undefined || wire.closed) return 'the peer ends the session where a reset would do'
      wire.send(frame(type.headers, flag.endHeaders, 3, Buffer.of(0xc0, 0xbf)))
      await accepted(wire, 3)
    },
  },
]

function brokenBlock(
  name: string,
  source: string,
  block: string,
  codes: readonly number[] = [compressionError],
): PeerCase {
  return {
    name,
    source,
    run: async (target) => {
      const wire = await target.session()
      wire.send(frame(type.headers, flag.endHeaders, 1, block))
      return refusal(wire, { codes })
    },
  }
}

const brokenCompression: readonly PeerCase[] = [
  brokenBlock('an HPACK index of 0', 'RFC 7541 6.1', '80'),
  brokenBlock('an HPACK index beyond the table', 'RFC 7541 2.3.3', 'be'),
  brokenBlock('an HPACK integer without an end', 'RFC 7541 5.1', 'ff ffffffffffffffffffff 00'),
  brokenBlock('an HPACK string beyond its block', 'RFC 7541 5.2', '42 7f ff 01 41'),
  brokenBlock('Huffman padding of more than 7 bits', 'RFC 7541 5.2', '42 82 ffff'),
  brokenBlock('Huffman padding that is not EOS', 'RFC 7541 5.2', '42 81 00'),
  brokenBlock('EOS inside a Huffman string', 'RFC 7541 5.2', '42 84 ffffffff'),
  brokenBlock('an HPACK table beyond the setting', 'RFC 7541 6.3', '3f e2 1f 42 07 434f4e4e454354'),
  brokenBlock('an HPACK table size update behind a field', 'RFC 7541 4.2', '42 07 434f4e4e454354 20'),
]

/** The block in one HEADERS and as many CONTINUATION as there are further pieces. */
function split(id: number, pieces: readonly Buffer[]): Buffer[] {
  return pieces.map((piece, at) => {
    return frame(at === 0 ? type.headers : type.continuation, at === pieces.length - 1 ? flag.endHeaders : 0, id, piece)
  })
}

const continuation: readonly PeerCase[] = [
  {
    name: 'a header block over several CONTINUATION frames, empty ones included',
    source: 'RFC 9113 6.10',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.session()
      const block = wire.block([method, [':authority', target.echo], ['baggage', 'k=v']])
      const pieces = [0, 1, 2, 5, 5, block.length].map((from, at, cuts) => block.subarray(from, cuts[at + 1] ?? from))
      wire.send(...split(1, pieces))
      await accepted(wire, 1)
      await echoes(wire, 1)
    },
  },
  {
    name: 'HEADERS with padding and priority',
    source: 'RFC 9113 6.2',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.session()
      const block = wire.block([method, [':authority', target.echo]])
      const payload = Buffer.concat([Buffer.of(20), uint32(0), Buffer.of(15), block, Buffer.alloc(20)])
      wire.send(frame(type.headers, flag.endHeaders | flag.padded | flag.priority, 1, payload))
      await accepted(wire, 1)
      await echoes(wire, 1)
    },
  },
  ...(
    [
      ['PING inside a header block', () => [frame(type.ping, 0, 0, '0000000000000000')]],
      ['DATA of another stream inside a header block', () => [frame(type.data, 0, 1, '00')]],
      ['an unknown frame inside a header block', () => [frame(0x77, 0, 0, '00')]],
      ['CONTINUATION of another stream inside a header block', () => [frame(type.continuation, 4, 1, '')]],
      ['HEADERS inside a header block', (wire) => [wire.connect(5, '10.0.0.1:80')]],
    ] satisfies [string, (wire: Wire) => Buffer[]][]
  ).map(([name, frames]): PeerCase => {
    return {
      name,
      source: 'RFC 9113 6.10',
      needs: ['echo'],
      run: async (target) => {
        const wire = await target.tunnel()
        wire.send(frame(type.headers, 0, 3, wire.block([method])), ...frames(wire))
        return refusal(wire, { codes: [protocolError] })
      },
    }
  }),
  {
    name: 'CONTINUATION behind a header block that ended',
    source: 'RFC 9113 6.10',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.tunnel()
      wire.send(frame(type.continuation, flag.endHeaders, 1, wire.block([['x', 'y']])))
      return refusal(wire, { codes: [protocolError] })
    },
  },
  {
    name: 'more padding than HEADERS',
    source: 'RFC 9113 6.2',
    run: async (target) => {
      const wire = await target.session()
      wire.send(frame(type.headers, flag.endHeaders | flag.padded, 1, 'ff 82'))
      return refusal(wire, { codes: [protocolError, frameSizeError] })
    },
  },
  {
    name: 'a flood of CONTINUATION ends (CVE-2024-27316)',
    source: 'RFC 9113 10.5',
    run: async (target) => {
      const wire = await target.session()
      const field = new HpackEncoder().encode([['x-flood', 'y'.repeat(15_000)]])
      wire.send(frame(type.headers, 0, 1, field))
      for (let count = 0; count < 2_000 && !wire.closed; count += 1) {
        wire.send(frame(type.continuation, 0, 1, Buffer.from(field.subarray(0, 100))))
        if (count % 100 === 0) await wire.within(1, () => wire.closed)
      }
      for (let count = 0; count < 500 && !wire.closed; count += 1) {
        wire.send(frame(type.continuation, 0, 1, Buffer.alloc(16_000)))
        if (count % 10 === 0) await wire.within(1, () => wire.closed)
      }
      if (!(await wire.within(target.timeoutMs, () => wire.closed || (wire.gone ?? 0) !== 0))) {
        throw new Error('8 MB of one header block were taken without a refusal')
      }
      return wire.gone === enhanceYourCalm || wire.gone === protocolError ? undefined : `ended with ${wire.gone}`
    },
  },
]

function malformed(
  name: string,
  source: string,
  fields: (target: Target) => readonly HeaderField[],
  orServed?: string,
) {
  return {
    name,
    source,
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.session()
      wire.send(wire.headers(1, fields(target)))
      const refused = await refusal(wire, {
        codes: [protocolError],
        stream: 1,
        orStatus: true,
        ...(orServed === undefined ? {} : { orServed }),
      })
      if (wire.gone === undefined && !wire.closed) await alive(wire)
      return refused
    },
  } satisfies PeerCase
}

const leftOut = 'the peer leaves the field out and serves the rest'

const lists: readonly PeerCase[] = [
  ...(
    [
      ['an upper-case header name', '8.2.1', ({ echo }) => [method, [':authority', echo], ['Baggage', 'x']]],
      ['a header of the connection', '8.2.2', ({ echo }) => [method, [':authority', echo], ['connection', 'close']]],

      ['a pseudo-header behind a header', '8.3', ({ echo }) => [method, ['baggage', 'x'], [':authority', echo]]],
      ['a pseudo-header twice', '8.3', ({ echo }) => [method, [':authority', echo], [':authority', echo]]],
      ['an unknown pseudo-header', '8.3', ({ echo }) => [method, [':authority', echo], [':nonsense', 'x']]],
      ['a pseudo-header of responses', '8.3', ({ echo }) => [method, [':authority', echo], [':status', '200']]],
      ['CONNECT with :path', '8.5', ({ echo }) => [method, [':authority', echo], [':path', '/']]],
      ['CONNECT with :scheme', '8.5', ({ echo }) => [method, [':authority', echo], [':scheme', 'https']]],
      ['CONNECT without :authority', '8.5', () => [method]],
      ['CONNECT with an empty :authority', '8.5', () => [method, [':authority', '']]],
      ['a request without :method', '8.3.1', ({ echo }) => [[':authority', echo]]],
    ] satisfies [string, string, (target: Target) => HeaderField[]][]
  ).map(([name, section, fields]) => malformed(name, `RFC 9113 ${section}`, fields)),
  malformed(
    'a header value with a line break',
    'RFC 9113 8.2.1',
    ({ echo }) => [method, [':authority', echo], ['baggage', 'a\r\nb: c']],
    leftOut,
  ),
  malformed(
    'a header name with a space',
    'RFC 9113 8.2.1',
    ({ echo }) => [method, [':authority', echo], ['bag gage', 'x']],
    leftOut,
  ),
  malformed('extended CONNECT, which the peer does not offer', 'RFC 8441 4', ({ echo }) => [
    method,
    [':protocol', 'websocket'],
    [':scheme', 'https'],
    [':path', '/'],
    [':authority', echo],
  ]),
  {
    name: 'headers that mean nothing to a tunnel are ignored',
    source: 'RFC 9113 8.2',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.session()
      const fields: HeaderField[] = [
        ['x-anything', 'at all'],
        ['forwarded', 'for="10.0.0.1:1234"'],
        ['baggage', 'k8s.namespace.name=shop,k8s.pod.name=a%20b'],
        ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
        ['cookie', 'a=b'],
        ['te', 'trailers'],
      ]
      wire.send(wire.connect(1, target.echo, ...fields))
      await accepted(wire, 1)
      await echoes(wire, 1)
    },
  },
  {
    name: 'a header list beyond the announced size is refused, not served',
    source: 'RFC 9113 6.5.2, 10.5.1',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.session()
      const announced = wire.settings.get(6)
      if (announced === undefined || announced > 1_000_000) return 'the peer takes header lists of any size'
      const value = 'v'.repeat(3_000)
      const first = Buffer.concat([
        wire.block([method, [':authority', target.echo], ['x-bomb', value]]),
        Buffer.alloc(Math.ceil(announced / 3_000) + 8, 0xbe),
      ])
      wire.send(frame(type.headers, flag.endHeaders, 1, first))
      return refusal(wire, { codes: [enhanceYourCalm, protocolError], stream: 1, orStatus: true })
    },
  },
  {
    name: 'trailers end a stream or are refused on it',
    source: 'RFC 9113 8.1, 8.5',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.tunnel()
      await echoes(wire, 1)
      wire.send(wire.headers(1, [['x-sum', '1']], flag.endHeaders | flag.endStream))
      await wire.until('the end of the stream', () => wire.ended(1) || wire.reset(1) !== undefined)
      await alive(wire)
      return wire.ended(1) ? undefined : 'the peer takes no trailers on a tunnel (RFC 9113 8.5)'
    },
  },
  {
    name: 'headers in the middle of a stream without an end',
    source: 'RFC 9113 8.1',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.tunnel()
      wire.send(wire.headers(1, [['x', 'y']]))
      return refusal(wire, { codes: [protocolError], stream: 1 })
    },
  },
]

export const headerCases: readonly PeerCase[] = [...compression, ...brokenCompression, ...continuation, ...lists]
