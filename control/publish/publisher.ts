// Keeps the compiled model equal to the store: told of each change, compiles what it touches, writes the delta log at once, and
// after a moment tells the feed's sessions; what there is to say about objects goes to the status writer. One per control plane.
import { deadline } from '../../core/base/deadline.ts'
import { asMeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { type CompiledChange, Compiler } from '../compile/compiler.ts'
import type { CompileSettings } from '../compile/settings.ts'
import type { StoreListener } from '../store/follower.ts'
import type { StoredObject, StoreEvent } from '../store/store.ts'
import type { DeltaLog } from './delta-log.ts'
import { Pace, type PaceOptions } from './pace.ts'
import type { ObjectOutcome } from './status-writer.ts'

export interface PublisherOptions {
  readonly settings: CompileSettings
  readonly log: DeltaLog
  /** Told what became of each object that changed, or whose result did. */
  readonly status: { compiled(version: number, outcomes: readonly ObjectOutcome[]): void }
  readonly logger: Logger
  readonly pace?: Partial<PaceOptions>
}

export class Publisher implements StoreListener {
  readonly #options: PublisherOptions
  readonly #pace: Pace
  readonly #listeners = new Set<() => void>()
  readonly #waiting = new Set<() => void>()
  readonly #stop = new AbortController()
  readonly #published = Promise.withResolvers<void>()
  readonly #objects = new Map<string, MeshObject>()
  #timer: NodeJS.Timeout | undefined
  #compiler: Compiler

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#pace = new Pace(options.pace)
    this.#compiler = new Compiler(options.settings)
    this.#published.promise.catch(() => undefined)
  }

  /** Resolves once the first state is in the delta log. */
  get ready(): Promise<void> {
    return this.#published.promise
  }

  /** The store's revision that the compiled model reflects. */
  get revision(): number {
    return this.#options.log.revision
  }

  /** Called after each new version, synchronously. */
  onVersion(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Whether the compiled model reflects the store at `revision`, at the latest after `limitMs`. */
  async reached(revision: number, limitMs: number): Promise<boolean> {
    const limit = deadline(limitMs, this.#stop.signal)
    while (this.revision < revision && !limit.aborted) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake)
          limit.removeEventListener('abort', wake)
          resolve()
        }
        this.#waiting.add(wake)
        limit.addEventListener('abort', wake)
      })
    }
    return this.revision >= revision
  }

  reset(objects: ReadonlyMap<string, StoredObject>, revision: number): void {
    this.#compiler = new Compiler(this.#options.settings)
    const gone = [...this.#objects.keys()].filter((key) => !objects.has(key))
    this.#objects.clear()
    for (const [key, { object }] of objects) this.#objects.set(key, object)
    const change = this.#compiler.apply([...objects].map(([key, { object }]) => ({ key, after: object })))
    const isNew = this.#options.log.replace(this.#compiler.resources, revision)
    this.#took(change, [...gone, ...objects.keys()], isNew)
    this.#published.resolve()
  }

  changed(key: string, { type, stored }: StoreEvent): void {
    const gone = type === 'DELETED'
    if (gone) this.#objects.delete(key)
    else this.#objects.set(key, stored.object)
    // An exception leaves the last version in force: the follower starts over with a list, which makes a new compiler.
    const change = this.#compiler.apply([gone ? { key } : { key, after: stored.object }])
    // Even where nothing came of it: somebody may have overwritten the conditions.
    this.#took(change, [key], this.#options.log.update(change, stored.revision))
  }

  progress(revision: number): void {
    this.#options.log.update({ upserts: [], removes: [] }, revision)
    for (const wake of this.#waiting) wake()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    clearTimeout(this.#timer)
    this.#published.reject(asMeshError(new Error('the control plane stops'), 'ABORTED'))
  }

  #took({ conditions, touched }: CompiledChange, seen: readonly string[], isNew: boolean): void {
    const keys = new Set([...seen, ...touched, ...conditions.keys()])
    const outcomes = [...keys].map((key) => ({
      key,
      object: this.#objects.get(key),
      conditions: this.#compiler.conditions.get(key),
      touched: touched.has(key),
    }))
    this.#options.status.compiled(this.#options.log.version, outcomes)
    for (const wake of this.#waiting) wake()
    if (isNew) this.#announceSoon()
  }

  #announceSoon(): void {
    if (this.#stop.signal.aborted) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#pace.sent(performance.now())
      this.#options.logger.debug({ version: this.#options.log.version }, 'new version')
      for (const listener of this.#listeners) listener()
    }, this.#pace.delay(performance.now()))
  }
}
