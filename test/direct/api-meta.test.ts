// What the API says about itself: discovery in all its forms, OpenAPI, health, version, and who may do what.
import t from 'tap'
import { readFields } from '../../control/api/protobuf/wire.ts'
import { formatApiVersion, kinds } from '../../core/model/kinds.ts'
import { apiWorld, isStatus, service, services } from '../helpers/api-world.ts'

type Json = Record<string, unknown>

const aggregated = (version: string) => ({
  accept: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList,application/json`,
})

t.test('discovery comes all at once in both versions, and one by one', async (t) => {
  const { call } = await apiWorld(t)
  for (const version of ['v2', 'v2beta1']) {
    const core = await call('GET', '/api', { headers: aggregated(version) })
    t.match(core.headers['content-type'], new RegExp(`g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`))
    t.match(core.body, { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}` })
    const { items } = (await call('GET', '/apis', { headers: aggregated(version) })).body
    const groups = [...core.body.items!, ...items!] as {
      metadata: Json
      versions: { version: string; resources: Json[] }[]
    }[]
    for (const kind of kinds) {
      const group = groups.find((found) => (found.metadata['name'] ?? '') === kind.group)!
      for (const served of kind.versions) {
        const { resources } = group.versions.find((found) => found.version === served)!
        t.match(
          resources.find((resource) => resource['resource'] === kind.plural),
          {
            responseKind: { kind: kind.kind },
            scope: kind.namespaced ? 'Namespaced' : 'Cluster',
            singularResource: kind.singular,
            ...(kind.hasNoStatus === true ? {} : { subresources: [{ subresource: 'status' }] }),
          },
          `${kind.kind} ${served} ${version}`,
        )
      }
    }
  }
  t.match((await call('GET', '/apis')).body, { kind: 'APIGroupList', groups: [{ name: /./, preferredVersion: {} }] })
  t.match((await call('GET', '/apis', { headers: aggregated('v9') })).body, { kind: 'APIGroupList' })
  const resources = await call('GET', '/apis/authentication.k8s.io/v1')
  t.match(resources.body, { resources: [{ name: 'selfsubjectreviews', verbs: ['create'] }] })
})

t.test('every group version has a document with the kinds and paths that kubectl looks for', async (t) => {
  const { call } = await apiWorld(t)
  const index = (await call('GET', '/openapi/v3')).body as { paths: Record<string, { serverRelativeURL: string }> }
  for (const kind of kinds) {
    for (const version of kind.versions) {
      const at = kind.group === '' ? `api/${version}` : `apis/${kind.group}/${version}`
      const { body, headers } = await call('GET', index.paths[at]!.serverRelativeURL)
      t.match(headers['cache-control'], /immutable/)
      const { components, paths } = body as {
        components: { schemas: Record<string, Json> }
        paths: Record<string, Json>
      }
      const gvk = { group: kind.group, version, kind: kind.kind }
      const schema = Object.values(components.schemas).find((found) => {
        return JSON.stringify(found['x-kubernetes-group-version-kind']) === JSON.stringify([gvk])
      })
      t.ok(schema, `${kind.kind} of ${formatApiVersion(kind.group, version)} has a definition`)
      const scope = kind.namespaced ? '/namespaces/{namespace}' : ''
      const patch = paths[`/${at}${scope}/${kind.plural}/{name}`]!['patch'] as { parameters: { name: string }[] } & Json
      t.strictSame(patch['x-kubernetes-group-version-kind'], gvk)
      const names = patch.parameters.map((parameter) => parameter.name)
      t.ok(['fieldValidation', 'dryRun', 'fieldManager', 'force'].every((name) => names.includes(name)))
      checkReferences(t, body, components.schemas)
    }
  }
})

/** Every reference leads somewhere. */
function checkReferences(t: Tap, value: unknown, schemas: Record<string, Json>): void {
  const references = Array.from(
    JSON.stringify(value).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g),
    (m) => m[1]!,
  )
  t.strictSame(
    references.filter((name) => schemas[name] === undefined),
    [],
  )
}

type Tap = { strictSame(found: unknown, wanted: unknown): unknown }

t.test('documents are kept by their hash', async (t) => {
  const { call } = await apiWorld(t)
  const first = await call('GET', '/openapi/v3/api/v1')
  const etag = String(first.headers['etag'])
  const same = await call('GET', '/openapi/v3/api/v1', { headers: { 'if-none-match': etag } })
  t.equal(same.status, 304)
  t.equal(same.text, '')
  t.equal((await call('GET', '/openapi/v3/api/v1', { headers: { 'if-none-match': '"other"' } })).status, 200)
  const moved = await call('GET', '/openapi/v3/api/v1?hash=OLD')
  t.equal(moved.status, 301)
  t.equal((await call('GET', String(moved.headers['location']))).status, 200)
  isStatus(t, await call('GET', '/openapi/v3/apis/nothing.example/v1'), 404, 'NotFound')
  isStatus(t, await call('POST', '/openapi/v3', { body: {} }), 405, 'MethodNotAllowed')
  isStatus(t, await call('GET', '/openapi/v3', { headers: { accept: 'text/html' } }), 406, 'NotAcceptable')
})

t.test('the Swagger document comes as JSON and as the protobuf that kubectl 1.27 insists on', async (t) => {
  const { call, raw } = await apiWorld(t)
  const { body } = await call('GET', '/openapi/v2')
  const { definitions, paths } = body as { definitions: Record<string, Json>; paths: Json }
  t.match(definitions['io.k8s.api.core.v1.Service'], { 'x-kubernetes-group-version-kind': [{ kind: 'Service' }] })
  t.notMatch(JSON.stringify(body), /components\/schemas|"oneOf"|"allOf"/)
  const open = { 'x-kubernetes-preserve-unknown-fields': true, type: undefined, properties: undefined }
  const namespace = definitions['io.k8s.api.core.v1.Namespace'] as { properties: Json }
  t.match(namespace.properties['status'], open, 'kubectl would refuse the phase of a namespace in a List')
  const pod = definitions['io.k8s.api.core.v1.Pod']
  t.match(JSON.stringify(pod), /"One volume.","x-kubernetes-preserve-unknown-fields":true/)
  const accept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'
  const packed = await raw('GET', '/openapi/v2', { headers: { accept } })
  t.equal(packed.headers['content-type'], 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf')
  const fields = new Map(readFields(packed.bytes).map(({ field, value }) => [field, value as Buffer]))
  t.equal(fields.get(1)!.toString(), '2.0')
  t.equal(readFields(fields.get(8)!).length, Object.keys(paths).length)
  const names = readFields(fields.get(9)!).map(({ value }) => String(readFields(value as Buffer)[0]!.value))
  t.strictSame(names, Object.keys(definitions))
})

t.test('health is told whole, check by check and in words', async (t) => {
  let wrong: string | undefined = 'the first state is not compiled yet'
  const { call } = await apiWorld(t, { notReady: () => wrong })
  t.match(await call('GET', '/livez', { token: '' }), { status: 200, text: 'ok' })
  t.match(await call('GET', '/readyz', { token: '' }), {
    status: 503,
    text: /\[-\]first-state failed: the first state/,
  })
  t.match(await call('GET', '/readyz/first-state'), { status: 503, text: /not compiled yet/ })
  t.match(await call('GET', '/readyz/ping'), { status: 200, text: 'ok' })
  t.match(await call('GET', '/readyz?exclude=first-state'), { status: 200, text: 'ok' })
  wrong = undefined
  t.match(await call('GET', '/readyz'), { status: 200, text: 'ok' })
  t.match(await call('GET', '/readyz?verbose'), { status: 200, text: /\[\+\]ping ok\n[\s\S]*readyz check passed/ })
  isStatus(t, await call('GET', '/readyz/nothing'), 404, 'NotFound')
  t.match((await call('GET', '/version', { token: '' })).body, { major: '1', minor: '32' })
})

t.test('a store that takes nothing makes the API server unready, and no less alive', async (t) => {
  let trouble: string | undefined = 'the store has not taken a write for some seconds'
  const { call } = await apiWorld(t, { storeTrouble: () => trouble })
  t.match(await call('GET', '/readyz'), { status: 503, text: /\[-\]store failed: the store has not taken/ })
  t.match(await call('GET', '/livez'), { status: 200, text: 'ok' })
  trouble = undefined
  t.match(await call('GET', '/readyz'), { status: 200, text: 'ok' })
})

t.test('a caller asks who it is and what it may do', async (t) => {
  const { call } = await apiWorld(t)
  const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  t.match((await call('POST', review, { body: {} })).body, { status: { userInfo: { username: 'admin' } } })
  const access = async (token: string, verb: string) => {
    const body = { spec: { resourceAttributes: { verb, resource: 'services' } } }
    const { status } = (await call('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { body, token }))
      .body
    return (status as { allowed: boolean }).allowed
  }
  t.equal(await access('admin', 'delete'), true)
  t.equal(await access('viewer', 'list'), true)
  t.equal(await access('viewer', 'delete'), false)
  isStatus(t, await call('GET', review), 405, 'MethodNotAllowed')
  isStatus(t, await call('POST', review, { body: {}, token: '' }), 401, 'Unauthorized')
  isStatus(t, await call('POST', services, { body: service('a'), token: 'viewer' }), 403, 'Forbidden')
})
