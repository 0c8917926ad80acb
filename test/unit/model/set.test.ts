// What must hold between resources, and the small pure parts around them.
import fc from 'fast-check'
import t from 'tap'
import { formatApiVersion, kindOf, kinds, splitApiVersion, unknownKind } from '../../../core/model/kinds.ts'
import { withDefaults, withoutNulls } from '../../../core/model/normalize.ts'
import { formatPath, formatProblem } from '../../../core/model/problem.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { nearestOf } from '../../../core/model/suggest.ts'
import { validateSet } from '../../../core/model/validate-set.ts'

function entry(name: string, spec: object, annotations = {}): MeshObject {
  const metadata = { name, namespace: 'n', annotations }
  return { apiVersion: 'networking.istio.io/v1', kind: 'WorkloadEntry', metadata, spec: { ...spec } }
}
const service = (name: string, spec: object): MeshObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'n' },
  spec: { ...spec },
})
const clashes = (objects: readonly MeshObject[]) => validateSet(objects).map(({ index, path }) => `${index} ${path}`)

t.test('two workloads cannot have one address, in whatever spelling', (t) => {
  t.strictSame(clashes([entry('a', { address: '10.0.0.1' }), entry('b', { address: '::ffff:10.0.0.1' })]), [
    '1 spec.address',
  ])
  t.strictSame(clashes([entry('a', { address: '2001:DB8::1' }), entry('b', { address: '2001:db8:0::1' })]), [
    '1 spec.address',
  ])
  t.strictSame(clashes([entry('a', { address: '10.0.0.1' }), entry('b', { address: '10.0.0.2' })]), [])
  t.strictSame(clashes([entry('a', { address: 'x.example' }), entry('b', { address: 'x.example' })]), [])
  const other = { address: '10.0.0.1', network: 'n2' }
  t.strictSame(clashes([entry('a', { address: '10.0.0.1' }), entry('b', other)]), [], 'another network')
  t.end()
})

t.test('the addresses that an agent reported count, once per workload', (t) => {
  const both = { 'culvert.dev/addresses': '10.0.0.1, fd00::1' }
  t.strictSame(clashes([entry('a', { address: '10.0.0.1' }, both), entry('b', { address: 'fd00::1' })]), [
    '1 spec.address',
  ])
  t.strictSame(clashes([entry('b', { address: 'fd00::1' }), entry('a', { address: '10.0.0.1' }, both)]), [
    '1 metadata.annotations["culvert.dev/addresses"]',
  ])
  t.end()
})

t.test('two services cannot have one virtual IP, two objects not one key', (t) => {
  t.strictSame(clashes([service('a', { clusterIP: '240.240.0.1' }), service('b', { clusterIPs: ['240.240.0.1'] })]), [
    '1 spec.clusterIPs[0]',
  ])
  t.strictSame(clashes([service('a', { clusterIP: 'None' }), service('b', { clusterIP: 'None' })]), [])
  t.strictSame(clashes([service('a', {}), service('a', {})]), ['1 metadata.name'])
  const old = { ...entry('a', { address: '10.0.0.1' }), apiVersion: 'networking.istio.io/v1alpha3' }
  t.strictSame(clashes([entry('a', { address: '10.0.0.1' }), old]), ['1 metadata.name'], 'versions of one object')
  t.end()
})

t.test('kinds are found by every served version, and by nothing else', (t) => {
  for (const kind of kinds) {
    for (const version of kind.versions) t.equal(kindOf(formatApiVersion(kind.group, version), kind.kind), kind)
    t.equal(kindOf(formatApiVersion(kind.group, 'v9'), kind.kind), undefined)
  }
  t.strictSame(splitApiVersion('a/b/c'), { group: 'a', version: 'b/c' })
  t.match(unknownKind('v1', 'Deployment'), /served are Namespace/)
  t.end()
})

t.test('defaults are those of Kubernetes, and are filled in once', (t) => {
  const filled = withDefaults(service('a', { ports: [{ port: 80 }, { port: 81, targetPort: 'x', protocol: 'UDP' }] }))
  t.strictSame(filled.spec, {
    internalTrafficPolicy: 'Cluster',
    type: 'ClusterIP',
    sessionAffinity: 'None',
    ports: [
      { port: 80, protocol: 'TCP', targetPort: 80 },
      { port: 81, targetPort: 'x', protocol: 'UDP' },
    ],
  })
  t.strictSame(withDefaults(filled), filled)
  const namespace = withDefaults({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } })
  t.match(namespace, { metadata: { labels: { 'kubernetes.io/metadata.name': 'a' } }, status: { phase: 'Active' } })
  t.end()
})

t.test('nulls of objects go, nulls of lists stay', (t) => {
  t.strictSame(withoutNulls({ a: null, b: { c: null, d: 1 }, e: [null, { f: null }] }), { b: { d: 1 }, e: [null, {}] })
  t.end()
})

t.test('paths and problems read as people write them', (t) => {
  t.equal(formatPath(['spec', 'rules', 0, 'a-b', 'c/d', 'x"y']), 'spec.rules[0].a-b["c/d"]["x\\"y"]')
  t.equal(formatProblem({ file: 'f', line: 1, column: 2, path: 'a', message: 'm' }), 'f:1:2: a: m')
  t.equal(formatProblem({ path: '', message: 'm' }), 'm')
  t.end()
})

t.test('the nearest name is suggested, a far one is not', (t) => {
  const names = ['principals', 'namespaces', 'ports', 'notPorts']
  t.equal(nearestOf('principal', names), 'principals')
  t.equal(nearestOf('prots', names), 'ports')
  t.equal(nearestOf('NotPorts', names), 'notPorts')
  t.equal(nearestOf('hosts', ['methods']), undefined)
  t.equal(nearestOf('x'.repeat(1000), names), undefined)
  fc.assert(fc.property(fc.string(), (word) => nearestOf(word, [word]) === (word.length <= 64 ? word : undefined)))
  t.end()
})
