// The extended tests that count in the MESH-HTTP profile, and those that the mesh suite runs without counting them, since they need
// features of gateways (gateway-api 4564255, conformance/tests/mesh). Paths and Locations are ours: upstream does not compare them.
import type { CaseRequest, ConformanceCase } from '../case.ts'
import { headerChanges, requestHeaderRows } from './header-rows.ts'
import { all, httpRoute, prefix, to } from './yaml.ts'

const counted = { profile: 'MESH-HTTP', level: 'extended' } as const
const uncounted = { profile: 'MESH-HTTP', level: 'uncounted' } as const
const [v1, v2] = [{ backend: 'echo-v1' }, { backend: 'echo-v2' }]
const missing = { status: 404 }

const query = (...pairs: readonly string[]): string =>
  `queryParams: [${pairs.map((pair) => `{name: ${pair.split('=')[0]}, value: ${pair.split('=')[1]}}`).join(', ')}]`

interface RedirectRow {
  readonly path: string
  /** Fields of the filter, YAML. */
  readonly redirect: string
  readonly status?: number
  readonly location: string
}

/** One rule and one request for each row. */
function redirects(name: string, rows: readonly RedirectRow[]): Pick<ConformanceCase, 'resources' | 'requests'> {
  const rules = rows.map(
    ({ path, redirect }) => `
- matches: [{${prefix(path)}}]
  filters: [{type: RequestRedirect, requestRedirect: {${redirect}}}]`,
  )
  const requests = rows.map(({ path, status = 302, location }): CaseRequest => ({ path, expect: { status, location } }))
  return { resources: httpRoute(name, rules.join('')), requests }
}

const replacePrefix = (value: string): string => `path: {type: ReplacePrefixMatch, replacePrefixMatch: ${value}}`
const replaceAll = (value: string): string => `path: {type: ReplaceFullPath, replaceFullPath: ${value}}`
const modify =
  '{set: [{name: X-Header-Set, value: set-overwrites-values}], add: [{name: X-Header-Add, value: header-val-1}, {name: X-Header-Add-Append, value: header-val-2}], remove: [X-Header-Remove]}'
const modified = {
  headers: { 'X-Header-Remove': 'remove-val', 'X-Header-Add-Append': 'append-val-1', 'X-Header-Set': 'set-val' },
  expect: {
    request: {
      'X-Header-Add': 'header-val-1',
      'X-Header-Add-Append': 'append-val-1,header-val-2',
      'X-Header-Set': 'set-overwrites-values',
    },
    requestAbsent: ['X-Header-Remove'],
  },
} as const

const rewrites = (path: string, change: string, more = ''): string => `
- matches: [{${prefix(path)}}]
  filters:
  - {type: URLRewrite, urlRewrite: {${change}}}${more}
  ${to('echo-v1')}`
const withHeaders = `
  - {type: RequestHeaderModifier, requestHeaderModifier: ${modify}}`

const setHeader = (name: string, value: string, service: string, parent: string, namespace?: string): string =>
  httpRoute(
    name,
    `
- filters:
  - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Header-Set, value: ${value}}]}}
  backendRefs: [{name: ${service}, namespace: conformance, port: 80}]`,
    parent,
    namespace,
  )

export const meshExtended: readonly ConformanceCase[] = [
  {
    name: 'MeshHTTPRouteQueryParamMatching',
    ...counted,
    resources: httpRoute(
      'query',
      `
- matches: [{${query('animal=whale')}}]
  ${to('echo-v1')}
- matches: [{${query('animal=dolphin')}}]
  ${to('echo-v2')}
- matches: [{${query('animal=dolphin', 'color=blue')}}]
  ${to('echo-v1')}
- matches: [{${query('ANIMAL=Whale')}}]
  ${to('echo-v2')}
- matches: [{${prefix('/path1')}, ${query('animal=whale')}}]
  ${to('echo-v1')}
- matches: [{headers: [{name: version, value: one}], ${query('animal=whale')}}]
  ${to('echo-v2')}
- matches:
  - {${prefix('/path3')}, ${query('animal=shark')}}
  - {${prefix('/path4')}, headers: [{name: version, value: three}], ${query('animal=kraken')}}
  ${to('echo-v1')}
- matches: [{${prefix('/path5')}}]
  ${to('echo-v1')}
- matches: [{${query('animal=hydra')}}]
  ${to('echo-v2')}`,
    ),
    requests: [
      { path: '/?animal=whale', expect: v1 },
      { path: '/?animal=dolphin', expect: v2 },
      { path: '/?animal=dolphin&color=blue', expect: v1 },
      { path: '/?ANIMAL=Whale', expect: v2 },
      { path: '/?animal=whale&otherparam=irrelevant', expect: v1 },
      { path: '/?animal=dolphin&color=yellow', expect: v2 },
      { path: '/?color=blue', expect: missing },
      { path: '/?animal=dog', expect: missing },
      { path: '/?animal=whaledolphin', expect: missing },
      { path: '/', expect: missing },
      { path: '/path1?animal=whale', expect: v1 },
      { path: '/?animal=whale', headers: { version: 'one' }, expect: v2 },
      { path: '/path3?animal=shark', expect: v1 },
      { path: '/path4?animal=kraken', headers: { version: 'three' }, expect: v1 },
      { path: '/?animal=shark', expect: missing },
      { path: '/path4?animal=kraken', expect: missing },
      { path: '/path5?animal=hydra', expect: v1, about: 'the path counts before the query' },
    ],
  },
  {
    name: 'MeshHTTPRouteRedirectPath',
    ...counted,
    ...redirects('redirect-path', [
      {
        path: '/original-prefix',
        redirect: replacePrefix('/replacement-prefix'),
        location: 'http://echo/replacement-prefix',
      },
      { path: '/full', redirect: replaceAll('/full-path-replacement'), location: 'http://echo/full-path-replacement' },
      {
        path: '/path-and-host',
        redirect: `hostname: example.org, ${replacePrefix('/replacement-prefix')}`,
        location: 'http://example.org/replacement-prefix',
      },
      {
        path: '/path-and-status',
        redirect: `statusCode: 301, ${replacePrefix('/replacement-prefix')}`,
        status: 301,
        location: 'http://echo/replacement-prefix',
      },
      {
        path: '/full-path-and-host',
        redirect: `hostname: example.org, ${replaceAll('/replacement-full')}`,
        location: 'http://example.org/replacement-full',
      },
      {
        path: '/full-path-and-status',
        redirect: `statusCode: 301, ${replaceAll('/replacement-full')}`,
        status: 301,
        location: 'http://echo/replacement-full',
      },
    ]),
  },
  {
    name: 'MeshHTTPRouteRedirectPath',
    ...counted,
    resources: httpRoute(
      'redirect-longer',
      `
- matches: [{${prefix('/original-prefix')}}]
  filters: [{type: RequestRedirect, requestRedirect: {${replacePrefix('/replacement-prefix')}}}]
- matches: [{${prefix('/full')}}]
  filters: [{type: RequestRedirect, requestRedirect: {${replaceAll('/full-path-replacement')}}}]`,
    ),
    requests: [
      { path: '/original-prefix/lemon', expect: { status: 302, location: 'http://echo/replacement-prefix/lemon' } },
      { path: '/original-prefix/?a=b', expect: { status: 302, location: 'http://echo/replacement-prefix/?a=b' } },
      { path: '/full/path/original', expect: { status: 302, location: 'http://echo/full-path-replacement' } },
    ],
  },
  {
    name: 'MeshHTTPRouteRedirectPort',
    ...counted,
    ...redirects('redirect-port', [
      { path: '/port', redirect: 'port: 8083', location: 'http://echo:8083/port' },
      {
        path: '/port-and-host',
        redirect: 'port: 8083, hostname: example.org',
        location: 'http://example.org:8083/port-and-host',
      },
      {
        path: '/port-and-status',
        redirect: 'port: 8083, statusCode: 301',
        status: 301,
        location: 'http://echo:8083/port-and-status',
      },
      {
        path: '/port-and-host-and-status',
        redirect: 'port: 8083, hostname: example.org, statusCode: 302',
        location: 'http://example.org:8083/port-and-host-and-status',
      },
      { path: '/port-of-scheme', redirect: 'port: 80', location: 'http://echo/port-of-scheme' },
    ]),
  },
  {
    name: 'MeshHTTPRouteSchemeRedirect',
    ...counted,
    ...redirects('redirect-scheme', [
      { path: '/scheme', redirect: 'scheme: https', location: 'https://echo/scheme' },
      {
        path: '/scheme-and-host',
        redirect: 'scheme: https, hostname: example.org',
        location: 'https://example.org/scheme-and-host',
      },
      {
        path: '/scheme-and-status',
        redirect: 'scheme: https, statusCode: 301',
        status: 301,
        location: 'https://echo/scheme-and-status',
      },
      {
        path: '/scheme-and-host-and-status',
        redirect: 'scheme: https, hostname: example.org, statusCode: 302',
        location: 'https://example.org/scheme-and-host-and-status',
      },
    ]),
  },
  {
    name: 'MeshHTTPRouteRewritePath',
    ...counted,
    resources: httpRoute(
      'rewrite-path',
      rewrites('/prefix/one', replacePrefix('/one')) +
        rewrites('/strip-prefix', replacePrefix('/')) +
        rewrites('/full/one', replaceAll('/one')) +
        rewrites('/full/rewrite-path-and-modify-headers', replaceAll('/test'), withHeaders) +
        rewrites('/prefix/rewrite-path-and-modify-headers', replacePrefix('/prefix'), withHeaders),
    ),
    requests: [
      { path: '/prefix/one/two', expect: { ...v1, path: '/one/two' } },
      { path: '/prefix/one?x=1', expect: { ...v1, path: '/one?x=1' } },
      { path: '/strip-prefix/three', expect: { ...v1, path: '/three' } },
      { path: '/strip-prefix', expect: { ...v1, path: '/' } },
      { path: '/full/one/two', expect: { ...v1, path: '/one' } },
      {
        ...modified,
        path: '/full/rewrite-path-and-modify-headers/test',
        expect: { ...v1, ...modified.expect, path: '/test' },
      },
      {
        ...modified,
        path: '/prefix/rewrite-path-and-modify-headers/one',
        expect: { ...v1, ...modified.expect, path: '/prefix/one' },
      },
    ],
  },
  {
    name: 'MeshHTTPRouteBackendRequestHeaderModifier',
    ...counted,
    resources: httpRoute(
      'backend-request-headers',
      headerChanges
        .map(
          ([path, changes]) => `
- matches: [{${prefix(path)}}]
  backendRefs:
  - name: echo-v1
    port: 8080
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {${changes}}}`,
        )
        .join(''),
    ),
    requests: requestHeaderRows,
  },
  {
    name: 'MeshHTTPRouteNamedRule',
    ...counted,
    resources: httpRoute(
      'named-rules',
      `
- name: named-rule
  matches: [{${prefix('/named')}}]
  ${to('echo-v1')}
- matches: [{${prefix('/unnamed')}}]
  ${to('echo-v2')}`,
    ),
    // upstream expects the path /named of a request for /unnamed, which nothing in its manifest could make
    requests: [
      { path: '/named', expect: v1 },
      { path: '/unnamed', expect: v2 },
    ],
  },
  {
    name: 'MeshFrontend',
    ...uncounted,
    resources: setHeader('frontend', 'set', 'echo-v2', 'name: echo-v2'),
    requests: [
      { to: 'echo-v2', expect: { ...v2, response: { 'X-Header-Set': 'set' } } },
      { to: 'pod echo-v2:8080', expect: { ...v2, responseAbsent: ['X-Header-Set'] } },
    ],
  },
  {
    name: 'MeshFrontendHostname',
    ...uncounted,
    resources: setHeader('frontend-hostname', 'set', 'echo-v2', 'name: echo-v2'),
    requests: [
      {
        to: 'echo-v2',
        headers: { host: 'echo-v1' },
        expect: { ...v2, host: 'echo-v1', response: { 'X-Header-Set': 'set' } },
        about: 'the wrong host',
      },
      {
        to: 'echo-v1',
        headers: { host: 'echo-v2' },
        expect: { ...v1, host: 'echo-v2', responseAbsent: ['X-Header-Set'] },
        about: 'the host of another frontend',
      },
    ],
  },
  {
    name: 'MeshPorts',
    ...uncounted,
    resources: all(
      setHeader('ports-one', 'v1', 'echo-v1', 'name: echo-v1, port: 80'),
      setHeader('ports-all', 'v2', 'echo-v2', 'name: echo-v2'),
    ),
    requests: [
      { to: 'echo-v1', expect: { ...v1, response: { 'X-Header-Set': 'v1' } } },
      { to: 'echo-v1:8080', expect: { ...v1, responseAbsent: ['X-Header-Set'] } },
      { to: 'echo-v2', expect: { ...v2, response: { 'X-Header-Set': 'v2' } } },
      { to: 'echo-v2:8080', expect: { ...v2, response: { 'X-Header-Set': 'v2' } } },
    ],
  },
  {
    name: 'MeshConsumerRoute',
    ...uncounted,
    resources: setHeader(
      'consumer',
      'set',
      'echo-v1',
      'name: echo-v1, namespace: conformance, port: 80',
      'conformance-consumer',
    ),
    requests: [
      {
        from: 'conformance-consumer',
        to: 'echo-v1.conformance',
        expect: { ...v1, response: { 'X-Header-Set': 'set' } },
      },
      { to: 'echo-v1.conformance', expect: { ...v1, responseAbsent: ['X-Header-Set'] } },
    ],
  },
  ...[303, 307, 308].map(
    (status): ConformanceCase => ({
      name: `MeshHTTPRoute${status}Redirect`,
      ...uncounted,
      ...redirects(`redirect-${status}`, [
        {
          path: `/status-${status}`,
          redirect: `hostname: example.org, statusCode: ${status}`,
          status,
          location: `http://example.org/status-${status}`,
        },
      ]),
    }),
  ),
]
