// Objects of the routing kinds, as a store would hold them, and the way from objects to a decision.
import { type Compiled, compile } from '../../control/compile/compile.ts'
import type { Finding } from '../../control/compile/conditions.ts'
import { compileRouting, type RouteDecision, routeRequest } from '../../core/decide/http/route-request.ts'
import type { MeshObject, ObjectMeta } from '../../core/model/resource.ts'
import type { RouteTable } from '../../core/model/routes.ts'
import { settings } from './compile-objects.ts'
import { type Asked, request } from './routing.ts'

type Meta = Partial<ObjectMeta>

export function routeObject(apiVersion: string, kind: string, name: string, spec: object, meta: Meta): MeshObject {
  const metadata = { name, namespace: 'shop', creationTimestamp: '2026-01-01T00:00:00Z', ...meta }
  return { apiVersion, kind, metadata, spec: spec as Record<string, unknown> }
}

/** Port 80 as `http` and 8080 as `alt`, where no others are given. */
export function routed(name: string, meta: Meta = {}, spec: object = {}): MeshObject {
  const ports = [
    { name: 'http', port: 80 },
    { name: 'alt', port: 8080 },
    { name: 'grpc', port: 7070 },
  ]
  return routeObject('v1', 'Service', name, { ports, ...spec }, meta)
}

/** To `echo`, of the route's namespace. */
export const toEcho = [{ group: '', kind: 'Service', name: 'echo' }]

export function httpRoute(name: string, rules: readonly object[], spec: object = {}, meta: Meta = {}): MeshObject {
  return routeObject('gateway.networking.k8s.io/v1', 'HTTPRoute', name, { parentRefs: toEcho, rules, ...spec }, meta)
}

export function grpcRoute(name: string, rules: readonly object[], spec: object = {}, meta: Meta = {}): MeshObject {
  return routeObject('gateway.networking.k8s.io/v1', 'GRPCRoute', name, { parentRefs: toEcho, rules, ...spec }, meta)
}

export function virtualService(name: string, http: readonly object[], spec: object = {}, meta: Meta = {}): MeshObject {
  return routeObject('networking.istio.io/v1', 'VirtualService', name, { hosts: ['echo'], http, ...spec }, meta)
}

export function destinationRule(name: string, spec: object, meta: Meta = {}): MeshObject {
  return routeObject('networking.istio.io/v1', 'DestinationRule', name, spec, meta)
}

export const backend = (name: string, weight?: number, more: object = {}): object => ({
  name,
  port: 8080,
  ...(weight === undefined ? {} : { weight }),
  ...more,
})

export const echoes: readonly MeshObject[] = ['echo', 'echo-v1', 'echo-v2'].map((name) => routed(name))

export class RoutedWorld {
  readonly compiled: Compiled

  constructor(objects: readonly MeshObject[], services: readonly MeshObject[] = echoes) {
    this.compiled = compile([...services, ...objects], settings)
  }

  table(port = 80, name = 'echo', namespace = 'shop'): RouteTable | undefined {
    const key = `${namespace}/${name}.${namespace}.svc.cluster.local`
    return this.tables().find((table) => table.service === key && table.port === port)
  }

  decide(asked: Asked = {}, random = 0, name = 'echo', namespace = 'shop'): RouteDecision {
    const table = this.table(asked.port ?? 80, name, namespace)
    return table === undefined ? { kind: 'unrouted' } : routeRequest(compileRouting(table), request(asked), random)
  }

  /** First label of where a request leads with its subset, the status, the Location, or `unrouted`. */
  goal(asked: Asked = {}, random = 0): string {
    const decision = this.decide(asked, random)
    if (decision.kind === 'forward') {
      const { hostname, subset } = decision.destination.backend
      return `${hostname.split('.')[0]}${subset === undefined ? '' : `/${subset.name}`}`
    }
    if (decision.kind === 'redirect') return `${decision.status} ${decision.location}`
    return decision.kind === 'respond' ? String(decision.status) : decision.kind
  }

  tables(): readonly RouteTable[] {
    return this.compiled.resources.flatMap(({ kind, value }) => (kind === 'Routes' ? [value] : []))
  }

  /** Everything that is said of an object but that a waypoint is missing and which fields have no effect. */
  findings(name: string): readonly Finding[] {
    const all = [...this.compiled.conditions].filter(([key]) => key.endsWith(`/${name}`) && !key.startsWith('Service '))
    return all.flatMap(([, list]) => list).filter(({ type }) => type !== 'Programmed' && !type.startsWith('Ignored.'))
  }

  /** `Type=Status Reason` of the findings about an object, by its name; sorted. What is said of single parents counts for all. */
  said(name: string): readonly string[] {
    const found = this.findings(name)
    const ofParents = found.some(({ type, parent }) => type === 'Accepted' && parent !== undefined)
    const told = found.filter(({ type, parent }) => !(ofParents && type === 'Accepted' && parent === undefined))
    return [...new Set(told.map(({ type, status, reason }) => `${type}=${status} ${reason}`))].sort()
  }
}
