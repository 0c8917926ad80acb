// Who may come in, what the API server says about itself, and how it answers kubectl.
import t from 'tap'
import { parse } from 'yaml'
import { kinds } from '../../core/model/kinds.ts'
import { apiWorld, isStatus, policies, policy, service, services } from '../helpers/api-world.ts'

t.test('every path but health and version asks who is calling', async (t) => {
  const routes = { 'POST /culvert/v1/tokens': async () => ({ status: 200, body: { ok: true } }) }
  let reason: string | undefined = 'compiling'
  const { call } = await apiWorld(t, { routes, notReady: () => reason })
  for (const path of ['/api', '/apis', policies, '/nowhere', '/']) {
    const answer = await call('GET', path, { token: '' })
    isStatus(t, answer, 401, 'Unauthorized')
    t.match(answer.headers['www-authenticate'], /Bearer/)
  }
  isStatus(t, await call('POST', '/culvert/v1/tokens', { token: 'wrong', body: {} }), 401, 'Unauthorized')
  t.equal((await call('GET', '/healthz', { token: '' })).text, 'ok')
  t.match(await call('GET', '/readyz', { token: '' }), { status: 503, text: 'compiling' })
  reason = undefined
  t.equal((await call('GET', '/readyz', { token: '' })).status, 200)
  t.match((await call('GET', '/version', { token: '' })).body, { major: '1', gitVersion: /culvert/ })
  t.equal((await call('GET', policies, { token: 'viewer' })).status, 200)
  isStatus(t, await call('POST', policies, { token: 'viewer', body: policy('a') }), 403, 'Forbidden')
})

t.test('further routes get the caller and the body', async (t) => {
  const routes = {
    'POST /culvert/v1/tokens': async ({ caller, body }: { caller: { name: string }; body(): Promise<unknown> }) => ({
      status: 201,
      body: { by: caller.name, got: await body() },
    }),
    '/culvert/v1/below/': async ({ url }: { url: URL }) => ({ status: 200, body: { path: url.pathname } }),
  }
  const { call } = await apiWorld(t, { routes })
  const made = await call('POST', '/culvert/v1/tokens', { body: { host: 'h1' } })
  t.match(made, { status: 201, body: { by: 'admin', got: { host: 'h1' } } })
  t.match((await call('GET', '/culvert/v1/below/x')).body, { path: '/culvert/v1/below/x' })
  isStatus(t, await call('GET', '/culvert/v1/tokens'), 404, 'NotFound')
})

t.test('discovery names every kind with its versions', async (t) => {
  const { call } = await apiWorld(t)
  t.match((await call('GET', '/api')).body, { kind: 'APIVersions', versions: ['v1'] })
  const { body } = await call('GET', '/apis')
  const groups = body['groups'] as readonly { readonly name: string }[]
  t.match(
    ['networking.istio.io', 'security.istio.io'].map((name) => groups.find((group) => group.name === name)),
    [
      { preferredVersion: { groupVersion: 'networking.istio.io/v1' } },
      { versions: [{ version: 'v1' }, { version: 'v1beta1' }] },
    ],
  )
  const named = [...new Set(kinds.map(({ group }) => group))].filter((group) => group !== '')
  for (const name of named)
    t.ok(
      groups.some((group) => group.name === name),
      name,
    )
  t.match((await call('GET', '/apis/security.istio.io')).body, { kind: 'APIGroup', name: 'security.istio.io' })
  const core = (await call('GET', '/api/v1')).body as { resources?: { name: string }[] }
  t.strictSame(
    core.resources?.map(({ name }) => name),
    kinds
      .filter(({ group }) => group === '')
      .flatMap(({ plural, hasNoStatus }) => (hasNoStatus === true ? [plural] : [plural, `${plural}/status`])),
  )
  isStatus(t, await call('GET', '/apis/security.istio.io/v2'), 404, 'NotFound')
})

t.test('kubectl get gets a table', async (t) => {
  const { call } = await apiWorld(t)
  await call('POST', services, { body: service('web') })
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
  const { body } = await call('GET', services, { headers: { accept } })
  t.match(body, {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    columnDefinitions: [
      { name: 'Name' },
      { name: 'Type' },
      { name: 'Cluster-IP' },
      { name: 'External-IP' },
      { name: 'Port(s)' },
      { name: 'Age' },
    ],
    rows: [
      { cells: ['web', 'ClusterIP', /^240/, '<none>', '80/TCP', /^\d+s$/], object: { kind: 'PartialObjectMetadata' } },
    ],
  })
  const yaml = await call('GET', `${services}/web`, { headers: { accept: 'application/yaml' } })
  t.match(parse(yaml.text), { kind: 'Service', metadata: { name: 'web' } })
})
