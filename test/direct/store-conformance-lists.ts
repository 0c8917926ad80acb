// What every store must do with lists and their pages.

import type { Store } from '../../control/store/store.ts'
import { type ConformanceCase, codeOf, keyOf, objectOf, until } from '../helpers/store-cases.ts'

export const listCases: readonly ConformanceCase[] = [
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
      const revisions: number[] = []
      for (let index = 0; index < 40; index += 1) {
        revisions.push((await store.update(keyOf('a'), objectOf('a', `${index}`), undefined)).revision)
      }
      await until(async () => (await codeOf(store.list({}, { revision: early }))) === 'RESOURCE_CONFLICT')
      const { revision } = await store.list({})
      t.equal(await codeOf(store.list({}, { revision: revision + 1000 })), 'RESOURCE_CONFLICT')
      t.equal((await store.list({}, { revision: revisions.at(-2)! })).items[0]?.object.spec?.['value'], '38')
    },
  },
  {
    name: 'the order is that of group, kind, namespace and name one after the other, by bytes',
    async run(t, { store }) {
      const namespaces = ['a', 'a-b', 'a.b', 'a0', 'ab', 'b']
      const names = ['x', 'x-1', 'x.y', 'x0', 'xä', 'y']
      const keys = namespaces.flatMap((namespace) => names.map((name) => keyOf(name, namespace)))
      const shuffled = [...keys, { group: 'g.example', kind: 'Service', namespace: 'a', name: 'x' }]
      shuffled.sort((a, b) => a.name.length - b.name.length)
      for (const key of shuffled) await store.create(key, objectOf(key.name, 'v', key.namespace))
      const all = (await store.list({})).items.map(({ key }) => key)
      t.strictSame(all, [...keys, { group: 'g.example', kind: 'Service', namespace: 'a', name: 'x' }])
      const pages: unknown[] = []
      let page = await store.list({ namespace: 'a' }, { limit: 2 })
      for (;;) {
        pages.push(...page.items.map(({ key }) => key))
        t.equal(page.remaining, 7 - pages.length)
        if (!page.more) break
        page = await store.list(
          { namespace: 'a' },
          { limit: 2, after: page.items.at(-1)!.key, revision: page.revision },
        )
      }
      t.strictSame(
        pages,
        all.filter(({ namespace }) => namespace === 'a'),
      )
    },
  },
  {
    name: 'a page exactly as long as the rest is the last one, and one beyond the end is empty',
    async run(t, { store }) {
      for (const name of ['a', 'b', 'c']) await store.create(keyOf(name), objectOf(name))
      const { more, remaining, revision } = await store.list({}, { limit: 3 })
      t.strictSame([more, remaining], [false, 0])
      const beyond = await store.list({}, { limit: 3, after: keyOf('c'), revision })
      t.strictSame([beyond.items, beyond.more, beyond.remaining], [[], false, 0])
    },
  },
]
