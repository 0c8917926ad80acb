// What the source's proxy decides around a route: what never leaves, from which address a connection is made, which limits
// hold. Pure; daemon/outbound.ts asks for every connection, `explain` asks the same functions.
import { MeshError } from '../base/errors.ts'
import { capturePorts } from '../model/ports.ts'
import { familyOf, formatSocketAddress, isLoopback, type SocketAddress } from '../net/address.ts'

/** What holds for every connection that a captured workload opens; the two timeouts are the daemon's defaults. */
export const outboundLimits = {
  /** Endpoints of a service that one connection tries. */
  maxEndpoints: 3,
  /** So long a connection waits for a session with an endpoint where there is another one. */
  patienceMs: 3_000,
  /** So long a connection waits for a waypoint of which no instance is there. */
  waypointPatienceMs: 3_000,
  /** Longest wait for an outbound connection, the tunnel included. */
  establishTimeoutMs: 20_000,
  /** Longest wait for the application at the other end to accept. */
  connectTimeoutMs: 10_000,
} as const

/**
 * Nothing that reaches the outbound port may lead back to a port of the proxy.
 * @param own addresses of the workload @param direct nothing redirected the connection: it was made to the outbound port itself
 */
export function refuseOutbound(
  own: readonly string[],
  destination: SocketAddress,
  direct: boolean,
): MeshError | undefined {
  const text = formatSocketAddress(destination)
  if (direct)
    return new MeshError('LOOP_REFUSED', `${text} was connected directly: only redirected connections come here`)
  if ((isLoopback(destination.address) || own.includes(destination.address)) && capturePorts.has(destination.port)) {
    return new MeshError('LOOP_REFUSED', `${text} is a port of the workload's own proxy`)
  }
  return undefined
}

/**
 * From where a tunnel to `peer` is opened: the address that the application used where it fits, else the workload's first of
 * the peer's family. Undefined where it has none.
 */
export function sourceAddressFor(own: readonly string[], used: string | undefined, peer: string): string | undefined {
  const family = familyOf(peer)
  if (used !== undefined && familyOf(used) === family && own.includes(used)) return used
  return own.find((address) => familyOf(address) === family)
}
