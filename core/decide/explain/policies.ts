// Which policies were asked about a connection, and rule by rule why they did not decide. The matching is match.ts's own.

import type { ExplainedPolicy, ExplainedRule } from '../../model/explanation.ts'
import type { Policy, PolicyRule } from '../../model/policy.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import type { AuthorizationMatch, StringMatch, Workload } from '../../model/types.ts'
import type { Verdict } from '../authorize.ts'
import { failingClause, failingField, type MatchField, matchingRule, type PolicySubject } from '../match.ts'

/** All policies that hold for the workload, in the order in which they are asked. */
export function examine(
  snapshot: Snapshot,
  workload: Workload,
  subject: PolicySubject,
  verdict: Verdict,
): readonly ExplainedPolicy[] {
  const { missing, deny, allow, dryRun } = snapshot.authorizationsFor(workload)
  const lost = missing.map((policy): ExplainedPolicy => {
    const because = 'the workload is selected by it and it has not arrived: everything is denied'
    const outcome = verdict.policy === policy ? 'decided' : 'missing'
    return { policy, action: 'DENY', scope: 'workload', dryRun: false, outcome, because, rules: [] }
  })
  return [...lost, ...[...deny, ...allow, ...dryRun].map((policy) => examineOne(policy, subject, verdict))]
}

function examineOne(policy: Policy, subject: PolicySubject, verdict: Verdict): ExplainedPolicy {
  const { key, action, scope, dryRun } = policy
  const rules = policy.rules.map((rule) => examineRule(rule, subject))
  const matching = matchingRule(policy, subject)
  const base = { policy: key, action, scope, dryRun, rules }
  if (policy.standsInFor !== undefined) {
    const because = `it could not be read, so it denies everything (${policy.standsInFor})`
    return { ...base, outcome: verdict.policy === key ? 'decided' : 'matched', because }
  }
  if (matching === undefined) return { ...base, outcome: 'not-matched', because: notMatched(rules) }
  const decided = !dryRun && verdict.policy === `${key} rule ${matching}`
  if (decided) return { ...base, outcome: 'decided', because: `rule ${matching} matches` }
  const why = dryRun ? 'the policy is a dry run' : `${verdict.policy ?? 'another policy'} decided before`
  return { ...base, outcome: 'matched', because: `rule ${matching} matches, but ${why}` }
}

function notMatched(rules: readonly ExplainedRule[]): string {
  if (rules.length === 0) return 'it has no rule that can be decided at layer 4, so it never matches'
  return rules.length === 1 ? 'its rule does not match' : `none of its ${rules.length} rules matches`
}

function examineRule(rule: PolicyRule, subject: PolicySubject): ExplainedRule {
  const at = failingClause(rule, subject)
  const { index } = rule
  if (at < 0) {
    const because = rule.clauses.length === 0 ? 'it is about every connection' : 'every clause holds'
    return { rule: index, matches: true, because }
  }
  const clause = rule.clauses[at]
  if (clause === undefined || typeof clause === 'string') {
    return { rule: index, matches: false, because: 'a clause has no condition that can be decided at layer 4' }
  }
  const reasons = clause.flatMap((match) => {
    const field = failingField(match, subject)
    return field === undefined ? [] : [complaint(field, match.source, subject)]
  })
  return { rule: index, matches: false, because: listed([...new Set(reasons)], '; ') }
}

interface FieldWords {
  readonly what: string
  readonly value: (subject: PolicySubject) => string
  readonly any: (match: AuthorizationMatch) => readonly string[]
  readonly none: (match: AuthorizationMatch) => readonly string[]
}

const plaintext = 'unknown (plaintext)'

const words: Readonly<Record<MatchField, FieldWords>> = {
  destinationPorts: {
    what: 'the destination port',
    value: ({ destinationPort }) => String(destinationPort),
    any: ({ destinationPorts = [] }) => destinationPorts.map(String),
    none: ({ notDestinationPorts = [] }) => notDestinationPorts.map(String),
  },
  principals: {
    what: "the caller's principal",
    value: ({ principal }) => principal || plaintext,
    any: ({ principals = [] }) => principals.map(patternText),
    none: ({ notPrincipals = [] }) => notPrincipals.map(patternText),
  },
  namespaces: {
    what: "the caller's namespace",
    value: ({ namespace }) => namespace || plaintext,
    any: ({ namespaces = [] }) => namespaces.map(patternText),
    none: ({ notNamespaces = [] }) => notNamespaces.map(patternText),
  },
  serviceAccounts: {
    what: "the caller's service account",
    value: ({ serviceAccount }) => serviceAccount || plaintext,
    any: ({ serviceAccounts = [] }) => serviceAccounts,
    none: ({ notServiceAccounts = [] }) => notServiceAccounts,
  },
  sourceIps: {
    what: "the caller's address",
    value: ({ sourceAddress }) => sourceAddress,
    any: ({ sourceIps = [] }) => sourceIps,
    none: ({ notSourceIps = [] }) => notSourceIps,
  },
  destinationIps: {
    what: 'the destination address',
    value: ({ destinationAddress }) => destinationAddress,
    any: ({ destinationIps = [] }) => destinationIps,
    none: ({ notDestinationIps = [] }) => notDestinationIps,
  },
}

function complaint(field: MatchField, match: AuthorizationMatch, subject: PolicySubject): string {
  const { what, value, any, none } = words[field]
  const wanted = any(match)
  const unwanted = none(match)
  const is = `${what} ${value(subject)}`
  if (wanted.length === 0) return `${is} is one of those excluded (${listed(unwanted)})`
  if (unwanted.length === 0) return `${is} is not ${listed(wanted)}`
  return `${is} is not ${listed(wanted)} except ${listed(unwanted)}`
}

function patternText(match: StringMatch): string {
  if (match.kind === 'presence') return '*'
  if (match.kind === 'prefix') return `${match.value}*`
  return match.kind === 'suffix' ? `*${match.value}` : match.value
}

/** Up to five; lists of policies may be long. */
function listed(texts: readonly string[], separator = ', '): string {
  const shown = texts.slice(0, 5).join(separator)
  return texts.length > 5 ? `${shown}${separator}and ${texts.length - 5} more` : shown
}
