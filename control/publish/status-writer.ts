// Writes what the mesh says about each object into its status: what compile found, whether its references lead somewhere, and whether
// every host has it in force. Only the replica that leads writes, and only what changed, so that a write never causes another.
import { sleep } from '../../core/base/deadline.ts'
import type { Logger } from '../../core/base/log.ts'
import type { View } from '../../core/feed/views.ts'
import { kindOf } from '../../core/model/kinds.ts'
import type { Condition, MeshObject } from '../../core/model/resource.ts'
import { ApiError } from '../api/errors.ts'
import type { Resources } from '../api/resources.ts'
import { conditionsOf, type Finding, keyOf } from '../compile/conditions.ts'
import { gatewayOf } from '../entries.ts'
import type { MeshEvent } from '../events/event.ts'
import { conditionEvents } from '../events/mesh-events.ts'
import type { LayerSeven } from './layer-seven.ts'
import { type HostVersion, notProgrammed } from './programmed.ts'
import type { ResolvedRefs } from './resolved-refs.ts'
import { conditionsIn, hasConditions, isQuiet, statusToWrite } from './status-shape.ts'

export interface StatusWriterOptions {
  readonly resources: Pick<Resources, 'modifyStatus'>
  readonly references: ResolvedRefs
  readonly layerSeven: Pick<LayerSeven, 'programmed' | 'gatewayFacts'>
  /** Every host that carries workloads, and what it has. */
  readonly hosts: () => readonly HostVersion[]
  /** Of several replicas one writes. */
  readonly leads: () => boolean
  /** Whether the compile step makes anything of a kind. */
  readonly isCompiled: (kind: string) => boolean
  /** Told of what is news about an object. */
  readonly record?: (event: MeshEvent) => void
  readonly log: Logger
  readonly timing?: Partial<StatusTiming>
  readonly now?: () => number
}

export interface StatusTiming {
  /** Changes that come within this time are written together. */
  readonly settleMs: number
  /** An object that is not in force yet says so only after this long: most are by then. */
  readonly patienceMs: number
  /** References of all objects are looked at again this long after something that is named came or went. */
  readonly referencesMs: number
}

const defaultTiming: StatusTiming = { settleMs: 20, patienceMs: 1000, referencesMs: 300 }

/** What became of one object in a compile. */
export interface ObjectOutcome {
  /** formatObjectKey. */
  readonly key: string
  /** Undefined: it is gone. */
  readonly object: MeshObject | undefined
  /** Present where they changed. */
  readonly conditions?: readonly Condition[] | undefined
  /** The object itself, or what was made of it, changed in this version. */
  readonly touched: boolean
}

interface Known {
  readonly object: MeshObject
  readonly conditions: readonly (Condition & Finding)[]
  /** Version in which it last changed. */
  readonly version: number
  /** Since when it waits to be in force; undefined once it is. */
  readonly since: number | undefined
}

export class StatusWriter {
  readonly #options: StatusWriterOptions
  readonly #timing: StatusTiming
  readonly #now: () => number
  readonly #stop = new AbortController()
  readonly #known = new Map<string, Known>()
  readonly #due = new Set<string>()
  /** Objects that are not in force everywhere, as far as is known. */
  readonly #waiting = new Set<string>()
  /** Of waypoints: what they say changes with their instances. */
  readonly #gateways = new Set<string>()
  #referencesDue: NodeJS.Timeout | undefined
  #wake: () => void = () => undefined
  readonly #running: Promise<void>

  constructor(options: StatusWriterOptions) {
    this.#options = options
    this.#timing = { ...defaultTiming, ...options.timing }
    this.#now = options.now ?? Date.now
    this.#running = this.#run()
  }

  /** Told after each compile, whether it made a new version or not. */
  compiled(version: number, outcomes: readonly ObjectOutcome[]): void {
    let references = false
    for (const outcome of outcomes) references = this.#learn(version, outcome) || references
    if (references) this.#recheckReferences()
    this.#schedule()
  }

  /** A host has acknowledged something, came or left; undefined: perhaps several. */
  acknowledged(view?: View): void {
    for (const key of this.#waiting) this.#due.add(key)
    if (view !== 'agent') for (const key of this.#gateways) this.#due.add(key)
    this.#schedule()
  }

  /** This replica begins to lead: everything is compared with what stands there. */
  resume(): void {
    for (const key of this.#known.keys()) this.#due.add(key)
    this.#schedule()
  }

  /** Resolves once the write that is under way is done. */
  async close(): Promise<void> {
    this.#stop.abort()
    clearTimeout(this.#referencesDue)
    this.#wake()
    await this.#running
  }

  /** @returns whether names of other objects may lead elsewhere now */
  #learn(version: number, { key, object, conditions, touched }: ObjectOutcome): boolean {
    const held = this.#known.get(key)
    const { references } = this.#options
    if (object === undefined) {
      this.#known.delete(key)
      this.#due.delete(key)
      this.#waiting.delete(key)
      this.#gateways.delete(key)
      return held !== undefined && (references.concerns(held.object) || isInstance(held.object))
    }
    if (object.kind === 'Gateway') this.#gateways.add(key)
    const { group, kind } = keyOf(object)
    if (!hasConditions(kind, group)) return touched && references.concerns(object)
    const waits = touched && !isQuiet(kind) && (held !== undefined || !isProgrammed(object))
    const changed = waits ? { version, since: this.#now() } : { version: held?.version ?? 0, since: held?.since }
    this.#known.set(key, { object, conditions: conditions ?? held?.conditions ?? [], ...changed })
    this.#due.add(key)
    if (waits) this.#waiting.add(key)
    const instances = isInstance(object) || (held !== undefined && isInstance(held.object))
    return touched && (references.concerns(object) || instances)
  }

  #recheckReferences(): void {
    this.#referencesDue ??= setTimeout(() => {
      this.#referencesDue = undefined
      for (const [key, { object }] of this.#known) if (!isQuiet(object.kind)) this.#due.add(key)
      this.#schedule()
    }, this.#timing.referencesMs)
  }

  #schedule(): void {
    if (this.#due.size > 0) this.#wake()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      if (this.#due.size === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        continue
      }
      await sleep(this.#timing.settleMs, signal).catch(() => undefined)
      const due = [...this.#due]
      this.#due.clear()
      const hosts = this.#options.hosts()
      for (const key of due) {
        if (signal.aborted) return
        await this.#review(key, hosts)
      }
    }
  }

  async #review(key: string, hosts: readonly HostVersion[]): Promise<void> {
    const known = this.#known.get(key)
    if (known === undefined || !this.#options.leads()) return
    const { object, conditions } = known
    // what compile knows of references is closer to what happens to requests
    const isResolved = conditions.some(({ type }) => type === 'ResolvedRefs')
    const resolved = isResolved ? undefined : this.#options.references.conditionOf(object)
    const programmed = this.#programmed(key, known, hosts)
    const wanted = [
      ...conditions.filter((condition) => condition.type !== 'Programmed' || condition.parent !== undefined),
      ...conditionsOf(object, resolved === undefined ? [] : [resolved]),
      ...(programmed === undefined ? earlierProgrammed(object) : conditionsOf(object, [programmed])),
    ]
    if (this.#statusOf(object, wanted, '') !== undefined) await this.#write(known, wanted)
  }

  #statusOf(object: MeshObject, wanted: readonly Condition[], now: string): MeshObject['status'] | undefined {
    if (object.kind !== 'Gateway') return statusToWrite(object, wanted, now)
    return statusToWrite(object, wanted, now, this.#options.layerSeven.gatewayFacts(object))
  }

  /** Undefined where nothing is to be said: of the inventory, and of what has only just changed. */
  #programmed(key: string, known: Known, hosts: readonly HostVersion[]): Finding | undefined {
    const { object, version, since, conditions } = known
    if (isQuiet(object.kind) || object.kind === 'GatewayClass') return undefined
    if (isRefused(object, conditions)) return this.#settled(key, 'Invalid', 'the object is not accepted')
    const compiled = conditions.find(({ type, parent }) => type === 'Programmed' && parent === undefined)
    if (compiled !== undefined) return this.#settled(key, compiled.reason, compiled.message)
    if (!this.#options.isCompiled(object.kind)) {
      return this.#settled(key, 'NotEnforced', 'no proxy of this version does anything with this kind')
    }
    const finding = this.#options.layerSeven.programmed(object, version, hosts)
    if (finding.status === 'True') {
      this.#waiting.delete(key)
      return finding
    }
    this.#waiting.add(key)
    const patienceMs = finding.reason === 'Pending' ? (since ?? 0) + this.#timing.patienceMs - this.#now() : 0
    if (patienceMs <= 0) return finding
    setTimeout(() => {
      this.#due.add(key)
      this.#schedule()
    }, patienceMs).unref()
    return undefined
  }

  #settled(key: string, reason: string, message: string): Finding {
    this.#waiting.delete(key)
    return notProgrammed(reason, message)
  }

  async #write({ object }: Known, wanted: readonly Condition[]): Promise<void> {
    const { name, namespace = '', generation } = object.metadata
    const kind = kindOf(object.apiVersion, object.kind)
    if (kind === undefined) return
    const now = new Date(this.#now()).toISOString().replace(/\.\d+Z$/, 'Z')
    let before: readonly Condition[] = []
    try {
      const written = await this.#options.resources.modifyStatus(kind, namespace, name, (current) => {
        before = conditionsIn(current)
        // Somebody wrote meanwhile: its own compile will say what there is to say.
        return current.metadata.generation === generation ? this.#statusOf(current, wanted, now) : undefined
      })
      for (const event of conditionEvents(written, before, conditionsIn(written))) this.#options.record?.(event)
    } catch (error: unknown) {
      if (error instanceof ApiError && (error.reason === 'NotFound' || error.reason === 'Conflict')) return
      this.#options.log.warn(
        { err: error, object: `${kind.kind} ${namespace}/${name}` },
        'the status could not be written',
      )
    }
  }
}

/** A route is where none of its parents takes it. */
function isRefused({ spec }: MeshObject, conditions: readonly Finding[]): boolean {
  const refusals = conditions.filter(({ type, status }) => type === 'Accepted' && status === 'False')
  if (refusals.some(({ parent }) => parent === undefined)) return true
  const parents = (spec?.['parentRefs'] ?? []) as readonly unknown[]
  return refusals.length > 0 && refusals.length === parents.length
}

/** What was said of an earlier generation stands until there is something to say of this one; its observedGeneration tells. */
function earlierProgrammed({ status }: MeshObject): readonly Condition[] {
  return (status?.conditions ?? []).filter(({ type }) => type === 'Programmed')
}

/** Whether it is an instance of a waypoint, of which a Gateway and routes tell. */
function isInstance(object: MeshObject): boolean {
  return object.kind === 'WorkloadEntry' && gatewayOf(object) !== undefined
}

/** As an earlier control plane has written: it is in force, and has not changed since. */
function isProgrammed({ status, metadata }: MeshObject): boolean {
  return (status?.conditions ?? []).some(
    (condition) =>
      condition.type === 'Programmed' &&
      condition.status === 'True' &&
      condition.observedGeneration === metadata.generation,
  )
}
