import t from 'tap'
import { RushWatch } from '../../../daemon/rush.ts'

/** How often a rush was said to begin. */
function told(watch: RushWatch, times: readonly number[]): number {
  return times.filter((at) => watch.begins(at)).length
}

const sequence = (count: number, at: (index: number) => number) =>
  Array.from({ length: count }, (_, index) => at(index))

t.test('five hundred connections in a second are no rush, one more is, and it is told once', async (t) => {
  const watch = new RushWatch()
  t.equal(
    told(
      watch,
      sequence(500, (index) => 100 + index),
    ),
    0,
  )
  t.equal(watch.begins(1_099), true)
  t.equal(
    told(
      watch,
      sequence(1_000, () => 1_100),
    ),
    0,
  )
})

t.test('a second that is over counts no more', async (t) => {
  t.equal(
    told(
      new RushWatch(),
      sequence(2_000, (index) => index * 2.1),
    ),
    0,
  )
})
