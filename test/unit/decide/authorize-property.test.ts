import fc from 'fast-check'
import t from 'tap'
import { authorize, type InboundConnection } from '../../../core/decide/authorize.ts'
import type { Authorization, AuthorizationMatch, StringMatch } from '../../../core/model/types.ts'
import { authorization, snapshotOf, workload } from '../../helpers/model.ts'

// A slow evaluator written from the text of the specification: no sets, no tries, nothing compiled.

function stringHolds(match: StringMatch, text: string): boolean {
  if (match.kind === 'presence') return text !== ''
  if (text === '') return false
  if (match.kind === 'exact') return text === match.value
  return match.kind === 'prefix' ? text.startsWith(match.value) : text.endsWith(match.value)
}

function inBlock(block: string, address: string): boolean {
  const [base = '', prefix = '32'] = block.split('/')
  const bits = (text: string) =>
    text
      .split('.')
      .map((part) => Number(part).toString(2).padStart(8, '0'))
      .join('')
  return bits(base).slice(0, Number(prefix)) === bits(address).slice(0, Number(prefix))
}

function matchHolds(match: AuthorizationMatch, connection: InboundConnection): boolean {
  const { identity } = connection
  const principal = identity ? `${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}` : ''
  const account = identity ? `${identity.namespace}/${identity.serviceAccount}` : ''
  const field = <T>(any: readonly T[] = [], not: readonly T[] = [], holds: (value: T) => boolean) =>
    (any.length === 0 || any.some(holds)) && !not.some(holds)
  return (
    field(match.principals, match.notPrincipals, (each) => stringHolds(each, principal)) &&
    field(match.namespaces, match.notNamespaces, (each) => stringHolds(each, identity?.namespace ?? '')) &&
    field(match.serviceAccounts, match.notServiceAccounts, (each) => each === account) &&
    field(match.sourceIps, match.notSourceIps, (each) => inBlock(each, connection.sourceAddress)) &&
    field(match.destinationIps, match.notDestinationIps, (each) => inBlock(each, connection.destinationAddress)) &&
    field(match.destinationPorts, match.notDestinationPorts, (each) => each === connection.destinationPort)
  )
}

function isEmpty(match: AuthorizationMatch): boolean {
  return Object.values(match).every((values) => values.length === 0)
}

function policyHolds({ action, rules }: Authorization, connection: InboundConnection): boolean {
  return rules.some(({ clauses }) =>
    clauses.every(
      (clause) =>
        clause.length === 0 ||
        clause.some((match) => (isEmpty(match) ? action === 'DENY' : matchHolds(match, connection))),
    ),
  )
}

function naive(policies: readonly Authorization[], connection: InboundConnection): boolean {
  const { mode, ports } = connection.workload.peerAuthentication
  if (connection.identity === undefined && (ports[connection.destinationPort] ?? mode) === 'STRICT') return false
  const enforced = policies.filter(
    ({ dryRun, scope, namespace }) => !dryRun && (scope === 'mesh' || namespace === connection.workload.namespace),
  )
  if (enforced.some((policy) => policy.action === 'DENY' && policyHolds(policy, connection))) return false
  const allow = enforced.filter(({ action }) => action === 'ALLOW')
  return allow.length === 0 || allow.some((policy) => policyHolds(policy, connection))
}

const word = fc.constantFrom(
  'shop',
  'shops',
  'sh',
  'op',
  'frontend',
  'end',
  'cluster.local/ns/shop/sa/frontend',
  'cluster',
)
const stringMatch: fc.Arbitrary<StringMatch> = fc.oneof(
  fc.record({ kind: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const), value: word }),
  fc.constant({ kind: 'presence' as const }),
)
const few = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 2 })
const account = fc.constantFrom('shop/frontend', 'shop/admin', 'other/frontend')
const block = fc.constantFrom('10.0.0.0/8', '10.0.0.0/24', '10.0.0.9/32', '10.0.0.8/31', '0.0.0.0/0', '192.0.2.0/24')
const port = fc.constantFrom(80, 8080, 9090)
const match: fc.Arbitrary<AuthorizationMatch> = fc.record(
  {
    principals: few(stringMatch),
    notPrincipals: few(stringMatch),
    namespaces: few(stringMatch),
    notNamespaces: few(stringMatch),
    serviceAccounts: few(account),
    notServiceAccounts: few(account),
    sourceIps: few(block),
    notSourceIps: few(block),
    destinationIps: few(block),
    notDestinationIps: few(block),
    destinationPorts: few(port),
    notDestinationPorts: few(port),
  },
  { requiredKeys: [] },
)
const clauses = few(few(match))
const policy = fc.record({
  scope: fc.constantFrom('mesh' as const, 'namespace' as const),
  namespace: fc.constantFrom('shop', 'other'),
  action: fc.constantFrom('ALLOW' as const, 'DENY' as const),
  rules: few(clauses).map((rules) => rules.map((each, index) => ({ index, clauses: each }))),
  dryRun: fc.boolean(),
})
const mode = fc.constantFrom('STRICT' as const, 'PERMISSIVE' as const)
const peer = fc.record({
  trustDomain: fc.constantFrom('cluster.local', 'other.org'),
  namespace: fc.constantFrom('shop', 'other'),
  serviceAccount: fc.constantFrom('frontend', 'admin'),
})
const address = fc.constantFrom('10.0.0.9', '10.0.0.8', '10.3.0.1', '192.0.2.7')
const connection = fc.record({
  identity: fc.option(peer, { nil: undefined }),
  sourceAddress: address,
  destinationAddress: address,
  destinationPort: port,
  mode,
  exception: fc.option(mode, { nil: undefined }),
})

t.test('authorize agrees with an evaluator written from the specification', async (t) => {
  let denied = 0
  fc.assert(
    fc.property(few(policy), connection, (fields, { mode, exception, ...rest }) => {
      const ports = exception === undefined ? {} : { 8080: exception }
      const target = workload({ peerAuthentication: { mode, ports } })
      const policies = fields.map((each, index) => authorization({ ...each, name: `p${index}` }))
      const full = { ...rest, workload: target }
      const verdict = authorize(snapshotOf(target, ...policies), full)
      if (!verdict.allowed) denied++
      return verdict.allowed === naive(policies, full)
    }),
    { numRuns: 3000 },
  )
  t.ok(denied > 300 && denied < 2700, `both verdicts were really seen (${denied} of 3000 denied)`)
})
