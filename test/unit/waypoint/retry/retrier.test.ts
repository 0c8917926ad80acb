// One request and its tries: when it is tried again, when not and why, and that every place is given back.
import t from 'tap'
import { ConcurrencyBudget } from '../../../../waypoint/retry/budget.ts'
import { type DeadlineOptions, Deadlines } from '../../../../waypoint/retry/deadlines.ts'
import { parseRetryOn, type TryOutcome } from '../../../../waypoint/retry/policy.ts'
import { ReplayBuffer, replayLimits } from '../../../../waypoint/retry/replay-buffer.ts'
import { Retrier, type RetrierDeps, type RetryOptions } from '../../../../waypoint/retry/retrier.ts'

const failed: TryOutcome = { kind: 'response', status: 503 }

function scene(options: Partial<RetryOptions> = {}, more: Partial<RetrierDeps> = {}, times: DeadlineOptions = {}) {
  const time = { now: 0 }
  const body = new ReplayBuffer()
  const deps = { clock: () => time.now, random: () => 0.5, ...more }
  const deadlines = new Deadlines(times, 0)
  const conditions = parseRetryOn('503,reset')
  const request = { method: 'GET', grpc: false }
  const retrier = new Retrier({ retries: 2, conditions, ...options }, request, body, deadlines, deps)
  return { time, body, retrier }
}

t.test('so many retries with growing waits, then the last outcome goes to the client', (t) => {
  const { retrier } = scene()
  t.same(retrier.after(failed), { retry: true, delayMs: 12.5 })
  t.same(retrier.after({ kind: 'reset', requestStarted: true }), { retry: true, delayMs: 37.5 })
  t.same(retrier.after(failed), { retry: false, because: 'attempts-exhausted' })
  t.equal(retrier.retries, 2)
  t.end()
})

t.test('0 retries are none, and hold no body', (t) => {
  const { retrier, body } = scene({ retries: 0 })
  t.same(retrier.after(failed), { retry: false, because: 'attempts-exhausted' })
  t.equal(body.state, 'abandoned')
  t.end()
})

t.test('what the policy does not name, and overflow, go to the client', (t) => {
  for (const outcome of [{ kind: 'response', status: 500 }, { kind: 'overflow' }] as const) {
    t.same(scene().retrier.after(outcome), { retry: false, because: 'not-retriable' })
  }
  t.end()
})

t.test('nothing is tried again once a byte of an answer was sent', (t) => {
  const { retrier, body } = scene()
  body.add(Buffer.from('body'))
  retrier.responseStarts()
  t.same(retrier.after({ kind: 'reset', requestStarted: true }), { retry: false, because: 'response-started' })
  t.same(body.chunks, [])
  t.end()
})

t.test('a body beyond the limit cannot be replayed', (t) => {
  const { retrier, body } = scene()
  body.add(Buffer.alloc(replayLimits.bytes + 1))
  t.same(retrier.after(failed), { retry: false, because: 'body-too-large' })
  t.end()
})

t.test('the deadline of the request ends it, also when the wait would pass it', (t) => {
  const soon = scene({}, {}, { totalMs: 12 })
  t.same(soon.retrier.after(failed), { retry: false, because: 'deadline' })
  const passed = scene({}, { random: () => 0 }, { totalMs: 100 })
  passed.time.now = 100
  t.same(passed.retrier.after({ kind: 'try-timeout' }), { retry: false, because: 'deadline' })
  t.end()
})

t.test('without budget or place no retry, and every place is given back once', (t) => {
  const budget = new ConcurrencyBudget({ percent: 0, minConcurrency: 1 }, () => 0)
  let places = 1
  const admit = () => {
    if (places === 0) return undefined
    places -= 1
    return () => {
      places += 1
    }
  }
  const first = scene({}, { budget, admit })
  t.ok(first.retrier.after(failed).retry)
  t.equal(places, 0)
  t.same(scene({}, { budget, admit }).retrier.after(failed), { retry: false, because: 'budget-exhausted' })
  t.same(scene({}, { budget }).retrier.after(failed), { retry: false, because: 'budget-exhausted' })
  t.ok(first.retrier.after(failed).retry, 'its own place is free for its next retry')
  first.retrier.close()
  first.retrier.close()
  t.equal(places, 1)
  places = 5
  const other = scene({}, { budget, admit })
  t.ok(other.retrier.after(failed).retry)
  t.same(scene({}, { budget, admit }).retrier.after(failed), { retry: false, because: 'budget-exhausted' })
  t.equal(places, 4, 'a place that the budget did not allow is given back')
  t.end()
})

t.test('the replay buffer keeps chunks as they are, up to bytes and chunks', (t) => {
  const buffer = new ReplayBuffer({ bytes: 5, chunks: 3 })
  const chunk = Buffer.from('abc')
  t.ok(buffer.add(chunk))
  t.equal(buffer.chunks[0], chunk, 'by reference')
  t.ok(buffer.add(Buffer.alloc(0)))
  t.ok(buffer.add(Buffer.from('de')))
  t.same([buffer.bytes, buffer.chunks.length, buffer.state], [5, 2, 'open'])
  buffer.complete()
  t.same([buffer.state, Buffer.concat(buffer.chunks).toString()], ['complete', 'abcde'])
  t.ok(buffer.add(Buffer.from('late')), 'after the end nothing is added')
  t.equal(buffer.bytes, 5)
  const large = new ReplayBuffer({ bytes: 5, chunks: 3 })
  large.add(chunk)
  t.notOk(large.add(chunk))
  t.same([large.state, large.bytes, large.chunks], ['abandoned', 0, []])
  t.notOk(large.add(Buffer.from('x')), 'for good')
  large.complete()
  t.equal(large.state, 'abandoned')
  const many = new ReplayBuffer({ bytes: 5, chunks: 1 })
  t.same([many.add(Buffer.from('a')), many.add(Buffer.from('b'))], [true, false])
  t.end()
})
