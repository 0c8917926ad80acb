// What every store must do with watches of objects.

import type { StoreEvent } from '../../control/store/store.ts'
import { type ConformanceCase, codeOf, keyOf, objectOf, soon, summary, take, until } from '../helpers/store-cases.ts'

export const watchCases: readonly ConformanceCase[] = [
  {
    name: 'a watch tells what happened after its revision, in order, then what happens',
    async run(t, { store }) {
      const first = await store.create(keyOf('a'), objectOf('a'))
      const second = await store.update(keyOf('a'), objectOf('a', 'b'), undefined)
      const events = take(store.watch({}, first.revision, soon()), 3)
      const third = await store.delete(keyOf('a'), undefined)
      const fourth = await store.create(keyOf('b'), objectOf('b'))
      t.strictSame(summary(await events), [
        `MODIFIED shop/a@${second.revision}`,
        `DELETED shop/a@${third.revision}`,
        `ADDED shop/b@${fourth.revision}`,
      ])
    },
  },
  {
    name: 'an event carries the state before it',
    async run(t, { store }) {
      const { revision } = await store.create(keyOf('a'), objectOf('a', 'before'))
      await store.update(keyOf('a'), objectOf('a', 'after'), undefined)
      await store.delete(keyOf('a'), undefined)
      const [modified, deleted] = await take(store.watch({}, revision, soon()), 2)
      t.equal(modified?.previous?.spec?.['value'], 'before')
      t.equal(modified?.stored.object.spec?.['value'], 'after')
      t.equal(deleted?.stored.object.spec?.['value'], 'after')
      t.equal(deleted?.stored.object.metadata.resourceVersion, String(deleted?.stored.revision))
    },
  },
  {
    name: 'a watch sees only what fits its filter',
    async run(t, { store }) {
      const { revision } = await store.list({})
      const events = take(store.watch({ kind: 'Service', namespace: 'other' }, revision, soon()), 1)
      await store.create(keyOf('a'), objectOf('a'))
      await store.create(keyOf('a', 'other', 'Thing'), objectOf('a', 'a', 'other'))
      const wanted = await store.create(keyOf('a', 'other'), objectOf('a', 'a', 'other'))
      t.strictSame(summary(await events), [`ADDED other/a@${wanted.revision}`])
    },
  },
  {
    name: 'many watchers see the same events, the slow one too',
    async run(t, { store }) {
      const { revision } = await store.list({})
      const quick = Array.from({ length: 4 }, () => take(store.watch({}, revision, soon()), 15))
      const slow = store.watch({}, revision, soon())[Symbol.asyncIterator]()
      const first = slow.next()
      for (let index = 0; index < 15; index += 1) await store.create(keyOf(`n${index}`), objectOf(`n${index}`))
      const seen = (await Promise.all(quick)).map((events) => summary(events).join())
      t.equal(new Set(seen).size, 1)
      const late = [(await first).value, (await slow.next()).value] as StoreEvent[]
      t.strictSame(
        late.map(({ stored }) => stored.key.name),
        ['n0', 'n1'],
      )
      await slow.return?.()
    },
  },
  {
    name: 'a watch ends when its signal aborts or the store closes',
    async run(t, { store }) {
      const { revision } = await store.list({})
      const stop = new AbortController()
      const aborted = take(store.watch({}, revision, stop.signal), 1)
      const closed = take(store.watch({}, revision, soon()), 1)
      stop.abort()
      t.strictSame(await aborted, [])
      await store.close()
      t.strictSame(await closed, [])
    },
  },
  {
    name: 'a watch from a compacted revision, or from one ahead, is RESOURCE_CONFLICT',
    async run(t, { store }) {
      const { revision: early } = await store.create(keyOf('a'), objectOf('a'))
      const recent: number[] = []
      for (let index = 0; index < 40; index += 1) {
        recent.push((await store.update(keyOf('a'), objectOf('a', `${index}`), undefined)).revision)
      }
      // a store may compact in the background
      await until(async () => (await codeOf(store.list({}, { revision: early }))) === 'RESOURCE_CONFLICT')
      t.equal(await codeOf(take(store.watch({}, early, soon()), 1)), 'RESOURCE_CONFLICT')
      const { revision } = await store.list({})
      t.equal(await codeOf(take(store.watch({}, revision + 1000, soon()), 1)), 'RESOURCE_CONFLICT')
      const events = await take(store.watch({}, recent.at(-16)!, soon()), 15)
      t.strictSame(
        events.map(({ stored }) => stored.revision),
        recent.slice(-15),
      )
    },
  },
  {
    name: 'a watch that goes on from the last event misses none and repeats none',
    async run(t, { store }) {
      let { revision } = await store.list({})
      const written: number[] = []
      const seen: number[] = []
      for (let round = 0; round < 3; round += 1) {
        for (let index = 0; index < 4; index += 1) {
          written.push((await store.create(keyOf(`n${round}-${index}`), objectOf(`n${round}-${index}`))).revision)
        }
        const events = await take(store.watch({ group: '', kind: 'Service' }, revision, soon()), 3)
        seen.push(...events.map(({ stored }) => stored.revision))
        revision = seen.at(-1)!
      }
      seen.push(...(await take(store.watch({}, revision, soon()), 3)).map(({ stored }) => stored.revision))
      t.strictSame(seen, written)
    },
  },
  {
    name: 'a watch carries big objects whole, with their state before',
    async run(t, { store }) {
      const big = (letter: string) => letter.repeat(600_000)
      const { revision } = await store.create(keyOf('a'), objectOf('a', big('a')))
      const events = take(store.watch({}, revision, AbortSignal.timeout(20_000)), 3)
      await store.update(keyOf('a'), objectOf('a', big('b')), revision)
      await store.update(keyOf('a'), objectOf('a', '€'.repeat(200_000)), undefined)
      await store.delete(keyOf('a'), undefined)
      const values = (await events).map(({ stored, previous }) =>
        [stored.object, previous].map((o) => o?.spec?.['value']),
      )
      t.ok(values[0]?.[0] === big('b') && values[0][1] === big('a'))
      t.ok(values[1]?.[0] === '€'.repeat(200_000) && values[1][1] === big('b'))
      t.ok(values[2]?.[0] === '€'.repeat(200_000))
    },
  },
]
