// An Authorization made ready for matching: string sets and CIDR tries, built once when a snapshot takes it, so that a
// connection costs look-ups only. core/decide/match.ts evaluates it.
import { CidrTrie } from '../net/cidr.ts'
import type { Authorization, AuthorizationMatch, StringMatch } from './types.ts'

export interface StringSet {
  readonly exact: ReadonlySet<string>
  readonly prefixes: readonly string[]
  readonly suffixes: readonly string[]
  readonly presence: boolean
}

/** One field of a match: `any` must hold where present, `none` must not. */
export interface Field<T> {
  readonly any?: T
  readonly none?: T
}

/** A match with at least one condition. */
export interface PolicyMatch {
  /** What it was built from, for messages. */
  readonly source: AuthorizationMatch
  readonly principals: Field<StringSet>
  readonly namespaces: Field<StringSet>
  readonly serviceAccounts: Field<ReadonlySet<string>>
  readonly sourceIps: Field<CidrTrie<true>>
  readonly destinationIps: Field<CidrTrie<true>>
  readonly destinationPorts: Field<ReadonlySet<number>>
}

/** `always` and `never` are clauses that no connection can change. */
export type PolicyClause = 'always' | 'never' | readonly PolicyMatch[]

export interface PolicyRule {
  readonly index: number
  readonly clauses: readonly PolicyClause[]
}

export interface Policy {
  /** `namespace/name`. */
  readonly key: string
  readonly action: Authorization['action']
  readonly scope: Authorization['scope']
  readonly namespace: string
  readonly dryRun: boolean
  readonly rules: readonly PolicyRule[]
  /** Why this deny-all stands in for a resource that could not be read. */
  readonly standsInFor?: string
}

/** Builds the matcher of a checked Authorization. `key` is the one under which it was delivered. */
export function compilePolicy(key: string, authorization: Authorization, standsInFor?: string): Policy {
  const { namespace, action, scope, dryRun } = authorization
  const rules = authorization.rules.map((rule) => ({
    index: rule.index,
    clauses: rule.clauses.map((clause) => compileClause(clause, action)),
  }))
  const policy = { key, action, scope, namespace, dryRun, rules }
  return standsInFor === undefined ? policy : { ...policy, standsInFor }
}

/**
 * A clause without matches is true. A match without conditions is skipped in an ALLOW, as in ztunnel; in a DENY it matches
 * everything: it is what remains of a condition that could not be carried over, and a deny must not shrink.
 */
function compileClause(clause: readonly AuthorizationMatch[], action: Authorization['action']): PolicyClause {
  if (clause.length === 0) return 'always'
  const filled = clause.filter((match) => Object.values(match).some((values) => values.length > 0))
  if (action === 'DENY' && filled.length < clause.length) return 'always'
  return filled.length === 0 ? 'never' : filled.map(compileMatch)
}

function compileMatch(match: AuthorizationMatch): PolicyMatch {
  return {
    source: match,
    principals: field(match.principals, match.notPrincipals, stringSet),
    namespaces: field(match.namespaces, match.notNamespaces, stringSet),
    serviceAccounts: field(match.serviceAccounts, match.notServiceAccounts, (values) => new Set(values)),
    sourceIps: field(match.sourceIps, match.notSourceIps, cidrs),
    destinationIps: field(match.destinationIps, match.notDestinationIps, cidrs),
    destinationPorts: field(match.destinationPorts, match.notDestinationPorts, (values) => new Set(values)),
  }
}

/** An empty list is the same as no list. */
function field<V, T>(
  any: readonly V[] | undefined,
  none: readonly V[] | undefined,
  build: (values: readonly V[]) => T,
): Field<T> {
  return {
    ...(any !== undefined && any.length > 0 ? { any: build(any) } : {}),
    ...(none !== undefined && none.length > 0 ? { none: build(none) } : {}),
  }
}

function stringSet(matches: readonly StringMatch[]): StringSet {
  const exact = new Set<string>()
  const prefixes: string[] = []
  const suffixes: string[] = []
  let presence = false
  for (const match of matches) {
    if (match.kind === 'exact') exact.add(match.value)
    else if (match.kind === 'prefix') prefixes.push(match.value)
    else if (match.kind === 'suffix') suffixes.push(match.value)
    else presence = true
  }
  return { exact, prefixes, suffixes, presence }
}

function cidrs(blocks: readonly string[]): CidrTrie<true> {
  const trie = new CidrTrie<true>()
  for (const block of blocks) trie.insert(block, true)
  return trie
}
