// DestinationRules as others look them up: by the host that they are for, and the subsets that routes name. What they say of traffic
// is destinations.ts's.
import { type DestinationExtras, destinationExtras } from '../../../core/model/destination-annotations.ts'
import type { DestinationRuleSpec } from '../../../core/model/fields/destination-rule.ts'
import { hostWithin } from '../../../core/model/fields/hosts.ts'
import { destinationRuleKind } from '../../../core/model/kinds/istio.ts'
import type { Rule, Scope } from '../rule.ts'
import { type Offer, topic } from '../topics.ts'
import { type RoutedService, RoutedServices } from './services.ts'

export interface HostRule {
  readonly namespace: string
  /** Full, in lower case, or with a wildcard. */
  readonly host: string
  /** Absent: every namespace sees it. */
  readonly seenIn?: readonly string[]
  readonly spec: DestinationRuleSpec
  /** What its annotations ask for. */
  readonly extras?: DestinationExtras
}

/** By full host name. */
const byHost = topic<HostRule>('destination-rules')
const withWildcard = topic<HostRule>('destination-rules-wildcard')

export const destinationRuleOffer: Rule = {
  kind: destinationRuleKind,
  run(object, scope) {
    const { namespace = '' } = object.metadata
    const spec = object.spec as unknown as DestinationRuleSpec
    const host = new RoutedServices(scope).fullHost(spec.host, namespace)
    const { exportTo = [] } = spec
    const open = exportTo.length === 0 || exportTo.includes('*')
    const seenIn = open ? {} : { seenIn: exportTo.map((entry) => (entry === '.' ? namespace : entry)) }
    const extras = destinationExtras(object.metadata.annotations ?? {})
    const value: HostRule = { namespace, host, ...seenIn, spec, ...(extras === undefined ? {} : { extras }) }
    scope.offer(host.startsWith('*') ? withWildcard() : byHost(host), value)
  },
}

/** All rules whose host stands for the service, the oldest first; those with its very name, and those with a wildcard. */
export function hostRulesOf(service: Pick<RoutedService, 'hostname'>, scope: Scope) {
  const hostname = service.hostname.toLowerCase()
  const exact = scope.read(byHost(hostname))
  const wild = scope.read(withWildcard()).filter(({ value }) => hostWithin(hostname, value.host))
  return { exact, wild }
}

/** Of the rules of one namespace those that count: the service's own name before a wildcard, the longer wildcard before others. */
export function countingIn(
  { exact, wild }: { readonly exact: readonly Offer<HostRule>[]; readonly wild: readonly Offer<HostRule>[] },
  namespace: string,
  seenFrom: string,
): readonly Offer<HostRule>[] {
  const sees = ({ value }: Offer<HostRule>): boolean =>
    value.namespace === namespace && (value.seenIn === undefined || value.seenIn.includes(seenFrom))
  const own = exact.filter(sees)
  if (own.length > 0) return own
  const fitting = wild.filter(sees)
  const longest = Math.max(0, ...fitting.map(({ value }) => value.host.length))
  return fitting.filter(({ value }) => value.host.length === longest)
}

/**
 * Labels of a subset. Looks where istiod looks: in the namespace of the route, of the service, of the mesh; of several rules for one host
 * the older one that names it.
 */
export function subsetLabels(
  service: RoutedService,
  subset: string,
  namespace: string,
  scope: Scope,
): Readonly<Record<string, string>> | undefined {
  const rules = hostRulesOf(service, scope)
  for (const place of new Set([namespace, service.namespace, ...scope.settings.rootNamespaces])) {
    for (const { value } of countingIn(rules, place, namespace)) {
      const found = value.spec.subsets?.find(({ name }) => name === subset)
      if (found !== undefined) return found.labels ?? {}
    }
  }
  return undefined
}
