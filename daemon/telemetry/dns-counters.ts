// Counters of the DNS proxy, with ztunnel's names. daemon/dns counts here, one set per worker.
import type { Cell, Family, MetricSet } from '../../core/base/metrics.ts'

export type DnsProtocol = 'udp' | 'tcp'

/** Where a workload's resolver counts. */
export interface DnsCounters {
  readonly requests: Readonly<Record<DnsProtocol, Cell>>
  readonly upstreamRequests: Readonly<Record<DnsProtocol, Cell>>
  readonly upstreamFailures: Readonly<Record<DnsProtocol, Cell>>
}

const labels = ['source_workload', 'source_workload_namespace', 'request_protocol']

export class DnsMetrics {
  readonly #requests: Family
  readonly #upstreamRequests: Family
  readonly #upstreamFailures: Family

  constructor(metrics: MetricSet) {
    this.#requests = metrics.counter('istio_dns_requests_total', 'DNS queries of local workloads', labels)
    this.#upstreamRequests = metrics.counter('istio_dns_upstream_requests_total', 'DNS queries forwarded', labels)
    this.#upstreamFailures = metrics.counter(
      'istio_dns_upstream_failures_total',
      'Forwarded DNS queries that no nameserver answered',
      labels,
    )
  }

  for(workload: { readonly name: string; readonly namespace: string }): DnsCounters {
    const both = (family: Family): Record<DnsProtocol, Cell> => ({
      udp: family.labels([workload.name, workload.namespace, 'udp']),
      tcp: family.labels([workload.name, workload.namespace, 'tcp']),
    })
    return {
      requests: both(this.#requests),
      upstreamRequests: both(this.#upstreamRequests),
      upstreamFailures: both(this.#upstreamFailures),
    }
  }

  /** Drops the series of a workload that is gone. */
  forget(workload: { readonly name: string; readonly namespace: string }): void {
    for (const family of [this.#requests, this.#upstreamRequests, this.#upstreamFailures]) {
      family.retain(([name, namespace]) => name !== workload.name || namespace !== workload.namespace)
    }
  }
}
