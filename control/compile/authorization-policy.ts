// AuthorizationPolicy: where it holds and what layer 4 can decide of it. Whatever layer 4 cannot decide makes the policy
// stricter, never laxer, and is told in the conditions of the object.
import type { AuthorizationPolicySpec } from '../../core/model/fields/authorization-policy.ts'
import { authorizationPolicyKind } from '../../core/model/kinds/istio.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { Authorization } from '../../core/model/types.ts'
import { type CompiledRule, compileRule } from './authorization-rule.ts'
import { nameOf, notFullyEnforced } from './conditions.ts'
import { annotation, everywhere, isEmpty, type Labels, Selectors } from './order.ts'
import type { Rule, Scope } from './rule.ts'
import { type CompileSettings, names } from './settings.ts'
import { topic } from './topics.ts'

type Policy = MeshObject & { readonly spec?: AuthorizationPolicySpec }

/** Where a policy holds; with `labels` or `services` it has the scope `workload`, `namespace` undefined: in all of them. */
type Place =
  | { readonly by: 'scope'; readonly scope: 'mesh' | 'namespace' }
  | { readonly by: 'labels'; readonly namespace: string | undefined; readonly labels: Labels }
  /** `namespace/name` of Services: the workloads behind them. */
  | { readonly by: 'services'; readonly services: ReadonlySet<string> }

interface Selecting {
  /** Of the Authorization. */
  readonly policy: string
  readonly selector: Labels
}

const byLabels = new Selectors<Selecting>('authorization-selector')
/** By `namespace/name` of a Service: keys of the Authorizations for the workloads behind it. */
const byService = topic<string>('authorization-service')

export const authorizationPolicyRule: Rule = {
  kind: authorizationPolicyKind,
  run(object, scope) {
    const policy = object as Policy
    const written = policy.spec?.action ?? 'ALLOW'
    if (written === 'AUDIT') {
      scope.tell(notFullyEnforced('Audit', 'AUDIT is not enforced: nothing is recorded for this policy'))
      return
    }
    if (written === 'CUSTOM') {
      const message = 'CUSTOM is enforced as DENY: no external authorizer is asked, what the rules match is refused'
      scope.tell(notFullyEnforced('Custom', message))
    }
    const action = written === 'ALLOW' ? 'ALLOW' : 'DENY'
    const { namespace = '', name } = policy.metadata
    const place = placeOf(policy, scope)
    const dryRun = isDryRun(policy)
    if (dryRun) scope.tell(notFullyEnforced('DryRun', `${names.dryRun}: evaluated and logged, not enforced`))
    const rules = compileRules(policy, action, scope)
    const key = nameOf(policy)
    const held = place.by === 'scope' ? place.scope : 'workload'
    scope.emit({ kind: 'Authorization', key, value: { namespace, name, scope: held, action, rules, dryRun } })
    offerTo(place, key, scope)
  },
}

function offerTo(place: Place, policy: string, scope: Scope): void {
  if (place.by === 'labels') byLabels.offer(scope, place.namespace ?? everywhere, { policy, selector: place.labels })
  if (place.by === 'services') for (const service of place.services) scope.offer(byService(service), policy)
}

/** Keys of the Authorizations that name a workload, by its labels or by its services (`namespace/name`), in order. */
export function authorizationsOf(
  namespace: string,
  labels: Labels,
  services: readonly string[],
  scope: Scope,
): readonly string[] {
  const selecting = [namespace, everywhere].flatMap((place) => byLabels.selecting(scope, place, labels))
  const targeting = services.flatMap((service) => scope.read(byService(service)))
  const keys = [...selecting.map(({ value }) => value.policy), ...targeting.map(({ value }) => value)]
  return [...new Set(keys)].sort()
}

/** Where the policy is enforced: undefined for one that enforces nothing. */
export function enforcedScope(object: MeshObject, settings: CompileSettings): Authorization['scope'] | undefined {
  const policy = object as Policy
  if (policy.spec?.action === 'AUDIT' || isDryRun(policy)) return undefined
  const place = placeOf(policy, { settings, tell: () => undefined })
  return place.by === 'scope' ? place.scope : 'workload'
}

function isDryRun(policy: Policy): boolean {
  return annotation(policy, names.dryRun) === 'true'
}

function compileRules(policy: Policy, action: 'ALLOW' | 'DENY', scope: Scope): Authorization['rules'] {
  const context = { namespace: policy.metadata.namespace ?? '', trustDomain: scope.settings.mesh.trustDomain }
  const compiled = (policy.spec?.rules ?? []).map((rule, index) => compileRule(rule, index, context))
  for (const rule of compiled) if (rule.layer7.length > 0) scope.tell(layer7Finding(rule, action))
  // An ALLOW whose rules all went still stands, without rules: it allows nothing.
  return compiled.filter((rule) => action === 'DENY' || rule.layer7.length === 0).map((rule) => rule.rule)
}

function layer7Finding({ rule, layer7 }: CompiledRule, action: 'ALLOW' | 'DENY'): ReturnType<typeof notFullyEnforced> {
  const fields = layer7.map((field) => `rules[${rule.index}].${field}`).join(', ')
  const effect = action === 'ALLOW' ? 'the rule allows nothing' : 'the rule denies without regard to them'
  return notFullyEnforced('LayerSevenFields', `${fields}: layer 4 cannot decide this, so ${effect}`)
}

/**
 * A policy with targetRefs is meant for a waypoint. Without one it holds at layer 4 for the workloads of the Services that it
 * names; where it names anything else, for its whole namespace, which protects at least what was meant.
 */
function placeOf(policy: Policy, { settings, tell }: Pick<Scope, 'settings' | 'tell'>): Place {
  const { namespace = '' } = policy.metadata
  const root = settings.rootNamespaces.includes(namespace)
  const whole = { by: 'scope', scope: root ? 'mesh' : 'namespace' } as const
  const targets = policy.spec?.targetRefs ?? (policy.spec?.targetRef === undefined ? [] : [policy.spec.targetRef])
  if (targets.length > 0) {
    const services = targets.filter((target) => target.kind === 'Service' && (target.group ?? '') === '')
    const exact = services.length === targets.length
    const where = exact ? 'the workloads of the Services that it targets' : 'all workloads of its namespace'
    tell(notFullyEnforced('NoWaypoint', `targetRefs: without a waypoint it holds at layer 4 for ${where}`))
    if (!exact) return whole
    return {
      by: 'services',
      services: new Set(services.map((target) => `${target.namespace ?? namespace}/${target.name}`)),
    }
  }
  const labels = policy.spec?.selector?.matchLabels
  if (labels === undefined || isEmpty(labels)) return whole
  return { by: 'labels', namespace: root ? undefined : namespace, labels }
}
