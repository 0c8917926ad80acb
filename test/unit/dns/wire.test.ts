import { type Answer, decode, encode } from 'dns-packet'
import fc from 'fast-check'
import t from 'tap'
import { encodeAnswer, encodeBadVersion, encodeError } from '../../../daemon/dns/response.ts'
import {
  bareResponse,
  type DnsQuery,
  readQuery,
  readQuestion,
  sameQuestion,
  truncatedCopy,
  udpLimit,
} from '../../../daemon/dns/wire.ts'

function query(name: string, more: object = {}): Buffer {
  return encode({ type: 'query', id: 7, flags: 0x100, questions: [{ type: 'A', name }], ...more })
}

function opt(udpPayloadSize: number, ednsVersion = 0): Answer {
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize,
    extendedRcode: 0,
    ednsVersion,
    flags: 0,
    flag_do: false,
    options: [],
  }
}

function parsed(bytes: Buffer): DnsQuery {
  const read = readQuery(bytes)
  if (read.kind !== 'query') throw new Error(`not a query: ${read.kind}`)
  return read.query
}

t.test('a query is read as it was written', async (t) => {
  const { id, question, edns } = parsed(query('Orders.Shop', { additionals: [opt(1232)] }))
  t.equal(id, 7)
  t.match(question, { name: 'Orders.Shop', type: 1, class: 1 })
  t.match(edns, { udpBytes: 1232, version: 0, dnssecOk: false })
})

t.test('names are read like dns-packet writes them', async () => {
  const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/)
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 8 }), fc.nat(65535), (labels, id) => {
      const name = labels.join('.')
      const read = parsed(encode({ type: 'query', id, questions: [{ type: 'AAAA', name }] }))
      return read.question.name === name && read.id === id && read.question.type === 28
    }),
  )
})

t.test('bytes that are no letters are escaped, so that no other name is mistaken for a name of the mesh', async (t) => {
  const bytes = query('orders1shop')
  bytes[12 + 7] = 0x2e
  t.equal(parsed(bytes).question.name, 'orders\\046shop')
  bytes[12 + 7] = 0xe9
  t.equal(parsed(bytes).question.name, 'orders\\233shop')
})

const rejected: readonly [string, Buffer, object][] = [
  ['nothing', Buffer.alloc(0), { kind: 'drop' }],
  ['half a header', Buffer.alloc(11), { kind: 'drop' }],
  ['a response', encode({ type: 'response', id: 1, questions: [{ type: 'A', name: 'x' }] }), { kind: 'drop' }],
  [
    'another opcode',
    encode({ type: 'query', id: 1, flags: 5 << 11, questions: [] }),
    { kind: 'reject', rcode: 'NOTIMP' },
  ],
  ['no question', encode({ type: 'query', id: 1, questions: [] }), { kind: 'reject', rcode: 'FORMERR' }],
  [
    'two questions',
    encode({
      type: 'query',
      id: 1,
      questions: [
        { type: 'A', name: 'x' },
        { type: 'A', name: 'y' },
      ],
    }),
    { kind: 'reject', rcode: 'FORMERR' },
  ],
  ['a cut name', query('orders').subarray(0, 15), { kind: 'reject', rcode: 'FORMERR' }],
  ['a cut type', query('orders').subarray(0, -3), { kind: 'reject', rcode: 'FORMERR' }],
  ['a cut record', query('orders', { additionals: [opt(512)] }).subarray(0, -1), { kind: 'reject', rcode: 'FORMERR' }],
  ['two OPT records', query('x', { additionals: [opt(512), opt(512)] }), { kind: 'reject', rcode: 'FORMERR' }],
]
for (const [what, bytes, expected] of rejected) {
  t.test(`${what} is no query`, async (t) => t.match(readQuery(bytes), expected))
}

t.test(
  'a compression pointer in a question is refused, as are a label beyond 63 and a name beyond 255 bytes',
  async (t) => {
    const pointer = query('orders')
    pointer.writeUInt16BE(0xc00c, 12)
    t.match(readQuery(pointer), { kind: 'reject', rcode: 'FORMERR' })
    const wide = Buffer.concat([
      query('x').subarray(0, 12),
      Buffer.from([64]),
      Buffer.alloc(64, 0x61),
      Buffer.from([0, 0, 1, 0, 1]),
    ])
    t.match(readQuery(wide), { kind: 'reject', rcode: 'FORMERR' })
    const labels = Array.from({ length: 130 }, () => Buffer.from([1, 0x61]))
    const long = Buffer.concat([query('x').subarray(0, 12), ...labels, Buffer.from([0, 0, 1, 0, 1])])
    t.match(readQuery(long), { kind: 'reject', rcode: 'FORMERR' })
  },
)

t.test('random bytes never throw', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      readQuery(Buffer.from(bytes))
      readQuestion(Buffer.from(bytes))
    }),
    { numRuns: 2000 },
  )
})

t.test('damaged queries never throw', async () => {
  const whole = query('orders.shop.svc.cluster.local', { additionals: [opt(1232)] })
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, value, length) => {
      const bytes = Buffer.from(whole)
      bytes[at] = value
      readQuery(bytes.subarray(0, length))
    }),
    { numRuns: 2000 },
  )
})

t.test('the size of answers over UDP is 512 bytes, or what EDNS says, within bounds', async (t) => {
  t.equal(udpLimit(parsed(query('x'))), 512)
  t.equal(udpLimit(parsed(query('x', { additionals: [opt(1232)] }))), 1232)
  t.equal(udpLimit(parsed(query('x', { additionals: [opt(100)] }))), 512)
  t.equal(udpLimit(parsed(query('x', { additionals: [opt(65535)] }))), 4096)
})

const records = (count: number): Answer[] =>
  Array.from({ length: count }, (_, i) => ({ name: 'Peers', type: 'A', ttl: 30, data: `10.0.${i >> 8}.${i & 255}` }))
const deciding = (answers: readonly Answer[]) =>
  ({ kind: 'answer', rcode: 'NOERROR', answers, authorities: [], additionals: [] }) as const

t.test('an answer echoes the question as it came and says who it is from', async (t) => {
  const answer = decode(encodeAnswer(parsed(query('PeErS')), deciding(records(2)), 512))
  t.match(answer, {
    id: 7,
    type: 'response',
    flag_aa: true,
    flag_rd: true,
    flag_ra: true,
    flag_tc: false,
    rcode: 'NOERROR',
  })
  t.match(answer.questions, [{ name: 'PeErS', type: 'A' }])
  t.match(answer.answers, [{ data: '10.0.0.0', ttl: 30 }, { data: '10.0.0.1' }])
  t.same(answer.additionals, [], 'no EDNS for a client without it')
})

t.test('an answer has EDNS where the query has', async (t) => {
  const answer = decode(encodeAnswer(parsed(query('peers', { additionals: [opt(1232)] })), deciding(records(1)), 1232))
  t.match(answer.additionals, [{ type: 'OPT', udpPayloadSize: 4096 }])
  t.match(decode(encodeBadVersion(parsed(query('peers', { additionals: [opt(1232, 1)] })))), {
    additionals: [{ type: 'OPT', extendedRcode: 1, ednsVersion: 0 }],
  })
})

t.test('an answer that does not fit is cut to whole records and says so', async (t) => {
  for (const limit of [512, 1232, 4096]) {
    const bytes = encodeAnswer(parsed(query('peers')), deciding(records(300)), limit)
    t.ok(bytes.length <= limit && bytes.length > limit - 30, `${bytes.length} of ${limit}`)
    const answer = decode(bytes)
    t.ok('flag_tc' in answer && answer.flag_tc)
    t.ok((answer.answers?.length ?? 0) > 15)
  }
})

t.test('additional records are left out before anything is cut', async (t) => {
  const bytes = encodeAnswer(parsed(query('peers')), { ...deciding(records(5)), additionals: records(100) }, 512)
  const answer = decode(bytes)
  t.equal(answer.answers?.length, 5)
  t.equal(answer.additionals?.length, 0)
  t.notOk('flag_tc' in answer && answer.flag_tc)
})

t.test('errors carry the code, with and without the question', async (t) => {
  t.match(decode(encodeError(parsed(query('x')), 'SERVFAIL')), { id: 7, rcode: 'SERVFAIL', questions: [{ name: 'x' }] })
  t.match(decode(bareResponse(9, 0x100, 'FORMERR')), { id: 9, rcode: 'FORMERR', flag_rd: true, questions: [] })
})

t.test('a truncated copy keeps the head of the answer', async (t) => {
  const asked = parsed(query('peers'))
  const whole = encode({
    type: 'response',
    id: 7,
    flags: 0x180,
    questions: [{ type: 'A', name: 'peers' }],
    answers: records(90),
  })
  const copy = decode(truncatedCopy(whole, asked.question))
  t.match(copy, { id: 7, flag_tc: true, flag_ra: true, questions: [{ name: 'peers' }], answers: [] })
})

t.test('a question is the same whatever the case of its letters', async (t) => {
  const asked = readQuestion(query('Peers'))!
  t.ok(sameQuestion(asked, readQuestion(query('pEERS'))))
  t.notOk(sameQuestion(asked, readQuestion(query('peer'))))
  t.notOk(sameQuestion(asked, undefined))
})
