// Which waypoints stand before a destination, who is one, and whom they let pass. Pure; route.ts sends connections there,
// authorize.ts and inbound.ts hold callers to it, `explain` tells it.
import { type PeerIdentity, principalText } from '../model/canonical.ts'
import { type Snapshot, serviceKey } from '../model/snapshot.ts'
import type { Service, ServiceMembership, WaypointGateway, Workload } from '../model/types.ts'

/** A Service that stands for a waypoint. */
export type Waypoint = Service & { readonly gateway: WaypointGateway }

/** A waypoint as somebody names it. */
export interface NamedWaypoint {
  readonly key: string
  /** Undefined where the model has no such waypoint: then nobody is it, and nobody gets past it. */
  readonly waypoint: Waypoint | undefined
  /** The service that names it; undefined where the workload does. */
  readonly service: Service | undefined
}

const nobody: readonly NamedWaypoint[] = []

/** The waypoint with this key; undefined for an unknown key and for that of an ordinary service. */
function waypointAt(snapshot: Snapshot, key: string): Waypoint | undefined {
  const service = snapshot.serviceByKey(key)
  return service !== undefined && isWaypoint(service) ? service : undefined
}

function isWaypoint(service: Service): service is Waypoint {
  return service.gateway !== undefined
}

/** `namespace/name`, or the key where the model does not know it. */
export function waypointName({ key, waypoint }: NamedWaypoint): string {
  return waypoint === undefined ? key : `${waypoint.namespace}/${waypoint.name}`
}

/**
 * The one identity of a waypoint: the service account that is called like its Gateway, in its namespace. Being a member of its
 * Service is not enough, since labels make members: whoever may set one must not get to speak for others.
 */
export function waypointIdentity(snapshot: Snapshot, { namespace, name }: Waypoint): PeerIdentity {
  return { trustDomain: snapshot.settings.trustDomain, namespace, serviceAccount: name }
}

function isSame(a: PeerIdentity, b: PeerIdentity): boolean {
  return a.serviceAccount === b.serviceAccount && a.namespace === b.namespace && a.trustDomain === b.trustDomain
}

/**
 * Whether who connects from an address with a certificate is the waypoint. Its identity alone does not say so where the mesh knows a
 * workload there that has the same service account and is no instance. An address that nobody is known at may be that of an
 * instance that has just come, or just left.
 */
export function isPeerOf(
  snapshot: Snapshot,
  named: NamedWaypoint,
  identity: PeerIdentity,
  address: string | undefined,
): boolean {
  if (!isIdentityOf(snapshot, named, identity)) return false
  const workload = address === undefined ? undefined : snapshot.workloadByAddress(address)
  return workload === undefined || !isSame(workload, identity) || isInstance(snapshot, workload)
}

/** Whether a workload of the model is an instance of this waypoint. */
export function isInstanceOf(snapshot: Snapshot, named: NamedWaypoint, workload: Workload): boolean {
  return isIdentityOf(snapshot, named, workload) && isInstance(snapshot, workload)
}

/** Whether this identity is the waypoint's. Workloads that are no instances may have it, too: ask `isPeerOf` or `isInstanceOf`. */
function isIdentityOf(snapshot: Snapshot, { waypoint }: NamedWaypoint, identity: PeerIdentity): boolean {
  return waypoint !== undefined && isSame(waypointIdentity(snapshot, waypoint), identity)
}

/** A snapshot hands out the same endpoint array until a member changes, so the choice is made once per array. */
const instances = new WeakMap<readonly Workload[], { readonly principal: string; readonly list: readonly Workload[] }>()

/** The members of its Service that take tunnels and have its identity, healthy or not; the same array until one changes. */
export function instancesOf(snapshot: Snapshot, waypoint: Waypoint): readonly Workload[] {
  const members = snapshot.endpointsOf(serviceKey(waypoint))
  const identity = waypointIdentity(snapshot, waypoint)
  const principal = principalText(identity)
  const known = instances.get(members)
  if (known?.principal === principal) return known.list
  const list = members.filter((workload) => workload.protocol === 'HBONE' && isSame(workload, identity))
  if (members.length > 0) instances.set(members, { principal, list })
  return list
}

/** Whether the workload is an instance of any waypoint: nothing stands before those. */
export function isInstance(snapshot: Snapshot, workload: Workload): boolean {
  return workload.services.some(({ service }) => {
    const waypoint = waypointAt(snapshot, service)
    return waypoint !== undefined && isSame(waypointIdentity(snapshot, waypoint), workload)
  })
}

/** The waypoint that a service names. A waypoint has none before it. */
export function waypointOfService(snapshot: Snapshot, service: Service): NamedWaypoint | undefined {
  const key = service.waypoint
  if (key === undefined || isWaypoint(service)) return undefined
  return { key, waypoint: waypointAt(snapshot, key), service }
}

/** Whether a service leads to this port of its member; one whose ports are not known leads to all. */
function leadsTo({ ports }: ServiceMembership, port: number): boolean {
  const targets = Object.values(ports)
  return targets.length === 0 || targets.includes(port)
}

/**
 * All waypoints that stand before one port of a workload: its own, and those of the services that lead there. Any of them may
 * connect and speak for others.
 */
export function waypointsBefore(snapshot: Snapshot, workload: Workload, port: number): readonly NamedWaypoint[] {
  const own = workload.waypoint
  let found: NamedWaypoint[] | undefined
  if (own !== undefined) found = [{ key: own, waypoint: waypointAt(snapshot, own), service: undefined }]
  for (const membership of workload.services) {
    const service = snapshot.serviceByKey(membership.service)
    if (service?.waypoint === undefined || !leadsTo(membership, port)) continue
    const named = waypointOfService(snapshot, service)
    if (named === undefined) continue
    found ??= []
    found.push(named)
  }
  return found === undefined || isInstance(snapshot, workload) ? nobody : found
}

/** Whether its destinations take no connection that went around it. */
export function mustBePassed({ waypoint }: NamedWaypoint): boolean {
  return waypoint?.gateway.bypass !== 'allowed'
}

/**
 * The waypoints of which `source` passes one to connect to a port of a workload, the first that serves; none where it goes straight.
 * @param service through which the workload was chosen, which has no waypoint itself: then, as in Istio, the workload's is not
 * asked, unless the workload takes nothing that went around it
 */
export function waypointsTowards(
  snapshot: Snapshot,
  source: Workload,
  workload: Workload,
  port: number,
  service: Service | undefined,
): readonly NamedWaypoint[] {
  const before = waypointsBefore(snapshot, workload, port)
  if (before.length === 0 || before.some((named) => isInstanceOf(snapshot, named, source))) return nobody
  return before.filter((named) => mustBePassed(named) || (service === undefined && takesWorkloads(named)))
}

/** Also for traffic to the address of a workload: a headless service has no other addresses. */
function takesWorkloads({ waypoint, service }: NamedWaypoint): boolean {
  return service === undefined || service.headless || waypoint?.gateway.takes !== 'service'
}

/** Whether waypoints before the workload may be others after a change of these services. */
export function waypointsChanged(snapshot: Snapshot, workload: Workload, services: ReadonlySet<string>): boolean {
  if (services.size === 0) return false
  if (workload.waypoint !== undefined && services.has(workload.waypoint)) return true
  return workload.services.some(({ service }) => {
    const waypoint = snapshot.serviceByKey(service)?.waypoint
    return services.has(service) || (waypoint !== undefined && services.has(waypoint))
  })
}
