import t from 'tap'
import { keyOf } from '../../../control/compile/conditions.ts'
import { DeltaLog } from '../../../control/publish/delta-log.ts'
import { Publisher } from '../../../control/publish/publisher.ts'
import type { ObjectOutcome } from '../../../control/publish/status-writer.ts'
import { StoreFollower, type StoreListener } from '../../../control/store/follower.ts'
import type { Store, StoredObject, StoreEvent } from '../../../control/store/store.ts'
import { nullLogger } from '../../../core/base/log.ts'
import { formatObjectKey, type MeshObject } from '../../../core/model/resource.ts'
import { entry, policy, service, settings } from '../../helpers/compile-objects.ts'

const keyText = (object: MeshObject) => formatObjectKey(keyOf(object))
const stored = (object: MeshObject, revision: number): StoredObject => ({ key: keyOf(object), object, revision })
const event = (object: MeshObject, revision: number, type: StoreEvent['type'] = 'MODIFIED'): StoreEvent => ({
  type,
  stored: stored(object, revision),
})

function world(t: { teardown(done: () => Promise<unknown>): void }) {
  const log = new DeltaLog('e')
  const told: { readonly version: number; readonly outcomes: readonly ObjectOutcome[] }[] = []
  const publisher = new Publisher({
    settings,
    log,
    status: { compiled: (version, outcomes) => told.push({ version, outcomes }) },
    logger: nullLogger(),
    pace: { settleMs: 0, firstPauseMs: 0, longestPauseMs: 0 },
  })
  t.teardown(() => publisher.close())
  const version = () =>
    new Promise<number>((resolve) => {
      const stop = publisher.onVersion(() => {
        stop()
        resolve(log.version)
      })
    })
  /** The keys of what was told last, and of what proxies see of it. */
  const last = () => ({
    version: told.at(-1)?.version,
    seen: told
      .at(-1)
      ?.outcomes.map(({ key }) => key)
      .sort(),
    touched: told
      .at(-1)
      ?.outcomes.filter(({ touched }) => touched)
      .map(({ key }) => key)
      .sort(),
  })
  return { log, publisher, told, last, version }
}

const orders = service('orders', { selector: { app: 'a' }, ports: [{ port: 80 }] })
const a = entry('a', { address: '10.0.0.1', labels: { app: 'a' } })
const rule = policy('p', { rules: [{}] })

t.test('each change is in the log at once, sessions hear of it after, and of nothing else', async (t) => {
  const { log, publisher, version } = world(t)
  const first = version()
  publisher.reset(new Map([[keyText(a), stored(a, 3)]]), 7)
  await publisher.ready
  t.equal(await first, 7)
  const next = version()
  publisher.changed(keyText(orders), event(orders, 8))
  publisher.changed(keyText(orders), event({ ...orders, status: { conditions: [] } }, 9))
  t.strictSame([log.version, log.revision, publisher.revision], [8, 9, 9])
  t.equal(await next, 8)
  t.match(
    log.since(7, 'agent')?.upserts.map(({ kind }) => kind),
    ['Service', 'Workload'],
  )
  publisher.changed(keyText(orders), event(orders, 10, 'DELETED'))
  t.match(log.since(8, 'agent'), { version: 10, removes: [{ kind: 'Service' }], upserts: [{ kind: 'Workload' }] })
})

t.test('the status writer hears which objects a version changes for the proxies', async (t) => {
  const { publisher, last } = world(t)
  const [aKey, ordersKey, ruleKey] = [a, orders, rule].map(keyText)
  publisher.reset(new Map([[keyText(a), stored(a, 3)]]), 7)
  t.strictSame(last(), { version: 7, seen: [aKey], touched: [aKey] })
  publisher.changed(keyText(orders), event(orders, 8))
  t.strictSame(last(), { version: 8, seen: [ordersKey, aKey].sort(), touched: [ordersKey, aKey].sort() })
  publisher.changed(keyText(rule), event(rule, 9))
  t.match(last(), { version: 9, touched: [ruleKey] })
  publisher.changed(keyText(rule), event({ ...rule, status: { conditions: [] } }, 10))
  t.strictSame(last(), { version: 9, seen: [ruleKey], touched: [] }, 'the version is the one in force')
  publisher.changed(keyText(orders), event(orders, 11, 'DELETED'))
  t.match(last(), { version: 11, touched: [ordersKey, aKey].sort() })
})

t.test('conditions are told where they changed, and where somebody wrote the object', async (t) => {
  const { publisher, told, last } = world(t)
  publisher.reset(
    new Map([
      [keyText(a), stored(a, 1)],
      [keyText(rule), stored(rule, 2)],
    ]),
    7,
  )
  t.strictSame(last().seen, [keyText(rule), keyText(a)].sort())
  const b = entry('b', { address: '10.0.0.2' })
  publisher.changed(keyText(b), event(b, 8))
  const outcomes = told.at(-1)?.outcomes ?? []
  t.match(outcomes.find(({ object }) => object === rule)?.conditions?.at(-1)?.message, /in front of shop\/a, shop\/b/)
  t.notOk(
    outcomes.some(({ object }) => object === a),
    'of the other workload there is nothing new',
  )
  const overwritten = { ...rule, status: { conditions: [] } }
  publisher.changed(keyText(rule), event(overwritten, 9))
  t.strictSame(
    told.at(-1)?.outcomes.map(({ object }) => object),
    [overwritten],
  )
  publisher.changed(keyText(rule), event(overwritten, 10, 'DELETED'))
  t.strictSame(
    told.at(-1)?.outcomes.map(({ key, object }) => [key, object]),
    [[keyText(rule), undefined]],
  )
})

t.test('who comes from a replica that is ahead waits for its revision, not for ever', async (t) => {
  const { publisher } = world(t)
  publisher.reset(new Map(), 7)
  t.equal(await publisher.reached(7, 10_000), true)
  const waiting = publisher.reached(8, 10_000)
  publisher.changed(keyText(a), event(a, 8))
  t.equal(await waiting, true)
  // deadlines keep no process alive
  const alive = setInterval(() => undefined, 10)
  t.equal(await publisher.reached(9, 1), false)
  clearInterval(alive)
})

t.test('a listener that throws, and a watch that ends, start over with a list', async (t) => {
  let lists = 0
  const store = {
    list: async () => ({ items: [stored(a, 1)], revision: ++lists }),
    async *watch() {
      yield event(orders, 9)
      if (lists === 2) throw new Error('compacted')
      await new Promise(() => undefined)
    },
  } as unknown as Store
  const told: string[] = []
  const done = Promise.withResolvers<void>()
  const listener: StoreListener = {
    reset: (objects, revision) => told.push(`reset ${[...objects.keys()]} ${revision}`),
    changed: (key, { stored }) => {
      told.push(`${key} ${stored.revision}`)
      if (lists === 1) throw new Error('a defect')
      if (lists === 3) done.resolve()
    },
  }
  const follower = new StoreFollower({ store, listeners: [listener], log: nullLogger(), retryMs: 1 })
  follower.start()
  await done.promise
  const one = [`reset ${keyText(a)}`, `${keyText(orders)} 9`]
  t.strictSame(
    told,
    [1, 2, 3].flatMap((n) => [`${one[0]} ${n}`, one[1]]),
  )
})
