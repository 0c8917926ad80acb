// What the rules have brought about so far: resources for the proxies and findings about objects, each with the unit that it is
// from, and what of it changed since it was last asked. Used by compiler.ts only.
import { isDeepStrictEqual } from 'node:util'
import type { Condition } from '../../core/model/resource.ts'
import type { CompiledKey, CompiledResource } from '../../core/model/types.ts'
import type { Finding } from './conditions.ts'
import { inSendingOrder } from './sending-order.ts'
import type { Result, Unit } from './unit.ts'

interface Emitted {
  readonly resource: CompiledResource
  /** Undefined for what is of the mesh itself. */
  readonly unit: Unit | undefined
}

interface Contribution {
  readonly unit: Unit
  /** Of the object that the unit looked at. */
  readonly order: string
  readonly findings: readonly Finding[]
}

export class Outcome {
  readonly #emitted = new Map<string, Emitted>()
  /** What was emitted under a key when resources were last taken. */
  readonly #before = new Map<string, Emitted | undefined>()
  readonly #said = new Map<string, Map<Unit, Contribution>>()
  readonly #conditions = new Map<string, readonly Condition[]>()
  /** Objects whose conditions may be others. */
  readonly #review = new Set<string>()

  constructor(mesh: CompiledResource) {
    this.#emit({ resource: mesh, unit: undefined })
  }

  get resources(): readonly CompiledResource[] {
    return inSendingOrder([...this.#emitted.values()].map(({ resource }) => resource))
  }

  get conditions(): ReadonlyMap<string, readonly Condition[]> {
    return this.#conditions
  }

  /** The conditions of an object are to be looked at again. */
  review(key: string): void {
    this.#review.add(key)
  }

  /** Puts a unit's result in the place of its last one. */
  replace(unit: Unit, result: Result): void {
    for (const resource of unit.result.resources) this.#withdraw(resource, unit)
    for (const resource of result.resources) this.#emit({ resource, unit })
    const before = unit.result.said
    if (unit.result.order === result.order && isDeepStrictEqual(before, result.said)) return
    for (const { key } of before) {
      this.#said.get(key)?.delete(unit)
      this.review(key)
    }
    for (const [key, said] of Map.groupBy(result.said, ({ key }) => key)) {
      const contributions = this.#said.get(key) ?? new Map<Unit, Contribution>()
      this.#said.set(key, contributions)
      contributions.set(unit, { unit, order: result.order, findings: said.map(({ finding }) => finding) })
      this.review(key)
    }
    for (const { key } of before) if (this.#said.get(key)?.size === 0) this.#said.delete(key)
  }

  /** What changed since the last call. `owners`: the objects of whose resources something did. */
  takeResources() {
    const upserts: CompiledResource[] = []
    const removes: CompiledKey[] = []
    const owners = new Set<string>()
    for (const [key, before] of this.#before) {
      const after = this.#emitted.get(key)
      if (isDeepStrictEqual(before?.resource, after?.resource)) continue
      if (after !== undefined) upserts.push(after.resource)
      else if (before !== undefined) removes.push({ kind: before.resource.kind, key: before.resource.key })
      for (const emitted of [before, after]) if (emitted?.unit !== undefined) owners.add(emitted.unit.key)
    }
    this.#before.clear()
    return { upserts: inSendingOrder(upserts), removes, owners }
  }

  /**
   * The conditions that changed since the last call.
   *
   * @param conditionsOf an object with what rules found about it; undefined where it is gone
   */
  takeConditions(conditionsOf: (key: string, findings: readonly Finding[]) => readonly Condition[] | undefined) {
    const changed = new Map<string, readonly Condition[] | undefined>()
    for (const key of this.#review) {
      const after = conditionsOf(key, this.#findings(key))
      const before = this.#conditions.get(key)
      if (isDeepStrictEqual(before, after)) continue
      changed.set(key, after)
      if (after === undefined) this.#conditions.delete(key)
      else this.#conditions.set(key, after)
    }
    this.#review.clear()
    return changed
  }

  /** By rule, then by the age of the object that the rule was looking at. */
  #findings(key: string): readonly Finding[] {
    const contributions = this.#said.get(key)
    if (contributions === undefined) return []
    return [...contributions.values()].sort(byRule).flatMap(({ findings }) => findings)
  }

  #emit(emitted: Emitted): void {
    const key = keyText(emitted.resource)
    this.#remember(key)
    this.#emitted.set(key, emitted)
  }

  /** Unless another unit has emitted the same by now. */
  #withdraw(resource: CompiledResource, unit: Unit): void {
    const key = keyText(resource)
    if (this.#emitted.get(key)?.unit !== unit) return
    this.#remember(key)
    this.#emitted.delete(key)
  }

  #remember(key: string): void {
    if (!this.#before.has(key)) this.#before.set(key, this.#emitted.get(key))
  }
}

function byRule(a: Contribution, b: Contribution): number {
  if (a.unit.rank !== b.unit.rank) return a.unit.rank - b.unit.rank
  return a.order < b.order ? -1 : 1
}

function keyText({ kind, key }: CompiledKey): string {
  return `${kind}/${key}`
}
