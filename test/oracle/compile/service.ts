// Service: name, virtual IPs and ports, and which port of a workload stands behind each.

import { type CompileSettings, names } from '../../../control/compile/settings.ts'
import type { ServiceSpec, ServiceSpecPort } from '../../../core/model/fields/service.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import type { Service, ServiceMembership } from '../../../core/model/types.ts'
import { canonicalAddress } from '../../../core/net/address.ts'
import { type Findings, nameOf, notAccepted } from './conditions.ts'
import { annotation, isEmpty, olderFirst, selects } from './order.ts'
import type { Waypoints } from './waypoints.ts'

type Labels = Readonly<Record<string, string>>

export interface CompiledService {
  /** `namespace/hostname`. */
  readonly key: string
  readonly object: MeshObject
  readonly service: Service
  /** Undefined: the service has no endpoints. */
  readonly selector: Labels | undefined
  readonly ports: readonly ServiceSpecPort[]
}

/** In the order of their age. An ExternalName has no place in the compiled model. */
export function compileServices(
  objects: readonly MeshObject[],
  settings: CompileSettings,
  findings: Findings,
  waypoints: Waypoints,
): readonly CompiledService[] {
  const owners = new Map<string, MeshObject>()
  const compiled: CompiledService[] = []
  for (const object of [...objects].sort(olderFirst)) {
    const spec = object.spec as ServiceSpec | undefined
    if (spec?.type === 'ExternalName') continue
    const ports = (spec?.ports ?? []).filter((port) => (port.protocol ?? 'TCP') === 'TCP')
    const { namespace = '', name, labels = {} } = object.metadata
    if (waypoints.isTaken(object)) {
      const message = `the Gateway ${namespace}/${name} is a waypoint and has this name`
      findings.add(object, notAccepted('NameOfWaypoint', message))
      continue
    }
    const vips = claimVips(object, owners, findings)
    const waypoint = waypoints.of(object, labels, 'service')
    const hostname = `${name}.${namespace}.${settings.mesh.serviceDomain}`
    const service: Service = {
      namespace,
      name,
      hostname,
      vips,
      headless: spec?.clusterIP === 'None',
      ports: ports.map((port) => ({ name: port.name ?? '', port: port.port, protocol: 'TCP' })),
      identities: [],
      loadBalancing: 'random',
      ...(waypoint === undefined ? {} : { waypoint }),
    }
    const selector = isEmpty(spec?.selector) ? undefined : spec?.selector
    compiled.push({ key: `${namespace}/${hostname}`, object, service, selector, ports })
  }
  return compiled
}

/** A virtual IP belongs to one service: the oldest that claims it. */
function claimVips(object: MeshObject, owners: Map<string, MeshObject>, findings: Findings): readonly string[] {
  const vips: string[] = []
  for (const vip of vipsOf(object)) {
    const owner = owners.get(vip)
    if (owner === undefined) {
      owners.set(vip, object)
      vips.push(vip)
    } else if (owner !== object) {
      const message = `${vip} belongs to the older service ${nameOf(owner)}`
      findings.add(object, { type: 'AddressesUnique', status: 'False', reason: 'AddressTaken', message })
    }
  }
  return vips
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

/** The workload's part in each of `services` (those of its namespace); ports that it does not know are told on the service. */
export function membershipsOf(
  workload: EndpointFacts,
  services: readonly CompiledService[],
  findings: Findings,
): readonly ServiceMembership[] {
  const memberships: ServiceMembership[] = []
  for (const compiled of services) {
    if (compiled.selector === undefined || !selects(compiled.selector, workload.labels)) continue
    const ports: Record<string, number> = {}
    for (const port of compiled.ports) {
      const target = targetPort(port, workload)
      if (target !== undefined) ports[String(port.port)] = target
      else findings.add(compiled.object, unresolved(port, workload.object))
    }
    memberships.push({ service: compiled.key, ports })
  }
  return memberships
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

function unresolved(port: ServiceSpecPort, workload: MeshObject): Parameters<Findings['add']>[1] {
  const message = `port ${port.port}: workload ${nameOf(workload)} has no port named "${port.targetPort}"`
  return { type: 'PortsResolved', status: 'False', reason: 'UnknownPortName', message }
}
