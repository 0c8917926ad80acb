// Backoff and deadlines, by number.
import fc from 'fast-check'
import t from 'tap'
import { backoffMs } from '../../../../waypoint/retry/backoff.ts'
import { Deadlines } from '../../../../waypoint/retry/deadlines.ts'

const never = Number.POSITIVE_INFINITY

t.test('full jitter in [0, (2^N - 1) × base), below ten times the base', (t) => {
  const most = (options: { readonly baseMs?: number }) =>
    [1, 2, 3, 4, 5, 60].map((retry) => backoffMs(retry, options, () => 1))
  t.same(most({}), [25, 75, 175, 250, 250, 250], 'Envoy: 0–24, 0–74, 0–174, then 0–249 ms')
  t.same(most({ baseMs: 100 }), [100, 300, 700, 1_000, 1_000, 1_000])
  t.equal(
    backoffMs(3, {}, () => 0),
    0,
  )
  t.equal(
    backoffMs(3, {}, () => 0.5),
    87.5,
  )
  t.end()
})

t.test('Gateway API: never earlier than the backoff, and jitter still', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 60_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (retry, baseMs, draw) => {
        const ms = backoffMs(retry, { baseMs, atLeastBase: true }, () => draw)
        return ms >= baseMs && ms <= 3.5 * baseMs
      },
    ),
  )
  t.ok(backoffMs(1, { baseMs: 100, atLeastBase: true }, () => 0.5) > 100)
  t.end()
})

t.test('no deadline is none, 0 too', (t) => {
  for (const options of [{}, { totalMs: 0, perTryMs: 0 }]) {
    const deadlines = new Deadlines(options, 5)
    deadlines.tryBegins(10)
    t.same([deadlines.nextMs, deadlines.passed(1e15), deadlines.leftMs(7)], [never, undefined, never])
    t.ok(deadlines.allows(1e15, 5))
  }
  t.end()
})

t.test('the total covers all tries and waits, each try begins anew', (t) => {
  const deadlines = new Deadlines({ totalMs: 1_000, perTryMs: 300 }, 100)
  t.equal(deadlines.nextMs, 1_100)
  deadlines.tryBegins(100)
  t.same([deadlines.nextMs, deadlines.passed(399), deadlines.passed(400)], [400, undefined, 'try'])
  deadlines.tryEnds()
  t.equal(deadlines.passed(500), undefined, 'between tries')
  deadlines.tryBegins(900)
  t.same([deadlines.nextMs, deadlines.leftMs(900), deadlines.leftMs(2_000)], [1_100, 200, 0])
  t.equal(deadlines.passed(1_200), 'total', 'the total is named where both have passed')
  t.same([deadlines.allows(199, 900), deadlines.allows(200, 900)], [true, false])
  t.end()
})
