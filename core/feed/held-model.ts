// A member's copy of the compiled model and the trust bundle: takes deltas from the feed, keeps the last good state on disk, passes
// everything on (the agent to its daemons, the waypoint to its data plane) and acknowledges upwards what was taken.
import { asMeshError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import type { StateFile } from '../base/state-file.ts'
import { Snapshot } from '../model/snapshot.ts'
import type { CompiledDelta, RefusedResource, Workload } from '../model/types.ts'

/** What is on disk. */
export interface ModelState {
  readonly delta: CompiledDelta
  readonly bundle: string
}

/** Where the model goes: an agent's handoff server, or the waypoint's own data plane. */
export interface ModelSink {
  /** How many are there to take it: connected daemons. */
  readonly connected: number
  /** `refused`: what the model here could not take of it. Resolves with all that was refused; undefined where nobody took it. */
  delta(delta: CompiledDelta, refused: readonly RefusedResource[]): Promise<readonly RefusedResource[] | undefined>
  bundle(bundle: string): Promise<void>
}

export interface ModelOptions {
  readonly file: StateFile<ModelState>
  readonly log: Logger
  acknowledge(epoch: string, version: number, refused: readonly RefusedResource[]): void
  /** After every change. */
  changed(): void
  /** Pause between two writes of the state file. */
  readonly saveEveryMs?: number
}

export class HeldModel {
  readonly snapshot = new Snapshot()
  readonly #options: ModelOptions
  /** Refused and not replaced since. */
  readonly #refused = new Map<string, RefusedResource>()
  #bundle = ''
  #sink: ModelSink | undefined
  #saving: Promise<void> | undefined
  #dirty = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: ModelOptions) {
    this.#options = options
  }

  /** Loads what an earlier process saved. */
  async load(): Promise<void> {
    const saved = await this.#options.file.load()
    if (saved === undefined) return
    this.#bundle = saved.bundle
    if (saved.delta.epoch === '') return
    const refused = this.snapshot.apply(saved.delta)
    this.#options.log.info(
      { epoch: saved.delta.epoch, version: saved.delta.version, refused: refused.length },
      'loaded the last good model',
    )
  }

  get bundle(): string {
    return this.#bundle
  }

  /** Whether a control plane has ever spoken. */
  get known(): boolean {
    return this.snapshot.epoch !== ''
  }

  workload(uid: string): Workload | undefined {
    return this.snapshot.workloadByUid(uid)
  }

  get vipRanges(): readonly string[] {
    return this.snapshot.settings.vipRanges
  }

  get trustDomain(): string {
    return this.snapshot.settings.trustDomain
  }

  get version(): { readonly epoch: string; readonly version: number } | undefined {
    return this.known ? { epoch: this.snapshot.epoch, version: this.snapshot.version } : undefined
  }

  /** From now on changes are passed on to `sink`. */
  publishTo(sink: ModelSink): void {
    this.#sink = sink
  }

  apply(delta: CompiledDelta): void {
    const refused = this.snapshot.apply(delta)
    this.#remember(delta, refused)
    for (const { kind, key, reason } of refused) this.#options.log.error({ kind, key }, `refused a resource: ${reason}`)
    void this.#pass(delta, refused)
    this.#options.changed()
  }

  setBundle(bundle: string): void {
    if (bundle === this.#bundle) return
    this.#bundle = bundle
    this.#save()
    this.#sink?.bundle(bundle).catch((error: unknown) => {
      this.#options.log.warn(
        { err: error },
        'the trust bundle was not taken; it is handed on again with the whole state',
      )
    })
    this.#options.changed()
  }

  /** Somebody took the whole state of this version, with what it refused. */
  taken(epoch: string, version: number, refused: readonly RefusedResource[]): void {
    const all = new Map(this.#refused)
    for (const entry of refused) all.set(`${entry.kind}/${entry.key}`, entry)
    if (epoch !== '') this.#options.acknowledge(epoch, version, [...all.values()])
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#dirty) this.#write()
    await this.#saving?.catch(() => {})
    await this.#options.file.idle()
  }

  async #pass(delta: CompiledDelta, refused: readonly RefusedResource[]): Promise<void> {
    const saved = this.#save()
    try {
      const allRefused = await this.#sink?.delta(delta, refused)
      if (allRefused === undefined) await saved
      this.#options.acknowledge(delta.epoch, delta.version, allRefused ?? refused)
    } catch (error: unknown) {
      const { code, message } = asMeshError(error, 'FEED_CLOSED')
      this.#options.log.warn({ code, version: delta.version }, `a change was not taken: ${message}`)
      // who returns gets the whole state, and `taken` acknowledges that
      await saved.catch(() => {})
      if (this.#sink?.connected === 0) this.#options.acknowledge(delta.epoch, delta.version, refused)
    }
  }

  #remember(delta: CompiledDelta, refused: readonly RefusedResource[]): void {
    if (delta.full) this.#refused.clear()
    for (const { kind, key } of [...delta.upserts, ...delta.removes]) this.#refused.delete(`${kind}/${key}`)
    for (const entry of refused) this.#refused.set(`${entry.kind}/${entry.key}`, entry)
  }

  /** The next write, which holds what is known now. Writes are spaced out: a large model changes often. */
  #save(): Promise<void> {
    this.#dirty = true
    if (this.#timer !== undefined && this.#saving !== undefined) return this.#saving
    const done = Promise.withResolvers<void>()
    this.#saving = done.promise
    done.promise.catch(() => {})
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#write().then(done.resolve, done.reject)
    }, this.#options.saveEveryMs ?? 500)
    return done.promise
  }

  #write(): Promise<void> {
    this.#dirty = false
    const written = this.#options.file.save(() => ({ delta: this.snapshot.toDelta(), bundle: this.#bundle }))
    this.#saving = written
    written.catch((error: unknown) => this.#options.log.error({ err: error }, 'the model could not be saved'))
    return written
  }
}
