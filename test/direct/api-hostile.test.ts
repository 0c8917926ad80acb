// Requests that are made to cost much: each is refused in bounded work, and nothing of it is stored.
import t from 'tap'
import { HeldBodies, maxYamlBytes } from '../../control/api/body.ts'
import { maxObjectBytes } from '../../control/api/size.ts'
import { apiWorld, isStatus, service, services } from '../helpers/api-world.ts'

const web = `${services}/web`
const type = (name: string) => ({ 'content-type': `application/${name}` })
const many = <Value>(length: number, value: (index: number) => Value): Value[] =>
  Array.from({ length }, (_, i) => value(i))

t.test('a target that is no path is a bad request, before anybody is asked who they are', async (t) => {
  const { call } = await apiWorld(t)
  isStatus(t, await call('GET', '//', { token: '' }), 400, 'BadRequest', /not a path/)
  isStatus(t, await call('GET', '//[', { token: '' }), 400, 'BadRequest')
})

t.test('a client that is still sending reads why it is refused', async (t) => {
  const { call } = await apiWorld(t)
  const body = { ...service('web'), huge: 'x'.repeat(20_000_000) }
  for (const chunked of [false, true, false, true])
    isStatus(t, await call('POST', services, { body, chunked }), 413, 'RequestEntityTooLarge')
  isStatus(t, await call('POST', services, { body, token: '' }), 401, 'Unauthorized')
  t.equal((await call('POST', services, { body: service('web') })).status, 201)
})

t.test('an object does not grow larger than every store takes', async (t) => {
  const { call } = await apiWorld(t)
  await call('POST', services, { body: service('web') })
  const before = (await call('GET', web)).text
  const labels = Object.fromEntries(many(maxObjectBytes / 10, (index) => [`a${index}`, 'v']))
  const patch = { body: { metadata: { labels } }, headers: type('merge-patch+json') }
  isStatus(t, await call('PATCH', web, patch), 413, 'RequestEntityTooLarge', /the limit is 1500000/)
  const half = Object.fromEntries(many(60_000, (index) => [`label-of-some-length-${index}`, 'v']))
  const body = { ...service('more'), metadata: { name: 'more', labels: half } }
  isStatus(t, await call('POST', services, { body }), 413, 'RequestEntityTooLarge')
  t.equal((await call('GET', web)).text, before)
})

t.test('YAML is read up to a limit, and as deep as JSON', async (t) => {
  const { call } = await apiWorld(t)
  const headers = type('yaml')
  const large = `kind: Service\n${'#\n'.repeat(maxYamlBytes / 2)}`
  isStatus(t, await call('POST', services, { body: large, headers }), 413, 'RequestEntityTooLarge', /send it as JSON/)
  const deep = `{a: ${'['.repeat(300)}${']'.repeat(300)}}`
  isStatus(t, await call('POST', services, { body: deep, headers }), 400, 'BadRequest', /more than 200 levels deep/)
  const padded = `${JSON.stringify(service('web'))}${' '.repeat(maxYamlBytes)}`
  t.equal((await call('POST', services, { body: padded, headers })).status, 201)
})

t.test('a JSON patch that copies a value into itself is refused, not an internal error', async (t) => {
  const { call } = await apiWorld(t)
  await call('POST', services, { body: service('web') })
  const copies = many(17, (index) => ({ op: 'copy', from: '/x', path: `/x${'/a'.repeat(2 ** index)}` }))
  const body = [{ op: 'add', path: '/x', value: { a: {} } }, ...copies]
  const headers = type('json-patch+json')
  isStatus(t, await call('PATCH', web, { body, headers }), 422, 'Invalid', /nested too deeply/)
  const few = await call('PATCH', web, { body: body.slice(0, 10), headers })
  isStatus(t, few, 400, 'BadRequest', /nested more than 200 levels/)
})

t.test('a strategic patch of a hundred thousand items is no work for minutes', async (t) => {
  const { call } = await apiWorld(t)
  await call('POST', services, { body: service('web') })
  const headers = type('strategic-merge-patch+json')
  const ports = many(100_000, (port) => ({ port, name: `p${port}` }))
  const merged = await call('PATCH', web, { body: { spec: { ports } }, headers })
  isStatus(t, merged, 413, 'RequestEntityTooLarge')
  const finalizers = many(100_000, (index) => `a.b/${index}`)
  const gone = { finalizers, '$deleteFromPrimitiveList/finalizers': many(100_000, (index) => `a.c/${index}`) }
  const removed = await call('PATCH', web, { body: { metadata: gone }, headers })
  isStatus(t, removed, 413, 'RequestEntityTooLarge')
})

t.test('a hundred thousand unknown fields are told or dropped in one pass', async (t) => {
  const { call } = await apiWorld(t)
  const spec = Object.fromEntries(many(80_000, (index) => [`a${index}`, 1]))
  for (const how of ['Ignore', 'Warn']) {
    const answer = await call('POST', `${services}?fieldValidation=${how}`, { body: service('web', spec) })
    isStatus(t, answer, 422, 'Invalid', /unknown field "a1\d\d"/)
  }
  isStatus(
    t,
    await call('POST', `${services}?fieldValidation=Strict`, { body: service('web', spec) }),
    400,
    'BadRequest',
  )
})

t.test('an answer repeats little of a huge mistake', async (t) => {
  const { call } = await apiWorld(t)
  const long = await call('POST', services, { body: service('a'.repeat(500_000)) })
  isStatus(t, long, 422, 'Invalid')
  t.ok(long.text.length < 10_000)
  const odd = await call('POST', services, { body: { ...service('a'), metadata: { name: { a: 1 } } } })
  isStatus(t, odd, 422, 'Invalid')
  t.type((odd.body['details'] as { name: unknown }).name, 'string')
})

t.test('owners that no client could read are not stored', async (t) => {
  const { call } = await apiWorld(t)
  await call('POST', services, { body: service('web') })
  const { body } = await call('GET', web)
  const fieldsV1 = { 'f:spec': {} }
  const entry = { manager: 'm', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1 }
  for (const wrong of [{ time: 'yesterday' }, { manager: 'm'.repeat(1000) }, { manager: 'a\u0000' }]) {
    const metadata = { ...body.metadata, managedFields: [{ ...entry, ...wrong }] }
    const answer = await call('PUT', web, { body: { ...body, metadata } })
    t.equal(answer.status, 200)
    t.same(answer.body.metadata?.['managedFields'], body.metadata?.['managedFields'])
  }
})

t.test('bodies hold a bounded amount of memory together, and give it back', async (t) => {
  const bodies = new HeldBodies(100)
  const [a, b] = [bodies.open(), bodies.open()]
  a.reserve(60)
  b.reserve(40)
  t.throws(() => b.reserve(1), { code: 'LIMIT_REACHED', message: /try again later/ })
  a.release()
  a.release()
  b.reserve(60)
  t.throws(() => a.reserve(1), { code: 'LIMIT_REACHED' })
  const { call } = await apiWorld(t)
  const data = { a: 'x'.repeat(1_000_000) }
  for (let turn = 0; turn < 150; turn += 1) {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data }
    const answer = await call('PUT', '/api/v1/namespaces/shop/configmaps/c', { body })
    if (answer.status !== 404) return t.fail(`turn ${turn} ended with ${answer.status}`)
  }
})
