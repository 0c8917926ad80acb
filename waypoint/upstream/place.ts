// What the pool has for one key: the connections to one endpoint that carry one caller's requests in one protocol. Used by pool.ts.
import type { Permit } from '../circuit/circuit.ts'
import type { ConnectionOwner, UpstreamConnection } from './connection.ts'
import type { ConnectionPermits, UpstreamTarget } from './upstream.ts'

/** Of a connection that waits for its next exchange. */
const busy = -1

export type WireProtocol = 'http1' | 'http2'

/** One connection of the pool, with its place in the circuit breaker. */
export class Pooled {
  readonly place: Place
  readonly permits: ConnectionPermits | undefined
  connection!: UpstreamConnection
  #permit: Permit | undefined
  /** Monotonic milliseconds until which it may wait; -1 while an exchange is under way. */
  idleUntil = busy

  constructor(place: Place, permits: ConnectionPermits | undefined, permit: Permit | undefined) {
    this.place = place
    this.permits = permits
    this.#permit = permit
  }

  get idle(): boolean {
    return this.idleUntil !== busy
  }

  use(): UpstreamConnection {
    this.idleUntil = busy
    return this.connection
  }

  /** Its permit goes to another connection; this one ends. */
  yieldPermit(): Permit | undefined {
    const permit = this.#permit
    this.#permit = undefined
    this.connection.retire()
    return permit
  }

  /** It is closed. */
  release(): void {
    this.#permit?.release()
    this.#permit = undefined
  }
}

export class Place {
  readonly key: string
  readonly protocol: WireProtocol
  readonly target: UpstreamTarget
  /** Address of the caller whose requests they carry. */
  readonly caller: string
  /** Those that are not closed yet. */
  readonly open = new Set<Pooled>()
  /** That take exchanges: the one that was used last is the last, and is taken first, so that the others become old. */
  readonly ready: Pooled[] = []
  /** HTTP/2: the connection that is being made is for all who wait. */
  opening: Promise<void> | undefined
  /** Connections that are being made. */
  dialling = 0
  /** The endpoint left the model: what is made still serves who waits for it, and then ends. */
  retired = false

  constructor(key: string, protocol: WireProtocol, target: UpstreamTarget, caller: string) {
    this.key = key
    this.protocol = protocol
    this.target = target
    this.caller = caller
  }

  get empty(): boolean {
    return this.open.size === 0 && this.dialling === 0
  }

  /** A connection that takes an exchange now; one of HTTP/1.1 is the caller's alone until it is idle again. */
  take(nowMs: number): Pooled | undefined {
    const { ready } = this
    for (let pooled = ready.at(-1); pooled !== undefined; pooled = ready.at(-1)) {
      const fresh = !pooled.idle || nowMs < pooled.idleUntil
      if (this.protocol === 'http1' || !pooled.connection.usable || !fresh) ready.pop()
      if (pooled.connection.usable && fresh) return pooled
      if (!fresh) pooled.connection.retire()
    }
    return undefined
  }

  /** It takes exchanges again. */
  add(pooled: Pooled): void {
    if (this.protocol === 'http1' || !this.ready.includes(pooled)) this.ready.push(pooled)
  }

  /** It takes no more. */
  remove(pooled: Pooled): void {
    const at = this.ready.indexOf(pooled)
    if (at >= 0) this.ready.splice(at, 1)
  }
}

/** What the pool does with the events of its connections. */
export interface PooledEvents {
  onAvailable(pooled: Pooled): void
  onIdle(pooled: Pooled): void
  onUnusable(pooled: Pooled): void
  onClosed(pooled: Pooled): void
}

export function ownerOf(pooled: Pooled, events: PooledEvents): ConnectionOwner {
  return {
    onAvailable: () => events.onAvailable(pooled),
    onIdle: () => events.onIdle(pooled),
    onUnusable: () => events.onUnusable(pooled),
    onClosed: () => events.onClosed(pooled),
  }
}
