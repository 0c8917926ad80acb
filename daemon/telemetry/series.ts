// The series of the connection metrics by label values, bounded: the least recently used ones without an open connection are
// forgotten first, since workloads come and go for as long as a daemon lives. Owned by Telemetry.
import type { Cell, Family, MetricSet } from '../../core/base/metrics.ts'
import { labelNames } from './labels.ts'

const families = {
  opened: ['istio_tcp_connections_opened_total', 'The total number of TCP connections opened'],
  closed: ['istio_tcp_connections_closed_total', 'The total number of TCP connections closed'],
  failed: ['istio_tcp_connections_failed_total', 'The total number of TCP connections that failed'],
  sent: ['istio_tcp_sent_bytes_total', 'The size of total bytes sent during response in case of a TCP connection'],
  received: [
    'istio_tcp_received_bytes_total',
    'The size of total bytes received during request in case of a TCP connection',
  ],
} as const

export type Measure = keyof typeof families

/** The cells of one combination of labels, made on first use. */
export class Series {
  readonly values: readonly string[]
  /** Open connections that count here; a series in use is never forgotten. */
  users = 0
  /** Which use of the table was its last; undefined once it is forgotten, and nobody may count here any more. */
  lastUse: number | undefined = 0
  readonly #families: ReadonlyMap<Measure, Family>
  readonly #cells = new Map<Measure, Cell>()

  constructor(values: readonly string[], families: ReadonlyMap<Measure, Family>) {
    this.values = values
    this.#families = families
  }

  add(measure: Measure, n: number): void {
    let cell = this.#cells.get(measure)
    if (cell === undefined) {
      cell = this.#families.get(measure)!.labels(this.values)
      this.#cells.set(measure, cell)
    }
    cell.add(n)
  }
}

export class SeriesTable {
  readonly #families = new Map<Measure, Family>()
  readonly #limit: number
  readonly #series = new Map<string, Series>()
  #uses = 0

  /** @param limit combinations of labels kept; those of open connections come on top */
  constructor(metrics: MetricSet, limit: number) {
    this.#limit = limit
    for (const [measure, [name, help]] of Object.entries(families)) {
      this.#families.set(measure as Measure, metrics.counter(name, help, labelNames))
    }
  }

  get size(): number {
    return this.#series.size
  }

  get(values: readonly string[]): Series {
    const key = keyOf(values)
    let series = this.#series.get(key)
    if (series === undefined) {
      if (this.#series.size >= this.#limit) this.#forget()
      series = new Series(values, this.#families)
      this.#series.set(key, series)
    }
    this.used(series)
    return series
  }

  /** For whoever kept a series instead of asking for it again. */
  used(series: Series): void {
    series.lastUse = ++this.#uses
  }

  /** Forgets the older quarter at once, since a family is walked as a whole. */
  #forget(): void {
    const idle = [...this.#series].filter(([, { users }]) => users === 0)
    idle.sort(([, a], [, b]) => (a.lastUse ?? 0) - (b.lastUse ?? 0))
    const forgotten = new Set<string>()
    for (const [key, series] of idle.slice(0, Math.ceil(this.#limit / 4))) {
      this.#series.delete(key)
      series.lastUse = undefined
      forgotten.add(key)
    }
    if (forgotten.size === 0) return
    for (const family of this.#families.values()) family.retain((labels) => !forgotten.has(keyOf(labels)))
  }
}

function keyOf(values: readonly string[]): string {
  return values.join('\u0000')
}
