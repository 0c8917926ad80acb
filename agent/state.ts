// The agent's state on disk: the last good model (so that a host works while the control plane is away) and the local
// workloads with what must be undone on them. No private key of a workload is ever here. Used by app.ts, model.ts and
// the reconciler.
import { join } from 'node:path'
import type { Logger } from '../core/base/log.ts'
import type { CompiledDelta } from '../core/model/types.ts'
import type { DiscoveredWorkload } from './discover/discoverer.ts'
import { readPrivate, writePrivate } from './private-file.ts'
import type { RedirectRecord } from './redirect/apply.ts'

/** One local workload instance, as remembered over restarts. */
export interface WorkloadRecord {
  readonly uid: string
  /** Name of its pin below `<run-dir>/netns`. */
  readonly pin: string
  readonly definition: DiscoveredWorkload
  /** Present from before the first change to the namespace until everything is undone. */
  readonly redirect?: RedirectRecord
  /** Whether the control plane was told that the workload is captured. */
  readonly captured: boolean
}

export interface HostState {
  /** Inodes and pins mean something only within one boot. */
  readonly bootId: string
  readonly workloads: readonly WorkloadRecord[]
}

export interface ModelState {
  readonly delta: CompiledDelta
  readonly bundle: string
}

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

export interface AgentState {
  readonly host: StateFile<HostState>
  readonly model: StateFile<ModelState>
}

export function openState(directory: string, log: Logger): AgentState {
  return {
    host: new StateFile<HostState>(join(directory, 'host.json'), log),
    model: new StateFile<ModelState>(join(directory, 'model.json'), log),
  }
}
