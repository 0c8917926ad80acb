import fc from 'fast-check'
import t from 'tap'
import { Repeats } from '../../../core/base/repeats.ts'

t.test('the first passes, those in the interval are counted and told with the next one', async (t) => {
  let now = 0
  const repeats = new Repeats({ intervalMs: 100, clock: () => now })
  t.equal(repeats.admit('a'), 0)
  t.equal(repeats.admit('a'), undefined)
  t.equal(repeats.admit('b'), 0, 'another key is not held up')
  now = 99
  t.equal(repeats.admit('a'), undefined)
  now = 100
  t.equal(repeats.admit('a'), 2)
  t.equal(repeats.admit('a'), undefined)
})

t.test('beyond the keys that it tells apart all others share one, until old ones are forgotten', async (t) => {
  let now = 0
  const repeats = new Repeats({ intervalMs: 100, maxKeys: 2, clock: () => now })
  t.equal(repeats.admit('a'), 0)
  t.equal(repeats.admit('b'), 0)
  t.equal(repeats.admit('c'), 0, 'the first of the others')
  t.equal(repeats.admit('d'), undefined)
  t.equal(repeats.admit('e'), undefined)
  now = 100
  t.equal(repeats.admit('f'), 2)
  now = 1_000
  t.equal(repeats.admit('g'), 0)
  t.equal(repeats.admit('h'), 0, 'there is room again')
})

t.test('any storm passes at most one line per key and interval, and counts the rest', async () => {
  const event = fc.record({ key: fc.nat(20).map(String), wait: fc.nat(40) })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 300 }), (events) => {
      let now = 0
      const repeats = new Repeats({ intervalMs: 100, maxKeys: 5, clock: () => now })
      const passed = events.filter(({ key, wait }) => {
        now += wait
        return repeats.admit(key) !== undefined
      })
      return passed.length <= 6 * (Math.floor(now / 100) + 1)
    }),
  )
})
