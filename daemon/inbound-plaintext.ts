// The way of an inbound plaintext connection: redirected to 15006 → where was it going → registered → authorize without an
// identity (STRICT refuses) → connect to the application with the caller's address → copy → report.
import type { Socket } from 'node:net'
import { refusePlaintext } from '../core/decide/inbound.ts'
import { permit, toApplication } from './admission.ts'
import { carry, originalOf, watchClient } from './carry.ts'
import { type ConnectionFacts, resetStream } from './connections.ts'
import type { Plane } from './plane.ts'
import { Report } from './reports.ts'
import type { Served } from './served.ts'

/** Serves one accepted socket to its end. Never rejects. */
export async function handleInboundPlaintext(plane: Plane, served: Served, client: Socket): Promise<void> {
  const source = plane.sockets.remoteEnd(client)
  const local = plane.sockets.localEnd(client)
  if (source === undefined || local === undefined) return resetStream(client)
  const { destination, direct } = originalOf(plane, client, local)
  const facts: ConnectionFacts = { direction: 'inbound-plaintext', owner: served, source, destination }
  const report = new Report(plane.telemetry, facts)
  report.source = plane.snapshot.workloadByAddress(source.address)
  report.destination = served.model
  await carry(plane, facts, report, {
    establish: async (connection) => {
      watchClient(client, connection)
      const loop = refusePlaintext(destination, direct)
      if (loop !== undefined) throw loop
      permit(plane.snapshot, facts, report)
      const far = await plane.sockets.connectTcp(toApplication(served, source, destination, connection.signal))
      return { near: client, far }
    },
    fail: () => resetStream(client),
  })
}
