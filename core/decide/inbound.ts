// What the destination's proxy decides before and after policy: what is not for this workload, who may in, which address the
// application sees. Pure; the inbound ways of the daemon ask for every connection, `explain` asks the same functions.
import { MeshError } from '../base/errors.ts'
import type { PeerIdentity } from '../model/canonical.ts'
import { capturePorts } from '../model/ports.ts'
import type { Snapshot } from '../model/snapshot.ts'
import type { Workload } from '../model/types.ts'
import { familyOf, formatSocketAddress, isLoopback, type SocketAddress } from '../net/address.ts'
import { authorize, type InboundConnection, type Verdict } from './authorize.ts'
import { isPeerOf, type Waypoint, waypointsBefore } from './waypoint.ts'

export interface TunnelTarget {
  /** As the caller wrote it. */
  readonly authority: string
  /** The authority, where it is an address and port. */
  readonly target: SocketAddress | undefined
  /** Where the tunnel arrived. */
  readonly local: SocketAddress
  /** Addresses of the workload that is served there. */
  readonly own: readonly string[]
}

/** The tunnel leads to the workload whose address it reached, and never to a port of the proxy. */
export function refuseTunnel({ authority, target, local, own }: TunnelTarget): MeshError | undefined {
  if (target === undefined || target.port === 0) {
    return new MeshError('TUNNEL_BAD_REQUEST', `CONNECT to "${authority.slice(0, 100)}": not ip:port`)
  }
  if (target.address !== local.address || !own.includes(target.address)) {
    const text = `CONNECT to ${formatSocketAddress(target)} arrived at ${local.address}: not this workload's address`
    return new MeshError('TUNNEL_BAD_REQUEST', `${text} (was the address reused?)`)
  }
  if (capturePorts.has(target.port)) {
    return new MeshError('LOOP_REFUSED', `CONNECT to ${formatSocketAddress(target)}: a port of the proxy itself`)
  }
  return undefined
}

/**
 * Only what the rules redirected, and never a port of the proxy: the socket to it would be redirected here again.
 * @param direct nothing redirected the connection
 */
export function refusePlaintext(destination: SocketAddress, direct: boolean): MeshError | undefined {
  const text = formatSocketAddress(destination)
  if (direct)
    return new MeshError('LOOP_REFUSED', `${text} was connected directly: only redirected connections come here`)
  if (!capturePorts.has(destination.port)) return undefined
  return new MeshError('LOOP_REFUSED', `${text} is a port of the proxy itself`)
}

/** For whom a peer says to ask; both undefined where that cannot be read. */
export interface Claim {
  readonly identity: PeerIdentity | undefined
  readonly source: SocketAddress | undefined
}

export interface Arriving {
  readonly workload: Workload | undefined
  /** The workload's. */
  readonly port: number
  /** The peer's, from its certificate. */
  readonly identity: PeerIdentity
  /** From where the peer connects. */
  readonly address: string | undefined
  /** Undefined where the peer names no caller. */
  readonly claim: Claim | undefined
}

export type Caller =
  /** The peer itself. `ignored`: it named another one, and may not. */
  | { readonly kind: 'peer'; readonly ignored: boolean }
  | {
      readonly kind: 'passed'
      readonly identity: PeerIdentity
      readonly source: SocketAddress
      /** The waypoint that says so. */
      readonly via: Waypoint
    }
  /** TUNNEL_BAD_REQUEST: a waypoint speaks for somebody, and nobody can tell for whom. */
  | { readonly kind: 'refused'; readonly error: MeshError }

/** Who calls, where a waypoint may ask for others. Only those that this destination declares are believed. */
export function callerOf(snapshot: Snapshot, { workload, port, identity, address, claim }: Arriving): Caller {
  if (claim === undefined) return { kind: 'peer', ignored: false }
  const before = workload === undefined ? [] : waypointsBefore(snapshot, workload, port)
  const waypoint = before.find((named) => isPeerOf(snapshot, named, identity, address))?.waypoint
  if (waypoint === undefined) return { kind: 'peer', ignored: true }
  const { identity: caller, source } = claim
  if (caller === undefined) return unbelievable(waypoint, 'whose identity cannot be read')
  if (source === undefined) return unbelievable(waypoint, 'whose address cannot be read')
  const { trustDomain } = snapshot.settings
  if (caller.trustDomain !== trustDomain) return unbelievable(waypoint, `who is of trust domain ${caller.trustDomain}`)
  // The application would take it for a program of its own host.
  if (!canCall(snapshot, source)) return unbelievable(waypoint, `from ${source.address}, where nobody connects from`)
  return { kind: 'passed', identity: caller, source, via: waypoint }
}

function unbelievable({ namespace, name }: Waypoint, why: string): Caller {
  const text = `waypoint ${namespace}/${name} passed a caller on, ${why}`
  return { kind: 'refused', error: new MeshError('TUNNEL_BAD_REQUEST', text) }
}

/** Not loopback, virtual, 0.0.0.0/8, `::`, ff00::/8, nor 224.0.0.0/4 and above. */
function canCall(snapshot: Snapshot, { address }: SocketAddress): boolean {
  if (isLoopback(address) || snapshot.isVirtual(address)) return false
  if (familyOf(address) === 'ipv6') return address !== '::' && !/^ff[0-9a-f]{2}:/.test(address)
  const first = Number.parseInt(address, 10)
  return first > 0 && first < 224
}

/** A connection that has arrived at a served workload; `workload` is undefined where the model lacks it. */
export type Arrival = Omit<InboundConnection, 'workload'> & {
  readonly uid: string
  readonly workload: Workload | undefined
}

export interface Admission {
  readonly verdict: Verdict | undefined
  /** POLICY_DENIED; undefined where the connection may in. */
  readonly error: MeshError | undefined
}

/** What policy says of an inbound connection now. */
export function admit(snapshot: Snapshot, { uid, workload, ...connection }: Arrival): Admission {
  if (workload === undefined) {
    const text = `${uid} is not in the mesh's model, so nobody may connect to it`
    return { verdict: undefined, error: new MeshError('POLICY_DENIED', text) }
  }
  const verdict = authorize(snapshot, { ...connection, workload })
  if (verdict.allowed) return { verdict, error: undefined }
  return { verdict, error: new MeshError('POLICY_DENIED', `denied by ${verdict.policy}: ${verdict.reason}`) }
}

/** Whether the application sees its caller's address: not where that is its own, or of the other family. */
export function showsCaller(caller: string, application: string): boolean {
  return caller !== application && familyOf(caller) === familyOf(application)
}
