// Windows, budgets, held bytes, read buffers.
import fc from 'fast-check'
import t from 'tap'
import { ClosedStreams } from '../../../../core/hbone/h2/closed-streams.ts'
import { Budget, ReceiveWindow } from '../../../../core/hbone/h2/flow.ts'
import { HeldBytes } from '../../../../core/hbone/h2/held-bytes.ts'

t.test('a window is given back in halves, and never more than was taken', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 4_000 }), { maxLength: 200 }), (sizes) => {
      const window = new ReceiveWindow(10_000)
      let peer = 10_000
      for (const size of sizes) {
        if (size > peer) continue
        peer -= size
        if (!window.receive(size)) return false
        window.consume(size)
        const grant = window.grant(10_000)
        if (grant !== 0 && grant < 5_000) return false
        peer += grant
        if (peer !== window.open || peer > 10_000) return false
      }
      return peer >= 5_000
    }),
  )
  const window = new ReceiveWindow(100)
  t.ok(window.receive(100))
  t.notOk(window.receive(1), 'one byte more than the window')
  window.consume(100)
  t.equal(window.grant(100, 60), 0, 'what is withheld is not granted')
  t.equal(window.grant(100, 40), 60)
  t.end()
})

t.test('a budget allows the burst, then the rate, and work earns more', (t) => {
  let now = 0
  const budget = new Budget(3, 10, () => now)
  t.same(
    [1, 2, 3, 4].map(() => budget.spend()),
    [true, true, true, false],
  )
  now = 200
  t.same(
    [1, 2, 3].map(() => budget.spend()),
    [true, true, false],
  )
  budget.earn(1)
  t.same(
    [1, 2].map(() => budget.spend()),
    [true, false],
  )
  now = 1e9
  t.same(
    [1, 2, 3, 4].map(() => budget.spend()),
    [true, true, true, false],
    'never more than the burst',
  )
  t.end()
})

t.test('held bytes come out in order, and keep no more memory than their share', (t) => {
  const slab = Buffer.alloc(65_536, 1)
  const piece = fc.tuple(fc.integer({ min: 1, max: 20_000 }), fc.boolean())
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 10 }), (pieces, every) => {
      const held = new HeldBytes()
      const expected: Buffer[] = []
      const got: Buffer[] = []
      for (const [at, [length, own]] of pieces.entries()) {
        const chunk = own ? Buffer.alloc(length, at) : slab.subarray(0, length)
        held.add(chunk)
        expected.push(Buffer.from(chunk))
        if (at % every === every - 1) got.push(held.take())
        if (held.memory > 4 * held.bytes + 3 * 65_536) return false
      }
      while (held.bytes > 0) got.push(held.take())
      return Buffer.concat(got).equals(Buffer.concat(expected))
    }),
    { numRuns: 500 },
  )
  const held = new HeldBytes()
  for (let count = 0; count < 100_000; count += 1) held.add(slab.subarray(count % 1_000, (count % 1_000) + 1))
  t.ok(held.memory < 150_000, `${held.memory} bytes for 100,000 single ones`)
  t.end()
})

t.test('frames of a stream that was reset are admitted up to what the peer was allowed', (t) => {
  const closed = new ClosedStreams()
  closed.add(5, 100)
  t.ok(closed.admits(5, 60))
  t.ok(closed.admits(5, 40))
  t.notOk(closed.admits(5, 1))
  t.notOk(closed.admits(7, 0), 'a stream that ended in order')
  closed.delete(5)
  t.notOk(closed.admits(5, 0))
  for (let id = 11; id < 11 + 2 * 5_000; id += 2) closed.add(id, 10)
  t.ok(closed.admits(11, 5), 'what is forgotten is not held against the peer')
  t.end()
})
