// Metrics and the access log of connections that are not HTTP: counted when they open and when they end, their bytes at each scrape.
// Called by telemetry.ts.
import type { Logger } from '../../core/base/log.ts'
import type { Family, MetricSet } from '../../core/base/metrics.ts'
import type { PumpCounters } from '../../core/hbone/pump.ts'
import type { Service } from '../../core/model/types.ts'
import type { Origin } from '../exchange.ts'
import { meanings } from '../http/failure.ts'
import type { TcpEnd } from '../tcp.ts'
import { type ConnectionFacts, connectionLabels, connectionLabelValues, pairFields } from './labels.ts'

const helps = {
  opened: 'The total number of TCP connections opened',
  closed: 'The total number of TCP connections closed',
  failed: 'The total number of TCP connections that failed',
} as const
type Measure = keyof typeof helps | 'sent' | 'received'
/** One that is open. */
interface Live {
  readonly labels: readonly string[]
  /** Live; `received` of the client, `sent` to it. */
  readonly counters: PumpCounters
  received: number
  sent: number
}

/** Beyond so many combinations of labels all are forgotten, as a restart would. */
const mostSeries = 5_000

type OpenedFacts = Omit<ConnectionFacts, 'origin' | 'flags'>

export class ConnectionTelemetry {
  readonly #log: Logger
  readonly #counts: Readonly<Record<Measure, Family>>
  readonly #series = new Set<string>()
  readonly #live = new Map<Origin, Live>()

  constructor(metrics: MetricSet, log: Logger) {
    const counter = (name: string, help: string): Family => metrics.counter(name, help, connectionLabels)
    this.#log = log
    this.#counts = {
      opened: counter('istio_tcp_connections_opened_total', helps.opened),
      closed: counter('istio_tcp_connections_closed_total', helps.closed),
      failed: counter('istio_tcp_connections_failed_total', helps.failed),
      sent: counter(
        'istio_tcp_sent_bytes_total',
        'The size of total bytes sent during response in case of a TCP connection',
      ),
      received: counter(
        'istio_tcp_received_bytes_total',
        'The size of total bytes received during request in case of a TCP connection',
      ),
    }
  }

  opened(origin: Origin, facts: OpenedFacts, counters: PumpCounters, clusterName: string): void {
    const labels = connectionLabelValues({ origin, ...facts, flags: '-' }, clusterName)
    this.#bound(labels)
    this.#counts.opened.labels(labels).add(1)
    this.#live.set(origin, { labels, counters, received: 0, sent: 0 })
  }

  /** Counts what has moved by now: to be called before the metrics are read. */
  flush(): void {
    for (const live of this.#live.values()) this.#count(live)
  }

  #count(live: Live): void {
    const { labels, counters } = live
    this.#counts.received.labels(labels).add(counters.aToB - live.received)
    this.#counts.sent.labels(labels).add(counters.bToA - live.sent)
    live.received = counters.aToB
    live.sent = counters.bToA
  }

  ended(origin: Origin, service: Service | undefined, end: TcpEnd, durationMs: number, clusterName: string): void {
    const { target, result, failure } = end
    const flags = failure === undefined ? '-' : meanings[failure.kind].flag
    const facts = { origin, service, workload: target?.workload, address: target?.address, flags }
    const live = this.#live.get(origin)
    if (live === undefined) {
      const labels = connectionLabelValues(facts, clusterName)
      this.#bound(labels)
      this.#counts.failed.labels(labels).add(1)
    } else {
      this.#live.delete(origin)
      this.#count(live)
      this.#counts.closed.labels(live.labels).add(1)
    }
    const error = failure ?? result?.error
    const level = error === undefined ? 'info' : 'warn'
    if (!this.#log.isLevelEnabled(level)) return
    const line = {
      ...pairFields(facts, clusterName),
      protocol: 'tcp',
      flags,
      bytes_recv: result?.aToB ?? 0,
      bytes_sent: result?.bToA ?? 0,
      duration: `${Math.round(durationMs)}ms`,
      ...(error === undefined ? {} : { error: error.message }),
    }
    this.#log[level](line, result === undefined ? 'connection failed' : 'connection complete')
  }

  #bound(labels: readonly string[]): void {
    if (this.#series.size >= mostSeries) {
      this.#series.clear()
      for (const family of Object.values(this.#counts)) family.retain(() => false)
    }
    this.#series.add(labels.join('\u0000'))
  }
}
