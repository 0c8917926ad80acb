// What a kind contributes to the compile step: rules, each a function from one object to what it means. A rule sees other objects
// only through topics, which is how the compiler knows what a change touches. rules.ts lists them, compiler.ts runs them.
import type { Kind } from '../../core/model/kinds/kind.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { CompiledResource } from '../../core/model/types.ts'
import type { Finding } from './conditions.ts'
import type { CompileSettings } from './settings.ts'
import type { Offer, TopicName } from './topics.ts'

export interface Rule {
  /** The objects that it is for. */
  readonly kind: Kind
  /** Runs for one object, and again when the object or anything that it read changed. Must depend on nothing else. */
  run(object: MeshObject, scope: Scope): void
}

/** What a rule may do while it runs for one object. */
export interface Scope {
  readonly settings: CompileSettings
  /** formatObjectKey of the object. */
  readonly key: string
  /** What rules that come earlier in the list offer, the oldest object's offer first. */
  read<Value>(topic: TopicName<Value>): readonly Offer<Value>[]
  /** For rules that come later in the list. One offer per topic. */
  offer<Value>(topic: TopicName<Value>, value: Value): void
  /** Goes to the proxies. */
  emit(resource: CompiledResource): void
  /** Says something about this object. */
  tell(finding: Finding): void
  /** Says something about another one, by its key. */
  tellOf(key: string, finding: Finding): void
}
