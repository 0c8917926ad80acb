// What an update of Kubernetes' own kinds may not change.
import t from 'tap'
import { immutableProblems } from '../../../control/api/immutable.ts'
import type { MeshObject } from '../../../core/model/resource.ts'

function changed(kind: string, old: object, updated: object): readonly string[] {
  const object = (body: object) => ({ apiVersion: 'v1', kind, metadata: { name: 'a' }, ...body }) as MeshObject
  return immutableProblems(object(old), object(updated)).map(({ path, message }) => `${path} ${message}`)
}

t.test('a Secret keeps its type, and its values where it says so', (t) => {
  t.match(changed('Secret', { type: 'Opaque' }, { type: 'kubernetes.io/tls' }), [/type is immutable: it is Opaque/])
  t.strictSame(changed('Secret', { data: { a: 'YQ==' } }, { data: { a: 'Yg==' } }), [])
  const sealed = { immutable: true, data: { a: 'YQ==' } }
  t.match(changed('Secret', sealed, { data: { a: 'Yg==' } }), [/^data .*delete it and create it anew/, /^immutable /])
  t.match(changed('ConfigMap', sealed, { ...sealed, binaryData: {} }), [/^binaryData is immutable/])
  t.strictSame(changed('ConfigMap', sealed, sealed), [])
  t.end()
})

t.test('of a Pod only images and a few fields may change', (t) => {
  const spec = (more: object = {}, image = 'a') => ({ spec: { containers: [{ name: 'a', image }], ...more } })
  t.strictSame(changed('Pod', spec(), spec({ activeDeadlineSeconds: 5 }, 'b')), [])
  t.strictSame(changed('Pod', spec(), spec({ nodeName: 'n' })), [], 'a node is given once')
  t.match(changed('Pod', spec({ nodeName: 'n' }), spec({ nodeName: 'm' })), [/only these may change/])
  t.match(changed('Pod', spec(), spec({ hostNetwork: true })), [/only these may change/])
  const tolerations = [{ key: 'a', operator: 'Exists' }]
  t.strictSame(changed('Pod', spec(), spec({ tolerations })), [])
  t.match(changed('Pod', spec({ tolerations }), spec()), [/tolerations may only be added to/])
  t.end()
})

t.test('an EndpointSlice keeps its family, a Service its address, a Node its provider', (t) => {
  t.match(changed('EndpointSlice', { addressType: 'IPv4' }, { addressType: 'IPv6' }), [/addressType is immutable/])
  t.match(changed('Service', { spec: { clusterIP: '10.0.0.1' } }, { spec: { clusterIP: '10.0.0.2' } }), [/immutable/])
  t.strictSame(changed('Service', { spec: { clusterIP: '10.0.0.1' } }, { spec: { type: 'ExternalName' } }), [])
  t.match(changed('Node', { spec: { providerID: 'a' } }, { spec: { providerID: 'b' } }), [
    /spec.providerID is immutable/,
  ])
  t.end()
})
