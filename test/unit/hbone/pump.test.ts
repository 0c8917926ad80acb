import { type Duplex, duplexPair } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { MeshError } from '../../../core/base/errors.ts'
import { pump } from '../../../core/hbone/pump.ts'

/** The two far ends of a copy. */
function ends() {
  const [left, a] = duplexPair()
  const [right, b] = duplexPair()
  for (const stream of [left, right]) stream.on('error', () => {})
  return { left, right, a, b }
}

async function collect(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 3_000 }), { maxLength: 20 })

t.test('whatever is written in whatever pieces arrives in order and is counted, both ways', async (t) => {
  await fc.assert(
    fc.asyncProperty(chunks, chunks, async (there, back) => {
      const { left, right, a, b } = ends()
      const copied = pump(a, b)
      const got = Promise.all([collect(right), collect(left)])
      for (const chunk of there) left.write(chunk)
      for (const chunk of back) right.write(chunk)
      left.end()
      right.end()
      const [atRight, atLeft] = await got
      const result = await copied
      return (
        atRight.equals(Buffer.concat(there)) &&
        atLeft.equals(Buffer.concat(back)) &&
        result.aToB === atRight.length &&
        result.bToA === atLeft.length &&
        result.error === undefined
      )
    }),
    { numRuns: 100 },
  )
  t.pass()
})

t.test('one direction ends long before the other, and only a copy with both ended is over', async (t) => {
  const { left, right, a, b } = ends()
  const counters = { aToB: 0, bToA: 0 }
  let over = false
  const copied = pump(a, b, { counters }).finally(() => {
    over = true
  })
  left.end('question')
  t.equal((await collect(right)).toString(), 'question')
  t.equal(counters.aToB, 8, 'counted while the copy runs')
  t.notOk(over)
  right.end('answer')
  t.equal((await collect(left)).toString(), 'answer')
  t.same(await copied, { aToB: 8, bToA: 6 })
})

t.test('an end that fails takes the other with it, and the error is kept', async (t) => {
  const { left, a, b } = ends()
  const copied = pump(a, b)
  left.write('x')
  b.destroy(new MeshError('TUNNEL_UNAVAILABLE', 'gone'))
  t.match(await copied, { error: { code: 'TUNNEL_UNAVAILABLE' } })
  t.ok(a.destroyed)
})

t.test('ends that are closed, failed or finished before the copy begins are noticed', async (t) => {
  const closed = ends()
  closed.a.destroy()
  t.match(await pump(closed.a, closed.b), { error: { code: 'ABORTED' } })
  t.ok(closed.b.destroyed)

  const failed = ends()
  failed.b.on('error', () => {}).destroy(new MeshError('TUNNEL_TIMEOUT', 'late'))
  t.match(await pump(failed.a, failed.b), { error: { code: 'TUNNEL_TIMEOUT' } })

  const ended = ends()
  ended.left.end()
  await collect(ended.a)
  const copied = pump(ended.a, ended.b)
  ended.right.resume().end('late answer')
  t.equal((await collect(ended.left)).toString(), 'late answer')
  t.same(await copied, { aToB: 0, bToA: 11 })
})

t.test('a signal that is aborted before or during the copy ends it at once with its reason', async (t) => {
  const before = ends()
  t.match(await pump(before.a, before.b, { signal: AbortSignal.abort() }), { error: { code: 'ABORTED' } })
  const during = ends()
  const abort = new AbortController()
  const copied = pump(during.a, during.b, { signal: abort.signal })
  during.left.write('never read'.repeat(10_000))
  abort.abort(new MeshError('POLICY_DENIED', 'denied'))
  t.match(await copied, { error: { code: 'POLICY_DENIED' } })
  t.ok(during.a.destroyed && during.b.destroyed)
})

t.test('a reader that stands still stops the writer', async (t) => {
  const { left, right, a, b } = ends()
  const counters = { aToB: 0, bToA: 0 }
  const copied = pump(a, b, { counters })
  const block = Buffer.alloc(64 * 1024)
  for (let count = 0; count < 200; count += 1) left.write(block)
  let before = -1
  for (let still = 0; still < 50; ) {
    await new Promise((resolve) => setImmediate(resolve))
    still = counters.aToB === before ? still + 1 : 0
    before = counters.aToB
  }
  t.ok(counters.aToB < 1024 * 1024, `${counters.aToB} bytes taken from the writer`)
  left.end()
  right.end()
  t.equal((await collect(right)).length, 200 * block.length)
  left.resume()
  t.equal((await copied).error, undefined)
})
