// The other replicas of this waypoint, and the mesh-wide rate limits that they count together: each limit is kept by one of them, which the
// others ask through a tunnel. Owned by data-plane.ts.
import type { Duplex } from 'node:stream'
import { MeshError } from '../core/base/errors.ts'
import { instancesOf, isPeerOf, type Waypoint } from '../core/decide/waypoint.ts'
import type { TunnelPool } from '../core/hbone/pool.ts'
import type { IncomingConnect } from '../core/hbone/types.ts'
import { workloadIdentity } from '../core/model/canonical.ts'
import { ports } from '../core/model/ports.ts'
import type { Snapshot } from '../core/model/snapshot.ts'
import type { Workload } from '../core/model/types.ts'
import { familyOf, formatSocketAddress, parseSocketAddress } from '../core/net/address.ts'
import type { Self } from './origin.ts'
import { LeaseKeeper } from './ratelimit/lease-keeper.ts'
import { serveLeases } from './ratelimit/lease-stream.ts'
import { MeshBuckets } from './ratelimit/mesh-buckets.ts'
import { PeerLeases } from './ratelimit/peer-leases.ts'

/** Named in a CONNECT between replicas only; nobody listens there. */
const leasePort = 15009

export interface ReplicasOptions {
  /** Of this replica's workload. */
  readonly uid: string
  readonly self: () => Self
  /** SPIFFE URI, the same for all replicas. */
  readonly identity: () => string | undefined
  readonly snapshot: Snapshot
  readonly tunnels: TunnelPool
  /** Monotonic milliseconds. */
  readonly clock: () => number
}

export class Replicas {
  readonly buckets: MeshBuckets
  readonly #options: ReplicasOptions
  readonly #keeper = new LeaseKeeper()
  readonly #leases: PeerLeases
  readonly #asking = new Set<Duplex>()

  constructor(options: ReplicasOptions) {
    const { uid, clock } = options
    this.#options = options
    this.#leases = new PeerLeases({
      own: uid,
      peers: () => this.#uids(),
      dial: (peer, signal) => this.#dial(peer, signal),
      keeper: this.#keeper,
      clock,
    })
    this.buckets = new MeshBuckets({
      replica: uid,
      leases: this.#leases,
      replicas: () => this.#uids().length,
      clock,
      later: (ms, work) => {
        const timer = setTimeout(work, ms).unref()
        return () => clearTimeout(timer)
      },
    })
  }

  /** Whether another replica is there to take over. */
  get others(): boolean {
    return this.#uids().length > 1
  }

  /** A replica that asks for tokens; false for every other CONNECT, which is not answered here. */
  take(connect: IncomingConnect): boolean {
    const target = parseSocketAddress(connect.authority)
    if (target?.port !== leasePort || !this.#options.self().addresses.includes(target.address)) return false
    const { identity, address } = connect.peer
    const { snapshot, self } = this.#options
    const waypoint = this.#waypoint()
    const named = { key: self().key, waypoint, service: undefined }
    if (waypoint === undefined || !isPeerOf(snapshot, named, identity, address.address)) return false
    const stream = connect.accept()
    this.#asking.add(stream)
    stream.once('close', () => this.#asking.delete(stream))
    serveLeases(stream, this.#keeper, this.#options.clock)
    return true
  }

  /** Gives back what is held, and leaves those who ask to their next keeper. */
  async close(): Promise<void> {
    for (const stream of this.#asking) stream.destroy()
    await this.buckets.close()
    this.#leases.close()
  }

  #uids(): readonly string[] {
    const { uid } = this.#options
    const serving = this.#instances()
      .filter(({ health }) => health === 'healthy')
      .map((workload) => workload.uid)
    return serving.includes(uid) ? serving : [...serving, uid]
  }

  #instances(): readonly Workload[] {
    const waypoint = this.#waypoint()
    return waypoint === undefined ? [] : instancesOf(this.#options.snapshot, waypoint)
  }

  #waypoint(): Waypoint | undefined {
    const { snapshot, self } = this.#options
    const service = snapshot.serviceByKey(self().key)
    return service?.gateway === undefined ? undefined : (service as Waypoint)
  }

  async #dial(uid: string, signal: AbortSignal): Promise<Duplex> {
    const { snapshot, self, identity, tunnels } = this.#options
    const peer = snapshot.workloadByUid(uid)
    const own = self().addresses
    const families = new Set(own.map(familyOf))
    const address = peer?.addresses.find((each) => families.has(familyOf(each)))
    if (peer === undefined || address === undefined)
      throw new MeshError('CONNECT_FAILED', `replica ${uid} has no address that this one could reach`)
    const key = {
      sourceUid: 'waypoint',
      sourceAddress: own.find((each) => familyOf(each) === familyOf(address)) ?? '',
      sourceIdentity: identity() ?? '',
      expectedIdentities: [workloadIdentity(peer)],
      destination: { address, port: ports.hbone },
      destinationUid: uid,
    }
    const authority = formatSocketAddress({ address, port: leasePort })
    return (await tunnels.connect(key, { authority, headers: {} }, signal)).stream
  }
}
