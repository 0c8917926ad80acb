// Metrics and the access log of connections that are not HTTP: counted when they end. Called by telemetry.ts.
import type { Logger } from '../../core/base/log.ts'
import type { Family, MetricSet } from '../../core/base/metrics.ts'
import type { Service } from '../../core/model/types.ts'
import type { Origin } from '../exchange.ts'
import { meanings } from '../http/failure.ts'
import type { TcpEnd } from '../tcp.ts'
import { connectionLabels, connectionLabelValues, pairFields } from './labels.ts'

const helps = {
  opened: 'The total number of TCP connections opened',
  closed: 'The total number of TCP connections closed',
  failed: 'The total number of TCP connections that failed',
} as const
type Measure = keyof typeof helps | 'sent' | 'received'
/** Beyond so many combinations of labels all are forgotten, as a restart would. */
const mostSeries = 5_000

export class ConnectionTelemetry {
  readonly #log: Logger
  readonly #counts: Readonly<Record<Measure, Family>>
  readonly #series = new Set<string>()

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

  ended(origin: Origin, service: Service | undefined, end: TcpEnd, durationMs: number, clusterName: string): void {
    const { target, result, failure } = end
    const flags = failure === undefined ? '-' : meanings[failure.kind].flag
    const facts = { origin, service, workload: target?.workload, address: target?.address, flags }
    const labels = connectionLabelValues(facts, clusterName)
    this.#bound(labels)
    const add = (what: Measure, n: number): void => this.#counts[what].labels(labels).add(n)
    if (result === undefined) add('failed', 1)
    else {
      add('opened', 1)
      add('closed', 1)
      add('received', result.aToB)
      add('sent', result.bToA)
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
