// DestinationRule: the rules of istiod's admission, and what is said of fields that take no effect.
import t from 'tap'
import { parse } from 'yaml'
import { ignoredFields } from '../../../../core/model/ignored.ts'
import { formatProblem } from '../../../../core/model/problem.ts'
import type { MeshObject } from '../../../../core/model/resource.ts'
import { validateObject } from '../../../../core/model/validate.ts'

const rule = (spec: string) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name: 'r', namespace: 'shop' },
  spec: parse(spec),
})
const policy = (text: string) => rule(`{host: orders, trafficPolicy: ${text}}`)
const balancer = (text: string) => policy(`{loadBalancer: ${text}}`)
const locality = (text: string) => balancer(`{localityLbSetting: ${text}}`)
const tls = (text: string) => policy(`{tls: ${text}}`)
const problemsOf = (object: object) => validateObject(object).map(formatProblem)

const valid: Readonly<Record<string, object>> = {
  'a host alone': rule('{host: orders}'),
  'a host with a wildcard': rule('{host: "*.example.com"}'),
  subsets: rule('{host: orders, subsets: [{name: v1, labels: {version: v1}}, {name: all}]}'),
  'every kind of limit': policy(
    '{connectionPool: {tcp: {maxConnections: 1, idleTimeout: 0s}, http: {h2UpgradePolicy: UPGRADE}}, outlierDetection: {consecutive5xxErrors: 0}}',
  ),
  'a table of a prime size': balancer('{consistentHash: {useSourceIp: true, maglev: {tableSize: 65537}}}'),
  'a session cookie': balancer('{consistentHash: {httpCookie: {name: user, ttl: 0s}}}'),
  'shares of localities': locality(
    '{distribute: [{from: us/a/*, to: {us/a/*: 80, us/b/*: 20}}, {from: us/*, to: {"*": 100}}]}',
  ),
  'shares with nulls that clients write': locality(
    '{distribute: [{from: null, to: {us: 100}}, {from: us, to: {us: 100}}]}',
  ),
  'failover with labels': locality('{failover: [{from: us, to: eu}], failoverPriority: [version]}'),
  'two ports': policy(
    '{portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}, {port: {number: 81}, tls: {mode: DISABLE}}]}',
  ),
  'clients of this namespace': rule('{host: a, workloadSelector: {matchLabels: {app: a}}, exportTo: ["."]}'),
  'the TLS of the mesh': tls('{mode: ISTIO_MUTUAL}'),
  'a connection through a proxy': policy('{tunnel: {targetHost: a.example.com, targetPort: 443}}'),
}

for (const [name, object] of Object.entries(valid)) {
  t.test(`${name} is accepted`, (t) => {
    t.strictSame(problemsOf(object), [])
    t.end()
  })
}

const at = 'spec.trafficPolicy'
const invalid: readonly (readonly [name: string, object: object, problem: RegExp])[] = [
  ['no host', rule('{}'), /^spec\.host: is required$/],
  ['no spec', { ...rule('{}'), spec: undefined }, /^spec\.host: is required$/],
  ['a wildcard in the middle', rule('{host: a.*.com}'), /^spec\.host: .*wildcard/],
  [
    'a subset twice',
    rule('{host: a, subsets: [{name: v1}, {name: v1}]}'),
    /^spec\.subsets\[1\]\.name: .*earlier subset/,
  ],
  ['a subset that is no label', rule('{host: a, subsets: [{name: v_1}]}'), /subsets\[0\]\.name: "v_1"/],
  ['an empty policy', policy('{}'), /^spec\.trafficPolicy: is empty: set one of/],
  [
    'an empty policy of a subset',
    rule('{host: a, subsets: [{name: b, trafficPolicy: {}}]}'),
    /trafficPolicy: is empty/,
  ],
  [
    'a port without anything',
    policy('{portLevelSettings: [{port: {number: 80}}]}'),
    /portLevelSettings\[0\]: is empty/,
  ],
  ['settings without port', policy('{portLevelSettings: [{tls: {mode: DISABLE}}]}'), /\[0\]\.port: is required/],
  [
    'a port twice',
    policy('{portLevelSettings: [{port: {number: 80}, tls: {}}, {port: {number: 80}, loadBalancer: {}}]}'),
    /\[1\]\.port\.number: 80 is listed twice/,
  ],
  ['an empty pool', policy('{connectionPool: {}}'), /connectionPool: is empty: set one of tcp, http/],
  ['a negative limit', policy('{connectionPool: {tcp: {maxConnections: -1}}}'), /maxConnections: -1 is out of range/],
  [
    'two protocols',
    policy('{connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}}'),
    /useClientProtocol: cannot be combined/,
  ],
  ['a percentage', policy('{outlierDetection: {maxEjectionPercent: 101}}'), /101 is out of range: 0 to 100/],
  [
    'failures that do not count',
    policy('{outlierDetection: {consecutiveLocalOriginFailures: 3}}'),
    /counts only with splitExternalLocalOriginErrors: true/,
  ],
  [
    'two algorithms',
    balancer('{simple: RANDOM, consistentHash: {useSourceIp: true}}'),
    /cannot be combined with simple/,
  ],
  ['two hash values', balancer('{consistentHash: {useSourceIp: true, httpHeaderName: x}}'), /cannot be combined with/],
  ['a table of 65536', balancer('{consistentHash: {maglev: {tableSize: 65536}}}'), /65536 is not a prime number/],
  ['a huge table', balancer('{consistentHash: {maglev: {tableSize: 5000011}}}'), /not a prime number below 5000011/],
  ['a table without size', balancer('{consistentHash: {maglev: {}}}'), /tableSize: is required/],
  [
    'two ring sizes',
    balancer('{consistentHash: {minimumRingSize: 8, ringHash: {minimumRingSize: 8}}}'),
    /write ringHash\.minimumRingSize/,
  ],
  ['shares of 90', locality('{distribute: [{from: us, to: {us: 90}}]}'), /shares of 90 percent in sum/],
  ['a share of nothing', locality('{distribute: [{from: us, to: {us: 100, eu: 0}}]}'), /0 is out of range: 1 to 100/],
  ['shares that overlap', locality('{distribute: [{from: us, to: {us: 50, us/a: 50}}]}'), /lies within "us"/],
  [
    'a source that is never reached',
    locality('{distribute: [{from: us/*, to: {us: 100}}, {from: us/a, to: {us: 100}}]}'),
    /distribute\[1\]\.from: is never reached: "us\/\*"/,
  ],
  ['a wildcard inside', locality('{distribute: [{from: "*/a", to: {us: 100}}]}'), /elsewhere than as its last part/],
  ['a part of a word', locality('{distribute: [{from: "us-*", to: {us: 100}}]}'), /elsewhere than as its last part/],
  ['an empty part', locality('{distribute: [{from: us//a, to: {us: 100}}]}'), /has an empty part/],
  ['four parts', locality('{distribute: [{from: a/b/c/d, to: {us: 100}}]}'), /more parts than/],
  [
    'shares and failover',
    locality('{distribute: [{from: a, to: {b: 100}}], failover: [{from: a, to: b}]}'),
    /failover: cannot be combined with distribute/,
  ],
  ['failover to itself', locality('{failover: [{from: us, to: us}]}'), /must be another region/],
  ['failover between zones', locality('{failover: [{from: us/a, to: us/b}]}'), /write the region alone/],
  [
    'failover and topology labels',
    locality('{failover: [{from: a, to: b}], failoverPriority: [topology.kubernetes.io/region]}'),
    /failoverPriority\[0\]: .* cannot be combined with failover/,
  ],
  [
    'a proxy and its header',
    policy('{tunnel: {targetHost: a, targetPort: 1}, proxyProtocol: {}}'),
    /cannot be combined with tunnel/,
  ],
  ['another tunnel', policy('{tunnel: {targetHost: a, targetPort: 1, protocol: GET}}'), /neither CONNECT nor POST/],
  ['nobody as audience', rule('{host: a, exportTo: ["~"]}'), /exportTo\[0\]: "~" is neither/],
  ['an audience twice', rule('{host: a, exportTo: [b, b]}'), /exportTo\[1\]: "b" is listed twice/],
  ['all and some', rule('{host: a, exportTo: ["*", b]}'), /"\*" must stand alone/],
  ['a selector for all', rule('{host: a, workloadSelector: {}, exportTo: ["*"]}'), /write \["\."\] or remove it/],
  [
    'certificates twice',
    tls('{mode: MUTUAL, credentialName: a, privateKey: b}'),
    /privateKey: cannot be combined with credentialName/,
  ],
  ['MUTUAL without a key', tls('{mode: MUTUAL, clientCertificate: a}'), /privateKey: is required for MUTUAL/],
  [
    'names that nobody verifies',
    tls('{mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}'),
    /insecureSkipVerify: cannot be combined with subjectAltNames/,
  ],
  ['TLS that nobody makes', tls('{mode: SIMPLE}'), /tls\.mode: SIMPLE would leave .* unencrypted/],
  [
    'TLS for a subset that nobody makes',
    rule('{host: a, subsets: [{name: b, trafficPolicy: {tls: {mode: SIMPLE}}}]}'),
    /unencrypted/,
  ],
]

for (const [name, object, problem] of invalid) {
  t.test(`${name} is refused`, (t) => {
    const found = problemsOf(object)
    t.ok(
      found.some((text) => problem.test(text)),
      found.join('\n'),
    )
    t.end()
  })
}

t.test('each part of a traffic policy says by itself what does not take effect', (t) => {
  const spec = `{host: orders, subsets: [{name: v1, trafficPolicy: {proxyProtocol: {}}}], trafficPolicy: {
    loadBalancer: {simple: LEAST_REQUEST, warmup: {duration: 10s}}, connectionPool: {tcp: {maxConnections: 1, idleTimeout: 1s}},
    outlierDetection: {}, tls: {mode: DISABLE, sni: a},
    retryBudget: {percent: 10, budgetInterval: 1s},
    portLevelSettings: [{port: {number: 80}, loadBalancer: {zoneAwareLbSetting: {}}, outlierDetection: {}}]}}`
  const object = rule(spec) as MeshObject
  t.strictSame(problemsOf(object), [])
  t.strictSame(
    ignoredFields(object).map(({ path }) => path),
    [
      `${at}.connectionPool.tcp.idleTimeout`,
      `${at}.tls.mode`,
      `${at}.tls.sni`,
      `${at}.portLevelSettings[0].loadBalancer.zoneAwareLbSetting`,
      `${at}.retryBudget.budgetInterval`,
      'spec.subsets[0].trafficPolicy.proxyProtocol',
    ],
  )
  t.end()
})
