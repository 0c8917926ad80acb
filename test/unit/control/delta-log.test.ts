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

const resourcesOf = (entries: Readonly<Record<string, string>>) =>
  Object.entries(entries).map(([name, vip]) => service(name, vip))
const stateOf = (entries: Readonly<Record<string, string>>): State =>
  new Map(resourcesOf(entries).map((resource) => [`Service/${resource.key}`, resource]))
const sorted = (state: State) => new Map([...state].sort())

/** Brings a log from one state to the next, as the compile step would. */
function step(log: DeltaLog, before: State, after: State, revision: number): boolean {
  const upserts = [...after].filter(([key, { value }]) => before.get(key)?.value !== value).map(([, found]) => found)
  const removes = [...before].filter(([key]) => !after.has(key)).map(([, { kind, key }]) => ({ kind, key }))
  return log.update({ upserts, removes }, revision)
}

t.test('whatever version an agent has, from whatever replica, the delta since then makes it current', async (t) => {
  const replica = fc.record({
    starts: fc.integer({ min: 1, max: 6 }),
    removalsKept: fc.integer({ min: 0, max: 4 }),
    /** Revisions of which the log hears nothing but the state after them. */
    missed: fc.record({ from: fc.integer({ min: 2, max: 8 }), count: fc.integer({ min: 0, max: 3 }) }),
  })
  let [known, unknown] = [0, 0]
  fc.assert(
    fc.property(states, replica, (history, { starts, removalsKept, missed }) => {
      // The state at each revision, from 1.
      const at = [new Map(), ...history.map(stateOf)] as readonly State[]
      const log = new DeltaLog('e', removalsKept)
      for (let revision = Math.min(starts, history.length); revision < at.length; revision++) {
        const isMissed = revision >= missed.from && revision < missed.from + missed.count && revision + 1 < at.length
        if (log.version > 0 && isMissed) continue
        const gap = log.version === 0 || log.revision < revision - 1
        const before = log.version
        const isNew = gap
          ? log.replace([...at[revision]!.values()], revision)
          : step(log, at[revision - 1]!, at[revision]!, revision)
        t.equal(log.version, isNew ? revision : before)
        t.equal(log.revision, revision)
        for (let version = 0; version < at.length; version++) {
          const delta = log.since(version, 'agent')
          delta === undefined ? unknown++ : known++
          if (delta === undefined) continue
          t.strictSame(sorted(applied(at[version]!, delta)), sorted(at[revision]!))
          t.strictSame(sorted(at[delta.version]!), sorted(at[revision]!), 'and the version stands for that state')
        }
        t.ok(log.since(log.version, 'agent'))
        t.strictSame(log.since(revision, 'agent')?.upserts, [])
        t.strictSame(sorted(applied(new Map(), log.full('agent'))), sorted(at[revision]!))
      }
    }),
  )
  t.ok(known > 500 && unknown > 100, `${known} known, ${unknown} not`)
})

t.test('the difference from digests makes any state current, and sends nothing that is equal', async (t) => {
  fc.assert(
    fc.property(states, states, (mine, theirs) => {
      const log = new DeltaLog('e')
      const current = stateOf(mine[0]!)
      const held = stateOf(theirs[0]!)
      log.replace([...current.values()], 1)
      const digests = Object.fromEntries([...held].map(([key, { value }]) => [key, digestOf(value)]))
      const delta = log.difference(digests, 'agent')
      t.strictSame(sorted(applied(held, delta)), sorted(current))
      for (const { key, value } of delta.upserts) t.not(digests[`Service/${key}`], digestOf(value))
    }),
  )
})

t.test('a revision that changes nothing is no new version, and an agent that has it gets nothing', async (t) => {
  const log = new DeltaLog('e')
  t.equal(log.replace([], 5), true, 'the first state is one, even when it is empty')
  t.equal(log.update({ upserts: [], removes: [] }, 6), false)
  t.equal(log.update({ upserts: [service('a', '1')], removes: [] }, 7), true)
  t.equal(log.update({ upserts: [service('a', '1')], removes: [{ kind: 'Service', key: 'x' }] }, 8), false)
  t.strictSame([log.version, log.revision], [7, 8])
  t.match(log.since(8, 'agent'), { version: 8, upserts: [], removes: [] })
  t.match(log.since(6, 'agent'), { version: 7, upserts: [{ key: 'a' }] })
  t.equal(log.since(9, 'agent'), undefined)
  t.equal(log.since(4, 'agent'), undefined)
})

t.test('whoever is behind is so since the first change that it lacks', async (t) => {
  let now = 1000
  const log = new DeltaLog('e', 10, () => now)
  log.replace([service('a', '1')], 1)
  now = 2000
  log.update({ upserts: [service('b', '1')], removes: [] }, 5)
  now = 3000
  log.update({ upserts: [], removes: [{ kind: 'Service', key: 'a' }] }, 6)
  t.same(
    [1, 5, 6].map((version) => log.changedAfter(version)),
    [2000, 3000, undefined],
  )
})

t.test('a version from before forgotten removals is not known any more', async (t) => {
  const log = new DeltaLog('e', 1)
  log.replace([service('a', '1'), service('b', '1'), service('c', '1')], 1)
  log.update({ upserts: [], removes: [{ kind: 'Service', key: 'a' }] }, 2)
  t.ok(log.since(1, 'agent'))
  log.update({ upserts: [], removes: [{ kind: 'Service', key: 'b' }] }, 3)
  t.equal(log.since(1, 'agent'), undefined)
  t.match(log.since(2, 'agent'), { removes: [{ kind: 'Service', key: 'b' }] })
})

t.test('what changes again and again is kept once', async (t) => {
  const log = new DeltaLog('e')
  log.replace([service('a', '0'), service('b', '0')], 1)
  for (let revision = 2; revision <= 5000; revision++) {
    log.update({ upserts: [service('a', String(revision))], removes: [] }, revision)
  }
  t.ok(log.changesSince(1) < 2000)
  t.match(log.since(1, 'agent'), { version: 5000, upserts: [{ key: 'a' }] })
  t.equal(log.since(4000, 'agent')?.upserts.length, 1)
  t.equal(log.versionsSince(4999), 1)
  t.equal(log.versionsSince(5000), 0)
  t.ok(log.versionsSince(0) > 1)
})

t.test('a store that goes back to an earlier revision begins a new epoch', async (t) => {
  const log = new DeltaLog('e')
  log.replace([service('a', '1')], 9)
  log.replace([service('b', '1')], 4)
  t.not(log.epoch, 'e')
  t.strictSame([log.version, log.revision], [4, 4])
  t.equal(log.since(9, 'agent'), undefined)
  t.match(log.full('agent').upserts, [{ key: 'b' }])
})

const routes = (name: string, port: number): CompiledResource => {
  const value = { service: `n/${name}`, port, consumers: {} }
  return {
    kind: 'Routes',
    key: `n/${name}:${port}`,
    value: value as Extract<CompiledResource, { kind: 'Routes' }>['value'],
  }
}
/** What a subscriber with such a state says of itself. */
const digestsOf = (state: State) => Object.fromEntries([...state].map(([key, { value }]) => [key, digestOf(value)]))

t.test('agents never get what only waypoints decide on, at the same versions', async (t) => {
  const log = new DeltaLog('e')
  log.replace([service('a', '1'), routes('a', 80)], 1)
  const kinds = (delta: CompiledDelta | undefined) => delta?.upserts.map(({ kind }) => kind)
  t.strictSame(kinds(log.full('agent')), ['Service'])
  t.strictSame(kinds(log.full('waypoint')), ['Service', 'Routes'])
  log.update({ upserts: [routes('b', 80)], removes: [{ kind: 'Routes', key: 'n/a:80' }] }, 2)
  t.match(log.since(1, 'agent'), { version: 2, upserts: [], removes: [] }, 'an agent hears of the version all the same')
  t.match(log.since(1, 'waypoint'), { version: 2, upserts: [{ key: 'n/b:80' }], removes: [{ key: 'n/a:80' }] })
  t.match(log.difference({}, 'agent').upserts, [{ kind: 'Service' }])
})

t.test('a subscriber of another view is of another epoch, and its digests make it right', async (t) => {
  const log = new DeltaLog('e')
  log.replace([service('a', '1'), routes('a', 80)], 1)
  t.equal(log.full('agent').epoch, log.epoch)
  t.not(log.full('waypoint').epoch, log.epoch)
  t.equal(log.since(1, 'waypoint')?.epoch, log.epochOf('waypoint'))
  t.not(log.digestIn('agent'), log.digestIn('waypoint'))
  for (const view of ['agent', 'waypoint'] as const) {
    const own = applied(new Map(), log.full(view))
    t.equal(log.digestIn(view), digestOf(digestsOf(own)), 'as the subscriber computes it')
    const other = applied(new Map(), log.full(view === 'agent' ? 'waypoint' : 'agent'))
    const delta = log.difference(digestsOf(other), view)
    t.strictSame(sorted(applied(other, delta)), sorted(own), `${view} that was none`)
    t.equal(delta.upserts.length + delta.removes.length, 1)
  }
  const strange = log.difference({ ...digestsOf(applied(new Map(), log.full('agent'))), 'Later/x': 'd' }, 'agent')
  t.match(strange.removes, [{ kind: 'Later', key: 'x' }], 'a kind of a later version goes')
})
