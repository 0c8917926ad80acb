// RequestAuthentication: the rules of istiod's admission, and that a rule without effect is visible.
import t from 'tap'
import { parse } from 'yaml'
import { ignoredFields } from '../../../../core/model/ignored.ts'
import { formatProblem } from '../../../../core/model/problem.ts'
import type { MeshObject } from '../../../../core/model/resource.ts'
import { validateObject } from '../../../../core/model/validate.ts'

const authentication = (spec: string) => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'RequestAuthentication',
  metadata: { name: 'r', namespace: 'shop' },
  spec: parse(spec),
})
const rule = (text: string) => authentication(`{jwtRules: [{issuer: a, ${text}}]}`)
const target = (text: string) => authentication(`{targetRefs: [${text}]}`)
const problemsOf = (object: object) => validateObject(object).map(formatProblem)
const key = '{"kty": "RSA", "n": "AQAB", "e": "AQAB"}'

const valid: Readonly<Record<string, object>> = {
  nothing: authentication('{}'),
  'an issuer alone': authentication('{jwtRules: [{issuer: https://issuer.example.com}]}'),
  'the address of the keys': rule('jwksUri: "https://issuer.example.com:8443/keys?a=b"'),
  'the older name of the address': rule('jwks_uri: "http://issuer.shop.svc/keys"'),
  'the keys themselves': rule(`jwks: '{"keys": [${key}]}'`),
  'a token in other places': rule('fromHeaders: [{name: x-jwt, prefix: "Bearer "}], fromParams: [t], fromCookies: [t]'),
  'claims in headers': rule('outputPayloadToHeader: x-claims, outputClaimToHeaders: [{claim: a.b, header: x-b}]'),
  'a selector': authentication('{selector: {matchLabels: {app: orders}}, jwtRules: [{issuer: a}]}'),
  'a Service as target': target('{kind: Service, name: orders}'),
  'the core group by name': target('{group: core, kind: Service, name: orders}'),
  'a Gateway as target': target('{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}'),
}

for (const [name, object] of Object.entries(valid)) {
  t.test(`${name} is accepted`, (t) => {
    t.strictSame(problemsOf(object), [])
    t.end()
  })
}

const invalid: readonly (readonly [name: string, object: object, problem: RegExp])[] = [
  ['a rule without issuer', authentication('{jwtRules: [{}]}'), /jwtRules\[0\]\.issuer: is required/],
  [
    'two key sets',
    rule('jwksUri: "https://a.example.com/", jwks: \'{"keys": []}\''),
    /jwks: cannot be combined with jwksUri/,
  ],
  ['an address without scheme', rule('jwksUri: issuer.example.com/keys'), /jwksUri: .* is not an address such as/],
  ['another scheme', rule('jwksUri: "file:///keys"'), /is neither http:\/\/ nor https:\/\//],
  [
    'a password in the address',
    rule('jwksUri: "https://a:b@example.com/"'),
    /^(?!.*a:b).*holds a user name or password/,
  ],
  ['keys that are no JSON', rule('jwks: keys'), /jwks: is not JSON/],
  ['a key alone', rule(`jwks: '${key}'`), /jwks: has no list "keys"/],
  ['a key without type', rule('jwks: \'{"keys": [{"n": "a"}]}\''), /jwks: has no "kty" in key 0/],
  ['a null as key', rule('jwks: \'{"keys": [null]}\''), /jwks: has no "kty" in key 0/],
  ['a null in place of keys', rule('jwks: "null"'), /jwks: has no list "keys"/],
  ['a header that is none', rule('fromHeaders: [{name: "x y"}]'), /"x y" is not a header name/],
  ['an empty audience', rule('audiences: [""]'), /audiences\[0\]: is empty/],
  ['audiences emptied by accident', rule('audiences: null'), /audiences: has no value/],
  ['a header with a dot', rule('outputClaimToHeaders: [{claim: a, header: x.b}]'), /outputClaimToHeaders\[0\]\.header/],
  ['a timeout of nothing', rule('timeout: 0s'), /timeout: "0s" is less than 1ms/],
  ['a token that is required', rule('presence: REQUIRED'), /presence: REQUIRED needs a waypoint.*requestPrincipals/],
  [
    'a selector and a target',
    authentication('{selector: {}, targetRefs: [{kind: Service, name: a}]}'),
    /targetRefs: cannot be combined with selector/,
  ],
  [
    'a Pod as target',
    target('{kind: Pod, name: a}'),
    /targetRefs\[0\]\.kind: "Pod" cannot be a target: name one of Service/,
  ],
  [
    'a Gateway without group',
    target('{kind: Gateway, name: a}'),
    /\.group: must be gateway\.networking\.k8s\.io for kind Gateway/,
  ],
  [
    'a Service with a group',
    target('{group: apps, kind: Service, name: a}'),
    /\.group: must be empty for kind Service/,
  ],
  ['a target elsewhere', target('{kind: Service, name: a, namespace: b}'), /\.namespace: must be empty/],
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

t.test('that no token is checked is said of the rules, and not where there are none', (t) => {
  const [said, ...more] = ignoredFields(rule('audiences: [b]') as MeshObject)
  t.match(said, { path: 'spec.jwtRules', text: /no token is checked/ })
  t.strictSame(more, [])
  t.strictSame(ignoredFields(authentication('{selector: {}}') as MeshObject), [])
  t.end()
})
