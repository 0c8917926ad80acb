// Writes objects to a store until it is killed, printing each revision once it is acknowledged (test/direct/store-sqlite).
import { openSqliteStore } from '../../control/store/sqlite.ts'

const store = await openSqliteStore(process.argv[2]!)
for (let index = 0; ; index += 1) {
  const key = { group: '', kind: 'Service', namespace: 'shop', name: `n${index}` }
  const { revision } = await store.create(key, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: key.name, namespace: 'shop' },
  })
  process.stdout.write(`${revision}\n`)
}
