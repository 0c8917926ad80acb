// The fields of the access log: one line per connection, at its end, with ztunnel's field names. Pure; telemetry.ts writes it.
import type { MeshError } from '../../core/base/errors.ts'
import { quoted } from '../../core/base/log.ts'
import { formatIdentity } from '../../core/identity/spiffe.ts'
import { workloadIdentity } from '../../core/model/canonical.ts'
import type { Workload } from '../../core/model/types.ts'
import { formatSocketAddress } from '../../core/net/address.ts'
import type { ConnectionFacts } from './labels.ts'

/** Totals of one connection, as Istio's metrics direct them. */
export interface ByteCounts {
  /** From the caller to the one called (the request), whoever reports. */
  readonly received: number
  /** From the one called to the caller (the response). */
  readonly sent: number
}

export type AccessFields = Readonly<Record<string, string | number>>

/** Who talks to whom, as far as it is the same for every connection between them. What is not known is left out. */
export function pairFields(facts: ConnectionFacts, clusterName: string): AccessFields {
  const { source, destination, service, secure } = facts
  return {
    direction: facts.reporter === 'source' ? 'outbound' : 'inbound',
    ...workloadFields('src', source.workload, callerIdentity(facts), clusterName),
    ...(service === undefined ? {} : { 'dst.service': service.hostname }),
    ...workloadFields('dst', destination.workload, secure ? identityOf(destination.workload) : undefined, clusterName),
  }
}

/** What is of this connection alone. */
export function connectionFields({ source, destination, via, dryRun }: ConnectionFacts): AccessFields {
  const hbone = destination.hboneAddress
  const fields: Record<string, string> = {
    'src.addr': formatSocketAddress(source.address),
    'dst.addr': formatSocketAddress(destination.address),
  }
  if (hbone !== undefined) fields['dst.hbone_addr'] = formatSocketAddress(hbone)
  if (via !== undefined) fields['via.waypoint'] = via.waypoint
  if (via?.peer !== undefined) {
    fields['via.addr'] = formatSocketAddress(via.peer.address)
    fields['via.identity'] = formatIdentity(via.peer.identity)
  }
  if (dryRun !== undefined) fields['policy.dry_run'] = dryRun
  return fields
}

/**
 * What the connection came to. `bytes_sent` is what the local workload sent, `bytes_recv` what it received: Istio's metrics
 * count from the caller's side on both ends, its logs do not (istio#32399).
 */
export function closeFields(
  facts: ConnectionFacts,
  bytes: ByteCounts,
  durationMs: number,
  error: MeshError | undefined,
): AccessFields {
  const outbound = facts.reporter === 'source'
  return {
    bytes_sent: outbound ? bytes.received : bytes.sent,
    bytes_recv: outbound ? bytes.sent : bytes.received,
    duration: `${Math.round(durationMs)}ms`,
    ...(error === undefined ? {} : { error: error.message, code: error.code }),
  }
}

/** `connectionFields` and `closeFields` of a connection without an error, as the members of a JSON object: most lines are these. */
export function completeMembers(facts: ConnectionFacts, bytes: ByteCounts, durationMs: number): string {
  const { source, destination, via, dryRun } = facts
  const hbone = destination.hboneAddress
  const tunnelled = hbone === undefined ? '' : `,"dst.hbone_addr":"${formatSocketAddress(hbone)}"`
  const passed = via === undefined ? '' : viaMembers(via)
  const wouldRefuse = dryRun === undefined ? '' : `,"policy.dry_run":${quoted(dryRun)}`
  const ends = `"src.addr":"${formatSocketAddress(source.address)}","dst.addr":"${formatSocketAddress(destination.address)}"`
  const outbound = facts.reporter === 'source'
  const sent = outbound ? bytes.received : bytes.sent
  const received = outbound ? bytes.sent : bytes.received
  const totals = `,"bytes_sent":${sent},"bytes_recv":${received},"duration":"${Math.round(durationMs)}ms"`
  return `${ends}${tunnelled}${passed}${wouldRefuse}${totals}`
}

function viaMembers({ waypoint, peer }: NonNullable<ConnectionFacts['via']>): string {
  const name = `,"via.waypoint":${quoted(waypoint)}`
  if (peer === undefined) return name
  return `${name},"via.addr":"${formatSocketAddress(peer.address)}","via.identity":${quoted(formatIdentity(peer.identity))}`
}

function workloadFields(
  side: 'src' | 'dst',
  workload: Workload | undefined,
  identity: string | undefined,
  clusterName: string,
): AccessFields {
  return {
    ...(workload === undefined
      ? {}
      : { [`${side}.workload`]: workload.name, [`${side}.namespace`]: workload.namespace }),
    ...(identity === undefined ? {} : { [`${side}.identity`]: identity }),
    ...(workload === undefined || clusterName === '' ? {} : { [`${side}.cluster`]: clusterName }),
  }
}

/** An identity is logged where a certificate proves it. */
function callerIdentity({ source, secure, reporter }: ConnectionFacts): string | undefined {
  if (source.identity !== undefined) return formatIdentity(source.identity)
  return secure && reporter === 'source' ? identityOf(source.workload) : undefined
}

function identityOf(workload: Workload | undefined): string | undefined {
  return workload === undefined ? undefined : workloadIdentity(workload)
}
