// A watch over HTTP: what the query asks for, checked before the stream begins, and each event in the form that the client takes.
// The HTTP shell (handler.ts) calls it; watch.ts makes the events.
import type { ServerResponse } from 'node:http'
import type { MeshObject } from '../../core/model/resource.ts'
import type { Store } from '../store/store.ts'
import { tooLargeRevision } from './errors.ts'
import { checkWatchOptions, type ListOptions, listOptionsOf } from './list-options.ts'
import { type ResourceRequest, selectionOf, tableOptions } from './presentation.ts'
import { atVersion, partialOf, tableOf } from './representation.ts'
import { flag, wholeNumber } from './request.ts'
import { serveWatch, type WatchEvent, type WatchRequest } from './watch.ts'

const bookmarkMs = 60_000
/** As the Kubernetes default: between half an hour and an hour, so that watches do not all end at once. */
const minWatchMs = 1_800_000
const longestTimerMs = 2 ** 31 - 1

/** Whether the request asks for a stream of events. */
export function isWatch(request: Pick<ResourceRequest, 'target' | 'url'>, method: string): boolean {
  return method === 'GET' && request.target.subresource === undefined && flag(request.url, 'watch')
}

/** Streams until the client is gone or its time is over. Throws ApiError before the first byte only. */
export async function answerWatch(store: Store, request: ResourceRequest, response: ServerResponse): Promise<void> {
  const options = listOptionsOf(request.url)
  checkWatchOptions(options)
  const watch = watchRequestOf(request, options)
  if (options.revision !== undefined && options.revision > 0) await notAhead(store, request, options.revision)
  const seconds = wholeNumber(request.url, 'timeoutSeconds') ?? 0
  const timeoutMs = seconds === 0 ? Math.round(minWatchMs * (1 + Math.random())) : seconds * 1000
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(Math.min(timeoutMs, longestTimerMs))])
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' })
  response.flushHeaders()
  const present = presenter(request)
  const send = async (event: WatchEvent): Promise<void> => {
    if (signal.aborted || response.write(`${JSON.stringify(present(event))}\n`)) return
    await drained(response, signal)
  }
  await serveWatch(store, watch, send, signal)
  response.end()
}

/** The future is refused at once: a client that came from another store lists again. */
async function notAhead(store: Store, { target }: ResourceRequest, wanted: number): Promise<void> {
  const { kind, group } = target.kind
  const { revision } = await store.list({ group, kind }, { limit: 1 })
  if (wanted > revision) throw tooLargeRevision(wanted, revision)
}

function watchRequestOf(request: ResourceRequest, options: ListOptions): WatchRequest {
  const { target, url } = request
  const from = options.revision ?? 0
  const markInitialEnd = options.sendInitialEvents === true
  const bookmarks = flag(url, 'allowWatchBookmarks')
  return {
    kind: target.kind,
    ...(target.namespace === undefined ? {} : { namespace: target.namespace }),
    fits: selectionOf(request),
    // 0 and none: whatever is there comes first
    ...(from === 0 || markInitialEnd ? {} : { fromRevision: from }),
    skipInitial: options.sendInitialEvents === false && from === 0,
    markInitialEnd: markInitialEnd && bookmarks,
    ...(bookmarks ? { bookmarkMs } : {}),
  }
}

/** Events as the client asked for them: at its version, as metadata alone, or as tables of one row. */
function presenter(request: ResourceRequest): (event: WatchEvent) => WatchEvent {
  const { table, partial, metaVersion } = request.representation
  let columns = true
  return ({ type, object }) => {
    if (type === 'ERROR') return { type, object }
    const found = object as MeshObject
    if (partial) return { type, object: partialOf(found, metaVersion) }
    if (!table) return { type, object: atVersion(found, request.target.apiVersion) }
    const position = { resourceVersion: found.metadata.resourceVersion ?? '' }
    const rows = tableOf(request.target.kind, [found], { ...tableOptions(request), position, columns })
    columns = false
    return { type, object: rows }
  }
}

/** A client that reads slowly holds its own watch up, nobody's memory. */
function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    response.on('drain', done)
    signal.addEventListener('abort', done)
  })
}
