// A JSON file that a process remembers something in: private, replaced whole, one write at a time. Of the agent (its workloads) and
// of whoever holds a model of its own (core/feed/held-model.ts).
import type { Logger } from './log.ts'
import { readPrivate, writePrivate } from './private-file.ts'

interface Envelope<T> {
  readonly format: number
  readonly value: T
}

const format = 1

/** Writes are serialized; of several that wait only the newest is made. */
export class StateFile<T> {
  readonly #file: string
  readonly #log: Logger
  #running: Promise<void> | undefined
  #next: { readonly value: () => T; readonly done: PromiseWithResolvers<void> } | undefined

  constructor(file: string, log: Logger) {
    this.#file = file
    this.#log = log
  }

  /** What was saved last. A file that cannot be read or understood is reported and counts as missing. */
  async load(): Promise<T | undefined> {
    try {
      const text = await readPrivate(this.#file)
      if (text === undefined) return undefined
      const envelope = JSON.parse(text) as Envelope<T>
      if (envelope.format !== format) throw new Error(`format ${envelope.format} is not ${format}`)
      return envelope.value
    } catch (error: unknown) {
      this.#log.error({ err: error, file: this.#file }, 'the state file cannot be used, starting without it')
      return undefined
    }
  }

  /** Resolves once a value at least as new as this one is on disk. Rejects with STORE_FAILED. */
  save(value: () => T): Promise<void> {
    const done = this.#next?.done ?? Promise.withResolvers<void>()
    this.#next = { value, done }
    this.#running ??= this.#drain()
    return done.promise
  }

  /** Resolves when nothing is left to write. */
  async idle(): Promise<void> {
    await this.#running
  }

  async #drain(): Promise<void> {
    await Promise.resolve()
    for (let job = this.#next; job !== undefined; job = this.#next) {
      this.#next = undefined
      const envelope: Envelope<T> = { format, value: job.value() }
      await writePrivate(this.#file, JSON.stringify(envelope)).then(job.done.resolve, job.done.reject)
    }
    this.#running = undefined
  }
}
