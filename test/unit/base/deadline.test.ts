import fc from 'fast-check'
import t from 'tap'
import { abortable, backoff, deadline, sleep } from '../../../core/base/deadline.ts'
import { MeshError } from '../../../core/base/errors.ts'

const code = (wanted: string) => (error: unknown) => error instanceof MeshError && error.code === wanted

t.test('a deadline aborts by itself after its time', async (t) => {
  const signal = deadline(1)
  t.notOk(signal.aborted)
  await new Promise((resolve) => {
    const keepAlive = setTimeout(() => {}, 5000)
    signal.addEventListener('abort', () => {
      clearTimeout(keepAlive)
      resolve(undefined)
    })
  })
  t.equal((signal.reason as DOMException).name, 'TimeoutError')
})

t.test('a deadline aborts with the signal that it was given', (t) => {
  const outer = new AbortController()
  const signal = deadline(60_000, outer.signal)
  outer.abort(new Error('stop'))
  t.ok(signal.aborted)
  t.equal((signal.reason as Error).message, 'stop')
  t.end()
})

t.test('a deadline far beyond the range of timers does not fire at once', async (t) => {
  const signal = deadline(2 ** 40)
  await sleep(5)
  t.notOk(signal.aborted)
})

t.test('an abortable promise settles as the promise does', async (t) => {
  const { signal } = new AbortController()
  const never = () => new MeshError('ABORTED', 'must not be built')
  t.equal(await abortable(Promise.resolve(7), signal, never), 7)
  await t.rejects(abortable(Promise.reject(new Error('its own')), signal, never), { message: 'its own' })
})

t.test('an abortable promise rejects as soon as the signal aborts, and a later rejection stays handled', async (t) => {
  const controller = new AbortController()
  const { promise, reject } = Promise.withResolvers<number>()
  const waiting = abortable(promise, controller.signal, () => new MeshError('TUNNEL_TIMEOUT', 'too slow'))
  controller.abort()
  await t.rejects(waiting, { code: 'TUNNEL_TIMEOUT' })
  reject(new Error('late'))
  await sleep(1)
})

t.test('an abortable promise under an aborted signal rejects, and its own rejection stays handled', async (t) => {
  const failing = Promise.reject(new Error('nobody looks'))
  await t.rejects(
    abortable(failing, AbortSignal.abort(), () => new MeshError('ABORTED', 'gone')),
    { code: 'ABORTED' },
  )
})

t.test('an abortable promise leaves no listener behind', async (t) => {
  const { signal } = new AbortController()
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1
    remove(...args)
  }
  await abortable(Promise.resolve(1), signal, () => new MeshError('ABORTED', ''))
  await sleep(1, signal)
  t.equal(listeners, 0)
})

t.test('backoff grows, stays within its limits, and is never below half of its step', (t) => {
  const limits = { baseMs: 100, maxMs: 5000 }
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5000 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
      const wait = backoff(attempt, limits, () => random)
      const step = Math.min(5000, 100 * 2 ** Math.min(attempt, 52))
      return wait >= step / 2 && wait <= step
    }),
  )
  t.same(
    [0, 1, 2, 10].map((attempt) => backoff(attempt, limits, () => 1)),
    [100, 200, 400, 5000],
  )
  t.end()
})

t.test('sleep rejects when its signal aborts, before or during', async (t) => {
  const controller = new AbortController()
  const waiting = sleep(60_000, controller.signal)
  controller.abort()
  await waiting.then(
    () => t.fail('must reject'),
    (error: unknown) => t.ok(code('ABORTED')(error)),
  )
  await t.rejects(sleep(1, controller.signal), { code: 'ABORTED' })
})
