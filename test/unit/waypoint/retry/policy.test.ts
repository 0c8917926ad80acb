// Which outcomes are retried: a row per condition, as Envoy's retry_state_impl.cc decides.
import fc from 'fast-check'
import t from 'tap'
import {
  gatewayConditions,
  istioDefaultRetryOn,
  parseRetryOn,
  type RetryConditions,
  retriable,
  type TryOutcome,
} from '../../../../waypoint/retry/policy.ts'

const get = { method: 'GET', grpc: false }
const post = { method: 'POST', grpc: false }
const grpc = { method: 'POST', grpc: true }
const outcomes: Readonly<Record<string, TryOutcome>> = {
  connect: { kind: 'connect-failure' },
  refused: { kind: 'refused-stream' },
  early: { kind: 'reset', requestStarted: false },
  reset: { kind: 'reset', requestStarted: true },
  timeout: { kind: 'try-timeout' },
  overflow: { kind: 'overflow' },
  ...Object.fromEntries(
    [200, 409, 429, 500, 501, 502, 503, 504, 599].map((status) => [`${status}`, { kind: 'response', status }]),
  ),
}
function retried(conditions: RetryConditions, request = get, anyMethod = false): string {
  return Object.entries(outcomes)
    .filter(([, outcome]) => retriable(conditions, anyMethod, request, outcome))
    .map(([name]) => name)
    .sort()
    .join(' ')
}
const sorted = (words: string) => words.split(' ').sort().join(' ')

const rows: readonly (readonly [retryOn: string, retried: string])[] = [
  ['', ''],
  ['5xx', 'connect refused early reset timeout 500 501 502 503 504 599'],
  ['gateway-error', 'connect refused early reset timeout 502 503 504'],
  ['reset', 'connect refused early reset timeout'],
  ['reset-before-request', 'connect early'],
  ['connect-failure', 'connect'],
  ['refused-stream', 'refused'],
  ['retriable-4xx', '409'],
  ['retriable-status-codes', ''],
  ['retriable-status-codes,503', '503'],
  ['429, 501', '429 501'],
  [istioDefaultRetryOn, 'connect refused'],
  ['unavailable', ''],
]
for (const [retryOn, expected] of rows) {
  t.test(`retryOn "${retryOn}" retries ${expected || 'nothing'}`, (t) => {
    const parsed = parseRetryOn(retryOn)
    t.equal(retried(parsed), sorted(expected))
    t.equal(retried(parsed, post, true), sorted(expected), 'POST where the rule says so')
    const untouched = expected.split(' ').filter((name) => ['connect', 'refused', 'early'].includes(name))
    t.equal(retried(parsed, post), untouched.sort().join(' '), 'POST otherwise, if the endpoint cannot have seen it')
    t.same(parsed.unknown, [])
    t.end()
  })
}

t.test('gRPC statuses in headers and trailers are retried for gRPC, though its method is POST', (t) => {
  const parsed = parseRetryOn('cancelled,deadline-exceeded,internal,resource-exhausted,unavailable')
  const statuses = Array.from({ length: 17 }, (_, status) => status)
  const asks = (conditions: RetryConditions, request: typeof grpc) =>
    statuses.filter((grpcStatus) =>
      retriable(conditions, false, request, { kind: 'response', status: 200, grpcStatus }),
    )
  t.same(asks(parsed, grpc), [1, 4, 8, 13, 14])
  t.same(asks(parsed, post), [], 'not for other requests that happen to have such a header')
  t.same(asks(parseRetryOn(istioDefaultRetryOn), grpc), [1, 14])
  t.notOk(retriable(parsed, true, grpc, { kind: 'response', status: 200 }), 'no status')
  t.end()
})

t.test('a Gateway API stanza retries its codes, and connections and timeouts even without codes', (t) => {
  t.equal(retried(gatewayConditions([])), sorted('connect refused early reset timeout'))
  t.equal(retried(gatewayConditions([500, 503])), sorted('connect refused early reset timeout 500 503'))
  t.equal(retried(gatewayConditions([500]), post), sorted('connect refused early'))
  t.end()
})

t.test('the methods that may be repeated are those of RFC 9110', (t) => {
  const conditions = parseRetryOn('503')
  const may = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'POST', 'PATCH', 'CONNECT', 'get', 'BREW'].filter(
    (method) => retriable(conditions, false, { method, grpc: false }, { kind: 'response', status: 503 }),
  )
  t.same(may, ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
  t.end()
})

t.test('words that are not understood are named, and change nothing else', (t) => {
  const parsed = parseRetryOn(' 5xx ,retriable-headers,, 600,99,toString,0503 ')
  t.same(parsed.unknown, ['retriable-headers', '600', '99', 'toString', '0503'])
  t.same([...parsed.http], ['5xx'])
  t.same(parsed.codes.size, 0)
  fc.assert(
    fc.property(fc.array(fc.string()), (words) => {
      const { unknown, http, codes, grpc: statuses } = parseRetryOn(words.join(','))
      const named = words
        .join(',')
        .split(',')
        .filter((word) => word.trim() !== '')
      return unknown.length + http.size + codes.size + statuses.size <= named.length + 1
    }),
  )
  t.end()
})
