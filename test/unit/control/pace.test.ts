import fc from 'fast-check'
import t from 'tap'
import { Pace } from '../../../control/publish/pace.ts'

const options = { settleMs: 3, firstPauseMs: 20, longestPauseMs: 100 }

/** When changes at these times go out. */
function sendings(changes: readonly number[]): readonly number[] {
  const pace = new Pace(options)
  const sent: number[] = []
  for (const at of changes) {
    if (at <= (sent.at(-1) ?? -1)) continue
    const due = at + pace.delay(at)
    sent.push(due)
    pace.sent(due)
  }
  return sent
}

t.test('after a quiet time a change goes out at once, in a stream of them less and less often', async (t) => {
  t.strictSame(sendings([0, 1000, 2000]), [3, 1003, 2003])
  const stream = sendings(Array.from({ length: 1000 }, (_, index) => index))
  t.strictSame(stream.slice(0, 5), [3, 23, 63, 143, 243])
  t.equal(sendings([...Array.from({ length: 1000 }, (_, index) => index), 5000]).at(-1), 5003, 'and at once again')
})

t.test('no change waits longer than the longest pause', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 100 }), (gaps) => {
      let now = 0
      const changes = gaps.map((gap) => (now += gap))
      const sent = sendings(changes)
      for (const at of changes) {
        const out = sent.find((time) => time >= at)
        t.ok(out !== undefined && out - at <= options.longestPauseMs, `${at} goes out at ${out}`)
      }
    }),
    { numRuns: 50 },
  )
})
