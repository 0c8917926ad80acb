// Whether one compiled policy matches one connection. Pure; authorize.ts puts the policies in order.
// Semantics: Istio's AuthorizationPolicy at layer 4, as ztunnel's rbac.rs evaluates it.
import type { Field, Policy, PolicyClause, PolicyMatch, StringSet } from '../model/policy.ts'

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
    if (rule.clauses.every((clause) => clauseMatches(clause, subject))) return rule.index
  }
  return undefined
}

function clauseMatches(clause: PolicyClause, subject: PolicySubject): boolean {
  if (typeof clause === 'string') return clause === 'always'
  return clause.some((match) => matches(match, subject))
}

function matches(match: PolicyMatch, subject: PolicySubject): boolean {
  return (
    holds(match.destinationPorts, (ports) => ports.has(subject.destinationPort)) &&
    holds(match.principals, (strings) => contains(strings, subject.principal)) &&
    holds(match.namespaces, (strings) => contains(strings, subject.namespace)) &&
    holds(match.serviceAccounts, (accounts) => accounts.has(subject.serviceAccount)) &&
    holds(match.sourceIps, (blocks) => blocks.matches(subject.sourceAddress)) &&
    holds(match.destinationIps, (blocks) => blocks.matches(subject.destinationAddress))
  )
}

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
