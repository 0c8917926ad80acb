// Counters and access log of the connections of one data worker. The outbound and inbound paths open and close an entry per
// connection; whoever takes a metrics snapshot calls `flush` before, so that long connections count while they live.
import { errorOutcome, type MeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { MetricSet } from '../../core/base/metrics.ts'
import { type ByteCounts, closeFields, connectionFields } from './access-log.ts'
import { type ConnectionFacts, labelValues } from './labels.ts'
import { type Series, SeriesTable } from './series.ts'

export interface TelemetryOptions {
  /** Name of the cluster for the `…_cluster` labels; read per connection, since settings may change. */
  readonly clusterName: () => string
  /** Monotonic milliseconds. */
  readonly now?: () => number
  /** Combinations of labels kept, 10,000 by default. */
  readonly maxSeries?: number
}

/** Who knows a connection; asked when it opens and when it ends. */
export interface Described {
  describe(): ConnectionFacts
}

export interface ByteTotals {
  /** So far. */
  totals(): ByteCounts
}

/** A connection that is counted as open. `close` must be called exactly once; later calls do nothing. */
export interface OpenConnection {
  /** Names where the totals so far can be read, for counting while the connection lives. */
  track(totals: ByteTotals): void
  /** Counts the rest and writes the access-log line. Without `bytes` the tracked totals are final. */
  close(result?: { readonly bytes?: ByteCounts | undefined; readonly error?: MeshError | undefined }): void
}

const noBytes: ByteCounts = { received: 0, sent: 0 }

export class Telemetry {
  readonly #series: SeriesTable
  readonly #log: Logger
  readonly #clusterName: () => string
  readonly #now: () => number
  readonly #open = new Set<Entry>()

  constructor(metrics: MetricSet, log: Logger, options: TelemetryOptions) {
    this.#series = new SeriesTable(metrics, options.maxSeries ?? 10_000)
    this.#log = log.child({ scope: 'access' })
    this.#clusterName = options.clusterName
    this.#now = options.now ?? (() => performance.now())
  }

  /** The access log's own level; a child logger does not follow its parent. */
  set logLevel(level: string) {
    this.#log.level = level
  }

  /** Connections that are open now. */
  get active(): number {
    return this.#open.size
  }

  open(connection: Described): OpenConnection {
    const facts = connection.describe()
    const series = this.#seriesOf(facts, '-')
    series.add('opened', 1)
    series.users++
    const entry = new Entry(this, series, connection, this.#now())
    this.#open.add(entry)
    if (this.#log.isLevelEnabled('debug')) {
      this.#log.debug(connectionFields(facts, this.#clusterName()), 'connection opened')
    }
    return entry
  }

  /** A connection that ended before it could be opened: refused by route or policy, or its destination unreachable. */
  failed(facts: ConnectionFacts, error: MeshError): void {
    this.#seriesOf(facts, errorOutcome(error).flag).add('failed', 1)
    const fields = { ...connectionFields(facts, this.#clusterName()), error: error.message, code: error.code }
    this.#log.warn(fields, 'connection failed')
  }

  /** Brings the byte counters up to date with the connections that are open. */
  flush(): void {
    for (const entry of this.#open) entry.count()
  }

  /** For Entry only. */
  closed(entry: Entry, bytes: ByteCounts, error: MeshError | undefined): void {
    this.#open.delete(entry)
    entry.series.users--
    const facts = entry.connection.describe()
    const series = error === undefined ? entry.series : this.#seriesOf(facts, errorOutcome(error).flag)
    series.add('closed', 1)
    if (error !== undefined) series.add('failed', 1)
    const level = error === undefined ? 'info' : 'error'
    if (!this.#log.isLevelEnabled(level)) return
    const ending = closeFields(facts, bytes, this.#now() - entry.startedAt, error)
    this.#log[level]({ ...connectionFields(facts, this.#clusterName()), ...ending }, 'connection complete')
  }

  #seriesOf(facts: ConnectionFacts, flag: string): Series {
    return this.#series.get(labelValues(facts, this.#clusterName(), flag))
  }
}

class Entry implements OpenConnection {
  readonly series: Series
  readonly connection: Described
  readonly startedAt: number
  readonly #telemetry: Telemetry
  #totals: ByteTotals | undefined
  #received = 0
  #sent = 0
  #ended = false

  constructor(telemetry: Telemetry, series: Series, connection: Described, startedAt: number) {
    this.#telemetry = telemetry
    this.series = series
    this.connection = connection
    this.startedAt = startedAt
  }

  track(totals: ByteTotals): void {
    this.#totals = totals
  }

  /** Adds what came since the last count. Totals never shrink; a wrong reader must not make a counter fall. */
  count({ received, sent }: ByteCounts = this.#totals?.totals() ?? noBytes): void {
    if (received > this.#received) {
      this.series.add('received', received - this.#received)
      this.#received = received
    }
    if (sent > this.#sent) {
      this.series.add('sent', sent - this.#sent)
      this.#sent = sent
    }
  }

  close(result: { readonly bytes?: ByteCounts | undefined; readonly error?: MeshError | undefined } = {}): void {
    if (this.#ended) return
    this.#ended = true
    this.count(result.bytes)
    this.#totals = undefined
    this.#telemetry.closed(this, { received: this.#received, sent: this.#sent }, result.error)
  }
}
