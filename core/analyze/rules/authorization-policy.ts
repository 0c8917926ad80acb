// AuthorizationPolicy: does it hold for anybody, can its conditions ever be true, is there somebody who can decide them.

import { needsLayer7 } from '../../model/fields/authorization-policy.ts'
import { conditionAttribute } from '../../model/fields/condition.ts'
import type { Path } from '../../model/fields/field.ts'
import type { MeshObject } from '../../model/resource.ts'
import { nearestOf } from '../../model/suggest.ts'
import type { Rule, RuleContext } from '../rule.ts'
import { type Fields, fields, items, labelsOf, list, namespaceOf, specOf, text, texts } from '../values.ts'
import { checkTargets, hasWaypoint } from './policy-targets.ts'
import { checkSelector } from './references.ts'

const security = 'security.istio.io'

const place: Rule = (context) => {
  const { object, inventory } = context
  const selector = labelsOf(fields(specOf(object)['selector'])['matchLabels'])
  const namespace = namespaceOf(object)
  const scope = inventory.isRoot(namespace) ? undefined : namespace
  checkSelector(context, scope, selector, ['spec', 'selector', 'matchLabels'])
  checkTargets(context)
}

interface PolicyRule {
  readonly value: Fields
  readonly at: Path
}

function rulesOf(object: MeshObject): readonly PolicyRule[] {
  return items(specOf(object)['rules'], ['spec', 'rules'])
}

const sources: Rule = (context) => {
  for (const rule of rulesOf(context.object)) {
    for (const { value, at } of items(rule.value['from'], [...rule.at, 'from'])) {
      const source = fields(value['source'])
      const sourceAt = [...at, 'source']
      for (const field of ['principals', 'notPrincipals']) checkPrincipals(context, source[field], [...sourceAt, field])
      for (const field of ['namespaces', 'notNamespaces']) checkNamespaces(context, source[field], [...sourceAt, field])
    }
    for (const { value, at } of items(rule.value['when'], [...rule.at, 'when'])) {
      for (const field of ['values', 'notValues']) {
        if (value['key'] === 'source.principal') checkPrincipals(context, value[field], [...at, field])
        if (value['key'] === 'source.namespace') checkNamespaces(context, value[field], [...at, field])
      }
    }
  }
}

function checkPrincipals(context: RuleContext, principals: unknown, at: Path): void {
  for (const [index, principal] of texts(principals).entries()) checkPrincipal(context, principal, [...at, index])
}

function checkPrincipal({ inventory, report }: RuleContext, principal: string, at: Path): void {
  if (principal.includes('*')) return
  const { trustDomain } = inventory.settings
  const match = /^([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(principal)
  if (match === null) {
    const remedy = `write ${trustDomain}/ns/NAMESPACE/sa/SERVICE-ACCOUNT`
    report('PrincipalNeverMatches', at, `"${principal}" never matches: it is not the identity of a workload`, remedy)
    return
  }
  const [, domain = '', namespace = '', account = ''] = match
  if (domain !== trustDomain && domain !== 'cluster.local') {
    const remedy = `write ${trustDomain}/ns/${namespace}/sa/${account}`
    report(
      'PrincipalNeverMatches',
      at,
      `"${domain}" is not the trust domain of this mesh, which is ${trustDomain}`,
      remedy,
    )
    return
  }
  if (!inventory.knowsWorkloads(namespace)) return
  const accounts = new Set([
    ...inventory.workloads(namespace).map(({ serviceAccount }) => serviceAccount),
    ...inventory.objects('ServiceAccount', '', namespace).map(({ metadata }) => metadata.name),
  ])
  if (accounts.has(account)) return
  const near = nearestOf(account, accounts)
  const message = `no workload in namespace ${namespace} runs as service account ${account}`
  const remedy =
    near === undefined
      ? 'correct the namespace or the service account'
      : `did you mean ${domain}/ns/${namespace}/sa/${near}?`
  report('PrincipalNotFound', at, message, remedy)
}

function checkNamespaces({ inventory, report }: RuleContext, namespaces: unknown, at: Path): void {
  const known = inventory.namespaces()
  if (known.length === 0 && !inventory.settings.complete) return
  for (const [index, name] of texts(namespaces).entries()) {
    if (name.includes('*') || known.includes(name)) continue
    const near = nearestOf(name, known)
    // files seldom hold all namespaces of a mesh: only a slip of the pen is told
    if (near === undefined && !inventory.settings.complete) continue
    const remedy = near === undefined ? 'create the namespace, or correct the name' : `did you mean "${near}"?`
    report('NamespaceNotFound', [...at, index], `there is no namespace "${name}"`, remedy)
  }
}

const methodPattern = /^[A-Z*][A-Z_*-]*$/

/** Message and remedy of a path that no request has. */
function pathFault(path: string): readonly [string, string] | undefined {
  if (!/^[/*{]/.test(path)) return [`"${path}" matches no request: a path begins with /`, `write "/${path}"`]
  // {*} and {**} are templates; else * is a pattern at one end only
  const literal = path.replaceAll(/\{\*{1,2}\}/g, '').replace(/^\*|\*$/, '')
  if (!literal.includes('*')) return undefined
  return [
    `"${path}" matches no request: "*" is a pattern at one end of a path only`,
    'write {*} for one segment of the path, {**} for any number of them',
  ]
}

const operations: Rule = ({ object, report }) => {
  for (const rule of rulesOf(object)) {
    for (const { value, at } of items(rule.value['to'], [...rule.at, 'to'])) {
      const operation = fields(value['operation'])
      for (const field of ['paths', 'notPaths']) {
        for (const [index, path] of texts(operation[field]).entries()) {
          const fault = pathFault(path)
          if (fault !== undefined) report('PathNeverMatches', [...at, 'operation', field, index], ...fault)
        }
      }
      for (const field of ['methods', 'notMethods']) {
        for (const [index, method] of texts(operation[field]).entries()) {
          if (methodPattern.test(method)) continue
          const message = `"${method}" matches no request: methods are upper-case`
          report('PathNeverMatches', [...at, 'operation', field, index], message, `write "${method.toUpperCase()}"`)
        }
      }
    }
  }
}

const layer7: Rule = (context) => {
  const { object, report } = context
  if (text(specOf(object)['action']) === 'AUDIT') return
  const found = rulesOf(object).flatMap(layer7Fields)
  const first = found[0]
  if (first === undefined || hasWaypoint(context)) return
  const deny = text(specOf(object)['action']) === 'DENY'
  const effect = deny ? 'the rule denies whatever they say' : 'the rule allows nothing'
  const names = [...new Set(found.map(({ field }) => field))].join(', ')
  report(
    'NeedsWaypoint',
    first.at,
    `${names} can only be decided by a waypoint, and none stands in front of these workloads: ${effect}`,
    'put a waypoint in front (label istio.io/use-waypoint), or write the rule with principals, namespaces, ipBlocks and ports',
  )
}

function layer7Fields(rule: PolicyRule): readonly { readonly field: string; readonly at: Path }[] {
  const parts = [
    { list: 'from', part: 'source' },
    { list: 'to', part: 'operation' },
  ] as const
  const inParts = parts.flatMap(({ list, part }) =>
    items(rule.value[list], [...rule.at, list]).flatMap(({ value, at }) =>
      Object.keys(fields(value[part]))
        .filter((field) => needsLayer7(part, field))
        .map((field) => ({ field, at: [...at, part, field] })),
    ),
  )
  const inConditions = items(rule.value['when'], [...rule.at, 'when']).flatMap(({ value, at }) => {
    const key = text(value['key']) ?? ''
    return conditionAttribute(key)?.layer === 7 ? [{ field: key, at: [...at, 'key'] }] : []
  })
  return [...inParts, ...inConditions]
}

const effect: Rule = ({ object, inventory, report }) => {
  const spec = specOf(object)
  const action = text(spec['action']) ?? 'ALLOW'
  if (action !== 'ALLOW' || list(spec['rules']).length === 0) return
  const denying = inventory
    .objects('AuthorizationPolicy', security, namespaceOf(object))
    .find((other) => isDenyAll(other) && covers(selectorOf(other), selectorOf(object)))
  if (denying === undefined) return
  report(
    'PolicyConflict',
    ['metadata', 'name'],
    `AuthorizationPolicy ${namespaceOf(denying)}/${denying.metadata.name} denies everything for the same workloads, and DENY goes first`,
    'to refuse what no ALLOW policy allows, write that policy without action and rules (spec: {})',
  )
}

function isDenyAll(object: MeshObject): boolean {
  const spec = specOf(object)
  return spec['action'] === 'DENY' && list(spec['rules']).some((rule) => Object.keys(fields(rule)).length === 0)
}

function selectorOf(object: MeshObject): Readonly<Record<string, string>> {
  return labelsOf(fields(specOf(object)['selector'])['matchLabels'])
}

/** Whether the first selector holds for whatever the second does. */
function covers(wide: Readonly<Record<string, string>>, narrow: Readonly<Record<string, string>>): boolean {
  return Object.entries(wide).every(([name, value]) => narrow[name] === value)
}

export const authorizationPolicyRules: readonly Rule[] = [place, sources, operations, layer7, effect]
