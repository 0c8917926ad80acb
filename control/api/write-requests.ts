// Requests that change an object: POST, PUT and PATCH, of the object or its status. resource-requests.ts calls `answerWrite` and
// shows what comes back as the client asked.
import { isObject } from '../../core/model/field-check.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { mediaType } from './body.ts'
import { ApiError } from './errors.ts'
import type { Preconditions } from './input.ts'
import { mergePatch } from './patch/merge-patch.ts'
import type { ResourceTarget } from './paths.ts'
import { atVersion } from './representation.ts'
import { type ApiRequest, isDryRun } from './request.ts'
import type { ObjectStatus, Resources, Written } from './resources.ts'

export interface WriteRequest extends ApiRequest {
  readonly target: ResourceTarget
}

export interface WriteAnswer extends Written {
  readonly status: number
}

export async function answerWrite(
  resources: Resources,
  method: 'POST' | 'PUT' | 'PATCH',
  request: WriteRequest,
): Promise<WriteAnswer> {
  const { target, url } = request
  if (target.subresource === 'status') return writeStatus(resources, method, request)
  const options = { dryRun: isDryRun(url) }
  if (method === 'PATCH') {
    const { kind, namespace = '', name = '' } = target
    const patch = await readPatch(request)
    const change = (old: MeshObject): MeshObject => patched(old, patch, target)
    return { status: 200, ...(await resources.modify(kind, namespace, name, change, options)) }
  }
  const input = asInput(await request.body(), target)
  if (method === 'POST') return { status: 201, ...(await resources.create(input, options)) }
  return { status: 200, ...(await resources.update(input, options)) }
}

async function writeStatus(resources: Resources, method: string, request: WriteRequest): Promise<WriteAnswer> {
  const { target, url } = request
  const { kind, namespace = '', name = '' } = target
  const input = method === 'PATCH' ? await readPatch(request) : asInput(await request.body(), target)
  const metadata = isObject(input) && isObject(input['metadata']) ? input['metadata'] : {}
  const change = (old: MeshObject): ObjectStatus =>
    asStatus(
      method === 'PATCH' ? (mergePatch(old, input) as MeshObject).status : (input as unknown as MeshObject).status,
    )
  const options = { dryRun: isDryRun(url), preconditions: asPreconditions(metadata) }
  const object = await resources.modifyStatus(kind, namespace, name, change, options)
  return { status: 200, object, warnings: [] }
}

/** The object of a body, which must be the one that the path addresses; what the path says may be left out of it. */
function asInput(body: unknown, target: ResourceTarget): MeshObject {
  if (!isObject(body)) throw new ApiError('BadRequest', 'the body must hold one object')
  const input = { apiVersion: target.apiVersion, kind: target.kind.kind, ...body }
  agree('apiVersion', input.apiVersion, target.apiVersion)
  agree('kind', input.kind, target.kind.kind)
  const metadata = isObject(body['metadata']) ? body['metadata'] : undefined
  // anything else is told by the validation
  if (metadata === undefined) return input as unknown as MeshObject
  const named = { ...metadata }
  for (const [field, wanted] of [['namespace', target.namespace] as const, ['name', target.name] as const]) {
    if (wanted === undefined) continue
    if (isUnset(named[field])) named[field] = wanted
    agree(`metadata.${field}`, named[field], wanted)
  }
  if (target.kind.namespaced && isUnset(named['namespace']))
    throw new ApiError('BadRequest', 'the path must name a namespace')
  return { ...input, metadata: named } as unknown as MeshObject
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

function agree(field: string, found: unknown, wanted: string): void {
  if (found !== wanted) {
    throw new ApiError(
      'BadRequest',
      `${field} of the body (${JSON.stringify(found)}) is not that of the path ("${wanted}")`,
    )
  }
}

async function readPatch(request: WriteRequest): Promise<Readonly<Record<string, unknown>>> {
  const type = mediaType(request.request)
  if (type !== 'application/merge-patch+json') {
    const message = `patches of type "${type}" are not supported: send application/merge-patch+json (kubectl patch --type merge)`
    throw new ApiError('UnsupportedMediaType', message)
  }
  const patch = await request.body()
  if (!isObject(patch)) throw new ApiError('BadRequest', 'a merge patch must be an object')
  return patch
}

/** A patch is unconditional unless it names a revision itself. */
function patched(old: MeshObject, patch: Readonly<Record<string, unknown>>, target: ResourceTarget): MeshObject {
  const { resourceVersion: _, ...metadata } = old.metadata
  const current = { ...atVersion(old, target.apiVersion), metadata }
  const result = mergePatch(current, patch)
  if (!isObject(result)) throw new ApiError('BadRequest', 'a patch must leave an object')
  agree('apiVersion', result['apiVersion'], target.apiVersion)
  agree('kind', result['kind'], target.kind.kind)
  return result as unknown as MeshObject
}

function asPreconditions({ uid, resourceVersion }: Readonly<Record<string, unknown>>): Preconditions {
  return {
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
  }
}

function asStatus(status: unknown): ObjectStatus {
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
