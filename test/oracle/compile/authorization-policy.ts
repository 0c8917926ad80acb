// AuthorizationPolicy: where it holds and what layer 4 can decide of it. Whatever layer 4 cannot decide makes the policy
// stricter, never laxer, and is told in the conditions of the object.

import { type CompiledRule, compileRule } from '../../../control/compile/authorization-rule.ts'
import { type CompileSettings, names } from '../../../control/compile/settings.ts'
import type { AuthorizationPolicySpec } from '../../../core/model/fields/authorization-policy.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import type { Authorization } from '../../../core/model/types.ts'
import { type Findings, nameOf, notFullyEnforced } from './conditions.ts'
import { annotation, isEmpty } from './order.ts'

type Policy = MeshObject & { readonly spec?: AuthorizationPolicySpec }
type Labels = Readonly<Record<string, string>>

/** Where a policy of scope `workload` holds; `namespace` undefined: in all of them. */
export type Selection = { readonly namespace: string | undefined } & (
  | { readonly by: 'labels'; readonly labels: Labels }
  /** Keys `namespace/name` of Services: the workloads behind them. */
  | { readonly by: 'services'; readonly services: ReadonlySet<string> }
)

export interface CompiledPolicy {
  readonly object: MeshObject
  readonly key: string
  readonly authorization: Authorization
  /** Present for scope `workload`. */
  readonly selection?: Selection
}

/** Undefined for AUDIT, which decides nothing. */
export function compilePolicy(
  object: MeshObject,
  settings: CompileSettings,
  findings: Findings,
): CompiledPolicy | undefined {
  const policy = object as Policy
  const written = policy.spec?.action ?? 'ALLOW'
  if (written === 'AUDIT') {
    findings.add(policy, notFullyEnforced('Audit', 'AUDIT is not enforced: nothing is recorded for this policy'))
    return undefined
  }
  const action = written === 'ALLOW' ? 'ALLOW' : 'DENY'
  if (written === 'CUSTOM') {
    const message = 'CUSTOM is enforced as DENY: no external authorizer is asked, what the rules match is refused'
    findings.add(policy, notFullyEnforced('Custom', message))
  }
  const { namespace = '', name } = policy.metadata
  const { scope, selection } = placeOf(policy, settings, findings)
  const dryRun = annotation(policy, names.dryRun) === 'true'
  if (dryRun) findings.add(policy, notFullyEnforced('DryRun', `${names.dryRun}: evaluated and logged, not enforced`))
  const rules = compileRules(policy, action, settings, findings)
  const authorization: Authorization = { namespace, name, scope, action, rules, dryRun }
  return { object: policy, key: nameOf(policy), authorization, ...(selection === undefined ? {} : { selection }) }
}

function compileRules(
  policy: Policy,
  action: 'ALLOW' | 'DENY',
  settings: CompileSettings,
  findings: Findings,
): Authorization['rules'] {
  const context = { namespace: policy.metadata.namespace ?? '', trustDomain: settings.mesh.trustDomain }
  const compiled = (policy.spec?.rules ?? []).map((rule, index) => compileRule(rule, index, context))
  for (const rule of compiled) if (rule.layer7.length > 0) findings.add(policy, layer7Finding(rule, action))
  // An ALLOW whose rules all went still stands, without rules: it allows nothing.
  return compiled.filter((rule) => action === 'DENY' || rule.layer7.length === 0).map((rule) => rule.rule)
}

function layer7Finding({ rule, layer7 }: CompiledRule, action: 'ALLOW' | 'DENY'): ReturnType<typeof notFullyEnforced> {
  const fields = layer7.map((field) => `rules[${rule.index}].${field}`).join(', ')
  const effect = action === 'ALLOW' ? 'the rule allows nothing' : 'the rule denies without regard to them'
  return notFullyEnforced('LayerSevenFields', `${fields}: layer 4 cannot decide this, so ${effect}`)
}

interface Place {
  readonly scope: Authorization['scope']
  readonly selection?: Selection
}

/**
 * A policy with targetRefs is meant for a waypoint. Without one it holds at layer 4 for the workloads of the Services that it
 * names; where it names anything else, for its whole namespace, which protects at least what was meant.
 */
function placeOf(policy: Policy, settings: CompileSettings, findings: Findings): Place {
  const { namespace = '' } = policy.metadata
  const root = settings.rootNamespaces.includes(namespace)
  const targets = policy.spec?.targetRefs ?? (policy.spec?.targetRef === undefined ? [] : [policy.spec.targetRef])
  if (targets.length > 0) {
    const services = targets.filter((target) => target.kind === 'Service' && (target.group ?? '') === '')
    const exact = services.length === targets.length
    const where = exact ? 'the workloads of the Services that it targets' : 'all workloads of its namespace'
    findings.add(
      policy,
      notFullyEnforced('NoWaypoint', `targetRefs: without a waypoint it holds at layer 4 for ${where}`),
    )
    if (!exact) return { scope: root ? 'mesh' : 'namespace' }
    const keys = new Set(services.map((target) => `${target.namespace ?? namespace}/${target.name}`))
    return { scope: 'workload', selection: { namespace: undefined, by: 'services', services: keys } }
  }
  const labels = policy.spec?.selector?.matchLabels
  if (labels === undefined || isEmpty(labels)) return { scope: root ? 'mesh' : 'namespace' }
  return { scope: 'workload', selection: { namespace: root ? undefined : namespace, by: 'labels', labels } }
}
