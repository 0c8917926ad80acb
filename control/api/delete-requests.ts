// DELETE of an object or a collection: options from the body and the query, and the answers that kubectl expects: the object where
// it still waits for finalizers, a Status where it is gone. resource-requests.ts dispatches here.
import { isObject } from '../../core/model/field-check.ts'
import type { Store } from '../store/store.ts'
import { type DeletionOptions, type Propagation, propagations } from './deletion.ts'
import { ApiError, detailsOf, invalidOptions, success } from './errors.ts'
import type { Preconditions } from './input.ts'
import { listPart } from './list.ts'
import { checkListOptions, listOptionsOf } from './list-options.ts'
import { many, one, type ResourceRequest, selectionOf } from './presentation.ts'
import { type ApiAnswer, isDryRun, wholeNumber } from './request.ts'
import type { Resources } from './resources.ts'

/** Throws NotFound, Conflict (preconditions), Forbidden (protected namespaces), and what is wrong with the options. */
export async function answerDelete(resources: Resources, store: Store, request: ResourceRequest): Promise<ApiAnswer> {
  const { kind, namespace = '', name } = request.target
  const options = deletionOptions(request.url, await request.body())
  if (name === undefined) return deleteCollection(resources, store, request, options)
  const { object, gone } = await resources.delete(kind, namespace, name, options)
  if (!gone) return one(request, 200, object)
  const uid = object.metadata.uid
  return { status: 200, body: success({ ...detailsOf(kind, name), ...(uid === undefined ? {} : { uid }) }) }
}

async function deleteCollection(
  resources: Resources,
  store: Store,
  request: ResourceRequest,
  options: DeletionOptions,
): Promise<ApiAnswer> {
  const { target, url } = request
  const listing = listOptionsOf(url)
  checkListOptions(listing)
  const selectors = JSON.stringify([url.searchParams.get('labelSelector'), url.searchParams.get('fieldSelector')])
  const scope = target.namespace === undefined ? {} : { namespace: target.namespace }
  const query = { kind: target.kind, ...scope, fits: selectionOf(request), selectors, options: listing }
  const { items, position } = await listPart(store, query)
  return many(request, await resources.deleteAll(target.kind, items, options), position)
}

/** What the body says, completed by the query (`metav1.DeleteOptions`). */
function deletionOptions(url: URL, body: unknown): DeletionOptions {
  if (body !== undefined && !isObject(body)) {
    throw new ApiError('BadRequest', 'the body of a deletion must be DeleteOptions')
  }
  const written: Readonly<Record<string, unknown>> = body ?? {}
  const { kind } = written
  if (kind !== undefined && kind !== '' && kind !== 'DeleteOptions') {
    throw new ApiError('BadRequest', `the body of a deletion must be DeleteOptions, found ${JSON.stringify(kind)}`)
  }
  const grace = wholeNumber(url, 'gracePeriodSeconds') ?? written['gracePeriodSeconds']
  if (grace !== undefined && grace !== null && !(Number.isInteger(grace) && (grace as number) >= 0)) {
    throw invalidOptions('DeleteOptions', 'gracePeriodSeconds', 'Invalid value: must be a whole number from 0')
  }
  const propagation = propagationOf(url, written)
  return {
    dryRun: isDryRun(url, written),
    preconditions: asPreconditions(written['preconditions']),
    ...(propagation === undefined ? {} : { propagation }),
  }
}

function propagationOf(url: URL, written: Readonly<Record<string, unknown>>): Propagation | undefined {
  const policy = url.searchParams.get('propagationPolicy') ?? written['propagationPolicy'] ?? undefined
  const orphan = url.searchParams.get('orphanDependents') ?? written['orphanDependents'] ?? undefined
  if (policy !== undefined && orphan !== undefined) {
    const message = 'Invalid value: orphanDependents and deletionPropagation cannot be both set'
    throw invalidOptions('DeleteOptions', 'propagationPolicy', message)
  }
  if (orphan !== undefined) return String(orphan) === 'true' ? 'Orphan' : 'Background'
  if (policy === undefined) return undefined
  const found = propagations.find((name) => name === policy)
  if (found !== undefined) return found
  const known = propagations.map((name) => `"${name}"`).join(', ')
  const message = `Unsupported value: ${JSON.stringify(policy)}: supported values: ${known}`
  throw invalidOptions('DeleteOptions', 'propagationPolicy', message)
}

function asPreconditions(value: unknown): Preconditions {
  if (!isObject(value)) return {}
  const { uid, resourceVersion } = value
  return {
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
  }
}
