// Routes of the whole mesh: objects in, tables for waypoints and findings for the objects out. Pure. Not yet called by the compiler's
// rules; `analyze` and tests call it over files.
import type { VirtualServiceSpec } from '../../../core/model/fields/virtual-service.ts'
import { formatObjectKey, type MeshObject } from '../../../core/model/resource.ts'
import type { RouteTable } from '../../../core/model/routes.ts'
import { keyOf, nameOf } from '../conditions.ts'
import type { CompileSettings } from '../settings.ts'
import type { RouteFinding, Tell } from './findings.ts'
import { gatewayClaims } from './gateway-frontends.ts'
import { type Claim, tablesOf } from './groups.ts'
import { RoutedServices } from './services.ts'
import { Subsets } from './subsets.ts'
import { virtualClaims } from './virtual-service.ts'

export interface CompiledRoutes {
  /** Of the frontends that some route is for, by service and port. */
  readonly tables: readonly RouteTable[]
  readonly findings: readonly RouteFinding[]
}

/** @param objects of any kinds; those that have no part in routing are passed over */
export function compileRoutes(objects: readonly MeshObject[], settings: CompileSettings): CompiledRoutes {
  const byKind = Map.groupBy(objects, ({ kind }) => kind)
  const ofKind = (kind: string): readonly MeshObject[] => byKind.get(kind) ?? []
  const services = new RoutedServices(ofKind('Service'), settings.mesh.serviceDomain)
  const subsets = new Subsets(ofKind('DestinationRule'), services, settings.rootNamespaces)
  const virtual = ofKind('VirtualService')
  const context = { services, subsets, delegates: delegatesOf(virtual) }
  const found = new Map<string, RouteFinding>()
  const tellOf = (object: MeshObject): Tell => {
    const key = formatObjectKey(keyOf(object))
    return (finding, parent) => {
      const told = { object: key, ...(parent === undefined ? {} : { parent }), finding }
      // a rule is compiled once for each frontend, and says the same each time
      found.set(JSON.stringify(told), told)
    }
  }
  const claims: readonly Claim[] = [
    ...['GRPCRoute', 'HTTPRoute'].flatMap((kind) =>
      ofKind(kind).flatMap((object) => gatewayClaims(object, services, tellOf(object))),
    ),
    ...virtual.flatMap((object) => virtualClaims(object, context, tellOf(object))),
  ]
  const tables = tablesOf(claims)
  return { tables, findings: [...found.values()] }
}

function delegatesOf(objects: readonly MeshObject[]): ReadonlyMap<string, MeshObject> {
  const without = objects.filter(({ spec }) => (((spec ?? {}) as VirtualServiceSpec).hosts ?? []).length === 0)
  return new Map(without.map((object) => [nameOf(object), object]))
}
