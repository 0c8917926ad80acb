import t from 'tap'
import { keyOf } from '../../../control/compile/conditions.ts'
import type { ObjectConditions } from '../../../control/publish/conditions.ts'
import { DeltaLog } from '../../../control/publish/delta-log.ts'
import { StoreFollower, type StoreListener } from '../../../control/publish/follower.ts'
import { Publisher } from '../../../control/publish/publisher.ts'
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
  const described: ObjectConditions[][] = []
  let heard = Promise.withResolvers<void>()
  const publisher = new Publisher({
    settings,
    log,
    conditions: {
      write: async (objects) => {
        described.push([...objects])
        heard.resolve()
        heard = Promise.withResolvers()
      },
    },
    logger: nullLogger(),
    pace: { settleMs: 0, firstPauseMs: 0, longestPauseMs: 0 },
    conditionsMs: 0,
  })
  t.teardown(() => publisher.close())
  const version = () =>
    new Promise<number>((resolve) => {
      const stop = publisher.onVersion(() => {
        stop()
        resolve(log.version)
      })
    })
  return { log, publisher, described, version, written: () => heard.promise }
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
    log.since(7)?.upserts.map(({ kind }) => kind),
    ['Service', 'Workload'],
  )
  publisher.changed(keyText(orders), event(orders, 10, 'DELETED'))
  t.match(log.since(8), { version: 10, removes: [{ kind: 'Service' }], upserts: [{ kind: 'Workload' }] })
})

t.test('an object knows the version since which proxies do as it says', async (t) => {
  const { publisher } = world(t)
  publisher.reset(new Map([[keyText(a), stored(a, 3)]]), 7)
  publisher.changed(keyText(orders), event(orders, 8))
  t.strictSame([publisher.lastChanged(keyText(a)), publisher.lastChanged(keyText(orders))], [8, 8])
  publisher.changed(keyText(rule), event(rule, 9))
  t.strictSame([publisher.lastChanged(keyText(a)), publisher.lastChanged(keyText(rule))], [8, 9])
  publisher.changed(keyText(rule), event({ ...rule, status: { conditions: [] } }, 10))
  t.equal(publisher.lastChanged(keyText(rule)), 9)
  publisher.changed(keyText(orders), event(orders, 11, 'DELETED'))
  t.strictSame([publisher.lastChanged(keyText(a)), publisher.lastChanged(keyText(orders))], [11, undefined])
})

t.test('conditions are looked at where they changed, and where somebody wrote the object', async (t) => {
  const { publisher, described, written } = world(t)
  publisher.reset(
    new Map([
      [keyText(a), stored(a, 1)],
      [keyText(rule), stored(rule, 2)],
    ]),
    7,
  )
  await written()
  t.strictSame(
    described
      .at(-1)
      ?.map(({ object }) => keyText(object))
      .sort(),
    [keyText(rule), keyText(a)].sort(),
  )
  t.equal([...publisher.conditions()].length, 2)
  const b = entry('b', { address: '10.0.0.2' })
  publisher.changed(keyText(b), event(b, 8))
  await written()
  const [told] = described.at(-1)!.filter(({ object }) => object === rule)
  t.match(told?.conditions.at(-1)?.message, /in front of shop\/a, shop\/b/)
  t.notOk(
    described.at(-1)?.some(({ object }) => object === a),
    'of the other workload there is nothing new',
  )
  const overwritten = { ...rule, status: { conditions: [] } }
  publisher.changed(keyText(rule), event(overwritten, 9))
  await written()
  t.strictSame(
    described.at(-1)?.map(({ object }) => object),
    [overwritten],
  )
})

t.test('who comes from a replica that is ahead waits for its revision, not for ever', async (t) => {
  const { publisher } = world(t)
  publisher.reset(new Map(), 7)
  t.equal(await publisher.reached(7, 10_000), true)
  const waiting = publisher.reached(8, 10_000)
  publisher.changed(keyText(a), event(a, 8))
  t.equal(await waiting, true)
  t.equal(await publisher.reached(9, 1), false)
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
