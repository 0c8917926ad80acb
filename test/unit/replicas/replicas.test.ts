// What replicas share: sealed secrets, one lease, the list of who is there.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Authority } from '../../../control/ca/authority.ts'
import type { SessionStatus } from '../../../control/feed/session.ts'
import { Leadership } from '../../../control/replicas/leadership.ts'
import { Registry } from '../../../control/replicas/registry.ts'
import { isSealed, Seal } from '../../../control/replicas/seal.ts'
import { sharedVault } from '../../../control/replicas/shared-vault.ts'
import { openSqliteStore } from '../../../control/store/sqlite.ts'
import type { RecordStore } from '../../../control/store/store.ts'
import { MeshError } from '../../../core/base/errors.ts'
import { nullLogger } from '../../../core/base/log.ts'
import { until } from '../../helpers/control-world.ts'

type Test = { teardown(done: () => Promise<unknown>): void }

async function openRecords(t: Test): Promise<RecordStore> {
  const directory = await mkdtemp(join(tmpdir(), 'culvert-replicas-'))
  const store = await openSqliteStore(join(directory, 'state', 'store'))
  t.teardown(async () => {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })
  return store.records
}

const secret = 'a passphrase that nobody guesses'
const log = nullLogger()

t.test('a sealed secret opens with the same passphrase, under its own name only', async (t) => {
  const records = await openRecords(t)
  const seal = await Seal.open(records, secret)
  const closed = seal.close('root.pem', 'ä secret')
  t.notMatch(JSON.stringify(closed), /secret/)
  t.equal((await Seal.open(records, secret)).open('root.pem', closed), 'ä secret')
  t.throws(() => seal.open('other.pem', closed), { code: 'STORE_FAILED' })
  const data = Buffer.from(closed.data, 'base64')
  data[0]! ^= 1
  t.throws(() => seal.open('root.pem', { ...closed, data: data.toString('base64') }), { code: 'STORE_FAILED' })
  t.throws(() => seal.open('root.pem', { ...closed, tag: closed.tag.slice(0, 6) }), { code: 'STORE_FAILED' })
  t.not(seal.close('root.pem', 'ä secret').data, closed.data, 'twice the same text is sealed in two ways')
})

t.test('another passphrase is refused, and a short one', async (t) => {
  const records = await openRecords(t)
  await Seal.open(records, secret)
  await t.rejects(Seal.open(records, `${secret}!`), { code: 'CONFIG_INVALID', message: /every replica the same/ })
  await t.rejects(Seal.open(records, 'short'), { code: 'CONFIG_INVALID', message: /16 characters/ })
})

t.test('a proof that was changed is told, and a sealed store is known as one', async (t) => {
  const records = await openRecords(t)
  t.notOk(await isSealed(records))
  await Seal.open(records, secret)
  t.ok(await isSealed(records))
  for (const changed of [null, {}, { salt: 5, sealed: [] }, { salt: 'AA==', sealed: null }, 'proof']) {
    await records.put('seal', 'proof', changed)
    await t.rejects(Seal.open(records, secret), { code: 'STORE_FAILED', message: /was changed/ })
    t.ok(await isSealed(records))
  }
})

t.test('a signing key that is damaged, or of another certificate, is not used', async (t) => {
  const records = await openRecords(t)
  const vault = sharedVault(records, await Seal.open(records, secret))
  const open = () => Authority.open({ vault, trustDomain: 'cluster.local', leafLifetimeMs: 60_000, log })
  await open()
  const [root = '', issuing = ''] = [await vault.read('root.pem'), await vault.read('issuing.pem')]
  const keyIn = (text: string): string => text.slice(text.indexOf('-----BEGIN PRIVATE KEY'))
  for (const key of [keyIn(root), keyIn(issuing).replace(/\n[^-\n]{4}/, '\nAAAA')]) {
    const before = await vault.read('issuing.pem')
    await vault.replace('issuing.pem', issuing.replace(keyIn(issuing), key), before)
    await t.rejects(open(), { code: 'STORE_FAILED', message: /damaged, or its key is of another one/ })
  }
})

t.test('replicas that start at once have one root, and no key lies in the clear', async (t) => {
  const records = await openRecords(t)
  const open = async () => {
    const vault = sharedVault(records, await Seal.open(records, secret))
    return Authority.open({ vault, trustDomain: 'td', leafLifetimeMs: 60_000, log })
  }
  const authorities = await Promise.all([open(), open(), open()])
  t.equal(new Set(authorities.map(({ rootFingerprint }) => rootFingerprint)).size, 1)
  t.equal((await open()).rootFingerprint, authorities[0]!.rootFingerprint)
  t.notMatch(JSON.stringify(await records.list('secrets')), /PRIVATE KEY|CERTIFICATE/)
})

t.test('a secret that another replica has changed meanwhile is not overwritten', async (t) => {
  const records = await openRecords(t)
  const vault = sharedVault(records, await Seal.open(records, secret))
  t.equal(await vault.replace('a', 'first', undefined), 'first')
  t.equal(await vault.replace('a', 'second', undefined), 'first')
  t.equal(await vault.replace('a', 'second', 'first'), 'second')
  t.equal(await vault.read('a'), 'second')
})

function candidate(records: RecordStore, id: string, leaseMs = 200): Leadership {
  return new Leadership({ records, id, log, leaseMs })
}

t.test('one of several leads; when it gives up, another does at once', async (t) => {
  const records = await openRecords(t)
  const all = ['a', 'b', 'c'].map((id) => candidate(records, id))
  await Promise.all(all.map((each) => each.start()))
  const leaders = () => all.filter(({ leads }) => leads)
  await until('a leader', () => (leaders().length === 1 ? true : undefined))
  const [first] = leaders()
  await first!.close()
  t.equal(first!.leads, false)
  await until('another leader', () => (leaders().length === 1 && leaders()[0] !== first ? true : undefined))
  for (const each of all) await each.close()
})

t.test('a leader that cannot reach the store stops leading before another may begin', async (t) => {
  const records = await openRecords(t)
  let away = false
  const cut = new Proxy(records, {
    get: (target, name: keyof RecordStore) =>
      away ? () => Promise.reject(new Error('away')) : (target[name] as () => unknown).bind(target),
  })
  const first = candidate(cut, 'first')
  const second = candidate(records, 'second')
  await first.start()
  await second.start()
  t.same([first.leads, second.leads], [true, false])
  const together: boolean[] = []
  const watching = setInterval(() => together.push(first.leads && second.leads), 1)
  t.teardown(async () => clearInterval(watching))
  away = true
  await until('the second leads', () => (second.leads ? true : undefined))
  t.equal(first.leads, false)
  t.equal(together.includes(true), false)
  away = false
  await first.close()
  await second.close()
})

t.test('a clock that is hours off changes nothing: only time that passes counts', async (t) => {
  const records = await openRecords(t)
  const first = new Leadership({ records, id: 'first', log, leaseMs: 200, clock: () => performance.now() + 7e6 })
  const second = new Leadership({ records, id: 'second', log, leaseMs: 200, clock: () => performance.now() - 7e6 })
  await first.start()
  await second.start()
  for (let tick = 0; tick < 20; tick++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    t.equal(second.leads, false)
  }
  await first.close()
  await second.close()
})

const status = (version: number): SessionStatus => ({
  connectedAt: 1,
  build: 'test',
  epoch: 'e',
  sentVersion: version,
  ackedVersion: version,
  refusedResources: [],
  reports: [],
  refusedReports: [],
})

t.test('replicas find each other, and know of hosts that are connected elsewhere', async (t) => {
  const records = await openRecords(t)
  const sessions = { a: new Map([['h1', status(1)]]), b: new Map<string, SessionStatus>() }
  const make = (id: 'a' | 'b', port: number) =>
    new Registry({
      records,
      id,
      feed: [{ host: '10.0.0.1', port }],
      api: '',
      build: 'test',
      sessions: () => sessions[id],
      log,
      beatMs: 40,
    })
  const [a, b] = [make('a', 1), make('b', 2)]
  await a.start()
  await b.start()
  await until('both', () => (a.feeds.length === 2 && b.feeds.length === 2 ? true : undefined))
  t.same(b.feeds, [
    { host: '10.0.0.1', port: 2 },
    { host: '10.0.0.1', port: 1 },
  ])
  await until('h1 at b', () => (b.session('h1')?.status.ackedVersion === 1 ? true : undefined))
  sessions.a.set('h1', status(2))
  await until('the new version', () => (b.session('h1')?.status.ackedVersion === 2 ? true : undefined))
  // the host goes over to the other replica
  sessions.a.delete('h1')
  sessions.b.set('h1', status(3))
  await until('h1 at a', () => (a.session('h1')?.status.ackedVersion === 3 ? true : undefined))
  await b.close()
  await until('b is gone', () => (a.feeds.length === 1 && a.session('h1') === undefined ? true : undefined))
  await a.close()
  t.same(await records.list('replicas'), [])
  t.same(await records.list('sessions'), [])
})

t.test('a replica whose store takes no write says so, and is well again with the next one', async (t) => {
  const stored = await openRecords(t)
  let away = false
  const records: RecordStore = Object.create(stored, {
    put: {
      value: async (bucket: string, key: string, value: unknown) => {
        if (away) throw new MeshError('STORE_FAILED', 'the store is away')
        await stored.put(bucket, key, value)
      },
    },
  })
  const feed = [{ host: '10.0.0.1', port: 1 }]
  const registry = new Registry({
    records,
    id: 'a',
    feed,
    api: '',
    build: 'test',
    sessions: () => new Map(),
    log,
    beatMs: 20,
  })
  t.match(registry.trouble, /has not taken a write/, 'before the first beat')
  await registry.start()
  t.equal(registry.trouble, undefined)
  away = true
  await until('trouble', () => (registry.trouble === undefined ? undefined : true))
  away = false
  await until('all is well', () => (registry.trouble === undefined ? true : undefined))
  await registry.close()
})
