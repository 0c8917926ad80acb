// What becomes known of a connection on its way, handed to telemetry when it opens and when it ends.
import type { MeshError } from '../core/base/errors.ts'
import type { Service, Workload } from '../core/model/types.ts'
import type { SocketAddress } from '../core/net/address.ts'
import type { ConnectionFacts } from './connections.ts'
import type { ByteTotals, Described, OpenConnection, Telemetry } from './telemetry/telemetry.ts'

/** The handler fills in what it finds out before it opens or fails the connection. */
export class Report implements Described {
  source: Workload | undefined
  destination: Workload | undefined
  service: Service | undefined
  /** `namespace/name` of that which the connection goes, or came, through. */
  waypoint: string | undefined
  /** What dry-run policies would have decided, where that differs. */
  dryRun: string | undefined
  /** The end of the tunnel at the one called, or the destination itself. */
  address: SocketAddress
  /** `:authority` of the tunnel stream; undefined for plaintext. */
  authority: SocketAddress | undefined
  readonly #telemetry: Telemetry
  readonly #facts: ConnectionFacts
  #open: OpenConnection | undefined

  constructor(telemetry: Telemetry, facts: ConnectionFacts) {
    this.#telemetry = telemetry
    this.#facts = facts
    this.address = facts.destination
  }

  /** Both sides are there; `totals` are read while the copy goes on. */
  opened(totals: ByteTotals): void {
    this.#open = this.#telemetry.open(this)
    this.#open.track(totals)
  }

  /** Once, at the end, whatever it was. */
  closed(error: MeshError | undefined): void {
    if (this.#open !== undefined) this.#open.close({ error })
    else if (error !== undefined) this.#telemetry.failed(this.describe(), error)
  }

  /** Made anew for each who asks: live connections are many, and nobody asks while they are. */
  describe(): ReturnType<Described['describe']> {
    const { direction, source, identity, via } = this.#facts
    return {
      reporter: direction === 'outbound' ? 'source' : 'destination',
      source: { address: source, workload: this.source, identity },
      destination: { address: this.address, hboneAddress: this.authority, workload: this.destination },
      service: this.service,
      via: this.waypoint === undefined ? undefined : { waypoint: this.waypoint, peer: via },
      secure: this.authority !== undefined,
      dryRun: this.dryRun,
    }
  }
}
