// A waypoint without layer 7 for direct tests: takes tunnels at its address, connects each to one endpoint with its own
// certificate and passes the caller on; and a client of tunnels that says whatever a test wants.
import http2 from 'node:http2'
import { pipeline } from 'node:stream'
import tls from 'node:tls'
import { deadline } from '../../core/base/deadline.ts'
import { nullLogger } from '../../core/base/log.ts'
import { formatForwarded } from '../../core/hbone/forwarded.ts'
import { TunnelPool } from '../../core/hbone/pool.ts'
import { TunnelServer } from '../../core/hbone/server.ts'
import type { IncomingConnect, TunnelHeaders } from '../../core/hbone/types.ts'
import { formatIdentity } from '../../core/identity/spiffe.ts'
import { clientTls, createCredentials, type TlsCredentials } from '../../core/identity/tls.ts'
import { workloadIdentity } from '../../core/model/canonical.ts'
import { ports } from '../../core/model/ports.ts'
import type { Workload } from '../../core/model/types.ts'
import { formatSocketAddress, type SocketAddress } from '../../core/net/address.ts'
import type { PlaneWorld } from './plane-world.ts'

export const sourceHeader = 'x-culvert-source-identity'

interface Endpoint {
  readonly target: SocketAddress
  readonly workload: Workload
}

export class FakeWaypoint {
  readonly #self: Workload
  readonly #pool: TunnelPool
  readonly #tunnels: TunnelServer
  readonly #endpoint: Endpoint
  /** CONNECTs that came. */
  readonly connects: IncomingConnect[] = []
  /** What it tells the endpoint of a caller. */
  headers: (connect: IncomingConnect) => TunnelHeaders = passOn
  /** Answers itself instead of connecting. */
  answer: ((connect: IncomingConnect) => void) | undefined

  private constructor(world: PlaneWorld, self: Workload, endpoint: Endpoint, credentials: TlsCredentials) {
    this.#endpoint = endpoint
    this.#self = self
    this.#pool = new TunnelPool({
      dial: ({ destination }, signal) => dial(world, self, destination, signal),
      context: () => credentials,
      log: nullLogger(),
    })
    this.#tunnels = new TunnelServer({
      contexts: () => credentials,
      trustDomain: () => 'cluster.local',
      onConnect: (connect) => {
        this.connects.push(connect)
        if (this.answer !== undefined) this.answer(connect)
        else void this.#serve(connect)
      },
      log: nullLogger(),
    })
  }

  /** @param endpoint where all its connections go @param self presents its identity */
  static async start(world: PlaneWorld, self: Workload, endpoint: Endpoint): Promise<FakeWaypoint> {
    const credentials = createCredentials(await world.ca.leaf(workloadIdentity(self)))
    const waypoint = new FakeWaypoint(world, self, endpoint, credentials)
    const at = { address: self.addresses[0]!, port: ports.hbone }
    await world.sockets.serve(at, (socket) => waypoint.#tunnels.accept(socket))
    return waypoint
  }

  /** Opens a tunnel stream to the endpoint. */
  async reach(headers: TunnelHeaders) {
    const { target, workload } = this.#endpoint
    const key = {
      sourceUid: this.#self.uid,
      sourceAddress: this.#self.addresses[0]!,
      sourceIdentity: workloadIdentity(this.#self),
      expectedIdentities: [workloadIdentity(workload)],
      destination: { address: target.address, port: ports.hbone },
      destinationUid: workload.uid,
    }
    const { stream } = await this.#pool.connect(
      key,
      { authority: formatSocketAddress(target), headers },
      deadline(8_000),
    )
    stream.on('error', () => {})
    return stream
  }

  async #serve(connect: IncomingConnect): Promise<void> {
    try {
      const far = await this.reach(this.headers(connect))
      const near = connect.accept()
      pipeline(near, far, near, () => {})
    } catch {
      connect.reject(503)
    }
  }

  async close(): Promise<void> {
    this.#tunnels.close()
    await this.#pool.close(0)
  }
}

/** As a waypoint does: where the caller's tunnel came from, and who it proved to be. */
export function passOn({ peer }: IncomingConnect): TunnelHeaders {
  return { forwarded: formatForwarded(peer.address), source: formatIdentity(peer.identity) }
}

async function dial(world: PlaneWorld, self: Workload, to: SocketAddress, signal: AbortSignal) {
  const workload = {
    uid: self.uid,
    namespace: self.namespace,
    name: self.name,
    identity: workloadIdentity(self),
    addresses: self.addresses,
    netns: { path: '/none', inode: 1 },
    nameservers: [],
  }
  return await world.sockets.connectTcp({ workload, to, transparent: false, signal })
}

/** The status of a CONNECT that `self` sends with these fields (arrays are sent as several), in Node's HTTP/2. */
export async function rawConnect(
  world: PlaneWorld,
  self: Workload,
  target: SocketAddress,
  fields: http2.OutgoingHttpHeaders,
): Promise<number | undefined> {
  const credentials = createCredentials(await world.ca.leaf(workloadIdentity(self)))
  const tcp = await dial(world, self, { address: target.address, port: ports.hbone }, deadline(8_000))
  const socket = tls.connect(clientTls(tcp, credentials.context, undefined))
  socket.on('error', () => {})
  const session = http2.connect('https://tunnel', { createConnection: () => socket })
  session.on('error', () => {})
  const head = { ':method': 'CONNECT', ':authority': formatSocketAddress(target), ...fields }
  const request = session.request(head, { endStream: false })
  request.on('error', () => {})
  const answer = Promise.withResolvers<number | undefined>()
  request.once('response', (received) => answer.resolve(received[':status']))
  request.once('close', () => answer.resolve(undefined))
  const status = await answer.promise
  session.destroy()
  return status
}
