// This process as one of the control plane's replicas: does it lead, who else is there, who is connected to whom. A control plane whose
// store nobody else can open leads always, and nobody else is there. Opened by app.ts.
import { randomUUID } from 'node:crypto'
import type { Logger } from '../../core/base/log.ts'
import type { ReplicaStatus } from '../../core/model/mesh-status.ts'
import type { SessionStatus } from '../feed/session.ts'
import type { RecordStore } from '../store/store.ts'
import { Leadership } from './leadership.ts'
import { type FeedPlace, type HostSession, Registry } from './registry.ts'

export interface ReplicaOptions {
  readonly records: RecordStore
  /** Whether other processes may use the store too. */
  readonly shared: boolean
  readonly feed: readonly FeedPlace[]
  readonly api: string
  readonly build: string
  /** Hosts that are connected to this replica. */
  readonly sessions: () => ReadonlyMap<string, SessionStatus>
  readonly log: Logger
}

export class Replica {
  readonly id = randomUUID()
  readonly #options: ReplicaOptions
  readonly #leadership: Leadership | undefined
  readonly #registry: Registry | undefined
  readonly #listeners = new Set<(until: AbortSignal) => void>()
  /** Aborted when this replica leads no more. */
  #term = new AbortController()

  constructor(options: ReplicaOptions) {
    const { records, log, shared } = options
    this.#options = options
    if (!shared) return
    this.#leadership = new Leadership({ records, id: this.id, log })
    this.#registry = new Registry({ ...options, id: this.id })
  }

  /** Whether there may be others. */
  get isShared(): boolean {
    return this.#options.shared
  }

  /** Whether this replica may do now what only one may. */
  get leads(): boolean {
    return this.#leadership?.leads ?? true
  }

  /** Where the feeds of all replicas are; empty where there is only one. */
  get feeds(): readonly FeedPlace[] {
    return this.#registry?.feeds ?? []
  }

  /** Every replica that is alive, and who leads. */
  get all(): readonly ReplicaStatus[] {
    const { feed, api, build } = this.#options
    const replicas = this.#registry?.replicas ?? [{ id: this.id, feed, api, build }]
    const leader = this.#leadership === undefined ? this.id : this.#leadership.holder
    return replicas.map(({ id, feed, api, build }) => ({ id, feed, api, build, leads: id === leader }))
  }

  /** What is wrong with a store that others use too; one of its own answers each request for itself. */
  get storeTrouble(): string | undefined {
    return this.#registry?.trouble
  }

  /** A connected host's session, on whichever replica. */
  session(host: string): SessionStatus | undefined {
    return this.#connected(host)?.status
  }

  /** The id of the replica that a host is connected to. */
  replicaOf(host: string): string | undefined {
    return this.#connected(host)?.replica
  }

  /** URL of the API of the replica that a host is connected to. */
  apiOf(host: string): string | undefined {
    const id = this.replicaOf(host)
    return this.all.find((replica) => replica.id === id)?.api
  }

  #connected(host: string): HostSession | undefined {
    if (this.#registry !== undefined) return this.#registry.session(host)
    const status = this.#options.sessions().get(host)
    return status === undefined ? undefined : { replica: this.id, status }
  }

  /** Calls `listener` each time that this replica begins to lead; the signal says when it ends. */
  onLead(listener: (until: AbortSignal) => void): void {
    this.#listeners.add(listener)
  }

  /** Calls `listener` when sessions of other replicas have changed. */
  onSessions(listener: () => void): void {
    this.#registry?.onChange(listener)
  }

  /** Resolves once it is known whether this replica leads for now, and the others can find it. */
  async start(): Promise<void> {
    const begin = (): void => {
      this.#term = new AbortController()
      for (const listener of this.#listeners) listener(this.#term.signal)
    }
    this.#leadership?.onChange((leads) => {
      if (leads) begin()
      else this.#term.abort()
    })
    if (this.#leadership === undefined) begin()
    else await this.#leadership.start()
    await this.#registry?.start()
  }

  /** Hands over: the lease and the list of replicas are without this one afterwards. */
  async close(): Promise<void> {
    this.#term.abort()
    await this.#registry?.close()
    await this.#leadership?.close()
  }
}
