import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openSqliteStore } from '../../../control/store/sqlite.ts'
import type { Store } from '../../../control/store/store.ts'
import { VipAllocator } from '../../../control/vips.ts'
import { objectKeyOf } from '../../../core/model/validate-set.ts'
import { service } from '../../helpers/compile-objects.ts'

type Test = { teardown(done: () => Promise<unknown>): void }

async function openStore(t: Test): Promise<Store> {
  const directory = await mkdtemp(join(tmpdir(), 'culvert-vips-'))
  const store = await openSqliteStore(join(directory, 'state', 'store'))
  t.teardown(async () => {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })
  return store
}

const ports = [{ port: 80 }]

async function give(
  store: Store,
  vips: VipAllocator,
  name: string,
  spec: object = { ports },
): Promise<readonly string[]> {
  const object = await vips.allocate(service(name, spec))
  await store.create(objectKeyOf(object), object)
  return object.spec?.['clusterIPs'] as readonly string[]
}

function take(store: Store, name: string) {
  return store.delete({ group: '', kind: 'Service', namespace: 'shop', name }, undefined)
}

t.test('each service gets an address of both families, and keeps it', async (t) => {
  const store = await openStore(t)
  const vips = new VipAllocator({ store })
  t.strictSame(await give(store, vips, 'a'), ['240.240.0.1', '2001:2::1'])
  t.strictSame(await give(store, vips, 'b'), ['240.240.0.2', '2001:2::2'])
  const again = await vips.allocate(service('a', { ports }))
  t.match(again.spec, { clusterIP: '240.240.0.1', clusterIPs: ['240.240.0.1', '2001:2::1'], ports })
  const restarted = new VipAllocator({ store })
  t.strictSame(await give(store, restarted, 'c'), ['240.240.0.3', '2001:2::3'])
})

t.test(
  'an address is given to another service only after the range was gone through, and the range may be full',
  async (t) => {
    const store = await openStore(t)
    let now = 0
    const vips = new VipAllocator({ store, ranges: ['240.240.0.0/29'], clock: () => now })
    for (let n = 1; n <= 3; n++) t.strictSame(await give(store, vips, `s${n}`), [`240.240.0.${n}`])
    await take(store, 's2')
    now += 120_000
    for (let n = 4; n <= 6; n++) t.strictSame(await give(store, vips, `s${n}`), [`240.240.0.${n}`])
    t.strictSame(await give(store, vips, 's7'), ['240.240.0.2'], 'wrapped around to the free one')
    await t.rejects(give(store, vips, 's8'), { code: 'RESOURCE_INVALID', message: /no virtual IP is free/ })
  },
)

t.test('an address of the author is honoured where it is in the range and free', async (t) => {
  const store = await openStore(t)
  let now = 0
  const vips = new VipAllocator({ store, clock: () => now })
  t.strictSame(await give(store, vips, 'a', { ports, clusterIP: '240.240.0.2' }), ['240.240.0.2', '2001:2::1'])
  await t.rejects(give(store, vips, 'b', { ports, clusterIP: '240.240.0.2' }), {
    code: 'RESOURCE_INVALID',
    message: /240\.240\.0\.2 belongs to the service shop\/a/,
  })
  await t.rejects(give(store, vips, 'c', { ports, clusterIP: '10.96.0.1' }), {
    code: 'RESOURCE_INVALID',
    message: /not in the range/,
  })
  t.strictSame(await give(store, vips, 'd', { ports, clusterIP: '2001:2:0:0::0005' }), ['2001:2::5', '240.240.0.1'])
  t.strictSame(await give(store, vips, 'e'), ['240.240.0.3', '2001:2::2'], 'taken ones are stepped over')
  await take(store, 'a')
  now += 120_000
  t.strictSame(await give(store, vips, 'f', { ports, clusterIP: '240.240.0.2' }), ['240.240.0.2', '2001:2::3'])
})

t.test('two allocations at once never get one address', async (t) => {
  const store = await openStore(t)
  const vips = new VipAllocator({ store })
  const given = await Promise.all(Array.from({ length: 20 }, (_, n) => give(store, vips, `s${n}`)))
  t.equal(new Set(given.flat()).size, 40)
})

t.test('a headless service and an ExternalName get none', async (t) => {
  const vips = new VipAllocator({ store: await openStore(t) })
  const headless = await vips.allocate(service('a', { ports, clusterIP: 'None' }))
  t.match(headless.spec, { clusterIP: 'None', clusterIPs: ['None'] })
  const external = service('b', { type: 'ExternalName', externalName: 'example.com' })
  t.equal(await vips.allocate(external), external)
})

t.test('a range that is none is refused at start', async (t) => {
  const store = await openStore(t)
  for (const ranges of [['x'], ['240.240.0.0/31']]) {
    t.throws(() => new VipAllocator({ store, ranges }), { code: 'CONFIG_INVALID' })
  }
})
