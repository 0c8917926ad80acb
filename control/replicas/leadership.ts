// Which replica does what only one may do: write status, clean up, collect garbage. A lease in the store; nobody compares clocks: a
// replica takes a lease over when it has seen it unchanged for its whole length by its own monotonic clock.
import { sleep } from '../../core/base/deadline.ts'
import { asMeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { RecordStore } from '../store/store.ts'

const bucket = 'leases'
const key = 'leader'

export interface LeadershipOptions {
  readonly records: RecordStore
  /** Of this replica, for one life of its process. */
  readonly id: string
  readonly log: Logger
  /** How long a leader that is gone stays leader. */
  readonly leaseMs?: number
  /** Milliseconds, monotonic. */
  readonly clock?: () => number
}

interface Lease {
  readonly holder: string
  /** Differs in each renewal, so that it can be seen. */
  readonly renewal: number
}

const defaultLeaseMs = 4000

export class Leadership {
  readonly #options: LeadershipOptions
  readonly #leaseMs: number
  readonly #clock: () => number
  readonly #stop = new AbortController()
  readonly #listeners = new Set<(leads: boolean) => void>()
  #leads = false
  #renewal = 0
  /** The lease as it was last seen, and when it was first seen so. */
  #seen: { readonly revision: number; readonly at: number } | undefined
  #holder: string | undefined
  #renewedAt = 0
  #running: Promise<void> = Promise.resolve()

  constructor(options: LeadershipOptions) {
    this.#options = options
    this.#leaseMs = options.leaseMs ?? defaultLeaseMs
    this.#clock = options.clock ?? (() => performance.now())
  }

  /**
   * Whether this replica leads, now: a leader that could not renew in time no longer does, before anybody else can take over.
   */
  get leads(): boolean {
    return this.#leads && this.#clock() - this.#renewedAt < this.#leaseMs * 0.75
  }

  /** The id of the leader that was last seen. */
  get holder(): string | undefined {
    return this.#holder
  }

  /** Called when this replica becomes the leader, and when it stops being it. */
  onChange(listener: (leads: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Resolves after the first attempt. */
  async start(): Promise<void> {
    await this.#attempt()
    this.#running = this.#run()
  }

  /** Gives the lease back, so that another replica need not wait for its end. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
    if (!this.#leads) return
    this.#become(false)
    const entry = await this.#options.records.entry(bucket, key).catch(() => undefined)
    if (entry === undefined || (entry.value as Lease).holder !== this.#options.id) return
    await this.#options.records.swap(bucket, key, { holder: '', renewal: 0 }, entry.revision).catch(() => undefined)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await sleep(this.#leaseMs / 4, signal).catch(() => undefined)
      if (!signal.aborted) await this.#attempt()
    }
  }

  async #attempt(): Promise<void> {
    // time counts from before the write: the store may have taken it long before its answer came
    const startedAt = this.#clock()
    try {
      const entry = await this.#options.records.entry(bucket, key)
      const lease = entry?.value as Lease | undefined
      this.#holder = lease?.holder
      if (entry !== undefined && !this.#mayTake(lease!, entry.revision, startedAt)) return this.#become(false)
      this.#renewal += 1
      const mine: Lease = { holder: this.#options.id, renewal: this.#renewal }
      const written = await this.#options.records.swap(bucket, key, mine, entry?.revision ?? 0)
      if (written === undefined) return this.#become(false)
      this.#holder = this.#options.id
      this.#renewedAt = startedAt
      this.#become(true)
    } catch (error: unknown) {
      const { code, message } = asMeshError(error, 'STORE_FAILED')
      this.#options.log.warn({ code }, `the lease could not be renewed: ${message}`)
      if (this.#leads && !this.leads) this.#become(false)
    }
  }

  #mayTake({ holder }: Lease, revision: number, now: number): boolean {
    if (holder === this.#options.id || holder === '') return true
    if (this.#seen?.revision !== revision) {
      this.#seen = { revision, at: now }
      return false
    }
    return now - this.#seen.at >= this.#leaseMs
  }

  #become(leads: boolean): void {
    if (this.#leads === leads) return
    this.#leads = leads
    this.#options.log.info({ leads, holder: this.#holder }, leads ? 'this replica leads' : 'another replica leads')
    for (const listener of this.#listeners) listener(leads)
  }
}
