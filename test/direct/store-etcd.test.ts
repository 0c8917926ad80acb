// The etcd store against the conformance table, on a real etcd.
import t from 'tap'
import { openEtcdStore } from '../../control/store/etcd.ts'
import { EtcdCluster } from '../helpers/etcd.ts'
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
