// Kubernetes' own kinds beyond what their schemas say: what belongs together, what is filled in, what `get` shows.
import fc from 'fast-check'
import t from 'tap'
import { cellValue } from '../../../core/model/kinds/cell.ts'
import { coreKinds } from '../../../core/model/kinds/core.ts'
import { kindOf } from '../../../core/model/kinds.ts'
import { withDefaults } from '../../../core/model/normalize.ts'
import { formatPath } from '../../../core/model/problem.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { validateObject } from '../../../core/model/validate.ts'
import { exampleOf, exampleWith, objectsOf } from '../../helpers/objects-of-kind.ts'
import { placedFields } from '../../oracle/table-paths.ts'

function said(object: object): readonly string[] {
  return validateObject(object).map(({ at = [], message }) => `${formatPath(at)} ${message}`)
}

for (const kind of coreKinds) {
  t.test(`every field of ${kind.kind} can be written, and stays as it was written`, (t) => {
    for (const size of ['minimal', 'full'] as const) t.strictSame(said(exampleOf(kind, 'v1', size)), [], size)
    for (const path of placedFields(kind, 'v1').keys()) {
      // containers of several lists need several names, and examples have one
      if (/^status|^spec\.(?:init|ephemeral)Containers/.test(path)) continue
      // an event with eventTime needs four more fields: beyond what examples try
      if (kind.kind === 'Event' && path === 'eventTime') continue
      const object = exampleWith(kind, 'v1', path)
      t.ok(object, path)
      if (object !== undefined) t.strictSame(said(object), [], path)
    }
    t.end()
  })
  t.test(`defaults of ${kind.kind} are valid and are filled in once`, (t) => {
    const property = fc.property(objectsOf(kind, 'v1'), (object) => {
      const filled = withDefaults(object)
      t.strictSame(said(filled), [])
      t.strictSame(withDefaults(filled), filled)
    })
    fc.assert(property, { numRuns: 20 })
    t.end()
  })
}

function object(kind: string, body: object, apiVersion = 'v1'): MeshObject {
  const cluster = kindOf(apiVersion, kind)!.namespaced ? { namespace: 'shop' } : {}
  return { apiVersion, kind, metadata: { name: 'a', ...cluster }, ...body } as MeshObject
}

function cells(input: MeshObject, ...names: readonly string[]): readonly unknown[] {
  const { columns } = kindOf(input.apiVersion, input.kind)!
  return names.map((name) => cellValue(input, columns.find((column) => column.name === name)!))
}

const web = { name: 'web', image: 'example.com/web:1' }
const pod = (spec: object, status?: object) =>
  object('Pod', { spec: { containers: [web], ...spec }, ...(status === undefined ? {} : { status }) })

t.test('the parts of a Pod fit together', (t) => {
  t.match(said(pod({ containers: [] })), [/containers is empty/])
  t.match(said(pod({ containers: [{ name: 'web' }] })), [/containers\[0\]\.image is required/])
  t.match(said(pod({ initContainers: [web] })), [/containers\[0\]\.name "web" is used already by initContainers\[0\]/])
  const mounting = { ...web, volumeMounts: [{ name: 'data', mountPath: '/data' }] }
  t.match(said(pod({ containers: [mounting] })), [/"data" is not a volume of the pod: add it to spec.volumes/])
  t.strictSame(said(pod({ containers: [mounting], volumes: [{ name: 'data', emptyDir: { medium: 'Memory' } }] })), [])
  const opening = { ...web, ports: [{ containerPort: 80, hostPort: 8080 }] }
  t.match(said(pod({ containers: [opening], hostNetwork: true })), [/hostPort must be the containerPort 80/])
  const greedy = { ...web, resources: { requests: { cpu: 0.5 }, limits: { cpu: '250m' } } }
  t.match(said(pod({ containers: [greedy] })), [/requests.cpu is more than the limit of 250m/])
  t.match(said(pod({ containers: [{ ...web, imagePolicy: 'Always' }] })), [/unknown field "imagePolicy"/])
  t.end()
})

t.test('a Pod gets what Kubernetes fills in', (t) => {
  const filled = withDefaults(pod({ containers: [web, { name: 'b', image: 'b' }, { name: 'c', image: 'c@sha256:0' }] }))
  t.match(filled, {
    spec: {
      restartPolicy: 'Always',
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: 'default',
      containers: [
        { imagePullPolicy: 'IfNotPresent' },
        { imagePullPolicy: 'Always' },
        { imagePullPolicy: 'IfNotPresent' },
      ],
    },
    status: { phase: 'Pending' },
  })
  t.end()
})

t.test('values of a Secret are base64, or written as they are and encoded', (t) => {
  const secret = (body: object) => object('Secret', body)
  t.match(said(secret({ data: { a: 'not base64' } })), [/data.a is not base64: .*stringData/])
  t.match(said(secret({ data: { 'a/b': 'YQ==' } })), [/"a\/b" is not a key/])
  t.match(said(secret({ type: 'kubernetes.io/tls', data: { 'tls.crt': '' } })), [/tls\.key.* is required for type/])
  t.match(said(secret({ status: {} })), [/unknown field "status"/])
  const filled = withDefaults(secret({ data: { a: 'YQ==', b: 'Yg==' }, stringData: { b: 'c' } }))
  t.match(filled, { type: 'Opaque', data: { a: 'YQ==', b: 'Yw==' } })
  t.notOk(Object.hasOwn(filled, 'stringData'))
  t.match(said(object('ConfigMap', { data: { a: '' }, binaryData: { a: '' } })), [/binaryData.a is in data already/])
  t.end()
})

t.test('endpoints are other machines, of the family that the slice says', (t) => {
  const slice = (addressType: string, address: string, ports: readonly object[] = []) =>
    object('EndpointSlice', { addressType, endpoints: [{ addresses: [address] }], ports }, 'discovery.k8s.io/v1')
  t.strictSame(said(slice('IPv4', '10.0.0.1')), [])
  t.match(said(slice('IPv6', '10.0.0.1')), [/is IPv4, and addressType is IPv6/])
  t.match(said(slice('IPv4', '127.0.0.1')), [/loopback address/])
  t.match(said(slice('IPv6', 'fe80::1')), [/link-local address/])
  t.match(said(slice('IPv4', '10.0.0.1', [{ port: 1 }, { port: 2 }])), [/ports\[1\]\.name/])
  const endpoints = (subset: object) => object('Endpoints', { subsets: [subset] })
  t.match(said(endpoints({ ports: [{ port: 80 }] })), [/addresses are required, or notReadyAddresses/])
  t.match(said(endpoints({ addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 1 }, { port: 2, name: 'a' }] })), [
    /ports\[0\]\.name is required/,
  ])
  t.end()
})

t.test('an Event stands beside its object and says who reports it', (t) => {
  const event = (body: object) =>
    object('Event', { involvedObject: { kind: 'Pod', name: 'a', namespace: 'shop' }, ...body })
  t.strictSame(said(event({ reason: 'Started' })), [])
  t.match(said(event({ involvedObject: { kind: 'Pod', namespace: 'b' } })), [/the object stands in "b"/])
  t.match(said(event({ involvedObject: { kind: 'Node', name: 'a' } })), [/its events stand in "default"/])
  t.equal(said(event({ eventTime: '2026-01-02T03:04:05.000006Z' })).length, 4)
  t.match(said(event({ eventTime: 'yesterday' })), [/not a time such as/])
  const seen = event({ count: 2, lastTimestamp: '2026-01-02T03:04:05Z', source: { component: 'kubelet', host: 'n' } })
  t.strictSame(cells(seen, 'Last Seen', 'Object', 'Source', 'Count'), [
    '2026-01-02T03:04:05Z',
    'pod/a',
    'kubelet, n',
    2,
  ])
  t.end()
})

t.test('get shows pods as kubectl prints them', (t) => {
  const status = (state: object, more: object = {}) => ({ name: 'web', ready: false, restartCount: 2, state, ...more })
  const shown = (one: object, more: object = {}) =>
    cells(pod({}, { phase: 'Running', containerStatuses: [one], ...more }), 'Ready', 'Status', 'Restarts')
  t.strictSame(shown(status({ running: {} }, { ready: true })), ['1/1', 'Running', 2])
  t.strictSame(shown(status({ waiting: { reason: 'CrashLoopBackOff' } })), ['0/1', 'CrashLoopBackOff', 2])
  t.strictSame(shown(status({ terminated: { exitCode: 3 } })), ['0/1', 'ExitCode:3', 2])
  const init = { initContainerStatuses: [{ name: 'i', ready: false, restartCount: 1, state: { running: {} } }] }
  t.strictSame(cells(pod({ initContainers: [{ ...web, name: 'i' }] }, init), 'Status', 'Restarts'), ['Init:0/1', 1])
  t.strictSame(cells(pod({}), 'Ready', 'Status', 'Restarts', 'Readiness Gates'), ['0/1', 'Pending', 0, ''])
  const ending = pod({}, { phase: 'Running' })
  const deleted = { ...ending, metadata: { ...ending.metadata, deletionTimestamp: '2026-01-02T03:04:05Z' } }
  t.strictSame(cells(deleted, 'Status'), ['Terminating'])
  t.end()
})

t.test('get shows nodes and endpoints as kubectl prints them', (t) => {
  const addresses = [{ type: 'InternalIP', address: '10.0.0.9' }]
  const node = object('Node', {
    spec: { unschedulable: true },
    status: { conditions: [{ type: 'Ready', status: 'True' }], addresses },
  })
  const labelled = { ...node, metadata: { ...node.metadata, labels: { 'node-role.kubernetes.io/worker': '' } } }
  t.strictSame(cells(labelled, 'Status', 'Roles', 'Internal-IP'), ['Ready,SchedulingDisabled', 'worker', '10.0.0.9'])
  const many = ['10.0.0.1', '10.0.0.2', '10.0.0.3', 'fd00::4'].map((ip) => ({ ip }))
  const endpoints = object('Endpoints', { subsets: [{ addresses: many, ports: [{ port: 80 }] }] })
  t.strictSame(cells(endpoints, 'Endpoints'), ['10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more...'])
  t.strictSame(cells(object('ConfigMap', { data: { a: '' }, binaryData: { b: '' } }), 'Data'), [2])
  t.end()
})
