// Answers that get lost: what the etcd store says about a write is true nevertheless, and the write happens once.
import t from 'tap'
import { openEtcdStore } from '../../control/store/etcd.ts'
import type { Store } from '../../control/store/store.ts'
import { MeshError } from '../../core/base/errors.ts'
import { EtcdCluster } from '../helpers/etcd.ts'
import { EtcdProxy } from '../helpers/etcd-proxy.ts'
import { codeOf, keyOf, objectOf } from '../helpers/store-cases.ts'

const cluster = await EtcdCluster.start()
const proxy = await EtcdProxy.start(cluster.endpoints[0]!)
t.teardown(() => {
  proxy.close()
  return cluster.close()
})

interface Scene {
  /** Through the proxy. */
  readonly store: Store
  /** Of somebody else, straight to etcd. */
  readonly other: Store
  /** The answers of the next writes get lost, after `meanwhile`. */
  lose(count: number, meanwhile?: () => Promise<unknown>): void
}

let scenes = 0

async function scene(test: { teardown(done: () => Promise<unknown>): void }): Promise<Scene> {
  scenes += 1
  const prefix = `/answers/${scenes}/`
  const store = await openEtcdStore({ endpoints: [proxy.endpoint], prefix, deadlineMs: 3000 })
  const other = await openEtcdStore({ endpoints: cluster.endpoints, prefix })
  test.teardown(() => Promise.all([store.close(), other.close()]))
  const lose = (count: number, meanwhile?: () => Promise<unknown>): void => {
    let left = count
    proxy.fate = async (path) => {
      if (path !== '/v3/kv/txn' || left === 0) return 'pass'
      left -= 1
      if (left === count - 1) await meanwhile?.()
      return 'lose'
    }
  }
  return { store, other, lose }
}

t.test('a creation whose answer is lost is acknowledged with its revision, and happens once', async (t) => {
  const { store, other, lose } = await scene(t)
  lose(2)
  const created = await store.create(keyOf('a'), objectOf('a'))
  t.strictSame(await other.get(keyOf('a')), created)
  t.equal(await codeOf(store.create(keyOf('a'), objectOf('a'))), 'RESOURCE_CONFLICT')
})

t.test('an update whose answer is lost is acknowledged, also where somebody wrote after it', async (t) => {
  const { store, other, lose } = await scene(t)
  const { revision } = await store.create(keyOf('a'), objectOf('a'))
  let later = 0
  lose(1, async () => {
    await other.update(keyOf('a'), objectOf('a', 'other'), undefined)
    later = (await other.update(keyOf('a'), objectOf('a', 'last'), undefined)).revision
  })
  const updated = await store.update(keyOf('a'), objectOf('a', 'own'), revision)
  t.ok(updated.revision > revision && updated.revision < later)
  t.equal((await other.get(keyOf('a')))?.object.spec?.['value'], 'last')
})

t.test('an update that somebody else made impossible is a conflict, lost answers or not', async (t) => {
  const { store, other, lose } = await scene(t)
  const { revision } = await store.create(keyOf('a'), objectOf('a'))
  await other.update(keyOf('a'), objectOf('a', 'other'), undefined)
  lose(1)
  t.equal(await codeOf(store.update(keyOf('a'), objectOf('a', 'own'), revision)), 'RESOURCE_CONFLICT')
  t.equal((await other.get(keyOf('a')))?.object.spec?.['value'], 'other')
})

t.test('a deletion whose answer is lost is acknowledged; that of somebody else is not taken for it', async (t) => {
  const { store, other, lose } = await scene(t)
  for (const name of ['a', 'b', 'c']) await store.create(keyOf(name), objectOf(name))
  lose(1, () => other.delete(keyOf('b'), undefined))
  const { revision } = (await store.get(keyOf('a')))!
  const deleted = await store.delete(keyOf('a'), revision)
  t.ok(deleted.revision > revision)
  t.equal(await other.get(keyOf('a')), undefined)
  const before = (await store.get(keyOf('c')))!
  proxy.fate = async (path) => {
    // between reading and deleting
    proxy.fate = async () => 'pass'
    if (path === '/v3/kv/range') await other.delete(keyOf('c'), undefined)
    return 'pass'
  }
  t.equal(await codeOf(store.delete(keyOf('c'), before.revision)), 'RESOURCE_NOT_FOUND')
})

t.test('a record is swapped and taken once, lost answers or not', async (t) => {
  const { store, other, lose } = await scene(t)
  lose(1)
  const swapped = await store.records.swap('locks', 'a', 'mine', 0)
  t.equal((await other.records.entry('locks', 'a'))?.revision, swapped?.revision)
  lose(2)
  t.equal(await store.records.take('locks', 'a'), 'mine')
  t.equal(await other.records.take('locks', 'a'), undefined)
  lose(1)
  await store.records.putAll('pairs', [
    { key: 'a', value: 1 },
    { key: 'b', value: 1 },
  ])
  t.equal((await other.records.list('pairs')).length, 2)
})

t.test('where every answer is lost the error says that the write may have happened', async (t) => {
  const { store, other, lose } = await scene(t)
  lose(1_000_000)
  const error = await store.create(keyOf('a'), objectOf('a')).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  t.ok(error instanceof MeshError && error.code === 'STORE_FAILED')
  t.match((error as Error).message, /whether the write happened is not known: read again/)
  t.ok(await other.get(keyOf('a')))
})

t.test('a watch through a connection that breaks goes on where it was', async (t) => {
  const { store, other } = await scene(t)
  proxy.fate = async () => 'pass'
  const { revision } = await store.list({})
  const seen: string[] = []
  const watched = (async () => {
    for await (const { stored } of store.watch({}, revision, AbortSignal.timeout(20_000))) {
      seen.push(stored.key.name)
      if (seen.length === 30) return
    }
  })()
  for (let index = 0; index < 30; index += 1) {
    await other.create(keyOf(`n${index}`), objectOf(`n${index}`))
    if (index % 10 === 5) proxy.breakAll()
  }
  await watched
  t.strictSame(
    seen,
    Array.from({ length: 30 }, (_, index) => `n${index}`),
  )
})
