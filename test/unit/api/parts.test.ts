// The pure parts of the API server: paths, selectors, patches, tables, watch events.
import fc from 'fast-check'
import t from 'tap'
import { ApiError, asApiError } from '../../../control/api/errors.ts'
import { jsonFaults } from '../../../control/api/json.ts'
import { mergePatch } from '../../../control/api/patch/merge-patch.ts'
import { parsePath } from '../../../control/api/paths.ts'
import { ageOf, negotiate } from '../../../control/api/representation.ts'
import { parseSelectors } from '../../../control/api/selectors.ts'
import { watchEventOf } from '../../../control/api/watch.ts'
import type { StoreEvent } from '../../../control/store/store.ts'
import { MeshError } from '../../../core/base/errors.ts'
import { serviceKind } from '../../../core/model/kinds/core.ts'
import { kinds } from '../../../core/model/kinds.ts'
import type { MeshObject } from '../../../core/model/resource.ts'

function summary(path: string): unknown {
  const target = parsePath(path)
  if (target?.type !== 'resource') return target?.type
  return [target.kind.kind, target.apiVersion, target.namespace, target.name, target.subresource]
}

t.test('a path addresses a version, a collection, an object or its status', (t) => {
  t.equal(summary('/api'), 'core-versions')
  t.equal(summary('/apis/'), 'groups')
  t.equal(summary('/apis/security.istio.io'), 'group')
  t.equal(summary('/api/v1'), 'resources')
  t.strictSame(summary('/api/v1/namespaces'), ['Namespace', 'v1', undefined, undefined, undefined])
  t.strictSame(summary('/api/v1/namespaces/shop'), ['Namespace', 'v1', undefined, 'shop', undefined])
  t.strictSame(summary('/api/v1/namespaces/shop/status'), ['Namespace', 'v1', undefined, 'shop', 'status'])
  t.strictSame(summary('/api/v1/namespaces/shop/services'), ['Service', 'v1', 'shop', undefined, undefined])
  t.strictSame(summary('/api/v1/namespaces/shop/services/web/status'), ['Service', 'v1', 'shop', 'web', 'status'])
  t.strictSame(summary('/api/v1/services'), ['Service', 'v1', undefined, undefined, undefined])
  const beta = '/apis/networking.istio.io/v1beta1/namespaces/a/workloadentries/b'
  t.strictSame(summary(beta), ['WorkloadEntry', 'networking.istio.io/v1beta1', 'a', 'b', undefined])
  t.end()
})

t.test('a path that addresses nothing is nothing', (t) => {
  const paths = [
    '/',
    '',
    '/api/v2',
    '/api/v1/deployments',
    '/api/v1/services/web',
    '/api/v1/namespaces/a/namespaces',
    '/api/v1/namespaces/a/services/b/c',
    '/api/v1/namespaces/a/services/b/status/d',
    '/api/v1//services',
    '/apis//v1/services',
    '/apis/v1',
    '/apis/security.istio.io/v1/services',
    '/api/v1/namespaces/a%2fb',
    '/api/v1/namespaces/%zz',
    '/apis/security.istio.io/v1alpha3',
  ]
  for (const path of paths) t.equal(parsePath(path), undefined, path)
  fc.assert(fc.property(fc.string(), (path) => parsePath(`/${path}`) === undefined || path.startsWith('api')))
  const name = fc.stringMatching(/^[a-z0-9]{1,8}$/)
  fc.assert(
    fc.property(fc.constantFrom(...kinds), name, name, (kind, namespace, object) => {
      const version = kind.group === '' ? '/api/v1' : `/apis/${kind.group}/${kind.versions[0]}`
      const place = kind.namespaced ? `/namespaces/${namespace}` : ''
      const target = parsePath(`${version}${place}/${kind.plural}/${object}`)
      return target?.type === 'resource' && target.kind === kind && target.name === object
    }),
  )
  t.end()
})

const labelled = (labels: Record<string, string>, name = 'a'): MeshObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'n', labels },
})

t.test('label selectors select as in Kubernetes', (t) => {
  const cases: readonly (readonly [string, boolean])[] = [
    ['', true],
    ['app=web', true],
    ['app==web', true],
    ['app = web', true],
    ['app=api', false],
    ['app!=api', true],
    ['none!=x', true],
    ['none=', false],
    ['empty=', true],
    ['app', true],
    ['none', false],
    ['!none', true],
    ['! app', false],
    ['app in (api, web)', true],
    ['app in (api)', false],
    ['app notin (api)', true],
    ['none notin (api)', true],
    ['none in (api)', false],
    ['app=web,tier in (a,b),!none', true],
    ['app=web,tier=c', false],
    ['example.com/x=1', true],
    ['toString', false],
  ]
  const object = labelled({ app: 'web', tier: 'b', empty: '', 'example.com/x': '1' })
  for (const [selector, expected] of cases)
    t.equal(parseSelectors(selector, '', serviceKind)(object), expected, `"${selector}"`)
  for (const wrong of ['a b', 'a=b=c', 'a in b', 'a in (b', ',', 'a,,b', '=x', 'a=b c', 'a>1', '-=x']) {
    t.throws(() => parseSelectors(wrong, '', serviceKind), ApiError, wrong)
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        return typeof parseSelectors(text, text, serviceKind)(object) === 'boolean'
      } catch (error: unknown) {
        return error instanceof ApiError && error.status === 400
      }
    }),
  )
  t.end()
})

t.test('field selectors know name and namespace', (t) => {
  const fits = (selector: string) => parseSelectors('', selector, serviceKind)(labelled({}, 'web'))
  t.equal(fits('metadata.name=web'), true)
  t.equal(fits('metadata.name!=web'), false)
  t.equal(fits('metadata.namespace==n,metadata.name=web'), true)
  t.throws(() => fits('spec.ports=x'), /supported fields of Service: metadata.name, metadata.namespace, spec/)
  t.end()
})

t.test('a merge patch does what RFC 7386 says', (t) => {
  const cases: readonly (readonly [unknown, unknown, unknown])[] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [['a'], ['b'], ['b']],
    [{ a: 'foo' }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ]
  for (const [target, patch, expected] of cases) t.strictSame(mergePatch(target, patch), expected)
  fc.assert(fc.property(fc.jsonValue(), (value) => t.strictSame(mergePatch(value, {}), isPlain(value) ? value : {})))
  const polluted = mergePatch({}, JSON.parse('{"__proto__": {"polluted": 1}}'))
  t.equal((polluted as { polluted?: number }).polluted, undefined)
  t.end()
})

function isPlain(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const faultless = { tooDeep: false, duplicates: [] }

t.test('duplicate keys and endless nesting are found, valid JSON is not complained about', (t) => {
  t.strictSame(jsonFaults('{"a":{"b":1,"c":2,"b":3}}').duplicates, ['a.b'])
  t.strictSame(jsonFaults('{"a":[{},{"x":[[1,2],{"b":1,"b":3}]}],"a":2}').duplicates, ['a[1].x[1].b', 'a'])
  t.strictSame(jsonFaults('{"a":1,"\\u0061":2}').duplicates, ['a'], 'escapes are resolved')
  t.strictSame(jsonFaults('[{"a":"}\\"{,:"},{"a":1},["a","a"],{"a":{"a":"a"}}]'), faultless)
  t.equal(jsonFaults('['.repeat(300) + ']'.repeat(300)).tooDeep, true)
  t.strictSame(jsonFaults(`{"a": "${'x'.repeat(3_000_000)}"}`), faultless)
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      t.strictSame(jsonFaults(JSON.stringify(value)), faultless)
    }),
  )
  t.end()
})

t.test('what is accepted decides how it is answered', (t) => {
  const plain = { encoding: 'json', table: false, partial: false, metaVersion: 'v1' }
  const cases: readonly (readonly [string | undefined, object])[] = [
    [undefined, plain],
    ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', { ...plain, table: true }],
    ['application/json;as=Table;v=v1beta1;g=meta.k8s.io', { ...plain, table: true, metaVersion: 'v1beta1' }],
    ['application/json;as=Table;v=v9;g=meta.k8s.io,application/json', plain],
    ['application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io', { ...plain, partial: true }],
    ['application/json;q=0.5, application/yaml', { ...plain, encoding: 'yaml' }],
    ['application/vnd.kubernetes.protobuf,application/json', plain],
    ['application/vnd.kubernetes.protobuf, application/yaml', { ...plain, encoding: 'yaml' }],
  ]
  for (const [accept, expected] of cases) t.strictSame(negotiate(accept), expected, accept ?? 'no header')
  t.throws(() => negotiate('application/json;q=0'), ApiError)
  t.throws(() => negotiate('application/vnd.kubernetes.protobuf'), ApiError)
  t.end()
})

t.test('ages read as kubectl prints them', (t) => {
  const minute = 60_000
  const cases = [
    [5000, '5s'],
    [119_000, '119s'],
    [5 * minute + 4000, '5m4s'],
    [30 * minute, '30m'],
    [250 * minute, '4h10m'],
    [40 * 60 * minute, '40h'],
    [75 * 60 * minute, '3d3h'],
    [400 * 1440 * minute, '400d'],
    [-5, '0s'],
    [Number.NaN, '<unknown>'],
  ] as const
  for (const [ms, text] of cases) t.equal(ageOf(ms), text)
  t.end()
})

t.test('a store event is to a watcher what its selector makes of it', (t) => {
  const fits = (object: MeshObject) => object.metadata.labels?.['on'] === 'yes'
  const event = (type: StoreEvent['type'], now: string, before?: string, namespace = 'n'): StoreEvent => ({
    type,
    stored: { key: { group: '', kind: 'Service', namespace, name: 'a' }, object: labelled({ on: now }), revision: 7 },
    ...(before === undefined ? {} : { previous: labelled({ on: before }) }),
  })
  const seen = (given: StoreEvent) => watchEventOf(given, { kind: serviceKind, namespace: 'n', fits })?.type
  t.equal(seen(event('ADDED', 'yes')), 'ADDED')
  t.equal(seen(event('ADDED', 'no')), undefined)
  t.equal(seen(event('MODIFIED', 'yes', 'yes')), 'MODIFIED')
  t.equal(seen(event('MODIFIED', 'yes', 'no')), 'ADDED')
  t.equal(seen(event('MODIFIED', 'no', 'yes')), 'DELETED')
  t.equal(seen(event('MODIFIED', 'no', 'no')), undefined)
  t.equal(seen(event('DELETED', 'yes', 'yes')), 'DELETED')
  t.equal(seen(event('DELETED', 'no', 'no')), undefined)
  t.equal(seen(event('ADDED', 'yes', undefined, 'other')), undefined)
  t.end()
})

t.test('errors below become a Status, and keep what is inside to themselves', (t) => {
  t.match(asApiError(new MeshError('RESOURCE_CONFLICT', 'x')).toStatus(), {
    code: 409,
    reason: 'Conflict',
    message: 'x',
  })
  t.match(asApiError(new MeshError('STORE_FAILED', 'disk full')).toStatus(), {
    code: 503,
    reason: 'ServiceUnavailable',
  })
  t.match(asApiError(new MeshError('RESOURCE_INVALID', 'no vip')).toStatus(), { code: 422, reason: 'Invalid' })
  const inner = asApiError(new Error('secret path')).toStatus()
  t.equal(inner.code, 500)
  t.notMatch(inner.message, /secret/)
  t.end()
})
