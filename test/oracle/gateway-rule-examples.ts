// Bad values for the rules of the Gateway API's CRDs, by message; rule-examples.ts adds them to those of the other kinds.

const listener = (more: object): object => ({ name: 'a', port: 80, protocol: 'HTTP', ...more })
const named = { backendRefs: [{ name: 'a', port: 80 }], name: 'a' }
const parent = (more: object): object => ({ name: 'a', ...more })
const once = (type: string, field: string, value: object): readonly object[] => [
  { type, [field]: value },
  { type, [field]: value },
]
const prefix = { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } }
const full = { path: { type: 'ReplaceFullPath', replaceFullPath: '/' } }
const noPrefix: readonly unknown[] = [
  [],
  [{ path: { type: 'Exact', value: '/a' } }],
  [{ path: { value: '/a' } }, { path: { value: '/b' } }],
]
const rule = (more: object): readonly object[] => noPrefix.map((matches) => ({ matches, ...more }))
const within = (filter: object): object => ({ backendRefs: [{ name: 'a', port: 80, filters: [filter] }] })
const paths = (...values: readonly string[]): readonly object[] =>
  values.flatMap((value) => [{ value }, { type: 'Exact', value }, { type: 'PathPrefix', value }])
const plain = "when type one of ['Exact', 'PathPrefix']"

const filters: Readonly<Record<string, readonly [field: string, value: object]>> = {
  CORS: ['cors', {}],
  RequestHeaderModifier: ['requestHeaderModifier', { remove: ['a'] }],
  ResponseHeaderModifier: ['responseHeaderModifier', { remove: ['a'] }],
  RequestMirror: ['requestMirror', { backendRef: { name: 'a', port: 80 } }],
  RequestRedirect: ['requestRedirect', {}],
  URLRewrite: ['urlRewrite', {}],
  ExternalAuth: ['externalAuth', { protocol: 'GRPC', grpc: {}, backendRef: { name: 'a', port: 80 } }],
  ExtensionRef: ['extensionRef', { group: '', kind: 'A', name: 'a' }],
}

const filterExamples = Object.entries(filters).flatMap(([type, [field, value]]) => {
  const [other, [otherField, otherValue]] =
    type === 'ExtensionRef'
      ? (['RequestMirror', filters['RequestMirror']!] as const)
      : (['ExtensionRef', filters['ExtensionRef']!] as const)
  return [
    [
      `filter.${field} must be nil if the filter.type is not ${type}`,
      [{ type: other, [otherField]: otherValue, [field]: value }],
    ],
    [`filter.${field} must be specified for ${type} filter.type`, [{ type }]],
    [`${type} filter cannot be repeated`, [once(type, field, value)]],
  ] as const
})

/** Values that break the rule, of the type of the field that carries it. */
export const gatewayRuleExamples: Readonly<Record<string, readonly unknown[]>> = {
  'IPAddress values must be unique': [[{ value: '10.0.0.1' }, { type: 'IPAddress', value: '10.0.0.1' }]],
  'Hostname values must be unique': [
    [
      { type: 'Hostname', value: 'a.example.com' },
      { type: 'Hostname', value: 'a.example.com' },
    ],
  ],
  'Hostname value must be empty or contain only valid characters (matching ^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$)':
    ['', 'a b', 'A.example.com', '*'].map((value) => ({ type: 'Hostname', value })),
  'one of the shapes of type, value': [{ value: 'a.example.com' }, { type: 'IPAddress', value: '10.0.0' }],
  ...Object.fromEntries(
    ['Label', 'Annotation'].flatMap((what) => [
      [
        `${what} keys must be in the form of an optional DNS subdomain prefix followed by a required name segment of up to 63 characters.`,
        ['', 'a/', '/a', 'a/b/c', 'A.example.com/b', 'a b', `a/${'b'.repeat(64)}`].map((key) => ({ [key]: '' })),
      ],
      [
        `If specified, the ${what.toLowerCase()} key's prefix must be a DNS subdomain not longer than 253 characters in total.`,
        [`${'a.'.repeat(126)}a/b`, 'a'.repeat(253)].map((key) => ({ [key]: '' })),
      ],
    ]),
  ),
  "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']": ['HTTP', 'TCP', 'UDP'].map((protocol) => [
    listener({ protocol, tls: { mode: 'Passthrough' } }),
  ]),
  'tls mode must be Terminate for protocol HTTPS': [[listener({ protocol: 'HTTPS', tls: { mode: 'Passthrough' } })]],
  'tls mode must be set for protocol TLS': [[listener({ protocol: 'TLS' })]],
  "hostname must not be specified for protocols ['TCP', 'UDP']": ['TCP', 'UDP'].map((protocol) => [
    listener({ protocol, hostname: 'a.example.com' }),
  ]),
  'Listener name must be unique within the Gateway': [[listener({}), listener({ port: 81 })]],
  'Combination of port, protocol and hostname must be unique for each listener': [
    [listener({}), listener({ name: 'b' })],
    [listener({ hostname: 'a.example.com' }), listener({ name: 'b', hostname: 'a.example.com' })],
  ],
  'certificateRefs or options must be specified when mode is Terminate': [
    {},
    { mode: 'Terminate' },
    { certificateRefs: [], options: {} },
  ],
  'Port for TLS configuration must be unique within the Gateway': [
    [
      { port: 80, tls: {} },
      { port: 80, tls: {} },
    ],
  ],
  'sectionName or port must be specified when parentRefs includes 2 or more references to the same parent': [
    [parent({}), parent({ sectionName: 'a' })],
    [parent({ port: 80 }), parent({})],
    [parent({ port: 80 }), parent({ sectionName: 'a' })],
    [parent({ kind: 'Gateway' }), parent({ group: 'gateway.networking.k8s.io', sectionName: 'a' })],
  ],
  'sectionName or port must be unique when parentRefs includes 2 or more references to the same parent': [
    [parent({}), parent({})],
    [parent({ sectionName: 'a' }), parent({ sectionName: 'a' })],
    [parent({ port: 80, namespace: 'a' }), parent({ port: 80, namespace: 'a' })],
  ],
  'While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route must be less than 128':
    [[64, 64, 1].map((length) => ({ matches: new Array(length).fill({}) }))],
  'Rule name must be unique within the route': [[named, named]],
  'Must have port for Service reference': [{ name: 'a' }, { name: 'a', group: '', kind: 'Service' }],
  'RequestRedirect filter must not be used together with backendRefs': [
    { filters: [{ type: 'RequestRedirect', requestRedirect: {} }], backendRefs: [{ name: 'a', port: 80 }] },
  ],
  'When using RequestRedirect filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified':
    rule({
      filters: [{ type: 'RequestRedirect', requestRedirect: prefix }],
    }),
  'When using URLRewrite filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified': rule({
    filters: [{ type: 'URLRewrite', urlRewrite: prefix }],
  }),
  'Within backendRefs, when using RequestRedirect filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified':
    rule(within({ type: 'RequestRedirect', requestRedirect: prefix })),
  'Within backendRefs, When using URLRewrite filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified':
    rule(within({ type: 'URLRewrite', urlRewrite: prefix })),
  'May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both': [
    [
      { type: 'RequestRedirect', requestRedirect: full },
      { type: 'URLRewrite', urlRewrite: full },
    ],
  ],
  ...Object.fromEntries(filterExamples),
  "AllowHeaders cannot contain '*' alongside other methods": [['*', 'a']],
  "AllowMethods cannot contain '*' alongside other methods": [['GET', '*']],
  "AllowOrigins cannot contain '*' alongside other origins": [['*', 'https://a.example.com']],
  "grpc must be specified when protocol is set to 'GRPC'": [{ protocol: 'GRPC', backendRef: { name: 'a', port: 80 } }],
  "protocol must be 'GRPC' when grpc is set": [
    { protocol: 'HTTP', http: {}, grpc: {}, backendRef: { name: 'a', port: 80 } },
  ],
  "http must be specified when protocol is set to 'HTTP'": [{ protocol: 'HTTP', backendRef: { name: 'a', port: 80 } }],
  "protocol must be 'HTTP' when http is set": [
    { protocol: 'GRPC', http: {}, grpc: {}, backendRef: { name: 'a', port: 80 } },
  ],
  'Only one of percent or fraction may be specified in HTTPRequestMirrorFilter': [
    { backendRef: { name: 'a', port: 80 }, percent: 1, fraction: { numerator: 1 } },
  ],
  'numerator must be less than or equal to denominator': [{ numerator: 101 }, { numerator: 3, denominator: 2 }],
  "replaceFullPath must be specified when type is set to 'ReplaceFullPath'": [{ type: 'ReplaceFullPath' }],
  "type must be 'ReplaceFullPath' when replaceFullPath is set": [
    { type: 'ReplacePrefixMatch', replacePrefixMatch: '/', replaceFullPath: '/' },
  ],
  "replacePrefixMatch must be specified when type is set to 'ReplacePrefixMatch'": [{ type: 'ReplacePrefixMatch' }],
  "type must be 'ReplacePrefixMatch' when replacePrefixMatch is set": [
    { type: 'ReplaceFullPath', replacePrefixMatch: '/', replaceFullPath: '/' },
  ],
  [`value must be an absolute path and start with '/' ${plain}`]: paths('', 'a', 'a/'),
  ...Object.fromEntries(
    ['//', '/./', '/../', '%2f', '%2F', '#'].map((part) => [
      `must not contain '${part}' ${plain}`,
      paths(`/a${part}b`),
    ]),
  ),
  ...Object.fromEntries(['/..', '/.'].map((part) => [`must not end with '${part}' ${plain}`, paths(`/a${part}`)])),
  "type must be one of ['Exact', 'PathPrefix', 'RegularExpression']": [{ type: 'Prefix', value: '/' }],
  "must only contain valid characters (matching ^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$) for types ['Exact', 'PathPrefix']":
    paths('/a b', '/ü', '/%zz', '/a?b', '/"'),
  'backendRequest timeout cannot be longer than request timeout': [
    { request: '1s', backendRequest: '1001ms' },
    { request: '1s', backendRequest: '1m' },
  ],
  'AbsoluteTimeout must be specified when cookie lifetimeType is Permanent': [
    { cookie: { lifetimeType: 'Permanent' } },
  ],
  'cookie must be nil if type is not Cookie': [{ type: 'Header', header: { name: 'a' }, cookie: {} }],
  'cookie must be specified for Cookie type': [{}, { type: 'Cookie' }],
  'header must be nil if type is not Header': [{ cookie: {}, header: { name: 'a' } }],
  'header must be specified for Header type': [{ type: 'Header' }],
  "One or both of 'service' or 'method' must be specified": [{}, { type: 'RegularExpression' }],
  'service must only contain valid characters (matching ^(?i)\\.?[a-z_][a-z_0-9]*(\\.[a-z_][a-z_0-9]*)*$)': [
    '',
    '1a',
    'a..b',
    'a-b',
    'a.',
  ].map((service) => ({ service })),
  'method must only contain valid characters (matching ^[A-Za-z_][A-Za-z_0-9]*$)': ['', '1a', 'a.b', 'a-b'].map(
    (method) => ({ type: 'Exact', method }),
  ),
  'Hostnames cannot contain an IP': [['10.0.0.1']],
  'Hostnames must be valid based on RFC-1123': [['a_b'], ['A.example.com'], ['-a']],
  'Wildcards on hostnames must be the first label, and the rest of hostname must be valid based on RFC-1123': [
    ['*'],
    ['a.*.com'],
    ['*a.com'],
    ['*.a_b'],
  ],
}
