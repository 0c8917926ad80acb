// Server-side apply: who owns what, conflicts, what an applier lets go, and how client-side appliers come over.
import t from 'tap'
import { type ApiWorld, apiWorld, isStatus, service, services } from '../helpers/api-world.ts'

const web = `${services}/web`
const headers = { 'content-type': 'application/apply-patch+yaml' }
const config = (spec: object, labels?: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', ...(labels === undefined ? {} : { labels }) },
  spec,
})
const applyAs =
  ({ call }: ApiWorld) =>
  (manager: string, body: unknown, more = '') =>
    call('PATCH', `${web}?fieldManager=${manager}${more}`, { body, headers })

const http = { name: 'http', port: 80 }
const admin = { name: 'admin', port: 9000 }

t.test('apply creates, changes, and takes away what it no longer lists', async (t) => {
  const world = await apiWorld(t)
  const apply = applyAs(world)
  const created = await apply('a', config({ ports: [http, admin] }, { team: 'x', tier: 'y' }))
  t.equal(created.status, 201)
  t.match(created.body.metadata?.['managedFields'], [
    {
      manager: 'a',
      operation: 'Apply',
      apiVersion: 'v1',
      fieldsV1: {
        'f:metadata': { 'f:labels': { 'f:team': {}, 'f:tier': {} } },
        'f:spec': { 'f:ports': { 'k:{"port":80,"protocol":"TCP"}': { '.': {}, 'f:name': {}, 'f:port': {} } } },
      },
    },
  ])
  const same = await apply('a', config({ ports: [http, admin] }, { team: 'x', tier: 'y' }))
  t.strictSame([same.status, same.body], [200, created.body], 'the same again writes nothing')
  const fewer = await apply('a', config({ ports: [http] }, { team: 'x' }))
  t.match(fewer.body, { metadata: { generation: 2 }, spec: { ports: [http] } })
  t.strictSame(fewer.body.metadata?.['labels'], { team: 'x' })
  t.equal((fewer.body['spec'] as { ports: unknown[] }).ports.length, 1)
})

t.test('fields of others are a conflict unless they are taken by force', async (t) => {
  const world = await apiWorld(t)
  const apply = applyAs(world)
  await apply('a', config({ ports: [http] }, { team: 'x' }))
  await apply('b', config({ ports: [admin] }))
  const refused = await apply('b', config({ ports: [admin] }, { team: 'z' }))
  isStatus(t, refused, 409, 'Conflict', /^Apply failed with 1 conflict: conflict with "a": \.metadata\.labels\.team$/)
  t.match(refused.body['details'], {
    causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "a"', field: '.metadata.labels.team' }],
  })
  const both = await apply('b', config({ ports: [admin, { ...http, name: 'web' }] }, { team: 'z' }))
  const lines =
    /^Apply failed with 2 conflicts: conflicts with "a":\n- \.metadata\.labels\.team\n- \.spec\.ports\[port=80,protocol="TCP"\]\.name$/
  isStatus(t, both, 409, 'Conflict', lines)
  const forced = await apply('b', config({ ports: [admin] }, { team: 'z' }), '&force=true')
  t.match(forced.body, { metadata: { labels: { team: 'z' } }, spec: { ports: [http, admin] } })
  const shared = await apply('c', config({ ports: [admin] }, { team: 'z' }))
  t.equal(shared.status, 200, 'the same value may be owned by many')
  const left = await apply('b', config({ ports: [admin] }))
  t.match(left.body.metadata?.['labels'], { team: 'z' }, 'what another one owns stays')
})

t.test('kubectl takes over what its client-side apply wrote, and leaves what others changed since', async (t) => {
  const world = await apiWorld(t)
  const apply = applyAs(world)
  const applied = config({ ports: [http], selector: { app: 'web' } }, { team: 'x' })
  const note = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(applied) }
  const first = { ...applied, metadata: { ...applied.metadata, annotations: note } }
  await world.call('POST', `${services}?fieldManager=kubectl-client-side-apply`, { body: first })
  const next = config({ ports: [http], selector: { app: 'other' } }, { team: 'x' })
  isStatus(t, await apply('somebody', next), 409, 'Conflict')
  const moved = await apply('kubectl', next)
  t.match(moved.body, { spec: { selector: { app: 'other' } } })
  const noted = ((moved.body.metadata?.['annotations'] ?? {}) as Record<string, string>)[Object.keys(note)[0]!]
  t.match(JSON.parse(noted!), next)
  const merge = { 'content-type': 'application/merge-patch+json' }
  await world.call('PATCH', `${web}?fieldManager=editor`, {
    body: { metadata: { labels: { team: 'y' } } },
    headers: merge,
  })
  isStatus(
    t,
    await apply('kubectl', next),
    409,
    'Conflict',
    /conflict with "editor" using v1 at \S+Z: \.metadata\.labels\.team/,
  )
})

t.test('an apply that is none is refused', async (t) => {
  const world = await apiWorld(t)
  const apply = applyAs(world)
  isStatus(t, await apply('', config({})), 422, 'Invalid', /fieldManager: Required value: is required for apply patch/)
  isStatus(t, await apply('x'.repeat(129), config({})), 422, 'Invalid', /Too long/)
  isStatus(t, await apply('a', { spec: {} }), 400, 'BadRequest', /must have apiVersion/)
  isStatus(t, await apply('a', 'a: [b'), 400, 'BadRequest')
  const managed = { ...config({}), metadata: { name: 'web', managedFields: [{ manager: 'a' }] } }
  isStatus(t, await apply('a', managed), 400, 'BadRequest', /metadata.managedFields must be nil/)
  isStatus(t, await apply('a', config({ ports: [http, http] })), 400, 'BadRequest', /duplicate entries for key/)
  const stale = { ...config({ ports: [http] }), metadata: { name: 'web', resourceVersion: '1' } }
  isStatus(t, await apply('a', stale), 409, 'Conflict')
  const trial = await apply('a', config({ ports: [http] }), '&dryRun=All')
  t.equal(trial.status, 201)
  isStatus(t, await world.call('GET', web), 404, 'NotFound')
  await world.call('POST', services, { body: service('web') })
  const merge = { 'content-type': 'application/merge-patch+json' }
  const forced = await world.call('PATCH', `${web}?force=true`, { body: {}, headers: merge })
  isStatus(t, forced, 422, 'Invalid', /force: Forbidden: may not be specified for non-apply patch/)
})

t.test('status is applied through its own door', async (t) => {
  const world = await apiWorld(t)
  const applyStatus = (manager: string, conditions: unknown, more = '') =>
    world.call('PATCH', `${web}/status?fieldManager=${manager}${more}`, {
      body: { ...config({ selector: { app: 'unseen' } }), status: { conditions } },
      headers,
    })
  isStatus(t, await applyStatus('a', []), 404, 'NotFound')
  const created = await world.call('POST', services, { body: service('web') })
  const seen = { type: 'Seen', status: 'True', reason: 'Seen', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }
  const { body } = await applyStatus('a', [seen])
  t.strictSame(body['spec'], created.body['spec'])
  t.match(body['status'], { conditions: [seen] })
  isStatus(
    t,
    await applyStatus('b', [{ ...seen, status: 'False' }]),
    409,
    'Conflict',
    /conflict with "a" with subresource "status"/,
  )
  t.equal((await applyStatus('b', [{ ...seen, status: 'False' }], '&force=true')).status, 200)
})
