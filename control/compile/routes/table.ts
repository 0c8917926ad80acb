// The Service as a frontend: decides between the claims of its ports and makes the tables of routes, and tells the claimants. Its rules
// are in compile/rules.ts.
import { serviceKind } from '../../../core/model/kinds/core.ts'
import { routesKey } from '../../../core/model/layer-seven-index.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import type { Rule, Scope } from '../rule.ts'
import { topic } from '../topics.ts'
import { waypointOf } from '../waypoints/attachment.ts'
import { isNameOfWaypoint } from '../waypoints/gateway.ts'
import { claimsOn, type Verdict, verdictsOn } from './claims.ts'
import { type Decided, type PlacedClaim, tableOf } from './groups.ts'
import { type RoutedService, routedService } from './services.ts'

/** By the key of a Service: a waypoint stands in front of it. For those that speak of the Service without being asked by it. */
export const waypointBefore = topic<true>('waypoint-before')

export const routeTableRule: Rule = {
  kind: serviceKind,
  run(object, scope) {
    const service = routedService(object, scope.settings.mesh.serviceDomain)
    if (service === undefined || isNameOfWaypoint(object, scope)) return
    const hasWaypoint = frontendHasWaypoint(object, scope)
    if (hasWaypoint) scope.offer(waypointBefore(service.key), true)
    const decided = service.ports.flatMap(({ port }) => decideFrontend(service, port, scope))
    announce(service, hasWaypoint, decided, scope)
  },
}

type DecidedPort = Decided & { readonly port: number }

function decideFrontend(service: RoutedService, port: number, scope: Scope): readonly DecidedPort[] {
  const claims = scope
    .read(claimsOn(service.key, String(port)))
    .flatMap(({ key: source, order, value }) => value.map((claim): PlacedClaim => ({ ...claim, source, order })))
  if (claims.length === 0) return []
  const { table, decided } = tableOf(service.key, port, claims)
  scope.emit({ kind: 'Routes', key: routesKey(service.key, port), value: table })
  return decided.map((each) => ({ ...each, port }))
}

function announce(service: RoutedService, hasWaypoint: boolean, decided: readonly DecidedPort[], scope: Scope): void {
  const name = `${service.namespace}/${service.name}`
  for (const [source, own] of Map.groupBy(decided, ({ claim }) => claim.source)) {
    const ports = own.map(({ port, claim: { parents }, lostTo }) => ({
      port,
      parents,
      ...(lostTo === undefined ? {} : { lostTo }),
    }))
    const verdict: Verdict = { service: name, hasWaypoint, ports }
    scope.offer(verdictsOn(source), verdict)
  }
}

/** Whether requests to a Service pass a waypoint. What is wrong with its label is told by the Service's own rule. */
export function frontendHasWaypoint(object: MeshObject, scope: Scope): boolean {
  const { namespace = '', labels = {} } = object.metadata
  const quiet: Scope = {
    settings: scope.settings,
    key: scope.key,
    read: (name) => scope.read(name),
    offer: () => undefined,
    emit: () => undefined,
    tell: () => undefined,
    tellOf: () => undefined,
  }
  return waypointOf({ namespace, labels, traffic: 'service' }, quiet) !== undefined
}
