// The endpoints of one destination and all that is known of them while they serve: requests under way, latency, ejection. Shared by
// the balancer, the outlier detector and the circuit of a destination; an update of the set keeps the state of who stays.

import type { SocketAddress } from '../../core/net/address.ts'
import { type LatencyOptions, PeakEwma } from './latency.ts'

export interface Locality {
  readonly region: string
  readonly zone?: string | undefined
  readonly subzone?: string | undefined
}

/** What the control plane says of an endpoint. */
export interface EndpointFacts {
  /** Stays the same as long as it is the same endpoint, such as workload uid and port. */
  readonly key: string
  /** Where consistent hashing puts it; the key where absent. One that takes the place of another, such as a restarted one, has its keys. */
  readonly place?: string | undefined
  readonly target: SocketAddress
  /** Share relative to the others; 0 gets nothing unless all have 0. */
  readonly weight: number
  readonly healthy: boolean
  readonly locality?: Locality | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
}

export class Endpoint {
  readonly key: string
  readonly latency: PeakEwma
  #facts: EndpointFacts
  #warmSinceMs: number
  #active = 0
  #ejected = false

  constructor(facts: EndpointFacts, nowMs: number, latency?: LatencyOptions) {
    this.key = facts.key
    this.latency = new PeakEwma(nowMs, latency)
    this.#facts = facts
    this.#warmSinceMs = nowMs
  }

  get facts(): EndpointFacts {
    return this.#facts
  }

  get place(): string {
    return this.#facts.place ?? this.key
  }

  /** Requests under way. */
  get active(): number {
    return this.#active
  }

  /** When it began to serve, or served again after it was not healthy: warm-up counts from here. */
  get warmSinceMs(): number {
    return this.#warmSinceMs
  }

  /** Taken out by the outlier detector. */
  get ejected(): boolean {
    return this.#ejected
  }

  began(): void {
    this.#active += 1
  }

  ended(): void {
    if (this.#active > 0) this.#active -= 1
  }

  /** For the table alone. */
  renew(facts: EndpointFacts, nowMs: number): void {
    if (facts.healthy && !this.#facts.healthy) this.#warmSinceMs = nowMs
    this.#facts = facts
  }

  /** For the table alone, which must tell the balancers. */
  markEjected(ejected: boolean): void {
    this.#ejected = ejected
  }
}

export interface TableOptions {
  /** Monotonic milliseconds. */
  readonly clock: () => number
  readonly latency?: LatencyOptions | undefined
}

export class EndpointTable {
  readonly #options: TableOptions
  readonly #byKey = new Map<string, Endpoint>()
  #members: readonly Endpoint[] = []
  #ejectionsCount = true
  #membership = 0
  #availability = 0

  constructor(options: TableOptions) {
    this.#options = options
  }

  get members(): readonly Endpoint[] {
    return this.#members
  }

  /** Grows whenever the members or their facts change. */
  get membership(): number {
    return this.#membership
  }

  /** Grows whenever somebody may serve who might not before, or the reverse; also with `membership`. */
  get availability(): number {
    return this.#availability
  }

  get(key: string): Endpoint | undefined {
    return this.#byKey.get(key)
  }

  /**
   * The new set. Who was there keeps requests, latency and ejection; of several with one key the first counts.
   * @returns those that are gone: their requests run on, new ones do not come
   */
  update(set: readonly EndpointFacts[]): readonly Endpoint[] {
    const nowMs = this.#options.clock()
    const next = new Map<string, Endpoint>()
    for (const facts of set) {
      if (next.has(facts.key)) continue
      const known = this.#byKey.get(facts.key)
      known?.renew(facts, nowMs)
      next.set(facts.key, known ?? new Endpoint(facts, nowMs, this.#options.latency))
    }
    const gone = this.#members.filter(({ key }) => !next.has(key))
    this.#byKey.clear()
    for (const [key, endpoint] of next) this.#byKey.set(key, endpoint)
    this.#members = [...next.values()]
    this.#membership += 1
    this.#availability += 1
    return gone
  }

  available(endpoint: Endpoint): boolean {
    return endpoint.facts.healthy && !(this.#ejectionsCount && endpoint.ejected)
  }

  /** Told by the outlier detector. */
  eject(key: string, ejected: boolean): void {
    const endpoint = this.#byKey.get(key)
    if (endpoint === undefined || endpoint.ejected === ejected) return
    endpoint.markEjected(ejected)
    this.#availability += 1
  }

  /** Told by the outlier detector where too few would be left (minHealthPercent): then ejections are noted, but do not count. */
  ignoreEjections(ignored: boolean): void {
    if (this.#ejectionsCount !== ignored) return
    this.#ejectionsCount = !ignored
    this.#availability += 1
  }
}
