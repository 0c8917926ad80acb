// Service: name, virtual IPs and ports, and which port of a workload stands behind each.

import type { ServiceSpec, ServiceSpecPort } from '../../core/model/fields/service.ts'
import { serviceKind } from '../../core/model/kinds/core.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { ServiceMembership, ServicePort } from '../../core/model/types.ts'
import { canonicalAddress } from '../../core/net/address.ts'
import { type Finding, nameOf, notAccepted } from './conditions.ts'
import { annotation, isEmpty, type Labels, Selectors } from './order.ts'
import type { Rule, Scope } from './rule.ts'
import { type CompileSettings, names } from './settings.ts'
import { topic } from './topics.ts'
import { waypointOf } from './waypoints/attachment.ts'
import { isNameOfWaypoint } from './waypoints/gateway.ts'

/** What a workload must know of a service that may select it. */
interface SelectingService {
  /** `namespace/hostname`. */
  readonly service: string
  readonly selector: Labels
  readonly ports: readonly ServiceSpecPort[]
}

/** Claims of an address. */
const virtualIp = topic<true>('virtual-ip')
const selectingServices = new Selectors<SelectingService>('service-selector')

/** An ExternalName has no place in the compiled model. */
function specOf(object: MeshObject): ServiceSpec | undefined {
  const spec = (object.spec ?? {}) as ServiceSpec
  return spec.type === 'ExternalName' ? undefined : spec
}

function tcpPorts(spec: ServiceSpec): readonly ServiceSpecPort[] {
  return (spec.ports ?? []).filter((port) => (port.protocol ?? 'TCP') === 'TCP')
}

function compiledPort({ name = '', port, appProtocol }: ServiceSpecPort): ServicePort {
  return { name, port, protocol: 'TCP', ...(appProtocol === undefined ? {} : { appProtocol }) }
}

function hostnameOf({ metadata: { namespace = '', name } }: MeshObject, settings: CompileSettings): string {
  return `${name}.${namespace}.${settings.mesh.serviceDomain}`
}

export const serviceOffer: Rule = {
  kind: serviceKind,
  run(object, scope) {
    const spec = specOf(object)
    // workloads that its selector finds must not come to stand behind the waypoint
    if (spec === undefined || isNameOfWaypoint(object, scope)) return
    for (const vip of vipsOf(object)) scope.offer(virtualIp(vip), true)
    const { selector } = spec
    if (selector === undefined || isEmpty(selector)) return
    const { namespace = '' } = object.metadata
    const service = `${namespace}/${hostnameOf(object, scope.settings)}`
    selectingServices.offer(scope, namespace, { service, selector, ports: tcpPorts(spec) })
  },
}

export const serviceRule: Rule = {
  kind: serviceKind,
  run(object, scope) {
    const spec = specOf(object)
    if (spec === undefined) return
    const { namespace = '', name, labels = {} } = object.metadata
    if (isNameOfWaypoint(object, scope)) {
      scope.tell(notAccepted('NameOfWaypoint', `the Gateway ${namespace}/${name} is a waypoint and has this name`))
      return
    }
    const hostname = hostnameOf(object, scope.settings)
    const ports = tcpPorts(spec).map(compiledPort)
    const headless = spec.clusterIP === 'None'
    const vips = ownVips(object, scope)
    const value = { namespace, name, hostname, vips, headless, ports, identities: [], loadBalancing: 'random' as const }
    const waypoint = waypointOf({ namespace, labels, traffic: 'service' }, scope)
    const attached = waypoint === undefined ? value : { ...value, waypoint }
    scope.emit({ kind: 'Service', key: `${namespace}/${hostname}`, value: attached })
  },
}

/** A virtual IP belongs to one service: the oldest that claims it. */
function ownVips(object: MeshObject, scope: Scope): readonly string[] {
  return vipsOf(object).filter((vip) => {
    const [owner] = scope.read(virtualIp(vip))
    if (owner === undefined || owner.key === scope.key) return true
    const message = `${vip} belongs to the older service ${owner.name}`
    scope.tell({ type: 'AddressesUnique', status: 'False', reason: 'AddressTaken', message })
    return false
  })
}

/** Canonical virtual IPs of a Service object, allocated or written by its author. */
export function vipsOf(object: MeshObject): readonly string[] {
  const spec = object.spec as ServiceSpec | undefined
  const written = [spec?.clusterIP ?? '', ...(spec?.clusterIPs ?? [])]
  return [...new Set(written.flatMap((text) => canonicalAddress(text) ?? []))]
}

/** What a workload brings to `membershipsOf`. */
export interface EndpointFacts {
  readonly object: MeshObject
  readonly labels: Labels
  /** Ports of the workload by name. */
  readonly ports: Readonly<Record<string, number>>
}

export interface Memberships {
  readonly parts: readonly ServiceMembership[]
  /** `namespace/name` of the same services. */
  readonly names: readonly string[]
}

/** The workload's part in each service of its namespace that selects it; ports that it does not know are told on the service. */
export function membershipsOf(workload: EndpointFacts, scope: Scope): Memberships {
  const { namespace = '' } = workload.object.metadata
  const selecting = selectingServices.selecting(scope, namespace, workload.labels)
  const parts = selecting.map(({ key, value }) => {
    const ports: Record<string, number> = {}
    for (const port of value.ports) {
      const target = targetPort(port, workload)
      if (target !== undefined) ports[String(port.port)] = target
      else scope.tellOf(key, unresolved(port, workload.object))
    }
    return { service: value.service, ports }
  })
  return { parts, names: selecting.map(({ name }) => name) }
}

/**
 * targetPort by number or by the name of one of the workload's ports, then the port itself. In an entry that somebody wrote, the
 * port of the service port's name comes first: such an entry tells where a service is (Istio's WorkloadEntry `ports`); an agent
 * only reports the names of a workload's ports, as a pod does.
 */
function targetPort(port: ServiceSpecPort, { object, ports }: EndpointFacts): number | undefined {
  const written = annotation(object, names.workloadUid) === undefined
  if (written && port.name !== undefined && Object.hasOwn(ports, port.name)) return ports[port.name]
  const target = port.targetPort ?? port.port
  if (typeof target === 'number') return target === 0 ? port.port : target
  if (Object.hasOwn(ports, target)) return ports[target]
  return /^\d+$/.test(target) ? Number(target) : undefined
}

function unresolved(port: ServiceSpecPort, workload: MeshObject): Finding {
  const message = `port ${port.port}: workload ${nameOf(workload)} has no port named "${port.targetPort}"`
  return { type: 'PortsResolved', status: 'False', reason: 'UnknownPortName', message }
}
