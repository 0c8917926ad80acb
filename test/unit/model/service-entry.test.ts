// ServiceEntry and WorkloadGroup: what Istio's admission accepts and refuses, and what is said about it.
import t from 'tap'
import { parse } from 'yaml'
import { ignoredFields } from '../../../core/model/ignored.ts'
import { formatProblem } from '../../../core/model/problem.ts'
import { validateObject } from '../../../core/model/validate.ts'

const object = (kind: string, spec: string) => ({
  apiVersion: 'networking.istio.io/v1',
  kind,
  metadata: { name: 'a', namespace: 'shop' },
  spec: parse(spec),
})
const entry = (spec: string) => object('ServiceEntry', `{hosts: [a.example.com], ${spec}}`)
const group = (spec: string) => object('WorkloadGroup', `{template: {}, ${spec}}`)
const probe = (text: string) => group(`probe: {${text}}`)
const http = 'ports: [{name: http, number: 80, protocol: HTTP}]'

const valid: Readonly<Record<string, unknown>> = {
  'a host alone': entry(''),
  'a host of many labels': object('ServiceEntry', '{hosts: ["*.example.com", "*x"]}'),
  'an outside service': entry(
    'location: MESH_EXTERNAL, resolution: DNS, ports: [{name: tls, number: 443, protocol: tls, targetPort: 8443}]',
  ),
  endpoints: entry(
    `resolution: STATIC, ${http}, endpoints: [{address: 10.0.0.1, ports: {http: 8080}}, {address: "2001:db8::1", locality: a/b}]`,
  ),
  'endpoints by name': entry(`resolution: DNS, ${http}, endpoints: [{address: b.example.com}, {address: 10.0.0.1}]`),
  'a selector': entry(
    'resolution: STATIC, workloadSelector: {labels: {app: a}}, addresses: [240.0.0.1, "2001:db8::/64"]',
  ),
  'an empty selector': entry('workloadSelector: {}'),
  'a block of addresses': entry('addresses: [10.0.0.0/8]'),
  'several hosts told apart': object(
    'ServiceEntry',
    `{hosts: [a.example.com, b.example.com], resolution: DNS, ports: [{name: a, number: 80, protocol: Http2}, {name: b, number: 443, protocol: HTTPS}]}`,
  ),
  'several hosts as asked for': object(
    'ServiceEntry',
    '{hosts: [a.example.com, b.example.com], ports: [{name: a, number: 80}]}',
  ),
  'a host of many labels that is looked up late': object(
    'ServiceEntry',
    '{hosts: ["*.example.com"], resolution: DYNAMIC_DNS}',
  ),
  'nulls at every depth': object(
    'ServiceEntry',
    `{hosts: [a.example.com, b.example.com], resolution: STATIC, workloadSelector: null, ports: [{name: a, number: 80, protocol: HTTP, targetPort: null}], endpoints: [{address: null, network: n, ports: null}]}`,
  ),
  'who knows it': entry('exportTo: [".", other]'),
  'a group': group('metadata: {labels: {app: a}, annotations: {a: "any text"}}'),
  'a whole template': object(
    'WorkloadGroup',
    '{template: {serviceAccount: sa, network: n, labels: {app: a}, ports: {http: 1}, weight: 2, locality: a/b/c}}',
  ),
  'an HTTP probe': probe(
    'periodSeconds: 1, httpGet: {port: 8080, host: bar, scheme: HTTPS, path: /bar, httpHeaders: [{name: x-a, value: b}]}',
  ),
  'a TCP probe': probe('tcpSocket: {port: 8080}'),
  'a command': probe('exec: {command: [/bin/true]}'),
  'a gRPC probe': probe('grpc: {port: 8080, service: a}'),
}

for (const [name, value] of Object.entries(valid)) {
  t.test(`${name}: accepted`, (t) => {
    t.strictSame(validateObject(value).map(formatProblem), [])
    t.end()
  })
}

const two = '[{name: a, number: 80}, {name: b, number: 80}]'

const refused: readonly (readonly [string, unknown, string | RegExp])[] = [
  ['no spec', { ...entry(''), spec: undefined }, 'spec: is required'],
  ['no host', object('ServiceEntry', '{hosts: []}'), /spec\.hosts: is empty/],
  ['every host', object('ServiceEntry', '{hosts: ["*"]}'), /"\*" stands for every host: name hosts or "\*\.domain"/],
  ['a wildcard at the end', object('ServiceEntry', '{hosts: ["foo*"]}'), /"foo\*" has a wildcard/],
  ['a block that is none', entry('addresses: [1.2.3.4/99]'), /is neither an IP address nor a CIDR block/],
  [
    'a block with names',
    entry('addresses: [1.2.0.0/16], resolution: DNS'),
    /is a block of addresses, which needs resolution NONE or STATIC/,
  ],
  ['a port twice', entry(`ports: ${two}`), 'spec.ports[1].number: 80 is the port of entry 0 already'],
  [
    'a name twice',
    entry('ports: [{name: a, number: 1}, {name: a, number: 2}]'),
    /ports\[1\]: is the same as entry 0: each name stands once/,
  ],
  ['port 0', entry('ports: [{name: a, number: 0}]'), /number: 0 is out of range: 1 to 65535/],
  [
    'a target port that is too large',
    entry('ports: [{name: a, number: 1, targetPort: 99999}]'),
    /targetPort: 99999 is out of range/,
  ],
  [
    'a protocol of nobody',
    entry('ports: [{name: a, number: 1, protocol: GRCP}]'),
    /"GRCP" is not one of HTTP.*did you mean "GRPC"/,
  ],
  ['a name of a port with dots', entry('ports: [{name: a.b, number: 1}]'), /name: "a\.b" is not a DNS label/],
  [
    'endpoints of nothing',
    entry('endpoints: [{address: 10.0.0.1}]'),
    /endpoints: have no effect with resolution NONE: set resolution to STATIC or DNS/,
  ],
  [
    'selector and endpoints',
    entry('resolution: STATIC, workloadSelector: {}, endpoints: [{address: 10.0.0.1}]'),
    /endpoints: cannot be combined with workloadSelector/,
  ],
  [
    'a wildcard in the selector',
    entry('workloadSelector: {labels: {app: "*"}}'),
    /has a wildcard, which is not allowed in a selector/,
  ],
  [
    'a wildcard in a key of the selector',
    entry('workloadSelector: {labels: {"*": a}}'),
    /has a wildcard, which is not allowed in a selector/,
  ],
  [
    'two endpoints by turns',
    entry('resolution: DNS_ROUND_ROBIN, endpoints: [{address: b.example.com}, {address: c.example.com}]'),
    /has 2 entries, DNS_ROUND_ROBIN takes one: set resolution to DNS/,
  ],
  [
    'a name without resolution',
    entry('resolution: STATIC, endpoints: [{address: b.example.com}]'),
    /"b\.example\.com" is a name; STATIC resolves no names/,
  ],
  [
    'an unknown port of an endpoint',
    entry(`resolution: STATIC, ${http}, endpoints: [{address: 10.0.0.1, ports: {htp: 1}}]`),
    /ports\.htp: names no port: the ports are http.*did you mean "http"/,
  ],
  [
    'a wildcard to look up',
    object('ServiceEntry', '{hosts: ["*.example.com"], resolution: DNS}'),
    /"\*\.example\.com" cannot be looked up by DNS; give endpoints/,
  ],
  [
    'hosts that TCP cannot tell apart',
    object('ServiceEntry', '{hosts: [a.example.com, b.example.com], resolution: DNS, ports: [{name: a, number: 1}]}'),
    /TCP does not tell the 2 hosts apart; write a ServiceEntry for each host/,
  ],
  [
    'a null protocol that tells no hosts apart',
    object(
      'ServiceEntry',
      '{hosts: [a.example.com, b.example.com], resolution: DNS, ports: [{name: a, number: 1, protocol: null}]}',
    ),
    /TCP does not tell the 2 hosts apart/,
  ],
  [
    'an endpoint of nowhere',
    entry('resolution: STATIC, endpoints: [{weight: 1}]'),
    /endpoints\[0\]\.address: is required/,
  ],
  [
    'a Unix socket',
    entry('resolution: STATIC, endpoints: [{address: "unix:///run/a"}]'),
    /Unix sockets cannot be reached across hosts/,
  ],
  ['no template', object('WorkloadGroup', '{}'), 'spec.template: is required'],
  ['a probe of nothing', probe('periodSeconds: 1'), /probe: needs one of httpGet, tcpSocket, exec, grpc/],
  ['two probes', probe('tcpSocket: {port: 1}, exec: {command: [a]}'), /probe\.exec: cannot be combined with tcpSocket/],
  ['a port that is too large', probe('tcpSocket: {port: 65536}'), /port: 65536 is out of range: 1 to 65535/],
  ['a header of stars', probe('httpGet: {port: 80, httpHeaders: [{name: "**"}]}'), /"\*\*" does not match/],
  ['a scheme in lower case', probe('httpGet: {port: 80, scheme: http}'), /"http" is neither HTTP nor HTTPS/],
  ['no command', probe('exec: {command: []}'), /command: is empty/],
  ['a negative period', probe('periodSeconds: -1, tcpSocket: {port: 1}'), /-1 is out of range/],
  ['a label that is none', group('metadata: {labels: {app: "a b"}}'), /"a b" is not a label value/],
]

for (const [name, value, expected] of refused) {
  t.test(`${name}: refused`, (t) => {
    const problems = validateObject(value).map(formatProblem)
    t.equal(problems.length, 1, problems.join('\n'))
    t.match(problems[0], expected)
    t.end()
  })
}

t.test('that neither takes effect is said once for the whole', (t) => {
  const said = [entry(http), group('probe: {tcpSocket: {port: 1}}')].map((object) =>
    ignoredFields(object).map(({ path, text }) => `${path}: ${text}`),
  )
  t.match(said, [[/^spec: a ServiceEntry has no effect/], [/^spec: a WorkloadGroup has no effect/]])
  t.end()
})
