// Mesh-wide limits: one holder and one keeper by number, then whole meshes of replicas that come, go, crash and lose messages.
import fc from 'fast-check'
import t from 'tap'
import { keeperDefaults, LeaseKeeper } from '../../../../waypoint/ratelimit/lease-keeper.ts'
import { LeasedLimit, leasedDefaults } from '../../../../waypoint/ratelimit/leased-limit.ts'
import type { LeaseGrant, LeaseRequest } from '../../../../waypoint/ratelimit/leases.ts'
import type { BucketSize } from '../../../../waypoint/ratelimit/token-bucket.ts'
import { seeded } from '../../../helpers/balanced.ts'

const size: BucketSize = { capacity: 100, perSecond: 50 }
const asks = (more: Partial<LeaseRequest> = {}): LeaseRequest => ({
  replica: 'a',
  limit: 'l',
  sequence: 1,
  held: 0,
  spent: 0,
  demandPerSecond: 10,
  size,
  ...more,
})

t.test('the first gets all, the next gets its share of what is given back', (t) => {
  const keeper = new LeaseKeeper()
  t.equal(keeper.lease(asks(), 0).tokens, 100)
  t.equal(keeper.lease(asks({ replica: 'b' }), 0).tokens, 0)
  t.equal(keeper.lease(asks({ sequence: 2, held: 40, spent: 60 }), 100).tokens, 0, 'more than its share is held')
  t.equal(keeper.lease(asks({ replica: 'b', sequence: 2 }), 500).tokens, 25)
  t.end()
})

t.test('a repeated request gets the same answer and counts once', (t) => {
  const keeper = new LeaseKeeper()
  const first = keeper.lease(asks({ spent: 10 }), 0)
  t.equal(first.tokens, 90)
  t.equal(keeper.lease(asks({ spent: 10 }), 10), first)
  t.end()
})

t.test('one that is not heard of is taken to have spent what it held; one that leaves gives it back', (t) => {
  const crashed = new LeaseKeeper()
  crashed.lease(asks(), 0)
  t.equal(crashed.lease(asks({ replica: 'b' }), 1_000).tokens, 50, 'what came in since')
  const left = new LeaseKeeper()
  left.lease(asks(), 0)
  t.equal(left.lease(asks({ sequence: 2, held: 90, spent: 10, leaving: { keeps: 1 } }), 0).tokens, 1)
  t.equal(left.lease(asks({ replica: 'b' }), 0).tokens, 89)
  t.end()
})

t.test('another keeper goes on where the one before it was, as far as those who ask know', (t) => {
  const before = new LeaseKeeper()
  const holder = new LeasedLimit({ ...leasedDefaults, replica: 'a', limit: 'l', size })
  holder.take(1, 0)
  holder.granted(before.lease(holder.wants(0)!, 0), 0)
  for (let count = 0; count < 90; count += 1) t.ok(holder.take(1, 10))
  holder.granted(before.lease(holder.wants(300)!, 300), 300)
  const told = holder.known(400)!
  t.same([Math.round(told.level), told.ageMs], [24, 100], '100 and 15 that came, less 91')
  const after = new LeaseKeeper()
  t.equal(after.lease(asks({ known: told, sequence: 7 }), 5).tokens, 29, 'and 5 that came since')
  t.equal(after.lease(asks({ known: told, sequence: 8, held: 29 }), 905).level > 70, true, 'once for each replica')
  const unknown = new LeaseKeeper()
  t.equal(unknown.lease(asks({ replica: 'b', spent: 40 }), 0).tokens, 60)
  t.equal(unknown.lease(asks({ known: { level: 5, ageMs: 0 } }), 0).level, 5, 'who knows less counts')
  t.end()
})

t.test('limits are kept for themselves, and the one unused for longest is forgotten', (t) => {
  const keeper = new LeaseKeeper({ ...keeperDefaults, most: 2 })
  for (const limit of ['a', 'b', 'a', 'c']) keeper.lease(asks({ limit, spent: 30, sequence: 1 }), 0)
  t.equal(keeper.lease(asks({ limit: 'a', sequence: 1 }), 0).tokens, 70, 'still known: the same answer')
  t.equal(keeper.lease(asks({ limit: 'b', sequence: 1 }), 0).tokens, 100)
  t.end()
})

t.test('a holder: credit, grants, validity, rest', (t) => {
  const limit = new LeasedLimit({ ...leasedDefaults, replica: 'a', limit: 'l', size })
  t.equal(limit.wants(0), undefined, 'nobody asks')
  t.same([limit.take(1, 0), limit.take(1, 0)], [true, false], 'one on credit')
  const first = limit.wants(0)!
  t.same([first.sequence, first.spent, first.held], [1, 1, 0])
  t.equal(limit.wants(100), undefined, 'one at a time')
  t.equal(limit.unansweredMs(100), 100)
  limit.granted({ sequence: 9, tokens: 50, validMs: 1_000, level: 50 }, 100)
  t.equal(limit.remaining(100), 0, 'not an answer to this')
  limit.granted({ sequence: 1, tokens: 5, validMs: 1_000, level: 50 }, 100)
  t.same([limit.remaining(100), limit.remaining(1_000), limit.unansweredMs(100)], [5, 0, 0])
  t.ok(limit.take(3, 100))
  t.notOk(limit.take(3, 100))
  t.equal(limit.wants(299), undefined)
  t.same([limit.wants(300)?.held, limit.wants(300)], [2, undefined])
  limit.failed(2)
  t.equal(limit.wants(600)?.spent, 3, 'told again')
  t.ok(limit.take(1, 610))
  limit.granted({ sequence: 3, tokens: 0, validMs: 1_000, level: 50 }, 620)
  t.equal(limit.wants(900)?.spent, 1, 'what was spent meanwhile')
  limit.granted({ sequence: 4, tokens: 8, validMs: 1_000, level: 50 }, 900)
  const rest = limit.wants(1_300)!
  t.same([rest.held, rest.leaving], [9, { keeps: 1 }])
  t.equal(limit.remaining(1_300), 0)
  limit.granted({ sequence: 5, tokens: 1, validMs: 1_000, level: 50 }, 1_300)
  t.equal(limit.wants(9_000), undefined, 'it rests')
  t.same([limit.take(1, 9_000), limit.take(1, 9_000)], [true, false], 'and has one for who comes next')
  t.equal(limit.wants(9_000)?.spent, 0, 'which the keeper knows as spent')
  t.end()
})

t.test('what a holder has lapses with the lease, also where more comes later', (t) => {
  const limit = new LeasedLimit({ ...leasedDefaults, replica: 'a', limit: 'l', size })
  limit.take(1, 0)
  limit.wants(0)
  limit.granted({ sequence: 1, tokens: 5, validMs: 1_000, level: 50 }, 10)
  t.ok(limit.take(1, 999))
  t.notOk(limit.take(1, 1_000))
  limit.wants(1_000)
  limit.granted({ sequence: 2, tokens: 2, validMs: 1_000, level: 50 }, 1_010)
  t.equal(limit.remaining(1_010), 2)
  t.end()
})

interface Play {
  readonly seed: number
  readonly replicas: number
  readonly churn: number
  readonly loss: number
  readonly delayMs: number
  readonly demand: number
  readonly size: BucketSize
  readonly seconds: number
}

/** Runs a mesh in steps of 10 ms. @returns what was admitted per step, and how many replicas there were in all */
function play({ seed, replicas, churn, loss, delayMs, demand, size: limit, seconds }: Play) {
  const random = seeded(seed)
  const keeper = new LeaseKeeper()
  const admitted: number[] = []
  let born = 0
  const make = () => {
    born += 1
    return new LeasedLimit({ ...leasedDefaults, replica: `r${born}`, limit: 'l', size: limit })
  }
  const living = Array.from({ length: replicas }, make)
  const wire: { readonly atMs: number; run(): void }[] = []
  const send = (from: LeasedLimit, request: LeaseRequest, now: number) => {
    if (random() < loss) return
    const arrives = now + random() * delayMs
    const reply = (grant: LeaseGrant) => {
      const returns = arrives + random() * delayMs
      if (random() >= loss) wire.push({ atMs: returns, run: () => from.granted(grant, returns) })
    }
    wire.push({ atMs: arrives, run: () => reply(keeper.lease(request, arrives)) })
  }
  for (let now = 0; now < seconds * 1_000; now += 10) {
    wire.sort((a, b) => a.atMs - b.atMs)
    while (wire[0] !== undefined && wire[0].atMs <= now) wire.shift()!.run()
    let count = 0
    for (const replica of living) {
      for (let ask = random() * demand * 0.02; ask > random(); ask -= 1) if (replica.take(1, now)) count += 1
      const request = replica.wants(now)
      if (request !== undefined) send(replica, request, now)
    }
    if (random() < churn) {
      const [gone] = living.splice(Math.floor(random() * living.length), 1, make())
      if (gone !== undefined && random() < 0.5) send(gone, gone.leave(now), now)
    }
    admitted.push(count)
  }
  return { admitted, born }
}

/** The most that any window has above rate × its length. */
function excess(admitted: readonly number[], { perSecond }: BucketSize): number {
  let [level, most] = [0, 0]
  for (const count of admitted) {
    level = Math.max(0, level - perSecond / 100) + count
    most = Math.max(most, level)
  }
  return most
}

t.test('no window of any mesh passes the limit by more than a lease, whatever comes, goes and gets lost', (t) => {
  const wild = fc.record({
    seed: fc.integer(),
    replicas: fc.integer({ min: 1, max: 8 }),
    churn: fc.constantFrom(0, 0.01, 0.1),
    loss: fc.constantFrom(0, 0.05, 0.3),
    delayMs: fc.constantFrom(0, 20, 400, 3_000),
    demand: fc.constantFrom(1, 30, 300),
    size: fc.record({ capacity: fc.integer({ min: 1, max: 100 }), perSecond: fc.integer({ min: 1, max: 200 }) }),
    seconds: fc.constant(8),
  })
  fc.assert(
    fc.property(wild, (mesh) => {
      const { admitted, born } = play(mesh)
      const { capacity, perSecond } = mesh.size
      const lease = (perSecond * keeperDefaults.validMs) / 1_000
      return excess(admitted, mesh.size) <= capacity + lease + leasedDefaults.creditTokens * born + perSecond / 100
    }),
    { numRuns: 60 },
  )
  t.end()
})

t.test('where all is well nearly the whole limit is used, by many replicas and by one of many', (t) => {
  const calm = { seed: 5, churn: 0, loss: 0, delayMs: 10, seconds: 20, size: { capacity: 50, perSecond: 100 } }
  const used = (mesh: Pick<Play, 'replicas' | 'demand'>) => {
    const { admitted } = play({ ...calm, ...mesh })
    return admitted.slice(500).reduce((sum, count) => sum + count, 0) / 15 / 100
  }
  const many = used({ replicas: 5, demand: 100 })
  const one = used({ replicas: 1, demand: 400 })
  t.ok(many > 0.85 && many < 1.05, `${many}`)
  t.ok(one > 0.85 && one < 1.05, `${one}`)
  const under = used({ replicas: 4, demand: 15 })
  t.ok(under > 0.5, `${under} of the limit where 60 % are asked for`)
  t.end()
})
