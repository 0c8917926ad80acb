// What stays and what goes when the set of endpoints changes.
import t from 'tap'
import { facts, world } from '../../../helpers/balanced.ts'

t.test('who stays keeps requests, latency and ejection, who returns begins anew', (t) => {
  const { table, get } = world([facts('a'), facts('b')])
  const a = get('a')
  a.began()
  a.latency.observe(900, 0)
  table.eject('a', true)
  t.same(
    table.update([facts('a', { weight: 7 }), facts('c')]).map(({ key }) => key),
    ['b'],
  )
  t.equal(get('a'), a)
  t.same([a.active, a.latency.estimate(0), a.ejected, a.facts.weight], [1, 900, true, 7])
  table.update([facts('c')])
  table.update([facts('a')])
  t.same([get('a').active, get('a').ejected], [0, false])
  a.ended()
  a.ended()
  t.equal(a.active, 0, 'never below zero')
  t.end()
})

t.test('of several with one key the first counts', (t) => {
  const { table, get } = world([facts('a', { weight: 1 }), facts('a', { weight: 2 })])
  t.equal(table.members.length, 1)
  t.equal(get('a').facts.weight, 1)
  t.end()
})

t.test('who may serve: healthy and not ejected, unless ejections are ignored', (t) => {
  const { table, get } = world([facts('a'), facts('b', { healthy: false })])
  t.same([table.available(get('a')), table.available(get('b'))], [true, false])
  table.eject('a', true)
  t.notOk(table.available(get('a')))
  table.ignoreEjections(true)
  t.same([table.available(get('a')), table.available(get('b'))], [true, false], 'not those that are not healthy')
  table.ignoreEjections(false)
  t.notOk(table.available(get('a')))
  t.end()
})

t.test('the versions grow with what changes, and only then', (t) => {
  const { table } = world([facts('a')])
  const versions = () => [table.membership, table.availability]
  const [membership = 0, availability = 0] = versions()
  table.eject('a', false)
  table.eject('nobody', true)
  table.ignoreEjections(false)
  t.same(versions(), [membership, availability])
  table.eject('a', true)
  t.same(versions(), [membership, availability + 1])
  table.ignoreEjections(true)
  t.same(versions(), [membership, availability + 2])
  table.update([])
  t.same(versions(), [membership + 1, availability + 3])
  t.end()
})

t.test('an endpoint that becomes healthy again warms up again', (t) => {
  const { table, get, time } = world([facts('a')])
  time.now = 50
  table.update([facts('a', { healthy: false })])
  t.equal(get('a').warmSinceMs, 0)
  time.now = 90
  table.update([facts('a')])
  t.equal(get('a').warmSinceMs, 90)
  t.end()
})
