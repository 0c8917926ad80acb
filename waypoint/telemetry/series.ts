// The series of the request metrics by label values, bounded: those that were not used for longest are forgotten first, since workloads
// come and go for as long as a waypoint lives. Owned by telemetry.ts.
import type { Cell, Distribution, Family, HistogramFamily, MetricSet } from '../../core/base/metrics.ts'
import { requestLabels } from './labels.ts'

/** Istio's bounds, and between them some more where most requests are. */
const durationBounds = [
  0.5, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 25, 35, 50, 75, 100, 150, 250, 350, 500, 750, 1_000, 1_500, 2_500, 5_000,
  10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000,
]
const sizeBounds = Array.from({ length: 11 }, (_, index) => 8 ** index)

/** The cells of one combination of labels. */
export interface Series {
  readonly requests: Cell
  readonly duration: Distribution
  readonly requestBytes: Distribution
  readonly responseBytes: Distribution
  /** Undefined once it is forgotten: it is to be asked for anew. */
  lastUse: number | undefined
}

export class SeriesTable {
  readonly #requests: Family
  readonly #histograms: readonly [HistogramFamily, HistogramFamily, HistogramFamily]
  readonly #series = new Map<string, Series>()
  readonly #most: number
  #uses = 0

  constructor(metrics: MetricSet, most: number) {
    this.#most = most
    this.#requests = metrics.counter('istio_requests_total', 'Requests', requestLabels)
    this.#histograms = [
      metrics.histogram(
        'istio_request_duration_milliseconds',
        'From the head of a request to the end of its answer',
        requestLabels,
        durationBounds,
      ),
      metrics.histogram('istio_request_bytes', 'Bytes of the bodies of requests', requestLabels, sizeBounds),
      metrics.histogram('istio_response_bytes', 'Bytes of the bodies of answers', requestLabels, sizeBounds),
    ]
  }

  get count(): number {
    return this.#series.size
  }

  get(values: readonly string[]): Series {
    const key = values.join('\u0000')
    let series = this.#series.get(key)
    if (series === undefined) {
      if (this.#series.size >= this.#most) this.#forget()
      const [duration, requestBytes, responseBytes] = this.#histograms
      series = {
        requests: this.#requests.labels(values),
        duration: duration.labels(values),
        requestBytes: requestBytes.labels(values),
        responseBytes: responseBytes.labels(values),
        lastUse: 0,
      }
      this.#series.set(key, series)
    }
    this.used(series)
    return series
  }

  used(series: Series): void {
    series.lastUse = ++this.#uses
  }

  /** The older half goes. */
  #forget(): void {
    const byAge = [...this.#series].sort(([, a], [, b]) => (a.lastUse ?? 0) - (b.lastUse ?? 0))
    for (const [key, series] of byAge.slice(0, Math.ceil(byAge.length / 2))) {
      this.#series.delete(key)
      series.lastUse = undefined
    }
    const keep = (labels: readonly string[]): boolean => this.#series.has(labels.join('\u0000'))
    for (const family of [this.#requests, ...this.#histograms]) family.retain(keep)
  }
}
