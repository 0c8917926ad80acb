import t from 'tap'
import { QuietWatch } from '../../../core/base/quiet.ts'

t.test('a thread that did something and is quiet now is worth a collection, once', (t) => {
  const watch = new QuietWatch()
  t.notOk(watch.worthIt(0.9, 2000), 'still at work')
  t.ok(watch.worthIt(0.001, 2000))
  watch.collected(5)
  t.notOk(watch.worthIt(0.001, 2000), 'nothing happened since')
  t.end()
})

t.test('a thread that never did anything is left alone', (t) => {
  const watch = new QuietWatch()
  for (let look = 0; look < 5; look++) t.notOk(watch.worthIt(0.001, 2000))
  t.end()
})

t.test('an expensive collection waits for more work than a cheap one', (t) => {
  const watch = new QuietWatch()
  watch.worthIt(1, 2000)
  watch.collected(40)
  t.notOk(watch.worthIt(0.1, 1500) || watch.worthIt(0.001, 1000), '151 ms of work')
  t.ok(watch.worthIt(0.002, 30_000), '211 ms')
  watch.collected(400)
  t.notOk(watch.worthIt(0.1, 2000) || watch.worthIt(0.001, 1000), '201 ms')
  t.ok(watch.worthIt(0.002, 30_000), 'a quarter of a second is enough for any')
  t.end()
})

t.test('a thread that has worked for six seconds in all is collected only after a minute without work', (t) => {
  const watch = new QuietWatch()
  for (let look = 0; look < 6; look++) t.notOk(watch.worthIt(1, 1000))
  for (let look = 0; look < 59; look++) t.notOk(watch.worthIt(0.001, 1000))
  t.notOk(watch.worthIt(0.1, 1000), 'the pause begins anew')
  for (let look = 0; look < 59; look++) t.notOk(watch.worthIt(0.001, 1000))
  t.ok(watch.worthIt(0.001, 1000))
  watch.collected(5)
  t.notOk(watch.worthIt(0.001, 1000), 'nothing happened since')
  t.end()
})
