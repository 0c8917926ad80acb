// Follows the store: one list and one watch for everything in this process that mirrors it. A failure of the store, a compacted
// revision or a listener that throws starts over with a list.
import { backoff, sleep } from '../../core/base/deadline.ts'
import type { Logger } from '../../core/base/log.ts'
import { formatObjectKey } from '../../core/model/resource.ts'
import type { Store, StoredObject, StoreEvent } from './store.ts'

export interface StoreListener {
  /** Everything at a revision: at first, and wherever changes may have been missed. By formatObjectKey. */
  reset(objects: ReadonlyMap<string, StoredObject>, revision: number): void
  /** One change. `key`: formatObjectKey of the object. */
  changed(key: string, event: StoreEvent): void
  /** All changes up to this revision have come. */
  progress?(revision: number): void
}

export interface FollowerOptions {
  readonly store: Store
  /** Told in this order. */
  readonly listeners: readonly StoreListener[]
  readonly log: Logger
  readonly retryMs?: number
}

const defaultRetryMs = 500
const longestRetryMs = 30_000
/** A watch that lived this long failed for a reason of its own. */
const stableMs = 60_000
/** Work on many changes in a row lets others have a turn this often. */
const sliceMs = 20

export class StoreFollower {
  readonly #options: FollowerOptions
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(options: FollowerOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = this.#follow()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #follow(): Promise<void> {
    const { log, retryMs: baseMs = defaultRetryMs } = this.#options
    const { signal } = this.#stop
    let attempt = 0
    while (!signal.aborted) {
      const startedAt = performance.now()
      try {
        await this.#watch(signal)
      } catch (error: unknown) {
        if (signal.aborted) return
        log.warn({ err: error }, 'following the store failed; listing again')
      }
      attempt = performance.now() - startedAt > stableMs ? 0 : attempt + 1
      const pauseMs = backoff(attempt - 1, { baseMs, maxMs: longestRetryMs })
      await sleep(pauseMs, signal).catch(() => undefined)
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { store } = this.#options
    const { items, revision } = await store.list({})
    this.#reset(items, revision)
    let sliceEnds = performance.now() + sliceMs
    const onProgress = (reached: number): void => {
      for (const listener of this.#options.listeners) listener.progress?.(reached)
    }
    for await (const event of store.watch({}, revision, signal, onProgress)) {
      this.#apply(event)
      if (performance.now() < sliceEnds) continue
      await new Promise<void>((resolve) => setImmediate(resolve))
      sliceEnds = performance.now() + sliceMs
    }
  }

  #reset(items: readonly StoredObject[], revision: number): void {
    const objects = new Map(items.map((stored) => [formatObjectKey(stored.key), stored]))
    for (const listener of this.#options.listeners) listener.reset(objects, revision)
  }

  #apply(event: StoreEvent): void {
    const key = formatObjectKey(event.stored.key)
    for (const listener of this.#options.listeners) listener.changed(key, event)
  }
}
