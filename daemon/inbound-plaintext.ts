// The way of an inbound plaintext connection: redirected to 15006 → where was it going → registered → authorize without an
// identity (STRICT refuses) → connect to the application with the caller's address → copy → report.
import type { Socket } from 'node:net'
import { MeshError } from '../core/base/errors.ts'
import { capturePorts } from '../core/model/ports.ts'
import { formatSocketAddress, type SocketAddress } from '../core/net/address.ts'
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
      refuseLoop(destination, direct)
      permit(plane.snapshot, facts, report)
      const far = await plane.sockets.connectTcp(toApplication(served, source, destination, connection.signal))
      return { near: client, far }
    },
    fail: () => resetStream(client),
  })
}

/** Only what the rules redirected, and never a port of the proxy: the socket to it would be redirected here again. */
function refuseLoop(destination: SocketAddress, direct: boolean): void {
  const text = formatSocketAddress(destination)
  if (direct)
    throw new MeshError('LOOP_REFUSED', `${text} was connected directly: only redirected connections come here`)
  if (capturePorts.has(destination.port)) throw new MeshError('LOOP_REFUSED', `${text} is a port of the proxy itself`)
}
