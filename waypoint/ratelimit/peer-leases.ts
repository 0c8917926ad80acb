// Which replica of the waypoint keeps a mesh-wide limit, and the way there: every replica picks the same one of those that live, by
// rendezvous hashing, so that nobody need be elected and a replica that goes takes only its own limits with it.
import { hash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { abortable, deadline } from '../../core/base/deadline.ts'
import { MeshError } from '../../core/base/errors.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import { LeaseStream } from './lease-stream.ts'
import type { LeaseGrant, LeaseRequest, LimitLeases } from './leases.ts'

export interface PeerLeasesDeps {
  /** uid of this replica's workload. */
  readonly own: string
  /** uids of all replicas that serve, this one too. */
  readonly peers: () => readonly string[]
  /** A tunnel stream to the lease port of a replica. Rejects where it cannot be reached. */
  readonly dial: (uid: string, signal: AbortSignal) => Promise<Duplex>
  readonly keeper: LeaseKeeper
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** For one lease, the connection to the keeper included. */
  readonly patienceMs?: number
}

const defaultPatienceMs = 1_000
/** A keeper that could not be reached is left alone so long. */
const pauseMs = 500

/** The replica that keeps a limit: the one with the highest hash of both names. */
export function keeperOf(limit: string, peers: readonly string[]): string | undefined {
  let best: string | undefined
  let highest = ''
  for (const peer of peers) {
    const weight = hash('sha256', `${peer}\0${limit}`, 'hex')
    if (best === undefined || weight > highest || (weight === highest && peer < best)) {
      best = peer
      highest = weight
    }
  }
  return best
}

type Way =
  | { readonly kind: 'dialling'; readonly stream: Promise<LeaseStream> }
  | { readonly kind: 'open'; readonly stream: LeaseStream }
  | { readonly kind: 'pause'; readonly untilMs: number }

export class PeerLeases implements LimitLeases {
  readonly #deps: PeerLeasesDeps
  readonly #ways = new Map<string, Way>()
  readonly #closed = new AbortController()

  constructor(deps: PeerLeasesDeps) {
    this.#deps = deps
  }

  async lease(request: LeaseRequest, signal: AbortSignal): Promise<LeaseGrant> {
    const { own, peers, keeper, clock, patienceMs = defaultPatienceMs } = this.#deps
    const uid = keeperOf(request.limit, peers()) ?? own
    if (uid === own) return keeper.lease(request, clock())
    const until = deadline(patienceMs, signal)
    const late = () => new MeshError('TUNNEL_TIMEOUT', `the replica ${uid}, which keeps a limit, did not answer`)
    const stream = await abortable(this.#stream(uid), until, late)
    return await stream.lease(request, until)
  }

  close(): void {
    this.#closed.abort()
    for (const way of this.#ways.values()) if (way.kind === 'open') way.stream.close()
    this.#ways.clear()
  }

  #stream(uid: string): Promise<LeaseStream> {
    const way = this.#ways.get(uid)
    if (way?.kind === 'open' && !way.stream.closed) return Promise.resolve(way.stream)
    if (way?.kind === 'dialling') return way.stream
    if (way?.kind === 'pause' && way.untilMs > this.#deps.clock()) {
      return Promise.reject(new MeshError('TUNNEL_UNAVAILABLE', `the replica ${uid} could not be reached a moment ago`))
    }
    const stream = this.#dial(uid)
    this.#ways.set(uid, { kind: 'dialling', stream })
    return stream
  }

  async #dial(uid: string): Promise<LeaseStream> {
    try {
      const stream = new LeaseStream(await this.#deps.dial(uid, this.#closed.signal))
      if (this.#closed.signal.aborted) stream.close()
      else this.#ways.set(uid, { kind: 'open', stream })
      this.#forgetGone()
      return stream
    } catch (error: unknown) {
      this.#ways.set(uid, { kind: 'pause', untilMs: this.#deps.clock() + pauseMs })
      throw error
    }
  }

  /** Replicas come and go under new names. */
  #forgetGone(): void {
    const peers = new Set(this.#deps.peers())
    for (const [uid, way] of this.#ways) {
      if (peers.has(uid)) continue
      if (way.kind === 'open') way.stream.close()
      this.#ways.delete(uid)
    }
  }
}
