import t from 'tap'
import { abortSignalOf, Cancellation } from '../../../core/base/cancel.ts'

t.test('listeners are called once, in their order, with the reason to be read', async (t) => {
  const cancel = new Cancellation()
  const seen: unknown[] = []
  const first = (): void => void seen.push(cancel.reason)
  cancel.addEventListener('abort', first)
  cancel.addEventListener('abort', first)
  cancel.addEventListener('abort', () => seen.push('second'))
  t.equal(cancel.aborted, false)
  cancel.abort('late')
  cancel.abort('later')
  t.equal(cancel.aborted, true)
  t.same(seen, ['late', 'second'])
})

t.test('who left, also while others are called, or came too late is not called', async (t) => {
  const cancel = new Cancellation()
  const seen: string[] = []
  const gone = (): void => void seen.push('gone')
  const other = (): void => void seen.push('other')
  cancel.addEventListener('abort', () => cancel.removeEventListener('abort', other))
  cancel.addEventListener('abort', gone)
  cancel.addEventListener('abort', other)
  cancel.removeEventListener('abort', gone)
  cancel.abort()
  cancel.addEventListener('abort', gone)
  t.same(seen, [])
})

t.test('as an AbortSignal it aborts with its reason, before and after', async (t) => {
  const cancel = new Cancellation()
  const signal = abortSignalOf(cancel)
  t.equal(signal.aborted, false)
  cancel.abort('over')
  t.equal(signal.reason, 'over')
  t.equal(abortSignalOf(cancel).reason, 'over')
  const real = AbortSignal.abort('real')
  t.equal(abortSignalOf(real), real)
})
