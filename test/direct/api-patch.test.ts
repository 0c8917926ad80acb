// Patches of every type, what they do with unknown fields, and how they are refused.
import t from 'tap'
import { apiWorld, isStatus, policies, policy, service, services } from '../helpers/api-world.ts'

const web = `${services}/web`
const type = (name: string) => ({ 'content-type': `application/${name}` })
const json = type('json-patch+json')
const merge = type('merge-patch+json')
const strategic = type('strategic-merge-patch+json')

t.test('a JSON patch is applied as a whole or not at all', async (t) => {
  const { call } = await apiWorld(t)
  await call('POST', services, { body: service('web') })
  const patch = (body: unknown) => call('PATCH', web, { body, headers: json })
  const done = await patch([
    { op: 'test', path: '/spec/ports/0/port', value: 80 },
    { op: 'add', path: '/metadata/labels', value: { a: 'b' } },
    { op: 'replace', path: '/spec/ports/0/targetPort', value: 8080 },
  ])
  t.match(done.body, { metadata: { labels: { a: 'b' }, generation: 2 }, spec: { ports: [{ targetPort: 8080 }] } })
  const failed = await patch([
    { op: 'replace', path: '/metadata/labels/a', value: 'c' },
    { op: 'test', path: '/spec/ports/0/port', value: 81 },
  ])
  isStatus(t, failed, 422, 'Invalid', /testing value \/spec\/ports\/0\/port failed: test failed/)
  isStatus(t, await patch({}), 400, 'BadRequest')
  isStatus(t, await patch([{ op: 'replace', path: '/metadata/name', value: 'other' }]), 400, 'BadRequest')
  const stale = await patch([{ op: 'replace', path: '/metadata/resourceVersion', value: '1' }])
  isStatus(t, stale, 409, 'Conflict', /the object has been modified; please apply your changes to the latest version/)
  t.match((await call('GET', web)).body, { metadata: { labels: { a: 'b' } } })
})

t.test('a strategic merge patch merges lists by key, for kinds of Kubernetes only', async (t) => {
  const { call } = await apiWorld(t)
  const ports = [
    { name: 'http', port: 80 },
    { name: 'admin', port: 9000 },
  ]
  await call('POST', services, { body: service('web', { ports }) })
  const patch = async (spec: unknown) => (await call('PATCH', web, { body: { spec }, headers: strategic })).body
  const changed = await patch({
    ports: [
      { port: 80, targetPort: 8080 },
      { name: 'more', port: 81 },
    ],
  })
  t.match(changed, { spec: { ports: [{ name: 'http', targetPort: 8080 }, { name: 'admin' }, { name: 'more' }] } })
  t.equal((changed['spec'] as { ports: unknown[] }).ports.length, 3)
  const fewer = await patch({
    '$setElementOrder/ports': [{ port: 9000 }, { port: 80 }],
    ports: [{ port: 81, $patch: 'delete' }],
  })
  t.match(fewer, { spec: { ports: [{ port: 9000 }, { port: 80 }] } })
  await call('POST', policies, { body: policy('open') })
  const refused = await call('PATCH', `${policies}/open`, { body: {}, headers: strategic })
  isStatus(t, refused, 415, 'UnsupportedMediaType', /accepted media types include: application\/json-patch\+json/)
})

t.test('unknown and duplicate fields are refused, told or dropped, as the client asks', async (t) => {
  const { call } = await apiWorld(t)
  const body = `{"metadata":{"name":"web","name":"web"},"spec":{"ports":[{"port":80,"prot":1}],"selecto":{}}}`
  const post = (validation: string, text = body, headers = {}) =>
    call('POST', `${services}?dryRun=All&fieldValidation=${validation}`, { body: text, headers })
  const text =
    /^Service in version "v1" cannot be handled as a Service: strict decoding error: .*"spec\.ports\[0\]\.prot".*"spec\.selecto".*duplicate field "metadata\.name"/
  isStatus(t, await post('Strict'), 400, 'BadRequest', text)
  const yaml = 'metadata: {name: web, name: web}\nspec: {ports: [{port: 80, prot: 1}], selecto: {}}\n'
  isStatus(t, await post('Strict', yaml, { 'content-type': 'application/yaml' }), 400, 'BadRequest', text)
  const warned = await post('Warn')
  t.equal(warned.status, 201)
  t.match(String(warned.headers['warning']), /299 - "unknown field \\"spec.selecto\\"; did you mean \\"selector\\"\?"/)
  t.match(String(warned.headers['warning']), /duplicate field \\"metadata.name\\"/)
  t.notOk('selecto' in (warned.body['spec'] as object))
  const ignored = await post('Ignore')
  t.equal(ignored.status, 201)
  t.equal(ignored.headers['warning'], undefined)
  isStatus(t, await post('Maybe'), 422, 'Invalid', /supported values: "Ignore", "Strict", "Warn"/)
})

t.test('of very many warnings the last one says how many more there are', async (t) => {
  const { call } = await apiWorld(t)
  const spec = { ports: [{ port: 80 }], ...Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`wrong${n}`, 1])) }
  const query = `${services}?dryRun=All&fieldValidation=Warn`
  const answer = await call('POST', query, { body: { metadata: { name: 'web' }, spec } })
  const warnings = String(answer.headers['warning']).match(/299 - /g)
  t.equal(warnings?.length, 20)
  t.match(String(answer.headers['warning']), /299 - "and 11 more warnings"$/)
})

t.test('an unknown field of a policy is never dropped', async (t) => {
  const { call } = await apiWorld(t)
  const body = policy('open', { rules: [{ from: [{ source: { princpals: ['a'] } }] }] })
  for (const validation of ['Ignore', 'Warn', '']) {
    const answer = await call('POST', `${policies}?fieldValidation=${validation}`, { body })
    isStatus(t, answer, 422, 'Invalid', /unknown field "princpals"; did you mean "principals"/)
  }
})

t.test('every writer owns what it wrote, and status writers only that', async (t) => {
  const { call } = await apiWorld(t)
  await call('POST', `${policies}?fieldManager=maker`, { body: policy('open') })
  const patch = (path: string, manager: string, body: unknown) =>
    call('PATCH', `${policies}/open${path}?fieldManager=${manager}`, { body, headers: merge })
  await patch('', 'labeller', { metadata: { labels: { team: 'b' } } })
  const condition = { type: 'Seen', status: 'True', reason: 'Seen', message: '' }
  const { body } = await patch('/status', 'watcher', { status: { conditions: [condition] } })
  t.match(
    body.metadata?.['managedFields'],
    [
      { manager: 'maker', operation: 'Update', apiVersion: 'security.istio.io/v1', fieldsType: 'FieldsV1' },
      { manager: 'labeller', fieldsV1: { 'f:metadata': { 'f:labels': { 'f:team': {} } } } },
      { manager: 'watcher', subresource: 'status', fieldsV1: { 'f:status': { 'f:conditions': {} } } },
    ].sort((a, b) => (a.manager < b.manager ? -1 : 1)),
  )
  const again = await patch('', 'nobody', { metadata: { labels: { team: 'b' } } })
  t.strictSame(again.body, body, 'what changes nothing owns nothing')
  const reset = await patch('', 'nobody', { metadata: { managedFields: [{}] } })
  t.equal(reset.body.metadata?.['managedFields'], undefined)
})
