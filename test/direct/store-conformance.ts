// What every store must do, as a table: run against SQLite here, and against any later store with its own `open`.
import type { Test } from 'tap'
import type { Store, StoreEvent } from '../../control/store/store.ts'
import { MeshError } from '../../core/base/errors.ts'
import type { MeshObject, ObjectKey } from '../../core/model/resource.ts'

export interface StoreUnderTest {
  readonly store: Store
  /** Another look at the same data, as after a restart. The first store is closed. */
  reopen(): Promise<Store>
}

export interface ConformanceCase {
  readonly name: string
  /** Runs with a fresh store that keeps 20 changes of history. */
  run(t: Test, under: StoreUnderTest): Promise<void>
}

export function keyOf(name: string, namespace = 'shop', kind = 'Service'): ObjectKey {
  return { group: '', kind, namespace, name }
}

export function objectOf(name: string, value = 'a', namespace = 'shop'): MeshObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace, labels: { value } }, spec: { value } }
}

/** The first `count` events, with a deadline. */
async function take(events: AsyncIterable<StoreEvent>, count: number): Promise<readonly StoreEvent[]> {
  const taken: StoreEvent[] = []
  for await (const event of events) {
    taken.push(event)
    if (taken.length === count) return taken
  }
  return taken
}

const soon = (): AbortSignal => AbortSignal.timeout(5000)

function summary(events: readonly StoreEvent[]): readonly string[] {
  return events.map(({ type, stored }) => `${type} ${stored.key.namespace}/${stored.key.name}@${stored.revision}`)
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'resolved'
  } catch (error: unknown) {
    return error instanceof MeshError ? error.code : String(error)
  }
}

export const storeConformance: readonly ConformanceCase[] = [
  {
    name: 'an object comes back as it was written, with its revision as resourceVersion',
    async run(t, { store }) {
      const created = await store.create(keyOf('a'), objectOf('a', 'ä€😀'))
      t.equal(created.object.metadata.resourceVersion, String(created.revision))
      t.strictSame(await store.get(keyOf('a')), created)
      t.equal(created.object.spec?.['value'], 'ä€😀')
      t.equal(await store.get(keyOf('b')), undefined)
    },
  },
  {
    name: 'creating an object that exists is a conflict and changes nothing',
    async run(t, { store }) {
      const created = await store.create(keyOf('a'), objectOf('a'))
      t.equal(await codeOf(store.create(keyOf('a'), objectOf('a', 'b'))), 'RESOURCE_CONFLICT')
      t.strictSame(await store.get(keyOf('a')), created)
      t.equal((await store.list({})).revision, created.revision)
    },
  },
  {
    name: 'revisions are one growing sequence over all objects, deletions included',
    async run(t, { store }) {
      const revisions = [
        (await store.create(keyOf('a'), objectOf('a'))).revision,
        (await store.create(keyOf('b'), objectOf('b'))).revision,
        (await store.update(keyOf('a'), objectOf('a', 'b'), undefined)).revision,
        (await store.delete(keyOf('b'), undefined)).revision,
        (await store.create(keyOf('b'), objectOf('b'))).revision,
      ]
      for (const [index, revision] of revisions.slice(1).entries()) t.ok(revision > revisions[index]!)
      t.equal((await store.list({})).revision, revisions.at(-1))
    },
  },
  {
    name: 'a conditional write succeeds only at the expected revision',
    async run(t, { store }) {
      const first = await store.create(keyOf('a'), objectOf('a'))
      const second = await store.update(keyOf('a'), objectOf('a', 'b'), first.revision)
      t.equal(await codeOf(store.update(keyOf('a'), objectOf('a', 'c'), first.revision)), 'RESOURCE_CONFLICT')
      t.equal(await codeOf(store.delete(keyOf('a'), first.revision)), 'RESOURCE_CONFLICT')
      t.equal((await store.get(keyOf('a')))?.object.spec?.['value'], 'b')
      t.equal(await codeOf(store.delete(keyOf('a'), second.revision)), 'resolved')
      t.equal(await store.get(keyOf('a')), undefined)
    },
  },
  {
    name: 'updating or deleting what is not there is RESOURCE_NOT_FOUND',
    async run(t, { store }) {
      t.equal(await codeOf(store.update(keyOf('a'), objectOf('a'), undefined)), 'RESOURCE_NOT_FOUND')
      t.equal(await codeOf(store.delete(keyOf('a'), undefined)), 'RESOURCE_NOT_FOUND')
    },
  },
  {
    name: 'of many conditional updates at once exactly one wins',
    async run(t, { store }) {
      const { revision } = await store.create(keyOf('a'), objectOf('a'))
      const writes = Array.from({ length: 10 }, (_, index) =>
        store.update(keyOf('a'), objectOf('a', `v${index}`), revision),
      )
      const codes = await Promise.all(writes.map(codeOf))
      t.equal(codes.filter((code) => code === 'resolved').length, 1)
      t.equal(codes.filter((code) => code === 'RESOURCE_CONFLICT').length, 9)
    },
  },
  {
    name: 'list filters by group, kind and namespace, in key order',
    async run(t, { store }) {
      await store.create(keyOf('b'), objectOf('b'))
      await store.create(keyOf('a'), objectOf('a'))
      await store.create(keyOf('a', 'other'), objectOf('a', 'a', 'other'))
      await store.create(keyOf('a', 'shop', 'Thing'), objectOf('a'))
      const names = async (filter: Parameters<Store['list']>[0]) =>
        (await store.list(filter)).items.map(({ key }) => `${key.kind} ${key.namespace}/${key.name}`)
      t.strictSame(await names({ kind: 'Service' }), ['Service other/a', 'Service shop/a', 'Service shop/b'])
      t.strictSame(await names({ kind: 'Service', namespace: 'shop' }), ['Service shop/a', 'Service shop/b'])
      t.strictSame(await names({ group: 'x.example' }), [])
      t.equal((await names({})).length, 4)
    },
  },
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
      const stop = new AbortController()
      const aborted = take(store.watch({}, 0, stop.signal), 1)
      const closed = take(store.watch({}, 0, soon()), 1)
      stop.abort()
      t.strictSame(await aborted, [])
      await store.close()
      t.strictSame(await closed, [])
    },
  },
  {
    name: 'a watch from a compacted revision, or from one ahead, is RESOURCE_CONFLICT',
    async run(t, { store }) {
      await store.create(keyOf('a'), objectOf('a'))
      for (let index = 0; index < 40; index += 1) await store.update(keyOf('a'), objectOf('a', `${index}`), undefined)
      const { revision } = await store.list({})
      t.equal(await codeOf(take(store.watch({}, 1, soon()), 1)), 'RESOURCE_CONFLICT')
      t.equal(await codeOf(take(store.watch({}, revision + 1, soon()), 1)), 'RESOURCE_CONFLICT')
      t.equal((await take(store.watch({}, revision - 20, soon()), 20)).length, 20)
    },
  },
  {
    name: 'everything is there after reopening, and revisions go on',
    async run(t, { store, reopen }) {
      const written = await store.create(keyOf('a'), objectOf('a'))
      await store.records.put('hosts', 'h1', { up: true })
      await store.delete(keyOf('a'), undefined)
      const last = await store.create(keyOf('b'), objectOf('b'))
      const again = await reopen()
      t.strictSame(await again.get(keyOf('b')), last)
      t.strictSame(await again.records.get('hosts', 'h1'), { up: true })
      t.ok((await again.create(keyOf('a'), objectOf('a'))).revision > last.revision)
      t.equal((await take(again.watch({}, written.revision, soon()), 3)).length, 3)
    },
  },
  {
    name: 'records are kept by bucket and key, outside the revisions',
    async run(t, { store }) {
      const { revision } = await store.list({})
      await store.records.put('tokens', 'b', { n: 1 })
      await store.records.put('tokens', 'a', [1, 'x', null])
      await store.records.put('hosts', 'a', 'other')
      await store.records.put('tokens', 'b', { n: 2 })
      t.strictSame(await store.records.list('tokens'), [
        { key: 'a', value: [1, 'x', null] },
        { key: 'b', value: { n: 2 } },
      ])
      await store.records.delete('tokens', 'a')
      await store.records.delete('tokens', 'never')
      t.equal(await store.records.get('tokens', 'a'), undefined)
      t.equal((await store.list({})).revision, revision)
    },
  },
  {
    name: 'a record can be taken once, however many try',
    async run(t, { store }) {
      await store.records.put('tokens', 'a', { secret: 1 })
      const taken = await Promise.all(Array.from({ length: 8 }, () => store.records.take('tokens', 'a')))
      t.strictSame(
        taken.filter((value) => value !== undefined),
        [{ secret: 1 }],
      )
      t.equal(await store.records.get('tokens', 'a'), undefined)
    },
  },
  {
    name: 'pages at one revision are the list as it was, whatever is written meanwhile',
    async run(t, { store }) {
      const names = ['a', 'b', 'c', 'd', 'e', 'f']
      for (const name of names) await store.create(keyOf(name), objectOf(name, 'old'))
      const first = await store.list({ kind: 'Service' }, { limit: 2 })
      t.strictSame([first.more, first.remaining], [true, 4])
      await store.delete(keyOf('b'), undefined)
      await store.delete(keyOf('c'), undefined)
      await store.create(keyOf('c'), objectOf('c', 'new'))
      await store.update(keyOf('d'), objectOf('d', 'new'), undefined)
      await store.update(keyOf('d'), objectOf('d', 'newer'), undefined)
      await store.create(keyOf('cc'), objectOf('cc', 'new'))
      await store.delete(keyOf('f'), undefined)
      const items = [...first.items]
      let page = first
      while (page.more) {
        page = await store.list({ kind: 'Service' }, { limit: 2, after: items.at(-1)!.key, revision: first.revision })
        t.equal(page.revision, first.revision)
        items.push(...page.items)
      }
      t.strictSame(
        items.map(({ key, object }) => `${key.name} ${object.spec?.['value']}`),
        names.map((name) => `${name} old`),
      )
      for (const { object, revision } of items) t.equal(object.metadata.resourceVersion, String(revision))
      t.ok(items.every(({ revision }, index) => index === 0 || revision > items[index - 1]!.revision))
      const now = await store.list({ kind: 'Service' }, { limit: 5 })
      t.strictSame(
        now.items.map(({ key, object }) => `${key.name} ${object.spec?.['value']}`),
        ['a old', 'c new', 'cc new', 'd newer', 'e old'],
      )
      t.strictSame([now.more, now.remaining], [false, 0])
    },
  },
  {
    name: 'a page at a compacted revision, or at one ahead, is RESOURCE_CONFLICT',
    async run(t, { store }) {
      const { revision: early } = await store.create(keyOf('a'), objectOf('a'))
      for (let index = 0; index < 40; index += 1) await store.update(keyOf('a'), objectOf('a', `${index}`), undefined)
      const { revision } = await store.list({})
      t.equal(await codeOf(store.list({}, { revision: early })), 'RESOURCE_CONFLICT')
      t.equal(await codeOf(store.list({}, { revision: revision + 1 })), 'RESOURCE_CONFLICT')
      t.equal((await store.list({}, { revision: revision - 1 })).items[0]?.object.spec?.['value'], '38')
    },
  },
  {
    name: 'of many swaps of a record at once exactly one wins, and a deleted one is another',
    async run(t, { store: { records } }) {
      const race = (revision: number) =>
        Promise.all(Array.from({ length: 10 }, (_, index) => records.swap('locks', 'a', { index }, revision)))
      const created = (await race(0)).filter((swapped) => swapped !== undefined)
      t.equal(created.length, 1)
      const entry = await records.entry('locks', 'a')
      t.equal(entry?.revision, created[0]?.revision)
      const changed = (await race(entry!.revision)).filter((swapped) => swapped !== undefined)
      t.equal(changed.length, 1)
      t.ok(changed[0]!.revision > created[0]!.revision)
      await records.delete('locks', 'a')
      t.equal(await records.swap('locks', 'a', 1, changed[0]!.revision), undefined)
      t.equal(await records.entry('locks', 'a'), undefined)
      t.ok((await records.swap('locks', 'a', 2, 0))!.revision > changed[0]!.revision)
      t.equal(await records.get('locks', 'a'), 2)
    },
  },
  {
    name: 'many records are put at once or not at all',
    async run(t, { store: { records } }) {
      await records.putAll('vips', [
        { key: '10.0.0.1', value: 'a' },
        { key: '2001:2::1', value: 'b' },
      ])
      t.equal((await records.list('vips')).length, 2)
      const many = Array.from({ length: 101 }, (_, index) => ({ key: `${index}`, value: index }))
      t.equal(await codeOf(records.putAll('vips', many)), 'LIMIT_REACHED')
      t.equal((await records.list('vips')).length, 2)
      await records.putAll('vips', many.slice(1))
      t.equal((await records.list('vips')).length, 102)
    },
  },
  {
    name: 'a watch of records tells what is there, then what changes in its bucket',
    async run(t, { store }) {
      await store.records.put('keys', 'a', 1)
      await store.records.put('other', 'a', 'other')
      const events = store.records.watch('keys', soon())[Symbol.asyncIterator]()
      t.strictSame((await events.next()).value, { key: 'a', value: 1 })
      await store.records.put('other', 'b', 'other')
      await store.records.put('keys', 'b', { two: 2 })
      t.strictSame((await events.next()).value, { key: 'b', value: { two: 2 } })
      await store.records.delete('keys', 'a')
      t.strictSame((await events.next()).value, { key: 'a', value: undefined })
      const last = events.next()
      await store.close()
      t.equal((await last).done, true)
    },
  },
  {
    name: 'a closed store fails and does not crash',
    async run(t, { store }) {
      await store.close()
      t.equal(await codeOf(store.get(keyOf('a'))), 'STORE_FAILED')
      t.equal(await codeOf(store.create(keyOf('a'), objectOf('a'))), 'STORE_FAILED')
      t.equal(await codeOf(store.close()), 'resolved')
    },
  },
]
