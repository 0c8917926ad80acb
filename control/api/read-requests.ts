// GET of an object or a collection. resource-requests.ts dispatches here; watches are in watch-requests.ts.
import type { Store } from '../store/store.ts'
import { tooLargeRevision } from './errors.ts'
import { listPart } from './list.ts'
import { checkListOptions, listOptionsOf } from './list-options.ts'
import { many, one, type ResourceRequest, selectionOf } from './presentation.ts'
import type { ApiAnswer } from './request.ts'
import type { Resources } from './resources.ts'

/** Throws NotFound, and what is wrong with the options of a list. */
export async function answerRead(resources: Resources, store: Store, request: ResourceRequest): Promise<ApiAnswer> {
  const { kind, namespace = '', name } = request.target
  if (name === undefined) return answerList(store, request)
  const object = await resources.get(kind, namespace, name)
  const { revision = 0 } = listOptionsOf(request.url)
  if (revision > Number(object.metadata.resourceVersion)) await checkReached(store, request, revision)
  return one(request, 200, object)
}

async function checkReached(store: Store, { target }: ResourceRequest, wanted: number): Promise<void> {
  const { revision } = await store.list({ group: target.kind.group, kind: target.kind.kind }, { limit: 1 })
  if (wanted > revision) throw tooLargeRevision(wanted, revision)
}

async function answerList(store: Store, request: ResourceRequest): Promise<ApiAnswer> {
  const { target, url } = request
  const options = listOptionsOf(url)
  checkListOptions(options)
  const selectors = JSON.stringify([url.searchParams.get('labelSelector'), url.searchParams.get('fieldSelector')])
  const scope = target.namespace === undefined ? {} : { namespace: target.namespace }
  const query = { kind: target.kind, ...scope, fits: selectionOf(request), selectors, options }
  const { items, position } = await listPart(store, query)
  return many(request, items, position)
}
