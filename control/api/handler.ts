// The HTTP shell of the API: who is asking, what for, and the answer as a Kubernetes client expects it. Every failure leaves as a
// Status object. server.ts owns the socket.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../../core/base/log.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { Store } from '../store/store.ts'
import { readValue } from './body.ts'
import { apiGroup, apiGroups, apiResources, coreVersions, versionOf } from './discovery.ts'
import { ApiError, asApiError } from './errors.ts'
import { parsePath, type ResourceTarget, type Target } from './paths.ts'
import { atVersion, encode, negotiate } from './representation.ts'
import { type ApiAnswer, type ApiRequest, type Caller, flag, type Handler, wholeNumber } from './request.ts'
import { answerResource, isWatch, type ResourceRequest, selectionOf, table } from './resource-requests.ts'
import type { Resources } from './resources.ts'
import { serveWatch, type WatchEvent, type WatchRequest } from './watch.ts'

export interface HandlerDeps {
  readonly resources: Resources
  readonly store: Store
  readonly authenticate: (request: IncomingMessage) => Promise<Caller | undefined>
  /** By `METHOD /path`, `/path`, or a path that ends with a slash for all below it. */
  readonly routes: Readonly<Record<string, Handler>>
  /** Why the control plane is not ready; undefined when it is. */
  readonly notReady: () => string | undefined
  readonly version: string
  readonly log: Logger
  readonly closing: AbortSignal
  readonly now: () => number
}

const bookmarkMs = 60_000
/** As the Kubernetes default: between half an hour and an hour, so that watches do not all end at once. */
const minWatchMs = 1_800_000

export class ApiHandler {
  readonly #deps: HandlerDeps

  constructor(deps: HandlerDeps) {
    this.#deps = deps
  }

  /** Answers one request; never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    try {
      const url = new URL(request.url ?? '/', 'https://culvert.invalid')
      await this.#answer(request, response, url, AbortSignal.any([gone.signal, this.#deps.closing]))
    } catch (error: unknown) {
      this.#fail(request, response, error)
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, url: URL, signal: AbortSignal): Promise<void> {
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET')
    const open = this.#openAnswer(url.pathname)
    if (open !== undefined) return write(request, response, open)
    const caller = await this.#deps.authenticate(request)
    if (caller === undefined)
      throw new ApiError('Unauthorized', 'a bearer token is needed: `culvert kubeconfig` prints a kubeconfig with one')
    if (caller.readOnly === true && method !== 'GET') {
      throw new ApiError('Forbidden', `"${caller.name}" may read, but not ${method}`)
    }
    const asked: ApiRequest = { request, url, caller, body: () => readValue(request), signal }
    const route = this.#route(method, url.pathname)
    if (route !== undefined) return write(request, response, await route(asked))
    const target = parsePath(url.pathname)
    if (target === undefined) throw new ApiError('NotFound', 'the server could not find the requested resource')
    if (target.type !== 'resource') return write(request, response, discovery(target, method))
    await this.#resource(method, asked, target, response)
  }

  /** Without authentication: liveness, readiness and the version. */
  #openAnswer(path: string): ApiAnswer | undefined {
    if (path === '/healthz' || path === '/livez') return text(200, 'ok')
    if (path === '/version') return { status: 200, body: versionOf(this.#deps.version) }
    if (path !== '/readyz') return undefined
    const reason = this.#deps.notReady()
    return reason === undefined ? text(200, 'ok') : text(503, reason)
  }

  #route(method: string, path: string): Handler | undefined {
    const { routes } = this.#deps
    for (const key of [`${method} ${path}`, path]) if (Object.hasOwn(routes, key)) return routes[key]
    const below = Object.keys(routes).filter((key) => {
      const prefix = key.startsWith(`${method} `) ? key.slice(method.length + 1) : key
      return prefix.endsWith('/') && path.startsWith(prefix)
    })
    const longest = below.sort((a, b) => b.length - a.length)[0]
    return longest === undefined ? undefined : routes[longest]
  }

  async #resource(method: string, asked: ApiRequest, target: ResourceTarget, response: ServerResponse): Promise<void> {
    const representation = negotiate(asked.request.headers.accept)
    const request: ResourceRequest = { ...asked, target, representation, nowMs: this.#deps.now() }
    if (isWatch(request, method)) return this.#watch(request, response)
    write(asked.request, response, await answerResource(this.#deps.resources, method, request))
  }

  async #watch(request: ResourceRequest, response: ServerResponse): Promise<void> {
    const watch = watchRequestOf(request)
    const seconds = wholeNumber(request.url, 'timeoutSeconds')
    const timeoutMs =
      seconds === undefined || seconds === 0 ? Math.round(minWatchMs * (1 + Math.random())) : seconds * 1000
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(Math.min(timeoutMs, 2 ** 31 - 1))])
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache' })
    response.flushHeaders()
    const present = presenter(request)
    const send = async (event: WatchEvent): Promise<void> => {
      if (signal.aborted || response.write(`${JSON.stringify(present(event))}\n`)) return
      await drained(response, signal)
    }
    await serveWatch(this.#deps.store, watch, send, signal)
    response.end()
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const failure = asApiError(error)
    if (failure.status >= 500)
      this.#deps.log.error({ err: error, method: request.method, url: request.url }, 'request failed')
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    if (failure.reason === 'Unauthorized') response.setHeader('www-authenticate', 'Bearer realm="culvert"')
    // what is left of the body is not worth reading
    if (!request.complete) response.setHeader('connection', 'close')
    write(request, response, { status: failure.status, body: failure.toStatus() })
  }
}

function discovery(target: Exclude<Target, ResourceTarget>, method: string): ApiAnswer {
  if (method !== 'GET') throw new ApiError('MethodNotAllowed', `the server does not allow ${method} on discovery`)
  if (target.type === 'core-versions') return { status: 200, body: coreVersions() }
  if (target.type === 'groups') return { status: 200, body: apiGroups() }
  if (target.type === 'group') return { status: 200, body: apiGroup(target.group) }
  return { status: 200, body: apiResources(target.group, target.version) }
}

function watchRequestOf(request: ResourceRequest): WatchRequest {
  const { target, url } = request
  const from = wholeNumber(url, 'resourceVersion') ?? 0
  const markInitialEnd = flag(url, 'sendInitialEvents')
  const bookmarks = flag(url, 'allowWatchBookmarks') && !request.representation.table
  return {
    kind: target.kind,
    ...(target.namespace === undefined ? {} : { namespace: target.namespace }),
    fits: selectionOf(request),
    // 0 and none: whatever is there comes first
    ...(from === 0 || markInitialEnd ? {} : { fromRevision: from }),
    markInitialEnd,
    ...(bookmarks ? { bookmarkMs } : {}),
  }
}

/** Events as the client asked for them: at its version, or as tables of one row. */
function presenter(request: ResourceRequest): (event: WatchEvent) => WatchEvent {
  let first = true
  return (event) => {
    if (event.type === 'ERROR') return event
    const object = atVersion(event.object as MeshObject, request.target.apiVersion)
    if (!request.representation.table || event.type === 'BOOKMARK') return { type: event.type, object }
    const columns = first
    first = false
    return { type: event.type, object: table(request, [object], object.metadata.resourceVersion ?? '', columns) }
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

function text(status: number, body: string): ApiAnswer {
  return { status, body, type: 'text/plain; charset=utf-8' }
}

/** Header values are ASCII without quotes inside; a client shows a few warnings, not hundreds. */
const maxWarnings = 20

function write(request: IncomingMessage, response: ServerResponse, answer: ApiAnswer): void {
  const encoding = request.headers.accept?.includes('application/yaml') === true ? 'yaml' : 'json'
  const encoded =
    answer.type === undefined ? encode(answer.body, encoding) : { type: answer.type, text: String(answer.body) }
  const warnings = (answer.warnings ?? []).slice(0, maxWarnings).map(warningHeader)
  if (warnings.length > 0) response.setHeader('warning', warnings)
  response.setHeader('content-type', encoded.type)
  response.setHeader('cache-control', 'no-cache, private')
  response.writeHead(answer.status)
  response.end(encoded.text)
}

/** RFC 7234 §5.5, code 299, as Kubernetes sends them. */
function warningHeader(warning: string): string {
  const safe = warning.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')
  return `299 - "${safe.slice(0, 500)}"`
}
