// Counters and access log of the connections of one data worker. The outbound and inbound paths open and close an entry per
// connection; whoever takes a metrics snapshot calls `flush` before, so that long connections count while they live.
import { Bag, type Bagged } from '../../core/base/bag.ts'
import { errorOutcome, type MeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { MetricSet } from '../../core/base/metrics.ts'
import { type ByteCounts, closeFields, completeMembers, connectionFields } from './access-log.ts'
import type { ConnectionFacts } from './labels.ts'
import { completed, type Pair, Pairs } from './pairs.ts'
import { type Series, SeriesTable } from './series.ts'

export interface TelemetryOptions {
  /** Name of the cluster for the `…_cluster` labels; read per connection, since settings may change. */
  readonly clusterName: () => string
  /** Monotonic milliseconds. */
  readonly now?: () => number
  /** Combinations of labels kept, 10,000 by default. */
  readonly maxSeries?: number
}

/** Who knows a connection; asked when it opens and when it ends, so that nothing is kept in between. */
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
  readonly #pairs: Pairs
  readonly #log: Logger
  readonly #clusterName: () => string
  readonly #now: () => number
  readonly #open = new Bag<Entry>()

  constructor(metrics: MetricSet, log: Logger, options: TelemetryOptions) {
    this.#log = log.child({ scope: 'access' })
    this.#pairs = new Pairs(new SeriesTable(metrics, options.maxSeries ?? 10_000), this.#log)
    this.#clusterName = options.clusterName
    this.#now = options.now ?? (() => performance.now())
  }

  /** The access log's own level; a child logger does not follow its parent. */
  set logLevel(level: string) {
    this.#log.level = level
    this.#pairs.clear()
  }

  /** Connections that are open now. */
  get active(): number {
    return this.#open.size
  }

  open(connection: Described): OpenConnection {
    const facts = connection.describe()
    const pair = this.#pairs.get(facts, this.#clusterName())
    const entry = new Entry(pair, connection, this.#now(), this.#closed)
    this.#open.add(entry)
    if (this.#log.isLevelEnabled('debug')) pair.log.debug(connectionFields(facts), 'connection opened')
    return entry
  }

  /** A connection that ended before it could be opened: refused by route or policy, or its destination unreachable. */
  failed(facts: ConnectionFacts, error: MeshError): void {
    const pair = this.#pairs.get(facts, this.#clusterName())
    pair.failedSeries(errorOutcome(error).flag).add('failed', 1)
    pair.log.warn({ ...connectionFields(facts), error: error.message, code: error.code }, 'connection failed')
  }

  /** Brings the byte counters up to date with the connections that are open. */
  flush(): void {
    for (const entry of this.#open) entry.count()
  }

  readonly #closed = (entry: Entry, bytes: ByteCounts, error: MeshError | undefined): void => {
    this.#open.delete(entry)
    const facts = entry.connection.describe()
    entry.series.users--
    // Found anew: the level of the log may be another by now.
    const pair = this.#pairs.get(facts, this.#clusterName())
    const series = error === undefined ? entry.series : pair.failedSeries(errorOutcome(error).flag)
    series.add('closed', 1)
    if (error !== undefined) series.add('failed', 1)
    const durationMs = this.#now() - entry.startedAt
    if (error === undefined) {
      if (this.#log.isLevelEnabled('info')) pair.complete(completeMembers(facts, bytes, durationMs))
      return
    }
    if (!this.#log.isLevelEnabled('error')) return
    const fields = { ...connectionFields(facts), ...closeFields(facts, bytes, durationMs, error) }
    pair.log.error(fields, completed)
  }
}

type Closed = (entry: Entry, bytes: ByteCounts, error: MeshError | undefined) => void

class Entry implements OpenConnection, Bagged {
  place = -1
  readonly series: Series
  readonly connection: Described
  readonly startedAt: number
  readonly #closed: Closed
  #totals: ByteTotals | undefined
  #received = 0
  #sent = 0
  #ended = false

  constructor(pair: Pair, connection: Described, startedAt: number, closed: Closed) {
    this.series = pair.series
    this.connection = connection
    this.startedAt = startedAt
    this.#closed = closed
    this.series.add('opened', 1)
    this.series.users++
  }

  track(totals: ByteTotals): void {
    this.#totals = totals
  }

  /** Adds what came since the last count. Totals never shrink; a wrong reader must not make a counter fall. */
  count(total: ByteCounts = this.#totals?.totals() ?? noBytes): void {
    const received = total.received - this.#received
    const sent = total.sent - this.#sent
    if (received > 0) {
      this.series.add('received', received)
      this.#received = total.received
    }
    if (sent > 0) {
      this.series.add('sent', sent)
      this.#sent = total.sent
    }
  }

  close(result: { readonly bytes?: ByteCounts | undefined; readonly error?: MeshError | undefined } = {}): void {
    if (this.#ended) return
    this.#ended = true
    this.count(result.bytes)
    this.#totals = undefined
    this.#closed(this, { received: this.#received, sent: this.#sent }, result.error)
  }
}
