// What the compile step of routes has to say about objects: conditions of an object, or of one of its parents (Gateway API).
import type { Finding } from '../conditions.ts'

export interface RouteFinding {
  /** formatObjectKey of the object. */
  readonly object: string
  /** Position in its parentRefs; undefined: about the object, for every parent. */
  readonly parent?: number
  readonly finding: Finding
}

/** Says something about the object at hand. */
export type Tell = (finding: Finding, parent?: number) => void

export function unresolved(reason: string, message: string): Finding {
  return { type: 'ResolvedRefs', status: 'False', reason, message }
}

/** A part of the object is left out, or answers with an error; the rest holds. */
export function partlyInvalid(message: string): Finding {
  return { type: 'PartiallyInvalid', status: 'True', reason: 'UnsupportedValue', message }
}
