import t from 'tap'
import { Readiness } from '../../../core/base/readiness.ts'

t.test('readiness is reached when every task has finished', async (t) => {
  const readiness = new Readiness()
  t.ok(readiness.ready, 'nothing to wait for')
  const feed = readiness.task('first state')
  const listeners = readiness.task('listeners')
  t.same(readiness.pending, ['first state', 'listeners'])
  const waiting = readiness.wait()
  feed()
  feed()
  t.notOk(readiness.ready, 'a task that finishes twice counts once')
  listeners()
  await waiting
  t.ok(readiness.ready)
})

t.test('two tasks of one name are two tasks', (t) => {
  const readiness = new Readiness()
  const first = readiness.task('worker')
  const second = readiness.task('worker')
  first()
  t.same(readiness.pending, ['worker'])
  second()
  t.ok(readiness.ready)
  t.end()
})

t.test('a wait that is cancelled names what is pending', async (t) => {
  const readiness = new Readiness()
  readiness.task('control plane')
  const controller = new AbortController()
  const waiting = readiness.wait(controller.signal)
  controller.abort()
  await t.rejects(waiting, { code: 'ABORTED', message: /control plane/ })
  await t.rejects(readiness.wait(controller.signal), { code: 'ABORTED', message: /control plane/ })
})
