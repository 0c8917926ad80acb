// The etcd store against the conformance table, on a real etcd.
import t from 'tap'
import { openEtcdStore } from '../../control/store/etcd.ts'
import { EtcdCluster } from '../helpers/etcd.ts'
import { keyOf, objectOf } from '../helpers/store-cases.ts'
import { storeConformance } from './store-conformance.ts'

const cluster = await EtcdCluster.start()
t.teardown(() => cluster.close())

for (const [index, { name, run }] of storeConformance.entries()) {
  t.test(name, async (t) => {
    const options = { endpoints: cluster.endpoints, prefix: `/conformance/${index}/`, historyLimit: 20 }
    const store = await openEtcdStore(options)
    let current = store
    t.teardown(() => current.close())
    await run(t, {
      store,
      reopen: async () => {
        await store.close()
        current = await openEtcdStore(options)
        return current
      },
    })
  })
}

t.test('a watch of everything hears by the lease how far it has come, between its events', async (t) => {
  const store = await openEtcdStore({ endpoints: cluster.endpoints, prefix: '/progress/' })
  t.teardown(() => store.close())
  const { revision } = await store.list({})
  const stop = new AbortController()
  const told: (number | string)[] = []
  const two = Promise.withResolvers<void>()
  const reading = (async () => {
    const onProgress = (reached: number) => {
      told.push(reached)
      if (told.length === 3) two.resolve()
    }
    for await (const { stored } of store.watch({}, revision, stop.signal, onProgress)) told.push(stored.key.name)
  })()
  const first = await store.records.swap('leases', 'leader', { holder: 'a' }, 0)
  await store.create(keyOf('one'), objectOf('one'))
  await store.records.put('hosts', 'h1', { host: 'h1' })
  const second = await store.records.swap('leases', 'leader', { holder: 'b' }, first!.revision)
  await two.promise
  stop.abort()
  await reading
  t.strictSame(told, [first?.revision, 'one', second?.revision], 'other records are not heard of')
  t.match(await store.records.list('leases'), [{ key: 'leader', value: { holder: 'b' } }])
  t.strictSame((await store.list({})).items.length, 1, 'the lease is no object')
})
