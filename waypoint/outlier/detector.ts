// Outlier detection of one destination, as Envoy does it under Istio: endpoints that fail several times in a row, or clearly more
// often than the others, are taken out of load balancing for a while. Told by the layer that balances of each outcome, and by its
// owner's timer of each interval; tells the table of endpoints and telemetry. Without timers and sockets.

import { HostMonitor } from './host-monitor.ts'
import { outliersBySuccessRate, type SuccessRateOptions } from './success-rate.ts'

/** Istio's outlierDetection in plain units. Counts of 0 switch a check off. */
export interface OutlierOptions {
  readonly consecutive5xx: number
  /** 502, 503, 504. */
  readonly consecutiveGatewayErrors: number
  /** Failures to connect, resets and timeouts count for themselves instead of as 503 and 504. */
  readonly splitLocalOrigin: boolean
  /** Only with the split. */
  readonly consecutiveLocalOriginFailures: number
  readonly intervalMs: number
  readonly baseEjectionMs: number
  readonly maxEjectionMs: number
  /** Of all endpoints; one may be ejected whatever the share, none with 0. */
  readonly maxEjectionPercent: number
  /** With fewer healthy ones ejections do not count; 0 off. */
  readonly minHealthPercent: number
  /** Statuses that count as 5xx instead of 500 to 599. */
  readonly errorCodes?: readonly number[] | undefined
  /** Off where absent, as always in Istio. */
  readonly successRate?: SuccessRateOptions | undefined
}

export const outlierDefaults: OutlierOptions = {
  consecutive5xx: 5,
  consecutiveGatewayErrors: 0,
  splitLocalOrigin: false,
  consecutiveLocalOriginFailures: 5,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectionPercent: 10,
  minHealthPercent: 0,
}

/** What became of a request at an endpoint. `unreachable`: no connection or a reset; a request that the client gave up is neither. */
export type OutlierOutcome =
  | { readonly kind: 'response'; readonly status: number }
  | { readonly kind: 'unreachable' }
  | { readonly kind: 'timeout' }

export type EjectionReason =
  | 'consecutive-5xx'
  | 'consecutive-gateway-errors'
  | 'consecutive-local-origin'
  | 'success-rate'

export type OutlierEvent =
  | { readonly kind: 'ejected'; readonly key: string; readonly reason: EjectionReason; readonly forMs: number }
  | { readonly kind: 'returned'; readonly key: string }
  /** It would have been ejected, but too many are. */
  | { readonly kind: 'spared'; readonly key: string; readonly reason: EjectionReason }
  /** Whether ejections count (minHealthPercent). */
  | { readonly kind: 'ejections-ignored'; readonly ignored: boolean }

/** What the detector changes: balance/endpoint-table.ts. */
export interface OutlierTable {
  readonly members: readonly { readonly key: string; readonly facts: { readonly healthy: boolean } }[]
  eject(key: string, ejected: boolean): void
  ignoreEjections(ignored: boolean): void
}

export interface OutlierDeps {
  /** Monotonic milliseconds. */
  readonly clock: () => number
  readonly onEvent?: ((event: OutlierEvent) => void) | undefined
}

export class OutlierDetector {
  #options: OutlierOptions
  readonly #table: OutlierTable
  readonly #deps: OutlierDeps
  #hosts = new Map<string, HostMonitor>()
  #ignored = false

  constructor(options: OutlierOptions, table: OutlierTable, deps: OutlierDeps) {
    this.#options = options
    this.#table = table
    this.#deps = deps
    this.follow()
  }

  /** How often `tick` wants to be called. */
  get intervalMs(): number {
    return this.#options.intervalMs
  }

  /** New limits; counts and ejections stay. */
  reconfigure(options: OutlierOptions): void {
    this.#options = options
    this.#checkHealth()
  }

  /** To be called after each update of the table: who left is forgotten. */
  follow(): void {
    this.#hosts = new Map(this.#table.members.map(({ key }) => [key, this.#hosts.get(key) ?? new HostMonitor()]))
    this.#checkHealth()
  }

  /** The outcome of one try. Ejects at once where a count is reached. */
  observe(key: string, outcome: OutlierOutcome): void {
    const host = this.#hosts.get(key)
    if (host === undefined) return
    const { splitLocalOrigin } = this.#options
    if (outcome.kind !== 'response' && splitLocalOrigin) {
      host.localOrigin(false)
      this.#eject(
        key,
        host,
        host.localFailures,
        this.#options.consecutiveLocalOriginFailures,
        'consecutive-local-origin',
      )
      return
    }
    if (splitLocalOrigin) host.localOrigin(true)
    const status = outcome.kind === 'response' ? outcome.status : outcome.kind === 'timeout' ? 504 : 503
    host.answered(this.#classify(status, outcome.kind === 'response'))
    const { consecutive5xx, consecutiveGatewayErrors } = this.#options
    this.#eject(key, host, host.gatewayErrors, consecutiveGatewayErrors, 'consecutive-gateway-errors')
    this.#eject(key, host, host.errors, consecutive5xx, 'consecutive-5xx')
  }

  #classify(status: number, answered: boolean): 'success' | 'error' | 'gateway-error' {
    const { errorCodes } = this.#options
    const failed = errorCodes === undefined || !answered ? status >= 500 && status <= 599 : errorCodes.includes(status)
    if (!failed) return 'success'
    return status >= 502 && status <= 504 ? 'gateway-error' : 'error'
  }

  #eject(key: string, host: HostMonitor, count: number, limit: number, reason: EjectionReason): void {
    if (limit <= 0 || count < limit || host.ejectedAtMs !== undefined) return
    // Whether it is ejected or spared, the next one needs as many failures again.
    host.forget(reason)
    this.#take(key, host, reason)
  }

  #take(key: string, host: HostMonitor, reason: EjectionReason): void {
    const { maxEjectionPercent } = this.#options
    const ejected = [...this.#hosts.values()].filter(({ ejectedAtMs }) => ejectedAtMs !== undefined).length
    const percent = (100 * (ejected + 1)) / this.#hosts.size
    if (maxEjectionPercent <= 0 || (ejected > 0 && percent > maxEjectionPercent)) {
      this.#tell({ kind: 'spared', key, reason })
      return
    }
    host.eject(this.#deps.clock())
    this.#table.eject(key, true)
    this.#tell({ kind: 'ejected', key, reason, forMs: this.#ejectionMs(host) })
    this.#checkHealth()
  }

  #ejectionMs({ times }: HostMonitor): number {
    const { baseEjectionMs, maxEjectionMs } = this.#options
    return Math.min(times * baseEjectionMs, Math.max(baseEjectionMs, maxEjectionMs))
  }

  /** Once per interval: who served its time returns, who behaves is forgiven a little, success rates are compared. */
  tick(): void {
    const nowMs = this.#deps.clock()
    for (const [key, host] of this.#hosts) {
      if (host.ejectedAtMs === undefined) host.forgive()
      else if (nowMs - host.ejectedAtMs >= this.#ejectionMs(host)) {
        host.restore()
        this.#table.eject(key, false)
        this.#tell({ kind: 'returned', key })
      }
    }
    this.#checkHealth()
    this.#compareRates()
  }

  #compareRates(): void {
    const { successRate } = this.#options
    const rates = [...this.#hosts].map(([key, host]) => ({ key, ...host.closeInterval() }))
    if (successRate === undefined) return
    for (const key of outliersBySuccessRate(rates, successRate)) {
      const host = this.#hosts.get(key)
      if (host !== undefined && host.ejectedAtMs === undefined) this.#take(key, host, 'success-rate')
    }
  }

  #checkHealth(): void {
    const { members } = this.#table
    const healthy = members.filter(
      ({ key, facts }) => facts.healthy && this.#hosts.get(key)?.ejectedAtMs === undefined,
    ).length
    const ignored = members.length > 0 && (100 * healthy) / members.length < this.#options.minHealthPercent
    if (ignored === this.#ignored) return
    this.#ignored = ignored
    this.#table.ignoreEjections(ignored)
    this.#tell({ kind: 'ejections-ignored', ignored })
  }

  #tell(event: OutlierEvent): void {
    this.#deps.onEvent?.(event)
  }

  /** For the admin page; times in milliseconds. */
  toJSON() {
    const nowMs = this.#deps.clock()
    return {
      ejectionsIgnored: this.#ignored,
      hosts: [...this.#hosts].map(([key, host]) => ({
        key,
        ejected: host.ejectedAtMs !== undefined,
        returnsInMs:
          host.ejectedAtMs === undefined ? null : Math.max(0, host.ejectedAtMs + this.#ejectionMs(host) - nowMs),
        multiplier: host.times,
        ejections: host.ejections,
        consecutive5xx: host.errors,
        consecutiveGatewayErrors: host.gatewayErrors,
        consecutiveLocalOriginFailures: host.localFailures,
      })),
    }
  }
}
