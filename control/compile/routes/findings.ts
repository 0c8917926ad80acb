// What the compile step of routes has to say about objects: conditions of an object, or of one of its parents (Gateway API).
import { isDeepStrictEqual } from 'node:util'
import type { Finding } from '../conditions.ts'
import type { Scope } from '../rule.ts'

/** Says something about the object at hand. @param parent position in its parentRefs; undefined: about the object */
export type Tell = (finding: Finding, parent?: number) => void

/** A rule is compiled once for each frontend, and says the same each time: it is told once. */
export function tellOnce(scope: Scope): Tell {
  const said: Finding[] = []
  return (finding, parent) => {
    const told = parent === undefined ? finding : { ...finding, parent }
    if (said.some((earlier) => isDeepStrictEqual(earlier, told))) return
    said.push(told)
    scope.tell(told)
  }
}

export function unresolved(reason: string, message: string): Finding {
  return { type: 'ResolvedRefs', status: 'False', reason, message }
}

/** A part of the object is left out, or answers with an error; the rest holds. */
export function partlyInvalid(message: string): Finding {
  return { type: 'PartiallyInvalid', status: 'True', reason: 'UnsupportedValue', message }
}

/** No proxy does what the object says. */
export function noWaypoint(services: readonly string[]): Finding {
  const shown = services.slice(0, 3).join(', ')
  const more = services.length > 3 ? ` and ${services.length - 3} more` : ''
  const message = `no waypoint stands in front of ${shown}${more}: label the Service or its namespace istio.io/use-waypoint`
  return { type: 'Programmed', status: 'False', reason: 'NoWaypoint', message }
}
