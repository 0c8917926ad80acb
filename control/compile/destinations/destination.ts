// DestinationRules at waypoints: which of them counts for a Service, and what they say of it, emitted by the Service; each rule is told
// where it holds. The rules are in compile/rules.ts.
import type { DestinationExtras } from '../../../core/model/destination-annotations.ts'
import type { Destination } from '../../../core/model/destinations.ts'
import { serviceKind } from '../../../core/model/kinds/core.ts'
import { destinationRuleKind } from '../../../core/model/kinds/istio.ts'
import { accepted, type Finding, notAccepted } from '../conditions.ts'
import { noWaypoint } from '../routes/findings.ts'
import { type RoutedService, routedService } from '../routes/services.ts'
import { countingIn, type HostRule, hostRulesOf } from '../routes/subsets.ts'
import { frontendHasWaypoint } from '../routes/table.ts'
import type { Rule, Scope } from '../rule.ts'
import { type Offer, topic } from '../topics.ts'
import { isNameOfWaypoint } from '../waypoints/gateway.ts'
import { compileTraffic } from './traffic-policy.ts'

/** What a Service says of a rule whose host stands for it. */
interface Held {
  /** `namespace/name`. */
  readonly service: string
  readonly hasWaypoint: boolean
  /** Why it does not, or not wholly, hold for this Service. */
  readonly limits?: Finding
}

/** By formatObjectKey of the DestinationRule. */
const heldBy = topic<Held>('destination-held')

export const destinationRule: Rule = {
  kind: serviceKind,
  run(object, scope) {
    const service = routedService(object, scope.settings.mesh.serviceDomain)
    if (service === undefined || isNameOfWaypoint(object, scope)) return
    const { exact, wild } = hostRulesOf(service, scope)
    const all = [...exact, ...wild]
    if (all.length === 0) return
    const counting = countingFor(service, { exact, wild }, scope)
    if (counting.length > 0) scope.emit({ kind: 'Destination', key: service.key, value: join(service, counting) })
    const hasWaypoint = frontendHasWaypoint(object, scope)
    for (const rule of all) {
      const limits = limitsOf(rule, counting, service)
      const held: Held = { service: `${service.namespace}/${service.name}`, hasWaypoint, ...(limits && { limits }) }
      scope.offer(heldBy(rule.key), held)
    }
  },
}

/** In the namespace of the Service, then of the mesh. One for chosen clients cannot be kept apart from the others. */
function countingFor(
  service: RoutedService,
  found: { readonly exact: readonly Offer<HostRule>[]; readonly wild: readonly Offer<HostRule>[] },
  scope: Scope,
): readonly Offer<HostRule>[] {
  const forAll = (rules: readonly Offer<HostRule>[]) =>
    rules.filter(({ value }) => value.spec.workloadSelector === undefined)
  const rules = { exact: forAll(found.exact), wild: forAll(found.wild) }
  for (const place of new Set([service.namespace, ...scope.settings.rootNamespaces])) {
    const counting = countingIn(rules, place, service.namespace)
    if (counting.length > 0) return counting
  }
  return []
}

/** As istiod joins rules of one host: subsets of all, of those with one name the older; the traffic policy of the first that has one. */
function join(service: RoutedService, rules: readonly Offer<HostRule>[]): Destination {
  const treating = rules.find(({ value }) => treats(value))?.value
  const subsets = new Map<string, Destination['subsets'][number]>()
  for (const { value } of rules) {
    for (const { name, labels = {}, trafficPolicy } of value.spec.subsets ?? []) {
      if (!subsets.has(name))
        subsets.set(name, { name, labels, ...compileTraffic(trafficPolicy, extrasOf(value, trafficPolicy)) })
    }
  }
  return {
    service: service.key,
    sources: rules.map(({ name }) => name),
    ...compileTraffic(treating?.spec.trafficPolicy, treating?.extras),
    subsets: [...subsets.values()],
  }
}

/** A subset has its service's balancing and outlier detection unless it writes its own; then only the success rate joins that. */
function extrasOf({ extras }: HostRule, policy: HostRule['spec']['trafficPolicy']): DestinationExtras | undefined {
  const own = policy?.outlierDetection !== undefined && extras?.successRate !== undefined
  return own ? { successRate: extras.successRate } : undefined
}

/** Whether it says anything of the whole service. */
function treats({ spec, extras }: HostRule): boolean {
  return spec.trafficPolicy !== undefined || extras !== undefined
}

function limitsOf(
  rule: Offer<HostRule>,
  counting: readonly Offer<HostRule>[],
  service: RoutedService,
): Finding | undefined {
  const { spec, namespace } = rule.value
  const place = `${service.namespace}/${service.name}`
  if (spec.workloadSelector !== undefined) {
    const message = `workloadSelector: a waypoint cannot treat the clients of ${place} apart, so the rule holds for none`
    return notAccepted('UnsupportedValue', message)
  }
  const [first] = counting
  if (!counting.includes(rule)) {
    const other = first === undefined ? '' : `, ${first.name} does`
    const message = `the rule does not count for ${place}${other}: rules in the namespace of the Service come first, then those of the mesh's; of these the exact host`
    // a rule for clients of its own namespace still names subsets for the routes there
    return notAccepted(
      namespace === service.namespace || first !== undefined ? 'Overridden' : 'OtherNamespace',
      message,
    )
  }
  const policyOf = counting.find(({ value }) => treats(value))
  if (!treats(rule.value) || policyOf === rule || policyOf === undefined) return undefined
  return { ...accepted, message: `trafficPolicy: that of the older ${policyOf.name} counts for ${place}` }
}

/** Not accepted where it holds for no Service at all. */
export const destinationVerdictRule: Rule = {
  kind: destinationRuleKind,
  run(_, scope) {
    const held = scope.read(heldBy(scope.key)).map(({ value }) => value)
    if (held.length === 0) return
    const lost = held.flatMap(({ limits }) => (limits?.status === 'False' ? [limits] : []))
    const [first] = lost
    const holding = held.filter(({ limits }) => limits?.status !== 'False')
    if (holding.length === 0 && first !== undefined) {
      scope.tell(notAccepted(first.reason, shown(lost)))
      return
    }
    const limits = held.flatMap(({ limits }) => (limits === undefined ? [] : [limits]))
    if (limits.length > 0) scope.tell({ ...accepted, message: shown(limits) })
    const bare = holding.filter(({ hasWaypoint }) => !hasWaypoint).map(({ service }) => `Service ${service}`)
    if (bare.length > 0) scope.tell(noWaypoint(bare))
  },
}

function shown(findings: readonly Finding[]): string {
  const more = findings.length > 3 ? `; and for ${findings.length - 3} more Services` : ''
  return (
    findings
      .slice(0, 3)
      .map(({ message }) => message)
      .join('; ') + more
  )
}
