// What resources.ts asks of an object that somebody wants to write: its key, its kind once it is valid, and what it presumes of the
// stored one. Pure.
import { ignoredFields } from '../../core/model/ignored.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'
import { kindOf } from '../../core/model/kinds.ts'
import { formatPath, type Problem } from '../../core/model/problem.ts'
import type { MeshObject, ObjectKey } from '../../core/model/resource.ts'
import { validateObject } from '../../core/model/validate.ts'
import { ApiError, invalid } from './errors.ts'

export interface Preconditions {
  readonly uid?: string
  readonly resourceVersion?: string
}

export function keyFor(kind: Kind, namespace: string, name: string): ObjectKey {
  return { group: kind.group, kind: kind.kind, namespace: kind.namespaced ? namespace : '', name }
}

export function keyOf(kind: Kind, object: MeshObject): ObjectKey {
  return keyFor(kind, object.metadata.namespace ?? '', object.metadata.name)
}

/** The kind of a valid object. Throws Invalid with a cause per problem. */
export function checked(input: MeshObject): Kind {
  const problems: readonly Problem[] = validateObject(input)
  const kind = kindOf(input.apiVersion, input.kind)
  if (problems.length === 0 && kind !== undefined) return kind
  if (kind === undefined) throw new ApiError('BadRequest', problems.map(({ message }) => message).join('; '))
  throw invalid(kind, input.metadata?.name ?? '', problems)
}

export function preconditionsOf(input: MeshObject): Preconditions {
  const { uid, resourceVersion } = input.metadata
  return { ...(uid === undefined ? {} : { uid }), ...(resourceVersion === undefined ? {} : { resourceVersion }) }
}

/** A patch may not turn an object into another one. */
export function sameObject(kind: Kind, old: MeshObject, input: MeshObject): void {
  for (const field of ['name', 'namespace'] as const) {
    if (input.metadata?.[field] === old.metadata[field]) continue
    const at = formatPath(['metadata', field])
    throw new ApiError('BadRequest', `${at} of ${kind.kind} "${old.metadata.name}" cannot be changed`)
  }
}

export function warningsOf(object: MeshObject): readonly string[] {
  return ignoredFields(object).map(({ path, text }) => `${path}: ${text}`)
}
