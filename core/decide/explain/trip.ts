// What the ways of one explanation have in common: who dials what, how a way is written down, what the destination says of it.
import type { MeshError } from '../../base/errors.ts'
import type { PeerIdentity } from '../../model/canonical.ts'
import type { ExplainedAuthorization, ExplainedPath } from '../../model/explanation.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import type { Workload } from '../../model/types.ts'
import { formatSocketAddress, type SocketAddress } from '../../net/address.ts'
import { peerAuthenticationAt, subjectOf } from '../authorize.ts'
import { admit, showsCaller } from '../inbound.ts'
import type { Source } from './locate.ts'
import { examine } from './policies.ts'

/** What each of the ways to `dial` has in common. */
export interface Trip {
  readonly snapshot: Snapshot
  readonly source: Source
  readonly dial: SocketAddress
}

export type Fields = Omit<ExplainedPath, 'dial' | 'target' | 'share'>

export function path({ dial }: Trip, fields: Fields, target: SocketAddress = dial, share = 1): ExplainedPath {
  return { dial: formatSocketAddress(dial), target: formatSocketAddress(target), share, ...fields }
}

export function refusal(error: MeshError, transport: ExplainedPath['transport'] = 'none'): Fields {
  const { code, message } = error
  const transportBecause = 'the source proxy refuses the connection'
  return { verdict: 'unreachable', because: message, code, transport, transportBecause }
}

export function shown(caller: string, target: SocketAddress): string {
  return showsCaller(caller, target.address) ? caller : target.address
}

/** The verdict of the destination's proxy. `source` is absent for plaintext, `via` without a waypoint. */
export function admitted(
  { snapshot }: Trip,
  workload: Workload,
  target: SocketAddress,
  sourceAddress: string,
  source?: Workload,
  via?: PeerIdentity,
): Pick<ExplainedPath, 'verdict' | 'because' | 'code' | 'peerAuthentication' | 'authorization'> {
  const connection = {
    identity: source,
    via,
    sourceAddress,
    destinationAddress: target.address,
    destinationPort: target.port,
  }
  const { verdict, error } = admit(snapshot, { ...connection, uid: workload.uid, workload })
  if (verdict === undefined) return { verdict: 'denied', because: error?.message ?? '', code: 'POLICY_DENIED' }
  const policies = examine(snapshot, workload, subjectOf({ ...connection, workload }), verdict)
  const mode = peerAuthenticationAt(workload, target.port)
  const set = workload.peerAuthentication.source
  const because = verdict.allowed ? allowedBecause(verdict.policy, policies.length) : verdict.reason
  const authorization: ExplainedAuthorization = {
    allowed: verdict.allowed,
    ...(verdict.policy === undefined ? {} : { policy: verdict.policy }),
    because,
    ...(verdict.dryRun === undefined ? {} : { dryRun: verdict.dryRun }),
    policies,
  }
  return {
    verdict: verdict.allowed ? 'allowed' : 'denied',
    because: verdict.allowed ? because : `denied by ${verdict.policy}: ${verdict.reason}`,
    ...(error === undefined ? {} : { code: error.code }),
    peerAuthentication: { mode, ...(set === undefined ? {} : { source: set }) },
    authorization,
  }
}

function allowedBecause(policy: string | undefined, held: number): string {
  if (policy !== undefined) return `${policy} matches`
  return held === 0 ? 'no policy holds for the destination' : 'no DENY policy matches and no ALLOW policy holds for it'
}
