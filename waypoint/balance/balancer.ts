// The load balancer of one destination: chooses a lane of endpoints by place and health, and in it one by the algorithm. Built by who
// builds a destination; follows the table by its versions, so an update costs nothing until the next pick.

import type { Algorithm, PickContext } from './algorithm.ts'
import { Drawing, type DrawingDeps, leastRequest, peakEwma } from './drawing.ts'
import type { Endpoint, EndpointTable } from './endpoint-table.ts'
import { mix } from './hash.ts'
import { type Lane, type LocalityPolicy, lanesOf, sharesOf } from './locality.ts'
import { Maglev, type MaglevOptions } from './maglev.ts'
import { RingHash, type RingOptions } from './ring-hash.ts'
import { RoundRobin } from './round-robin.ts'
import type { WarmUp } from './weighted.ts'

export interface BalancerOptions {
  /** `least-request` where absent. */
  readonly algorithm?: 'least-request' | 'peak-ewma' | 'round-robin' | 'random' | 'ring-hash' | 'maglev' | undefined
  /** Not with the two of consistent hashing. */
  readonly warmUp?: WarmUp | undefined
  /** Absent: places do not matter. */
  readonly locality?: LocalityPolicy | undefined
  readonly ring?: RingOptions | undefined
  readonly maglev?: MaglevOptions | undefined
}

export interface BalancerDeps {
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** [0, 1). */
  readonly random: () => number
}

export interface Balancer {
  /** Undefined where nobody may serve: 503. The caller tells the endpoint `began` and `ended`. */
  pick(context?: PickContext): Endpoint | undefined
}

interface RunningLane extends Lane {
  readonly algorithm: Algorithm
  share: number
}

export function createBalancer(options: BalancerOptions, table: EndpointTable, deps: BalancerDeps): Balancer {
  return new LaneBalancer(options, table, deps)
}

const none: PickContext = {}

class LaneBalancer implements Balancer {
  readonly #options: BalancerOptions
  readonly #table: EndpointTable
  readonly #deps: DrawingDeps
  #lanes: readonly RunningLane[] = []
  #membership = -1
  #availability = -1

  constructor(options: BalancerOptions, table: EndpointTable, deps: BalancerDeps) {
    this.#options = options
    this.#table = table
    this.#deps = { ...deps, warmUp: options.warmUp }
  }

  pick(context: PickContext = none): Endpoint | undefined {
    if (this.#availability !== this.#table.availability) this.#follow()
    const lane = this.#lane(context)
    if (lane === undefined) return undefined
    const picked = lane.algorithm.pick(context)
    const { tried, otherLocalities } = context
    if (otherLocalities !== true || picked === undefined || tried?.has(picked) !== true) return picked
    for (const other of this.#lanes) {
      const elsewhere = other === lane ? undefined : other.algorithm.pick(context)
      if (elsewhere !== undefined && !tried.has(elsewhere)) return elsewhere
    }
    return picked
  }

  /** By share; with a hash the same key goes to the same lane. */
  #lane({ hash }: PickContext): RunningLane | undefined {
    let last: RunningLane | undefined
    if (this.#lanes.length === 1) return this.#lanes[0]
    let drawn = hash !== undefined && this.#hashes ? mix(hash ^ 0x5bd1e995) / 2 ** 32 : this.#deps.random()
    for (const lane of this.#lanes) {
      if (lane.share === 0) continue
      if (drawn < lane.share) return lane
      drawn -= lane.share
      last = lane
    }
    return last
  }

  get #hashes(): boolean {
    return this.#options.algorithm === 'ring-hash' || this.#options.algorithm === 'maglev'
  }

  #follow(): void {
    const table = this.#table
    if (this.#membership !== table.membership) {
      const before = this.#lanes
      this.#lanes = lanesOf(table.members, this.#options.locality).map((lane, index) => ({
        ...lane,
        algorithm: this.#algorithm(lane.members, before[index]?.algorithm),
        share: 0,
      }))
    }
    const available = (endpoint: Endpoint) => table.available(endpoint)
    const shares = sharesOf(this.#lanes, available)
    for (const [index, lane] of this.#lanes.entries()) {
      lane.share = shares[index]!
      lane.algorithm.refresh(lane.members.filter(available))
    }
    this.#membership = table.membership
    this.#availability = table.availability
  }

  #algorithm(members: readonly Endpoint[], before: Algorithm | undefined): Algorithm {
    const { algorithm, ring, maglev } = this.#options
    if (algorithm === 'ring-hash') return new RingHash(members, this.#deps, ring)
    if (algorithm === 'maglev') return new Maglev(members, this.#deps, maglev)
    if (before !== undefined) return before
    if (algorithm === 'round-robin') return new RoundRobin(this.#deps)
    if (algorithm === 'random') return new Drawing(this.#deps)
    return new Drawing(this.#deps, algorithm === 'peak-ewma' ? peakEwma : leastRequest)
  }
}
