// Watches of the API server: what comes first, what follows, selectors, bookmarks, ends.
import t from 'tap'
import { apiWorld } from '../helpers/api-world.ts'

const policies = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies'
const policy = (name: string, team: string) => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name, labels: { team } },
  spec: {},
})

t.test('a watch without a revision begins with what is there', async (t) => {
  const { call, watch } = await apiWorld(t)
  await call('POST', policies, { body: policy('a', 'x') })
  const events = await watch(`${policies}?watch=true`)
  t.match(await events.next(), { type: 'ADDED', object: { kind: 'AuthorizationPolicy', metadata: { name: 'a' } } })
  await call('PUT', `${policies}/a`, { body: policy('a', 'y') })
  t.match(await events.next(), { type: 'MODIFIED', object: { metadata: { labels: { team: 'y' } } } })
  await call('DELETE', `${policies}/a`)
  t.match(await events.next(), { type: 'DELETED', object: { metadata: { name: 'a' } } })
  events.close()
})

t.test('list, then watch from its revision, loses nothing', async (t) => {
  const { call, watch } = await apiWorld(t)
  await call('POST', policies, { body: policy('a', 'x') })
  const { body } = await call('GET', policies)
  await call('POST', policies, { body: policy('b', 'x') })
  await call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'noise' } } })
  const events = await watch(`${policies}?watch=1&resourceVersion=${body.metadata?.['resourceVersion']}`)
  t.match(await events.next(), { type: 'ADDED', object: { metadata: { name: 'b' } } })
  await call('POST', policies.replace('shop', 'default'), { body: policy('elsewhere', 'x') })
  await call('POST', policies, { body: policy('c', 'x') })
  t.match(await events.next(), { type: 'ADDED', object: { metadata: { name: 'c' } } })
  events.close()
})

t.test('an object that enters or leaves the selector is ADDED or DELETED', async (t) => {
  const { call, watch } = await apiWorld(t)
  const events = await watch(`${policies}?watch=true&labelSelector=team%3Dx`)
  await call('POST', policies, { body: policy('a', 'y') })
  await call('PUT', `${policies}/a`, { body: policy('a', 'x') })
  t.match(await events.next(), { type: 'ADDED', object: { metadata: { name: 'a' } } })
  const left = await call('PUT', `${policies}/a`, { body: policy('a', 'y') })
  t.match(await events.next(), {
    type: 'DELETED',
    object: { metadata: { labels: { team: 'x' }, resourceVersion: left.body.metadata?.['resourceVersion'] } },
  })
  events.close()
})

t.test('events come at the version of the path, or as tables', async (t) => {
  const { call, watch } = await apiWorld(t)
  const beta = await watch(`${policies.replace('/v1/', '/v1beta1/')}?watch=true`)
  const rows = await watch(`${policies}?watch=true`, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
  await call('POST', policies, { body: policy('a', 'x') })
  await call('POST', policies, { body: policy('b', 'x') })
  t.match(await beta.next(), { object: { apiVersion: 'security.istio.io/v1beta1' } })
  const [first, second] = [await rows.next(), await rows.next()]
  t.match(first, { type: 'ADDED', object: { kind: 'Table', rows: [{ cells: ['a'] }] } })
  t.ok(first!.object.columnDefinitions!.length > 1)
  t.strictSame(second!.object.columnDefinitions, [])
  beta.close()
  rows.close()
})

t.test('a streamed list ends with a bookmark', async (t) => {
  const { call, watch } = await apiWorld(t)
  await call('POST', policies, { body: policy('a', 'x') })
  const query = 'watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan'
  const events = await watch(`${policies}?${query}`)
  t.match(await events.next(), { type: 'ADDED' })
  t.match(await events.next(), {
    type: 'BOOKMARK',
    object: { kind: 'AuthorizationPolicy', metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
  })
  events.close()
})

t.test('a revision that is gone ends the watch with 410', async (t) => {
  const { call, watch } = await apiWorld(t, { historyLimit: 4 })
  for (let index = 0; index < 20; index += 1) await call('POST', policies, { body: policy(`n${index}`, 'x') })
  const events = await watch(`${policies}?watch=true&resourceVersion=3`)
  t.match(await events.next(), { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } })
  t.equal(await events.next(), undefined)
})

t.test('a watch ends after its timeout, and with the server', async (t) => {
  const { watch, api } = await apiWorld(t)
  const short = await watch(`${policies}?watch=true&timeoutSeconds=1`)
  t.equal(await short.next(), undefined)
  const open = await watch(`${policies}?watch=true`)
  const ended = open.next()
  await api.close()
  t.equal(await ended, undefined)
})

t.test('a watch on one object sees only that one', async (t) => {
  const { call, watch } = await apiWorld(t)
  const events = await watch(`${policies}?watch=true&fieldSelector=metadata.name%3Db`)
  await call('POST', policies, { body: policy('a', 'x') })
  await call('POST', policies, { body: policy('b', 'x') })
  t.match(await events.next(), { object: { metadata: { name: 'b' } } })
  events.close()
})
