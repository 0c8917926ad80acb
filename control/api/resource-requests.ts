// Requests for resources: a path, a method and a body become one operation of `Resources`. The HTTP shell (handler.ts) calls
// `answerResource` and encodes what comes back; watches are in watch.ts.
import { isObject } from '../../core/model/field-check.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { ApiError, detailsOf, success } from './errors.ts'
import type { ResourceTarget } from './paths.ts'
import { atVersion, listOf, type Representation, tableOf } from './representation.ts'
import { type ApiAnswer, type ApiRequest, flag, isDryRun } from './request.ts'
import type { Preconditions, Resources } from './resources.ts'
import { type Predicate, parseSelectors } from './selectors.ts'
import { answerWrite, type WriteAnswer } from './write-requests.ts'

export interface ResourceRequest extends ApiRequest {
  readonly target: ResourceTarget
  readonly representation: Representation
  readonly nowMs: number
}

/** Whether the request asks for a stream of events. */
export function isWatch(request: Pick<ResourceRequest, 'target' | 'url'>, method: string): boolean {
  return method === 'GET' && request.target.subresource === undefined && flag(request.url, 'watch')
}

/** What list, watch and deletecollection are limited to. */
export function selectionOf({ target, url }: Pick<ResourceRequest, 'target' | 'url'>): Predicate {
  const fits = parseSelectors(url.searchParams.get('labelSelector'), url.searchParams.get('fieldSelector'))
  return target.name === undefined ? fits : (object) => object.metadata.name === target.name && fits(object)
}

export async function answerResource(
  resources: Resources,
  method: string,
  request: ResourceRequest,
): Promise<ApiAnswer> {
  const { target } = request
  if (target.subresource === 'status') return answerStatus(resources, method, request)
  return target.name === undefined
    ? answerCollection(resources, method, request)
    : answerObject(resources, method, request, target.name)
}

async function answerCollection(resources: Resources, method: string, request: ResourceRequest): Promise<ApiAnswer> {
  const { target, url } = request
  if (method === 'GET') {
    const { items, revision } = await resources.list(target.kind, target.namespace, selectionOf(request))
    if (request.representation.table) return { status: 200, body: table(request, items, String(revision)) }
    return { status: 200, body: listOf(target.kind, target.apiVersion, items, revision) }
  }
  if (method === 'POST') return written(request, await answerWrite(resources, method, request))
  if (method === 'DELETE') {
    const options = asOptions(await request.body())
    const dryRun = isDryRun(url, options)
    const deleted = await resources.deleteAll(target.kind, target.namespace, selectionOf(request), { dryRun })
    return { status: 200, body: listOf(target.kind, target.apiVersion, deleted, 0) }
  }
  throw notAllowed(method)
}

async function answerObject(
  resources: Resources,
  method: string,
  request: ResourceRequest,
  name: string,
): Promise<ApiAnswer> {
  const { target, url } = request
  const { kind, namespace = '' } = target
  if (method === 'GET') return one(request, 200, await resources.get(kind, namespace, name))
  if (method === 'PUT' || method === 'PATCH') return written(request, await answerWrite(resources, method, request))
  if (method !== 'DELETE') throw notAllowed(method)
  const options = asOptions(await request.body())
  const preconditions = asPreconditions(options['preconditions'])
  const deleted = await resources.delete(kind, namespace, name, { dryRun: isDryRun(url, options), preconditions })
  const uid = deleted.metadata.uid
  return { status: 200, body: success({ ...detailsOf(kind, name), ...(uid === undefined ? {} : { uid }) }) }
}

async function answerStatus(resources: Resources, method: string, request: ResourceRequest): Promise<ApiAnswer> {
  const { kind, namespace = '', name = '' } = request.target
  if (method === 'GET') return one(request, 200, await resources.get(kind, namespace, name))
  if (method !== 'PUT' && method !== 'PATCH') throw notAllowed(method)
  return written(request, await answerWrite(resources, method, request))
}

function notAllowed(method: string): ApiError {
  return new ApiError('MethodNotAllowed', `the server does not allow ${method} on the requested resource`)
}

function one(request: ResourceRequest, status: number, object: MeshObject): ApiAnswer {
  if (!request.representation.table) return { status, body: atVersion(object, request.target.apiVersion) }
  return { status, body: table(request, [object], object.metadata.resourceVersion ?? '') }
}

function written(request: ResourceRequest, { status, object, warnings }: WriteAnswer): ApiAnswer {
  return { ...one(request, status, object), warnings }
}

export function table(
  request: Pick<ResourceRequest, 'target' | 'url' | 'nowMs'>,
  objects: readonly MeshObject[],
  resourceVersion: string,
  columns = true,
): object {
  const asked = request.url.searchParams.get('includeObject')
  const include = asked === 'None' || asked === 'Object' ? asked : 'Metadata'
  const { apiVersion, kind } = request.target
  return tableOf(kind, objects, { apiVersion, resourceVersion, include, nowMs: request.nowMs, columns })
}

function asOptions(body: unknown): Readonly<Record<string, unknown>> {
  if (body === undefined) return {}
  if (!isObject(body)) throw new ApiError('BadRequest', 'the body of a deletion must be DeleteOptions')
  return body
}

function asPreconditions(value: unknown): Preconditions {
  if (!isObject(value)) return {}
  const { uid, resourceVersion } = value
  return {
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
  }
}
