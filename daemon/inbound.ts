// The way of an inbound tunnel stream: CONNECT on 15008 → who calls (a waypoint asks for others) → is it for this workload →
// registered → authorize → connect to the application with the caller's address → 200 → copy → report. Called by the
// TunnelServer of a served workload.
import { errorOutcome, type MeshError } from '../core/base/errors.ts'
import { type Caller, type Claim, callerOf, refuseTunnel } from '../core/decide/inbound.ts'
import { forwardedFor, forwardedHost } from '../core/hbone/forwarded.ts'
import { baggageOf } from '../core/hbone/tunnel-headers.ts'
import type { IncomingConnect } from '../core/hbone/types.ts'
import { formatIdentity, type Identity, parseIdentity } from '../core/identity/spiffe.ts'
import { workloadIdentity } from '../core/model/canonical.ts'
import { serviceKey } from '../core/model/snapshot.ts'
import type { Service, Workload } from '../core/model/types.ts'
import { formatSocketAddress, parseSocketAddress, type SocketAddress } from '../core/net/address.ts'
import { permit, toApplication } from './admission.ts'
import { carry, watchPeer } from './carry.ts'
import type { ConnectionFacts } from './connections.ts'
import type { Plane } from './plane.ts'
import { Report } from './reports.ts'
import type { Served } from './served.ts'

/** Serves one CONNECT to its end. Never rejects. */
export async function handleConnect(plane: Plane, served: Served, connect: IncomingConnect): Promise<void> {
  const target = parseSocketAddress(connect.authority)
  const destination = target ?? connect.local
  const caller = whoCalls(plane, served, connect, destination)
  const facts = factsOf(served, connect, destination, caller)
  const { source } = facts
  const report = new Report(plane.telemetry, facts)
  report.source = workloadOf(plane, facts)
  if (caller.kind === 'passed') report.waypoint = `${caller.via.namespace}/${caller.via.name}`
  report.destination = served.model
  // as ztunnel: where the tunnel came in, and what it leads to
  report.address = connect.local
  report.authority = facts.destination
  report.service = serviceOf(plane, served, forwardedHost(connect.headers.forwarded))
  let answered = false
  await carry(plane, facts, report, {
    establish: async (connection) => {
      watchPeer(connect.signal, connection)
      if (caller.kind === 'refused') throw caller.error
      const { authority, local } = connect
      const wrong = refuseTunnel({ authority, target, local, own: served.local.addresses })
      if (wrong !== undefined) throw wrong
      permit(plane.snapshot, facts, report)
      const far = await plane.sockets.connectTcp(toApplication(served, source, facts.destination, connection.signal))
      answered = true
      return { near: connect.accept(answerHeaders(plane, served)), far }
    },
    fail: (error) => {
      if (!answered) connect.reject(rejection(error))
    },
  })
}

/** Tells of peers that name a caller and may not: they are taken for who they are. */
function whoCalls(plane: Plane, { uid, model }: Served, connect: IncomingConnect, destination: SocketAddress): Caller {
  const { identity, address } = connect.peer
  const arriving = { workload: model, port: destination.port, identity, address: address.address }
  const caller = callerOf(plane.snapshot, { ...arriving, claim: claimOf(connect) })
  if (caller.kind !== 'peer' || !caller.ignored) return caller
  plane.ignoredClaims.add(1)
  const principal = formatIdentity(identity)
  const withheld = plane.claimLines.admit(`${uid} ${principal}`)
  if (withheld === undefined) return caller
  const more = withheld === 0 ? {} : { withheld }
  const text = 'a peer named another caller, and is no waypoint of the destination: what it said is ignored'
  plane.log.warn({ workload: uid, peer: formatSocketAddress(address), identity: principal, ...more }, text)
  return caller
}

function claimOf({ headers }: IncomingConnect): Claim | undefined {
  if (headers.source === undefined) return undefined
  return { identity: readIdentity(headers.source), source: forwardedFor(headers.forwarded) }
}

function readIdentity(uri: string): Identity | undefined {
  try {
    return parseIdentity(uri)
  } catch {
    return undefined
  }
}

function factsOf(
  owner: Served,
  { peer }: IncomingConnect,
  destination: SocketAddress,
  caller: Caller,
): ConnectionFacts {
  const about = { direction: 'inbound', owner, destination } as const
  if (caller.kind !== 'passed') return { ...about, source: peer.address, identity: peer.identity }
  return { ...about, source: caller.source, identity: caller.identity, via: peer }
}

/** The workload at the caller's address, if it has the identity that is proved. Only for telemetry. */
function workloadOf({ snapshot }: Plane, { source, identity }: ConnectionFacts): Workload | undefined {
  const workload = snapshot.workloadByAddress(source.address)
  if (workload === undefined || identity === undefined) return undefined
  return workloadIdentity(workload) === formatIdentity(identity) ? workload : undefined
}

/** The service that the caller says it addressed, if this workload is in it. Only for telemetry. */
function serviceOf({ snapshot }: Plane, { model }: Served, hostname: string | undefined): Service | undefined {
  const service = hostname === undefined ? undefined : snapshot.serviceByHostname(hostname)
  if (service === undefined || model === undefined) return undefined
  const key = serviceKey(service)
  return model.services.some((membership) => membership.service === key) ? service : undefined
}

function answerHeaders(plane: Plane, served: Served): { readonly baggage?: string } {
  return served.model === undefined ? {} : { baggage: baggageOf(served.model, plane.snapshot.settings) }
}

function rejection(error: MeshError): 400 | 401 | 503 {
  const status = errorOutcome(error).tunnelStatus
  return status === 400 || status === 401 ? status : 503
}
