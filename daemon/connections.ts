// The live connections of one data plane and what a later policy needs to judge them again. outbound.ts, inbound.ts and
// inbound-plaintext.ts register here before they decide anything; DataPlane re-checks after a change of the model.

import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Bag, type Bagged } from '../core/base/bag.ts'
import { Cancellation, type CancelSignal } from '../core/base/cancel.ts'
import { deadlineTimer } from '../core/base/deadline.ts'
import { MeshError } from '../core/base/errors.ts'
import type { Identity } from '../core/identity/spiffe.ts'
import type { SocketAddress } from '../core/net/address.ts'
import { resetSocket } from '../core/net/sys.ts'
import type { Served } from './served.ts'

export type Direction = 'outbound' | 'inbound' | 'inbound-plaintext'

export interface ConnectionFacts {
  readonly direction: Direction
  /** One stay of a local workload: limits and drains count per owner. A workload that comes back is another owner. */
  readonly owner: Served
  readonly source: SocketAddress
  readonly destination: SocketAddress
  /** The caller's verified identity; absent for plaintext. */
  readonly identity?: Identity
  /** The waypoint that passed caller and address on. */
  readonly via?: Peer
}

/** The other end of a tunnel. */
export interface Peer {
  readonly identity: Identity
  readonly address: SocketAddress
}

type State =
  | {
      readonly kind: 'connecting'
      readonly abort: Cancellation
      readonly timer: NodeJS.Timeout
      readonly cleanups: (() => void)[]
    }
  | { readonly kind: 'open'; readonly near: Duplex; readonly far: Duplex }
  | { readonly kind: 'closed'; readonly error?: MeshError }

/** Ends a stream so that the other side sees a reset, not an orderly end. */
export function resetStream(stream: Duplex, error?: MeshError): void {
  if (stream.destroyed) return
  stream.on('error', ignore)
  if (stream instanceof Socket) resetSocket(stream)
  else stream.destroy(error)
}

function ignore(): void {}

/** One connection from accept to close. The handler that registered it calls `opened` and, always, `finish`. */
export class Connection implements Bagged {
  /** In the registry. */
  place = -1
  readonly id: number
  readonly facts: ConnectionFacts
  readonly startedAt: number
  readonly #registry: Connections
  #state: State
  #descriptors = 2

  constructor(registry: Connections, id: number, facts: ConnectionFacts, startedAt: number, timeoutMs: number) {
    this.#registry = registry
    this.id = id
    this.facts = facts
    this.startedAt = startedAt
    const timer = setTimeout(timedOut, timeoutMs, this, timeoutMs)
    this.#state = { kind: 'connecting', abort: new Cancellation(), timer, cleanups: [] }
  }

  /** What it takes of the open files of this process. */
  get descriptors(): number {
    return this.#descriptors
  }

  get state(): State['kind'] {
    return this.#state.kind
  }

  /** Aborted by `close` while the connection is being made. */
  get signal(): CancelSignal {
    if (this.#state.kind === 'connecting') return this.#state.abort
    const over = new Cancellation()
    over.abort(this.closeReason)
    return over
  }

  /** Calls back once the connection is made or closed, whichever is first. */
  onSettled(cleanup: () => void): void {
    if (this.#state.kind === 'connecting') this.#state.cleanups.push(cleanup)
    else cleanup()
  }

  /** Why `close` ended it, if it did. */
  get closeReason(): MeshError | undefined {
    return this.#state.kind === 'closed' ? this.#state.error : undefined
  }

  /** Both sides are there; from now on `close` resets them. Resets them and throws what closed the connection meanwhile. */
  opened(near: Duplex, far: Duplex): void {
    if (this.#state.kind !== 'connecting') {
      resetStream(near)
      resetStream(far)
      throw this.closeReason ?? new MeshError('ABORTED', 'the connection was closed meanwhile')
    }
    const sockets = Number(near instanceof Socket) + Number(far instanceof Socket)
    this.#registry.countDescriptors(sockets - this.#descriptors)
    this.#descriptors = sockets
    this.#enter({ kind: 'open', near, far })
  }

  /** Ends the connection whatever its state: cancels the connect, or resets both sides. */
  close(error: MeshError): void {
    const state = this.#state
    if (state.kind === 'closed') return
    this.#enter({ kind: 'closed', error })
    if (state.kind === 'connecting') state.abort.abort(error)
    else {
      resetStream(state.near, error)
      resetStream(state.far, error)
    }
  }

  /** The handler is done with it: it leaves the registry. */
  finish(): void {
    if (this.#state.kind !== 'closed') this.#enter({ kind: 'closed' })
    this.#registry.remove(this)
  }

  #enter(next: State): void {
    const former = this.#state
    this.#state = next
    if (former.kind !== 'connecting') return
    clearTimeout(former.timer)
    this.#registry.countPending(this.facts.owner, -1)
    for (const cleanup of former.cleanups) cleanup()
  }
}

function timedOut(connection: Connection, timeoutMs: number): void {
  const what = connection.facts.direction === 'outbound' ? 'tunnel or destination' : 'application'
  connection.close(new MeshError('CONNECT_FAILED', `the ${what} did not answer within ${timeoutMs} ms`))
}

export interface ConnectionLimits {
  /** Of one workload, like `maxPending`. */
  readonly maxConnections: number
  readonly maxPending: number
  /** Of all workloads; no bound by default, as with `maxDescriptors`. */
  readonly maxTotal?: number
  /** What all connections may take: two while one is being made, then one for each end that is a socket and no tunnel. */
  readonly maxDescriptors?: number
  /** For one connect to an application, inbound. */
  readonly connectTimeoutMs: number
  /** For all that an outbound connection needs before its first byte: certificate, tunnel, the peer's own connect. */
  readonly establishTimeoutMs: number
}

interface Counts {
  readonly connections: Bag<Connection>
  pending: number
}

/** Which limit refused a connection. */
export type Limit = 'connections' | 'pending' | 'total'

/** Of all workloads, if each takes as many descriptors as it may. */
export function mostConnections({ maxTotal, maxDescriptors }: ConnectionLimits): number {
  return Math.min(maxTotal ?? Number.POSITIVE_INFINITY, (maxDescriptors ?? Number.POSITIVE_INFINITY) / 2)
}

/** Of what all may have, what is kept for workloads that have few connections; and how many are few, of that. */
const keptShare = 1 / 8
const fewShare = 1 / 16

const recheckSlice = 1000

export class Connections {
  readonly #limits: ConnectionLimits
  readonly #clock: () => number
  readonly #onRefused: (owner: Served, limit: Limit) => void
  readonly #byOwner = new Map<Served, Counts>()
  #nextId = 1
  #count = 0
  #descriptors = 0
  #recheck = 0
  #waiting: { readonly owner: Served; readonly resolve: () => void }[] = []

  constructor(
    limits: ConnectionLimits,
    clock: () => number,
    onRefused: (owner: Served, limit: Limit) => void = () => {},
  ) {
    this.#limits = limits
    this.#clock = clock
    this.#onRefused = onRefused
  }

  get count(): number {
    return this.#count
  }

  /** Throws LIMIT_REACHED where the workload has its share already, or all of them have. */
  register(facts: ConnectionFacts): Connection {
    const limit = this.#reached(this.#byOwner.get(facts.owner))
    if (limit !== undefined) {
      this.#onRefused(facts.owner, limit)
      throw new MeshError('LIMIT_REACHED', this.#refusal(facts.owner, limit))
    }
    const counts = this.#countsOf(facts.owner)
    const { connectTimeoutMs, establishTimeoutMs } = this.#limits
    const timeoutMs = facts.direction === 'outbound' ? establishTimeoutMs : connectTimeoutMs
    const connection = new Connection(this, this.#nextId++, facts, this.#clock(), timeoutMs)
    counts.connections.add(connection)
    counts.pending++
    this.#count++
    this.#descriptors += connection.descriptors
    return connection
  }

  #reached(counts: Counts | undefined): Limit | undefined {
    const open = counts?.connections.size ?? 0
    const { maxConnections, maxPending, maxTotal, maxDescriptors } = this.#limits
    const none = Number.POSITIVE_INFINITY
    if (open >= maxConnections) return 'connections'
    if ((counts?.pending ?? 0) >= maxPending) return 'pending'
    const used = Math.max(this.#count / (maxTotal ?? none), this.#descriptors / (maxDescriptors ?? none))
    if (used < 1 - keptShare) return undefined
    return used < 1 && open < mostConnections(this.#limits) * keptShare * fewShare ? undefined : 'total'
  }

  #refusal({ uid }: Served, limit: Limit): string {
    const { maxConnections, maxPending } = this.#limits
    if (limit === 'connections') return `${uid} has ${maxConnections} connections open already`
    if (limit === 'pending') return `${uid} has ${maxPending} connections waiting already`
    return `the workloads of this host have ${this.#count} connections open already: is the limit of open files too low?`
  }

  /** For Connection only. */
  countPending(owner: Served, change: number): void {
    this.#countsOf(owner).pending += change
  }

  /** For Connection only. */
  countDescriptors(change: number): void {
    this.#descriptors += change
  }

  /** For Connection only. */
  remove(connection: Connection): void {
    const counts = this.#byOwner.get(connection.facts.owner)
    if (counts?.connections.delete(connection) !== true) return
    this.#count--
    this.#descriptors -= connection.descriptors
    if (counts.connections.size === 0) this.#byOwner.delete(connection.facts.owner)
    if (this.#waiting.length > 0 && counts.connections.size === 0) this.#wake()
  }

  *list(): Generator<Connection> {
    for (const counts of this.#byOwner.values()) yield* counts.connections
  }

  of(owner: Served): readonly Connection[] {
    return [...(this.#byOwner.get(owner)?.connections ?? [])]
  }

  /**
   * Judges every connection again and closes those for which `decide` has an error. Works in slices, so that thousands of
   * connections do not hold up the others; a newer re-check takes over from an older one. Resolves with how many it closed.
   */
  async recheck(decide: (connection: Connection) => MeshError | undefined): Promise<number> {
    const round = ++this.#recheck
    let closed = 0
    let judged = 0
    for (const connection of [...this.list()]) {
      if (++judged % recheckSlice === 0) await nextTurn()
      if (round !== this.#recheck) return closed
      if (connection.state === 'closed') continue
      const error = decide(connection)
      if (error === undefined) continue
      connection.close(error)
      closed++
    }
    return closed
  }

  closeAll(error: MeshError, owner: Served): void {
    for (const connection of this.of(owner)) connection.close(error)
  }

  /** Resolves once this owner has no connection, or false at the deadline. The timer keeps the process alive. */
  whenEmpty(owner: Served, deadlineMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = deadlineTimer(deadlineMs, () => {
        this.#waiting = this.#waiting.filter((waiter) => waiter.resolve !== settle)
        resolve(false)
      })
      const settle = (): void => {
        clearTimeout(timer)
        resolve(true)
      }
      this.#waiting.push({ owner, resolve: settle })
      this.#wake()
    })
  }

  #wake(): void {
    this.#waiting = this.#waiting.filter(({ owner, resolve }) => {
      const empty = !this.#byOwner.has(owner)
      if (empty) resolve()
      return !empty
    })
  }

  #countsOf(owner: Served): Counts {
    const known = this.#byOwner.get(owner)
    if (known !== undefined) return known
    const counts: Counts = { connections: new Bag(), pending: 0 }
    this.#byOwner.set(owner, counts)
    return counts
  }
}
