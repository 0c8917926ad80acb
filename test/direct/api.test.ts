// The API server as a Kubernetes client meets it: verbs, versions, preconditions, validation and the Status of every failure.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { apiWorld, isStatus, policies, policy, service, services } from '../helpers/api-world.ts'

const entries = '/apis/networking.istio.io/v1/namespaces/shop/workloadentries'

const entry = (name: string, address: string) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'WorkloadEntry',
  metadata: { name },
  spec: { address },
})

t.test('an object is created, read, updated and deleted', async (t) => {
  const { call } = await apiWorld(t)
  const created = await call('POST', policies, { body: policy('a') })
  t.equal(created.status, 201)
  t.match(created.body, { kind: 'AuthorizationPolicy', metadata: { name: 'a', namespace: 'shop', generation: 1 } })
  t.match(created.body.metadata, {
    uid: /^[0-9a-f-]{36}$/,
    creationTimestamp: /^\d{4}-.*:\d\dZ$/,
    resourceVersion: /^\d+$/,
  })
  t.strictSame((await call('GET', `${policies}/a`)).body, created.body)

  const updated = await call('PUT', `${policies}/a`, { body: { ...created.body, spec: { action: 'ALLOW' } } })
  t.equal(updated.status, 200)
  t.equal(updated.body.metadata?.['generation'], 2, 'a change of spec is a new generation')
  t.equal(updated.body.metadata?.['uid'], created.body.metadata?.['uid'])

  const labelled = await call('PUT', `${policies}/a`, { body: policy('a', { action: 'ALLOW' }) })
  t.equal(labelled.body.metadata?.['generation'], 2, 'nothing changed')
  t.equal(labelled.body.metadata?.['resourceVersion'], updated.body.metadata?.['resourceVersion'], 'nothing written')

  const deleted = await call('DELETE', `${policies}/a`)
  t.match(deleted.body, {
    kind: 'Status',
    status: 'Success',
    details: { name: 'a', uid: created.body.metadata?.['uid'] },
  })
  isStatus(
    t,
    await call('GET', `${policies}/a`),
    404,
    'NotFound',
    /authorizationpolicies.security.istio.io "a" not found/,
  )
  isStatus(t, await call('DELETE', `${policies}/a`), 404, 'NotFound')
  isStatus(t, await call('PUT', `${policies}/a`, { body: policy('a') }), 404, 'NotFound')
})

t.test('the sample of the examples folder is accepted verbatim, as YAML', async (t) => {
  const { call } = await apiWorld(t)
  const text = readFileSync(join(import.meta.dirname, '../../examples/authorization-policy.yaml'), 'utf8')
  const path = '/apis/security.istio.io/v1beta1/namespaces/default/authorizationpolicies'
  const created = await call('POST', path, { body: text, headers: { 'content-type': 'application/yaml' } })
  t.equal(created.status, 201, created.text)
  t.strictSame(created.body['spec'], parse(text).spec)
  t.equal(created.headers.warning, undefined)
})

t.test('an object written at one version is read at every other', async (t) => {
  const { call, store } = await apiWorld(t)
  const old = { ...entry('vm', '10.0.0.1'), apiVersion: 'networking.istio.io/v1alpha3' }
  t.equal((await call('POST', entries.replace('/v1/', '/v1alpha3/'), { body: old })).status, 201)
  for (const version of ['v1', 'v1beta1', 'v1alpha3']) {
    const read = await call('GET', `${entries.replace('/v1/', `/${version}/`)}/vm`)
    t.equal(read.body['apiVersion'], `networking.istio.io/${version}`)
    t.strictSame(read.body['spec'], { address: '10.0.0.1' })
    const list = await call('GET', entries.replace('/v1/', `/${version}/`))
    t.equal(list.body.items?.[0]?.['apiVersion'], `networking.istio.io/${version}`)
  }
  t.equal((await store.list({ kind: 'WorkloadEntry' })).items[0]?.object.apiVersion, 'networking.istio.io/v1alpha3')
  const patched = await call('PATCH', `${entries}/vm`, {
    body: { spec: { weight: 3 } },
    headers: { 'content-type': 'application/merge-patch+json' },
  })
  t.match(patched.body, { apiVersion: 'networking.istio.io/v1', spec: { address: '10.0.0.1', weight: 3 } })
  t.match(
    (await call('POST', entries, { body: old })).body,
    { code: 400 },
    'the body must be at the version of the path',
  )
})

t.test('an update is conditional where it names a revision', async (t) => {
  const { call } = await apiWorld(t)
  const { body: first } = await call('POST', policies, { body: policy('a') })
  await call('PUT', `${policies}/a`, { body: policy('a', { action: 'ALLOW' }) })
  const stale = await call('PUT', `${policies}/a`, { body: first })
  isStatus(t, stale, 409, 'Conflict', /the object has been modified/)
  const other = { ...policy('a'), metadata: { name: 'a', uid: 'f47ac10b-58cc-4372-a567-0e02b2c3d479' } }
  isStatus(t, await call('PUT', `${policies}/a`, { body: other }), 409, 'Conflict', /UID/)
  const options = { preconditions: { resourceVersion: first.metadata?.['resourceVersion'] } }
  isStatus(t, await call('DELETE', `${policies}/a`, { body: options }), 409, 'Conflict')
  isStatus(t, await call('POST', policies, { body: policy('a') }), 409, 'AlreadyExists', /already exists/)
})

t.test('of many conditional updates at once exactly one is accepted', async (t) => {
  const { call } = await apiWorld(t)
  const { body } = await call('POST', policies, { body: policy('a') })
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      call('PUT', `${policies}/a`, { body: { ...body, spec: { selector: { matchLabels: { n: `${index}` } } } } }),
    ),
  )
  t.strictSame(answers.map(({ status }) => status).sort(), [200, 409, 409, 409, 409, 409, 409, 409])
})

t.test('an invalid object is refused with a cause for each field', async (t) => {
  const { call } = await apiWorld(t)
  const spec = { rules: [{ from: [{ source: { principal: ['x'] } }] }], action: 'PERMIT' }
  const answer = await call('POST', policies, { body: policy('a', spec) })
  isStatus(t, answer, 422, 'Invalid', /did you mean "principals"/)
  t.match(answer.body['details'], {
    name: 'a',
    group: 'security.istio.io',
    kind: 'AuthorizationPolicy',
    causes: [
      { reason: 'FieldValueInvalid', field: 'spec.rules[0].from[0].source.principal' },
      { reason: 'FieldValueNotSupported', field: 'spec.action' },
    ],
  })
  isStatus(t, await call('GET', `${policies}/a`), 404, 'NotFound')
})

t.test('a bad request never changes anything and always gets a Status', async (t) => {
  const { call, store } = await apiWorld(t)
  const before = (await store.list({})).revision
  const yaml = { 'content-type': 'application/yaml' }
  isStatus(t, await call('POST', policies, { body: '{"kind": ' }), 400, 'BadRequest', /not JSON/)
  isStatus(t, await call('POST', policies, { body: 'a: [', headers: yaml }), 400, 'BadRequest', /body:1:/)
  isStatus(
    t,
    await call('POST', policies, { body: 'a: 1\n---\nb: 2', headers: yaml }),
    400,
    'BadRequest',
    /2 documents/,
  )
  isStatus(t, await call('POST', policies, { body: '[]' }), 400, 'BadRequest')
  isStatus(t, await call('POST', policies), 400, 'BadRequest')
  isStatus(
    t,
    await call('POST', policies, { body: '{"metadata":{"name":"a"},"metadata":{}}' }),
    400,
    'BadRequest',
    /twice/,
  )
  isStatus(
    t,
    await call('POST', policies, { body: '['.repeat(100_000) + ']'.repeat(100_000) }),
    400,
    'BadRequest',
    /deep/,
  )
  isStatus(t, await call('POST', policies, { body: Buffer.from([0x22, 0xff, 0x22]) }), 400, 'BadRequest', /UTF-8/)
  isStatus(t, await call('POST', policies, { body: service('a') }), 400, 'BadRequest', /apiVersion/)
  isStatus(t, await call('POST', services, { body: { ...service('a'), kind: 'Pod' } }), 400, 'BadRequest', /kind/)
  const elsewhere = { ...policy('a'), metadata: { name: 'a', namespace: 'default' } }
  isStatus(t, await call('POST', policies, { body: elsewhere }), 400, 'BadRequest', /namespace/)
  isStatus(t, await call('POST', '/api/v1/services', { body: service('a') }), 400, 'BadRequest', /namespace/)
  isStatus(t, await call('GET', '/api/v1/podtemplates'), 404, 'NotFound')
  isStatus(t, await call('GET', '/api/v1/namespaces/shop/services/a/proxy'), 404, 'NotFound')
  isStatus(t, await call('GET', '/%ff'), 404, 'NotFound')
  isStatus(t, await call('POST', `${policies}/a`, { body: policy('a') }), 405, 'MethodNotAllowed')
  isStatus(t, await call('PUT', '/apis'), 405, 'MethodNotAllowed')
  const xml = { 'content-type': 'text/xml' }
  isStatus(t, await call('POST', policies, { body: '<a/>', headers: xml }), 415, 'UnsupportedMediaType')
  const gzip = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
  isStatus(t, await call('POST', policies, { body: 'x', headers: gzip }), 415, 'UnsupportedMediaType')
  isStatus(t, await call('GET', `${policies}?labelSelector=a%20b`), 400, 'BadRequest')
  isStatus(t, await call('GET', `${policies}?fieldSelector=spec.x%3D1`), 400, 'BadRequest')
  isStatus(t, await call('GET', policies, { headers: { accept: 'text/html' } }), 406, 'NotAcceptable')
  isStatus(t, await call('POST', `${policies}?dryRun=Some`, { body: policy('a') }), 400, 'BadRequest')
  t.equal((await store.list({})).revision, before)
})

t.test('a body above 3 MiB is refused, with a length or without', async (t) => {
  const { call } = await apiWorld(t)
  const body = Buffer.alloc(3 * 1024 * 1024 + 1, 0x20)
  isStatus(t, await call('POST', policies, { body }), 413, 'RequestEntityTooLarge')
  isStatus(t, await call('POST', policies, { body, chunked: true }), 413, 'RequestEntityTooLarge')
})

t.test('a Service gets defaults and virtual IPs, and keeps them', async (t) => {
  const { call } = await apiWorld(t)
  const { body: created } = await call('POST', services, { body: service('web') })
  const spec = created['spec'] as Record<string, unknown>
  t.match(spec, { type: 'ClusterIP', sessionAffinity: 'None', clusterIP: /^240\.240\./ })
  t.strictSame(spec['ports'], [{ port: 80, protocol: 'TCP', targetPort: 80 }])
  const update = await call('PUT', `${services}/web`, { body: service('web', { ports: [{ port: 81 }] }) })
  t.equal((update.body['spec'] as typeof spec)['clusterIP'], spec['clusterIP'])
  const moved = await call('PUT', `${services}/web`, { body: service('web', { clusterIP: '240.240.9.9' }) })
  isStatus(t, moved, 422, 'Invalid', /spec.clusterIP: is immutable/)
  const taken = await call('POST', services, { body: service('twin', { clusterIP: spec['clusterIP'] }) })
  isStatus(t, taken, 422, 'Invalid', /belongs to Service shop\/web already/)
  const headless = await call('POST', services, { body: service('nohead', { clusterIP: 'None' }) })
  t.match(headless.body['spec'], { clusterIP: 'None' })
  const twice = service('twice', {
    ports: [
      { name: 'a', port: 80 },
      { name: 'b', port: 80 },
    ],
  })
  isStatus(
    t,
    await call('POST', services, { body: twice }),
    422,
    'Invalid',
    /ports\[1\]\.port: 80\/TCP is used already/,
  )
})

t.test('fields without effect are told in Warning headers', async (t) => {
  const { call } = await apiWorld(t)
  const answer = await call('POST', services, { body: service('web', { externalIPs: ['1.2.3.4'] }) })
  t.match(answer.headers.warning, /299 - "spec.externalIPs: .*not captured/)
})

t.test('an address belongs to one workload until that one is gone', async (t) => {
  const { call } = await apiWorld(t)
  t.equal((await call('POST', entries, { body: entry('a', '10.0.0.1') })).status, 201)
  const clash = await call('POST', entries, { body: entry('b', '10.0.0.1') })
  isStatus(t, clash, 422, 'Invalid', /10\.0\.0\.1 belongs to WorkloadEntry\.networking\.istio\.io shop\/a already/)
  t.equal((await call('PUT', `${entries}/a`, { body: entry('a', '10.0.0.2') })).status, 200)
  t.equal((await call('POST', entries, { body: entry('b', '10.0.0.1') })).status, 201)
  isStatus(t, await call('PUT', `${entries}/a`, { body: entry('a', '10.0.0.1') }), 422, 'Invalid')
  await call('DELETE', `${entries}/b`)
  t.equal((await call('PUT', `${entries}/a`, { body: entry('a', '10.0.0.1') })).status, 200)
})

t.test('the main resource cannot write status, the status resource nothing else', async (t) => {
  const { call, api } = await apiWorld(t)
  const conditions = [{ type: 'Accepted', status: 'True', reason: 'Accepted', message: '' }]
  const created = await call('POST', policies, { body: { ...policy('a'), status: { conditions } } })
  t.equal(created.body['status'], undefined)
  const written = await call('PUT', `${policies}/a/status`, {
    body: { ...policy('a', { action: 'DENY', rules: [{}] }), status: { conditions } },
  })
  t.strictSame(written.body['spec'], {})
  t.match(written.body['status'], { conditions })
  t.equal(written.body.metadata?.['generation'], 1)
  const kept = await call('PUT', `${policies}/a`, { body: policy('a', { action: 'ALLOW' }) })
  t.match(kept.body['status'], { conditions })
  isStatus(t, await call('PUT', `${policies}/a/status`, { body: { status: 3 } }), 400, 'BadRequest')
  const { authorizationPolicyKind: kind } = await import('../../core/model/kinds/istio.ts')
  const first = await api.resources.setConditions(kind, 'shop', 'a', [{ ...conditions[0]!, status: 'False' }])
  const second = await api.resources.setConditions(kind, 'shop', 'a', [{ ...conditions[0]!, status: 'False' }])
  t.equal(second.metadata.resourceVersion, first.metadata.resourceVersion, 'the same conditions are not written again')
})

t.test('a merge patch changes labels as kubectl label does', async (t) => {
  const { call } = await apiWorld(t)
  const headers = { 'content-type': 'application/merge-patch+json' }
  const patch = (body: unknown, path = '/api/v1/namespaces/shop') => call('PATCH', path, { body, headers })
  const on = await patch({ metadata: { labels: { 'culvert.dev/dataplane-mode': 'ambient' } } })
  t.match(on.body.metadata?.['labels'], {
    'culvert.dev/dataplane-mode': 'ambient',
    'kubernetes.io/metadata.name': 'shop',
  })
  const off = await patch({ metadata: { labels: { 'culvert.dev/dataplane-mode': null } } })
  t.strictSame(off.body.metadata?.['labels'], { 'kubernetes.io/metadata.name': 'shop' })
  isStatus(t, await patch({ metadata: { labels: { 'a b': 'c' } } }), 422, 'Invalid')
  isStatus(t, await patch({ metadata: { name: 'other' } }), 400, 'BadRequest')
  isStatus(t, await patch({ metadata: { resourceVersion: '1' } }), 409, 'Conflict')
  isStatus(t, await patch([]), 400, 'BadRequest')
  isStatus(t, await patch({ metadata: {} }, '/api/v1/namespaces/none'), 404, 'NotFound')
  const other = { 'content-type': 'application/json' }
  isStatus(t, await call('PATCH', '/api/v1/namespaces/shop', { body: {}, headers: other }), 415, 'UnsupportedMediaType')
})

t.test('lists are limited by namespace, labels and fields', async (t) => {
  const { call } = await apiWorld(t)
  for (const name of ['a', 'b']) await call('POST', policies, { body: policy(name) })
  await call('POST', policies.replace('shop', 'default'), { body: { ...policy('c'), metadata: { name: 'c' } } })
  const names = async (path: string) => {
    const { body } = await call('GET', path)
    t.equal(body['kind'], 'AuthorizationPolicyList')
    return body.items?.map(({ metadata }) => (metadata as { name: string }).name)
  }
  const all = '/apis/security.istio.io/v1/authorizationpolicies'
  t.strictSame(await names(policies), ['a', 'b'])
  t.strictSame(await names(all), ['c', 'a', 'b'])
  t.strictSame(await names(`${all}?labelSelector=team%3Da`), ['a', 'b'])
  t.strictSame(await names(`${all}?labelSelector=!team`), ['c'])
  t.strictSame(await names(`${all}?fieldSelector=metadata.name%3Db`), ['b'])
  const deleted = await call('DELETE', `${policies}?labelSelector=team%3Da`)
  t.equal(deleted.body.items?.length, 2)
  t.strictSame(await names(all), ['c'])
})

t.test('objects live in a namespace that exists, and go with it', async (t) => {
  const { call, store } = await apiWorld(t)
  const missing = await call('POST', policies.replace('shop', 'none'), { body: policy('a') })
  isStatus(t, missing, 404, 'NotFound', /namespaces "none" not found/)
  await call('POST', policies, { body: policy('a') })
  await call('POST', services, { body: service('web') })
  t.equal((await call('DELETE', '/api/v1/namespaces/shop')).status, 200)
  t.strictSame((await store.list({ namespace: 'shop' })).items, [])
  isStatus(t, await call('GET', '/api/v1/namespaces/shop'), 404, 'NotFound')
})

t.test('a dry run answers as if, and writes nothing', async (t) => {
  const { call, store } = await apiWorld(t)
  const before = (await store.list({})).revision
  t.equal((await call('POST', `${policies}?dryRun=All`, { body: policy('a') })).status, 201)
  isStatus(t, await call('POST', `${policies}?dryRun=All`, { body: policy('a', { x: 1 }) }), 422, 'Invalid')
  t.equal((await call('DELETE', '/api/v1/namespaces/shop?dryRun=All')).status, 200)
  t.equal((await store.list({})).revision, before)
})

t.test('a name is generated where only a prefix is given', async (t) => {
  const { call } = await apiWorld(t)
  const body = { ...policy('x'), metadata: { generateName: 'web-' } }
  const names = [await call('POST', policies, { body }), await call('POST', policies, { body })]
  for (const answer of names) t.match(answer.body.metadata?.['name'], /^web-[a-z0-9]{5}$/)
})
