// Retry budgets: of requests under way, and of those of the last seconds.
import fc from 'fast-check'
import t from 'tap'
import { ConcurrencyBudget, RateBudget, rateBudgetDefaults } from '../../../../waypoint/retry/budget.ts'

const takes = (budget: { take(): boolean }, times: number) =>
  Array.from({ length: times }, () => budget.take()).filter((taken) => taken).length

t.test('20 % of the requests under way, 3 in any case, free again when they end', (t) => {
  let requests = 0
  const budget = new ConcurrencyBudget({ percent: 20, minConcurrency: 3 }, () => requests)
  t.equal(takes(budget, 10), 3)
  requests = 104
  t.equal(takes(budget, 100), 17)
  budget.done()
  budget.done()
  t.equal(takes(budget, 100), 2)
  requests = 0
  t.notOk(budget.take())
  for (let count = 0; count < 50; count += 1) budget.done()
  t.equal(takes(budget, 10), 3, 'never more for more ends than retries')
  t.equal(takes(new ConcurrencyBudget({ percent: 0, minConcurrency: 0 }, () => 1e6), 5), 0)
  t.end()
})

t.test('20 % of the requests of 10 s, 10 a second in any case', (t) => {
  const time = { now: 0 }
  const budget = new RateBudget(rateBudgetDefaults, () => time.now)
  t.equal(takes(budget, 50), 10)
  time.now = 900
  t.equal(takes(budget, 50), 0)
  time.now = 1_200
  t.equal(takes(budget, 50), 10)
  for (let count = 0; count < 1_000; count += 1) budget.began()
  t.equal(takes(budget, 500), 180, '200 less the 20 before')
  time.now = 9_000
  t.equal(takes(budget, 500), 10)
  time.now = 1e9
  t.equal(takes(budget, 500), 10, 'all is forgotten after a long rest')
  t.end()
})

t.test('in no interval more than the share and the least together', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 30 })), { maxLength: 150 }),
      (steps) => {
        const time = { now: 0 }
        const budget = new RateBudget(rateBudgetDefaults, () => time.now)
        const log: { readonly at: number; readonly requests: number; readonly retries: number }[] = []
        for (const [ms, requests] of steps) {
          time.now += ms
          for (let count = 0; count < requests; count += 1) budget.began()
          log.push({ at: time.now, requests, retries: takes(budget, 40) })
        }
        return log.every(({ at }) => {
          // The window holds up to a tenth more than the interval, and so may the requests that the share is of.
          const inside = log.filter((each) => each.at > at - 10_000 && each.at <= at)
          const seen = log.filter((each) => each.at > at - 22_000 && each.at <= at)
          const sum = (part: typeof log, of: 'requests' | 'retries') => part.reduce((all, each) => all + each[of], 0)
          return sum(inside, 'retries') <= 0.2 * sum(seen, 'requests') + 11 * 10
        })
      },
    ),
  )
  t.end()
})
