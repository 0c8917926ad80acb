// Bad values for the rules that the CRDs publish in CEL, by message. published-rules.test.ts gives each to every field that
// carries the rule, so a rule without effect at one place of many is found.

import { gatewayRuleExamples } from './gateway-rule-examples.ts'

/** Values that break the rule, of the type of the field that carries it. */
export const ruleExamples: Readonly<Record<string, readonly unknown[]>> = {
  'must be a valid duration greater than 1ms': ['0s', '0.5ms', '999us', '-1s', '1', '1 s', '', 'soon', '1d'],
  'port must be between 1-65535': [0, 65_536, { '0': {} }, { '65536': {} }, { http: {} }],
  'wildcard not allowed in label value match': ['*', 'a*'],
  'wildcard not allowed in label key match': [{ 'a*': 'b' }],
  'key must not be empty': [{ '': 'b' }],
  'wildcard is not supported in selector': ['*', 'v*'],
  'cross namespace referencing is not currently supported': ['other'],
  'only one of targetRefs or selector can be set': [
    { selector: {}, targetRef: { kind: 'Service', name: 'a' } },
    { selector: {}, targetRefs: [{ kind: 'Service', name: 'a' }] },
    { targetRef: { kind: 'Service', name: 'a' }, targetRefs: [{ kind: 'Service', name: 'a' }] },
  ],
  'Cannot set serviceAccounts with namespaces or principals': [
    { serviceAccounts: ['a'], namespaces: ['b'] },
    { serviceAccounts: ['a'], principals: ['*'] },
    { notServiceAccounts: ['a'], notPrincipals: ['*'] },
  ],
  'portLevelMtls requires selector': [
    { portLevelMtls: { '80': { mode: 'STRICT' } } },
    { selector: { matchLabels: {} }, portLevelMtls: { '80': { mode: 'STRICT' } } },
  ],
  'Address is required': [{}, { labels: { a: 'b' } }],
  'UDS may not include ports': [{ address: 'unix:///run/a', ports: { http: 80 } }],
  'UDS must be an absolute path or abstract socket': ['unix://run/a', 'unix://'],
  'UDS may not be a dir': ['unix:///run/', 'unix:///'],
  'port name must be valid': [{ 'a.b': 80 }, { '-a': 80 }, { ['a'.repeat(63)]: 80 }],
  'hostname cannot be wildcard': ['*'],
  'only one of WorkloadSelector or Endpoints can be set': [
    {
      hosts: ['a.example.com'],
      resolution: 'STATIC',
      location: 'MESH_INTERNAL',
      ports: [{ name: 'http', number: 80 }],
      workloadSelector: { labels: { a: 'b' } },
      endpoints: [{ address: '10.0.0.1' }],
    },
  ],
  'CIDR addresses are allowed only for NONE/STATIC resolution types': ['DNS', 'DNS_ROUND_ROBIN'].map((resolution) => ({
    hosts: ['a.example.com'],
    resolution,
    ports: [{ name: 'http', number: 80 }],
    addresses: ['10.0.0.0/24'],
  })),
  'NONE mode cannot set endpoints': [undefined, 'NONE'].map((resolution) => ({
    hosts: ['a.example.com'],
    ...(resolution === undefined ? {} : { resolution }),
    ports: [{ name: 'http', number: 80 }],
    endpoints: [{ address: '10.0.0.1' }],
  })),
  'DNS_ROUND_ROBIN mode cannot have multiple endpoints': [
    {
      hosts: ['a.example.com'],
      resolution: 'DNS_ROUND_ROBIN',
      ports: [{ name: 'http', number: 80 }],
      endpoints: [{ address: 'b.example.com' }, { address: 'c.example.com' }],
    },
  ],
  'port number cannot be duplicated': [
    [
      { name: 'a', number: 80 },
      { name: 'b', number: 80 },
    ],
  ],
  'scheme must be one of [HTTP, HTTPS]': ['http', 'FTP'],
  'only one of jwks or jwksUri can be set': [
    { issuer: 'a', jwks: '{"keys":[]}', jwksUri: 'https://a.example.com/keys' },
    { issuer: 'a', jwks_uri: 'https://a.example.com/keys', jwksUri: 'https://a.example.com/keys' },
  ],
  'url must have scheme http:// or https://': ['ftp://a.example.com/', 'a.example.com', '/keys'],
  'value must be set when operation is UPSERT': [{ operation: 'UPSERT', value: '' }, { operation: 'UPSERT' }],
  'value must not be set when operation is REMOVE': [{ operation: 'REMOVE', value: 'a' }],
  ...gatewayRuleExamples,
}
