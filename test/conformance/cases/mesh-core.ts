// The core tests of the mesh profiles: seven of HTTP, three of gRPC (gateway-api 4564255, conformance/tests/mesh).
import { type ConformanceCase, weightedRequests } from '../case.ts'
import { headerChanges, requestHeaderRows } from './header-rows.ts'
import { exact, grpcEcho, grpcRoute, httpRoute, prefix, to } from './yaml.ts'

const basic = { profile: 'MESH-HTTP', level: 'core' } as const
const grpc = { profile: 'MESH-GRPC', level: 'core' } as const
const [v1, v2] = [{ backend: 'echo-v1' }, { backend: 'echo-v2' }]

const grpcHeaders = (value: string, filter: string, backend: string): string => `
- matches: [{method: {service: ${grpcEcho}, method: Echo}, headers: [{name: x-test-case, value: ${value}}]}]
  filters:
  - {type: RequestHeaderModifier, requestHeaderModifier: {${filter}}}
  backendRefs: [{name: ${backend}, port: 7070}]`

const echo = `/${grpcEcho}/Echo`

export const meshCore: readonly ConformanceCase[] = [
  { name: 'MeshBasic', ...basic, resources: '', requests: [{ expect: {} }] },
  {
    name: 'MeshHTTPRouteSimpleSameNamespace',
    ...basic,
    resources: httpRoute('simple', `- ${to('echo-v1')}`),
    requests: [{ expect: v1 }, { path: '/some/path?x=1', expect: v1 }],
  },
  {
    name: 'MeshHTTPRouteMatching',
    ...basic,
    resources: httpRoute(
      'matching',
      `
- matches: [{${prefix('/')}}, {headers: [{name: version, value: one}]}]
  ${to('echo-v1')}
- matches: [{${prefix('/v2')}}, {headers: [{name: version, value: two}]}]
  ${to('echo-v2')}`,
    ),
    requests: [
      { path: '/', expect: v1 },
      { path: '/example', expect: v1 },
      { path: '/', headers: { Version: 'one' }, expect: v1 },
      { path: '/v2', expect: v2 },
      { path: '/v2/example', expect: v2 },
      { path: '/', headers: { Version: 'two' }, expect: v2 },
      { path: '/v2/', expect: v2 },
      { path: '/v2example', expect: v1, about: 'not a whole segment' },
      { path: '/foo/v2/example', expect: v1 },
    ],
  },
  {
    name: 'MeshTrafficSplit',
    ...basic,
    resources: httpRoute(
      'split',
      `
- matches: [{${exact('/v1')}}]
  ${to('echo-v1', 80)}
- matches: [{${exact('/v2')}}]
  ${to('echo-v2', 80)}`,
      'name: echo',
    ),
    requests: [
      { path: '/v1', expect: v1 },
      { path: '/v2', expect: v2 },
      { path: '/v2', to: 'echo:8080', expect: v2, about: 'every port' },
      { path: '/v3', expect: { status: 404 } },
      { path: '/v1/', expect: { status: 404 } },
    ],
  },
  {
    name: 'MeshHTTPRouteWeight',
    ...basic,
    resources: httpRoute(
      'weight',
      `
- backendRefs:
  - {name: echo-v1, port: 8080, weight: 70}
  - {name: echo-v2, port: 8080, weight: 30}`,
    ),
    requests: [{ expect: {} }, { repeat: weightedRequests, expect: { shares: { 'echo-v1': 70, 'echo-v2': 30 } } }],
  },
  {
    name: 'MeshHTTPRouteRequestHeaderModifier',
    ...basic,
    resources: httpRoute(
      'request-headers',
      headerChanges
        .map(
          ([path, changes]) => `
- matches: [{${prefix(path)}}]
  filters:
  - {type: RequestHeaderModifier, requestHeaderModifier: {${changes}}}
  ${to('echo-v1')}`,
        )
        .join(''),
    ),
    requests: requestHeaderRows,
  },
  {
    name: 'MeshHTTPRouteRedirectHostAndStatus',
    ...basic,
    resources: httpRoute(
      'redirect-host',
      `
- matches: [{${prefix('/hostname-redirect')}}]
  filters: [{type: RequestRedirect, requestRedirect: {hostname: example.org}}]
- matches: [{${prefix('/host-and-status')}}]
  filters: [{type: RequestRedirect, requestRedirect: {hostname: example.org, statusCode: 301}}]`,
    ),
    requests: [
      { path: '/hostname-redirect', expect: { status: 302, location: 'http://example.org/hostname-redirect' } },
      { path: '/host-and-status', expect: { status: 301, location: 'http://example.org/host-and-status' } },
      {
        path: '/hostname-redirect/x?y=z',
        expect: { status: 302, location: 'http://example.org/hostname-redirect/x?y=z' },
      },
    ],
  },
  {
    name: 'MeshBasic',
    ...grpc,
    resources: '',
    requests: [{ protocol: 'grpc', path: echo, expect: { grpcStatus: 0 } }],
  },
  {
    name: 'MeshGRPCRouteWeight',
    ...grpc,
    resources: grpcRoute(
      'grpc-weight',
      `
- backendRefs:
  - {name: echo-v1, port: 7070, weight: 70}
  - {name: echo-v2, port: 7070, weight: 30}
  - {name: echo-v3, port: 7070, weight: 0}`,
    ),
    routes: [{ name: 'grpc-weight', unresolved: 'BackendNotFound' }],
    requests: [
      { protocol: 'grpc', path: echo, expect: { grpcStatus: 0 } },
      {
        protocol: 'grpc',
        path: '/culvert.echo.v1.EchoService/Unary',
        repeat: weightedRequests,
        expect: { shares: { 'echo-v1': 70, 'echo-v2': 30 } },
      },
    ],
  },
  {
    name: 'MeshGRPCRouteRequestHeaderModifier',
    ...grpc,
    resources: grpcRoute(
      'grpc-request-headers',
      grpcHeaders('set', 'set: [{name: X-Header-Set, value: set-overwrites-values}]', 'echo-v1') +
        grpcHeaders('add', 'add: [{name: X-Header-Add, value: add-appends-values}]', 'echo-v1') +
        grpcHeaders('remove', 'remove: [X-Header-Remove]', 'echo-v1') +
        grpcHeaders(
          'multi',
          `set: [{name: X-Header-Set-1, value: header-set-1}, {name: X-Header-Set-2, value: header-set-2}],
      add: [{name: X-Header-Add-1, value: header-add-1}, {name: X-Header-Add-2, value: header-add-2}],
      remove: [X-Header-Remove-1, X-Header-Remove-2]`,
          'echo-v2',
        ),
    ),
    requests: [
      {
        protocol: 'grpc',
        path: echo,
        headers: { 'x-test-case': 'set', 'some-other-header': 'kept', 'x-header-set': 'overwritten' },
        expect: {
          ...v1,
          grpcStatus: 0,
          request: { 'x-test-case': 'set', 'some-other-header': 'kept', 'x-header-set': 'set-overwrites-values' },
        },
      },
      {
        protocol: 'grpc',
        path: echo,
        headers: { 'x-test-case': 'add', 'x-header-add': 'first' },
        expect: { ...v1, grpcStatus: 0, request: { 'x-header-add': 'first,add-appends-values' } },
      },
      {
        protocol: 'grpc',
        path: echo,
        headers: { 'x-test-case': 'remove', 'x-header-remove': 'gone' },
        expect: { ...v1, grpcStatus: 0, request: { 'x-test-case': 'remove' }, requestAbsent: ['x-header-remove'] },
      },
      {
        protocol: 'grpc',
        path: echo,
        headers: { 'x-test-case': 'multi', 'x-header-set-2': 'a', 'x-header-add-2': 'b', 'x-header-remove-2': 'c' },
        expect: {
          ...v2,
          grpcStatus: 0,
          request: {
            'x-header-set-1': 'header-set-1',
            'x-header-set-2': 'header-set-2',
            'x-header-add-1': 'header-add-1',
            'x-header-add-2': 'b,header-add-2',
          },
          requestAbsent: ['x-header-remove-1', 'x-header-remove-2'],
        },
      },
      { protocol: 'grpc', path: echo, headers: { 'x-test-case': 'none' }, expect: { grpcStatus: 12 } },
    ],
  },
]
