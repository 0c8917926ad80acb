// Deletion as Kubernetes does it: finalizers, preconditions, owners and what they own, namespaces, collections.
import t from 'tap'
import { type ApiWorld, apiWorld, isStatus, policies, policy, service, services } from '../helpers/api-world.ts'
import { until } from '../helpers/control-world.ts'

const merge = { 'content-type': 'application/merge-patch+json' }

async function gone({ call }: ApiWorld, path: string): Promise<void> {
  await until(`${path} is gone`, async () => (await call('GET', path)).status === 404)
}

const owned = (name: string, owner: Record<string, unknown>, more: object = {}) => {
  const { metadata, kind, apiVersion } = owner as {
    metadata: { name: string; uid: string }
    kind: string
    apiVersion: string
  }
  const reference = { apiVersion, kind, name: metadata.name, uid: metadata.uid, ...more }
  return { ...service(name), metadata: { name, ownerReferences: [reference] } }
}

t.test('finalizers hold a deleted object until the last one is gone', async (t) => {
  const world = await apiWorld(t)
  const { call } = world
  await call('POST', policies, {
    body: { ...policy('a'), metadata: { name: 'a', finalizers: ['x.y/one', 'x.y/two'] } },
  })
  const events = await world.watch(`${policies}?watch=1&resourceVersion=${await revision(world)}`)
  const deleted = await call('DELETE', `${policies}/a`)
  t.equal(deleted.status, 200)
  t.match(deleted.body, { kind: 'AuthorizationPolicy', metadata: { generation: 2, deletionGracePeriodSeconds: 0 } })
  t.match(deleted.body.metadata?.['deletionTimestamp'], /^\d{4}-.*Z$/)
  t.match(await events.next(), { type: 'MODIFIED', object: { metadata: { deletionTimestamp: /Z$/ } } })

  const again = await call('DELETE', `${policies}/a`)
  t.equal(again.body.metadata?.['resourceVersion'], deleted.body.metadata?.['resourceVersion'], 'nothing to do')
  const more = { body: { metadata: { finalizers: ['x.y/one', 'x.y/three'] } }, headers: merge }
  isStatus(t, await call('PATCH', `${policies}/a`, more), 422, 'Invalid', /no new finalizers can be added/)
  const revived = await call('PUT', `${policies}/a`, {
    body: { ...policy('a'), metadata: { name: 'a', finalizers: ['x.y/one'] } },
  })
  t.match(revived.body.metadata, { finalizers: ['x.y/one'], deletionTimestamp: /Z$/ })
  const last = await call('PATCH', `${policies}/a`, { body: { metadata: { finalizers: null } }, headers: merge })
  t.equal(last.status, 200)
  t.match(await events.next(), { type: 'MODIFIED' })
  t.match(await events.next(), { type: 'DELETED', object: { metadata: { name: 'a' } } })
  isStatus(t, await call('GET', `${policies}/a`), 404, 'NotFound')
  events.close()
})

async function revision({ call }: ApiWorld): Promise<string> {
  return String((await call('GET', policies)).body.metadata?.['resourceVersion'])
}

t.test('preconditions and options are checked before anything is deleted', async (t) => {
  const { call } = await apiWorld(t)
  const created = await call('POST', policies, { body: policy('a') })
  const remove = (body: object, query = '') => call('DELETE', `${policies}/a${query}`, { body })
  isStatus(t, await remove({ preconditions: { uid: 'other' } }), 409, 'Conflict', /UID in precondition: other/)
  isStatus(t, await remove({ preconditions: { resourceVersion: '1' } }), 409, 'Conflict')
  isStatus(t, await remove({ propagationPolicy: 'Sometimes' }), 422, 'Invalid', /Unsupported value: "Sometimes"/)
  isStatus(
    t,
    await remove({ propagationPolicy: 'Orphan', orphanDependents: true }),
    422,
    'Invalid',
    /cannot be both set/,
  )
  isStatus(t, await remove({ gracePeriodSeconds: -1 }), 422, 'Invalid', /gracePeriodSeconds/)
  isStatus(t, await remove({ kind: 'Pod' }), 400, 'BadRequest', /must be DeleteOptions/)
  isStatus(t, await remove({ dryRun: ['Some'] }), 400, 'BadRequest')
  t.equal((await remove({ dryRun: ['All'] })).status, 200)
  t.equal((await remove({}, '?dryRun=All')).status, 200)
  t.equal((await call('GET', `${policies}/a`)).status, 200, 'it is still there')
  const { uid, resourceVersion } = created.body.metadata as { uid: string; resourceVersion: string }
  const kind = 'DeleteOptions'
  t.equal(
    (await remove({ kind, apiVersion: 'v1', preconditions: { uid, resourceVersion }, gracePeriodSeconds: 0 })).status,
    200,
  )
})

t.test('what an object owns goes after it, unless somebody else owns it too', async (t) => {
  const world = await apiWorld(t)
  const { call } = world
  const one = (await call('POST', policies, { body: policy('one') })).body
  const two = (await call('POST', policies, { body: policy('two') })).body
  const child = (await call('POST', services, { body: owned('child', one) })).body
  await call('POST', services, { body: owned('grandchild', child) })
  const both = owned('both', one)
  both.metadata.ownerReferences.push(...owned('both', two).metadata.ownerReferences)
  await call('POST', services, { body: both })
  const deleted = await call('DELETE', `${policies}/one`)
  t.match(deleted.body, { kind: 'Status', status: 'Success' }, 'in the background: the owner goes at once')
  await gone(world, `${services}/child`)
  await gone(world, `${services}/grandchild`)
  const left = await until('the reference to the lost owner is gone', async () => {
    const { body } = await call('GET', `${services}/both`)
    const references = body.metadata?.['ownerReferences'] as unknown[]
    return references.length === 1 && references
  })
  t.match(left, [{ name: 'two' }])
})

t.test('an object whose owner never was, or was another one of that name, goes', async (t) => {
  const world = await apiWorld(t)
  const owner = (await world.call('POST', policies, { body: policy('one') })).body
  const { call } = world
  await call('POST', services, { body: owned('lost', { ...owner, metadata: { name: 'one', uid: 'another-life' } }) })
  await call('POST', services, {
    body: owned('kept', { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd', uid: 'u' } }),
  })
  await gone(world, `${services}/lost`)
  t.equal((await call('GET', `${services}/kept`)).status, 200, 'owners of kinds that are not served are believed')
})

t.test('in the foreground the owner waits for what it owns', async (t) => {
  const world = await apiWorld(t)
  const { call } = world
  const owner = (await call('POST', policies, { body: policy('one') })).body
  const held = owned('held', owner, { blockOwnerDeletion: true })
  await call('POST', services, { body: { ...held, metadata: { ...held.metadata, finalizers: ['x.y/z'] } } })
  const deleted = await call('DELETE', `${policies}/one`, { body: { propagationPolicy: 'Foreground' } })
  t.match(deleted.body.metadata, { finalizers: ['foregroundDeletion'], deletionTimestamp: /Z$/ })
  await until('the dependent is asked to go', async () => {
    return (await call('GET', `${services}/held`)).body.metadata?.['deletionTimestamp'] !== undefined
  })
  t.equal((await call('GET', `${policies}/one`)).status, 200, 'the owner is still there')
  await call('PATCH', `${services}/held`, { body: { metadata: { finalizers: null } }, headers: merge })
  await gone(world, `${services}/held`)
  await gone(world, `${policies}/one`)
})

t.test('owners in a circle do not wait for each other for ever', async (t) => {
  const world = await apiWorld(t)
  const { call } = world
  const made = new Map<string, Record<string, unknown>>()
  for (const name of ['a', 'b', 'c', 'self'])
    made.set(name, (await call('POST', services, { body: service(name) })).body)
  for (const [name, owner] of [
    ['a', 'c'],
    ['b', 'a'],
    ['c', 'b'],
    ['self', 'self'],
  ] as const) {
    const { metadata } = owned(name, made.get(owner)!, { blockOwnerDeletion: true })
    await call('PATCH', `${services}/${name}`, { body: { metadata }, headers: merge })
  }
  for (const name of ['a', 'self'])
    await call('DELETE', `${services}/${name}`, { body: { propagationPolicy: 'Foreground' } })
  for (const name of made.keys()) await gone(world, `${services}/${name}`)
})

t.test('orphans stay, without their owner', async (t) => {
  const world = await apiWorld(t)
  const owner = (await world.call('POST', policies, { body: policy('one') })).body
  await world.call('POST', services, { body: owned('child', owner) })
  await world.call('DELETE', `${policies}/one?propagationPolicy=Orphan`)
  await gone(world, `${policies}/one`)
  const child = await world.call('GET', `${services}/child`)
  t.equal(child.status, 200)
  t.equal(child.body.metadata?.['ownerReferences'], undefined)
})

t.test('a deleted namespace takes nothing new, goes with its contents, and waits for their finalizers', async (t) => {
  const world = await apiWorld(t)
  const { call } = world
  await call('POST', services, { body: service('plain') })
  await call('POST', policies, { body: { ...policy('held'), metadata: { name: 'held', finalizers: ['x.y/z'] } } })
  const deleted = await call('DELETE', '/api/v1/namespaces/shop')
  t.match(deleted.body, { kind: 'Namespace', status: { phase: 'Terminating' }, spec: { finalizers: ['kubernetes'] } })
  await gone(world, `${services}/plain`)
  const late = await call('POST', services, { body: service('late') })
  isStatus(t, late, 403, 'Forbidden', /unable to create new content in namespace shop because it is being terminated/)
  t.match(late.body, { details: { causes: [{ reason: 'NamespaceTerminating' }] } })
  t.equal((await call('GET', '/api/v1/namespaces/shop')).status, 200)
  await call('PATCH', `${policies}/held`, { body: { metadata: { finalizers: [] } }, headers: merge })
  await gone(world, '/api/v1/namespaces/shop')
  t.equal((await call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'shop' } } })).status, 201)
  t.equal((await call('POST', services, { body: service('late') })).status, 201)
})

t.test('a collection is deleted by selector and in parts', async (t) => {
  const { call } = await apiWorld(t)
  for (const name of ['a', 'b', 'c', 'd']) {
    const body = policy(name)
    body.metadata.labels.team = name === 'd' ? 'other' : 'a'
    await call('POST', policies, { body })
  }
  const some = await call('DELETE', `${policies}?labelSelector=team%3Da&limit=2`)
  t.equal(some.body['kind'], 'AuthorizationPolicyList')
  t.equal(some.body.items?.length, 2)
  t.type(some.body.metadata?.['continue'], 'string')
  await call('DELETE', `${policies}?labelSelector=team%3Da&dryRun=All`)
  t.equal((await call('GET', policies)).body.items?.length, 2)
  await call('DELETE', `${policies}?fieldSelector=metadata.name%3Dc`)
  t.match((await call('GET', policies)).body.items, [{ metadata: { name: 'd' } }])
})
