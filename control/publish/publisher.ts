// Keeps the compiled model equal to the store: watches, waits a moment for more changes, compiles, writes the delta log, tells
// the feed's sessions and then the objects' conditions. One per control plane.
import { sleep } from '../../core/base/deadline.ts'
import { asMeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import { formatObjectKey, type MeshObject } from '../../core/model/resource.ts'
import { type Compiled, compile } from '../compile/compile.ts'
import type { CompileSettings } from '../compile/settings.ts'
import type { Store, StoreEvent } from '../store/store.ts'
import type { DeltaLog } from './delta-log.ts'

export interface PublisherOptions {
  readonly store: Store
  readonly settings: CompileSettings
  readonly log: DeltaLog
  /** Writes conditions; its own failures are its own. */
  readonly conditions: { write(objects: readonly MeshObject[], compiled: Compiled, signal: AbortSignal): Promise<void> }
  readonly logger: Logger
  /** Changes that come within this time are compiled together. */
  readonly debounceMs?: number
  readonly retryMs?: number
}

const defaultDebounceMs = 20
const defaultRetryMs = 500

export class Publisher {
  readonly #options: PublisherOptions
  readonly #objects = new Map<string, MeshObject>()
  readonly #listeners = new Set<() => void>()
  readonly #stop = new AbortController()
  readonly #published = Promise.withResolvers<void>()
  #dirty = false
  /** Of the store: what `#objects` reflects, and what the published version does. */
  #seen = 0
  #revision = 0
  #wake: () => void = () => undefined
  #running: readonly Promise<void>[] = []

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#published.promise.catch(() => undefined)
  }

  /** Resolves once the first state is in the delta log. */
  get ready(): Promise<void> {
    return this.#published.promise
  }

  /** The store's revision that the published version reflects. */
  get revision(): number {
    return this.#revision
  }

  start(): void {
    this.#running = [this.#watch(), this.#publish()]
  }

  /** Called after each new version, synchronously. */
  onVersion(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#wake()
    this.#published.reject(asMeshError(new Error('the control plane stops'), 'ABORTED'))
    await Promise.all(this.#running)
  }

  /** Follows the store for ever; a failure of the store or a compacted revision starts over with a list. */
  async #watch(): Promise<void> {
    const { store, logger, retryMs = defaultRetryMs } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        const { items, revision } = await store.list({})
        this.#objects.clear()
        for (const { key, object } of items) this.#objects.set(formatObjectKey(key), object)
        this.#changed(revision)
        for await (const event of store.watch({}, revision, signal)) this.#apply(event)
      } catch (error: unknown) {
        if (signal.aborted) return
        logger.warn({ err: error }, 'the watch of the store ended; listing again')
      }
      await sleep(retryMs, signal).catch(() => undefined)
    }
  }

  #apply({ type, stored }: StoreEvent): void {
    const key = formatObjectKey(stored.key)
    if (type === 'DELETED') this.#objects.delete(key)
    else this.#objects.set(key, stored.object)
    this.#changed(stored.revision)
  }

  #changed(revision: number): void {
    this.#seen = revision
    this.#dirty = true
    this.#wake()
  }

  async #publish(): Promise<void> {
    const { debounceMs = defaultDebounceMs } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      if (!this.#dirty) {
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#wake = resolve
        await promise
        continue
      }
      // The first state is not waited with: hosts that reconnect want it.
      if (this.#options.log.version > 0) await sleep(debounceMs, signal).catch(() => undefined)
      if (!signal.aborted) await this.#compile(signal)
    }
  }

  async #compile(signal: AbortSignal): Promise<void> {
    const { settings, log, logger, conditions } = this.#options
    this.#dirty = false
    const objects = [...this.#objects.values()]
    const revision = this.#seen
    try {
      const compiled = compile(objects, settings)
      if (log.update(compiled.resources)) {
        logger.debug({ version: log.version, resources: compiled.resources.length }, 'new version')
        for (const listener of this.#listeners) listener()
      }
      this.#revision = revision
      this.#published.resolve()
      await conditions.write(objects, compiled, signal)
    } catch (error: unknown) {
      // The last version stays in force: a defect here must not open or close anything.
      logger.error({ err: error }, 'the resources could not be compiled')
    }
  }
}
