// Tests of the Gateway API that were written for gateways, with Services as parents: what needs a proxy to show it (mirrors,
// timeouts, retries, CORS, protocols of backends).
import type { CaseRequest, ConformanceCase } from '../case.ts'
import { weightedRequests } from '../case.ts'
import { httpRoute, prefix, to } from './yaml.ts'

const http = { profile: 'MESH-HTTP', level: 'gateway' } as const
const [v1, v2, v3] = [{ backend: 'echo-v1' }, { backend: 'echo-v2' }, { backend: 'third' }]
const [toV1, toV2, toV3] = [to('backend-v1'), to('backend-v2'), to('backend-v3')]

const mirror = (name: string, more = ''): string => `
  - {type: RequestMirror, requestMirror: {backendRef: {name: ${name}, port: 8080}${more}}}`

function mirroring(path: string, mirrors: string): string {
  return `
- matches: [{${prefix(path)}}]
  filters:${mirrors}
  ${toV1}`
}

const modify = `
  - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Header-Set, value: new}], remove: [X-Header-Remove]}}`

/** A request of a series: the failing requests at the only backend, and how many arrive there in all. */
const tried = (path: string, query: string, status: number, attempts: number): CaseRequest => ({
  path: `${path}?${query}`,
  series: true,
  onWire: true,
  expect: { status, attempts: { third: attempts }, ...(status === 200 ? v3 : {}) },
})

const retrying = (path: string, retry: string, timeouts = ''): string => `
- matches: [{${prefix(path)}}]
  retry: {${retry}}${timeouts}
  ${toV3}`

const every = '/retry/code-all-attempts-2'

const preflight = (
  path: string,
  origin: string,
  method: string,
  response: NonNullable<CaseRequest['expect']['response']>,
  more: Partial<CaseRequest['expect']> = {},
): CaseRequest => ({
  path,
  method: 'OPTIONS',
  headers: {
    Origin: origin,
    'access-control-request-method': method,
    'access-control-request-headers': 'x-header-1, x-header-2',
  },
  onWire: true,
  expect: { status: [200, 204], response, ...more },
})

const allowed = (origin: string) => ({
  'access-control-allow-origin': origin,
  'access-control-allow-methods': ['GET, OPTIONS', 'OPTIONS, GET'],
  'access-control-allow-headers': ['x-header-1, x-header-2', 'x-header-2, x-header-1'],
  'access-control-max-age': '3600',
  'access-control-allow-credentials': 'true',
})

export const gatewayBehaviour: readonly ConformanceCase[] = [
  {
    name: 'HTTPRouteRequestMirror',
    ...http,
    resources: httpRoute(
      'mirror',
      mirroring('/mirror', mirror('backend-v2')) + mirroring('/and-headers', modify + mirror('backend-v2')),
    ),
    requests: [
      {
        path: '/mirror',
        series: true,
        onWire: true,
        expect: { ...v1, mirrored: { 'echo-v2': 100 }, attempts: { 'echo-v1': 1 } },
      },
      {
        path: '/and-headers',
        series: true,
        onWire: true,
        headers: { 'X-Header-Remove': 'x' },
        expect: {
          ...v1,
          mirrored: { 'echo-v2': 100 },
          request: { 'X-Header-Set': 'new' },
          requestAbsent: ['X-Header-Remove'],
        },
      },
    ],
  },
  {
    name: 'HTTPRouteRequestMultipleMirrors',
    ...http,
    resources: httpRoute('mirrors', mirroring('/multi-mirror', mirror('backend-v2') + mirror('backend-v3'))),
    requests: [
      {
        path: '/multi-mirror',
        series: true,
        onWire: true,
        expect: { ...v1, mirrored: { 'echo-v2': 100, third: 100 } },
      },
      {
        path: '/multi-mirror',
        method: 'POST',
        body: 'x'.repeat(20_000),
        series: true,
        onWire: true,
        expect: { ...v1, mirrored: { 'echo-v2': 100, third: 100 } },
      },
    ],
  },
  {
    name: 'HTTPRouteRequestPercentageMirror',
    ...http,
    resources: httpRoute(
      'percentage-mirror',
      mirroring('/percent-mirror', mirror('backend-v2', ', percent: 20')) +
        mirroring('/percent-mirror-fraction', mirror('backend-v2', ', fraction: {numerator: 50, denominator: 100}')),
    ),
    requests: [
      {
        path: '/percent-mirror',
        series: true,
        onWire: true,
        repeat: weightedRequests,
        expect: { shares: { 'echo-v1': 100 }, mirrored: { 'echo-v2': 20 } },
      },
      {
        path: '/percent-mirror-fraction',
        series: true,
        onWire: true,
        repeat: weightedRequests,
        expect: { shares: { 'echo-v1': 100 }, mirrored: { 'echo-v2': 50 } },
      },
    ],
  },
  {
    name: 'HTTPRouteTimeoutRequest',
    ...http,
    resources: httpRoute(
      'timeout-request',
      `
- matches: [{${prefix('/request-timeout')}}]
  timeouts: {request: 500ms}
  ${toV1}
- matches: [{${prefix('/disable-request-timeout')}}]
  timeouts: {request: 0s}
  ${toV1}`,
    ),
    requests: [
      { path: '/request-timeout', expect: v1 },
      { path: '/request-timeout?delay=1s', onWire: true, expect: { status: 504, atLeastMs: 490 } },
      { path: '/disable-request-timeout?delay=1s', onWire: true, expect: { ...v1, atLeastMs: 990 } },
    ],
  },
  {
    name: 'HTTPRouteTimeoutBackendRequest',
    ...http,
    resources: httpRoute(
      'timeout-backend-request',
      `
- matches: [{${prefix('/backend-timeout')}}]
  timeouts: {backendRequest: 500ms}
  ${toV1}
- matches: [{${prefix('/disable-backend-timeout')}}]
  timeouts: {backendRequest: 0s}
  ${toV1}`,
    ),
    requests: [
      { path: '/backend-timeout', expect: v1 },
      {
        path: '/backend-timeout?delay=1s',
        series: true,
        onWire: true,
        expect: { status: 504, attempts: { 'echo-v1': 1 } },
      },
      { path: '/disable-backend-timeout?delay=1s', onWire: true, expect: { ...v1, atLeastMs: 990 } },
    ],
  },
  {
    name: 'HTTPRouteRetry',
    ...http,
    resources: httpRoute(
      'retries',
      retrying('/retry/code-500-attempts-3', 'attempts: 3, codes: [500], backoff: 10ms') +
        retrying(every, 'attempts: 2, codes: [500, 502, 503, 504], backoff: 10ms'),
    ),
    requests: [
      tried('/retry/code-500-attempts-3', 'responseCode=500&succeedAfter=2', 200, 3),
      tried('/retry/code-500-attempts-3', 'responseCode=500&succeedAfter=4', 500, 4),
      tried('/retry/code-500-attempts-3', 'responseCode=503&succeedAfter=2', 503, 1),
      ...[500, 502, 503, 504].flatMap((code) => [
        tried(every, `responseCode=${code}&succeedAfter=1`, 200, 2),
        tried(every, `responseCode=${code}&succeedAfter=3`, code, 3),
      ]),
    ],
  },
  {
    name: 'HTTPRouteRetryBackendTimeout',
    ...http,
    resources: httpRoute(
      'retries-with-timeouts',
      retrying(
        '/retry/backend-request-timeout-200ms',
        'attempts: 2, codes: [500], backoff: 10ms',
        `
  timeouts: {backendRequest: 200ms}`,
      ) +
        retrying(
          '/retry/request-timeout-1s',
          'attempts: 5, codes: [500], backoff: 10ms',
          `
  timeouts: {request: 1s}`,
        ),
    ),
    requests: [
      tried('/retry/backend-request-timeout-200ms', 'responseCode=500&succeedAfter=2&delayRetry=1s', 200, 3),
      tried('/retry/backend-request-timeout-200ms', 'responseCode=500&succeedAfter=3&delayRetry=1s', 504, 3),
      tried('/retry/request-timeout-1s', 'responseCode=500&succeedAfter=4', 200, 5),
      tried('/retry/request-timeout-1s', 'responseCode=500&succeedAfter=4&delayRetry=400ms', 504, 3),
    ],
  },
  {
    name: 'HTTPRouteRetryConnectionError',
    ...http,
    resources: httpRoute(
      'retries-connection-error',
      `
${retrying('/retry/no-codes', 'attempts: 2, backoff: 10ms').trim()}
- matches: [{${prefix('/retry/deaf')}}]
  retry: {attempts: 2, backoff: 10ms}
  ${to('deaf')}`,
    ),
    requests: [
      tried('/retry/no-codes', 'fault=close&succeedAfter=1', 200, 2),
      tried('/retry/no-codes', 'fault=reset&succeedAfter=2', 200, 3),
      tried('/retry/no-codes', 'responseCode=503&succeedAfter=1', 503, 1),
      { path: '/retry/deaf', onWire: true, expect: { status: 503, atLeastMs: 20 } },
    ],
  },
  {
    name: 'HTTPRouteCORS',
    ...http,
    resources: httpRoute(
      'cors',
      `
- matches: [{${prefix('/cors-1')}}]
  filters:
  - type: CORS
    cors: {allowOrigins: ["https://www.foo.com", "https://*.bar.com"], allowMethods: [GET, OPTIONS], allowHeaders: [x-header-1, x-header-2], exposeHeaders: [x-header-3, x-header-4], maxAge: 3600, allowCredentials: true}
  ${toV1}
- matches: [{${prefix('/cors-2')}}]
  filters: [{type: CORS, cors: {allowOrigins: ["https://www.foo.com"], allowMethods: ["*"]}}]
  ${toV2}
- matches: [{${prefix('/cors-wildcard-origin')}}]
  filters: [{type: CORS, cors: {allowOrigins: ["*"], allowMethods: [PUT]}}]
  ${toV1}`,
    ),
    requests: [
      preflight('/cors-1', 'https://www.foo.com', 'GET', allowed('https://www.foo.com')),
      preflight('/cors-1', 'https://www.bar.com', 'GET', allowed('https://www.bar.com')),
      preflight('/cors-1', 'https://xpto.www.bar.com', 'GET', allowed('https://xpto.www.bar.com')),
      preflight(
        '/cors-1',
        'https://foobar.com',
        'GET',
        {},
        { status: [200, 204, 403], responseAbsent: ['access-control-allow-origin'] },
      ),
      ...['https://www.foo.com', 'https://www.bar.com'].map(
        (origin): CaseRequest => ({
          path: '/cors-1',
          headers: { Origin: origin },
          onWire: true,
          expect: { ...v1, response: { 'access-control-allow-origin': origin } },
        }),
      ),
      {
        path: '/cors-1',
        headers: { Origin: 'https://foobar.com' },
        onWire: true,
        expect: { ...v1, responseAbsent: ['access-control-allow-origin'] },
      },
      preflight(
        '/cors-2',
        'https://www.foo.com',
        'POST',
        { 'access-control-allow-origin': 'https://www.foo.com', 'access-control-allow-methods': ['POST', '*'] },
        { responseAbsent: ['access-control-allow-credentials'] },
      ),
      ...['https://foobar.com', 'https://foobar.com:12345'].flatMap((origin) => [
        preflight('/cors-wildcard-origin', origin, 'PUT', {
          'access-control-allow-origin': [origin, '*'],
          'access-control-allow-methods': 'PUT',
        }),
        {
          path: '/cors-wildcard-origin',
          method: 'PUT',
          headers: { Origin: origin },
          onWire: true,
          expect: { ...v1, response: { 'access-control-allow-origin': [origin, '*'] } },
        },
      ]),
    ],
  },
  {
    name: 'HTTPRouteBackendProtocolH2C',
    ...http,
    resources: httpRoute('backend-h2c', `- ${to('backend-v1', 8090)}`),
    requests: [
      { path: '/backend-h2c', onWire: true, expect: { ...v1, proto: 'HTTP/2.0' } },
      { path: '/backend-h2c', protocol: 'h2c', onWire: true, expect: { ...v1, proto: 'HTTP/2.0' } },
    ],
  },
  {
    name: 'HTTPRouteBackendProtocolWebSocket',
    ...http,
    resources: httpRoute('backend-web-socket', `- ${to('backend-v2', 8091)}`),
    requests: [
      { path: '/ws', protocol: 'websocket', body: 'ping', onWire: true, expect: { status: 101, body: 'ping' } },
      { path: '/', onWire: true, expect: v2 },
    ],
  },
]
