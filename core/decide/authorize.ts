// Who may talk to a workload. Pure: the inbound paths of the daemon ask for every connection and again when policy changes;
// `explain` asks the same function.
import { type PeerIdentity, principalText } from '../model/canonical.ts'
import type { Policy } from '../model/policy.ts'
import type { PolicySet } from '../model/policy-index.ts'
import type { Snapshot } from '../model/snapshot.ts'
import type { Workload } from '../model/types.ts'
import { matchingRule, type PolicySubject } from './match.ts'
import { isPeerOf, mustBePassed, waypointName, waypointsBefore } from './waypoint.ts'

export interface InboundConnection {
  /** From the peer's verified certificate, or passed on by a waypoint; absent for plaintext. */
  readonly identity?: PeerIdentity | undefined
  /** The peer's own identity, where it passed another one on as the caller. */
  readonly via?: PeerIdentity | undefined
  /** From where that peer connects. */
  readonly viaAddress?: string | undefined
  readonly sourceAddress: string
  readonly destinationAddress: string
  /** The workload's port. */
  readonly destinationPort: number
  readonly workload: Workload
}

/** `policy` names what decided, `namespace/name rule 2`; `dryRun` what dry-run policies would have done otherwise. */
export type Verdict =
  | { readonly allowed: true; readonly policy?: string; readonly dryRun?: string }
  | { readonly allowed: false; readonly policy: string; readonly reason: string; readonly dryRun?: string }

/**
 * In this order: STRICT without identity denies; who goes around a waypoint is denied; a policy that did not arrive denies; any DENY that matches denies; without
 * ALLOW policies it is allowed; any ALLOW that matches allows; otherwise it is denied.
 */
export function authorize(snapshot: Snapshot, connection: InboundConnection): Verdict {
  const refused = strictVerdict(connection) ?? bypassVerdict(snapshot, connection)
  if (refused !== undefined) return refused
  const policies = snapshot.authorizationsFor(connection.workload)
  const subject = subjectOf(connection)
  const verdict = decide(policies, subject)
  const dryRun = dryRunText(policies, subject, verdict)
  return dryRun === undefined ? verdict : { ...verdict, dryRun }
}

/** The mode of PeerAuthentication for one port of a workload. */
export function peerAuthenticationAt({ peerAuthentication }: Workload, port: number): 'STRICT' | 'PERMISSIVE' {
  const { mode, ports } = peerAuthentication
  const exception = String(port)
  return (Object.hasOwn(ports, exception) ? ports[exception] : undefined) ?? mode
}

function strictVerdict({ identity, destinationPort, workload }: InboundConnection): Verdict | undefined {
  if (identity !== undefined) return undefined
  if (peerAuthenticationAt(workload, destinationPort) === 'PERMISSIVE') return undefined
  const { source } = workload.peerAuthentication
  const reason = 'mTLS is STRICT and the connection is plaintext: is the caller enrolled in the mesh?'
  return { allowed: false, policy: `PeerAuthentication ${source ?? workload.namespace}`, reason }
}

/** Whoever is not a waypoint of the destination may not pass one by, and may not speak for others. */
function bypassVerdict(snapshot: Snapshot, connection: InboundConnection): Verdict | undefined {
  const { identity, via, workload, destinationPort } = connection
  const before = waypointsBefore(snapshot, workload, destinationPort)
  if (before.length === 0 && via === undefined) return undefined
  const peer = via ?? identity
  const address = via === undefined ? connection.sourceAddress : connection.viaAddress
  if (peer !== undefined && before.some((named) => isPeerOf(snapshot, named, peer, address))) return undefined
  if (via !== undefined) {
    const reason = 'it passed a caller on, and is no waypoint of the destination'
    return { allowed: false, policy: `waypoint ${principalText(via)}`, reason }
  }
  const passedBy = before.find(mustBePassed)
  if (passedBy === undefined) return undefined
  const unknown = passedBy.waypoint === undefined ? ', which the mesh does not know (is its Gateway there?)' : ''
  const reason = `connections come through this waypoint only${unknown}, and this one went around it`
  return { allowed: false, policy: `waypoint ${waypointName(passedBy)}`, reason }
}

/** What policies look at of a connection. */
export function subjectOf(connection: InboundConnection): PolicySubject {
  const { identity, sourceAddress, destinationAddress, destinationPort } = connection
  return {
    principal: identity === undefined ? '' : principalText(identity),
    namespace: identity?.namespace ?? '',
    serviceAccount: identity === undefined ? '' : `${identity.namespace}/${identity.serviceAccount}`,
    sourceAddress,
    destinationAddress,
    destinationPort,
  }
}

function decide(policies: PolicySet, subject: PolicySubject): Verdict {
  const [missing] = policies.missing
  if (missing !== undefined) {
    return { allowed: false, policy: missing, reason: 'a policy that selects this workload has not arrived' }
  }
  for (const policy of policies.deny) {
    const rule = matchingRule(policy, subject)
    if (rule !== undefined) return denied(policy, rule)
  }
  if (policies.allow.length === 0) return { allowed: true }
  for (const policy of policies.allow) {
    const rule = matchingRule(policy, subject)
    if (rule !== undefined) return { allowed: true, policy: `${policy.key} rule ${rule}` }
  }
  const names = policies.allow.map((policy) => policy.key)
  return { allowed: false, policy: listed(names), reason: 'no rule of an ALLOW policy matches' }
}

function denied(policy: Policy, rule: number): Verdict {
  const { key, standsInFor } = policy
  if (standsInFor === undefined) return { allowed: false, policy: `${key} rule ${rule}`, reason: 'a DENY rule matches' }
  return {
    allowed: false,
    policy: key,
    reason: `the policy could not be read, so it denies everything (${standsInFor})`,
  }
}

/** Up to three names; policies of one workload can be many. */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ')
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown
}

/** What would happen if the dry-run policies were enforced too, where that differs. */
function dryRunText(policies: PolicySet, subject: PolicySubject, verdict: Verdict): string | undefined {
  if (policies.dryRun.length === 0) return undefined
  const added = (action: Policy['action']) => policies.dryRun.filter((policy) => policy.action === action)
  const enforced = {
    ...policies,
    deny: [...policies.deny, ...added('DENY')],
    allow: [...policies.allow, ...added('ALLOW')],
  }
  const other = decide(enforced, subject)
  if (other.allowed === verdict.allowed) return undefined
  return other.allowed ? `would be allowed by ${other.policy}` : `would be denied by ${other.policy}: ${other.reason}`
}
