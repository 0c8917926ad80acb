import t from 'tap'
import { Drain } from '../../../core/base/drain.ts'

t.test('a drain without guards ends at once', async (t) => {
  const drain = new Drain()
  t.notOk(drain.signal.aborted)
  t.equal(await drain.start(60_000), 'drained')
  t.ok(drain.signal.aborted)
})

t.test('a drain waits for the last guard', async (t) => {
  const drain = new Drain()
  const first = drain.guard()
  const second = drain.guard()
  const result = drain.start(60_000)
  t.ok(drain.signal.aborted, 'the signal aborts before start returns')
  first[Symbol.dispose]()
  t.equal(drain.active, 1)
  second[Symbol.dispose]()
  t.equal(await result, 'drained')
})

t.test('a guard counts once, however often it is disposed', (t) => {
  const drain = new Drain()
  const kept = drain.guard()
  const twice = drain.guard()
  twice[Symbol.dispose]()
  twice[Symbol.dispose]()
  t.equal(drain.active, 1)
  kept[Symbol.dispose]()
  t.equal(drain.active, 0)
  t.end()
})

t.test('a drain ends at its deadline when a guard stays', async (t) => {
  const drain = new Drain()
  drain.guard()
  t.equal(await drain.start(1), 'deadline')
  t.equal(drain.active, 1)
})

t.test('a second start joins the first', async (t) => {
  const drain = new Drain()
  const guard = drain.guard()
  const first = drain.start(60_000)
  t.equal(drain.start(1), first)
  guard[Symbol.dispose]()
  t.equal(await first, 'drained')
})

t.test('a guard taken by a listener of the signal is waited for', async (t) => {
  const drain = new Drain()
  let late: Disposable | undefined
  drain.signal.addEventListener('abort', () => {
    late = drain.guard()
  })
  let ended = false
  const result = drain.start(60_000).then(() => {
    ended = true
  })
  await new Promise(setImmediate)
  t.notOk(ended)
  late?.[Symbol.dispose]()
  await result
  t.ok(ended)
})

t.test('a drain without deadline waits for the last guard', async (t) => {
  const drain = new Drain()
  const guard = drain.guard()
  const result = drain.start(Number.POSITIVE_INFINITY)
  const first = await Promise.race([result, new Promise((resolve) => setTimeout(resolve, 20, 'nothing'))])
  t.equal(first, 'nothing')
  guard[Symbol.dispose]()
  t.equal(await result, 'drained')
})
