// Keeps the compiled model equal to the store: told of each change, compiles what it touches, writes the delta log at once, and
// after a moment tells the feed's sessions and has the objects' conditions written. One per control plane.
import { deadline, sleep } from '../../core/base/deadline.ts'
import { asMeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { type CompiledChange, Compiler } from '../compile/compiler.ts'
import type { CompileSettings } from '../compile/settings.ts'
import type { StoredObject, StoreEvent } from '../store/store.ts'
import type { ObjectConditions } from './conditions.ts'
import type { DeltaLog } from './delta-log.ts'
import type { StoreListener } from './follower.ts'
import { Pace, type PaceOptions } from './pace.ts'

export interface PublisherOptions {
  readonly settings: CompileSettings
  readonly log: DeltaLog
  /** Writes conditions where they are others than those of the object; its own failures are its own. */
  readonly conditions: { write(objects: readonly ObjectConditions[], signal: AbortSignal): Promise<void> }
  readonly logger: Logger
  readonly pace?: Partial<PaceOptions>
  /** Pause between two rounds of writing conditions: those that change often are written once. */
  readonly conditionsMs?: number
}

const defaultConditionsMs = 100

export class Publisher implements StoreListener {
  readonly #options: PublisherOptions
  readonly #pace: Pace
  readonly #listeners = new Set<() => void>()
  readonly #waiting = new Set<() => void>()
  readonly #stop = new AbortController()
  readonly #published = Promise.withResolvers<void>()
  readonly #objects = new Map<string, MeshObject>()
  readonly #lastChanged = new Map<string, number>()
  /** Objects whose conditions are to be compared with what compile says. */
  #review = new Set<string>()
  #writing: Promise<void> | undefined
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

  /**
   * The version with which the compiled result of an object changed last: a proxy that has acknowledged it, or a later one, works
   * as the object says. By formatObjectKey; undefined for objects that are not there.
   */
  lastChanged(key: string): number | undefined {
    return this.#lastChanged.get(key)
  }

  /** What compile says of every object. */
  *conditions(): IterableIterator<ObjectConditions> {
    for (const [key, conditions] of this.#compiler.conditions) {
      const object = this.#objects.get(key)
      if (object !== undefined) yield { object, conditions }
    }
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
    this.#objects.clear()
    this.#lastChanged.clear()
    for (const [key, { object }] of objects) this.#objects.set(key, object)
    const change = this.#compiler.apply([...objects].map(([key, { object }]) => ({ key, after: object })))
    const isNew = this.#options.log.replace(this.#compiler.resources, revision)
    this.#took(change, isNew)
    this.#published.resolve()
  }

  changed(key: string, { type, stored }: StoreEvent): void {
    const gone = type === 'DELETED'
    if (gone) this.#objects.delete(key)
    else this.#objects.set(key, stored.object)
    // An exception leaves the last version in force: the follower starts over with a list, which makes a new compiler.
    const change = this.#compiler.apply([gone ? { key } : { key, after: stored.object }])
    // Somebody may have overwritten the conditions.
    this.#review.add(key)
    this.#took(change, this.#options.log.update(change, stored.revision))
  }

  async close(): Promise<void> {
    this.#stop.abort()
    clearTimeout(this.#timer)
    this.#published.reject(asMeshError(new Error('the control plane stops'), 'ABORTED'))
    await this.#writing
  }

  #took({ conditions, touched }: CompiledChange, isNew: boolean): void {
    const { version } = this.#options.log
    for (const key of touched) {
      if (this.#objects.has(key)) this.#lastChanged.set(key, version)
      else this.#lastChanged.delete(key)
    }
    for (const key of conditions.keys()) this.#review.add(key)
    for (const wake of this.#waiting) wake()
    if (isNew) this.#announceSoon()
    this.#writing ??= this.#writeConditions().finally(() => {
      this.#writing = undefined
    })
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

  async #writeConditions(): Promise<void> {
    const { conditions, conditionsMs = defaultConditionsMs, logger } = this.#options
    const { signal } = this.#stop
    while (this.#review.size > 0 && !signal.aborted) {
      await sleep(conditionsMs, signal).catch(() => undefined)
      const keys = this.#review
      this.#review = new Set()
      try {
        await conditions.write(this.#described(keys), signal)
      } catch (error: unknown) {
        logger.error({ err: error }, 'conditions could not be written')
      }
    }
  }

  #described(keys: ReadonlySet<string>): readonly ObjectConditions[] {
    return [...keys].flatMap((key) => {
      const object = this.#objects.get(key)
      const conditions = this.#compiler.conditions.get(key)
      return object === undefined || conditions === undefined ? [] : [{ object, conditions }]
    })
  }
}
