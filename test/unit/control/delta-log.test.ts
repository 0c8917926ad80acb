import fc from 'fast-check'
import t from 'tap'
import { DeltaLog } from '../../../control/publish/delta-log.ts'
import { digestOf } from '../../../core/model/digest.ts'
import type { CompiledDelta, CompiledResource, Service } from '../../../core/model/types.ts'

function service(name: string, vip: string): CompiledResource {
  const value: Service = {
    namespace: 'n',
    name,
    hostname: name,
    vips: [vip],
    headless: false,
    ports: [],
    identities: [],
    loadBalancing: 'random',
  }
  return { kind: 'Service', key: name, value }
}

type State = ReadonlyMap<string, CompiledResource>

function applied(state: State, delta: CompiledDelta): State {
  const next = new Map(delta.full ? [] : state)
  for (const { kind, key } of delta.removes) next.delete(`${kind}/${key}`)
  for (const resource of delta.upserts) next.set(`${resource.kind}/${resource.key}`, resource)
  return next
}

const states = fc.array(
  fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2', '3'), { noNullPrototype: true }),
  { minLength: 1, maxLength: 12 },
)

t.test('whatever version an agent has, the delta since then makes it current', async (t) => {
  fc.assert(
    fc.property(states, fc.integer({ min: 0, max: 4 }), (history, removalsKept) => {
      const log = new DeltaLog('e', removalsKept)
      const known = new Map<number, State>()
      let current: State = new Map()
      for (const state of history) {
        const resources = Object.entries(state).map(([name, vip]) => service(name, vip))
        const before = log.version
        const changed = log.update(resources)
        t.equal(log.version, changed ? before + 1 : before)
        current = new Map(resources.map((resource) => [`Service/${resource.key}`, resource]))
        known.set(log.version, current)
      }
      for (const [version, state] of known) {
        const delta = log.since(version)
        if (delta === undefined) continue
        t.strictSame(new Map([...applied(state, delta)].sort()), new Map([...current].sort()))
        t.equal(delta.version, log.version)
      }
      t.strictSame(log.since(log.version)?.upserts, [])
      t.strictSame(new Map([...applied(new Map(), log.full())].sort()), new Map([...current].sort()))
    }),
  )
})

t.test('the difference from digests makes any state current, and sends nothing that is equal', async (t) => {
  fc.assert(
    fc.property(states, states, (mine, theirs) => {
      const log = new DeltaLog('e')
      const stateOf = (entries: Readonly<Record<string, string>>): State =>
        new Map(Object.entries(entries).map(([name, vip]) => [`Service/${name}`, service(name, vip)]))
      const current = stateOf(mine[0]!)
      const held = stateOf(theirs[0]!)
      log.update([...current.values()])
      const digests = Object.fromEntries([...held].map(([key, { value }]) => [key, digestOf(value)]))
      const delta = log.difference(digests)
      t.strictSame(new Map([...applied(held, delta)].sort()), new Map([...current].sort()))
      for (const { key, value } of delta.upserts) t.not(digests[`Service/${key}`], digestOf(value))
    }),
  )
})

t.test('the first state is version 1 even when it is empty, and an equal one is no new version', async (t) => {
  const log = new DeltaLog('e')
  t.equal(log.update([]), true)
  t.equal(log.update([]), false)
  t.equal(log.version, 1)
  t.equal(log.since(0), undefined)
  t.equal(log.since(2), undefined)
})

t.test('a version from before forgotten removals is not known any more', async (t) => {
  const log = new DeltaLog('e', 1)
  log.update([service('a', '1'), service('b', '1'), service('c', '1')])
  log.update([service('b', '1'), service('c', '1')])
  t.ok(log.since(1))
  log.update([service('c', '1')])
  t.equal(log.since(1), undefined)
  t.match(log.since(2), { removes: [{ kind: 'Service', key: 'b' }] })
})
