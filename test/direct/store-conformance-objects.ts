// What every store must do with objects.
import { type ConformanceCase, codeOf, keyOf, objectOf, soon, take } from '../helpers/store-cases.ts'

export const objectCases: readonly ConformanceCase[] = [
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
      t.ok((await store.list({})).revision >= revisions.at(-1)!)
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
    name: 'a closed store fails and does not crash',
    async run(t, { store }) {
      await store.close()
      t.equal(await codeOf(store.get(keyOf('a'))), 'STORE_FAILED')
      t.equal(await codeOf(store.create(keyOf('a'), objectOf('a'))), 'STORE_FAILED')
      t.equal(await codeOf(store.close()), 'resolved')
    },
  },
  {
    name: 'fifty writers that read, change and write back lose no change',
    async run(t, { store }) {
      await store.create(keyOf('a'), objectOf('a', '0'))
      let conflicts = 0
      const increment = async (): Promise<void> => {
        for (;;) {
          const { object, revision } = (await store.get(keyOf('a')))!
          const next = Number(object.spec?.['value']) + 1
          const code = await codeOf(store.update(keyOf('a'), objectOf('a', `${next}`), revision))
          if (code === 'resolved') return
          if (code !== 'RESOURCE_CONFLICT') throw new Error(code)
          conflicts += 1
        }
      }
      await Promise.all(Array.from({ length: 50 }, increment))
      t.equal((await store.get(keyOf('a')))?.object.spec?.['value'], '50')
      t.ok(conflicts > 0)
    },
  },
  {
    name: 'unconditional writes at once all succeed, and the last one stays',
    async run(t, { store }) {
      await store.create(keyOf('a'), objectOf('a'))
      const writes = Array.from({ length: 20 }, (_, index) =>
        store.update(keyOf('a'), objectOf('a', `${index}`), undefined),
      )
      const revisions = (await Promise.all(writes)).map(({ revision }) => revision)
      t.equal(new Set(revisions).size, 20)
      t.equal((await store.get(keyOf('a')))?.revision, Math.max(...revisions))
    },
  },
]
