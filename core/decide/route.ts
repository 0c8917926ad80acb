// Where a connection that a workload opens goes: through a tunnel, in plaintext, or nowhere. Pure; the daemon's outbound
// path asks for every connection, `explain` asks the same function.
import { MeshError } from '../base/errors.ts'
import { workloadIdentity } from '../model/canonical.ts'
import { capturePorts, ports } from '../model/ports.ts'
import { type Snapshot, serviceKey } from '../model/snapshot.ts'
import type { Service, Workload } from '../model/types.ts'
import { familyOf, formatSocketAddress, isLoopback, type SocketAddress } from '../net/address.ts'
import { pickEndpoint } from './balance.ts'
import {
  instancesOf,
  isInstanceOf,
  type NamedWaypoint,
  waypointName,
  waypointOfService,
  waypointsTowards,
} from './waypoint.ts'

export interface RouteRequest {
  readonly source: Workload
  /** Where the application believes to connect; canonical. */
  readonly destination: SocketAddress
  /** [0, 1). */
  readonly random: () => number
  /** uids of endpoints that were tried already, for a retry. */
  readonly exclude?: ReadonlySet<string> | undefined
}

export type RouteDecision =
  | {
      readonly kind: 'tunnel'
      /** At the other end of the tunnel: an instance of `waypoint`, where there is one. */
      readonly workload: Workload
      readonly service?: Service
      /** `:authority` of the CONNECT. */
      readonly target: SocketAddress
      /** Where to dial. */
      readonly peer: SocketAddress
      /** SPIFFE URIs of which the peer must present one. */
      readonly expectedIdentities: readonly string[]
      /** Where the tunnel ends at a waypoint, which then serves `target`. */
      readonly waypoint?: NamedWaypoint
    }
  | {
      readonly kind: 'plain'
      readonly target: SocketAddress
      readonly workload?: Workload
      readonly service?: Service
    }
  | {
      readonly kind: 'refuse'
      readonly error: MeshError
      readonly service?: Service
      /** That cannot be reached, and may not be gone around. */
      readonly waypoint?: NamedWaypoint
    }

/**
 * Virtual IPs come first, then addresses of workloads; what is neither passes in plaintext to where it was going, except
 * into the range of the virtual IPs (nothing outside the mesh is meant by those) and back into the proxy itself.
 */
export function route(snapshot: Snapshot, request: RouteRequest): RouteDecision {
  const { destination } = request
  const { address } = destination
  if (isLoopback(address) || address === '0.0.0.0' || address === '::') return loop(destination)
  const service = snapshot.serviceByVip(address)
  if (service !== undefined) return toService(snapshot, service, request)
  const workload = snapshot.workloadByAddress(address)
  if (isOwnPort(request.source, workload, destination)) return loop(destination)
  if (workload !== undefined) return toWorkload(snapshot, workload, destination, request)
  if (snapshot.isVirtual(address)) {
    return refuse(
      'NO_ENDPOINT',
      `${address} is a virtual IP of no service: was the service deleted or its name cached?`,
    )
  }
  return { kind: 'plain', target: destination }
}

function toService(snapshot: Snapshot, service: Service, request: RouteRequest): RouteDecision {
  const { destination, random, exclude, source } = request
  const key = serviceKey(service)
  if (!service.ports.some(({ port }) => port === destination.port)) {
    const known = service.ports.map(({ port }) => port).join(', ')
    return refuse('UNKNOWN_PORT', `service ${key} has no port ${destination.port}, only ${known || 'none'}`, service)
  }
  const waypoint = waypointOfService(snapshot, service)
  if (waypoint !== undefined) {
    const who = `service ${key}`
    const decision = throughWaypoint(snapshot, { waypoint, who, target: destination, service }, request)
    if (decision !== undefined) return decision
  }
  const family = familyOf(destination.address)
  const members = snapshot.endpointsOf(key)
  const endpoint = pickEndpoint(members, { service: key, port: destination.port, family, random, exclude })
  if (endpoint === undefined) {
    const tried = exclude === undefined || exclude.size === 0 ? '' : `, ${exclude.size} tried already`
    const found = `${members.length} known${tried}`
    return refuse(
      'NO_ENDPOINT',
      `service ${key} has no healthy endpoint for port ${destination.port} (${found})`,
      service,
    )
  }
  if (isOwnPort(source, endpoint.workload, endpoint.target)) return loop(endpoint.target, service)
  return toWorkload(snapshot, endpoint.workload, endpoint.target, request, service)
}

function toWorkload(
  snapshot: Snapshot,
  workload: Workload,
  target: SocketAddress,
  request: RouteRequest,
  service?: Service,
): RouteDecision {
  const { source } = request
  const who = `workload ${workload.namespace}/${workload.name}`
  for (const waypoint of waypointsTowards(snapshot, source, workload, target.port, service)) {
    const decision = throughWaypoint(snapshot, { waypoint, who, target, service }, request)
    if (decision !== undefined) return decision
  }
  return direct(workload, target, service)
}

function direct(workload: Workload, target: SocketAddress, service?: Service): RouteDecision {
  const via = service === undefined ? { workload } : { workload, service }
  if (workload.protocol === 'TCP') return { kind: 'plain', target, ...via }
  const expectedIdentities = [...new Set([workloadIdentity(workload), ...(service?.identities ?? [])])]
  const peer = { address: target.address, port: ports.hbone }
  return { kind: 'tunnel', target, peer, expectedIdentities, ...via }
}

interface Onward {
  readonly waypoint: NamedWaypoint
  /** Before whom it stands, for people. */
  readonly who: string
  /** Where the waypoint shall connect. */
  readonly target: SocketAddress
  readonly service: Service | undefined
}

/**
 * The tunnel to an instance of a waypoint. Undefined where the connection goes on without it: the caller is the waypoint itself,
 * or none can be reached and it may be gone around then.
 */
function throughWaypoint(
  snapshot: Snapshot,
  { waypoint, who, target, service }: Onward,
  { source, random, exclude }: RouteRequest,
): RouteDecision | undefined {
  const known = waypoint.waypoint
  if (known === undefined) {
    const hint = 'which the mesh does not know: is there a Gateway of this name, with class culvert-waypoint?'
    return refuse('NO_ENDPOINT', `${who} wants waypoint ${waypoint.key}, ${hint}`, service, waypoint)
  }
  if (isInstanceOf(snapshot, waypoint, source)) return undefined
  const instances = instancesOf(snapshot, known)
  const family = familyOf(target.address)
  const instance = pickEndpoint(instances, { service: waypoint.key, port: ports.hbone, family, random, exclude })
  if (instance !== undefined) {
    const expectedIdentities = [workloadIdentity(instance.workload)]
    const via = service === undefined ? { waypoint } : { waypoint, service }
    return { kind: 'tunnel', target, peer: instance.target, workload: instance.workload, expectedIdentities, ...via }
  }
  if (known.gateway.whenUnreachable === 'bypass') return undefined
  const tried = exclude === undefined || exclude.size === 0 ? '' : `, ${exclude.size} tried already`
  const found = `${instances.length} known${tried}`
  const hint = `does "culvert waypoint" run for it, with service account ${known.name}? Nothing goes around it`
  const text = `waypoint ${waypointName(waypoint)} of ${who} has no healthy instance (${found}): ${hint}`
  return refuse('NO_ENDPOINT', text, service, waypoint)
}

/** Ports of the proxy on an address where one listens: the source's own, and those of captured workloads. */
function isOwnPort(source: Workload, workload: Workload | undefined, destination: SocketAddress): boolean {
  if (!capturePorts.has(destination.port)) return false
  if (source.addresses.includes(destination.address)) return true
  return workload !== undefined && (workload.enrolled || workload.protocol === 'HBONE')
}

function loop(destination: SocketAddress, service?: Service): RouteDecision {
  const where = formatSocketAddress(destination)
  return refuse(
    'LOOP_REFUSED',
    `${where} is the mesh proxy itself or loopback: a captured connection never goes there`,
    service,
  )
}

function refuse(
  code: ConstructorParameters<typeof MeshError>[0],
  message: string,
  service?: Service,
  waypoint?: NamedWaypoint,
): RouteDecision {
  const error = new MeshError(code, message)
  return {
    kind: 'refuse',
    error,
    ...(service === undefined ? {} : { service }),
    ...(waypoint === undefined ? {} : { waypoint }),
  }
}
