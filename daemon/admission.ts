// What both inbound ways ask: may this connection in, and how is the application reached so that it sees its caller.
// data-plane.ts asks `refusal` again for live connections after a change of the model.
import type { CancelSignal } from '../core/base/cancel.ts'
import type { MeshError } from '../core/base/errors.ts'
import { type Arrival, admit, showsCaller } from '../core/decide/inbound.ts'
import type { Snapshot } from '../core/model/snapshot.ts'
import type { SocketAddress } from '../core/net/address.ts'
import type { ConnectionFacts } from './connections.ts'
import type { Report } from './reports.ts'
import type { Served } from './served.ts'
import type { ConnectRequest } from './sockets.ts'

/** What policy says of an inbound connection now; undefined where it is allowed. */
export function refusal(snapshot: Snapshot, facts: ConnectionFacts): MeshError | undefined {
  return admit(snapshot, arrivalOf(facts)).error
}

function arrivalOf({ owner, identity, via, source, destination }: ConnectionFacts): Arrival {
  return {
    uid: owner.uid,
    workload: owner.model,
    identity,
    via: via?.identity,
    viaAddress: via?.address.address,
    sourceAddress: source.address,
    destinationAddress: destination.address,
    destinationPort: destination.port,
  }
}

/**
 * Throws POLICY_DENIED. For a connection that is registered already: a later change of policy then closes it. What dry-run
 * policies would have said goes into the report.
 */
export function permit(snapshot: Snapshot, facts: ConnectionFacts, report: Report): void {
  const { verdict, error } = admit(snapshot, arrivalOf(facts))
  report.dryRun = verdict?.dryRun
  if (error !== undefined) throw error
}

/** The application sees its caller's address, unless that is its own or of the other family. */
export function toApplication(
  served: Served,
  source: SocketAddress,
  to: SocketAddress,
  signal: CancelSignal,
): ConnectRequest {
  const base = { workload: served.local, to, signal }
  return showsCaller(source.address, to.address)
    ? { ...base, bind: source.address, transparent: true }
    : { ...base, transparent: false }
}
