import t from 'tap'
import { ClaimIndex } from '../../../control/api/claims.ts'
import type { Store, StoredObject } from '../../../control/store/store.ts'
import { formatObjectKey, type MeshObject } from '../../../core/model/resource.ts'
import { objectKeyOf } from '../../../core/model/validate-set.ts'
import { entry } from '../../helpers/compile-objects.ts'

/** A store of which only `get` and `list` are asked, and the revision of its last write. */
function world() {
  const objects = new Map<string, StoredObject>()
  let revision = 0
  const store = {
    get: async (key: StoredObject['key']) => objects.get(formatObjectKey(key)),
    list: async ({ kind }: { readonly kind: string }) => ({
      items: [...objects.values()].filter(({ key }) => key.kind === kind),
      revision,
    }),
  } as unknown as Store
  const write = (object: MeshObject): StoredObject => {
    const stored = { key: objectKeyOf(object), object, revision: ++revision }
    objects.set(formatObjectKey(stored.key), stored)
    return stored
  }
  const remove = (object: MeshObject): StoredObject => {
    objects.delete(formatObjectKey(objectKeyOf(object)))
    return { key: objectKeyOf(object), object, revision: ++revision }
  }
  return { index: new ClaimIndex(store), write, remove }
}

const nameOf = ({ key }: StoredObject) => formatObjectKey(key)
const a = entry('a', { address: '10.0.0.1' })
const b = entry('b', { address: '10.0.0.1' })

t.test('an address that another replica gave away is seen once the store tells of it', async (t) => {
  const { index, write, remove } = world()
  t.strictSame(await index.clashes(b), [])
  const stored = write(a)
  index.changed(nameOf(stored), { type: 'ADDED', stored })
  t.match(await index.clashes(b), [{ message: /10\.0\.0\.1 belongs to .*shop\/a already/ }])
  t.strictSame(await index.clashes(a), [], 'an object does not clash with itself')
  const gone = remove(a)
  index.changed(nameOf(gone), { type: 'DELETED', stored: gone })
  t.strictSame(await index.clashes(b), [])
})

t.test('what the store tells late takes nothing from a newer owner', async (t) => {
  const { index, write, remove } = world()
  await index.clashes(a)
  const first = write(a)
  index.put(first)
  const gone = remove(a)
  index.put(write(b))
  index.changed(nameOf(first), { type: 'ADDED', stored: first })
  t.match(await index.clashes(a), [{ message: /shop\/b already/ }])
  index.put(write(a))
  index.changed(nameOf(gone), { type: 'DELETED', stored: gone })
  t.match(await index.clashes(b), [{ message: /shop\/a already/ }], 'the deletion was of an earlier life')
})

t.test('an address that its owner gave up is free', async (t) => {
  const { index, write } = world()
  index.reset(new Map([[nameOf(write(a)), write(a)]]))
  t.equal((await index.clashes(b)).length, 1)
  write(entry('a', { address: '10.0.0.2' }))
  t.strictSame(await index.clashes(b), [])
})
