// The client's body between one source and several tries: every try reads exactly the same bytes, whatever is paused, cancelled or
// given up in between, and no buffer is used again while somebody still needs it.
import fc from 'fast-check'
import t from 'tap'
import { attachSlab, detachSlab, poisonReleased, release, waitingSlabs } from '../../../../core/net/read-buffers.ts'
import { BodyChannel } from '../../../../waypoint/http/body.ts'
import { Failure } from '../../../../waypoint/http/failure.ts'
import { Headers } from '../../../../waypoint/http/message.ts'
import { ClientBody, replayBudget } from '../../../../waypoint/layers/client-body.ts'
import { replayLimits } from '../../../../waypoint/retry/replay-buffer.ts'

function reading(body: ReturnType<ClientBody['forTry']>) {
  const seen = { text: '', ended: 0, failed: 0, trailers: undefined as Headers | undefined }
  body.read({
    onData: (chunk) => {
      seen.text += chunk.toString()
    },
    onEnd: (trailers) => {
      seen.ended += 1
      seen.trailers = trailers
    },
    onError: () => {
      seen.failed += 1
    },
  })
  return seen
}

const step = fc.oneof(
  fc.record({ do: fc.constant('push' as const), text: fc.string({ maxLength: 20 }) }),
  fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const, 'retry' as const) }),
)

t.test('whatever happens in between, each try has read the body so far, and the last one all of it', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const state = { stopped: false }
      const source = new BodyChannel({ onPause: () => (state.stopped = true), onResume: () => (state.stopped = false) })
      const body = new ClientBody(source)
      body.keep()
      let attempt = body.forTry()
      let seen = reading(attempt)
      let sent = ''
      let paused = false
      for (const each of steps) {
        if (each.do === 'push') {
          sent += each.text
          source.push(Buffer.from(each.text))
        } else if (each.do === 'pause') {
          attempt.pause()
          paused = true
        } else if (each.do === 'resume') {
          attempt.resume()
          paused = false
        } else {
          attempt.cancel()
          attempt = body.forTry()
          seen = reading(attempt)
          paused = false
        }
        if (!sent.startsWith(seen.text)) return false
        if (!paused && seen.text !== sent) return false
      }
      source.end()
      attempt.resume()
      return seen.text === sent && seen.ended === 1 && body.bytes === Buffer.byteLength(sent)
    }),
  )
  t.end()
})

t.test('nothing is read before the first try reads', (t) => {
  let resumed = false
  const source = new BodyChannel({ onResume: () => (resumed = true) })
  const body = new ClientBody(source)
  body.keep()
  source.push(Buffer.from('waits'))
  body.forTry().cancel()
  t.equal(body.bytes, 0)
  t.notOk(resumed)
  t.equal(reading(body.forTry()).text, 'waits')
  t.end()
})

t.test('beyond the limit nothing is kept, and the try under way goes on', (t) => {
  const source = new BodyChannel({})
  const body = new ClientBody(source)
  const replay = body.keep()
  const seen = reading(body.forTry())
  source.push(Buffer.alloc(replayLimits.bytes, 'x'))
  t.equal(replay.state, 'open')
  source.push(Buffer.from('y'))
  t.same([replay.state, replay.chunks.length, seen.text.length], ['abandoned', 0, replayLimits.bytes + 1])
  t.end()
})

t.test('trailers and failures come through once, to a later try too', (t) => {
  const source = new BodyChannel({})
  const body = new ClientBody(source)
  body.keep()
  const first = body.forTry()
  reading(first)
  source.push(Buffer.from('all'))
  source.end(new Headers(['x-sum', '1']))
  first.cancel()
  const again = reading(body.forTry())
  t.same([again.text, again.ended, again.trailers?.get('x-sum')], ['all', 1, '1'])
  const broken = new BodyChannel({})
  const failing = reading(new ClientBody(broken).forTry())
  broken.fail(new Failure('client', 'gone'))
  t.same([failing.failed, failing.ended], [1, 0])
  t.end()
})

t.test('the source stops when nobody wants the rest: not between tries, but after the last', (t) => {
  let cancelled = 0
  const make = () => new ClientBody(new BodyChannel({ onCancel: () => (cancelled += 1) }))
  const between = make()
  between.keep()
  const attempt = between.forTry()
  reading(attempt)
  attempt.cancel()
  t.equal(cancelled, 0)
  between.lastTry()
  t.equal(cancelled, 1)
  const late = make()
  const last = late.forTry()
  reading(last)
  late.lastTry()
  t.equal(cancelled, 1)
  last.cancel()
  t.equal(cancelled, 2)
  const unread = make()
  unread.forTry()
  unread.unwanted()
  unread.settle()
  t.equal(cancelled, 3)
  t.end()
})

t.test('a buffer of the pool stays whole as long as a try may come, and goes back afterwards', (t) => {
  poisonReleased(0x21)
  t.teardown(() => poisonReleased(undefined))
  const slab = attachSlab()!
  const chunk = slab.buffer.subarray(0, 4_096).fill('x')
  const text = chunk.toString()
  // as a reader does that hands a slice out and reads no more into it
  slab.retain()
  detachSlab(slab)
  const before = waitingSlabs()
  const source = new BodyChannel({})
  const body = new ClientBody(source)
  body.keep()
  const listened: Buffer[] = []
  body.listen({ onData: (each) => void listened.push(each), onEnd: () => {}, onCut: () => {} })
  const tries = [0, 1, 2].map((index) => {
    const attempt = body.forTry()
    let seen = ''
    attempt.read({
      onData: (each) => {
        seen += each.toString()
        release(each)
      },
      onEnd: () => {},
      onError: () => {},
    })
    if (index === 0) source.push(chunk)
    if (index < 2) attempt.cancel()
    return seen
  })
  t.equal(tries[2], text)
  t.same([waitingSlabs(), listened[0]?.toString()], [before, text])
  body.lastTry()
  t.equal(waitingSlabs(), before, 'a mirror has it still')
  release(listened[0]!)
  t.equal(waitingSlabs(), before + 1)
  t.end()
})

t.test('what all requests keep together has a bound, counted by the buffers that it holds up', async (t) => {
  const before = replayBudget.bytes
  const most = replayBudget.mostBytes
  t.teardown(() => {
    replayBudget.mostBytes = most
  })
  replayBudget.mostBytes = before + 150_000
  const bodies = [1, 2, 3].map(() => {
    const source = new BodyChannel({ onPause: () => {}, onResume: () => {} })
    const body = new ClientBody(source)
    const kept = body.keep()
    const seen = reading(body.forTry())
    // a small piece of a large buffer
    source.push(Buffer.alloc(65_536, 'x').subarray(0, 3_000))
    return { body, kept, seen }
  })
  t.same(
    bodies.map(({ kept }) => kept.state),
    ['open', 'open', 'abandoned'],
    'the third is sent once',
  )
  t.same(
    bodies.map(({ seen }) => seen.text.length),
    [3_000, 3_000, 3_000],
  )
  bodies[0]?.kept.abandon()
  for (const { body } of bodies) body.settle()
  t.equal(replayBudget.bytes, before, 'all is given back, whoever gave it up')
})
