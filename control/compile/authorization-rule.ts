// One rule of an AuthorizationPolicy at layer 4. What needs layer 7 is never dropped to the lax side: an ALLOW rule that
// carries it goes as a whole, a DENY rule loses the condition and so denies more.
import {
  type AuthorizationPolicyOperation,
  type AuthorizationPolicyRule,
  type AuthorizationPolicySource,
  needsLayer7,
} from '../../core/model/fields/authorization-policy.ts'
import { conditionAttribute } from '../../core/model/fields/condition.ts'
import type { AuthorizationMatch, AuthorizationRule, StringMatch } from '../../core/model/types.ts'
import { trustDomainAlias } from './settings.ts'

export interface RuleContext {
  readonly namespace: string
  readonly trustDomain: string
}

export interface CompiledRule {
  readonly rule: AuthorizationRule
  /** Fields that layer 4 cannot decide, as paths from the rule. They are missing from `rule`. */
  readonly layer7: readonly string[]
}

export function compileRule(rule: AuthorizationPolicyRule, index: number, context: RuleContext): CompiledRule {
  const layer7: string[] = []
  const clauses: (readonly AuthorizationMatch[])[] = []
  if (rule.from !== undefined && rule.from.length > 0) {
    clauses.push(
      rule.from.map(({ source }, at) => {
        layer7.push(...layer7Fields('source', source, `from[${at}].source`))
        return sourceMatch(source, context)
      }),
    )
  }
  if (rule.to !== undefined && rule.to.length > 0) {
    clauses.push(
      rule.to.map(({ operation }, at) => {
        layer7.push(...layer7Fields('operation', operation, `to[${at}].operation`))
        return operationMatch(operation)
      }),
    )
  }
  for (const [at, condition] of (rule.when ?? []).entries()) {
    const match = whenMatch(condition, context)
    if (match === undefined) layer7.push(`when[${at}] (${condition.key})`)
    else clauses.push([match])
  }
  return { rule: { index, clauses }, layer7 }
}

function layer7Fields(part: 'source' | 'operation', value: object, path: string): readonly string[] {
  return Object.keys(value)
    .filter((field) => needsLayer7(part, field))
    .map((field) => `${path}.${field}`)
}

function sourceMatch(source: AuthorizationPolicySource, context: RuleContext): AuthorizationMatch {
  const principal = (value: string) => principalMatch(value, context)
  const account = (value: string) => (value.includes('/') ? value : `${context.namespace}/${value}`)
  return compact({
    principals: source.principals?.map(principal),
    notPrincipals: source.notPrincipals?.map(principal),
    namespaces: source.namespaces?.map(stringMatch),
    notNamespaces: source.notNamespaces?.map(stringMatch),
    serviceAccounts: source.serviceAccounts?.map(account),
    notServiceAccounts: source.notServiceAccounts?.map(account),
    sourceIps: source.ipBlocks,
    notSourceIps: source.notIpBlocks,
  })
}

function operationMatch(operation: AuthorizationPolicyOperation): AuthorizationMatch {
  return compact({
    destinationPorts: operation.ports?.map(Number),
    notDestinationPorts: operation.notPorts?.map(Number),
  })
}

type When = NonNullable<AuthorizationPolicyRule['when']>[number]

/** Undefined where the attribute is not one of layer 4. */
function whenMatch(condition: When, context: RuleContext): AuthorizationMatch | undefined {
  const { key, values, notValues } = condition
  if (conditionAttribute(key)?.layer !== 4) return undefined
  switch (key) {
    case 'source.ip':
      return sourceMatch(compact({ ipBlocks: values, notIpBlocks: notValues }), context)
    case 'source.namespace':
      return sourceMatch(compact({ namespaces: values, notNamespaces: notValues }), context)
    case 'source.principal':
      return sourceMatch(compact({ principals: values, notPrincipals: notValues }), context)
    case 'source.serviceAccount':
      return sourceMatch(compact({ serviceAccounts: values, notServiceAccounts: notValues }), context)
    case 'destination.ip':
      return compact({ destinationIps: values, notDestinationIps: notValues })
    case 'destination.port':
      return operationMatch(compact({ ports: values, notPorts: notValues }))
    default:
      return undefined
  }
}

/** Istio's string patterns: `*`, `prefix*`, `*suffix`, else exact. */
export function stringMatch(value: string): StringMatch {
  if (value === '*') return { kind: 'presence' }
  if (value.endsWith('*')) return { kind: 'prefix', value: value.slice(0, -1) }
  if (value.startsWith('*')) return { kind: 'suffix', value: value.slice(1) }
  return { kind: 'exact', value }
}

/** `cluster.local` stands for the mesh's own trust domain, as in Istio. */
function principalMatch(value: string, context: RuleContext): StringMatch {
  const alias = `${trustDomainAlias}/`
  if (value === `${trustDomainAlias}*`) return { kind: 'prefix', value: `${context.trustDomain}/` }
  return stringMatch(value.startsWith(alias) ? `${context.trustDomain}/${value.slice(alias.length)}` : value)
}

type Defined<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> }

function compact<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
}
