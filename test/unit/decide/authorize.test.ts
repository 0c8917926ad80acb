import t from 'tap'
import { authorize, type InboundConnection } from '../../../core/decide/authorize.ts'
import type {
  Authorization,
  AuthorizationMatch,
  PeerAuthenticationMode,
  StringMatch,
} from '../../../core/model/types.ts'
import { authorization, rule, snapshotOf, workload } from '../../helpers/model.ts'

const frontend = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'frontend' }
const exact = (value: string): StringMatch => ({ kind: 'exact', value })
const prefix = (value: string): StringMatch => ({ kind: 'prefix', value })
const suffix = (value: string): StringMatch => ({ kind: 'suffix', value })
const presence: StringMatch = { kind: 'presence' }

const from = { sourceAddress: '10.0.0.9', destinationAddress: '10.0.0.1', destinationPort: 8080 }

function decide(
  policies: readonly Partial<Authorization>[],
  connection: Partial<InboundConnection> = {},
  peerAuthentication: PeerAuthenticationMode = { mode: 'PERMISSIVE', ports: {} },
) {
  const target = workload({ peerAuthentication })
  const values = policies.map((fields, index) => authorization({ name: `p${index}`, ...fields }))
  return authorize(snapshotOf(target, ...values), { ...from, identity: frontend, workload: target, ...connection })
}

const plaintext = { identity: undefined }

const matchTable: readonly [string, AuthorizationMatch, Partial<InboundConnection>, boolean][] = [
  ['an exact principal', { principals: [exact('cluster.local/ns/shop/sa/frontend')] }, {}, true],
  ['a principal with the scheme', { principals: [exact('spiffe://cluster.local/ns/shop/sa/frontend')] }, {}, false],
  ['another principal', { principals: [exact('cluster.local/ns/shop/sa/other')] }, {}, false],
  ['any of several principals', { principals: [exact('x'), exact('cluster.local/ns/shop/sa/frontend')] }, {}, true],
  ['a principal prefix', { principals: [prefix('cluster.local/ns/shop/')] }, {}, true],
  ['another principal prefix', { principals: [prefix('cluster.local/ns/shops/')] }, {}, false],
  ['a principal suffix', { principals: [suffix('/sa/frontend')] }, {}, true],
  ['another principal suffix', { principals: [suffix('/sa/backend')] }, {}, false],
  ['any principal', { principals: [presence] }, {}, true],
  ['any principal, of plaintext', { principals: [presence] }, plaintext, false],
  ['a principal prefix, of plaintext', { principals: [prefix('c')] }, plaintext, false],
  ['not a principal, of that one', { notPrincipals: [exact('cluster.local/ns/shop/sa/frontend')] }, {}, false],
  ['not a principal, of another', { notPrincipals: [exact('cluster.local/ns/shop/sa/other')] }, {}, true],
  ['not a principal, of plaintext', { notPrincipals: [exact('cluster.local/ns/shop/sa/other')] }, plaintext, true],
  ['no principal at all, of plaintext', { notPrincipals: [presence] }, plaintext, true],
  ['no principal at all, of a peer with one', { notPrincipals: [presence] }, {}, false],
  ['a namespace', { namespaces: [exact('shop')] }, {}, true],
  ['another namespace', { namespaces: [exact('shops')] }, {}, false],
  ['a namespace prefix', { namespaces: [prefix('sh')] }, {}, true],
  ['a namespace suffix', { namespaces: [suffix('op')] }, {}, true],
  ['a namespace, of plaintext', { namespaces: [presence] }, plaintext, false],
  ['not a namespace, of that one', { notNamespaces: [exact('shop')] }, {}, false],
  ['not a namespace, of plaintext', { notNamespaces: [exact('shop')] }, plaintext, true],
  ['a service account', { serviceAccounts: ['shop/frontend'] }, {}, true],
  ['a service account of another namespace', { serviceAccounts: ['other/frontend'] }, {}, false],
  ['a service account, of plaintext', { serviceAccounts: ['shop/frontend'] }, plaintext, false],
  ['not a service account, of that one', { notServiceAccounts: ['shop/frontend'] }, {}, false],
  ['not a service account, of plaintext', { notServiceAccounts: ['shop/frontend'] }, plaintext, true],
  ['a source block', { sourceIps: ['10.0.0.0/24'] }, {}, true],
  ['another source block', { sourceIps: ['10.0.1.0/24'] }, {}, false],
  ['a bare source address', { sourceIps: ['10.0.0.9'] }, {}, true],
  ['a source block of IPv6', { sourceIps: ['2001:db8::/32'] }, { sourceAddress: '2001:db8::9' }, true],
  ['a source block of the other family', { sourceIps: ['::/0'] }, {}, false],
  ['not a source block', { notSourceIps: ['10.0.0.0/24'] }, {}, false],
  ['not a source block, from elsewhere', { notSourceIps: ['10.0.1.0/24'] }, {}, true],
  ['a destination block', { destinationIps: ['10.0.0.1/32'] }, {}, true],
  ['another destination block', { destinationIps: ['10.0.0.2/32'] }, {}, false],
  ['not a destination block', { notDestinationIps: ['10.0.0.1/32'] }, {}, false],
  ['a port', { destinationPorts: [80, 8080] }, {}, true],
  ['another port', { destinationPorts: [80] }, {}, false],
  ['not a port', { notDestinationPorts: [8080] }, {}, false],
  ['not another port', { notDestinationPorts: [80] }, {}, true],
  ['a principal and a port', { principals: [presence], destinationPorts: [8080] }, {}, true],
  ['a principal and another port', { principals: [presence], destinationPorts: [80] }, {}, false],
  ['a block with a hole outside', { sourceIps: ['10.0.0.0/8'], notSourceIps: ['10.0.0.8/32'] }, {}, true],
  ['a block with a hole inside', { sourceIps: ['10.0.0.0/8'], notSourceIps: ['10.0.0.9/32'] }, {}, false],
  ['a field with an empty list beside another', { principals: [], destinationPorts: [8080] }, {}, true],
]
for (const [what, match, connection, matches] of matchTable) {
  t.test(`${what} ${matches ? 'matches' : 'does not match'}`, async (t) => {
    t.equal(decide([{ action: 'DENY', rules: rule(match) }], connection).allowed, !matches, 'as DENY')
    t.equal(decide([{ action: 'ALLOW', rules: rule(match) }], connection).allowed, matches, 'as ALLOW')
  })
}

const all = { notDestinationPorts: [1] }
const none = { destinationPorts: [1] }
const ruleTable: readonly [string, Authorization['rules'], { ALLOW: boolean; DENY: boolean }][] = [
  ['no rules never match', [], { ALLOW: false, DENY: true }],
  ['a rule without clauses matches all', [{ index: 0, clauses: [] }], { ALLOW: true, DENY: false }],
  ['a clause without matches is true', [{ index: 0, clauses: [[], [all]] }], { ALLOW: true, DENY: false }],
  ['every clause must hold', [{ index: 0, clauses: [[all], [none]] }], { ALLOW: false, DENY: true }],
  ['any match of a clause is enough', [{ index: 0, clauses: [[none, all]] }], { ALLOW: true, DENY: false }],
  ['any rule is enough', [...rule(none), { index: 1, clauses: [[all]] }], { ALLOW: true, DENY: false }],
  ['an empty match fails closed either way', rule({}), { ALLOW: false, DENY: false }],
  ['an empty match beside a false one fails closed', rule({}, none), { ALLOW: false, DENY: false }],
  ['an empty match beside a true one changes nothing', rule({}, all), { ALLOW: true, DENY: false }],
  ['a match of empty lists is an empty match', rule({ principals: [] }), { ALLOW: false, DENY: false }],
]
for (const [what, rules, allowed] of ruleTable) {
  t.test(what, async (t) => {
    t.equal(decide([{ action: 'ALLOW', rules }]).allowed, allowed.ALLOW, 'as ALLOW')
    t.equal(decide([{ action: 'DENY', rules }]).allowed, allowed.DENY, 'as DENY')
  })
}

t.test('without policies everything is allowed', async (t) => {
  t.same(decide([]), { allowed: true })
  t.same(decide([], plaintext), { allowed: true })
})

t.test('a DENY that matches beats an ALLOW that matches', async (t) => {
  const policies = [
    { action: 'ALLOW', rules: rule(all) },
    { action: 'DENY', rules: rule(all) },
  ] as const
  t.same(decide(policies), { allowed: false, policy: 'shop/p1 rule 0', reason: 'a DENY rule matches' })
})

t.test('the verdict names the policy and the rule of the resource', async (t) => {
  const rules = [
    { index: 3, clauses: [[none]] },
    { index: 5, clauses: [[all]] },
  ]
  t.same(decide([{ rules: [] }, { rules }]), { allowed: true, policy: 'shop/p1 rule 5' })
})

t.test('a verdict of no match names the policies that could have allowed', async (t) => {
  t.match(decide([{}, { name: 'q' }]), { allowed: false, policy: 'shop/p0, shop/q', reason: /no rule of an ALLOW/ })
  const five = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name }))
  t.match(decide(five), { policy: 'shop/a, shop/b, shop/c and 2 more' })
})

const strict: PeerAuthenticationMode = { mode: 'STRICT', ports: { 9090: 'PERMISSIVE' }, source: 'shop/default' }
const mixed: PeerAuthenticationMode = { mode: 'PERMISSIVE', ports: { 8080: 'STRICT' } }
const modeTable: readonly [string, PeerAuthenticationMode, Partial<InboundConnection>, boolean][] = [
  ['STRICT refuses plaintext', strict, plaintext, false],
  ['STRICT takes a peer with identity', strict, {}, true],
  ['a PERMISSIVE port of a STRICT workload takes plaintext', strict, { ...plaintext, destinationPort: 9090 }, true],
  ['a STRICT port of a PERMISSIVE workload refuses plaintext', mixed, plaintext, false],
  ['another port of a PERMISSIVE workload takes plaintext', mixed, { ...plaintext, destinationPort: 80 }, true],
]
for (const [what, mode, connection, allowed] of modeTable) {
  t.test(what, async (t) => t.equal(decide([], connection, mode).allowed, allowed))
}

t.test('STRICT comes before an ALLOW and names its resource', async (t) => {
  const verdict = decide([{ rules: rule(all) }], plaintext, strict)
  t.match(verdict, { allowed: false, policy: 'PeerAuthentication shop/default', reason: /plaintext/ })
})

t.test('a dry run does not decide but says what it would have done', async (t) => {
  const denying = { action: 'DENY', rules: rule(all), dryRun: true } as const
  t.match(decide([denying]), { allowed: true, dryRun: 'would be denied by shop/p0 rule 0: a DENY rule matches' })
  t.match(decide([{ rules: [], dryRun: true }]), { allowed: true, dryRun: /would be denied by shop\/p0/ })
  t.match(decide([{ rules: [] }, { rules: rule(all), dryRun: true }]), {
    allowed: false,
    dryRun: 'would be allowed by shop/p1 rule 0',
  })
  t.equal(decide([{ rules: rule(all), dryRun: true }]).dryRun, undefined, 'the same verdict is not worth a word')
})
