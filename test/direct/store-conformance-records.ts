// What every store must do with private records.
import { type ConformanceCase, codeOf, keyOf, objectOf, soon } from '../helpers/store-cases.ts'

export const recordCases: readonly ConformanceCase[] = [
  {
    name: 'records are kept by bucket and key, outside the revisions',
    async run(t, { store }) {
      const written = await store.create(keyOf('a'), objectOf('a'))
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
      t.strictSame((await store.list({})).items, [written])
      await store.records.put('ünï', 'kéy/with slash', 'ä€😀')
      t.strictSame(await store.records.list('ünï'), [{ key: 'kéy/with slash', value: 'ä€😀' }])
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
    name: 'fifty writers that swap a record lose no change',
    async run(t, { store: { records } }) {
      const increment = async (): Promise<void> => {
        for (;;) {
          const entry = await records.entry('counters', 'a')
          const value = ((entry?.value as number | undefined) ?? 0) + 1
          if ((await records.swap('counters', 'a', value, entry?.revision ?? 0)) !== undefined) return
        }
      }
      await Promise.all(Array.from({ length: 50 }, increment))
      t.equal(await records.get('counters', 'a'), 50)
    },
  },
]
