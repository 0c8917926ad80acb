// The etcd store while members die, freeze, lose their majority or run full: it goes on where it can, and says what to do where not.
import t from 'tap'
import { openEtcdStore } from '../../control/store/etcd.ts'
import type { Store } from '../../control/store/store.ts'
import { MeshError } from '../../core/base/errors.ts'
import { EtcdCluster } from '../helpers/etcd.ts'
import { EtcdProxy } from '../helpers/etcd-proxy.ts'
import { codeOf, keyOf, objectOf, until } from '../helpers/store-cases.ts'

async function failure(promise: Promise<unknown>): Promise<MeshError> {
  try {
    await promise
  } catch (error: unknown) {
    if (error instanceof MeshError) return error
    throw error
  }
  throw new Error('did not fail')
}

/** What a watch has told so far. */
function follow(store: Store, revision: number, signal: AbortSignal): string[] {
  const seen: string[] = []
  const watched = (async () => {
    for await (const { stored } of store.watch({}, revision, signal)) seen.push(stored.key.name)
  })()
  watched.catch((error: unknown) => seen.push(String(error)))
  return seen
}

t.test('three members', { timeout: 110_000 }, async (t) => {
  const cluster = await EtcdCluster.start({ members: 3 })
  t.teardown(() => cluster.close())
  const { members, endpoints } = cluster

  t.test('writes and watches go on over the death of each member in turn', async (t) => {
    const store = await openEtcdStore({ endpoints, prefix: '/turns/' })
    t.teardown(() => store.close())
    const stop = new AbortController()
    t.teardown(() => stop.abort())
    const { revision } = await store.list({})
    const watchers = Array.from({ length: 3 }, () => follow(store, revision, stop.signal))
    const names: string[] = []
    for (const member of members) {
      await member.kill()
      for (let index = 0; index < 20; index += 1) {
        const name = `${member.name}-${index}`
        await store.create(keyOf(name), objectOf(name))
        names.push(name)
      }
      member.start()
      await cluster.ready(member)
    }
    await until(async () => watchers.every((seen) => seen.length >= names.length))
    for (const seen of watchers) t.strictSame(seen, names)
    t.equal((await store.list({})).items.length, names.length)
  })

  t.test('a frozen member is left, by calls and by quiet watches', async (t) => {
    const store = await openEtcdStore({ endpoints, prefix: '/frozen/', attemptMs: 1500 })
    t.teardown(() => store.close())
    const stop = new AbortController()
    t.teardown(() => stop.abort())
    const { revision } = await store.list({})
    const seen = follow(store, revision, stop.signal)
    await store.create(keyOf('first'), objectOf('first'))
    await until(async () => seen.length === 1)
    for (const member of members) {
      member.signal('SIGSTOP')
      await store.create(keyOf(member.name), objectOf(member.name))
      await until(async () => seen.includes(member.name))
      member.signal('SIGCONT')
      await cluster.ready(member)
    }
    t.strictSame(seen, ['first', 'm0', 'm1', 'm2'])
  })

  t.test('without a majority everything fails with advice, and goes on with it', async (t) => {
    const store = await openEtcdStore({ endpoints, prefix: '/majority/', deadlineMs: 4000 })
    t.teardown(() => store.close())
    const before = await store.create(keyOf('a'), objectOf('a'))
    await Promise.all(members.slice(1).map((member) => member.kill()))
    const write = await failure(store.create(keyOf('b'), objectOf('b')))
    t.equal(write.code, 'STORE_FAILED')
    t.equal(write.retryable, true)
    t.match(write.message, /majority/)
    // a stale answer would be worse than none
    t.equal(await codeOf(store.get(keyOf('a'))), 'STORE_FAILED')
    for (const member of members.slice(1)) member.start()
    await Promise.all(members.map((member) => cluster.ready(member)))
    t.strictSame(await store.get(keyOf('a')), before)
    t.ok(['resolved', 'RESOURCE_CONFLICT'].includes(await codeOf(store.create(keyOf('b'), objectOf('b')))))
  })

  t.test('a member of another cluster is refused, at the start and before a write goes to it', async (t) => {
    const other = await EtcdCluster.start()
    t.teardown(() => other.close())
    const prefix = '/foreign/'
    const error = await failure(openEtcdStore({ endpoints: [...endpoints, ...other.endpoints], prefix }))
    t.match(error.message, /another cluster/)
    const proxy = await EtcdProxy.start(endpoints[0]!)
    t.teardown(async () => proxy.close())
    const store = await openEtcdStore({ endpoints: [proxy.endpoint], prefix })
    t.teardown(() => store.close())
    await store.create(keyOf('a'), objectOf('a'))
    proxy.upstream = other.endpoints[0]!
    proxy.breakAll()
    await failure(store.get(keyOf('b')))
    const later = await failure(store.create(keyOf('b'), objectOf('b')))
    t.equal(later.code, 'STORE_FAILED')
    t.match(later.message, /another cluster/)
    const foreign = await openEtcdStore({ endpoints: other.endpoints, prefix })
    t.teardown(() => foreign.close())
    t.strictSame((await foreign.list({})).items, [])
  })

  t.test('of two stores one compacts, and both see it', async (t) => {
    const open = () => openEtcdStore({ endpoints, prefix: '/compaction/', historyLimit: 50 })
    const stores = await Promise.all([open(), open()])
    t.teardown(() => Promise.all(stores.map((store) => store.close())))
    const { revision } = await stores[0]!.create(keyOf('a'), objectOf('a'))
    for (let index = 0; index < 100; index += 1) {
      await stores[index % 2]!.update(keyOf('a'), objectOf('a', `${index}`), undefined)
    }
    for (const store of stores) {
      await until(async () => (await codeOf(store.list({}, { revision }))) === 'RESOURCE_CONFLICT')
    }
    const now = (await stores[1]!.list({})).revision
    t.equal((await stores[0]!.list({}, { revision: now - 40 })).items.length, 1)
  })
})

t.test('an etcd that has reached its quota refuses writes with advice, and is read', { timeout: 60_000 }, async (t) => {
  const cluster = await EtcdCluster.start({ args: ['--quota-backend-bytes', '4194304'] })
  t.teardown(() => cluster.close())
  const store = await openEtcdStore({ endpoints: cluster.endpoints })
  t.teardown(() => store.close())
  await store.create(keyOf('a'), objectOf('a'))
  let error: MeshError | undefined
  for (let index = 0; index < 20 && error === undefined; index += 1) {
    const write = store.create(keyOf(`n${index}`), objectOf(`n${index}`, 'x'.repeat(400_000)))
    error = await write.then(
      () => undefined,
      (reason: unknown) => reason as MeshError,
    )
  }
  t.equal(error?.code, 'STORE_FAILED')
  t.match(error?.message, /quota.*nothing was changed.*defrag.*alarm disarm/s)
  t.ok(await store.get(keyOf('a')))
})

t.test('an object that is too large is refused with its limit, and nothing is written', async (t) => {
  const cluster = await EtcdCluster.start()
  t.teardown(() => cluster.close())
  const store = await openEtcdStore({ endpoints: cluster.endpoints })
  t.teardown(() => store.close())
  for (const bytes of [1_600_000, 3_000_000]) {
    const error = await failure(store.create(keyOf('a'), { ...objectOf('a'), spec: { text: 'x'.repeat(bytes) } }))
    t.equal(error.code, 'LIMIT_REACHED')
    t.match(error.message, /larger than etcd takes.*1\.5 MiB/)
  }
  t.equal(await store.get(keyOf('a')), undefined)
})

t.test('where nobody listens, opening fails with the addresses and advice', async (t) => {
  const endpoints = [new URL('http://127.0.0.1:1'), new URL('http://127.0.0.1:2')]
  const error = await failure(openEtcdStore({ endpoints, deadlineMs: 1000 }))
  t.equal(error.code, 'STORE_FAILED')
  t.match(error.message, /etcd at 127\.0\.0\.1:1, 127\.0\.0\.1:2 does not answer: check.*ECONNREFUSED/s)
})
