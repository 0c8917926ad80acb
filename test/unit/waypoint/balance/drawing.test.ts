// Random, least request and peak EWMA: shares, loads, warm-up, tried endpoints.
import t from 'tap'
import { type BalancerOptions, createBalancer } from '../../../../waypoint/balance/balancer.ts'
import { warmUpFactor } from '../../../../waypoint/balance/weighted.ts'
import { facts, many, tally, world } from '../../../helpers/balanced.ts'

const drawing: readonly NonNullable<BalancerOptions['algorithm']>[] = [
  'random',
  'least-request',
  'peak-ewma',
  'round-robin',
]
const within = (value: number | undefined, goal: number, share = 0.08) =>
  Math.abs((value ?? 0) - goal) <= Math.max(1, goal * share)

for (const algorithm of drawing) {
  t.test(`${algorithm}: an idle set is used by weight, weight 0 not at all`, (t) => {
    const { table, deps } = world([
      facts('a', { weight: 1 }),
      facts('b', { weight: 3 }),
      facts('c', { weight: 0 }),
      facts('d', { weight: 6, healthy: false }),
    ])
    const balancer = createBalancer({ algorithm }, table, deps)
    const counts = tally(8_000, () => balancer.pick())
    if (algorithm === 'peak-ewma') t.ok((counts['b'] ?? 0) > (counts['a'] ?? 0))
    else {
      t.ok(within(counts['a'], 2_000), JSON.stringify(counts))
      t.ok(within(counts['b'], 6_000), JSON.stringify(counts))
    }
    t.same(Object.keys(counts).sort(), ['a', 'b'])
    t.end()
  })

  t.test(`${algorithm}: where all have weight 0 they are alike; nobody is nobody; one is that one`, (t) => {
    const { table, deps } = world(many(4, { weight: 0 }))
    const balancer = createBalancer({ algorithm }, table, deps)
    const counts = tally(4_000, () => balancer.pick())
    for (const key of ['e0', 'e1', 'e2', 'e3']) t.ok(within(counts[key], 1_000, 0.12), JSON.stringify(counts))
    table.update([facts('x')])
    t.same(
      tally(3, () => balancer.pick()),
      { x: 3 },
    )
    table.update([])
    t.equal(balancer.pick(), undefined)
    table.update([facts('x', { healthy: false })])
    t.equal(balancer.pick(), undefined, 'no panic mode')
    t.end()
  })

  t.test(`${algorithm}: a tried endpoint is avoided while there is another`, (t) => {
    const { table, deps, get } = world(many(3))
    const balancer = createBalancer({ algorithm }, table, deps)
    t.same(Object.keys(tally(200, () => balancer.pick({ tried: new Set([get('e0'), get('e1')]) }))), ['e2'])
    t.same(Object.keys(tally(200, () => balancer.pick({ tried: new Set([get('e1')]) }))).sort(), ['e0', 'e2'])
    const all = tally(200, () => balancer.pick({ tried: new Set(table.members) }))
    t.equal(Object.keys(all).length, 3, 'all were tried: better again than not')
    t.end()
  })

  t.test(`${algorithm}: an ejected endpoint gets nothing from the next pick on`, (t) => {
    const { table, deps } = world(many(2))
    const balancer = createBalancer({ algorithm }, table, deps)
    balancer.pick()
    table.eject('e0', true)
    t.same(
      tally(50, () => balancer.pick()),
      { e1: 50 },
    )
    table.eject('e0', false)
    t.equal(Object.keys(tally(50, () => balancer.pick())).length, 2)
    t.end()
  })

  t.test(`${algorithm}: a new endpoint gets its share little by little`, (t) => {
    const { table, deps, time } = world(many(3))
    time.now = 1_000_000
    const balancer = createBalancer({ algorithm, warmUp: { durationMs: 10_000 } }, table, deps)
    table.update(many(4))
    const pick = () => {
      const endpoint = balancer.pick()
      endpoint?.latency.observe(30, time.now)
      return endpoint
    }
    const share = () => (tally(9_300, pick)['e3'] ?? 0) / 9_300
    const fresh = share()
    if (algorithm !== 'peak-ewma') t.ok(Math.abs(fresh - 0.1 / 3.1) < 0.012, `${fresh} at the start`)
    time.now += 5_000
    const half = share()
    if (algorithm !== 'peak-ewma') t.ok(Math.abs(half - 0.5 / 3.5) < 0.02, `${half} half way`)
    time.now += 5_000
    const warm = share()
    if (algorithm !== 'peak-ewma') t.ok(Math.abs(warm - 0.25) < 0.02, `${warm} warm`)
    t.ok(fresh < half && half < warm)
    t.end()
  })
}

t.test('warm-up: the factor over time, with aggression and minimum', (t) => {
  const warmUp = { durationMs: 1_000 }
  t.same(
    [0, 50, 100, 500, 999, 1_000, 5_000, -10].map((elapsed) => warmUpFactor(elapsed, warmUp)),
    [0.1, 0.1, 0.1, 0.5, 0.999, 1, 1, 0.1],
  )
  t.equal(warmUpFactor(250, { durationMs: 1_000, aggression: 2 }), 0.5)
  t.equal(warmUpFactor(500, { durationMs: 1_000, aggression: 0.5 }), 0.25)
  t.equal(warmUpFactor(10, { durationMs: 1_000, minimumPercent: 0 }), 0.01)
  t.equal(warmUpFactor(10, { durationMs: 0 }), 1)
  t.end()
})

t.test('least request: of two the one with fewer requests per capacity', (t) => {
  const { table, deps, get } = world(many(2))
  const balancer = createBalancer({}, table, deps)
  get('e0').began()
  t.same(
    tally(100, () => balancer.pick()),
    { e1: 100 },
  )
  table.update([facts('e0', { weight: 4 }), facts('e1', { weight: 1 })])
  get('e1').began()
  t.same(
    tally(100, () => balancer.pick()),
    { e0: 100 },
    '1 of 4 is less than 1 of 1',
  )
  t.end()
})

t.test('least request: requests that stay spread by weight, far evener than at random', (t) => {
  const { table, deps } = world([...many(10), facts('big', { weight: 5 })])
  const balancer = createBalancer({ algorithm: 'least-request' }, table, deps)
  for (let count = 0; count < 1_500; count += 1) balancer.pick()?.began()
  for (const endpoint of table.members) {
    const perCapacity = endpoint.active / endpoint.facts.weight
    t.ok(Math.abs(perCapacity - 100) <= 6, `${endpoint.key} ${perCapacity}`)
  }
  t.end()
})

t.test('peak EWMA: latency × (pending + 1) decides', (t) => {
  const { table, deps, get } = world(many(2))
  const balancer = createBalancer({ algorithm: 'peak-ewma' }, table, deps)
  get('e0').latency.observe(100, 0)
  t.same(
    tally(50, () => balancer.pick()),
    { e1: 50 },
    '100 ms against 30 ms',
  )
  for (let count = 0; count < 3; count += 1) get('e1').began()
  t.same(
    tally(50, () => balancer.pick()),
    { e0: 50 },
    '100 × 1 against 30 × 4',
  )
  get('e0').began()
  t.same(
    tally(50, () => balancer.pick()),
    { e1: 50 },
    '100 × 2 against 30 × 4',
  )
  t.end()
})

t.test('peak EWMA: who was slow once is tried again in time', (t) => {
  const { table, deps, get, time } = world(many(2))
  const balancer = createBalancer({ algorithm: 'peak-ewma' }, table, deps)
  get('e0').latency.observe(5_000, 0)
  let picked = 0
  for (time.now = 0; time.now < 120_000 && picked === 0; time.now += 100) {
    const endpoint = balancer.pick()
    endpoint?.latency.observe(20, time.now)
    if (endpoint?.key === 'e0') picked = time.now
  }
  t.ok(picked > 10_000 && picked < 100_000, `${picked}`)
  t.end()
})
