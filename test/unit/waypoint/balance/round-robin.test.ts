// In turn, smoothly, and without a jump when the set changes.
import t from 'tap'
import { createBalancer } from '../../../../waypoint/balance/balancer.ts'
import { facts, many, world } from '../../../helpers/balanced.ts'

function picks(count: number, pick: () => { readonly key: string } | undefined): string {
  return Array.from({ length: count }, () => pick()?.key).join('')
}

t.test('weights are spread, not bunched', (t) => {
  const { table, clock } = world([facts('a', { weight: 5 }), facts('b'), facts('c')])
  const balancer = createBalancer({ algorithm: 'round-robin' }, table, { clock, random: () => 0 })
  for (const turn of [1, 2, 3])
    t.equal(
      picks(7, () => balancer.pick()),
      'aabacaa',
      `turn ${turn}: the example of nginx's own commit`,
    )
  t.end()
})

t.test('equal ones are picked equally often in every window, from a random start', (t) => {
  const starts = new Set<string>()
  for (const draw of [0, 0.3, 0.6, 0.9]) {
    const { table, clock } = world(many(4))
    const balancer = createBalancer({ algorithm: 'round-robin' }, table, { clock, random: () => draw })
    const row = Array.from({ length: 40 }, () => balancer.pick()!.key)
    starts.add(row[0]!)
    for (let at = 0; at + 4 <= row.length; at += 1) t.equal(new Set(row.slice(at, at + 4)).size, 4)
  }
  t.equal(starts.size, 4)
  t.end()
})

t.test('a change of the set does not begin anew', (t) => {
  const { table, clock } = world(many(3))
  const balancer = createBalancer({ algorithm: 'round-robin' }, table, { clock, random: () => 0 })
  const counts = new Map<string, number>()
  for (let count = 0; count < 300; count += 1) {
    // One update between any two picks: a balancer that begins anew would give everything to e0.
    table.update(many(3))
    const { key } = balancer.pick()!
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  t.same([...counts.values()], [100, 100, 100])
  t.end()
})
