import fc from 'fast-check'
import t from 'tap'
import { delayUntil, issueTimeout, renewalTime, retryDelay } from '../../../core/identity/schedule.ts'

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

t.test('renewal comes at half of what was left on arrival, ten percent more or less', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1_000, max: 90 * 86_400_000 }),
      fc.integer({ min: 0, max: 600_000 }),
      random,
      (leftMs, backdatedMs, value) => {
        const receivedAt = 1_800_000_000_000
        const validity = { notBefore: receivedAt - backdatedMs, notAfter: receivedAt + leftMs, receivedAt }
        const after = renewalTime(validity, () => value) - receivedAt
        return after >= leftMs * 0.449 && after <= leftMs * 0.551
      },
    ),
  )
  t.equal(renewalTime({ notBefore: 0, notAfter: 100, receivedAt: 500 }, Math.random), 100, 'arrived after its end')
  t.ok(delayUntil(0, 1_000) > 0, 'never a busy loop')
})

t.test('retries leave time for several within what is left, and grow to the longest otherwise', async (t) => {
  const now = 1_800_000_000_000
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: -1_000, max: 86_400_000 }),
      random,
      (attempt, left, value) => {
        const delay = retryDelay(attempt, now + left, now, () => value)
        const longest = left <= 0 ? 15_000 : Math.max(1_000, left / 5)
        return delay >= 0 && delay <= Math.min(150_000, longest)
      },
    ),
  )
  t.equal(
    retryDelay(30, now + 86_400_000, now, () => 1),
    150_000,
  )
  t.ok(retryDelay(30, now + 10_000, now, () => 1) <= 2_000, 'a certificate of 20 s at half-life')
  t.ok(retryDelay(0, undefined, now, () => 1) <= 1_000)
  t.equal(issueTimeout(undefined, now), 10_000)
  t.ok(issueTimeout(now + 10_000, now) < 5_000)
})
