// What the echo workload remembers of the requests that name a series (`uuid`): how many arrived here, when, and how many callers
// went away before the answer. Tests of retries, mirrors and limits read it at each backend, past every proxy. Bounded.
import { LRUCache } from 'lru-cache'

export interface SeriesCount {
  readonly uuid: string
  readonly requests: number
  /** Requests whose caller reset them, or went away, before the answer was complete. */
  readonly cancelled: number
  /** When each arrived, milliseconds since the epoch with fractions; the first hundred. */
  readonly arrivals: readonly number[]
}

interface Series {
  requests: number
  cancelled: number
  readonly arrivals: number[]
}

const mostArrivals = 100

/** Milliseconds since the epoch, with fractions: comparable between processes of one machine. */
export function epochMs(): number {
  return performance.timeOrigin + performance.now()
}

export class Counts {
  readonly #series = new LRUCache<string, Series>({ max: 10_000 })
  #requests = 0

  /** @returns the number of this request in its series, from 1; 1 for one without a series */
  arrived(uuid: string | undefined): number {
    this.#requests++
    if (uuid === undefined) return 1
    const series = this.#of(uuid)
    series.requests++
    if (series.arrivals.length < mostArrivals) series.arrivals.push(epochMs())
    return series.requests
  }

  cancelled(uuid: string | undefined): void {
    if (uuid !== undefined) this.#of(uuid).cancelled++
  }

  series(uuid: string): SeriesCount {
    const { requests = 0, cancelled = 0, arrivals = [] } = this.#series.get(uuid) ?? {}
    return { uuid, requests, cancelled, arrivals }
  }

  /** All requests since the start, with and without a series. */
  get requests(): number {
    return this.#requests
  }

  #of(uuid: string): Series {
    const known = this.#series.get(uuid)
    if (known !== undefined) return known
    const series = { requests: 0, cancelled: 0, arrivals: [] }
    this.#series.set(uuid, series)
    return series
  }
}
