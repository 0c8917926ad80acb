// The way of an inbound tunnel stream: CONNECT on 15008 → is it for this workload → registered → authorize → connect to the
// application with the caller's address → 200 → copy → report. Called by the TunnelServer of a served workload.
import { errorOutcome, type MeshError } from '../core/base/errors.ts'
import { refuseTunnel } from '../core/decide/inbound.ts'
import type { IncomingConnect } from '../core/hbone/types.ts'
import { formatIdentity } from '../core/identity/spiffe.ts'
import { workloadIdentity } from '../core/model/canonical.ts'
import { serviceKey } from '../core/model/snapshot.ts'
import type { Service, Workload } from '../core/model/types.ts'
import { parseSocketAddress, type SocketAddress } from '../core/net/address.ts'
import { permit, toApplication } from './admission.ts'
import { carry, watchPeer } from './carry.ts'
import type { ConnectionFacts } from './connections.ts'
import type { Plane } from './plane.ts'
import { Report } from './reports.ts'
import type { Served } from './served.ts'
import { baggageOf, forwardedHost } from './tunnel-headers.ts'

/** Serves one CONNECT to its end. Never rejects. */
export async function handleConnect(plane: Plane, served: Served, connect: IncomingConnect): Promise<void> {
  const source = connect.peer.address
  const { identity } = connect.peer
  const target = parseSocketAddress(connect.authority)
  const facts: ConnectionFacts = {
    direction: 'inbound',
    owner: served,
    source,
    destination: target ?? connect.local,
    identity,
  }
  const report = new Report(plane.telemetry, facts)
  report.source = callerOf(plane, source, connect)
  report.destination = served.model
  // as ztunnel: where the tunnel came in, and what it leads to
  report.address = connect.local
  report.authority = facts.destination
  report.service = serviceOf(plane, served, forwardedHost(connect.headers.forwarded))
  let answered = false
  await carry(plane, facts, report, {
    establish: async (connection) => {
      watchPeer(connect.signal, connection)
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

/** The workload at the caller's address, if it has the identity that the certificate proves. Only for telemetry. */
function callerOf({ snapshot }: Plane, source: SocketAddress, { peer }: IncomingConnect): Workload | undefined {
  const workload = snapshot.workloadByAddress(source.address)
  return workload !== undefined && workloadIdentity(workload) === formatIdentity(peer.identity) ? workload : undefined
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
