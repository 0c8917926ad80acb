// Lists and watches with all that Kubernetes lets a client ask for: parts, revisions, forms, selectors, the past and the future.
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { type ApiWorld, apiWorld, isStatus, policies, policy, service, services } from '../helpers/api-world.ts'

const names = (answer: { body: { items?: Record<string, unknown>[] } }) =>
  (answer.body.items ?? []).map((item) => (item['metadata'] as { name: string }).name)

async function withPolicies({ call }: ApiWorld, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const body = policy(`p${index}`)
    body.metadata.labels.team = index % 2 === 0 ? 'even' : 'odd'
    await call('POST', policies, { body })
  }
}

t.test('a list in parts is one state, whatever is written between the parts', async (t) => {
  const world = await apiWorld(t)
  await withPolicies(world, 5)
  const first = await world.call('GET', `${policies}?limit=2`)
  t.strictSame(names(first), ['p0', 'p1'])
  t.equal(first.body.metadata?.['remainingItemCount'], 3)
  await world.call('DELETE', `${policies}/p2`)
  await world.call('POST', policies, { body: policy('p9') })
  const token = String(first.body.metadata?.['continue'])
  const second = await world.call('GET', `${policies}?limit=2&continue=${token}`)
  t.strictSame(names(second), ['p2', 'p3'])
  t.equal(second.body.metadata?.['resourceVersion'], first.body.metadata?.['resourceVersion'])
  const last = await world.call('GET', `${policies}?continue=${String(second.body.metadata?.['continue'])}`)
  t.strictSame(names(last), ['p4'])
  t.equal(last.body.metadata?.['continue'], undefined)
})

t.test('parts of a selection are full, and do not say how many follow', async (t) => {
  const world = await apiWorld(t)
  await withPolicies(world, 6)
  const first = await world.call('GET', `${policies}?limit=2&labelSelector=team%3Dodd`)
  t.strictSame(names(first), ['p1', 'p3'])
  t.equal(first.body.metadata?.['remainingItemCount'], undefined)
  const token = String(first.body.metadata?.['continue'])
  const second = await world.call('GET', `${policies}?limit=2&labelSelector=team%3Dodd&continue=${token}`)
  t.strictSame(names(second), ['p5'])
  isStatus(t, await world.call('GET', `${policies}?limit=2&continue=${token}`), 400, 'BadRequest', /something else/)
  isStatus(t, await world.call('GET', `${policies}?continue=nonsense`), 400, 'BadRequest', /continue key is not valid/)
  isStatus(t, await world.call('GET', `${policies}?continue=e30`), 400, 'BadRequest', /continue key is not valid/)
})

t.test('a token whose state is gone answers 410 with one that goes on from the present', async (t) => {
  const world = await apiWorld(t, { historyLimit: 4 })
  await withPolicies(world, 4)
  const first = await world.call('GET', `${policies}?limit=2`)
  for (let index = 0; index < 12; index += 1) await world.call('POST', services, { body: service(`s${index}`) })
  const gone = await world.call('GET', `${policies}?limit=2&continue=${String(first.body.metadata?.['continue'])}`)
  isStatus(t, gone, 410, 'Expired', /inconsistent list/)
  const rest = await world.call('GET', `${policies}?limit=2&continue=${String(gone.body.metadata?.['continue'])}`)
  t.strictSame(names(rest), ['p2', 'p3'])
  isStatus(t, await world.call('GET', `${policies}?resourceVersion=2&resourceVersionMatch=Exact`), 410, 'Expired')
})

t.test('a list may be of an exact revision or of one not older', async (t) => {
  const world = await apiWorld(t)
  await withPolicies(world, 2)
  const then = String((await world.call('GET', policies)).body.metadata?.['resourceVersion'])
  await world.call('POST', policies, { body: policy('p9') })
  const list = async (query: string) => world.call('GET', `${policies}?${query}`)
  t.strictSame(names(await list(`resourceVersion=${then}&resourceVersionMatch=Exact`)), ['p0', 'p1'])
  t.strictSame(names(await list(`resourceVersion=${then}&resourceVersionMatch=NotOlderThan`)), ['p0', 'p1', 'p9'])
  t.strictSame(names(await list(`resourceVersion=${then}`)), ['p0', 'p1', 'p9'])
  t.strictSame(names(await list(`resourceVersion=${then}&limit=5`)), ['p0', 'p1'], 'limited: exactly that one')
  t.strictSame(names(await list('resourceVersion=0&limit=1')), ['p0'])
})

t.test('the future is a 504 that clients know', async (t) => {
  const { call } = await apiWorld(t)
  const tooLarge = { details: { causes: [{ reason: 'ResourceVersionTooLarge' }], retryAfterSeconds: 1 } }
  for (const query of [
    'resourceVersion=99999',
    'resourceVersion=99999&resourceVersionMatch=Exact',
    'watch=true&resourceVersion=99999',
  ]) {
    const answer = await call('GET', `${policies}?${query}`)
    isStatus(t, answer, 504, 'Timeout', /Too large resource version: 99999, current: \d+/)
    t.match(answer.body, tooLarge, query)
    t.equal(answer.headers['retry-after'], '1')
  }
})

t.test('options that contradict each other are told apart as Kubernetes tells them', async (t) => {
  const { call } = await apiWorld(t)
  const cases: readonly (readonly [string, number, RegExp])[] = [
    ['resourceVersionMatch=Exact', 422, /forbidden unless resourceVersion is provided/],
    ['resourceVersionMatch=Newest&resourceVersion=1', 422, /Unsupported value: "Newest"/],
    ['resourceVersionMatch=Exact&resourceVersion=0', 422, /forbidden for resourceVersion "0"/],
    ['resourceVersionMatch=NotOlderThan&resourceVersion=1&continue=x', 422, /forbidden when continue is provided/],
    ['continue=x&resourceVersion=1', 400, /not allowed when using continue/],
    ['sendInitialEvents=true', 422, /sendInitialEvents is forbidden for list/],
    ['watch=1&sendInitialEvents=true', 422, /requires setting resourceVersionMatch to NotOlderThan/],
    ['watch=1&resourceVersionMatch=NotOlderThan', 422, /forbidden for watch unless sendInitialEvents/],
    ['limit=-1', 400, /limit "-1" is not a whole number/],
    ['resourceVersion=abc', 400, /resourceVersion "abc" is not a whole number/],
    ['fieldSelector=spec.nodeName%3Dx', 400, /field label not supported: "spec.nodeName"/],
    ['labelSelector=a%20b', 400, /unable to parse/],
  ]
  for (const [query, code, message] of cases) {
    const answer = await call('GET', `${policies}?${query}`)
    isStatus(t, answer, code, code === 422 ? 'Invalid' : 'BadRequest', message)
  }
})

t.test('objects come as tables and as metadata alone, in both versions of either', async (t) => {
  const world = await apiWorld(t)
  await withPolicies(world, 3)
  for (const v of ['v1', 'v1beta1']) {
    const accept = (as: string) => ({ accept: `application/json;as=${as};v=${v};g=meta.k8s.io` })
    const table = await world.call('GET', `${policies}?limit=1`, { headers: accept('Table') })
    t.match(table.body, { kind: 'Table', apiVersion: `meta.k8s.io/${v}`, metadata: { remainingItemCount: 2 } })
    t.match(table.body, { rows: [{ cells: ['p0'], object: { kind: 'PartialObjectMetadata' } }] })
    const partial = await world.call('GET', policies, { headers: accept('PartialObjectMetadataList') })
    t.match(partial.body, { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${v}` })
    t.strictSame(Object.keys(partial.body.items![0]!), ['kind', 'apiVersion', 'metadata'])
    const single = await world.call('GET', `${policies}/p0`, { headers: accept('PartialObjectMetadata') })
    t.match(single.body, { kind: 'PartialObjectMetadata', metadata: { name: 'p0' } })
  }
  const none = await world.call('GET', policies, { headers: { accept: 'application/vnd.kubernetes.protobuf' } })
  isStatus(t, none, 406, 'NotAcceptable')
})

t.test('a watch of metadata alone has no spec, and bookmarks of the same form', async (t) => {
  const world = await apiWorld(t)
  await withPolicies(world, 1)
  const query = 'watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan'
  const accept = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io'
  const events = await world.watch(`${policies}?${query}`, { accept })
  t.match(await events.next(), { type: 'ADDED', object: { kind: 'PartialObjectMetadata', spec: undefined } })
  const end = { kind: 'PartialObjectMetadata', metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } }
  t.match(await events.next(), { type: 'BOOKMARK', object: end })
  events.close()
})

t.test('a watch may leave out what is there', async (t) => {
  const world = await apiWorld(t)
  await withPolicies(world, 1)
  const query = 'watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan'
  const events = await world.watch(`${policies}?${query}`)
  await world.call('POST', policies, { body: policy('later') })
  t.match(await events.next(), { type: 'ADDED', object: { metadata: { name: 'later' } } })
  events.close()
})

t.test('large answers are compressed for clients that can, and HEAD has headers only', async (t) => {
  const { call, raw } = await apiWorld(t)
  const note = 'x'.repeat(150_000)
  const body = { ...policy('large'), metadata: { name: 'large', annotations: { note } } }
  t.equal((await call('POST', policies, { body })).status, 201)
  const plain = await call('GET', policies)
  t.equal(plain.headers['content-encoding'], undefined)
  const packed = await raw('GET', policies, { headers: { 'accept-encoding': 'deflate, gzip' } })
  t.equal(packed.headers['content-encoding'], 'gzip')
  t.equal(gunzipSync(packed.bytes).toString(), plain.text)
  const refused = await raw('GET', policies, { headers: { 'accept-encoding': 'gzip;q=0' } })
  t.equal(refused.headers['content-encoding'], undefined)
  const head = await raw('HEAD', policies)
  t.equal(head.status, 200)
  t.equal(head.bytes.length, 0)
  t.equal(head.headers['content-type'], 'application/json')
})

t.test('services are selected by their fields', async (t) => {
  const { call } = await apiWorld(t)
  await call('POST', services, { body: service('a') })
  await call('POST', services, { body: service('b', { clusterIP: 'None' }) })
  const list = async (selector: string) =>
    names(await call('GET', `${services}?fieldSelector=${encodeURIComponent(selector)}`))
  t.strictSame(await list('spec.clusterIP=None'), ['b'])
  t.strictSame(await list('spec.clusterIP!=None,metadata.name=a'), ['a'])
  t.strictSame(await list('spec.type==ClusterIP'), ['a', 'b'])
})
