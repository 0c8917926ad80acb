import { zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { pack, unpack } from '../../../core/feed/packing.ts'

t.test('whatever is packed comes out as it was', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 5000 }), (text) => {
      t.equal(unpack(pack(Buffer.from(text)), 100_000), text)
    }),
    { numRuns: 50 },
  )
})

t.test('what is not packed, cut off, or too large inside is refused', async (t) => {
  const refused = { code: 'FEED_PROTOCOL' }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      // Four bytes are the magic number: chance does not find it.
      t.throws(() => unpack(Buffer.from([0, ...bytes]), 1000), refused)
    }),
    { numRuns: 50 },
  )
  const packed = pack(Buffer.from('x'.repeat(10_000)))
  t.throws(() => unpack(packed.subarray(0, packed.length - 3), 100_000), refused)
  t.throws(() => unpack(zstdCompressSync(Buffer.alloc(50_000_000)), 1_000_000), refused, 'a bomb')
})
