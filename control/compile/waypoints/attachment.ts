// Which waypoint stands in front of a Service or a workload: its own label, then that of its namespace. A waypoint that is asked for and
// not there, or not for this namespace, stays in the model: traffic that should pass it is refused, not let past.

import { namespaceKind } from '../../../core/model/kinds/core.ts'
import { labelsMatch, namespaceLabels } from '../../../core/model/label-selector.ts'
import { type WaypointChoice, waypointChoice } from '../../../core/model/waypoint-labels.ts'
import type { Finding } from '../conditions.ts'
import type { Labels } from '../order.ts'
import type { Rule, Scope } from '../rule.ts'
import { topic } from '../topics.ts'
import { type DeclaredGateway, declaredGateway, waypointServiceKey } from './gateway.ts'
import type { AllowedNamespaces } from './listeners.ts'

type Waypoint = Extract<DeclaredGateway, { kind: 'waypoint' }>

/** By the namespace's name: what it asks for, where it does. */
const namespaceWaypoint = topic<WaypointChoice>('namespace-waypoint')
/** By the namespace's name: its labels, for listeners that select namespaces. */
const labelsOfNamespace = topic<Labels>('namespace-labels')

/** Part of the rule for namespaces that runs before all others. */
export function offerWaypoint(name: string, labels: Labels, scope: Scope): void {
  scope.offer(labelsOfNamespace(name), labels)
  const choice = waypointChoice(labels, scope.settings.istioLabels)
  if (choice !== undefined && choice !== 'none') scope.offer(namespaceWaypoint(name), choice)
}

/** Says of a namespace that the waypoint of its label is not to be had; those in it do not repeat that. */
export const namespaceWaypointRule: Rule = {
  kind: namespaceKind,
  run({ metadata: { name, labels = {} } }, scope) {
    const choice = waypointChoice(labels, scope.settings.istioLabels)
    if (choice === undefined || choice === 'none') return
    const { problem } = bind(choice, { namespace: name, traffic: undefined }, scope)
    if (problem !== undefined) scope.tell(problem)
  },
}

export interface Target {
  readonly namespace: string
  readonly labels: Labels
  readonly traffic: 'service' | 'workload'
}

/** Key of the waypoint's Service; undefined where traffic goes straight. What is wrong with the target's own label is told of it. */
export function waypointOf(target: Target, scope: Scope): string | undefined {
  const own = waypointChoice(target.labels, scope.settings.istioLabels)
  if (own === 'none') return undefined
  const choice = own ?? scope.read(namespaceWaypoint(target.namespace))[0]?.value
  if (choice === undefined) return undefined
  const { waypoint, problem } = bind(choice, target, scope)
  if (problem !== undefined && own !== undefined) scope.tell(problem)
  return waypoint
}

interface Binding {
  readonly waypoint?: string
  readonly problem?: Finding
}

/** `traffic` undefined: any. */
function bind(
  choice: WaypointChoice,
  target: Pick<Target, 'namespace'> & { readonly traffic: Target['traffic'] | undefined },
  scope: Scope,
): Binding {
  const { name, namespace = target.namespace, label } = choice
  const place = `${namespace}/${name}`
  const gateway = scope.read(declaredGateway(place))[0]?.value
  if (gateway?.kind !== 'waypoint') {
    const problem = gateway === undefined ? missing(label, place) : noWaypoint(label, place, gateway.why)
    return { waypoint: waypointServiceKey(namespace, name, scope.settings), problem }
  }
  if (!takes(gateway, target.traffic)) return { problem: notTaken(label, place, gateway, target.traffic) }
  if (allows(gateway.allowed, namespace, target.namespace, scope)) return { waypoint: gateway.service }
  // no Service has such a key: whoever looks for this waypoint finds none, and refuses
  return { waypoint: `${namespace}/not-allowed:${name}`, problem: denied(label, place, target.namespace) }
}

function takes({ takes: taken }: Waypoint, traffic: Target['traffic'] | undefined): boolean {
  return traffic === undefined ? taken !== 'none' : taken === 'all' || taken === traffic
}

/** As Istio reads `allowedRoutes` of a waypoint: a selector must hold for the waypoint's own namespace too. */
function allows({ from, selector }: AllowedNamespaces, own: string, other: string, scope: Scope): boolean {
  if (from === 'All') return true
  if (from === 'Same') return own === other
  return labelsMatch(selector ?? {}, namespaceLabels(other, scope.read(labelsOfNamespace(other))[0]?.value))
}

const refused = 'until then what should pass it is refused'

function missing(label: string, place: string): Finding {
  return unbound('WaypointMissing', `${label}: there is no Gateway ${place}: ${refused}`)
}

function noWaypoint(label: string, place: string, why: string): Finding {
  return unbound('NotAWaypoint', `${label}: the Gateway ${place} is no waypoint (${why}): ${refused}`)
}

function denied(label: string, place: string, namespace: string): Finding {
  const message = `${label}: the Gateway ${place} does not allow the namespace ${namespace} (allowedRoutes.namespaces of its listener): ${refused}`
  return unbound('AttachmentDenied', message)
}

function notTaken(label: string, place: string, { takes: taken }: Waypoint, traffic: Target['traffic'] = 'service') {
  const message = `${label}: the waypoint ${place} takes ${taken === 'none' ? 'no traffic' : `${taken} traffic only`}, so ${traffic} traffic does not pass it (label istio.io/waypoint-for of its Gateway)`
  return unbound('UnsupportedTrafficType', message)
}

function unbound(reason: string, message: string): Finding {
  return { type: 'WaypointBound', status: 'False', reason, message }
}
