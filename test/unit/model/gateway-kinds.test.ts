// Objects of the Gateway API as people write them: what is accepted, and in which words the rest is refused.
import t from 'tap'
import { parse } from 'yaml'
import { ignoredFields } from '../../../core/model/ignored.ts'
import { gatewayKinds } from '../../../core/model/kinds/gateway.ts'
import { formatApiVersion } from '../../../core/model/kinds.ts'
import { formatProblem } from '../../../core/model/problem.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { validateObject } from '../../../core/model/validate.ts'
import { exampleOf } from '../../helpers/objects-of-kind.ts'

function object(kind: string, spec: string, version = 'v1'): MeshObject {
  const apiVersion = `gateway.networking.k8s.io/${version}`
  return { apiVersion, kind, metadata: { name: 'a' }, spec: parse(spec) }
}

const problemsOf = (found: MeshObject): readonly string[] => validateObject(found).map(formatProblem)
const rule = (text: string): string => `{parentRefs: [{name: gw}], rules: [${text}]}`
const filter = (text: string): string => rule(`{filters: [${text}], backendRefs: [{name: a, port: 80}]}`)
const listener = (text: string): string => `{gatewayClassName: culvert-waypoint, listeners: [${text}]}`

const good: readonly (readonly [what: string, kind: string, spec: string, version?: string])[] = [
  ['a waypoint', 'Gateway', listener('{name: mesh, port: 15008, protocol: HBONE}')],
  [
    'HTTPS and TLS at one port, told apart by host name',
    'Gateway',
    listener(`
      {name: web, port: 443, protocol: HTTPS, hostname: "*.example.com", tls: {certificateRefs: [{name: cert}]},
        allowedRoutes: {namespaces: {from: Selector, selector: {matchExpressions: [{key: a, operator: Exists}]}}, kinds: [{kind: HTTPRoute}]}},
      {name: raw, port: 443, protocol: TLS, hostname: abc.example.com, tls: {mode: Passthrough}}`),
  ],
  [
    'client certificates and addresses',
    'Gateway',
    `{gatewayClassName: a, addresses: [{type: Hostname}, {value: "2001:db8::1"}, {type: example.com/pool, value: x}],
      tls: {frontend: {default: {validation: {caCertificateRefs: [{kind: ConfigMap, group: "", name: ca}]}}, perPort: [{port: 8443, tls: {}}]}},
      infrastructure: {labels: {example.com/team: a}, annotations: {b: ""}},
      listeners: [{name: tcp, port: 1, protocol: TCP}, {name: http, port: 1, protocol: HTTP}]}`,
  ],
  ['a class', 'GatewayClass', '{controllerName: culvert.dev/controller, description: ""}', 'v1beta1'],
  ['a route without rules', 'HTTPRoute', '{}'],
  [
    'a route of a service',
    'HTTPRoute',
    rule('{backendRefs: [{name: v1, port: 80, weight: 9}, {name: v2, port: 80, weight: 0}]}').replace(
      '{name: gw}',
      '{group: "", kind: Service, name: echo, port: 80}',
    ),
  ],
  [
    'two listeners of one gateway, and the same names elsewhere',
    'HTTPRoute',
    '{parentRefs: [{name: a, sectionName: x}, {name: a, sectionName: y}, {name: a, namespace: b}, {kind: Service, group: "", name: a}]}',
  ],
  [
    'every kind of match',
    'HTTPRoute',
    rule(`{matches: [{path: {type: RegularExpression, value: "/a//[0-9]+"}, method: PATCH,
      headers: [{name: X-A, value: b c}, {name: x-b, type: RegularExpression, value: "^a$"}], queryParams: [{name: q, value: "ü ?"}]},
      {path: {type: Exact, value: "/a%20b/..."}}], backendRefs: [{name: a, port: 80}]}`),
  ],
  [
    'a redirect',
    'HTTPRoute',
    rule('{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 308}}]}'),
  ],
  [
    'a prefix replaced, of the match that is there by default too',
    'HTTPRoute',
    rule(`{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: ""}}}]}`),
  ],
  [
    'CORS',
    'HTTPRoute',
    filter(
      `{type: CORS, cors: {allowOrigins: ["https://a.example.com:8443", "http://*.example.com"], allowMethods: ["*"], allowHeaders: [x-a, "x*"]}}`,
    ),
  ],
  [
    'external authorization with a list that is null',
    'HTTPRoute',
    filter(
      '{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: a, port: 9002}, http: {allowedHeaders: ~}}}',
    ),
  ],
  [
    'several mirrors beside header changes',
    'HTTPRoute',
    filter(`{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}, fraction: {numerator: 100}}},
      {type: RequestMirror, requestMirror: {backendRef: {name: b, port: 80}, percent: 0}},
      {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}], add: [{name: c, value: d}], remove: [e]}}`),
  ],
  [
    'timeouts, where 0s is none',
    'HTTPRoute',
    rule('{timeouts: {request: 0s, backendRequest: 1h1m1s1ms}, retry: {codes: [500], backoff: 100ms}}'),
  ],
  [
    'calls by service',
    'GRPCRoute',
    rule('{matches: [{method: {service: shop.v1.Orders}}, {method: {type: RegularExpression, method: "Get.*"}}, {}]}'),
  ],
  [
    'a session',
    'GRPCRoute',
    rule('{sessionPersistence: {absoluteTimeout: 1h, cookie: {lifetimeType: Permanent, name: s}}}'),
  ],
  [
    'TLS by name',
    'TLSRoute',
    '{hostnames: [a.example.com, "*.b"], rules: [{backendRefs: [{name: a, port: 443}]}]}',
    'v1alpha3',
  ],
  [
    'TLS of every name',
    'TLSRoute',
    '{rules: [{backendRefs: [{name: a, port: 443}]}, {name: b, backendRefs: [{name: a, port: 443}]}]}',
    'v1alpha2',
  ],
  ['TCP', 'TCPRoute', '{rules: [{backendRefs: [{name: a, port: 5432}, {group: example.com, kind: Pool, name: b}]}]}'],
  [
    'a grant',
    'ReferenceGrant',
    '{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: a}], to: [{group: "", kind: Service}]}',
  ],
]

for (const [what, kind, spec, version] of good) {
  t.test(`${kind}: ${what} is accepted`, (t) => {
    t.strictSame(problemsOf(object(kind, spec, version)), [])
    t.end()
  })
}

const bad: readonly (readonly [kind: string, spec: string, complaint: RegExp, version?: string])[] = [
  ['Gateway', '{listeners: [{name: a, port: 80, protocol: HTTP}]}', /^spec.gatewayClassName: is required$/],
  ['Gateway', listener(''), /^spec.listeners: is empty/],
  [
    'Gateway',
    listener('{name: a, port: 80, protocol: HTTP, tls: {mode: Passthrough}}'),
    /listeners\[0\].tls: is not for protocol HTTP; use HTTPS/,
  ],
  [
    'Gateway',
    listener('{name: a, port: 443, protocol: HTTPS, tls: {}}'),
    /tls.certificateRefs: is required for mode Terminate; name the Secret/,
  ],
  [
    'Gateway',
    listener('{name: a, port: 443, protocol: TLS}'),
    /tls: is required for protocol TLS; set mode to Passthrough/,
  ],
  [
    'Gateway',
    listener('{name: a, port: 1, protocol: TCP}, {name: b, port: 1, protocol: TCP}'),
    /listeners\[1\]: has port, protocol and hostname of the listener "a"/,
  ],
  [
    'Gateway',
    listener('{name: a, port: 1, protocol: TCP}, {name: a, port: 2, protocol: TCP}'),
    /listeners\[1\]: is the same as entry 0: each name stands once/,
  ],
  [
    'Gateway',
    listener('{name: a, port: 80, protocol: HTTP, hostname: 10.0.0.1}'),
    /hostname: "10.0.0.1" is an IP address; name a host/,
  ],
  [
    'Gateway',
    listener('{name: a, port: 80, protocol: HTTP, hostname: Api.example.com}'),
    /has upper-case letters; write "api.example.com"/,
  ],
  [
    'Gateway',
    listener('{name: a, port: 80, protocol: HTTP, hostname: "a.*.com"}'),
    /a wildcard is the whole first label/,
  ],
  [
    'Gateway',
    listener('{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector}}}'),
    /selector: is required for from: Selector/,
  ],
  [
    'Gateway',
    listener(
      '{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchExpressions: [{key: a, operator: in}]}}}}',
    ),
    /operator: "in" is not one of In, NotIn/,
  ],
  [
    'HTTPRoute',
    rule('{backendRefs: [{name: a}]}'),
    /backendRefs\[0\].port: is required; say which port of the Service a/,
  ],
  ['HTTPRoute', rule('{backendRef: [{name: a}]}'), /unknown field "backendRef"; did you mean "backendRefs"/],
  [
    'HTTPRoute',
    rule('{timeouts: {request: 1.5s}}'),
    /"1.5s" is not a duration such as 10s, 500ms or 1h30m; write fractions in the next smaller unit: 1500ms/,
  ],
  [
    'HTTPRoute',
    rule('{timeouts: {request: 1s, backendRequest: 2s}}'),
    /backendRequest: 2s is longer than the whole request may take \(1s\)/,
  ],
  ['HTTPRoute', rule('{matches: [{path: {value: a}}]}'), /path.value: "a" is not an absolute path; start it with "\/"/],
  ['HTTPRoute', rule('{matches: [{path: {value: "/a b"}}]}'), /write them encoded, a space as %20/],
  [
    'HTTPRoute',
    rule('{matches: [{path: {type: RegularExpression, value: "("}}]}'),
    /path.value: "\(" is not a regular expression/,
  ],
  [
    'HTTPRoute',
    rule('{matches: [{headers: [{name: A, value: b}, {name: a, value: c}]}]}'),
    /headers\[1\].name: "a" is the header of headers\[0\]/,
  ],
  ['HTTPRoute', rule('{matches: [{method: get}]}'), /"get" is not one of GET.*did you mean "GET"/],
  [
    'HTTPRoute',
    filter('{type: RequestRedirect, requestRedirect: {}}'),
    /backendRefs: cannot be combined with the RequestRedirect of filters\[0\]/,
  ],
  [
    'HTTPRoute',
    rule('{filters: [{type: URLRewrite, urlRewrite: {}, requestRedirect: {}}]}'),
    /requestRedirect: is of filters of type RequestRedirect, this one is of type URLRewrite/,
  ],
  [
    'HTTPRoute',
    filter('{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}], remove: [A]}}'),
    /remove\[0\]: changes the header "A", which set\[0\] changes already/,
  ],
  ['HTTPRoute', filter('{type: CORS, cors: {allowMethods: [GET, GET]}}'), /allowMethods\[1\]: is the same as entry 0/],
  [
    'HTTPRoute',
    rule('{filters: [{type: RequestRedirect, requestRedirect: {statusCode: 304}}]}'),
    /304 is not one of 301, 302, 303, 307, 308/,
  ],
  [
    'HTTPRoute',
    '{parentRefs: [{name: a}, {name: a, sectionName: b}]}',
    /parentRefs\[1\]: names the same parent as entry 0; set sectionName in both or in neither/,
  ],
  ['GRPCRoute', rule('{matches: [{method: {service: a-b}}]}'), /service: "a-b" is not a name such as shop.v1.Orders/],
  ['TLSRoute', '{rules: [{backendRefs: [{name: a, port: 443}]}]}', /^spec.hostnames: is required$/],
  [
    'TLSRoute',
    '{hostnames: [a], rules: [{backendRefs: [{name: a, port: 1}]}, {backendRefs: [{name: a, port: 1}]}]}',
    /spec.rules: has 2 entries, at most 1/,
  ],
  ['TCPRoute', '{rules: [{}]}', /backendRefs: is required/],
  ['TCPRoute', '{hostnames: [a], rules: [{backendRefs: [{name: a, port: 1}]}]}', /unknown field "hostnames"/],
  ['GatewayClass', '{controllerName: culvert}', /"culvert" is not domain\/path such as example.com\/controller/],
  [
    'ReferenceGrant',
    '{from: [{kind: HTTPRoute, namespace: a}], to: [{group: "", kind: Service}]}',
    /from\[0\].group: is required/,
  ],
]

for (const [kind, spec, complaint, version] of bad) {
  t.test(`${kind} ${version ?? ''}: ${String(complaint)}`, (t) => {
    const problems = problemsOf(object(kind, spec, version))
    t.equal(problems.length, 1, problems.join('\n'))
    t.match(problems[0], complaint)
    t.end()
  })
}

t.test('a hundred and twenty-eight matches are enough for a route', (t) => {
  const matches = (count: number) => new Array(count).fill({ path: { value: '/a' } })
  const route = (counts: readonly number[]) => ({
    ...object('HTTPRoute', '{}'),
    spec: { rules: counts.map((count) => ({ matches: matches(count) })) },
  })
  t.strictSame(problemsOf(route([64, 64])), [])
  t.match(problemsOf(route([64, 64, 1])), [/spec.rules: have 129 matches in all, at most 128/])
  t.end()
})

t.test('examples of every kind and version are valid, and say what has no effect', (t) => {
  for (const kind of gatewayKinds) {
    for (const version of kind.versions) {
      for (const size of ['minimal', 'full'] as const) {
        const example = exampleOf(kind, version, size)
        t.equal(example.apiVersion, formatApiVersion(kind.group, version))
        t.strictSame(problemsOf(example), [], `${kind.kind} ${version} ${size}`)
      }
    }
  }
  const route = object('HTTPRoute', '{hostnames: [a], rules: [{backendRefs: [{name: a, port: 80}]}]}')
  t.match(ignoredFields(route), [{ path: 'spec.hostnames', text: /have no effect/ }])
  const grant = object('ReferenceGrant', good.at(-1)![2])
  t.strictSame(ignoredFields(grant), [])
  t.end()
})
