// What HTTPRoute and GRPCRoute attach to in the mesh: ports of Services (GAMMA, GEP-1294). A route in the Service's namespace holds
// for all clients, one in another namespace for the clients of its own. Parents of other kinds are not this file's.
import type { GrpcRouteSpec } from '../../../core/model/fields/grpc-route.ts'
import type { HttpRouteSpec } from '../../../core/model/fields/http-route.ts'
import { formatObjectKey, type MeshObject } from '../../../core/model/resource.ts'
import type { Route, RouteOrigin } from '../../../core/model/routes.ts'
import { accepted, type Finding, keyOf, notAccepted } from '../conditions.ts'
import { orderOf } from '../order.ts'
import type { Tell } from './findings.ts'
import type { GatewayContext } from './gateway-backends.ts'
import { grpcRule, httpRule } from './gateway-rules.ts'
import type { Claim } from './groups.ts'
import type { RoutedService, RoutedServices } from './services.ts'

type Parent = NonNullable<HttpRouteSpec['parentRefs']>[number]

/** What the route claims; findings about its Service parents are told once the claims are decided. */
export function gatewayClaims(object: MeshObject, services: RoutedServices, tell: Tell): readonly Claim[] {
  const { namespace = '' } = object.metadata
  const spec = (object.spec ?? {}) as HttpRouteSpec | GrpcRouteSpec
  const parents = [...(spec.parentRefs ?? []).entries()].filter(([, parent]) => isService(parent))
  if (parents.length === 0) return []
  const context: GatewayContext = { namespace, services, tell: (finding) => tell(finding) }
  const routes = routesOf(object, context)
  return parents.flatMap(([index, parent]) => {
    const found = frontendsOf(parent, namespace, services)
    if ('problem' in found) {
      tell(found.problem, index)
      return []
    }
    return claimsOf(object, routes, found, (finding) => tell(finding, index))
  })
}

function isService({ group = 'gateway.networking.k8s.io', kind = 'Gateway' }: Parent): boolean {
  return group === '' && kind === 'Service'
}

function routesOf(object: MeshObject, context: GatewayContext): readonly Route[] {
  const { namespace = '', name } = object.metadata
  const spec = (object.spec ?? {}) as HttpRouteSpec & GrpcRouteSpec
  const kind = object.kind === 'GRPCRoute' ? 'GRPCRoute' : 'HTTPRoute'
  // the default of a written HTTPRoute without rules; a GRPCRoute has none
  const rules = spec.rules ?? (kind === 'HTTPRoute' ? [{}] : [])
  return rules.flatMap((rule, index) => {
    const named = rule.name === undefined ? {} : { rule: rule.name }
    const origin: RouteOrigin = { kind, namespace, name, index, ...named }
    return (kind === 'GRPCRoute' ? grpcRule(rule, origin, context) : httpRule(rule, origin, context)) ?? []
  })
}

interface Frontends {
  readonly service: RoutedService
  readonly ports: readonly number[]
}

function frontendsOf(
  { name, namespace: written, port, sectionName }: Parent,
  namespace: string,
  services: RoutedServices,
): Frontends | { readonly problem: Finding } {
  const place = `${written ?? namespace}/${name}`
  const service = services.named(written ?? namespace, name)
  if (service === undefined) return { problem: notAccepted('NoMatchingParent', `there is no Service ${place}`) }
  if (service.headless) {
    const message = `Service ${place} is headless: requests go to its workloads themselves, routes cannot attach`
    return { problem: notAccepted('UnsupportedValue', message) }
  }
  const fits = service.ports.filter(
    (each) => (port ?? each.port) === each.port && (sectionName ?? each.name) === each.name,
  )
  if (fits.length > 0) return { service, ports: fits.map((each) => each.port) }
  const known = service.ports.map((each) => each.port).join(', ')
  const message = `Service ${place} has no such port, only ${known || 'none'}`
  return { problem: notAccepted('NoMatchingParent', message) }
}

/** Accepted where it holds for at least one port. */
function claimsOf(
  object: MeshObject,
  routes: readonly Route[],
  { service, ports }: Frontends,
  tell: (finding: Finding) => void,
): readonly Claim[] {
  const { namespace = '' } = object.metadata
  const losses: string[] = []
  let wins = 0
  const decided = (): void => {
    if (wins + losses.length < ports.length) return
    tell(wins > 0 ? { ...accepted, message: losses.join('; ') } : notAccepted('Conflicted', losses.join('; ')))
  }
  return ports.map((port) => ({
    service,
    port,
    audience: namespace === service.namespace ? undefined : namespace,
    kind: object.kind === 'GRPCRoute' ? 'GRPCRoute' : 'HTTPRoute',
    order: orderOf(object),
    specificity: 0,
    routes,
    source: formatObjectKey(keyOf(object)),
    won: () => {
      wins += 1
      decided()
    },
    lost: (winner) => {
      losses.push(`port ${port} is routed by ${winner.source}, which comes first`)
      decided()
    },
  }))
}
