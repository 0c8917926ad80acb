import fc from 'fast-check'
import t from 'tap'
import { EntryIndex } from '../../../control/entries.ts'
import type { StoredObject, StoreEvent } from '../../../control/store/store.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { entry } from '../../helpers/compile-objects.ts'

function made(name: string, host: string, address: string, revision: number): MeshObject {
  const annotations = { 'culvert.dev/workload-uid': `${host}/${name}`, 'culvert.dev/node': host }
  return entry(name, { address }, { annotations, resourceVersion: String(revision) })
}

function stored(object: MeshObject, revision = Number(object.metadata.resourceVersion)): StoredObject {
  const key = { group: 'networking.istio.io', kind: 'WorkloadEntry', namespace: 'shop', name: object.metadata.name }
  return { key, object, revision }
}

const modified = (object: MeshObject): StoreEvent => ({ type: 'MODIFIED', stored: stored(object) })
const deleted = (object: MeshObject, revision: number): StoreEvent => ({
  type: 'DELETED',
  stored: stored(object, revision),
})
const namesOf = (objects: readonly MeshObject[]) => objects.map(({ metadata }) => metadata.name).sort()

t.test('whatever is written here and heard late from the store, the last write counts', async (t) => {
  const writes = fc.array(
    fc.record({
      name: fc.constantFrom('a', 'b'),
      host: fc.constantFrom('h1', 'h2'),
      address: fc.constantFrom('10.0.0.1', '10.0.0.2'),
      gone: fc.boolean(),
    }),
    { maxLength: 12 },
  )
  fc.assert(
    fc.property(writes, fc.integer({ min: 0, max: 4 }), (history, lag) => {
      const index = new EntryIndex()
      const held = new Map<string, MeshObject>()
      const events: StoreEvent[] = []
      for (const [at, { name, host, address, gone }] of history.entries()) {
        const revision = at + 1
        const before = held.get(name)
        if (gone && before !== undefined) {
          held.delete(name)
          index.forget(before)
          events.push(deleted(before, revision))
        } else {
          const object = made(name, host, address, revision)
          held.set(name, object)
          index.put(object)
          events.push(modified(object))
        }
        while (events.length > lag) index.changed('', events.shift()!)
        const all = [...held.values()]
        for (const host of ['h1', 'h2']) {
          const expected = all.filter(({ metadata }) => metadata.annotations?.['culvert.dev/node'] === host)
          t.strictSame(namesOf(index.reportedBy(host)), namesOf(expected))
        }
        for (const address of ['10.0.0.1', '10.0.0.2']) {
          const expected = all.filter(({ spec }) => spec?.['address'] === address)
          t.strictSame(namesOf(index.withAddress(address)), namesOf(expected))
        }
        for (const name of ['a', 'b']) t.equal(index.get(`shop/${name}`), held.get(name))
      }
    }),
  )
})

t.test('a list replaces what is older than itself', async (t) => {
  const index = new EntryIndex()
  for (const [at, name] of ['old', 'kept', 'new'].entries()) index.put(made(name, 'h1', `10.0.0.${at}`, at * 10))
  const kept = made('kept', 'h2', '10.0.0.9', 15)
  index.reset(new Map([['x', stored(kept)]]), 18)
  t.strictSame(namesOf(index.onHost('h1')), ['new'], 'written after the list was made')
  t.strictSame(namesOf(index.onHost('h2')), ['kept'])
})

t.test('instances of a waypoint are found by its Gateway, as long as label and service account agree', async (t) => {
  const index = new EntryIndex()
  const instance = (revision: number, serviceAccount: string, label = 'wp') =>
    entry(
      'i',
      { address: '10.0.0.1', serviceAccount, labels: { 'gateway.networking.k8s.io/gateway-name': label } },
      { resourceVersion: String(revision) },
    )
  const found = () => namesOf(index.instancesOf('shop/wp'))
  index.put(instance(1, 'wp'))
  t.strictSame(found(), ['i'])
  t.strictSame(index.instancesOf('other/wp'), [])
  index.put(instance(2, 'app'))
  t.strictSame(found(), [])
  index.put(instance(3, 'wp'))
  index.changed('', deleted(instance(3, 'wp'), 4))
  t.strictSame(found(), [])
})
