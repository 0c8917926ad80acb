// A request for resources, and one or many objects as its answer: at the version of the path, in the form that the client takes.
// What reads, writes and deletes (…-requests.ts) answers through here.
import type { MeshObject } from '../../core/model/resource.ts'
import type { ResourceTarget } from './paths.ts'
import {
  atVersion,
  type ListPosition,
  listOf,
  partialListOf,
  partialOf,
  type Representation,
  type TableOptions,
  tableOf,
} from './representation.ts'
import type { ApiAnswer, ApiRequest } from './request.ts'
import { type Predicate, parseSelectors } from './selectors.ts'

export interface ResourceRequest extends ApiRequest {
  readonly target: ResourceTarget
  readonly representation: Representation
  readonly nowMs: number
}

/** What list, watch and deletecollection are limited to. */
export function selectionOf({ target, url }: Pick<ResourceRequest, 'target' | 'url'>): Predicate {
  const labels = url.searchParams.get('labelSelector') ?? ''
  const fits = parseSelectors(labels, url.searchParams.get('fieldSelector') ?? '', target.kind)
  return target.name === undefined ? fits : (object) => object.metadata.name === target.name && fits(object)
}

export function tableOptions(
  request: Pick<ResourceRequest, 'target' | 'url' | 'nowMs' | 'representation'>,
): Omit<TableOptions, 'position' | 'columns'> {
  const asked = request.url.searchParams.get('includeObject')
  const include = asked === 'None' || asked === 'Object' ? asked : 'Metadata'
  const { target, nowMs, representation } = request
  return { apiVersion: target.apiVersion, metaVersion: representation.metaVersion, include, nowMs }
}

export function one(request: ResourceRequest, status: number, object: MeshObject): ApiAnswer {
  const { target, representation } = request
  if (representation.partial) return { status, body: partialOf(object, representation.metaVersion) }
  if (!representation.table) return { status, body: atVersion(object, target.apiVersion) }
  const position = { resourceVersion: object.metadata.resourceVersion ?? '' }
  return { status, body: tableOf(target.kind, [object], { ...tableOptions(request), position, columns: true }) }
}

export function many(request: ResourceRequest, items: readonly MeshObject[], position: ListPosition): ApiAnswer {
  const { target, representation } = request
  if (representation.partial) return { status: 200, body: partialListOf(items, representation.metaVersion, position) }
  if (!representation.table) return { status: 200, body: listOf(target.kind, target.apiVersion, items, position) }
  return { status: 200, body: tableOf(target.kind, items, { ...tableOptions(request), position, columns: true }) }
}
