// Which endpoints are avoided, for how long, and that the memory is bounded.
import t from 'tap'
import { Outliers } from '../../../daemon/outliers.ts'

function played() {
  const clock = { now: 0 }
  return { clock, outliers: new Outliers(() => clock.now, { baseMs: 10, maxMs: 50, most: 3 }) }
}

t.test('an endpoint is avoided for longer after each failure, up to a bound, and no more after a success', (t) => {
  const { clock, outliers } = played()
  t.same(outliers.avoided, [])
  for (const lasts of [10, 20, 40, 50, 50]) {
    outliers.failed('a')
    clock.now += lasts - 1
    t.same(outliers.avoided, ['a'], `within ${lasts}`)
    clock.now += 1
    t.same(outliers.avoided, [], `after ${lasts}`)
  }
  outliers.failed('a')
  outliers.succeeded('a')
  t.same(outliers.avoided, [])
  outliers.failed('a')
  clock.now += 10
  t.same(outliers.avoided, [], 'it starts from the beginning')
  t.end()
})

t.test('while one connection tries it again, others avoid it', (t) => {
  const { clock, outliers } = played()
  outliers.failed('a')
  clock.now = 10
  t.same(outliers.avoided, [])
  outliers.trying('a')
  outliers.trying('never failed')
  t.same(outliers.avoided, ['a'])
  clock.now = 20
  t.same(outliers.avoided, [], 'and not for ever, whatever became of that one')
  t.end()
})

t.test('the oldest is forgotten for a new one', (t) => {
  const { outliers } = played()
  for (const uid of ['a', 'b', 'c', 'a', 'd']) outliers.failed(uid)
  t.same(outliers.avoided, ['c', 'a', 'd'])
  t.end()
})
