// Mesh-wide limits from end to end: replicas with their own buckets, one keeper among them, real streams in memory, a clock by hand.
import { duplexPair } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { LeaseKeeper } from '../../../../waypoint/ratelimit/lease-keeper.ts'
import { LeaseStream, serveLeases } from '../../../../waypoint/ratelimit/lease-stream.ts'
import { MeshBuckets } from '../../../../waypoint/ratelimit/mesh-buckets.ts'
import { keeperOf, PeerLeases } from '../../../../waypoint/ratelimit/peer-leases.ts'
import type { BucketSize } from '../../../../waypoint/ratelimit/token-bucket.ts'

const size: BucketSize = { capacity: 100, perSecond: 10 }

/** Replicas that reach each other, until `cut`. */
class Mesh {
  now = 0
  readonly cut = new Set<string>()
  readonly #work: { readonly atMs: number; readonly run: () => void }[] = []
  readonly replicas = new Map<string, MeshBuckets>()
  readonly #keepers = new Map<string, LeaseKeeper>()

  constructor(names: readonly string[]) {
    const clock = () => this.now
    for (const own of names) {
      const keeper = new LeaseKeeper()
      this.#keepers.set(own, keeper)
      const dial = async (uid: string) => {
        if (this.cut.has(uid) || this.cut.has(own)) throw new Error('no way there')
        const [near, far] = duplexPair()
        serveLeases(far, this.#keepers.get(uid)!, clock)
        return near
      }
      const leases = new PeerLeases({ own, peers: () => names, dial, keeper, clock, patienceMs: 200 })
      const later = (ms: number, run: () => void) => {
        const entry = { atMs: this.now + ms, run }
        this.#work.push(entry)
        return () => this.#work.splice(this.#work.indexOf(entry), 1)
      }
      this.replicas.set(own, new MeshBuckets({ replica: own, leases, replicas: () => names.length, clock, later }))
    }
  }

  async run(ms: number, each: () => void = () => {}): Promise<void> {
    const end = this.now + ms
    for (; this.now < end; this.now += 10) {
      for (const entry of this.#work.filter(({ atMs }) => atMs <= this.now)) {
        this.#work.splice(this.#work.indexOf(entry), 1)
        entry.run()
      }
      each()
      for (let rest = 0; rest < 4; rest += 1) await turn()
    }
  }

  get timers(): number {
    return this.#work.length
  }
}

t.test('replicas together let through what the limit says, wherever requests arrive', async (t) => {
  const mesh = new Mesh(['a', 'b', 'c'])
  let admitted = 0
  let turnOf = 0
  await mesh.run(10_000, () => {
    const names = [...mesh.replicas.keys()]
    for (let each = 0; each < 3; each += 1) {
      // most of it at one replica, so that equal parts would be wrong
      const replica = mesh.replicas.get(turnOf++ % 10 === 0 ? names[1]! : names[0]!)!
      if (replica.take('k', size, 1, mesh.now).allowed) admitted += 1
    }
  })
  t.ok(admitted >= 170, `${admitted} of 200 at least nearly all`)
  t.ok(admitted <= 100 + 10 * 11 + 3, `${admitted}: never more than the bucket, one lease and the credits`)
})

t.test('the first requests wait for the first answer instead of being refused', async (t) => {
  const mesh = new Mesh(['a', 'b'])
  const asked = ['a', 'b'].find((name) => keeperOf('k', ['a', 'b']) !== name)!
  const replica = mesh.replicas.get(asked)!
  t.ok(replica.take('k', size, 1, mesh.now).allowed, 'on credit')
  t.notOk(replica.take('k', size, 1, mesh.now).allowed)
  const pending = replica.pending('k', mesh.now)
  t.ok(pending)
  await pending
  t.ok(replica.take('k', size, 1, mesh.now).allowed)
  t.equal(replica.pending('k', mesh.now), undefined, 'what the keeper has just said holds')
})

t.test('without its keeper a replica goes on with its own share, and returns to the whole', async (t) => {
  const mesh = new Mesh(['a', 'b'])
  const keeper = keeperOf('k', ['a', 'b'])!
  const other = keeper === 'a' ? 'b' : 'a'
  mesh.cut.add(keeper)
  const replica = mesh.replicas.get(other)!
  let admitted = 0
  const ask = () => {
    if (replica.take('k', size, 1, mesh.now).allowed) admitted += 1
  }
  await mesh.run(1_500, ask)
  t.ok(admitted > 1 && admitted <= 1 + 50 + 10, `${admitted}: half of the bucket`)
  mesh.cut.clear()
  await mesh.run(3_000, ask)
  const before = admitted
  await mesh.run(4_000, ask)
  t.ok(admitted - before >= 30, `${admitted - before} in four seconds: the whole rate again`)
})

t.test('a key at rest has no timer, and closing gives everything back', async (t) => {
  const mesh = new Mesh(['a', 'b'])
  for (const replica of mesh.replicas.values()) replica.take('k', size, 1, mesh.now)
  await mesh.run(5_000)
  t.equal(mesh.timers, 0)
  const [first, second] = [...mesh.replicas.values()]
  await mesh.run(500, () => first!.take('k', size, 1, mesh.now))
  await first!.close()
  let admitted = 0
  await mesh.run(500, () => {
    if (second!.take('k', size, 1, mesh.now).allowed) admitted += 1
  })
  t.ok(admitted >= 40, `${admitted}: what the other one held is there again`)
})

t.test('every replica finds the same keeper, and one that goes takes only its own limits with it', (t) => {
  const peers = ['a', 'b', 'c']
  const limits = Array.from({ length: 300 }, (_, index) => `limit-${index}`)
  const before = limits.map((limit) => keeperOf(limit, peers))
  t.same(
    before,
    limits.map((limit) => keeperOf(limit, peers.toReversed())),
  )
  const moved = limits.filter((limit, index) => keeperOf(limit, ['a', 'c']) !== before[index])
  t.equal(moved.length, before.filter((keeper) => keeper === 'b').length)
  t.ok(moved.length > 60 && moved.length < 140)
  t.equal(keeperOf('x', []), undefined)
  t.end()
})

t.test('a stream with nonsense on it ends, at either end, and whoever waited hears of it', async (t) => {
  for (const line of [
    'nonsense',
    '{"limit":"x"}',
    `{"limit":"${'x'.repeat(9_000)}"}`,
    '{"limit":"k","sequence":1,"tokens":-1,"validMs":1}',
  ]) {
    const [near, far] = duplexPair()
    const stream = new LeaseStream(near)
    const request = { replica: 'a', limit: 'k', size, sequence: 1, held: 0, spent: 0, demandPerSecond: 1 }
    const answer = stream.lease(request, AbortSignal.timeout(5_000))
    far.write(`${line}\n`)
    await t.rejects(answer)
    t.ok(stream.closed)
  }
  for (const line of [
    '{}',
    '{"replica":"a","limit":"k","sequence":1,"held":0,"spent":null,"demandPerSecond":1,"size":{"capacity":1,"perSecond":1}}',
  ]) {
    const [near, far] = duplexPair()
    serveLeases(far, new LeaseKeeper(), () => 0)
    near.resume().on('error', () => {})
    near.write(`${line}\n`)
    await new Promise((resolve) => far.once('close', resolve))
    t.ok(far.destroyed)
  }
})
