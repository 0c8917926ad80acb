// Keeps the compiled model of a set of objects: told what changed, runs again the rules that saw it and no others. What comes out
// depends on the objects alone, not on the way that led there. Owned by control/publish; compile.ts feeds one everything at once.
import { isDeepStrictEqual } from 'node:util'
import { kindOf } from '../../core/model/kinds.ts'
import type { Condition, MeshObject } from '../../core/model/resource.ts'
import type { CompiledKey, CompiledResource } from '../../core/model/types.ts'
import { conditionsOf } from './conditions.ts'
import { Outcome } from './outcome.ts'
import type { Rule } from './rule.ts'
import { rules as allRules } from './rules.ts'
import type { CompileSettings } from './settings.ts'
import { Topics } from './topics.ts'
import { type Input, inputOf, nothing, type Placed, type Result, runUnit, type Unit } from './unit.ts'

export interface ObjectChange {
  /** formatObjectKey of the object. */
  readonly key: string
  /** Undefined: it is gone. */
  readonly after?: MeshObject
}

/** What really changed; equal values are not in it. */
export interface CompiledChange {
  readonly upserts: readonly CompiledResource[]
  readonly removes: readonly CompiledKey[]
  /** By formatObjectKey; undefined for objects that are gone. */
  readonly conditions: ReadonlyMap<string, readonly Condition[] | undefined>
  /** Objects, by formatObjectKey, that changed themselves (other than in their status) or whose resources did. */
  readonly touched: ReadonlySet<string>
}

/** After an exception of `apply` a compiler is worth nothing: make another one. */
export class Compiler {
  readonly #settings: CompileSettings
  readonly #rules: readonly Rule[]
  readonly #inputs = new Map<string, Input>()
  readonly #topics = new Topics<Unit>()
  /** Units to run, by the rank of their rule. */
  readonly #due: readonly Set<Unit>[]
  readonly #outcome: Outcome
  #touched = new Set<string>()

  constructor(settings: CompileSettings, rules: readonly Rule[] = allRules) {
    this.#settings = settings
    this.#rules = rules
    this.#due = rules.map(() => new Set())
    this.#outcome = new Outcome({ kind: 'Mesh', key: 'mesh', value: settings.mesh })
  }

  /** Each object at most once. */
  apply(changes: readonly ObjectChange[]): CompiledChange {
    this.#touched = new Set()
    for (const { key, after } of changes) {
      if (after === undefined) this.#remove(key)
      else this.#put(key, after)
    }
    this.#settle()
    const { upserts, removes, owners } = this.#outcome.takeResources()
    for (const key of owners) this.#touched.add(key)
    const conditions = this.#outcome.takeConditions((key, findings) => {
      const input = this.#inputs.get(key)
      return input === undefined ? undefined : conditionsOf(input.object, [...input.read.findings, ...findings])
    })
    return { upserts, removes, conditions, touched: this.#touched }
  }

  /** Everything that goes to the proxies. */
  get resources(): readonly CompiledResource[] {
    return this.#outcome.resources
  }

  /** Of every object. */
  get conditions(): ReadonlyMap<string, readonly Condition[]> {
    return this.#outcome.conditions
  }

  #put(key: string, object: MeshObject): void {
    const held = this.#inputs.get(key)
    if (held === undefined || !sameBesidesStatus(held.object, object)) this.#touched.add(key)
    const input = inputOf(key, object, held?.units ?? this.#unitsFor(key, object))
    this.#inputs.set(key, input)
    this.#outcome.review(key)
    for (const unit of input.units) this.#due[unit.rank]!.add(unit)
  }

  #remove(key: string): void {
    const held = this.#inputs.get(key)
    if (held === undefined) return
    this.#inputs.delete(key)
    this.#touched.add(key)
    this.#outcome.review(key)
    for (const unit of held.units) {
      this.#due[unit.rank]!.delete(unit)
      this.#take(unit, nothing)
    }
  }

  #unitsFor(key: string, object: MeshObject): readonly Unit[] {
    const kind = kindOf(object.apiVersion, object.kind)
    return this.#rules.flatMap((rule, rank) => (rule.kind === kind ? [{ key, rank, rule, result: nothing }] : []))
  }

  #settle(): void {
    for (const due of this.#due) {
      for (const unit of due) {
        this.#take(unit, runUnit(unit, this.#inputs.get(unit.key)!, this.#topics, this.#settings))
      }
      due.clear()
    }
  }

  #take(unit: Unit, result: Result): void {
    const before = unit.result
    const offers = this.#exchange(unit, before.offers, result.offers)
    for (const topic of result.reads) topic.readers.add(unit)
    for (const topic of before.reads) if (!result.reads.has(topic)) this.#topics.unsubscribe(topic, unit)
    this.#outcome.replace(unit, result)
    unit.result = { order: result.order, reads: result.reads, offers, resources: result.resources, said: result.said }
  }

  /** Puts new offers in the place of old ones. Readers of an offer that stays the same are left alone. */
  #exchange(unit: Unit, before: readonly Placed[], after: readonly Placed[]): readonly Placed[] {
    const old = new Map(before.map((placed) => [placed.topic, placed]))
    const kept = after.map((placed) => {
      const earlier = old.get(placed.topic)
      if (earlier !== undefined && isDeepStrictEqual(earlier.offer, placed.offer)) {
        old.delete(placed.topic)
        return earlier
      }
      this.#topics.add(placed.topic, placed.offer)
      this.#announce(placed, unit)
      return placed
    })
    for (const placed of old.values()) {
      this.#announce(placed, unit)
      this.#topics.remove(placed.topic, placed.offer)
    }
    return kept
  }

  #announce({ topic }: Placed, by: Unit): void {
    for (const reader of topic.readers) {
      if (reader.rank <= by.rank) throw new Error(`rule ${reader.rank} reads what the later rule ${by.rank} offers`)
      this.#due[reader.rank]!.add(reader)
    }
  }
}

/** Whether two states of one object mean the same, but for what the mesh says of it. */
function sameBesidesStatus(a: MeshObject, b: MeshObject): boolean {
  return isDeepStrictEqual(meaning(a), meaning(b))
}

function meaning({ status: _, ...object }: MeshObject): object {
  const {
    resourceVersion: __,
    managedFields: ___,
    ...metadata
  } = object.metadata as MeshObject['metadata'] & {
    managedFields?: unknown
  }
  return { ...object, metadata }
}
