// The connections to endpoints, kept from one exchange to the next: for each endpoint, caller and protocol of their own, since the other
// end judges and shows the caller by the connection. One per data worker; the stack sends every try through it.
import type { Duplex } from 'node:stream'
import { deadlineTimer } from '../../core/base/deadline.ts'
import { timer } from '../../core/hbone/limits.ts'
import { formatSocketAddress } from '../../core/net/address.ts'
import type { Permit } from '../circuit/circuit.ts'
import type { Answer, Exchange, Origin } from '../exchange.ts'
import { Failure } from '../http/failure.ts'
import { Shares } from '../shares.ts'
import { abandoned } from './abandoned.ts'
import type { OpenConnection, UpstreamConnection } from './connection.ts'
import { waitForPermit } from './permit.ts'
import { ownerOf, Place, Pooled, type PooledEvents, type WireProtocol } from './place.ts'
import type { ConnectionPermits, Upstream, UpstreamTarget } from './upstream.ts'

/** Resolves with a connected stream that nobody has read from; rejects with a Failure (connect, denied). */
export type Dial = (origin: Origin, target: UpstreamTarget, signal: AbortSignal) => Promise<Duplex>

export interface PoolOptions {
  readonly dial: Dial
  readonly open: Readonly<Record<WireProtocol, OpenConnection>>
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** Connections at once, whoever they are for; beyond, those that idle longest go first. */
  readonly maxConnections?: number
}

const defaultConnectTimeoutMs = 10_000
const defaultIdleTimeoutMs = 60_000
const defaultMaxConnections = 20_000
/** A peer that closes an idle connection does so while our next request is on its way; so we are earlier. */
const idleMarginMs = 1_000
const sweepMs = 1_000
/** HTTP/2: connections made in vain for one exchange, because others had taken all their streams. */
const maxRounds = 8

/** Names a connection's end for `retire`. */
export type Endpoint = Pick<UpstreamTarget, 'workload' | 'address'>

export class UpstreamPool implements Upstream, PooledEvents {
  readonly #options: PoolOptions
  readonly #places = new Map<string, Place>()
  readonly #pooled = new Map<UpstreamConnection, Pooled>()
  /** Connections that count at the same circuit breaker. */
  readonly #siblings = new WeakMap<ConnectionPermits, Map<UpstreamConnection, Pooled>>()
  /** Of all connections, those that are being made included. */
  readonly #shares = new Shares()
  readonly #closing = new AbortController()
  #closed: (() => void) | undefined
  #dialling = 0
  #sweep: NodeJS.Timeout | undefined

  constructor(options: PoolOptions) {
    this.#options = options
  }

  /** Connections that are not closed, those that are being made included. */
  get connections(): number {
    return this.#pooled.size + this.#dialling
  }

  send(exchange: Exchange, target: UpstreamTarget): Promise<Answer> {
    const place = this.#place(exchange, target)
    const pooled = place.take(this.#options.clock())
    if (pooled !== undefined) return this.#use(pooled, exchange, target)
    return this.#sendAnew(place, exchange, target)
  }

  /** The endpoint left the model: connections to it end when their exchanges do, idle ones at once. */
  retire(predicate: (endpoint: Endpoint) => boolean): void {
    for (const place of [...this.#places.values()]) {
      if (!predicate(place.target)) continue
      this.#places.delete(place.key)
      place.retired = true
      for (const { connection } of [...place.open]) connection.retire()
    }
  }

  /** Opens nothing more, waits `deadlineMs` for what is under way, then cuts it. */
  async close(deadlineMs: number): Promise<void> {
    this.#closing.abort(shuttingDown())
    clearTimeout(this.#sweep)
    for (const connection of [...this.#pooled.keys()]) connection.retire()
    if (this.#pooled.size === 0) return
    await new Promise<void>((resolve) => {
      const late = deadlineTimer(deadlineMs, () => {
        for (const connection of [...this.#pooled.keys()]) connection.destroy()
      })
      this.#closed = () => {
        clearTimeout(late)
        resolve()
      }
    })
  }

  // ---- from an exchange to a connection ------------------------------------------------------------------------------

  #place(exchange: Exchange, target: UpstreamTarget): Place {
    const protocol = protocolFor(exchange, target)
    const { principal, address: caller } = exchange.origin
    const { workload, address, service } = target
    // None of these has such a character in it.
    const key = `${workload.uid}\0${address.address}\0${address.port}\0${principal}\0${caller.address}\0${protocol}\0${service}`
    const present = this.#places.get(key)
    if (present !== undefined) return present
    const place = new Place(key, protocol, target, caller.address)
    this.#places.set(key, place)
    return place
  }

  #use(pooled: Pooled, exchange: Exchange, target: UpstreamTarget): Promise<Answer> {
    const connection = pooled.use()
    const answer = connection.send(exchange)
    if (pooled.place.retired || connection.served >= (target.maxRequestsPerConnection || Number.POSITIVE_INFINITY)) {
      connection.retire()
    }
    return answer
  }

  async #sendAnew(place: Place, exchange: Exchange, target: UpstreamTarget): Promise<Answer> {
    for (let round = 0; round < maxRounds; round += 1) {
      const pooled =
        place.protocol === 'http1'
          ? await this.#own(place, exchange, target)
          : await this.#shared(place, exchange, target)
      if (pooled !== undefined) return this.#use(pooled, exchange, target)
    }
    throw new Failure('refused', `no stream to ${formatSocketAddress(target.address)} is to be had`)
  }

  /** HTTP/1.1: a connection for this exchange alone. */
  async #own(place: Place, exchange: Exchange, target: UpstreamTarget): Promise<Pooled | undefined> {
    const abort = new AbortController()
    const unlisten = exchange.onAbandoned((reason) => abort.abort(abandoned(reason, false)))
    try {
      return await this.#obtain(place, exchange.origin, target, abort.signal)
    } finally {
      unlisten()
    }
  }

  /** HTTP/2: whoever needs a connection waits for the one that is being made, and looks again. */
  async #shared(place: Place, exchange: Exchange, target: UpstreamTarget): Promise<Pooled | undefined> {
    place.opening ??= this.#openShared(place, exchange.origin, target)
    const { opening } = place
    await new Promise<void>((resolve, reject) => {
      const unlisten = exchange.onAbandoned((reason) => reject(abandoned(reason, false)))
      opening.then(resolve, reject).finally(unlisten)
    })
    return place.take(this.#options.clock())
  }

  async #openShared(place: Place, origin: Origin, target: UpstreamTarget): Promise<void> {
    try {
      const pooled = await this.#obtain(place, origin, target, this.#closing.signal)
      if (!pooled.connection.usable) return
      // Should nobody be left who wants it.
      pooled.idleUntil = this.#idleUntil(pooled)
      place.add(pooled)
    } finally {
      place.opening = undefined
    }
  }

  /** A connection that is nobody else's: a new one, or one that became free for those who wait at the circuit breaker. */
  async #obtain(place: Place, origin: Origin, target: UpstreamTarget, signal: AbortSignal): Promise<Pooled> {
    if (this.#closing.signal.aborted) throw shuttingDown()
    place.dialling += 1
    this.#dialling += 1
    this.#shares.take(place.caller)
    let permit: Permit | undefined
    try {
      this.#makeRoom(place.caller)
      if (target.connections !== undefined) {
        const siblings = this.#siblings.get(target.connections) ?? new Map()
        this.#siblings.set(target.connections, siblings)
        const grant = await waitForPermit(target.connections, place, siblings, signal)
        if (grant instanceof Pooled) return grant
        permit = grant
      }
      const pooled = new Pooled(place, target.connections, permit)
      await this.#connect(pooled, origin, target, signal)
      return pooled
    } catch (error: unknown) {
      permit?.release()
      throw error
    } finally {
      place.dialling -= 1
      this.#dialling -= 1
      this.#shares.give(place.caller)
      this.#tidy(place)
    }
  }

  async #connect(pooled: Pooled, origin: Origin, target: UpstreamTarget, signal: AbortSignal): Promise<void> {
    const stream = await this.#dial(origin, target, signal)
    if (this.#closing.signal.aborted) {
      stream.destroy()
      throw shuttingDown()
    }
    const { place } = pooled
    pooled.connection = this.#options.open[place.protocol](stream, ownerOf(pooled, this))
    place.open.add(pooled)
    this.#pooled.set(pooled.connection, pooled)
    this.#shares.take(place.caller)
    if (pooled.permits !== undefined) this.#siblings.get(pooled.permits)?.set(pooled.connection, pooled)
  }

  async #dial(origin: Origin, target: UpstreamTarget, signal: AbortSignal): Promise<Duplex> {
    const { connectTimeoutMs = defaultConnectTimeoutMs } = target
    const abort = new AbortController()
    const to = formatSocketAddress(target.address)
    const late = timer(connectTimeoutMs, () =>
      abort.abort(new Failure('connect', `no connection to ${to} within ${connectTimeoutMs} ms`)),
    )
    const give = () => abort.abort(signal.reason)
    signal.addEventListener('abort', give, { once: true })
    if (signal.aborted) give()
    try {
      return await abortableDial(this.#options.dial(origin, target, abort.signal), abort.signal)
    } finally {
      clearTimeout(late)
      signal.removeEventListener('abort', give)
    }
  }

  /**
   * Within the bound of all connections, and of half of them for each caller, so that nobody shuts all others out: the one that has been idle
   * longest goes.
   */
  #makeRoom(caller: string): void {
    const { maxConnections = defaultMaxConnections } = this.#options
    const own = this.#shares.of(caller)
    const crowded = own > 1 + maxConnections / 2
    if (!crowded && this.connections <= maxConnections) return
    let oldest: Pooled | undefined
    for (const pooled of this.#pooled.values()) {
      if (!pooled.idle || (crowded && pooled.place.caller !== caller)) continue
      if (oldest === undefined || pooled.idleUntil < oldest.idleUntil) oldest = pooled
    }
    if (oldest === undefined) {
      const whose = crowded ? `${own} connections for ${caller}` : `all ${maxConnections} connections`
      throw new Failure('overflow', `${whose} are in use`)
    }
    oldest.connection.retire()
  }

  // ---- what connections tell -----------------------------------------------------------------------------------------

  onAvailable(pooled: Pooled): void {
    if (!pooled.place.retired) pooled.place.add(pooled)
  }

  onIdle(pooled: Pooled): void {
    const { place, connection } = pooled
    if (pooled.permits?.offer(connection) === true || !connection.usable) return
    pooled.idleUntil = this.#idleUntil(pooled)
    place.add(pooled)
  }

  #idleUntil({ place, connection }: Pooled): number {
    const { idleTimeoutMs = defaultIdleTimeoutMs } = place.target
    const hint = connection.idleHintMs
    if (this.#sweep === undefined && !this.#closing.signal.aborted) this.#sweep = timer(sweepMs, this.#onSweep)
    return (
      this.#options.clock() +
      (hint === undefined ? idleTimeoutMs : Math.min(idleTimeoutMs, Math.max(0, hint - idleMarginMs)))
    )
  }

  onUnusable(pooled: Pooled): void {
    pooled.place.remove(pooled)
  }

  onClosed(pooled: Pooled): void {
    const { place, connection } = pooled
    if (this.#pooled.delete(connection)) this.#shares.give(place.caller)
    if (pooled.permits !== undefined) this.#siblings.get(pooled.permits)?.delete(connection)
    place.open.delete(pooled)
    this.#tidy(place)
    pooled.release()
    if (this.#pooled.size === 0) this.#closed?.()
  }

  #tidy(place: Place): void {
    if (place.empty && this.#places.get(place.key) === place) this.#places.delete(place.key)
  }

  readonly #onSweep = (): void => {
    this.#sweep = undefined
    const now = this.#options.clock()
    let idle = false
    for (const pooled of [...this.#pooled.values()]) {
      if (!pooled.idle) continue
      if (now >= pooled.idleUntil) pooled.connection.retire()
      else idle = true
    }
    if (idle) this.#sweep = timer(sweepMs, this.#onSweep)
  }
}

function protocolFor(exchange: Exchange, { protocol }: UpstreamTarget): WireProtocol {
  if (protocol === 'http1' || protocol === 'http2') return protocol
  return exchange.protocol === 'h2' || (protocol === 'auto' && exchange.grpc) ? 'http2' : 'http1'
}

/** A dial that ignores the signal still has its stream closed. */
function abortableDial(dialled: Promise<Duplex>, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    let over = false
    const abort = () => {
      over = true
      reject(signal.reason)
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    dialled.then(
      (stream) => {
        signal.removeEventListener('abort', abort)
        if (over) stream.destroy()
        else resolve(stream)
      },
      (error: unknown) => {
        signal.removeEventListener('abort', abort)
        reject(error instanceof Failure ? error : new Failure('connect', messageOf(error), { cause: error }))
      },
    )
  })
}

function shuttingDown(): Failure {
  return new Failure('connect', 'this proxy is shutting down')
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
