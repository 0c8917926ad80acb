// HPACK against the examples of RFC 7541 appendix C, against itself with any fields, and against garbage.
import fc from 'fast-check'
import t from 'tap'
import { HpackDecoder } from '../../../../core/hbone/h2/hpack-decoder.ts'
import { HpackEncoder } from '../../../../core/hbone/h2/hpack-encoder.ts'
import { DynamicTable, type HeaderField } from '../../../../core/hbone/h2/hpack-table.ts'
import { huffmanBytes, huffmanDecode, huffmanEncode } from '../../../../core/hbone/h2/huffman.ts'
import { errorCode, SessionError } from '../../../../core/hbone/h2/protocol.ts'

const limits = { maxListBytes: 65_536, maxFields: 128 }
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

function decodeAll(blocks: readonly string[], tableBytes = 4_096) {
  const decoder = new HpackDecoder({ ...limits, tableBytes })
  return blocks.map((block) => {
    const bytes = hex(block)
    const { fields } = decoder.decode(bytes, 0, bytes.length)
    return { fields, table: decoder.tableSize }
  })
}

const requests = [
  {
    fields: [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'www.example.com'],
    ],
    table: 57,
  },
  {
    fields: [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'www.example.com'],
      ['cache-control', 'no-cache'],
    ],
    table: 110,
  },
  {
    fields: [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', '/index.html'],
      [':authority', 'www.example.com'],
      ['custom-key', 'custom-value'],
    ],
    table: 164,
  },
]
const date = (seconds: number) => `Mon, 21 Oct 2013 20:13:${seconds} GMT`
const answer = (status: string, seconds: number) => [
  [':status', status],
  ['cache-control', 'private'],
  ['date', date(seconds)],
  ['location', 'https://www.example.com'],
]
const cookie = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'
const answers = [
  { fields: answer('302', 21), table: 222 },
  { fields: answer('307', 21), table: 222 },
  { fields: [...answer('200', 22), ['content-encoding', 'gzip'], ['set-cookie', cookie]], table: 215 },
]

t.test('the single fields of appendix C.2 decode', (t) => {
  const cases: readonly [string, HeaderField, number][] = [
    ['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', ['custom-key', 'custom-header'], 55],
    ['040c 2f73 616d 706c 652f 7061 7468', [':path', '/sample/path'], 0],
    ['1008 7061 7373 776f 7264 0673 6563 7265 74', ['password', 'secret'], 0],
    ['82', [':method', 'GET'], 0],
  ]
  for (const [block, field, table] of cases) t.same(decodeAll([block]), [{ fields: [field], table }])
  t.end()
})

t.test('the requests of appendix C.3 and C.4 decode', (t) => {
  const plain = [
    '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
    '8286 84be 5808 6e6f 2d63 6163 6865',
    '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
  ]
  const huffman = [
    '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
    '8286 84be 5886 a8eb 1064 9cbf',
    '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
  ]
  t.same(decodeAll(plain), requests)
  t.same(decodeAll(huffman), requests)
  t.end()
})

t.test('the answers of appendix C.5 and C.6 decode, with eviction', (t) => {
  const plain = [
    '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
    '4803 3330 37c1 c0bf',
    '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
  ]
  const huffman = [
    '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
    '4883 640e ffc1 c0bf',
    '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
  ]
  t.same(decodeAll(plain, 256), answers)
  t.same(decodeAll(huffman, 256), answers)
  t.end()
})

t.test('our encoder writes the Huffman form of appendix C.4', (t) => {
  const encoder = new HpackEncoder()
  const blocks = requests.map(({ fields }) => encoder.encode(fields as unknown as HeaderField[]).toString('hex'))
  t.same(blocks, [
    '828684418cf1e3c2e5f23a6ba0ab90f4ff',
    '828684be5886a8eb10649cbf',
    '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
  ])
  t.end()
})

const text = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 300 })
  .map((codes) => String.fromCharCode(...codes))
const name = fc.constantFrom(':method', ':status', ':authority', 'baggage', 'forwarded', 'traceparent', 'x-other', '')
const field = fc.tuple(name, text)
const lists = fc.array(
  fc.record({
    fields: fc.array(field, { maxLength: 12 }),
    limit: fc.option(fc.integer({ min: 0, max: 5_000 }), { nil: undefined }),
  }),
  { maxLength: 20 },
)

t.test('whatever is encoded decodes to the same, over a whole session and with changing table sizes', (t) => {
  fc.assert(
    fc.property(lists, (blocks) => {
      const encoder = new HpackEncoder(['forwarded', 'traceparent'])
      const decoder = new HpackDecoder(limits)
      for (const { fields, limit } of blocks) {
        if (limit !== undefined) encoder.limitTable(limit)
        const block = encoder.encode(fields)
        const decoded = decoder.decode(Buffer.from(block), 0, block.length)
        if (JSON.stringify(decoded.fields) !== JSON.stringify(fields)) return false
        if (encoder.tableSize !== decoder.tableSize) return false
      }
      return true
    }),
    { numRuns: 500 },
  )
  t.pass()
  t.end()
})

t.test('Huffman brings back every string, in the length that it foretold', (t) => {
  fc.assert(
    fc.property(text, (value) => {
      const target = Buffer.alloc(4 * value.length + 8)
      const end = huffmanEncode(value, target, 0)
      const decoded = Buffer.alloc(8 * value.length + 8)
      const bytes = huffmanDecode(target, 0, end, decoded)
      return end === huffmanBytes(value) && decoded.toString('latin1', 0, bytes) === value
    }),
    { numRuns: 1_000 },
  )
  t.pass()
  t.end()
})

t.test('bad Huffman strings are refused: padding of zeros, a whole byte of padding, EOS', (t) => {
  const target = Buffer.alloc(64)
  for (const bytes of ['00', '07ff', 'ffffffff', 'ff', '1e']) {
    t.throws(() => huffmanDecode(hex(bytes), 0, bytes.length / 2, target), { code: 9 }, bytes)
  }
  t.equal(huffmanDecode(hex('07'), 0, 1, target), 1, 'three ones are good padding')
  t.end()
})

t.test('random bytes decode or are refused, and never take more than the limits', (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 5 }), (blocks) => {
      const decoder = new HpackDecoder({ maxListBytes: 1_000, maxFields: 10 })
      for (const block of blocks) {
        try {
          const { fields } = decoder.decode(Buffer.from(block), 0, block.length)
          const bytes = fields.reduce((sum, [a, b]) => sum + a.length + b.length + 32, 0)
          if (bytes > 1_000 || fields.length > 10 || decoder.tableSize > 4_096) return false
        } catch (error: unknown) {
          return error instanceof SessionError && error.code === 9
        }
      }
      return true
    }),
    { numRuns: 3_000 },
  )
  t.pass()
  t.end()
})

t.test(
  'a header list beyond the limit is cut there, and the table stays in step; a bomb is not read to its end',
  (t) => {
    const decoder = new HpackDecoder({ maxListBytes: 16_384, maxFields: 128 })
    const encoder = new HpackEncoder()
    const big: HeaderField = ['x', 'v'.repeat(3_000)]
    const list = Buffer.concat([Buffer.from(encoder.encode([big])), Buffer.alloc(80, 0x80 | 62)])
    const before = process.memoryUsage().heapUsed
    const { fields, tooLarge } = decoder.decode(list, 0, list.length)
    t.ok(tooLarge)
    t.equal(fields.length, 5)
    t.ok(process.memoryUsage().heapUsed - before < 8_000_000)
    t.same(decoder.decode(Buffer.from(encoder.encode([big])), 0, 1).fields, [big])
    const bomb = Buffer.concat([list, Buffer.alloc(60_000, 0x80 | 62)])
    t.throws(() => decoder.decode(bomb, 0, bomb.length), { code: errorCode.enhanceYourCalm })
    t.end()
  },
)

t.test('the dynamic table evicts the oldest, refuses what is too large, and shrinks', (t) => {
  const table = new DynamicTable(100)
  t.ok(table.add(['a', '1']))
  t.ok(table.add(['b', '2']))
  t.ok(table.add(['c', '3']))
  t.same([table.at(0), table.at(1), table.at(2)], [['c', '3'], ['b', '2'], undefined])
  t.notOk(table.add(['d', 'x'.repeat(100)]))
  t.equal(table.length, 0, 'and it is empty then (RFC 7541 4.4)')
  table.add(['e', '5'])
  table.resize(0)
  t.equal(table.bytes, 0)
  t.end()
})
