// Which replicas there are: each writes down where its feed is and which hosts are connected to it. Agents learn of the others by it,
// `culvert status` and the leader know every host's version by it, whichever replica it is connected to.
import { isDeepStrictEqual } from 'node:util'
import { sleep } from '../../core/base/deadline.ts'
import { asMeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { SessionStatus } from '../feed/session.ts'
import type { RecordStore } from '../store/store.ts'
import { recordsPerTransaction } from '../store/store.ts'

const replicaBucket = 'replicas'
const sessionBucket = 'sessions'

export interface FeedPlace {
  readonly host: string
  readonly port: number
}

export interface ReplicaRecord {
  readonly id: string
  readonly feed: readonly FeedPlace[]
  readonly api: string
  readonly build: string
  /** Grows while the replica lives. */
  readonly beat: number
}

export interface HostSession {
  readonly replica: string
  readonly status: SessionStatus
}

export interface RegistryOptions {
  readonly records: RecordStore
  readonly id: string
  readonly feed: readonly FeedPlace[]
  readonly api: string
  readonly build: string
  /** Hosts that are connected to this replica. */
  readonly sessions: () => ReadonlyMap<string, SessionStatus>
  readonly log: Logger
  readonly clock?: () => number
  readonly beatMs?: number
}

const defaultBeatMs = 1000
const missedBeats = 5

export class Registry {
  readonly #options: RegistryOptions
  readonly #beatMs: number
  readonly #clock: () => number
  readonly #stop = new AbortController()
  readonly #listeners = new Set<() => void>()
  readonly #replicas = new Map<string, { readonly record: ReplicaRecord; readonly seenAt: number }>()
  readonly #remote = new Map<string, HostSession>()
  #published = new Map<string, SessionStatus>()
  #beat = 0
  /** When the store last took a beat. */
  #writtenAt = Number.NEGATIVE_INFINITY
  #running: readonly Promise<void>[] = []

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#beatMs = options.beatMs ?? defaultBeatMs
    this.#clock = options.clock ?? (() => performance.now())
  }

  /** Resolves once this replica is written down. */
  async start(): Promise<void> {
    await this.#publish()
    this.#running = [this.#beats(), this.#follow(replicaBucket), this.#follow(sessionBucket)]
  }

  /** Replicas that have been heard of lately, this one included. */
  get replicas(): readonly ReplicaRecord[] {
    return [...this.#replicas.values()].filter(({ seenAt }) => this.#isAlive(seenAt)).map(({ record }) => record)
  }

  /** Where the feeds are, this replica's first. */
  get feeds(): readonly FeedPlace[] {
    const others = this.replicas.filter(({ id }) => id !== this.#options.id).flatMap(({ feed }) => feed)
    return [...this.#options.feed, ...others]
  }

  /** A connected host's session, and the id of the replica that has it. */
  session(host: string): HostSession | undefined {
    const own = this.#options.sessions().get(host)
    if (own !== undefined) return { replica: this.#options.id, status: own }
    const remote = this.#remote.get(host)
    if (remote === undefined || remote.replica === this.#options.id) return undefined
    return this.replicas.some(({ id }) => id === remote.replica) ? remote : undefined
  }

  /** What is wrong with the store, as far as this replica's own beats tell. */
  get trouble(): string | undefined {
    return this.#isAlive(this.#writtenAt) ? undefined : 'the store has not taken a write for some seconds'
  }

  /** Called when another replica's hosts have changed. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Writes soon what has changed of the own sessions. */
  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#running)
    const { records, id } = this.#options
    await records.delete(replicaBucket, id).catch(() => undefined)
    for (const host of this.#published.keys()) {
      const stored = this.#remote.get(host)
      if (stored === undefined || stored.replica === id)
        await records.delete(sessionBucket, host).catch(() => undefined)
    }
  }

  #isAlive(seenAt: number): boolean {
    return this.#clock() - seenAt < missedBeats * this.#beatMs
  }

  async #beats(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await sleep(this.#beatMs / 2, signal).catch(() => undefined)
      if (signal.aborted) return
      try {
        await this.#publish()
        await this.#forgetDead()
      } catch (error: unknown) {
        const { code, message } = asMeshError(error, 'STORE_FAILED')
        this.#options.log.debug({ code }, `the replica could not be written down: ${message}`)
      }
    }
  }

  async #publish(): Promise<void> {
    const { records, id, feed, api, build } = this.#options
    this.#beat += 1
    const record: ReplicaRecord = { id, feed, api, build, beat: this.#beat }
    this.#replicas.set(id, { record, seenAt: this.#clock() })
    if (this.#beat % 2 === 1) {
      await records.put(replicaBucket, id, record)
      this.#writtenAt = this.#clock()
    }
    await this.#publishSessions()
  }

  async #publishSessions(): Promise<void> {
    const { records, id } = this.#options
    const sessions = new Map(this.#options.sessions())
    const changed = [...sessions].filter(([host, status]) => !isDeepStrictEqual(this.#published.get(host), status))
    for (let at = 0; at < changed.length; at += recordsPerTransaction) {
      const part = changed.slice(at, at + recordsPerTransaction)
      await records.putAll(
        sessionBucket,
        part.map(([key, status]) => ({ key, value: { replica: id, status } satisfies HostSession })),
      )
    }
    const gone = [...this.#published.keys()].filter((host) => !sessions.has(host))
    // a host that went over to another replica is that one's
    for (const host of gone) if (this.#remote.get(host)?.replica === id) await records.delete(sessionBucket, host)
    this.#published = sessions
  }

  /** Replicas that ended without a word, for whoever notices first. */
  async #forgetDead(): Promise<void> {
    const { records } = this.#options
    for (const [id, { seenAt }] of this.#replicas) {
      if (this.#clock() - seenAt < 60 * missedBeats * this.#beatMs) continue
      this.#replicas.delete(id)
      await records.delete(replicaBucket, id)
      for (const [host, { replica }] of this.#remote) if (replica === id) await records.delete(sessionBucket, host)
    }
  }

  async #follow(bucket: string): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        for await (const { key, value } of this.#options.records.watch(bucket, signal)) this.#learn(bucket, key, value)
      } catch (error: unknown) {
        if (signal.aborted) return
        const { code, message } = asMeshError(error, 'STORE_FAILED')
        this.#options.log.debug({ code }, `the watch of ${bucket} ended: ${message}`)
      }
      await sleep(this.#beatMs / 2, signal).catch(() => undefined)
    }
  }

  #learn(bucket: string, key: string, value: unknown): void {
    if (bucket === replicaBucket) {
      if (value === undefined) this.#replicas.delete(key)
      else this.#replicas.set(key, { record: value as ReplicaRecord, seenAt: this.#clock() })
    } else if (value === undefined) this.#remote.delete(key)
    else this.#remote.set(key, value as HostSession)
    for (const listener of this.#listeners) listener()
  }
}
