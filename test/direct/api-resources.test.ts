// The operations behind the API, as the --config directory, the agents' reports and the compile step use them.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ApiError } from '../../control/api/errors.ts'
import { Resources } from '../../control/api/resources.ts'
import { everything } from '../../control/api/selectors.ts'
import { serveWatch, type WatchEvent } from '../../control/api/watch.ts'
import { openSqliteStore } from '../../control/store/sqlite.ts'
import { MeshError } from '../../core/base/errors.ts'
import { namespaceKind, serviceKind } from '../../core/model/kinds/core.ts'
import { workloadEntryKind } from '../../core/model/kinds/istio.ts'
import type { Condition, MeshObject } from '../../core/model/resource.ts'

interface WorldOptions {
  readonly allocate?: (service: MeshObject) => Promise<MeshObject>
}

async function world(t: Test, { allocate = async (service) => service }: WorldOptions = {}) {
  const store = await openSqliteStore(join(t.testdir(), 'store.db'))
  t.teardown(() => store.close())
  const clock = { ms: Date.parse('2026-01-01T00:00:00Z') }
  const resources = new Resources({ store, allocate, protectedNamespaces: ['shop'], now: () => clock.ms })
  await resources.create(namespace('shop'))
  return { store, resources, clock }
}

const namespace = (name: string): MeshObject => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
const entry = (name: string, address: string, labels = {}): MeshObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'WorkloadEntry',
  metadata: { name, namespace: 'shop', labels },
  spec: { address },
})
const service = (name: string): MeshObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { ports: [{ port: 80 }] },
})

async function reasonOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'done'
  } catch (error: unknown) {
    return error instanceof ApiError ? error.reason : String(error)
  }
}

t.test('apply creates, then updates, and writes nothing where nothing changed', async (t) => {
  const { resources, store } = await world(t)
  const first = await resources.apply(entry('a', '10.0.0.1'))
  const same = await resources.apply(entry('a', '10.0.0.1'))
  t.strictSame(same.object, first.object)
  const other = await resources.apply(entry('a', '10.0.0.2'))
  t.equal(other.object.metadata.uid, first.object.metadata.uid)
  t.equal(other.object.metadata.generation, 2)
  t.equal((await store.list({})).revision, Number(other.object.metadata.resourceVersion))
})

t.test('writes that arrive together are checked one after the other', async (t) => {
  const { resources } = await world(t)
  const writes = Array.from({ length: 10 }, (_, index) => resources.create(entry(`w${index}`, '10.0.0.1')))
  const reasons = await Promise.all(writes.map(reasonOf))
  t.strictSame(reasons.sort(), [...Array(9).fill('Invalid'), 'done'])
})

t.test('an address is free again when its owner vanished from the store by another way', async (t) => {
  const { resources, store } = await world(t)
  await resources.create(entry('a', '10.0.0.1'))
  const key = { group: 'networking.istio.io', kind: 'WorkloadEntry', namespace: 'shop', name: 'a' }
  await store.delete(key, undefined)
  t.equal(await reasonOf(resources.create(entry('b', '10.0.0.1'))), 'done')
})

t.test('a restart knows the addresses that are taken', async (t) => {
  const { resources, store } = await world(t)
  await resources.create(entry('a', '10.0.0.1'))
  const again = new Resources({ store, allocate: async (given) => given })
  t.equal(await reasonOf(again.create(entry('b', '10.0.0.1'))), 'Invalid')
})

t.test('a Service without a virtual IP is not stored, and the next write goes on', async (t) => {
  let full = true
  const allocate = async (given: MeshObject): Promise<MeshObject> => {
    if (full) throw new MeshError('RESOURCE_INVALID', 'no virtual IP is left')
    return given
  }
  const { resources } = await world(t, { allocate })
  t.match(await reasonOf(resources.create(service('web'))), /no virtual IP is left/)
  t.equal(await reasonOf(resources.get(serviceKind, 'shop', 'web')), 'NotFound')
  full = false
  t.equal(await reasonOf(resources.create(service('web'))), 'done')
})

t.test('conditions keep the time of their last transition', async (t) => {
  const { resources, clock } = await world(t)
  await resources.create(entry('a', '10.0.0.1'))
  const set = (status: Condition['status'], message: string) =>
    resources.setConditions(workloadEntryKind, 'shop', 'a', [{ type: 'Accepted', status, reason: 'R', message }])
  const at = (object: MeshObject) => object.status?.conditions?.[0]?.lastTransitionTime
  t.equal(at(await set('True', 'x')), '2026-01-01T00:00:00Z')
  clock.ms += 60_000
  t.equal(at(await set('True', 'y')), '2026-01-01T00:00:00Z')
  const changed = await set('False', 'y')
  t.equal(at(changed), '2026-01-01T00:01:00Z')
  t.equal(changed.metadata.generation, 1)
  const updated = await resources.update(entry('a', '10.0.0.1', { x: 'y' }))
  t.strictSame(updated.object.status, changed.status)
})

t.test('modify changes what is there and cannot make another object of it', async (t) => {
  const { resources } = await world(t)
  await resources.create(entry('a', '10.0.0.1'))
  const relabel = (labels: Record<string, string>) => (old: MeshObject) => ({
    ...old,
    metadata: { ...old.metadata, labels: { ...old.metadata.labels, ...labels } },
  })
  const kind = workloadEntryKind
  await Promise.all(['x', 'y', 'z'].map((name) => resources.modify(kind, 'shop', 'a', relabel({ [name]: '1' }))))
  t.strictSame((await resources.get(kind, 'shop', 'a')).metadata.labels, { x: '1', y: '1', z: '1' })
  const rename = (old: MeshObject) => ({ ...old, metadata: { ...old.metadata, name: 'b' } })
  t.equal(await reasonOf(resources.modify(kind, 'shop', 'a', rename)), 'BadRequest')
})

t.test('a protected namespace stays', async (t) => {
  const { resources } = await world(t)
  await resources.create(entry('a', '10.0.0.1'))
  t.equal(await reasonOf(resources.delete(namespaceKind, '', 'shop')), 'Forbidden')
  t.equal((await resources.list(workloadEntryKind)).items.length, 1)
})

t.test('a bookmark never promises more than was sent', async (t) => {
  const { resources, store } = await world(t)
  const stop = new AbortController()
  const events: WatchEvent[] = []
  const { promise: marked, resolve } = Promise.withResolvers<WatchEvent>()
  const send = async (event: WatchEvent): Promise<void> => {
    events.push(event)
    if (event.type === 'BOOKMARK' && events.some(({ type }) => type === 'ADDED')) resolve(event)
  }
  const { revision } = await store.list({})
  const request = {
    kind: workloadEntryKind,
    fits: everything,
    fromRevision: revision,
    markInitialEnd: false,
    bookmarkMs: 10,
  }
  const served = serveWatch(store, request, send, stop.signal)
  await resources.create(entry('a', '10.0.0.1'))
  const last = await resources.create(namespace('later'))
  t.match(await marked, {
    object: { kind: 'WorkloadEntry', metadata: { resourceVersion: last.object.metadata.resourceVersion } },
  })
  stop.abort()
  await served
})

t.test('thousands of workloads are written without reading the store for each', { timeout: 60_000 }, async (t) => {
  const { resources, store } = await world(t)
  let lists = 0
  const list = store.list.bind(store)
  store.list = (filter) => {
    lists += 1
    return list(filter)
  }
  for (let index = 0; index < 2000; index += 1)
    await resources.create(entry(`w${index}`, `10.0.${index >> 8}.${index & 255}`))
  t.ok(lists <= 2, `${lists} lists`)
})
