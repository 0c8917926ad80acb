// What the destination's proxy decides before and after policy: what is not for this workload, who may in, which address the
// application sees. Pure; the inbound ways of the daemon ask for every connection, `explain` asks the same functions.
import { MeshError } from '../base/errors.ts'
import { capturePorts } from '../model/ports.ts'
import type { Snapshot } from '../model/snapshot.ts'
import type { Workload } from '../model/types.ts'
import { familyOf, formatSocketAddress, type SocketAddress } from '../net/address.ts'
import { authorize, type InboundConnection, type Verdict } from './authorize.ts'

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
