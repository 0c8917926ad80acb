// What routes of the Gateway API attach to in the mesh: ports of Services (GAMMA, GEP-1294). A route in the Service's namespace holds
// for all clients, one in another namespace for the clients of its own. Rules of the four kinds: their claims, and what became of them.
import type { GrpcRouteSpec } from '../../../core/model/fields/grpc-route.ts'
import type { HttpRouteSpec } from '../../../core/model/fields/http-route.ts'
import { grpcRouteKind, httpRouteKind, tcpRouteKind, tlsRouteKind } from '../../../core/model/kinds/gateway.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import type { Route, RouteKind, RouteOrigin } from '../../../core/model/routes.ts'
import { accepted, type Finding, notAccepted } from '../conditions.ts'
import type { Rule, Scope } from '../rule.ts'
import { declaredGateway, otherController } from '../waypoints/gateway.ts'
import { attachments, claimsOn, verdictsOn } from './claims.ts'
import { gatewayConnections } from './connections.ts'
import { noWaypoint, tellOnce } from './findings.ts'
import type { GatewayContext } from './gateway-backends.ts'
import { grpcRule, httpRule } from './gateway-rules.ts'
import type { Claim } from './groups.ts'
import { type RoutedService, RoutedServices } from './services.ts'

type Parent = NonNullable<HttpRouteSpec['parentRefs']>[number]
type GatewayRouteKind = Exclude<RouteKind, 'VirtualService'>

const kinds = [grpcRouteKind, httpRouteKind, tlsRouteKind, tcpRouteKind] as const

export const gatewayClaimRules: readonly Rule[] = kinds.map((kind) => ({
  kind,
  run: (object, scope) => claim(object, kind.kind as GatewayRouteKind, scope),
}))

export const gatewayVerdictRules: readonly Rule[] = kinds.map((kind) => ({ kind, run: tellVerdicts }))

function claim(object: MeshObject, kind: GatewayRouteKind, scope: Scope): void {
  const { namespace = '', name } = object.metadata
  const { parentRefs = [] } = (object.spec ?? {}) as HttpRouteSpec
  const tell = tellOnce(scope)
  const services = new RoutedServices(scope)
  /** By key of the Service and port. */
  const claimed = new Map<string, { service: RoutedService; port: number; parents: number[] }>()
  for (const [index, parent] of parentRefs.entries()) {
    const found = frontendsOf(parent, namespace, services, scope)
    if ('problem' in found) {
      tell(found.problem, index)
      continue
    }
    const { service } = found
    for (const port of found.ports) {
      const place = `${service.key} ${port}`
      const earlier = claimed.get(place)
      if (earlier === undefined) claimed.set(place, { service, port, parents: [index] })
      else earlier.parents.push(index)
    }
  }
  if (claimed.size === 0) return
  const context: GatewayContext = { namespace, services, tell }
  const isRaw = kind === 'TCPRoute' || kind === 'TLSRoute'
  const routes = isRaw ? [] : routesOf(object, kind, context)
  const connections = isRaw ? { connections: gatewayConnections(object, context) } : {}
  for (const { service, port, parents } of claimed.values()) {
    const audience = namespace === service.namespace ? {} : { audience: namespace }
    const value: Claim = { kind, ...audience, specificity: 0, routes, ...connections, parents }
    scope.offer(claimsOn(service.key, String(port)), [value])
  }
  const attached = [...new Set([...claimed.values()].map(({ service }) => service.key))]
  scope.offer(attachments(kind, namespace, name), attached)
}

function routesOf(object: MeshObject, kind: 'GRPCRoute' | 'HTTPRoute', context: GatewayContext): readonly Route[] {
  const { namespace = '', name } = object.metadata
  const spec = (object.spec ?? {}) as HttpRouteSpec & GrpcRouteSpec
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

interface Problem {
  readonly problem: Finding
}

function frontendsOf(parent: Parent, namespace: string, services: RoutedServices, scope: Scope): Frontends | Problem {
  const { group = 'gateway.networking.k8s.io', kind = 'Gateway', name, namespace: written, port, sectionName } = parent
  const place = `${written ?? namespace}/${name}`
  if (kind === 'Gateway' && group === 'gateway.networking.k8s.io') return { problem: underGateway(place, scope) }
  if (group !== '' || kind !== 'Service') {
    const message = `${kind}${group === '' ? '' : `.${group}`} is nothing that routes of the mesh attach to: name a Service`
    return { problem: notAccepted('UnsupportedValue', message) }
  }
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

/** Nothing enters the mesh through a Gateway, and a waypoint is none that routes attach to. */
function underGateway(place: string, scope: Scope): Finding {
  const gateway = scope.read(declaredGateway(place))[0]?.value
  if (gateway === undefined) return notAccepted('NoMatchingParent', `there is no Gateway ${place}`)
  if (gateway.kind === 'other') return notAccepted(otherController, `the Gateway ${place} is none of this mesh`)
  const message = `the Gateway ${place} is a waypoint: attach the route to the Services behind it`
  return notAccepted('UnsupportedValue', message)
}

/** Of each parent: accepted where the route holds for at least one of its ports. */
function tellVerdicts(object: MeshObject, scope: Scope): void {
  const { parentRefs = [] } = (object.spec ?? {}) as HttpRouteSpec
  const verdicts = scope.read(verdictsOn(scope.key)).map(({ value }) => value)
  for (const parent of parentRefs.keys()) {
    const own = verdicts.filter(({ ports }) => ports.some(({ parents }) => parents.includes(parent)))
    if (own.length === 0) continue
    const ports = own.flatMap(({ ports }) => ports.filter(({ parents }) => parents.includes(parent)))
    const losses = ports.flatMap(({ port, lostTo }) =>
      lostTo === undefined ? [] : [`port ${port} is routed by ${lostTo}, which comes first`],
    )
    const message = losses.join('; ')
    const holds = losses.length < ports.length
    scope.tell({ ...(holds ? { ...accepted, message } : notAccepted('Conflicted', message)), parent })
    const bare = own.filter(({ hasWaypoint }) => !hasWaypoint).map(({ service }) => `Service ${service}`)
    if (holds && bare.length > 0) scope.tell({ ...noWaypoint(bare), parent })
  }
}
