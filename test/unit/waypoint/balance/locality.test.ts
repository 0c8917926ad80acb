// Places: failover, failoverPriority, distribute, and how much a lane with ejected endpoints still bears.
import fc from 'fast-check'
import t from 'tap'
import { createBalancer } from '../../../../waypoint/balance/balancer.ts'
import type { EndpointFacts } from '../../../../waypoint/balance/endpoint-table.ts'
import { type LocalityPolicy, lanesOf, sharesOf } from '../../../../waypoint/balance/locality.ts'
import { facts, seeded, tally, world } from '../../../helpers/balanced.ts'

const from = { region: 'eu', zone: 'z1', subzone: 's1' }
const at = (place: string, more: Partial<EndpointFacts> = {}): EndpointFacts => {
  const [region = '', zone, subzone] = place.split('/')
  return facts(place, { locality: { region, zone, subzone }, ...more })
}
const places = ['us/z1/s1', 'eu/z1/s1', 'eu/z1/s2', 'eu/z2/s1', 'as/z1/s1']

function lanes(policy: LocalityPolicy | undefined, set: readonly EndpointFacts[] = places.map((place) => at(place))) {
  return lanesOf(world(set).table.members, policy).map(({ priority, weight, members }) => [
    priority,
    weight,
    ...members.map(({ key }) => key),
  ])
}

t.test('without a policy, and without members', (t) => {
  t.same(lanes(undefined), [[0, 1, ...places]])
  t.same(lanes(undefined, []), [])
  t.same(lanes({ from }, []), [])
  t.end()
})

t.test('the same subzone, zone, region, then the rest; no gaps; who has no place is far', (t) => {
  t.same(lanes({ from }), [
    [0, 1, 'eu/z1/s1'],
    [1, 1, 'eu/z1/s2'],
    [2, 1, 'eu/z2/s1'],
    [3, 1, 'us/z1/s1', 'as/z1/s1'],
  ])
  t.same(lanes({ from }, [at('us/z1/s1'), facts('nowhere'), at('eu/z2/s1')]), [
    [0, 1, 'eu/z2/s1'],
    [1, 1, 'us/z1/s1', 'nowhere'],
  ])
  t.end()
})

t.test('failover names the region that comes before the other foreign ones', (t) => {
  const failover = [
    { from: 'us', to: 'eu' },
    { from: 'eu', to: 'as' },
  ]
  t.same(lanes({ from, failover }).slice(3), [
    [3, 1, 'as/z1/s1'],
    [4, 1, 'us/z1/s1'],
  ])
  t.end()
})

t.test('failoverPriority: the more of the first labels agree, the earlier', (t) => {
  const set = [
    facts('none', { labels: { a: '2', b: '1', c: '1' } }),
    facts('a', { labels: { a: '1', b: '2', c: '1' } }),
    facts('ab', { labels: { a: '1', b: '1', c: '2' } }),
    facts('abc', { labels: { a: '1', b: '1', c: '1' } }),
  ]
  const labels = { a: '1', b: '1', c: '1' }
  t.same(lanes({ from, labels, failoverPriority: ['a', 'b', 'c'] }, set), [
    [0, 1, 'abc'],
    [1, 1, 'ab'],
    [2, 1, 'a'],
    [3, 1, 'none'],
  ])
  t.same(
    lanes({ from, labels, failoverPriority: ['a=2', 'b'] }, set),
    [
      [0, 1, 'none'],
      [1, 1, 'a', 'ab', 'abc'],
    ],
    'a value of its own instead of the caller’s',
  )
  t.same(lanes({ from, labels, failoverPriority: ['x'] }, set), [[0, 1, 'none', 'a', 'ab', 'abc']], 'neither has it')
  t.end()
})

t.test('failoverPriority with failover: places rank within equal labels', (t) => {
  const set = [
    at('us/z1/s1', { labels: { a: '1' } }),
    at('eu/z1/s1', { labels: { a: '2' } }),
    at('eu/z9/s1', { labels: { a: '1' } }),
  ]
  const policy = { from, labels: { a: '1' }, failoverPriority: ['a'] }
  t.same(lanes(policy, set), [
    [0, 1, 'us/z1/s1', 'eu/z9/s1'],
    [1, 1, 'eu/z1/s1'],
  ])
  t.same(lanes({ ...policy, failover: [{ from: 'eu', to: 'us' }] }, set), [
    [0, 1, 'eu/z9/s1'],
    [1, 1, 'us/z1/s1'],
    [2, 1, 'eu/z1/s1'],
  ])
  t.end()
})

t.test(
  'distribute: shares by pattern, the first rule for the caller, nothing for the places that it leaves out',
  (t) => {
    const distribute = [
      { from: 'us/*', to: { '*': 100 } },
      { from: 'eu/z1/*', to: { 'eu/*': 70, 'eu/z1/s1': 20, 'us/z1/*': 10, 'as/*': 0 } },
      { from: '*', to: { 'as/*': 100 } },
    ]
    t.same(lanes({ from, distribute }), [
      [0, 20, 'eu/z1/s1'],
      [0, 10, 'us/z1/s1'],
      [0, 70, 'eu/z1/s2', 'eu/z2/s1'],
    ])
    t.same(lanes({ from: { region: 'af' }, distribute }), [[0, 100, 'as/z1/s1']])
    t.same(lanes({ from: { region: 'af' }, distribute: distribute.slice(0, 1) }), [[0, 1, ...places]], 'no rule for it')
    t.end()
  },
)

t.test('a lane bears all until 28 % of it is gone, then the next helps', (t) => {
  const set = [...Array.from({ length: 10 }, (_, index) => at(`eu/z1/s1`, { key: `near${index}` })), at('us/z1/s1')]
  const { table } = world(set)
  const all = lanesOf(table.members, { from })
  const near = (gone: number) => {
    for (let index = 0; index < 10; index += 1) table.eject(`near${index}`, index < gone)
    return sharesOf(all, (endpoint) => table.available(endpoint)).map((share) => Math.round(share * 100))
  }
  t.same([0, 2, 3, 5, 9, 10].map(near), [
    [100, 0],
    [100, 0],
    [98, 2],
    [70, 30],
    [14, 86],
    [0, 100],
  ])
  table.eject('us/z1/s1', true)
  t.same(near(9), [100, 0], 'who is left bears all')
  t.same(near(10), [0, 0])
  t.end()
})

t.test('distribute: a place whose endpoints are gone gives its share to the others', (t) => {
  const { table, deps } = world([at('eu/z1/s1'), at('eu/z2/s1'), at('us/z1/s1')])
  const distribute = [{ from: '*', to: { 'eu/z1/*': 50, 'eu/z2/*': 40, 'us/*': 10 } }]
  const balancer = createBalancer({ locality: { from, distribute } }, table, deps)
  const counts = tally(10_000, () => balancer.pick())
  t.ok(Math.abs(counts['eu/z1/s1']! - 5_000) < 200, JSON.stringify(counts))
  t.ok(Math.abs(counts['us/z1/s1']! - 1_000) < 150, JSON.stringify(counts))
  table.eject('eu/z1/s1', true)
  const after = tally(10_000, () => balancer.pick())
  t.ok(Math.abs(after['eu/z2/s1']! - 8_000) < 200, JSON.stringify(after))
  t.equal(after['eu/z1/s1'], undefined)
  t.end()
})

t.test('the shares are 1 in sum wherever anyone may serve, and nobody who may not gets one', (t) => {
  const place = fc.constantFrom(...places, 'eu/z1/s3')
  fc.assert(
    fc.property(fc.array(fc.tuple(place, fc.boolean()), { maxLength: 20 }), fc.boolean(), (set, weighted) => {
      const { table } = world(set.map(([where, healthy], index) => at(where, { key: `e${index}`, healthy })))
      const distribute = weighted ? [{ from: '*', to: { 'eu/*': 3, '*': 5 } }] : undefined
      const all = lanesOf(table.members, { from, distribute })
      const available = (endpoint: (typeof table.members)[number]) => table.available(endpoint)
      const shares = sharesOf(all, available)
      const sum = shares.reduce((total, share) => total + share, 0)
      const anyone = table.members.some(available)
      return (
        Math.abs(sum - (anyone ? 1 : 0)) < 1e-9 &&
        all.every(({ members }, index) => shares[index] === 0 || members.some(available))
      )
    }),
  )
  t.end()
})

t.test('a request that tried all near endpoints goes far only where the rule says so', (t) => {
  const { table, deps, get } = world([at('eu/z1/s1'), at('us/z1/s1')])
  const balancer = createBalancer({ locality: { from } }, table, deps)
  const tried = new Set([get('eu/z1/s1')])
  t.equal(balancer.pick()?.key, 'eu/z1/s1')
  t.equal(balancer.pick({ tried })?.key, 'eu/z1/s1')
  t.equal(balancer.pick({ tried, otherLocalities: true })?.key, 'us/z1/s1')
  t.equal(balancer.pick({ tried: new Set(table.members), otherLocalities: true })?.key, 'eu/z1/s1')
  t.end()
})

t.test('with a hash the same key goes to the same lane too', (t) => {
  const { table, clock } = world([at('eu/z1/s1'), at('us/z1/s1'), at('as/z1/s1')])
  const locality = { from, distribute: [{ from: '*', to: { 'eu/*': 50, 'us/*': 50 } }] }
  const balancer = createBalancer({ algorithm: 'ring-hash', locality }, table, { clock, random: seeded(3) })
  const seen = new Set<string>()
  for (let hash = 1; hash < 2 ** 32; hash += 2 ** 27) {
    const keys = tally(10, () => balancer.pick({ hash }))
    t.equal(Object.keys(keys).length, 1)
    seen.add(Object.keys(keys)[0]!)
  }
  t.equal(seen.size, 2)
  t.end()
})
