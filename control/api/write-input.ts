// What a request body must be before it is written: the object that the path addresses, or its status. Pure; write-requests.ts
// calls it.
import { isObject } from '../../core/model/field-check.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { ApiError } from './errors.ts'
import type { Preconditions } from './input.ts'
import type { ResourceTarget } from './paths.ts'
import type { ObjectStatus } from './resources.ts'

type Fields = Readonly<Record<string, unknown>>

/** The object of a body, which must be the one that the path addresses; what the path says may be left out of it. */
export function asInput(body: unknown, target: ResourceTarget): Fields {
  if (!isObject(body)) throw new ApiError('BadRequest', 'the body must hold one object')
  const input = { apiVersion: target.apiVersion, kind: target.kind.kind, ...body }
  agree('apiVersion', input.apiVersion, target.apiVersion)
  agree('kind', input.kind, target.kind.kind)
  const metadata = isObject(body['metadata']) ? body['metadata'] : undefined
  // anything else is told by the validation
  if (metadata === undefined) return input
  const named = { ...metadata }
  for (const [field, wanted] of [['namespace', target.namespace] as const, ['name', target.name] as const]) {
    if (wanted === undefined) continue
    if (isUnset(named[field])) named[field] = wanted
    agree(`metadata.${field}`, named[field], wanted)
  }
  if (target.kind.namespaced && isUnset(named['namespace']))
    throw new ApiError('BadRequest', 'the path must name a namespace')
  return { ...input, metadata: named }
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

/** Throws BadRequest where a field of the body is not what the path says. */
export function agree(field: string, found: unknown, wanted: string): void {
  if (found !== wanted) {
    throw new ApiError(
      'BadRequest',
      `${field} of the body (${(JSON.stringify(found) ?? 'nothing').slice(0, 300)}) is not that of the path ("${wanted}")`,
    )
  }
}

export function asPreconditions(object: Fields): Preconditions {
  const { uid, resourceVersion } = isObject(object['metadata']) ? object['metadata'] : {}
  return {
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
  }
}

/** Throws BadRequest where conditions could not be read by anybody. */
export function asStatus(status: unknown): ObjectStatus {
  if (status === undefined || status === null) return {}
  if (!isObject(status)) throw new ApiError('BadRequest', 'status must be an object')
  const { conditions } = status
  const readable = conditions === undefined || (Array.isArray(conditions) && conditions.every(isCondition))
  if (!readable) throw new ApiError('BadRequest', 'status.conditions must be a list of objects with type and status')
  return status as ObjectStatus
}

function isCondition(value: unknown): boolean {
  return isObject(value) && typeof value['type'] === 'string' && typeof value['status'] === 'string'
}

/** The configuration of a server-side apply must be one: objects with metadata, without bookkeeping of its own. */
export function asConfiguration(body: unknown, target: ResourceTarget): Fields {
  for (const field of ['apiVersion', 'kind']) {
    if (!isObject(body) || isUnset(body[field]))
      throw new ApiError('BadRequest', `the configuration of an apply must have ${field}`)
  }
  const input = asInput({ metadata: {}, ...(body as Fields) }, target)
  const metadata = input['metadata']
  if (!isObject(metadata)) throw new ApiError('BadRequest', 'metadata must be an object')
  const { managedFields } = metadata
  if (managedFields !== undefined && managedFields !== null && !isEmptyList(managedFields))
    throw new ApiError('BadRequest', 'metadata.managedFields must be nil')
  return input
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0
}

/** For what Resources validates before it looks at any field. */
export function asObjectOf(fields: Fields): MeshObject {
  return fields as unknown as MeshObject
}
