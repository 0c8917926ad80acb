// What both inbound ways ask: may this connection in, and how is the application reached so that it sees its caller.
// data-plane.ts asks `refusal` again for live connections after a change of the model.
import { MeshError } from '../core/base/errors.ts'
import { authorize, type Verdict } from '../core/decide/authorize.ts'
import type { Snapshot } from '../core/model/snapshot.ts'
import { familyOf, type SocketAddress } from '../core/net/address.ts'
import type { ConnectionFacts } from './connections.ts'
import type { Report } from './reports.ts'
import type { Served } from './served.ts'
import type { ConnectRequest } from './sockets.ts'

/** What policy says of an inbound connection now; undefined where it is allowed. */
export function refusal(snapshot: Snapshot, facts: ConnectionFacts): MeshError | undefined {
  return errorOf(facts, judge(snapshot, facts))
}

/** Undefined where the workload is not in the model. */
function judge(snapshot: Snapshot, facts: ConnectionFacts): Verdict | undefined {
  const { model: workload } = facts.owner
  if (workload === undefined) return undefined
  return authorize(snapshot, {
    identity: facts.identity,
    sourceAddress: facts.source.address,
    destinationAddress: facts.destination.address,
    destinationPort: facts.destination.port,
    workload,
  })
}

function errorOf({ owner }: ConnectionFacts, verdict: Verdict | undefined): MeshError | undefined {
  if (verdict === undefined) {
    return new MeshError('POLICY_DENIED', `${owner.uid} is not in the mesh's model, so nobody may connect to it`)
  }
  if (verdict.allowed) return undefined
  return new MeshError('POLICY_DENIED', `denied by ${verdict.policy}: ${verdict.reason}`)
}

/**
 * Throws POLICY_DENIED. For a connection that is registered already: a later change of policy then closes it. What dry-run
 * policies would have said goes into the report.
 */
export function permit(snapshot: Snapshot, facts: ConnectionFacts, report: Report): void {
  const verdict = judge(snapshot, facts)
  report.dryRun = verdict?.dryRun
  const error = errorOf(facts, verdict)
  if (error !== undefined) throw error
}

/** The application sees its caller's address, unless that is its own or of the other family. */
export function toApplication(
  served: Served,
  source: SocketAddress,
  to: SocketAddress,
  signal: AbortSignal,
): ConnectRequest {
  const shown = source.address !== to.address && familyOf(source.address) === familyOf(to.address)
  const base = { workload: served.local, to, signal }
  return shown ? { ...base, bind: source.address, transparent: true } : { ...base, transparent: false }
}
