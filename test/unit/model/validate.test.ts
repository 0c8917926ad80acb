// One object against its field table: what is accepted, and what is said about the rest.
import fc from 'fast-check'
import t from 'tap'
import { parse } from 'yaml'
import { ignoredFields } from '../../../core/model/ignored.ts'
import { kinds } from '../../../core/model/kinds.ts'
import { formatProblem } from '../../../core/model/problem.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { validateObject } from '../../../core/model/validate.ts'

const problemsOf = (object: unknown) => validateObject(object).map(formatProblem)

const policy = (spec: string, name = 'p') => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name },
  spec: parse(spec),
})
const service = (spec: string) => ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: parse(spec) })
const entry = (spec: string) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'WorkloadEntry',
  metadata: { name: 'w' },
  spec: parse(spec),
})
const peer = (spec: string) => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name: 'p' },
  spec: parse(spec),
})
const source = (text: string) => policy(`{rules: [{from: [{source: ${text}}]}]}`)
const at = 'spec.rules[0].from[0].source'

const valid: Readonly<Record<string, unknown>> = {
  'a namespace': {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'shop', labels: { 'culvert.dev/dataplane-mode': 'ambient' } },
  },
  'nulls that kubectl writes': {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'a', creationTimestamp: null },
    spec: {},
    status: {},
  },
  'a policy without rules': policy('{}'),
  'an empty rule': policy('{rules: [{}]}'),
  'an empty selector': policy('{selector: {}}'),
  patterns: source('{principals: ["*", "a*", "*b", "cluster.local/ns/a/sa/b"], notNamespaces: ["x*"]}'),
  addresses: source('{ipBlocks: [10.0.0.1, 10.0.0.0/8, "2001:db8::/32"]}'),
  'service accounts': source('{serviceAccounts: [a, shop/a]}'),
  'layer 7 fields': policy('{rules: [{to: [{operation: {methods: [GET], paths: ["/a/{*}"]}}]}]}'),
  conditions: policy(
    '{rules: [{when: [{key: "request.headers[x]", values: [a]}, {key: destination.port, notValues: ["80"]}]}]}',
  ),
  CUSTOM: policy('{action: CUSTOM, provider: {name: x}, rules: [{}]}'),
  'a service': service('{selector: {app: a}, ports: [{port: 80, targetPort: http}]}'),
  'two ports': service('{ports: [{name: a, port: 80}, {name: b, port: 80, protocol: UDP}]}'),
  'a headless service': service('{clusterIP: None}'),
  'an external name': service('{type: ExternalName, externalName: example.com.}'),
  'a null selector of a service': service('{selector: null, ports: [{port: 80}]}'),
  'an entry': entry('{address: 10.0.0.1, ports: {http: 8080}, labels: {app: a}, weight: 0, serviceAccount: ""}'),
  'an entry with a name': entry('{address: vm.example.com}'),
  'an entry with a network only': entry('{network: n1}'),
  'port level mTLS': peer(
    '{selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}',
  ),
}

for (const [name, object] of Object.entries(valid)) {
  t.test(`${name}: accepted`, (t) => {
    t.strictSame(problemsOf(object), [])
    t.end()
  })
}

const refused: readonly (readonly [string, unknown, string | RegExp])[] = [
  ['no object', 3, 'must be an object, found the number 3'],
  ['no kind', { apiVersion: 'v1' }, 'kind: is required'],
  ['a kind that is a list', { apiVersion: 'v1', kind: [] }, 'kind: must be a string, found a list'],
  ['an unknown kind', { apiVersion: 'v1', kind: 'Sevice' }, /not served; did you mean "Service"\?$/],
  [
    'an unknown version',
    { apiVersion: 'security.istio.io/v2', kind: 'PeerAuthentication' },
    /no version .*served: security.istio.io\/v1, /,
  ],
  ['a wrong group', { apiVersion: 'v1', kind: 'WorkloadEntry' }, /no API group "v1".*networking.istio.io\/v1/],
  ['no metadata', { apiVersion: 'v1', kind: 'Namespace' }, 'metadata: is required'],
  ['no name', { apiVersion: 'v1', kind: 'Namespace', metadata: {} }, 'metadata.name: is required'],
  ['a bad name', policy('{}', 'A_b'), /^metadata.name: "A_b" is not a DNS name/],
  [
    'a namespace with a namespace',
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a', namespace: 'b' } },
    /not namespaced/,
  ],
  [
    'a bad label',
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a', labels: { 'a/b c': 'd' } } },
    /^metadata.labels\["a\/b c"\]: /,
  ],
  [
    'a label that is a number',
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a', labels: { a: 1 } } },
    /found the number 1; write it in quotes/,
  ],
  ['an unknown top-level field', { ...policy('{}'), sepc: {} }, /unknown field "sepc"; did you mean "spec"/],
  [
    'a misspelt field',
    source('{princpals: [a]}'),
    `${at}.princpals: unknown field "princpals"; did you mean "principals"?`,
  ],
  [
    'a field without value in a policy',
    source('{principals: null, namespaces: [a]}'),
    `${at}.principals: has no value: remove it, or give it one`,
  ],
  ['an empty list in a policy', source('{principals: [], namespaces: [a]}'), /principals: is empty/],
  ['an empty source', source('{}'), /would match everything/],
  [
    'a port as a number',
    policy('{rules: [{to: [{operation: {ports: [80]}}]}]}'),
    /ports\[0\]: must be a string, found the number 80; write it in quotes/,
  ],
  ['port 0', policy('{rules: [{to: [{operation: {ports: ["0"]}}]}]}'), /not a port/],
  ['a scheme in a principal', source('{principals: ["spiffe://a/ns/b/sa/c"]}'), /without "spiffe:\/\/"/],
  ['half a principal', source('{notPrincipals: [frontend]}'), /is not <trust-domain>\/ns/],
  ['a star in the middle', source('{namespaces: ["a*b"]}'), /in the middle/],
  ['stars at both ends', source('{namespaces: ["*b*"]}'), /both ends/],
  ['a bad address block', source('{ipBlocks: [10.0.0.0/33]}'), /neither an IP address nor a CIDR/],
  [
    'service accounts with principals',
    source('{serviceAccounts: [a], principals: ["*"]}'),
    /cannot be combined with principals/,
  ],
  ['a DENY that never fires', policy('{action: DENY}'), /rules: are required for DENY/],
  ['CUSTOM without provider', policy('{action: CUSTOM, rules: [{}]}'), 'spec.provider.name: is required for CUSTOM'],
  ['an unknown action', policy('{action: deny}'), /did you mean "DENY"/],
  ['a target', policy('{targetRefs: [{kind: Service, name: a}]}'), /waypoint/],
  [
    'an unknown attribute',
    policy('{rules: [{when: [{key: source.port, values: ["1"]}]}]}'),
    /not a condition attribute/,
  ],
  ['a condition without values', policy('{rules: [{when: [{key: source.ip}]}]}'), /needs values or notValues/],
  [
    'a bad value of a condition',
    policy('{rules: [{when: [{key: source.ip, values: [x]}]}]}'),
    /values\[0\]: "x" is neither an IP/,
  ],
  ['a wildcard in a selector', policy('{selector: {matchLabels: {app: "*"}}}'), /wildcard/],
  ['a service without ports', service('{}'), /ports: are required/],
  ['a service without spec', { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' } }, /ports: are required/],
  [
    'a duplicate port',
    service('{ports: [{name: a, port: 80}, {name: b, port: 80}]}'),
    'spec.ports[1].port: 80/TCP is used already by ports[0]',
  ],
  [
    'a duplicate port name',
    service('{ports: [{name: a, port: 80}, {name: a, port: 81}]}'),
    'spec.ports[1].name: "a" is used already by ports[0]',
  ],
  ['unnamed ports', service('{ports: [{name: a, port: 80}, {port: 81}]}'), /ports\[1\].name: is required/],
  ['port 65536', service('{ports: [{port: 65536}]}'), 'spec.ports[0].port: 65536 is out of range: 1 to 65535'],
  ['half a port', service('{ports: [{port: 80.5}]}'), /a whole number, found the number 80.5/],
  ['two addresses of a family', service('{ports: [{port: 1}], clusterIPs: [10.0.0.1, 10.0.0.2]}'), /same family/],
  [
    'a first address that is another',
    service('{ports: [{port: 1}], clusterIP: 10.0.0.1, clusterIPs: [10.0.0.2]}'),
    /is not the clusterIP/,
  ],
  [
    'no spec of an entry',
    { apiVersion: 'networking.istio.io/v1', kind: 'WorkloadEntry', metadata: { name: 'w' } },
    'spec: is required',
  ],
  ['no address', entry('{}'), 'spec.address: is required'],
  ['a Unix socket', entry('{address: "unix:///run/x"}'), /Unix sockets/],
  ['half an address', entry('{address: 10.0.0}'), /"10.0.0" is not an IP address/],
  ['a multicast address', entry('{address: 224.0.0.1}'), /multicast/],
  ['port level mTLS without selector', peer('{portLevelMtls: {8080: {mode: STRICT}}}'), /needs a selector/],
  [
    'port level mTLS of port 0',
    peer('{selector: {matchLabels: {a: b}}, portLevelMtls: {0: {mode: STRICT}}}'),
    /"0" is not a port/,
  ],
]

for (const [name, object, message] of refused) {
  t.test(`${name}: refused`, (t) => {
    const problems = problemsOf(object)
    t.equal(problems.length, 1, problems.join('\n'))
    t.match(problems[0], message)
    t.end()
  })
}

t.test('fields without effect are named with their text', (t) => {
  const paths = (object: unknown) => ignoredFields(object as MeshObject).map(({ path }) => path)
  t.strictSame(
    paths(
      service(
        '{type: NodePort, ports: [{port: 1, protocol: UDP}, {port: 2, nodePort: 30000}], externalIPs: [1.2.3.4]}',
      ),
    ),
    ['spec.type', 'spec.ports[0].protocol', 'spec.ports[1].nodePort', 'spec.externalIPs'],
  )
  t.strictSame(
    paths(
      policy(
        '{action: AUDIT, rules: [{to: [{operation: {ports: ["1"], methods: [GET]}}], when: [{key: remote.ip, values: [a]}]}]}',
      ),
    ),
    ['spec.action', 'spec.rules[0].to[0].operation.methods', 'spec.rules[0].when[0].key'],
  )
  t.strictSame(paths(policy('{rules: [{from: [{source: {principals: ["*"]}}]}]}')), [])
  t.strictSame(paths(peer('{mtls: {mode: DISABLE}}')), ['spec.mtls.mode'])
  t.strictSame(paths(entry('{address: vm.example.com, network: n}')), ['spec.address', 'spec.network'])
  t.end()
})

/** JSON that looks like a resource in many places, so that the walk gets deep. */
const words = fc.constantFrom(
  'metadata',
  'spec',
  'rules',
  'from',
  'source',
  'principals',
  'ports',
  'name',
  'selector',
  'matchLabels',
  '__proto__',
)
const almost = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 6 },
    fc.jsonValue(),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(words, tie('value'), { maxKeys: 4 }),
  ),
})).value

t.test('no JSON value makes it throw', (t) => {
  const versions = kinds.flatMap((kind) => kind.versions.map((version) => [kind, version] as const))
  fc.assert(fc.property(fc.jsonValue(), (value) => Array.isArray(validateObject(value))))
  fc.assert(
    fc.property(fc.constantFrom(...versions), almost, almost, ([kind, version], metadata, spec) => {
      const apiVersion = kind.group === '' ? version : `${kind.group}/${version}`
      const problems = validateObject({ apiVersion, kind: kind.kind, metadata, spec })
      return problems.length <= 200 && problems.every(({ message }) => message.length < 2000)
    }),
    { numRuns: 500 },
  )
  t.end()
})
