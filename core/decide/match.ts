// Whether one compiled policy matches one connection. Pure; authorize.ts puts the policies in order, policies.ts tells why not.
// Semantics: Istio's AuthorizationPolicy at layer 4, as ztunnel's rbac.rs evaluates it.
import type { Field, Policy, PolicyClause, PolicyMatch, PolicyRule, StringSet } from '../model/policy.ts'

/** What policies look at. The texts are empty for a peer without identity. Addresses canonical. */
export interface PolicySubject {
  readonly principal: string
  readonly namespace: string
  /** `namespace/serviceAccount`. */
  readonly serviceAccount: string
  readonly sourceAddress: string
  readonly destinationAddress: string
  readonly destinationPort: number
}

/** Index (in the resource) of the first rule that matches, or undefined. A policy without rules never matches. */
export function matchingRule(policy: Policy, subject: PolicySubject): number | undefined {
  for (const rule of policy.rules) {
    if (failingClause(rule, subject) < 0) return rule.index
  }
  return undefined
}

function clauseMatches(clause: PolicyClause, subject: PolicySubject): boolean {
  if (typeof clause === 'string') return clause === 'always'
  return clause.some((match) => tests.every(({ holds }) => holds(match, subject)))
}

/** Index of the first clause of a rule that does not match, or -1. */
export function failingClause(rule: PolicyRule, subject: PolicySubject): number {
  return rule.clauses.findIndex((clause) => !clauseMatches(clause, subject))
}

export type MatchField = Exclude<keyof PolicyMatch, 'source'>

/** The first field of a match that does not hold; undefined where all do. */
export function failingField(match: PolicyMatch, subject: PolicySubject): MatchField | undefined {
  return tests.find(({ holds }) => !holds(match, subject))?.field
}

interface FieldTest {
  readonly field: MatchField
  readonly holds: (match: PolicyMatch, subject: PolicySubject) => boolean
}

/** The fields of a match, the cheapest first. */
const tests: readonly FieldTest[] = [
  {
    field: 'destinationPorts',
    holds: (match, subject) => holds(match.destinationPorts, (ports) => ports.has(subject.destinationPort)),
  },
  {
    field: 'principals',
    holds: (match, subject) => holds(match.principals, (strings) => contains(strings, subject.principal)),
  },
  {
    field: 'namespaces',
    holds: (match, subject) => holds(match.namespaces, (strings) => contains(strings, subject.namespace)),
  },
  {
    field: 'serviceAccounts',
    holds: (match, subject) => holds(match.serviceAccounts, (accounts) => accounts.has(subject.serviceAccount)),
  },
  {
    field: 'sourceIps',
    holds: (match, subject) => holds(match.sourceIps, (blocks) => blocks.matches(subject.sourceAddress)),
  },
  {
    field: 'destinationIps',
    holds: (match, subject) => holds(match.destinationIps, (blocks) => blocks.matches(subject.destinationAddress)),
  },
]

function holds<T>(field: Field<T>, test: (values: T) => boolean): boolean {
  return (field.any === undefined || test(field.any)) && (field.none === undefined || !test(field.none))
}

/** A peer without identity has the empty text, which no matcher contains: so `not…` fields hold for it. */
function contains(strings: StringSet, text: string): boolean {
  if (text === '') return false
  return (
    strings.presence ||
    strings.exact.has(text) ||
    strings.prefixes.some((prefix) => text.startsWith(prefix)) ||
    strings.suffixes.some((suffix) => text.endsWith(suffix))
  )
}
