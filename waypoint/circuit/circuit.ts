// The circuit breaker of one destination (DestinationRule's connectionPool): how many connections, waiting requests, requests and
// retries at once. Asked by the layer between balancing and the pool of connections; opens none itself.

import { type Waiter, WaitQueue } from './wait-queue.ts'

/** 0 and absent are no limit: in Istio's API they cannot be told apart. */
export interface CircuitLimits {
  readonly maxConnections?: number | undefined
  /** Requests that wait for a connection (http1MaxPendingRequests). */
  readonly maxPending?: number | undefined
  /** Requests at once, waiting ones too (http2MaxRequests). */
  readonly maxRequests?: number | undefined
  /** Retries at once. */
  readonly maxRetries?: number | undefined
  readonly maxRequestsPerConnection?: number | undefined
}

export type CircuitLimit = 'connections' | 'pending' | 'requests' | 'retries'

/** Answered 503 with the access-log flag UO and `x-envoy-overloaded: true`; never retried, never counted against an endpoint. */
export interface Overflow {
  readonly flag: 'UO'
  readonly limit: CircuitLimit
}

/** A place that is taken; `release` gives it back, once. */
export interface Permit {
  release(): void
}

/** `connect`: the right to open a connection, held until it is closed. Or a connection that became free. */
export type Grant<Connection> =
  | { readonly kind: 'connect'; readonly permit: Permit }
  | { readonly kind: 'reuse'; readonly connection: Connection }

export type Entry<Connection> =
  | Grant<Connection>
  | { readonly kind: 'waiting'; cancel(): void }
  | { readonly kind: 'overflow'; readonly overflow: Overflow }

export function isOverflow(result: Permit | Overflow): result is Overflow {
  return 'flag' in result
}

type Counted = Exclude<CircuitLimit, 'pending'>

export class Circuit<Connection> {
  readonly #clock: () => number
  readonly #queue = new WaitQueue<Grant<Connection>>()
  #limits: CircuitLimits
  readonly #taken = { connections: 0, requests: 0, retries: 0 }
  readonly #overflows: Record<CircuitLimit, number> = { connections: 0, pending: 0, requests: 0, retries: 0 }

  /** @param clock monotonic milliseconds */
  constructor(limits: CircuitLimits, clock: () => number) {
    this.#limits = limits
    this.#clock = clock
  }

  /** Held while the request lasts, with all its retries. */
  request(): Permit | Overflow {
    return this.#take('requests', this.#limits.maxRequests)
  }

  /** Held while the retry lasts; besides a retry budget, which counts otherwise. */
  retry(): Permit | Overflow {
    return this.#take('retries', this.#limits.maxRetries)
  }

  /** For connections that do not wait (TCP). */
  connection(): Permit | Overflow {
    return this.#take('connections', this.#limits.maxConnections)
  }

  /**
   * For a request that found no free connection: the right to open one, or a place in the queue. `waiter` is told of what comes
   * later, never from within this call.
   */
  enter(waiter: Waiter<Grant<Connection>>): Entry<Connection> {
    // Who waits was first.
    if (this.#queue.length === 0 && this.#free('connections', this.#limits.maxConnections)) {
      return { kind: 'connect', permit: this.#permit('connections') }
    }
    if (this.#queue.add(waiter, limited(this.#limits.maxPending))) {
      return { kind: 'waiting', cancel: () => this.#queue.cancel(waiter) }
    }
    return { kind: 'overflow', overflow: this.#overflow('pending') }
  }

  /** A connection has finished its request. @returns false where nobody waits for it: it may idle or be closed */
  offer(connection: Connection): boolean {
    const waiter = this.#queue.next(this.#clock())
    waiter?.granted({ kind: 'reuse', connection })
    return waiter !== undefined
  }

  /** Whether a connection that has carried so many requests may carry another. */
  reusable(requests: number): boolean {
    return requests < limited(this.#limits.maxRequestsPerConnection)
  }

  /** New limits; what is beyond them runs on, who waits and now finds room goes. */
  reconfigure(limits: CircuitLimits): void {
    this.#limits = limits
    this.#admit()
  }

  /** To be called at `nextDeadlineMs`. */
  expire(): void {
    this.#queue.expire(this.#clock())
  }

  get nextDeadlineMs(): number {
    return this.#queue.nextDeadlineMs
  }

  /** Requests under way and waiting, for a retry budget. */
  get requests(): number {
    return this.#taken.requests
  }

  get retries(): number {
    return this.#taken.retries
  }

  #take(what: Counted, limit: number | undefined): Permit | Overflow {
    return this.#free(what, limit) ? this.#permit(what) : this.#overflow(what)
  }

  #free(what: Counted, limit: number | undefined): boolean {
    return this.#taken[what] < limited(limit)
  }

  #permit(what: Counted): Permit {
    this.#taken[what] += 1
    let held = true
    const release = () => {
      if (!held) return
      held = false
      this.#taken[what] -= 1
      if (what === 'connections') this.#admit()
    }
    return { release }
  }

  #admit(): void {
    while (this.#queue.length > 0 && this.#free('connections', this.#limits.maxConnections)) {
      const waiter = this.#queue.next(this.#clock())
      waiter?.granted({ kind: 'connect', permit: this.#permit('connections') })
    }
  }

  #overflow(limit: CircuitLimit): Overflow {
    this.#overflows[limit] += 1
    return { flag: 'UO', limit }
  }

  /** For the admin page: a limit is null where there is none, open where it is reached. */
  toJSON() {
    const { maxConnections, maxPending, maxRequests, maxRetries } = this.#limits
    const line = (used: number, limit: number | undefined, overflows: number) => {
      const most = limited(limit)
      return { used, limit: Number.isFinite(most) ? most : null, open: used >= most, overflows }
    }
    const { connections, requests, retries } = this.#taken
    return {
      connections: line(connections, maxConnections, this.#overflows.connections),
      pending: line(this.#queue.length, maxPending, this.#overflows.pending),
      requests: line(requests, maxRequests, this.#overflows.requests),
      retries: line(retries, maxRetries, this.#overflows.retries),
    }
  }
}

function limited(limit: number | undefined): number {
  return limit === undefined || limit <= 0 ? Number.POSITIVE_INFINITY : limit
}
