// Whom a CONNECT comes from and whom it is for: what the waypoint serves and nothing else, so that it is no open proxy. Pure; serve.ts
// asks for every CONNECT, and again for what is connected after a change of the model.
import { MeshError } from '../core/base/errors.ts'
import { waypointOfService, waypointsBefore } from '../core/decide/waypoint.ts'
import type { IncomingConnect } from '../core/hbone/types.ts'
import type { PeerIdentity } from '../core/model/canonical.ts'
import { principalText, workloadIdentity } from '../core/model/canonical.ts'
import { capturePorts } from '../core/model/ports.ts'
import { type Snapshot, serviceKey } from '../core/model/snapshot.ts'
import type { Service, Workload } from '../core/model/types.ts'
import { formatSocketAddress, isLoopback, parseSocketAddress, type SocketAddress } from '../core/net/address.ts'
import type { Origin } from './exchange.ts'

/** The waypoint that asks. */
export interface Self {
  /** Key of its Service. */
  readonly key: string
  readonly addresses: readonly string[]
}

export type Arriving = Pick<IncomingConnect, 'authority' | 'peer'>

/** Throws TUNNEL_BAD_REQUEST (400) for what is no place to go to, POLICY_DENIED (401) for what this waypoint is not there for. */
export function originOf(snapshot: Snapshot, self: Self, { authority, peer }: Arriving): Origin {
  const destination = parseSocketAddress(authority)
  if (destination === undefined || destination.port === 0) {
    throw new MeshError('TUNNEL_BAD_REQUEST', `CONNECT to "${authority.slice(0, 100)}": not ip:port`)
  }
  return {
    identity: peer.identity,
    principal: `spiffe://${principalText(peer.identity)}`,
    address: peer.address,
    workload: callerOf(snapshot, peer.identity, peer.address),
    destination,
    ...servedAt(snapshot, self, destination),
  }
}

/**
 * Asked for what is connected, after a change of the model: whether what the client connected to is still served, and still the same. An
 * address that changed hands is somebody else's, whom the client did not mean. Throws as originOf.
 */
export function mayStay(snapshot: Snapshot, self: Self, { destination, service, target }: Origin): void {
  const now = servedAt(snapshot, self, destination)
  const before = service === undefined ? target?.uid : serviceKey(service)
  const after = now.service === undefined ? now.target?.uid : serviceKey(now.service)
  if (before === after) return
  const text = formatSocketAddress(destination)
  throw new MeshError('POLICY_DENIED', `${text} belonged to ${before} and belongs to ${after} now`)
}

/** What stands at an address, if this waypoint serves it. Throws as originOf. */
export function servedAt(
  snapshot: Snapshot,
  self: Self,
  destination: SocketAddress,
): { readonly service: Service | undefined; readonly target: Workload | undefined } {
  const { address, port } = destination
  const text = formatSocketAddress(destination)
  if (isLoopback(address) || address === '0.0.0.0' || address === '::' || self.addresses.includes(address))
    throw new MeshError('TUNNEL_BAD_REQUEST', `CONNECT to ${text}: that is the waypoint itself`)
  if (capturePorts.has(port))
    throw new MeshError('TUNNEL_BAD_REQUEST', `CONNECT to ${text}: a port of the proxy itself`)
  const service = snapshot.serviceByVip(address)
  if (service === undefined) return { service: undefined, target: workloadAt(snapshot, self, destination) }
  if (waypointOfService(snapshot, service)?.key !== self.key)
    throw denied(text, self, `service ${service.namespace}/${service.name} names ${service.waypoint ?? 'none'}`)
  if (service.ports.some((known) => known.port === port)) return { service, target: undefined }
  const known = service.ports.map((each) => each.port).join(', ')
  throw new MeshError(
    'TUNNEL_BAD_REQUEST',
    `service ${service.namespace}/${service.name} has no port ${port}, only ${known || 'none'}`,
  )
}

function workloadAt(snapshot: Snapshot, self: Self, destination: SocketAddress): Workload {
  const text = formatSocketAddress(destination)
  const workload = snapshot.workloadByAddress(destination.address)
  if (workload === undefined) throw denied(text, self, 'the mesh knows nobody there')
  if (waypointsBefore(snapshot, workload, destination.port).some(({ key }) => key === self.key)) return workload
  throw denied(text, self, `workload ${workload.namespace}/${workload.name} is not behind it`)
}

/** The workload at the caller's address, if it has the identity that the certificate proves. */
function callerOf(snapshot: Snapshot, identity: PeerIdentity, { address }: SocketAddress): Workload | undefined {
  const workload = snapshot.workloadByAddress(address)
  const is = workload !== undefined && workloadIdentity(workload) === `spiffe://${principalText(identity)}`
  return is ? workload : undefined
}

function denied(text: string, self: Self, why: string): MeshError {
  return new MeshError('POLICY_DENIED', `CONNECT to ${text}: waypoint ${self.key} does not serve it: ${why}`)
}
