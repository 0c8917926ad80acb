// Tests of the Gateway API that were written for gateways and say something about a mesh too, with Services as parents: which rule
// and which backend (gateway-api 4564255, conformance/tests). Hostnames are left out: they do not count in a mesh (GEP-1294).
import type { ConformanceCase } from '../case.ts'
import { headerChanges, responseHeaderRows } from './header-rows.ts'
import { all, exact, grpcEcho, grpcRoute, httpRoute, prefix, to } from './yaml.ts'

const http = { profile: 'MESH-HTTP', level: 'gateway' } as const
const [v1, v2, v3] = [{ backend: 'echo-v1' }, { backend: 'echo-v2' }, { backend: 'third' }]
const [toV1, toV2, toV3] = [to('backend-v1'), to('backend-v2'), to('backend-v3')]
const missing = { status: 404 }

const headers = (...pairs: readonly string[]): string =>
  `headers: [${pairs.map((pair) => `{name: ${pair.split('=')[0]}, value: ${pair.split('=')[1]}}`).join(', ')}]`

const rewriteHost = (path: string, host: string, target: string, more = ''): string => `
- matches: [{${prefix(path)}}]
  filters:
  - {type: URLRewrite, urlRewrite: {hostname: ${host}}}${more}
  ${target}`

export const gatewayRouting: readonly ConformanceCase[] = [
  {
    name: 'HTTPRoutePathMatchOrder',
    ...http,
    resources: httpRoute(
      'path-order',
      `
- matches: [{${exact('/match/exact/one')}}]
  ${toV3}
- matches: [{${exact('/match/exact')}}]
  ${toV2}
- matches: [{${exact('/match')}}]
  ${toV1}
- matches: [{${prefix('/match/prefix/one')}}]
  ${toV2}
- matches: [{${prefix('/match/prefix/')}}]
  ${toV1}
- matches: [{${prefix('/match/')}}]
  ${toV3}`,
    ),
    requests: [
      { path: '/match/exact/one', expect: v3 },
      { path: '/match/exact', expect: v2 },
      { path: '/match', expect: v1 },
      { path: '/match/prefix/one/any', expect: v2 },
      { path: '/match/prefix/any', expect: v1 },
      { path: '/match/any', expect: v3 },
    ],
  },
  {
    name: 'HTTPRouteMatchingAcrossRoutes',
    ...http,
    resources: all(
      httpRoute(
        'across-one',
        `
- matches: [{${prefix('/')}}, {${headers('version=one')}}]
  ${toV1}`,
      ),
      httpRoute(
        'across-two',
        `
- matches: [{${prefix('/v2')}}, {${headers('version=two')}}]
  ${toV2}`,
      ),
    ),
    requests: [
      { path: '/', expect: v1 },
      { path: '/example', expect: v1 },
      { path: '/example', headers: { Version: 'one' }, expect: v1 },
      { path: '/v2', expect: v2 },
      { path: '/v2/example', expect: v2 },
      { path: '/', headers: { Version: 'two' }, expect: v2 },
    ],
  },
  {
    name: 'HTTPRouteMethodMatching',
    ...http,
    resources: httpRoute(
      'method',
      `
- matches: [{method: POST}]
  ${toV1}
- matches: [{method: GET}]
  ${toV2}
- matches: [{${prefix('/path1')}, method: GET}]
  ${toV1}
- matches: [{${headers('version=one')}, method: PUT}]
  ${toV2}
- matches: [{${prefix('/path2')}, ${headers('version=two')}, method: POST}]
  ${toV3}
- matches:
  - {${prefix('/path3')}, method: PATCH}
  - {${prefix('/path4')}, ${headers('version=three')}, method: DELETE}
  ${toV1}
- matches: [{${prefix('/path5')}}]
  ${toV1}
- matches: [{method: PATCH}]
  ${toV2}
- matches: [{${headers('version=four')}}]
  ${toV1}`,
    ),
    requests: [
      { method: 'POST', path: '/', expect: v1 },
      { method: 'GET', path: '/', expect: v2 },
      { method: 'HEAD', path: '/', expect: missing },
      { method: 'GET', path: '/path1', expect: v1 },
      { method: 'PUT', path: '/', headers: { version: 'one' }, expect: v2 },
      { method: 'POST', path: '/path2', headers: { version: 'two' }, expect: v3 },
      { method: 'PATCH', path: '/path3', expect: v1 },
      { method: 'DELETE', path: '/path4', headers: { version: 'three' }, expect: v1 },
      { method: 'PUT', path: '/', expect: missing },
      { method: 'DELETE', path: '/path4', expect: missing },
      { method: 'PATCH', path: '/path5', expect: v1 },
      { method: 'PATCH', path: '/', headers: { version: 'four' }, expect: v2 },
    ],
  },
  {
    name: 'HTTPRouteHeaderMatching',
    ...http,
    resources: httpRoute(
      'headers',
      `
- matches: [{${headers('version=one')}}]
  ${toV1}
- matches: [{${headers('version=two')}}]
  ${toV2}
- matches: [{${headers('version=two', 'color=orange')}}]
  ${toV1}
- matches: [{${headers('color=blue')}}, {${headers('color=green')}}]
  ${toV1}
- matches: [{${headers('color=red')}}, {${headers('color=yellow')}}]
  ${toV2}`,
    ),
    requests: [
      { headers: { Version: 'one' }, expect: v1 },
      { headers: { Version: 'two' }, expect: v2 },
      { headers: { Version: 'two', Color: 'orange' }, expect: v1 },
      { headers: { Version: 'two', Color: 'blue' }, expect: v2 },
      { headers: { Color: 'orange' }, expect: missing },
      { headers: { 'Some-Other-Header': 'one' }, expect: missing },
      { headers: { Color: 'blue' }, expect: v1 },
      { headers: { Color: 'green' }, expect: v1 },
      { headers: { Color: 'red' }, expect: v2 },
      { headers: { Color: 'yellow' }, expect: v2 },
      { headers: { Color: 'purple' }, expect: missing },
    ],
  },
  {
    name: 'HTTPRouteExactPathMatching',
    ...http,
    resources: httpRoute(
      'exact',
      `
- matches: [{${exact('/one')}}]
  ${toV1}
- matches: [{${exact('/two')}}]
  ${toV2}`,
    ),
    requests: [
      { path: '/one', expect: v1 },
      { path: '/two', expect: v2 },
      { path: '/', expect: missing },
      { path: '/one/example', expect: missing },
      { path: '/two/', expect: missing },
      { path: '/Two', expect: missing },
    ],
  },
  {
    name: 'HTTPRouteResponseHeaderModifier',
    ...http,
    resources: httpRoute(
      'response-headers',
      headerChanges
        .map(
          ([path, changes]) => `
- matches: [{${prefix(path)}}]
  filters:
  - {type: ResponseHeaderModifier, responseHeaderModifier: {${changes}}}
  ${toV1}`,
        )
        .join(''),
    ),
    requests: responseHeaderRows,
  },
  {
    name: 'HTTPRouteRewriteHost',
    ...http,
    resources: httpRoute(
      'rewrite-host',
      rewriteHost('/one', 'one.example.org', toV1) +
        rewriteHost('/two', 'two.example.org', toV2) +
        rewriteHost(
          '/rewrite-host-and-modify-headers',
          'test.example.org',
          toV2,
          `
  - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Header-Set, value: new}]}}`,
        ),
    ),
    requests: [
      { path: '/one', expect: { ...v1, host: 'one.example.org' } },
      { path: '/two/x?y=z', expect: { ...v2, host: 'two.example.org' } },
      {
        path: '/rewrite-host-and-modify-headers',
        headers: { 'X-Header-Set': 'old' },
        expect: { ...v2, host: 'test.example.org', request: { 'X-Header-Set': 'new' } },
      },
    ],
  },
  {
    name: 'HTTPRouteOmittedBackendRefs',
    ...http,
    resources: httpRoute(
      'omitted',
      `
- matches: [{${prefix('/omitted')}}]
- matches: [{${prefix('/empty')}}]
  backendRefs: []
- matches: [{${prefix('/filtered')}}]
  filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}]}}]`,
    ),
    requests: ['/omitted', '/empty', '/filtered'].map((path) => ({ path, expect: { status: 500 } })),
  },
  {
    name: 'HTTPRouteInvalidNonExistentBackendRef',
    ...http,
    resources: httpRoute('nonexistent', `- ${to('nonexistent')}`),
    routes: [{ name: 'nonexistent', unresolved: 'BackendNotFound' }],
    requests: [{ expect: { status: 500 } }, { path: '/x', method: 'POST', expect: { status: 500 } }],
  },
  {
    name: 'HTTPRouteInvalidBackendRefUnknownKind',
    ...http,
    resources: httpRoute('unknown-kind', '- backendRefs: [{group: unknown.example, kind: Bucket, name: b, port: 80}]'),
    routes: [{ name: 'unknown-kind', unresolved: 'InvalidKind' }],
    requests: [{ expect: { status: 500 } }],
  },
  {
    name: 'HTTPRoutePartiallyInvalidBackendRefs',
    ...http,
    resources: httpRoute(
      'partly-invalid',
      `
- backendRefs:
  - {name: backend-v1, port: 8080, weight: 1}
  - {name: nonexistent, port: 8080, weight: 1}`,
    ),
    routes: [{ name: 'partly-invalid', unresolved: 'BackendNotFound' }],
    requests: [{ repeat: 500, expect: { shares: { 'echo-v1': 50, 'status 500': 50 } } }],
  },
  {
    name: 'GRPCExactMethodMatching',
    profile: 'MESH-GRPC',
    level: 'gateway',
    resources: grpcRoute(
      'grpc-methods',
      `
- matches: [{method: {service: ${grpcEcho}, method: Echo}}]
  ${to('echo-v1', 7070)}
- matches: [{method: {service: ${grpcEcho}, method: EchoTwo}}]
  ${to('echo-v2', 7070)}`,
    ),
    requests: [
      { protocol: 'grpc', path: `/${grpcEcho}/Echo`, expect: { ...v1, grpcStatus: 0 } },
      { protocol: 'grpc', path: `/${grpcEcho}/EchoTwo`, expect: { ...v2, grpcStatus: 0 } },
      { protocol: 'grpc', path: `/${grpcEcho}/EchoThree`, expect: { grpcStatus: 12 } },
    ],
  },
  {
    name: 'GRPCRouteHeaderMatching',
    profile: 'MESH-GRPC',
    level: 'gateway',
    resources: grpcRoute(
      'grpc-headers',
      `
- matches: [{${headers('version=one')}}]
  ${to('echo-v1', 7070)}
- matches: [{${headers('version=two')}}]
  ${to('echo-v2', 7070)}
- matches: [{${headers('version=two', 'color=orange')}}]
  ${to('echo-v1', 7070)}
- matches: [{${headers('color=blue')}}, {${headers('color=green')}}]
  ${to('echo-v1', 7070)}`,
    ),
    requests: [
      { protocol: 'grpc', path: `/${grpcEcho}/Echo`, headers: { version: 'one' }, expect: { ...v1, grpcStatus: 0 } },
      { protocol: 'grpc', path: `/${grpcEcho}/Echo`, headers: { version: 'two' }, expect: { ...v2, grpcStatus: 0 } },
      {
        protocol: 'grpc',
        path: `/${grpcEcho}/Echo`,
        headers: { version: 'two', color: 'orange' },
        expect: { ...v1, grpcStatus: 0 },
      },
      { protocol: 'grpc', path: `/${grpcEcho}/Echo`, headers: { color: 'blue' }, expect: { ...v1, grpcStatus: 0 } },
      { protocol: 'grpc', path: `/${grpcEcho}/Echo`, headers: { color: 'orange' }, expect: { grpcStatus: 12 } },
    ],
  },
]
