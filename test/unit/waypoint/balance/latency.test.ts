// Linkerd's peak EWMA, number by number.
import t from 'tap'
import { PeakEwma } from '../../../../waypoint/balance/latency.ts'

const near = (a: number, b: number) => Math.abs(a - b) < 1e-9

t.test('before any answer it is 30 ms, and falls towards 0 with a time constant of 10 s', (t) => {
  t.equal(new PeakEwma(5).estimate(5), 30)
  t.ok(near(new PeakEwma(0).estimate(10_000), 30 / Math.E))
  const asked = new PeakEwma(0)
  for (let now = 1; now <= 10_000; now += 1) asked.estimate(now)
  t.ok(near(asked.estimate(10_000), 30 / Math.E), 'however often it is asked')
  t.end()
})

t.test('a worse sample counts at once, a better one by the time that passed', (t) => {
  const ewma = new PeakEwma(0)
  ewma.observe(500, 0)
  t.equal(ewma.estimate(0), 500)
  ewma.observe(100, 0)
  t.equal(ewma.estimate(0), 500, 'in no time a better one counts nothing')
  ewma.observe(100, 10_000)
  t.ok(near(ewma.estimate(10_000), 500 / Math.E + 100 * (1 - 1 / Math.E)))
  t.end()
})

t.test('a clock that steps back does no harm', (t) => {
  const ewma = new PeakEwma(1_000, { decayMs: 100, defaultMs: 10 })
  t.equal(ewma.estimate(0), 10)
  t.ok(near(ewma.estimate(1_100), 10 / Math.E))
  t.end()
})
