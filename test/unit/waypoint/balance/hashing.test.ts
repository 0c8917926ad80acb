// Ring and Maglev: the same key goes to the same endpoint, and few keys move when the set changes.
import fc from 'fast-check'
import t from 'tap'
import { type BalancerOptions, createBalancer } from '../../../../waypoint/balance/balancer.ts'
import { hash32, mix } from '../../../../waypoint/balance/hash.ts'
import { Maglev, nextPrime } from '../../../../waypoint/balance/maglev.ts'
import { RingHash } from '../../../../waypoint/balance/ring-hash.ts'
import { facts, many, tally, world } from '../../../helpers/balanced.ts'

const keys = Array.from({ length: 4_000 }, (_, index) => hash32(`user-${index}`))

t.test('the hash is MurmurHash3 x86 32', (t) => {
  t.equal(hash32(''), 0)
  t.equal(hash32('', 1), 0x514e28b7)
  t.equal(hash32('test', 0x9747b28c), 0x704b81dc)
  t.equal(hash32('Hello, world!', 0x9747b28c), 0x24884cba)
  t.equal(hash32('The quick brown fox jumps over the lazy dog', 0x9747b28c), 0x2fa826cd)
  t.equal(hash32('ππππππππ', 0x9747b28c), 0xd58063c1, 'of the UTF-8')
  t.equal(mix(0xffffffff), 0x81f16f39)
  t.end()
})

const hashing = ['ring-hash', 'maglev'] as const
for (const algorithm of hashing) {
  const options: BalancerOptions = { algorithm }
  const owners = (balancer: ReturnType<typeof createBalancer>) => keys.map((hash) => balancer.pick({ hash })!.key)
  const moved = (before: readonly string[], after: readonly string[]) =>
    before.filter((key, index) => key !== after[index]).length / before.length

  t.test(`${algorithm}: a key stays, in every replica, whatever the order of the set`, (t) => {
    const one = world(many(20))
    const other = world([...many(20)].reverse())
    const first = owners(createBalancer(options, one.table, one.deps))
    t.same(owners(createBalancer(options, one.table, { ...one.deps, random: () => 0.99 })), first)
    t.same(owners(createBalancer(options, other.table, other.deps)), first)
    t.end()
  })

  t.test(`${algorithm}: keys are spread evenly and by weight`, (t) => {
    const { table, deps } = world([...many(9), facts('big', { weight: 3 })])
    const balancer = createBalancer({ algorithm, ring: { minimumRingSize: 16_384 } }, table, deps)
    const counts = new Map<string, number>()
    for (const key of owners(balancer)) counts.set(key, (counts.get(key) ?? 0) + 1)
    for (const { key, facts } of table.members) {
      const goal = (keys.length / 12) * facts.weight
      t.ok(Math.abs((counts.get(key) ?? 0) - goal) < goal * 0.3, `${key} ${counts.get(key)} of ${goal}`)
    }
    t.end()
  })

  t.test(`${algorithm}: one more endpoint takes about its share, one less gives up its share`, (t) => {
    const { table, deps } = world(many(20))
    const balancer = createBalancer(options, table, deps)
    const before = owners(balancer)
    table.update(many(21))
    const more = owners(balancer)
    const joined = moved(before, more)
    t.ok(joined > 0.5 / 21 && joined < 2.5 / 21, `${joined} moved to a new one`)
    table.update(many(20))
    t.same(owners(balancer), before, 'and back')
    table.update(many(20).filter(({ key }) => key !== 'e7'))
    const left = moved(before, owners(balancer))
    const owned = before.filter((key) => key === 'e7').length / before.length
    t.ok(left >= owned && left < 2.5 / 20, `${left} moved of one that left`)
    t.end()
  })

  t.test(`${algorithm}: an ejected endpoint's keys move, no others, to several, and return`, (t) => {
    const { table, deps } = world(many(20))
    const balancer = createBalancer(options, table, deps)
    const before = owners(balancer)
    table.eject('e3', true)
    const during = owners(balancer)
    t.same(
      during.filter((key, index) => key !== before[index] && before[index] !== 'e3'),
      [],
    )
    const heirs = new Set(during.filter((_, index) => before[index] === 'e3'))
    t.notOk(heirs.has('e3'))
    t.ok(heirs.size > 5, `${heirs.size} heirs`)
    table.eject('e3', false)
    t.same(owners(balancer), before)
    t.end()
  })

  t.test(`${algorithm}: without a key at random, with tried ones the next`, (t) => {
    const { table, deps } = world(many(4))
    const balancer = createBalancer(options, table, deps)
    t.equal(Object.keys(tally(200, () => balancer.pick())).length, 4)
    const hash = keys[0]!
    const first = balancer.pick({ hash })!
    const second = balancer.pick({ hash, tried: new Set([first]) })!
    t.not(second, first)
    t.equal(balancer.pick({ hash, tried: new Set([first]) }), second, 'always the same next')
    t.equal(balancer.pick({ hash, tried: new Set(table.members) }) !== undefined, true)
    const three = new Set(table.members.filter(({ key }) => key !== 'e2'))
    for (const each of keys.slice(0, 50)) t.equal(balancer.pick({ hash: each, tried: three })?.key, 'e2')
    t.end()
  })

  t.test(`${algorithm}: whoever may serve is found, for every key and every set`, (t) => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ weight: fc.integer({ min: 0, max: 3 }), healthy: fc.boolean() }), { maxLength: 12 }),
        fc.array(fc.integer({ min: 0, max: 0xffffffff }), { minLength: 1, maxLength: 20 }),
        (set, hashes) => {
          const { table, deps } = world(set.map((more, index) => facts(`e${index}`, more)))
          const balancer = createBalancer({ algorithm, maglev: { tableSize: 101 } }, table, deps)
          const serving = table.members.filter(({ facts }) => facts.healthy)
          return hashes.every((hash) => {
            const picked = balancer.pick({ hash })
            if (picked === undefined) return serving.length === 0
            const heavy = serving.filter(({ facts }) => facts.weight > 0)
            return (heavy.length > 0 ? heavy : serving).includes(picked)
          })
        },
      ),
      { numRuns: 150 },
    )
    t.end()
  })
}

t.test('ring: at least so many points, the same number for each of one weight', (t) => {
  const { table, deps } = world(many(3))
  const size = (minimumRingSize?: number) => {
    const ring = new RingHash(table.members, deps, { minimumRingSize })
    ring.refresh(table.members)
    ring.pick({ hash: 1 })
    return ring.size
  }
  t.equal(size(), 3 * 512)
  t.equal(size(3), 6)
  t.equal(size(0), 3)
  t.equal(size(5), 9)
  t.end()
})

t.test('ring: of one that leaves the keys move, of one that comes keys move to it, and no others', (t) => {
  for (const count of [2, 3, 4, 5, 20, 64]) {
    const { table, deps } = world(many(count, { weight: 3 }))
    const balancer = createBalancer({ algorithm: 'ring-hash' }, table, deps)
    const owners = () => keys.map((hash) => balancer.pick({ hash })!.key)
    const before = owners()
    table.update(many(count, { weight: 3 }).filter(({ key }) => key !== 'e1'))
    const needless = owners().filter((key, index) => before[index] !== key && before[index] !== 'e1')
    t.same(needless, [], `one of ${count} left`)
    table.update(many(count, { weight: 3 }))
    t.same(owners(), before, 'and came back')
  }
  t.end()
})

for (const algorithm of hashing) {
  t.test(`${algorithm}: one that takes the place of another has its keys`, (t) => {
    const set = many(4).map(({ key, ...rest }) => facts(key, { ...rest, place: `shop/${key}` }))
    const { table, deps } = world(set)
    const balancer = createBalancer({ algorithm }, table, deps)
    const places = () => keys.map((hash) => balancer.pick({ hash })!.place)
    const before = places()
    table.update(set.map((each) => (each.key === 'e2' ? { ...each, key: 'another life' } : each)))
    t.same(places(), before)
    t.ok(before.includes('shop/e2'))
    t.end()
  })
}

t.test('ring: a set too large for it, by number or by weight, is bounded', (t) => {
  const { table, deps } = world([...many(300), facts('heavy', { weight: 1_000_000 })])
  const ring = new RingHash(table.members, deps, {})
  ring.refresh(table.members)
  t.ok(ring.pick({ hash: 1 }))
  t.ok(ring.size <= 2 * 1024 * 1024 + 301, `${ring.size} points`)
  t.end()
})

t.test('Maglev: the table is prime, 65537 where not said', (t) => {
  const { table, deps } = world(many(3))
  t.equal(new Maglev(table.members, deps).size, 65_537)
  t.equal(new Maglev(table.members, deps, { tableSize: 1_000 }).size, 1_009)
  t.equal(new Maglev(table.members, deps, { tableSize: 1 }).size, 3, 'a slot for each at least')
  t.same([0, 2, 4, 9, 65_537, 5_000_011].map(nextPrime), [2, 2, 5, 11, 65_537, 5_000_011])
  t.end()
})
