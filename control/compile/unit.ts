// One rule on one object: what it read, and what came of it. compiler.ts keeps one for every pair and runs it again when something
// that it read has changed.
import type { MeshObject } from '../../core/model/resource.ts'
import type { CompiledResource } from '../../core/model/types.ts'
import type { Finding } from './conditions.ts'
import { nameOf } from './conditions.ts'
import { orderOf } from './order.ts'
import { type Read, readObject } from './readable.ts'
import type { Rule, Scope } from './rule.ts'
import type { CompileSettings } from './settings.ts'
import type { Offer, Topic, TopicName, Topics } from './topics.ts'

/** An object as the compiler holds it. */
export interface Input {
  readonly key: string
  readonly object: MeshObject
  readonly name: string
  readonly order: string
  readonly read: Read
  readonly units: readonly Unit[]
}

export function inputOf(key: string, object: MeshObject, units: readonly Unit[]): Input {
  return { key, object, name: nameOf(object), order: orderOf(object), read: readObject(object), units }
}

export interface Unit {
  /** formatObjectKey of the object. */
  readonly key: string
  /** Position of the rule among all. */
  readonly rank: number
  readonly rule: Rule
  result: Result
}

export interface Placed {
  readonly topic: Topic<Unit>
  readonly offer: Offer
}

/** A finding about the object `key`. */
export interface Said {
  readonly key: string
  readonly finding: Finding
}

export interface Result {
  /** Of the object. */
  readonly order: string
  readonly reads: ReadonlySet<Topic<Unit>>
  readonly offers: readonly Placed[]
  readonly resources: readonly CompiledResource[]
  readonly said: readonly Said[]
}

export const nothing: Result = { order: '', reads: new Set(), offers: [], resources: [], said: [] }

/** What the unit's rule makes of its object now. Changes nothing. */
export function runUnit(unit: Unit, input: Input, topics: Topics<Unit>, settings: CompileSettings): Result {
  if (input.read.object === undefined) return nothing
  const run = new Run(input, topics, settings)
  unit.rule.run(input.read.object, run)
  return run
}

class Run implements Scope, Result {
  readonly settings: CompileSettings
  readonly key: string
  readonly order: string
  readonly reads = new Set<Topic<Unit>>()
  readonly offers: Placed[] = []
  readonly resources: CompiledResource[] = []
  readonly said: Said[] = []
  readonly #input: Input
  readonly #topics: Topics<Unit>

  constructor(input: Input, topics: Topics<Unit>, settings: CompileSettings) {
    this.#input = input
    this.#topics = topics
    this.settings = settings
    this.key = input.key
    this.order = input.order
  }

  read<Value>(name: TopicName<Value>): readonly Offer<Value>[] {
    const topic = this.#topics.get(name)
    this.reads.add(topic)
    return topic.offers as readonly Offer<Value>[]
  }

  offer<Value>(name: TopicName<Value>, value: Value): void {
    const { key, order, name: object } = this.#input
    this.offers.push({ topic: this.#topics.get(name), offer: { key, name: object, order, value } })
  }

  emit(resource: CompiledResource): void {
    this.resources.push(resource)
  }

  tell = (finding: Finding): void => {
    this.said.push({ key: this.key, finding })
  }

  tellOf(key: string, finding: Finding): void {
    this.said.push({ key, finding })
  }
}
