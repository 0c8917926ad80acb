// VirtualService: what Istio's admission accepts and refuses, and what is said about it.
import t from 'tap'
import { parse } from 'yaml'
import { ignoredFields } from '../../../core/model/ignored.ts'
import { formatProblem } from '../../../core/model/problem.ts'
import { validateObject } from '../../../core/model/validate.ts'

const virtualService = (spec: string) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'orders', namespace: 'shop' },
  spec: parse(spec),
})
const problemsOf = (spec: string) => validateObject(virtualService(spec)).map(formatProblem)

const to = 'route: [{destination: {host: orders}}]'
const http = (rule: string) => `{hosts: [orders], http: [{${rule}}]}`
const match = (text: string) => http(`match: [{${text}}], ${to}`)

const valid: Readonly<Record<string, string>> = {
  'a canary': http(
    'route: [{destination: {host: orders, subset: v1}, weight: 90}, {destination: {host: orders, subset: v2, port: {number: 80}}, weight: 10}]',
  ),
  'weights that are not percents': http(
    'route: [{destination: {host: a}, weight: 2}, {destination: {host: b}, weight: 1}]',
  ),
  'one destination of weight 0': http('route: [{destination: {host: a}, weight: 0}]'),
  'a destination at an address': http('route: [{destination: {host: 10.0.0.1}}]'),
  'a match by path, header and query': match(
    'uri: {prefix: /v2}, ignoreUriCase: true, method: {exact: GET}, headers: {x-a: {}, x-b: {regex: "[a-c]+"}, x-c: {regex: "*"}}, queryParams: {q: {exact: "1"}}, withoutHeaders: {x-d: {prefix: a}}',
  ),
  'the empty prefix of paths': match('uri: {prefix: ""}'),
  'a match by caller': match(
    'sourceLabels: {app: web}, sourceNamespace: shop, port: 80, gateways: [mesh, istio-system/a]',
  ),
  'a claim of a token': match(
    'headers: {"@request.auth.claims.group": {exact: a}, "@request.auth.claims[a][b/c]": {exact: a}}',
  ),
  'a regular expression of RE2': match('uri: {regex: "(?i)/orders/(?P<id>[[:digit:]]+)\\\\z"}'),
  'a redirect': http('redirect: {uri: /new, authority: a.example.com, scheme: https, port: 443, redirectCode: 308}'),
  'a redirect of the prefix': http('redirect: {prefixRewrite: /new, derivePort: FROM_REQUEST_PORT}'),
  'an answer': http('directResponse: {status: 503, body: {string: "closed"}}'),
  'an answer of bytes': http('directResponse: {status: 200, body: {bytes: "YWI="}}'),
  'a delegate': http('match: [{uri: {prefix: /a}}], delegate: {name: parts, namespace: other}'),
  'what others delegate to': `{http: [{${to}}]}`,
  retries: http(
    `retries: {attempts: 3, perTryTimeout: 2s, retryOn: "5xx, 429,connect-failure", backoff: 25ms}, timeout: 1m30s, ${to}`,
  ),
  'no retries': http(`retries: {attempts: 0}, ${to}`),
  faults: http(`fault: {delay: {fixedDelay: 2s, percentage: {value: 0.1}}, abort: {httpStatus: 500}}, ${to}`),
  'a fault of gRPC': http(`fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}, ${to}`),
  'a rewrite': http(`rewrite: {uri: /, authority: "orders.shop:8080"}, ${to}`),
  'a rewrite by expression': http(`rewrite: {uriRegexRewrite: {match: "^/a/(.*)", rewrite: '/b/\\1'}}, ${to}`),
  mirrors: http(`mirrors: [{destination: {host: a}}, {destination: {host: b}, percentage: {value: 0}}], ${to}`),
  'a mirror': http(`mirror: {host: a}, mirrorPercentage: {value: 12.5}, ${to}`),
  'headers that change': http(
    `headers: {request: {set: {Host: a.example.com, x-a: b}, remove: [x-c]}, response: {add: {x-d: "a b"}}}, ${to}`,
  ),
  CORS: http(
    `corsPolicy: {allowOrigins: [{exact: "https://a.example.com"}], allowMethods: [GET, "*"], allowHeaders: [x-a, "*"], maxAge: 24h, allowCredentials: null}, ${to}`,
  ),
  'TLS by name': `{hosts: ["*.example.com"], tls: [{match: [{port: 443, sniHosts: [a.example.com, "*.b.example.com"]}], ${to}}]}`,
  TCP: `{hosts: [db], tcp: [{match: [{port: 5432, destinationSubnets: [10.0.0.0/8], sourceSubnet: 10.1.0.0/16}], ${to}}]}`,
  'the older name of a gateway': `{hosts: ["*"], gateways: [ingress.istio-system.svc.cluster.local], http: [{${to}}]}`,
}

for (const [name, spec] of Object.entries(valid)) {
  t.test(`${name}: accepted`, (t) => {
    t.strictSame(problemsOf(spec), [])
    t.end()
  })
}

const asAbsent: Readonly<Record<string, string>> = {
  'nulls in headers': http(
    `headers: {request: {set: null, add: null}, response: null}, rewrite: {uri: /a, authority: null}, ${to}`,
  ),
  'a null of a rule': `{hosts: null, http: [{delegate: null, redirect: null, ${to}}]}`,
  'a null weight': http(
    'route: [{destination: {host: a, port: null}, weight: null}, {destination: {host: b}, weight: 1}]',
  ),
}

for (const [name, spec] of Object.entries(asAbsent)) {
  t.test(`${name}: as if it were not there`, (t) => {
    t.strictSame(problemsOf(spec), [])
    t.end()
  })
}

const refused: readonly (readonly [string, string, string | RegExp])[] = [
  ['no rules', '{hosts: [orders]}', 'spec: has no rules: set one of http, tls, tcp'],
  [
    'a rule without end',
    http('timeout: 1s'),
    'spec.http[0]: leads nowhere: set one of route, redirect, directResponse, delegate',
  ],
  ['an empty route', http('route: []'), /spec\.http\[0\]: leads nowhere/],
  ['route and redirect', http(`redirect: {uri: /a}, ${to}`), 'spec.http[0].route: cannot be combined with redirect'],
  ['delegate and route', http(`delegate: {name: a}, ${to}`), 'spec.http[0].route: cannot be combined with delegate'],
  [
    'redirect and fault',
    http('redirect: {uri: /a}, fault: {abort: {httpStatus: 500}}'),
    /fault: cannot be combined with redirect/,
  ],
  [
    'an answer and a rewrite',
    http('directResponse: {status: 200}, rewrite: {uri: /}'),
    /rewrite: cannot be combined with directResponse/,
  ],
  [
    'a redirect to nowhere',
    http('redirect: {redirectCode: 302}'),
    /redirect: leads to where the request came from: set one of uri/,
  ],
  ['a redirect with 304', http('redirect: {uri: /a, redirectCode: 304}'), /304 is not one of 301, 302, 303, 307, 308/],
  ['a redirect to ftp', http('redirect: {scheme: ftp}'), /"ftp" is neither http nor https/],
  ['a delegate without name', http('delegate: {namespace: a}'), 'spec.http[0].delegate.name: is required'],
  ['delegating twice', '{http: [{delegate: {name: a}}]}', /cannot delegate further/],
  ['a delegate with gateways', `{gateways: [mesh], http: [{${to}}]}`, /spec\.gateways: needs hosts/],
  ['a delegate with tcp', `{tcp: [{${to}}]}`, /spec\.tcp: needs hosts/],
  ['weights of 0', http('route: [{destination: {host: a}}, {destination: {host: b}}]'), /has no weight above 0/],
  ['a negative weight', http('route: [{destination: {host: a}, weight: -1}]'), /weight: -1 is out of range/],
  ['a destination with a wildcard', http('route: [{destination: {host: "*.a"}}]'), /has a wildcard: name one host/],
  [
    'a destination that is a URL',
    http('route: [{destination: {host: "http://a"}}]'),
    /is a URL: write the host name alone/,
  ],
  ['a subset with dots', http('route: [{destination: {host: a, subset: v1.2}}]'), /subset: "v1\.2" is not a DNS label/],
  ['look-ahead', match('uri: {regex: "/a(?!b)"}'), /which RE2 does not have/],
  ['exact and prefix', match('uri: {exact: /a, prefix: /b}'), /prefix: cannot be combined with exact/],
  ['an empty prefix of a header', match('headers: {x: {prefix: ""}}'), /is empty and would match everything/],
  ['a header with a space', match('headers: {"x y": {exact: a}}'), /is not a header name/],
  ['a claim without name', match('headers: {"@request.auth.claims": {exact: a}}'), /is not a claim/],
  ['a gateway of three parts', match('gateways: [a/b/c]'), /is not a gateway: write mesh, name or namespace\/name/],
  [
    'retries without attempts',
    http(`retries: {retryOn: 5xx}, ${to}`),
    /retryOn: has no effect without retries: set attempts/,
  ],
  [
    'a condition for retries',
    http(`retries: {attempts: 1, retryOn: "5xx,always"}, ${to}`),
    /"always" is neither an HTTP status nor one of 5xx/,
  ],
  [
    'a timeout without unit',
    http(`timeout: 5, ${to}`),
    /timeout: must be a string, found the number 5; "5" is not a duration such as 1\.5s/,
  ],
  ['a timeout of nothing', http(`timeout: 0s, ${to}`), /"0s" is less than 1ms/],
  ['an empty fault', http(`fault: {}, ${to}`), /fault: has no effect: set one of delay, abort/],
  [
    'an abort without status',
    http(`fault: {abort: {percentage: {value: 1}}}, ${to}`),
    /abort: needs one of httpStatus, grpcStatus/,
  ],
  ['a status of 600', http(`fault: {abort: {httpStatus: 600}}, ${to}`), /600 is out of range: 200 to 599/],
  ['a gRPC status by number', http(`fault: {abort: {grpcStatus: "14"}}, ${to}`), /"14" is not one of OK, CANCELLED/],
  [
    'more than all',
    http(`fault: {delay: {fixedDelay: 1s, percentage: {value: 101}}}, ${to}`),
    /101 is out of range: 0 to 100/,
  ],
  ['an empty rewrite', http(`rewrite: {}, ${to}`), /rewrite: changes nothing: set one of uri/],
  [
    'two rewrites of the path',
    http(`rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}, ${to}`),
    /uriRegexRewrite: cannot be combined with uri/,
  ],
  [
    'half an expression',
    http(`rewrite: {uriRegexRewrite: {match: a}}, ${to}`),
    /has nothing to put in its place: set one of rewrite/,
  ],
  [
    'the host changed twice',
    http(`rewrite: {authority: a}, headers: {request: {set: {host: b}}}, ${to}`),
    /cannot be combined with rewrite\.authority/,
  ],
  ['a pseudo header', http(`headers: {request: {set: {":path": /a}}}, ${to}`), /":path" is a pseudo header/],
  [
    'the host of a response',
    http(`headers: {response: {set: {Host: a}}}, ${to}`),
    /"Host" can only be set, in request\.set/,
  ],
  [
    'a line break in a header',
    http(`headers: {response: {set: {x-a: "b\\r\\nx-c: d"}}}, ${to}`),
    /has control characters/,
  ],
  [
    'mirror and mirrors',
    http(`mirror: {host: a}, mirrors: [{destination: {host: b}}], ${to}`),
    /mirror: cannot be combined with mirrors/,
  ],
  [
    'two spellings of a percentage',
    http(`mirror: {host: a}, mirrorPercent: 1, mirror_percent: 1, ${to}`),
    /another spelling of mirrorPercent/,
  ],
  ['an empty origin', http(`corsPolicy: {allowOrigins: [{exact: ""}]}, ${to}`), /is empty and would match everything/],
  ['parts of seconds for CORS', http(`corsPolicy: {maxAge: 1500ms}, ${to}`), /is not a number of whole seconds/],
  ['a method of CORS in lower case', http(`corsPolicy: {allowMethods: [get]}, ${to}`), /"get" is not one of GET/],
  ['every host of the mesh', `{hosts: ["*"], http: [{${to}}]}`, /"\*" stands for every host of the mesh/],
  [
    'a host twice',
    `{hosts: [a.example.com, "*.example.com"], http: [{${to}}]}`,
    /"\*\.example\.com" and "a\.example\.com" stand for the same hosts/,
  ],
  [
    'another server name',
    `{hosts: [a.example.com], tls: [{match: [{sniHosts: [b.example.com]}], ${to}}]}`,
    /"b\.example\.com" is within none of the hosts a\.example\.com: add it to hosts/,
  ],
  ['TLS without a name', `{hosts: [a], tls: [{match: [{sniHosts: []}], ${to}}]}`, /sniHosts: is empty/],
  ['TLS without a match', `{hosts: [a], tls: [{match: [], ${to}}]}`, /tls\[0\]\.match: is empty/],
  [
    'TCP without a route',
    '{hosts: [a], tcp: [{match: [{port: 1}]}]}',
    /tcp\[0\]\.route: is required: name at least one destination/,
  ],
  [
    'a subnet that is none',
    `{hosts: [a], tcp: [{match: [{destinationSubnets: [10.0.0.0/33]}], ${to}}]}`,
    /is neither an IP address nor a CIDR block/,
  ],
  ['"*" beside others', `{hosts: [a], exportTo: ["*", b], http: [{${to}}]}`, /exportTo: "\*" must stand alone/],
  [
    'an answer that is too large',
    http(`directResponse: {status: 200, body: {string: ${'a'.repeat(1_048_577)}}}`),
    /is larger than 1048576 bytes/,
  ],
]

for (const [name, spec, expected] of refused) {
  t.test(`${name}: refused`, (t) => {
    const problems = problemsOf(spec)
    t.equal(problems.length, 1, problems.join('\n'))
    t.match(problems[0], expected)
    t.end()
  })
}

t.test('what nobody does is said', (t) => {
  const spec = `{hosts: [a], gateways: [mesh, ingress], exportTo: ["."], http: [{match: [{statPrefix: x}], ${to}}], tcp: [{${to}}]}`
  const said = ignoredFields(virtualService(spec)).map(({ path, text }) => `${path}: ${text}`)
  t.match(said, [
    'spec.gateways: ingress: gateways of networking.istio.io are not served',
    'spec.http[0].match[0].statPrefix: statPrefix has no effect',
  ])
  t.equal(said.length, 2)
  t.end()
})
