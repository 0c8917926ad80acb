// What the handlers of connections (outbound.ts, inbound.ts, inbound-plaintext.ts) need of their data plane.
import type { Logger } from '../core/base/log.ts'
import type { Cell, Family } from '../core/base/metrics.ts'
import type { Repeats } from '../core/base/repeats.ts'
import type { TunnelPool } from '../core/hbone/pool.ts'
import type { Certificates } from '../core/identity/held-certificates.ts'
import type { Snapshot } from '../core/model/snapshot.ts'
import type { Connections } from './connections.ts'
import type { Outliers } from './outliers.ts'
import type { Sockets } from './sockets.ts'
import type { Telemetry } from './telemetry/telemetry.ts'

export interface Plane {
  readonly sockets: Sockets
  readonly connections: Connections
  readonly certificates: Certificates
  readonly pool: TunnelPool
  readonly snapshot: Snapshot
  readonly telemetry: Telemetry
  /** By direction and error code. */
  readonly failures: Family
  /** Endpoints that failed a moment ago. */
  readonly outliers: Outliers
  /** Connections that went to another endpoint of their service than the first. */
  readonly otherEndpoints: Cell
  /** Whatever a limit refused, by workload and limit. */
  readonly refusals: Family
  /** Peers that named another caller without being a waypoint of the destination, and which of them get a line. */
  readonly ignoredClaims: Cell
  readonly claimLines: Repeats
  /** Tunnels that peers may have open to one workload. */
  readonly maxTunnels: number
  /** So long a connection waits for a waypoint that is away. */
  readonly waypointPatienceMs: number
  readonly random: () => number
  readonly log: Logger
}
