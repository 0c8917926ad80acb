import * as fc from 'fast-check'
import t from 'tap'
import { choose, sumsOf } from '../../../../core/decide/http/choose.ts'

t.test('each gets its share of the draws, weight 0 nothing', (t) => {
  const sums = sumsOf([70, 30, 0])
  const counts = [0, 0, 0]
  for (let draw = 0; draw < 1000; draw++) counts[choose(sums, draw / 1000)]! += 1
  t.same(counts, [700, 300, 0])
  t.equal(choose(sumsOf([0, 1, 0]), 0), 1)
  t.equal(choose(sumsOf([0, 1, 0]), 0.999999), 1)
  t.end()
})

t.test('a single destination gets everything; where nothing has a weight nobody does', (t) => {
  t.equal(choose(sumsOf([3]), 0.5), 0)
  t.equal(choose(sumsOf([0]), 0.5), -1)
  t.equal(choose(sumsOf([0, 0]), 0.5), -1)
  t.equal(choose([], 0.5), -1)
  t.end()
})

t.test('whoever is chosen has a weight', (t) => {
  const weights = fc.array(fc.integer({ min: 0, max: 1_000_000 }), { maxLength: 8 })
  fc.assert(
    fc.property(weights, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (weights, random) => {
      const index = choose(sumsOf(weights), random)
      return index < 0 ? weights.every((weight) => weight === 0) : weights[index]! > 0
    }),
  )
  t.end()
})
