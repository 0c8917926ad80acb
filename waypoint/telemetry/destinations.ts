// How each destination is: what its circuit breaker lets pass, which endpoints serve, which were ejected. Gauges are made for each scrape
// from the clusters themselves; ejections are counted and logged when they happen. Owned by data-plane.ts.
import type { Logger } from '../../core/base/log.ts'
import { type Family, MetricSet, type MetricSnapshot } from '../../core/base/metrics.ts'
import type { Cluster, ClusterName } from '../clusters/cluster.ts'
import type { OutlierEvent } from '../outlier/detector.ts'

const nameLabels = ['destination_service', 'destination_subset', 'destination_port'] as const

type ClusterView = ReturnType<Cluster['toJSON']>

const limits = ['connections', 'pending', 'requests', 'retries'] as const

export class DestinationTelemetry {
  readonly #log: Logger
  readonly #ejections: Family

  constructor(metrics: MetricSet, log: Logger) {
    this.#log = log
    this.#ejections = metrics.counter(
      'culvert_outlier_ejections_total',
      'Endpoints that outlier detection took out, or, with outcome spared, would have if not too many were out',
      [...nameLabels, 'reason', 'outcome'],
    )
  }

  outlier(cluster: Cluster, event: OutlierEvent): void {
    const [service, subset, port] = labelsOf(cluster.name)
    const where = { 'dst.service': service, ...(subset === '' ? {} : { 'dst.subset': subset }), 'dst.port': port }
    if (event.kind === 'ejections-ignored') {
      const state = event.ignored ? 'no longer count: too few endpoints are healthy' : 'count again'
      this.#log.warn(where, `ejections of a destination ${state}`)
      return
    }
    const target = cluster.table.get(event.key)?.facts.target
    const endpoint = target === undefined ? event.key : `${target.address} ${target.port}`
    if (event.kind === 'returned') {
      this.#log.info({ ...where, endpoint }, 'an endpoint that was ejected serves again')
      return
    }
    const { kind, reason } = event
    this.#ejections.labels([service, subset, port, reason, kind]).add(1)
    if (kind === 'spared') this.#log.warn({ ...where, endpoint, reason }, 'an endpoint fails, but too many are ejected')
    else this.#log.warn({ ...where, endpoint, reason, ms: event.forMs }, 'an endpoint is ejected')
  }
}

/** Of all destinations that are known. A workload by its own address is none. */
export function destinationMetrics(clusters: readonly ClusterView[]): MetricSnapshot {
  const metrics = new MetricSet()
  const limited = [...nameLabels, 'limit']
  const used = metrics.gauge('culvert_circuit_used', 'What counts for a limit of a circuit breaker now', limited)
  const most = metrics.gauge(
    'culvert_circuit_limit',
    'Limits of circuit breakers; none where there is no limit',
    limited,
  )
  const open = metrics.gauge('culvert_circuit_open', 'Whether a limit of a circuit breaker is reached', limited)
  const overflows = metrics.counter('culvert_circuit_overflows_total', 'What a circuit breaker refused', limited)
  const endpoints = metrics.gauge('culvert_endpoints', 'Endpoints of a destination', [...nameLabels, 'state'])
  for (const cluster of clusters) {
    if (cluster.service === undefined) continue
    const labels = labelsOf(cluster)
    for (const limit of limits) {
      const line = cluster.circuit[limit]
      used.labels([...labels, limit]).set(line.used)
      overflows.labels([...labels, limit]).set(line.overflows)
      open.labels([...labels, limit]).set(line.open ? 1 : 0)
      if (line.limit !== null) most.labels([...labels, limit]).set(line.limit)
    }
    const counts = { serving: 0, ejected: 0, unhealthy: 0 }
    for (const { healthy, ejected } of cluster.endpoints) counts[stateOf(healthy, ejected)] += 1
    for (const [state, count] of Object.entries(counts)) endpoints.labels([...labels, state]).set(count)
  }
  return metrics.snapshot()
}

function stateOf(healthy: boolean, ejected: boolean): 'serving' | 'ejected' | 'unhealthy' {
  if (!healthy) return 'unhealthy'
  return ejected ? 'ejected' : 'serving'
}

/** In the order of `nameLabels`; the service by its hostname, as everywhere in metrics. */
function labelsOf({ service = '', subset = '', port }: ClusterName): readonly [string, string, string] {
  return [service.slice(service.indexOf('/') + 1), subset, String(port)]
}
