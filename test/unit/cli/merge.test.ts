import fc from 'fast-check'
import t from 'tap'
import { lastAppliedAnnotation, mergeFields, toCreate, toUpdate } from '../../../cli/merge.ts'
import type { MeshObject } from '../../../core/model/resource.ts'

const base: MeshObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 's', namespace: 'n', labels: { a: '1', b: '2' } },
  spec: { selector: { app: 'x' }, ports: [{ port: 80 }] },
}

/** What the server makes of a created object: its own fields come to it. */
function live(object: MeshObject): MeshObject {
  const metadata = { ...object.metadata, uid: 'u', resourceVersion: '7' }
  const spec = { ...object.spec, ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }], clusterIP: '240.240.0.1' }
  return { ...object, metadata, spec }
}

t.test('what is applied twice is unchanged, whatever the server has added', async (t) => {
  t.equal(toUpdate(base, live(toCreate(base))), undefined)
})

t.test('fields and labels of others stay; those that left the file go', async (t) => {
  const before = live(toCreate(base))
  const labelled: MeshObject = {
    ...before,
    metadata: { ...before.metadata, labels: { ...before.metadata.labels, 'culvert.dev/dataplane-mode': 'ambient' } },
  }
  const desired: MeshObject = { ...base, metadata: { ...base.metadata, labels: { a: '3' } }, spec: { ports: [] } }
  const next = toUpdate(desired, labelled)
  t.same(next?.metadata.labels, { a: '3', 'culvert.dev/dataplane-mode': 'ambient' })
  t.same(next?.spec, { ports: [], clusterIP: '240.240.0.1' })
  t.equal(next?.metadata.resourceVersion, '7', 'so that another writer is noticed')
})

t.test('an object that was not applied before keeps all it has', async (t) => {
  const next = toUpdate({ ...base, spec: { selector: { app: 'y' } } }, live(base))
  t.same(next?.spec, {
    selector: { app: 'y' },
    ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    clusterIP: '240.240.0.1',
  })
  t.ok(next?.metadata.annotations?.[lastAppliedAnnotation])
})

t.test('a merge has everything that is desired, and merging again changes nothing', async () => {
  const fields = fc.dictionary(
    fc.constantFrom('a', 'b', 'c'),
    fc.oneof(fc.integer(), fc.array(fc.integer()), fc.dictionary(fc.constantFrom('x', 'y'), fc.integer())),
  )
  fc.assert(
    fc.property(fields, fields, fields, (last, desired, current) => {
      const merged = mergeFields(last, desired, current)
      t.match(merged, desired)
      t.same(mergeFields(desired, desired, merged), merged)
    }),
    { numRuns: 60 },
  )
})
