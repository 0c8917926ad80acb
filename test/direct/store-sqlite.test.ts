// The SQLite store against the conformance table, and what only a file can suffer.
import { chmodSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { openSqliteStore } from '../../control/store/sqlite.ts'
import { openFile } from '../../control/store/sqlite-file.ts'
import { MeshError } from '../../core/base/errors.ts'
import { keyOf, objectOf } from '../helpers/store-cases.ts'
import { storeConformance } from './store-conformance.ts'

for (const { name, run } of storeConformance) {
  t.test(name, async (t) => {
    const file = join(t.testdir(), 'state', 'store.db')
    const store = await openSqliteStore(file, { historyLimit: 20 })
    let current = store
    t.teardown(() => current.close())
    await run(t, {
      store,
      reopen: async () => {
        await store.close()
        current = await openSqliteStore(file, { historyLimit: 20 })
        return current
      },
    })
  })
}

async function failure(work: () => Promise<unknown>): Promise<MeshError> {
  try {
    await work()
  } catch (error: unknown) {
    if (error instanceof MeshError) return error
    throw error
  }
  throw new Error('did not fail')
}

t.test('the file and what lies beside it can be read by their owner only', async (t) => {
  const folder = join(t.testdir(), 'state')
  const store = await openSqliteStore(join(folder, 'store.db'))
  t.teardown(() => store.close())
  await store.create(keyOf('a'), objectOf('a'))
  t.equal(statSync(folder).mode & 0o777, 0o700)
  for (const name of ['store.db', 'store.db-wal']) t.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
})

t.test('a file that is no database is refused with advice, and left as it is', async (t) => {
  const file = join(
    t.testdir({ 'store.db': 'this is not a database, but somebody may want it back'.repeat(40) }),
    'store.db',
  )
  const before = readFileSync(file)
  const error = await failure(() => openSqliteStore(file))
  t.equal(error.code, 'STORE_FAILED')
  t.match(error.message, /store\.db.*(not a store|damaged).*backup/s)
  t.strictSame(readFileSync(file), before)
})

t.test('a damaged store is refused with advice', async (t) => {
  const file = join(t.testdir(), 'store.db')
  const store = await openSqliteStore(file)
  for (let index = 0; index < 200; index += 1)
    await store.create(keyOf(`n${index}`), objectOf(`n${index}`, 'x'.repeat(500)))
  await store.close()
  const bytes = readFileSync(file)
  bytes.fill(0xa5, 8192, bytes.length - 4096)
  writeFileSync(file, bytes)
  const error = await failure(() => openSqliteStore(file))
  t.equal(error.code, 'STORE_FAILED')
  t.match(error.message, /damaged/)
  truncateSync(file, 5000)
  t.equal((await failure(() => openSqliteStore(file))).code, 'STORE_FAILED')
})

t.test('a store of an older Culvert is taken over with its records', async (t) => {
  const file = join(t.testdir(), 'store.db')
  const store = await openSqliteStore(file)
  await store.records.put('hosts', 'h1', { up: true })
  await store.close()
  const database = new DatabaseSync(file)
  database.exec(`ALTER TABLE records DROP COLUMN revision; DELETE FROM counters WHERE name = 'records'`)
  database.exec('PRAGMA user_version = 1')
  database.close()
  const again = await openSqliteStore(file)
  t.teardown(() => again.close())
  const entry = await again.records.entry('hosts', 'h1')
  t.strictSame(entry?.value, { up: true })
  t.ok((await again.records.swap('hosts', 'h1', { up: false }, entry!.revision))!.revision > entry!.revision)
})

t.test('a store of a newer Culvert is refused', async (t) => {
  const file = join(t.testdir(), 'store.db')
  await (await openSqliteStore(file)).close()
  const database = new DatabaseSync(file)
  database.exec('PRAGMA user_version = 99')
  database.close()
  t.match((await failure(() => openSqliteStore(file))).message, /schema 99.*newer/)
})

t.test('a folder that cannot be made is told with its path', async (t) => {
  const blocked = join(t.testdir({ file: 'x' }), 'file', 'store.db')
  const error = await failure(() => openSqliteStore(blocked))
  t.equal(error.code, 'STORE_FAILED')
  t.match(error.message, blocked)
})

t.test(
  'a second control plane on the same file is refused while the first is there',
  { timeout: 30_000 },
  async (t) => {
    const file = join(t.testdir(), 'store.db')
    const store = await openSqliteStore(file)
    t.teardown(() => store.close())
    await store.create(keyOf('a'), objectOf('a'))
    const error = await failure(() => openSqliteStore(file))
    t.match(error.message, /another control plane/)
    t.ok(await store.get(keyOf('a')))
  },
)

t.test('a full store fails the write, changes nothing, and goes on once there is room', async (t) => {
  const file = join(t.testdir(), 'store.db')
  const small = await openSqliteStore(file, { maxBytes: 256 * 1024 })
  const before = await small.create(keyOf('a'), objectOf('a'))
  const error = await failure(() => small.create(keyOf('b'), objectOf('b', 'x'.repeat(300_000))))
  t.equal(error.code, 'STORE_FAILED')
  t.match(error.message, /full.*free some space/)
  t.equal(await small.get(keyOf('b')), undefined)
  t.equal((await small.list({})).revision, before.revision)
  t.equal((await small.create(keyOf('c'), objectOf('c'))).revision, before.revision + 1)
  await small.close()
  const store = await openSqliteStore(file)
  t.teardown(() => store.close())
  t.equal((await store.create(keyOf('b'), objectOf('b', 'x'.repeat(300_000)))).revision, before.revision + 2)
})

t.test('a store that this user may not write fails with its path', async (t) => {
  const file = join(t.testdir(), 'store.db')
  await (await openSqliteStore(file)).close()
  chmodSync(file, 0o400)
  // root may write anything: act as nobody
  const root = process.geteuid?.() === 0
  if (root) process.seteuid?.(65_534)
  const error = await failure(() => openSqliteStore(file)).finally(() => {
    if (root) process.seteuid?.(0)
  })
  t.equal(error.code, 'STORE_FAILED')
  t.match(error.message, file)
})

t.test('every commit is synchronised to the disk before it is acknowledged', async (t) => {
  // a kill cannot show this, only a power cut could
  const database = openFile(join(t.testdir(), 'store.db'))
  t.teardown(() => database.close())
  t.strictSame({ ...database.prepare('PRAGMA synchronous').get() }, { synchronous: 2 })
  t.strictSame({ ...database.prepare('PRAGMA journal_mode').get() }, { journal_mode: 'wal' })
})
