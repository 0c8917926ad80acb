// The HTTP shell of the API: who is asking, what for, and the answer as a Kubernetes client expects it. Every failure leaves as a
// Status object. server.ts owns the socket.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../../core/base/log.ts'
import type { Store } from '../store/store.ts'
import { writeAnswer } from './answer.ts'
import { discardRest, HeldBodies, readDocument, readValue } from './body.ts'
import { versionOf } from './discovery.ts'
import { ApiError, asApiError } from './errors.ts'
import { answerHealth, type HealthChecks, healthChecks } from './health.ts'
import { answerDiscovery, answerOpenApi } from './meta-requests.ts'
import { OpenApiDocuments } from './openapi/documents.ts'
import { parsePath, type ResourceTarget } from './paths.ts'
import type { ResourceRequest } from './presentation.ts'
import { negotiate } from './representation.ts'
import type { ApiAnswer, ApiRequest, Caller, Handler } from './request.ts'
import { answerResource } from './resource-requests.ts'
import type { Resources } from './resources.ts'
import { answerReview, reviewOf } from './reviews.ts'
import { answerWatch, isWatch } from './watch-requests.ts'

export interface HandlerDeps {
  readonly resources: Resources
  readonly store: Store
  readonly authenticate: (request: IncomingMessage) => Promise<Caller | undefined>
  /** By `METHOD /path`, `/path`, or a path that ends with a slash for all below it. */
  readonly routes: Readonly<Record<string, Handler>>
  /** Why the control plane is not ready; undefined when it is. */
  readonly notReady: () => string | undefined
  readonly storeTrouble?: (() => string | undefined) | undefined
  readonly version: string
  readonly log: Logger
  readonly closing: AbortSignal
  readonly now: () => number
}

export class ApiHandler {
  readonly #deps: HandlerDeps
  readonly #openApi: OpenApiDocuments
  readonly #health: HealthChecks
  readonly #bodies = new HeldBodies()

  constructor(deps: HandlerDeps) {
    this.#deps = deps
    this.#openApi = new OpenApiDocuments(deps.version)
    this.#health = healthChecks(deps)
  }

  /** Answers one request; never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    try {
      const url = urlOf(request)
      await this.#answer(request, response, url, AbortSignal.any([gone.signal, this.#deps.closing]))
    } catch (error: unknown) {
      await this.#fail(request, response, error)
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, url: URL, signal: AbortSignal): Promise<void> {
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET')
    const open = this.#openAnswer(url)
    if (open !== undefined) return writeAnswer(request, response, open)
    const caller = await this.#deps.authenticate(request)
    if (caller === undefined)
      throw new ApiError('Unauthorized', 'a bearer token is needed: `culvert kubeconfig` prints a kubeconfig with one')
    const { reserve, release } = this.#bodies.open()
    response.once('close', release)
    const read = { body: () => readValue(request, reserve), document: () => readDocument(request, reserve) }
    const asked: ApiRequest = { request, url, caller, ...read, signal }
    const review = reviewOf(url.pathname)
    // whoever may read may ask what else
    if (review !== undefined) return writeAnswer(request, response, await answerReview(review, method, asked))
    if (caller.readOnly === true && method !== 'GET') {
      throw new ApiError('Forbidden', `"${caller.name}" may read, but not ${method}`)
    }
    const route = this.#route(method, url.pathname)
    if (route !== undefined) return writeAnswer(request, response, await route(asked))
    const about = answerOpenApi(this.#openApi, method, url, request)
    if (about !== undefined) return writeAnswer(request, response, about)
    const target = parsePath(url.pathname)
    if (target === undefined) throw new ApiError('NotFound', 'the server could not find the requested resource')
    if (target.type !== 'resource') return writeAnswer(request, response, answerDiscovery(target, method, request))
    await this.#resource(method, asked, target, response)
  }

  /** Without authentication: liveness, readiness and the version. */
  #openAnswer(url: URL): ApiAnswer | undefined {
    if (url.pathname === '/version') return { status: 200, body: versionOf(this.#deps.version) }
    return answerHealth(this.#health, url)
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
    const { resources, store } = this.#deps
    if (isWatch(request, method)) return answerWatch(store, request, response)
    await writeAnswer(asked.request, response, await answerResource(resources, store, method, request))
  }

  async #fail(request: IncomingMessage, response: ServerResponse, error: unknown): Promise<void> {
    const failure = asApiError(error)
    if (failure.status >= 500)
      this.#deps.log.error({ err: error, method: request.method, url: request.url }, 'request failed')
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    if (failure.reason === 'Unauthorized') response.setHeader('www-authenticate', 'Bearer realm="culvert"')
    const wait = failure.details?.retryAfterSeconds
    if (wait !== undefined) response.setHeader('retry-after', String(wait))
    if (!request.complete) discardRest(request)
    await writeAnswer(request, response, { status: failure.status, body: failure.toStatus() })
  }
}

/** Throws BadRequest: `//` and the like are no path, and nobody's mistake but the client's. */
function urlOf(request: IncomingMessage): URL {
  const url = URL.parse(request.url ?? '/', 'https://culvert.invalid')
  if (url === null) throw new ApiError('BadRequest', 'the request target is not a path')
  return url
}
