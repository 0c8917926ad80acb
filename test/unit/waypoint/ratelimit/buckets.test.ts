// Token buckets, in one thread and shared: rate, burst, what is left, and what is forgotten.
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import t from 'tap'
import { SharedBuckets, sharedBucketMemory } from '../../../../waypoint/ratelimit/shared-buckets.ts'
import { type Buckets, LocalBuckets } from '../../../../waypoint/ratelimit/token-bucket.ts'

const kinds: Readonly<Record<string, () => Buckets>> = {
  local: () => new LocalBuckets(1_000),
  shared: () => new SharedBuckets(sharedBucketMemory(1_000)),
}
const size = { capacity: 10, perSecond: 5 }

for (const [kind, make] of Object.entries(kinds)) {
  t.test(`${kind}: a full bucket at once, then the rate, never more than full`, (t) => {
    const buckets = make()
    const takes = (nowMs: number) => {
      let count = 0
      while (buckets.take('k', size, 1, nowMs).allowed) count += 1
      return count
    }
    t.same([takes(0), takes(100), takes(200), takes(1_200), takes(1e9)], [10, 0, 1, 5, 10])
    t.ok(buckets.take('other', size, 1, 0).allowed, 'each key has its own')
    t.end()
  })

  t.test(`${kind}: what is left and when more comes`, (t) => {
    const buckets = make()
    t.same(buckets.take('k', size, 4, 0), { allowed: true, remaining: 6, fullInMs: 800, retryAfterMs: 0 })
    t.same(buckets.take('k', size, 7, 0), { allowed: false, remaining: 6, fullInMs: 800, retryAfterMs: 200 })
    t.ok(buckets.take('k', size, 7, 200).allowed)
    t.equal(buckets.take('k', size, 11, 1e6).retryAfterMs, Number.POSITIVE_INFINITY)
    t.same(buckets.take('slow', { capacity: 1, perSecond: 1 / 3_600 }, 1, 0).fullInMs, 3_600_000)
    t.equal(Math.round(buckets.take('slow', { capacity: 1, perSecond: 1 / 3_600 }, 1, 600_000).retryAfterMs), 3_000_000)
    t.end()
  })

  t.test(`${kind}: what is given back can be taken again`, (t) => {
    const buckets = make()
    buckets.take('k', size, 10, 0)
    buckets.give('k', size, 2)
    buckets.give('nobody', size, 2)
    t.ok(buckets.take('k', size, 2, 0).allowed)
    t.notOk(buckets.take('k', size, 1, 0).allowed)
    t.end()
  })

  t.test(`${kind}: in every window at most capacity + rate × time, and not less where asked all the time`, (t) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 200 }),
        fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 60 }),
        (capacity, perSecond, gaps) => {
          const buckets = make()
          let [now, used, level] = [1_000, 0, capacity]
          return gaps.every((gap) => {
            now += gap
            level = Math.min(capacity, level + (gap * perSecond) / 1_000)
            used = 0
            while (buckets.take('k', { capacity, perSecond }, 1, now).allowed) used += 1
            level -= used
            return level > -0.01 && level < 1.01
          })
        },
      ),
      { numRuns: 60 },
    )
    t.end()
  })
}

t.test('local: the key unused for longest is forgotten', (t) => {
  const buckets = new LocalBuckets(2)
  const one = { capacity: 1, perSecond: 0.001 }
  buckets.take('a', one, 1, 0)
  buckets.take('b', one, 1, 0)
  buckets.take('a', one, 1, 0)
  buckets.take('c', one, 1, 0)
  t.equal(buckets.size, 2)
  t.notOk(buckets.take('a', one, 1, 0).allowed)
  t.ok(buckets.take('b', one, 1, 0).allowed, 'begins full again')
  t.end()
})

t.test('shared: a new key takes the place of the fullest, so an exhausted one is remembered', (t) => {
  const buckets = new SharedBuckets(sharedBucketMemory(8))
  const slow = { capacity: 100, perSecond: 0.1 }
  buckets.take('exhausted', slow, 100, 0)
  for (let key = 0; key < 1_000; key += 1) buckets.take(`k${key}`, slow, 1, key)
  t.notOk(buckets.take('exhausted', slow, 1, 1_000).allowed)
  t.end()
})

t.test('shared: slots that a dead thread left busy are taken over', (t) => {
  const memory = sharedBucketMemory(8)
  const slots = new BigInt64Array(memory)
  for (let at = 0; at < slots.length; at += 2) slots[at] = 1n
  const buckets = new SharedBuckets(memory)
  t.ok(buckets.take('k', size, 10, 0).allowed)
  t.notOk(buckets.take('k', size, 1, 0).allowed)
  t.end()
})

t.test('shared: threads that take at the same time never get more than there is', async (t) => {
  const memory = sharedBucketMemory(64)
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const source = `
    import { parentPort, workerData } from 'node:worker_threads'
    import { SharedBuckets } from ${JSON.stringify(new URL('../../../../waypoint/ratelimit/shared-buckets.ts', import.meta.url).href)}
    const buckets = new SharedBuckets(workerData.memory)
    const counts = {}
    Atomics.add(workerData.gate, 0, 1)
    while (Atomics.load(workerData.gate, 0) < 2);
    for (let turn = 0; turn < 30000; turn += 1) for (const key of ['a', 'b', 'c'])
      if (buckets.take(key, { capacity: 20000, perSecond: 1e-6 }, 1, 5).allowed) counts[key] = (counts[key] ?? 0) + 1
    parentPort.postMessage(counts)`
  const runs = [1, 2].map(
    () =>
      new Promise<Record<string, number>>((resolve, reject) => {
        const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`)
        const worker = new Worker(url, { workerData: { memory, gate } })
        worker.once('message', resolve)
        worker.once('error', reject)
      }),
  )
  const [first = {}, second = {}] = await Promise.all(runs)
  for (const key of ['a', 'b', 'c']) t.equal((first[key] ?? 0) + (second[key] ?? 0), 20_000)
})
