// `?watch=true`: a stream of events, one JSON document per line, from a revision on. Store events become what this watcher's
// selector makes of them; bookmarks tell a quiet watcher how far the store has gone.
import { MeshError } from '../../core/base/errors.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { Store, StoreEvent } from '../store/store.ts'
import { ApiError, asApiError } from './errors.ts'
import type { Predicate } from './selectors.ts'

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  /** An object of the kind; for BOOKMARK only its metadata, for ERROR a Status. */
  readonly object: unknown
}

export interface WatchRequest {
  readonly kind: Kind
  readonly namespace?: string
  readonly fits: Predicate
  /** Absent: everything that is there comes first, as ADDED. */
  readonly fromRevision?: number
  /** Not even then: only what comes (`sendInitialEvents=false`). */
  readonly skipInitial?: boolean
  /** A bookmark after what was there first (`sendInitialEvents`). */
  readonly markInitialEnd: boolean
  readonly bookmarkMs?: number
}

/** Resolves once the event is handed on; rejects or aborts the signal where the client is gone. */
export type Send = (event: WatchEvent) => Promise<void>

/** Sends events until `signal` aborts. A revision that is gone ends the watch with an ERROR event of 410. */
export async function serveWatch(store: Store, request: WatchRequest, send: Send, signal: AbortSignal): Promise<void> {
  // what has been sent or looked at: a bookmark promises nothing newer
  const progress = { revision: request.fromRevision ?? 0 }
  const timer = request.bookmarkMs === undefined ? undefined : bookmarks(request, progress, send)
  try {
    if (request.fromRevision === undefined) progress.revision = await sendInitial(store, request, send)
    // all kinds: a bookmark may then name any revision that has passed, and a quiet watch never expires
    for await (const event of store.watch({}, progress.revision, signal)) {
      const answer = watchEventOf(event, request)
      if (answer !== undefined) await send(answer)
      progress.revision = event.stored.revision
    }
  } catch (error: unknown) {
    if (!signal.aborted) await send({ type: 'ERROR', object: asWatchError(error).toStatus() })
  } finally {
    clearInterval(timer)
  }
}

function bookmarks(request: WatchRequest, progress: { readonly revision: number }, send: Send): NodeJS.Timeout {
  return setInterval(() => {
    // a client that is gone ends the watch itself
    send(bookmark(request.kind, progress.revision)).catch(() => undefined)
  }, request.bookmarkMs)
}

async function sendInitial(store: Store, request: WatchRequest, send: Send): Promise<number> {
  const { group, kind } = request.kind
  const scope = request.namespace === undefined ? {} : { namespace: request.namespace }
  const { items, revision } = await store.list({ group, kind, ...scope })
  if (request.skipInitial === true) return revision
  for (const { object } of items) if (request.fits(object)) await send({ type: 'ADDED', object })
  if (request.markInitialEnd) await send(bookmark(request.kind, revision, { 'k8s.io/initial-events-end': 'true' }))
  return revision
}

function bookmark(kind: Kind, revision: number, annotations?: Readonly<Record<string, string>>): WatchEvent {
  const metadata = { resourceVersion: String(revision), creationTimestamp: null, ...(annotations && { annotations }) }
  return { type: 'BOOKMARK', object: { kind: kind.kind, metadata } }
}

/** What a store event is to somebody who sees only what fits; undefined where it is nothing. */
export function watchEventOf(
  event: StoreEvent,
  request: Pick<WatchRequest, 'kind' | 'namespace' | 'fits'>,
): WatchEvent | undefined {
  const { key, object } = event.stored
  if (key.kind !== request.kind.kind || key.group !== request.kind.group) return undefined
  if (request.namespace !== undefined && key.namespace !== request.namespace) return undefined
  const fits = request.fits(object)
  if (event.type !== 'MODIFIED') return fits ? { type: event.type, object } : undefined
  const didFit = event.previous === undefined || request.fits(event.previous)
  if (fits) return { type: didFit ? 'MODIFIED' : 'ADDED', object }
  return didFit ? { type: 'DELETED', object: atRevision(event.previous ?? object, event.stored.revision) } : undefined
}

function atRevision(object: MeshObject, revision: number): MeshObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
}

function asWatchError(error: unknown): ApiError {
  if (error instanceof MeshError && error.code === 'RESOURCE_CONFLICT') {
    return new ApiError('Expired', `too old resource version: ${error.message}`, { cause: error })
  }
  return asApiError(error)
}
