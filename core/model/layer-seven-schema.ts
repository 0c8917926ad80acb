// What compiled resources for waypoints must look like: tables of routes, destinations, rate limits. Used by compiled-schema.ts.
// Closed wherever a field that is passed over would make a rule mean another thing: a match with one condition less takes more.
import { parseCidr } from '../net/cidr.ts'
import {
  boolean,
  type Check,
  integer,
  list,
  object,
  oneOf,
  record,
  share,
  text,
  textLike,
  union,
} from './compiled-check.ts'

const name = text(1, 253)
const anyText = text(0, 65_536)
const someText = text(1, 65_536)
const status = integer(100, 999)
const ms = integer(0, Number.MAX_SAFE_INTEGER)
const count = integer(0, 2 ** 32)
const percent = share
export const port = integer(1, 65535)
export const portKey = textLike(
  (value) => /^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65535,
  'a port number without leading zeros',
)
export const namespacedKey = textLike((value) => /^[^/]+\/[^/]+$/.test(value), 'namespace/name')
const cidr = textLike((value) => parseCidr(value) !== undefined, 'a CIDR')
const labels = record(text(1, 512), text(0, 1024))
/** From 0 to 1. */
const part: Check = (value, path) =>
  typeof value === 'number' && value >= 0 && value <= 1 ? undefined : `${path}: expected a number from 0 to 1`

const closed = (required: Readonly<Record<string, Check>>, optional: Readonly<Record<string, Check>> = {}): Check =>
  object(required, optional, true)

const routeKind = oneOf('GRPCRoute', 'HTTPRoute', 'TLSRoute', 'TCPRoute', 'VirtualService', 'Service')
const origin = closed(
  { kind: routeKind, namespace: name, name: text(1, 1024), index: integer(0, 1_000_000) },
  { rule: anyText },
)

const kind = (word: string): Readonly<Record<string, Check>> => ({ kind: oneOf(word) })
const valued = (word: string, optional: Readonly<Record<string, Check>> = {}): Check =>
  closed({ ...kind(word), value: anyText }, optional)

const values = {
  exact: valued('exact'),
  prefix: valued('prefix'),
  regex: valued('regex'),
  present: closed(kind('present')),
}
const valueMatch = union('kind', values)
const ignoreCase = { ignoreCase: boolean }
const pathMatch = union('kind', {
  exact: valued('exact', ignoreCase),
  segments: valued('segments'),
  prefix: valued('prefix', ignoreCase),
  regex: valued('regex'),
  grpc: closed(kind('grpc'), { service: valueMatch, method: valueMatch }),
})
const named = list(closed({ name: someText, match: valueMatch }))

const requestMatch = closed(
  {},
  {
    name: anyText,
    path: pathMatch,
    method: valueMatch,
    scheme: valueMatch,
    authority: valueMatch,
    headers: named,
    withoutHeaders: named,
    query: named,
    claims: list(closed({ claim: list(anyText), match: valueMatch, without: boolean })),
    port,
    sourceNamespace: name,
    sourceLabels: labels,
  },
)

const subset = closed({ name, labels })
const backend = union('kind', {
  service: closed({ ...kind('service'), service: namespacedKey, hostname: name, port }, { subset }),
  invalid: closed({ ...kind('invalid'), status: integer(500, 503), reason: anyText, message: anyText }),
})

const headerValues = list(closed({ name: someText, value: anyText }))
const headerChanges = closed({ set: headerValues, add: headerValues, remove: list(someText) })
const pathRewrite = union('kind', {
  full: valued('full'),
  segments: closed({ ...kind('segments'), prefix: anyText, value: anyText }),
  matched: valued('matched'),
  regex: closed({ ...kind('regex'), pattern: anyText, value: anyText }),
})
const originMatch = union('kind', {
  ...values,
  wildcard: closed({ ...kind('wildcard'), before: anyText, after: anyText }),
})
const abort: Check = (value, path) =>
  closed({ status, share: part })(value, path) === undefined
    ? undefined
    : closed({ grpc: integer(0, 16), share: part })(value, path)

const filters = closed(
  {},
  {
    request: headerChanges,
    response: headerChanges,
    rewrite: closed({}, { host: someText, path: pathRewrite }),
    mirrors: list(closed({ backend, share: part, shadowHost: boolean })),
    cors: closed(
      {
        origins: list(originMatch),
        methods: list(anyText),
        headers: list(anyText),
        expose: list(anyText),
        credentials: boolean,
        forwardUnmatched: boolean,
      },
      { maxAgeSeconds: share },
    ),
    fault: closed({}, { delay: closed({ delayMs: ms, share: part }), abort }),
  },
)

const redirectPort: Check = (value, path) =>
  typeof value === 'number' ? port(value, path) : oneOf('frontend', 'request', 'request-port', 'scheme')(value, path)
const redirect = closed(
  { status: integer(301, 308), port: redirectPort },
  { scheme: oneOf('http', 'https'), host: someText, path: pathRewrite },
)
const action = union('kind', {
  forward: closed({ ...kind('forward'), destinations: list(closed({ weight: share, backend, filters })) }),
  redirect: closed({ ...kind('redirect'), redirect }),
  respond: closed(
    { ...kind('respond'), status },
    {
      body: union('kind', {
        text: closed({ ...kind('text'), text: text(0, 2 ** 20) }),
        base64: closed({ ...kind('base64'), bytes: text(0, 2 ** 21) }),
      }),
      reason: anyText,
    },
  ),
})

const retryPolicy = closed(
  {
    attempts: count,
    statuses: list(status),
    conditions: list(someText),
    backoffIsMinimum: boolean,
    avoidPreviousHosts: boolean,
    remoteLocalities: boolean,
  },
  { backoffMs: ms, maxBackoffMs: ms },
)
const retry: Check = (value, path) => (value === 'none' ? undefined : retryPolicy(value, path))

const route = closed(
  { origin, matches: list(requestMatch), action, filters },
  {
    timeoutMs: ms,
    tryTimeoutMs: ms,
    retry,
    session: closed(
      { by: oneOf('cookie', 'header'), name: someText, permanent: boolean, path: anyText },
      { absoluteTimeoutMs: ms },
    ),
  },
)

const connectionMatch = closed(
  {},
  {
    serverNames: list(name),
    port,
    destinationBlocks: list(cidr),
    sourceBlocks: list(cidr),
    sourceNamespace: name,
    sourceLabels: labels,
  },
)
const connectionRoute = closed({
  origin,
  matches: list(connectionMatch),
  destinations: list(closed({ weight: share, backend })),
})

const group = closed(
  { precedence: oneOf('specific', 'first'), routes: list(route) },
  { connections: list(connectionRoute) },
)

export const routeTable = closed({ service: namespacedKey, port, consumers: record(name, group) }, { everyone: group })

const hashKey = union('kind', {
  header: object({ name: someText }),
  query: object({ name: someText }),
  cookie: object(
    { name: someText, attributes: list(object({ name: someText, value: anyText })) },
    { path: anyText, ttlMs: ms },
  ),
  source: object({}),
})
const hashTable = union('kind', {
  ring: object({ minimumSize: integer(0, 8_388_608) }),
  maglev: object({ size: integer(1, 5_000_011) }),
})
const simple = object({})
const loadBalancing = union('kind', {
  'least-request': simple,
  'round-robin': simple,
  random: simple,
  passthrough: simple,
  'peak-ewma': simple,
  hash: object({ key: hashKey, table: hashTable }),
})
const localities = list(object({ from: anyText, to: record(text(1, 1024), percent) }))
const destinationPolicy = object(
  {},
  {
    loadBalancing,
    warmup: object({ durationMs: ms, minimumPercent: percent, aggression: share }),
    locality: object({
      enabled: boolean,
      distribute: localities,
      failover: list(object({ from: anyText, to: anyText })),
      failoverPriority: list(someText),
    }),
    pool: object(
      { protocol: oneOf('default', 'http1', 'http2', 'client') },
      Object.fromEntries(
        [
          'maxConnections',
          'connectTimeoutMs',
          'maxConnectionDurationMs',
          'tcpIdleTimeoutMs',
          'maxPendingRequests',
          'maxRequests',
          'maxRequestsPerConnection',
          'maxRetries',
          'maxConcurrentStreams',
          'idleTimeoutMs',
        ].map((field) => [field, ms]),
      ),
    ),
    outliers: object(
      {
        consecutive5xx: count,
        consecutiveGatewayErrors: count,
        consecutiveLocalFailures: count,
        splitLocalOrigin: boolean,
        statuses: list(status),
        intervalMs: ms,
        baseEjectionMs: ms,
        maxEjectionPercent: percent,
        minHealthPercent: percent,
      },
      { successRate: object({ minimumHosts: count, requestVolume: count, deviations: share }) },
    ),
    retryBudget: object({ percent, minConcurrency: count }),
    tls: oneOf('disable', 'mesh'),
  },
)
const ports = record(portKey, destinationPolicy)

export const destination = object({
  service: namespacedKey,
  sources: list(namespacedKey),
  policy: destinationPolicy,
  ports,
  subsets: list(object({ name, labels, policy: destinationPolicy, ports })),
})

const limitTarget = union('kind', {
  service: closed({ ...kind('service'), service: namespacedKey }, { port }),
  waypoint: closed({ ...kind('waypoint'), waypoint: namespacedKey }),
  route: closed(
    {
      ...kind('route'),
      route: closed({ kind: routeKind, namespace: name, name }),
      services: list(namespacedKey),
    },
    { rule: someText },
  ),
})
const limitKey = union('by', {
  identity: closed({ by: someText }),
  namespace: closed({ by: someText }),
  source: closed({ by: someText }),
  path: closed({ by: someText }),
  method: closed({ by: someText }),
  header: closed({ by: someText, name: someText }),
  claim: closed({ by: someText, path: list(someText) }),
})
/** Tokens: a bucket without any would refuse all for ever. */
const tokens: Check = (value, path) =>
  typeof value === 'number' && value > 0 && value <= 1e12 ? undefined : `${path}: expected a number above 0`

export const rateLimit = closed({
  namespace: name,
  name,
  targets: list(limitTarget),
  rules: list(
    closed({
      name,
      matches: list(requestMatch),
      key: list(limitKey),
      size: closed({ capacity: tokens, perSecond: tokens }),
      scope: oneOf('local', 'mesh'),
      dryRun: boolean,
    }),
  ),
  headers: boolean,
  grpcStatus: oneOf('RESOURCE_EXHAUSTED', 'UNAVAILABLE'),
})
