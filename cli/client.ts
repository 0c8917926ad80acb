// The REST client of the CLI and the lab: Kubernetes paths and verbs over HTTPS, with the kubeconfig's CA and credentials.
import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { text as readText } from 'node:stream/consumers'
import { deadline } from '../core/base/deadline.ts'
import { asMeshError, MeshError } from '../core/base/errors.ts'
import type { Kind } from '../core/model/kinds/kind.ts'
import { splitApiVersion } from '../core/model/kinds.ts'
import type { MeshObject } from '../core/model/resource.ts'
import type { Connection } from './kubeconfig.ts'

/** An answer of the API server that is no success: the Kubernetes Status in words. */
export class ApiError extends Error {
  readonly status: number
  /** `NotFound`, `Conflict`, `Invalid`, `Unauthorized`, … */
  readonly reason: string
  constructor(status: number, reason: string, message: string) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.reason = reason
  }
}

export interface ListOptions {
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
}

export interface WriteOptions {
  /** The server checks everything, and writes nothing. */
  readonly dryRun?: boolean
}

export interface ObjectList {
  readonly items: readonly MeshObject[]
  readonly resourceVersion: string
}

export interface ApiWatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  readonly object: MeshObject
}

const defaultRequestMs = 30_000
const answerLimitBytes = 256 * 1024 * 1024

export class ApiClient {
  readonly #connection: Connection
  readonly #agent: Agent
  readonly #requestMs: number
  readonly #onWarning: ((text: string) => void) | undefined

  /** `onWarning` gets each `Warning` of the server (RFC 7234, code 299), as Kubernetes sends them. */
  constructor(connection: Connection, requestMs = defaultRequestMs, onWarning?: (text: string) => void) {
    this.#connection = connection
    this.#requestMs = requestMs
    this.#onWarning = onWarning
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: 8,
      minVersion: 'TLSv1.2',
      ...(connection.ca === undefined ? {} : { ca: connection.ca }),
      ...(connection.certificate === undefined ? {} : { cert: connection.certificate }),
      ...(connection.key === undefined ? {} : { key: connection.key }),
      ...(connection.serverName === undefined ? {} : { servername: connection.serverName }),
    })
  }

  /** The same caller at another server that has the same authority, such as another replica. */
  at(server: URL): ApiClient {
    return new ApiClient({ ...this.#connection, server }, this.#requestMs, this.#onWarning)
  }

  get server(): string {
    return this.#connection.server.origin
  }

  /** Namespace for commands without `-n`. */
  get namespace(): string {
    return this.#connection.namespace ?? 'default'
  }

  close(): void {
    this.#agent.destroy()
  }

  async list(kind: Kind, options: ListOptions = {}): Promise<ObjectList> {
    const path = `${collectionPath(kind, options.namespace)}${queryOf({ ...options, namespace: undefined })}`
    const body = (await this.json('GET', path)) as {
      readonly items?: readonly MeshObject[]
      readonly metadata?: { readonly resourceVersion?: string }
    }
    const { kind: name } = kind
    const apiVersion = preferredApiVersion(kind)
    const items = (body.items ?? []).map((item) => ({ ...item, apiVersion: item.apiVersion ?? apiVersion, kind: name }))
    return { items, resourceVersion: body.metadata?.resourceVersion ?? '' }
  }

  /** One object, undefined where there is none. */
  async get(kind: Kind, namespace: string, name: string, apiVersion?: string): Promise<MeshObject | undefined> {
    try {
      return (await this.json('GET', objectPath(kind, namespace, name, apiVersion))) as MeshObject
    } catch (error: unknown) {
      if (error instanceof ApiError && error.status === 404 && error.reason === 'NotFound') return undefined
      throw error
    }
  }

  async create(kind: Kind, object: MeshObject, options: WriteOptions = {}): Promise<MeshObject> {
    const path = collectionPath(kind, object.metadata.namespace, object.apiVersion)
    return (await this.json('POST', `${path}${dryRunQuery(options)}`, object)) as MeshObject
  }

  /** Replaces an object; with `metadata.resourceVersion` only if it still is that version. */
  async update(kind: Kind, object: MeshObject, options: WriteOptions = {}): Promise<MeshObject> {
    const { namespace, name } = object.metadata
    const path = objectPath(kind, namespace, name, object.apiVersion)
    return (await this.json('PUT', `${path}${dryRunQuery(options)}`, object)) as MeshObject
  }

  async delete(kind: Kind, namespace: string, name: string, options: WriteOptions = {}): Promise<void> {
    await this.json('DELETE', `${objectPath(kind, namespace, name)}${dryRunQuery(options)}`)
  }

  /** Changes after `resourceVersion`, until the server or `signal` ends the watch. */
  async *watch(
    kind: Kind,
    options: ListOptions & { readonly resourceVersion: string },
    signal: AbortSignal,
  ): AsyncGenerator<ApiWatchEvent> {
    const query = queryOf({ ...options, namespace: undefined, watch: 'true', allowWatchBookmarks: 'true' })
    const response = await this.#send('GET', `${collectionPath(kind, options.namespace)}${query}`, undefined, signal)
    if (response.statusCode !== 200) throw await failure(response)
    for await (const line of linesOf(response)) {
      if (line.trim() === '') continue
      const event = JSON.parse(line) as ApiWatchEvent
      if (event.type === 'ERROR') throw statusError(410, event.object)
      if (event.type !== 'BOOKMARK') yield event
    }
  }

  /** Any path of the API: the body of a successful answer, parsed. Throws ApiError, or CONNECT_FAILED where nothing answers. */
  async json(method: string, path: string, body?: unknown): Promise<unknown> {
    const signal = deadline(this.#requestMs)
    const response = await this.#send(method, path, body, signal)
    for (const line of response.headersDistinct['warning'] ?? []) {
      const [, quoted] = /^299 \S+ "((?:[^"\\]|\\.)*)"/.exec(line) ?? []
      if (quoted !== undefined) this.#onWarning?.(quoted.replace(/\\(.)/g, '$1'))
    }
    if ((response.statusCode ?? 500) >= 300) throw await failure(response)
    const text = await limitedText(response)
    return text === '' ? undefined : JSON.parse(text)
  }

  #send(method: string, path: string, body: unknown, signal: AbortSignal): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const { server, token } = this.#connection
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const request = httpsRequest(new URL(path, server), {
      method,
      agent: this.#agent,
      signal,
      headers: {
        accept: 'application/json',
        'user-agent': 'culvert',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(content === undefined ? {} : { 'content-type': 'application/json', 'content-length': content.length }),
      },
    })
    request.once('response', resolve)
    request.once('error', (cause: NodeJS.ErrnoException) => reject(this.#unreachable(cause, signal)))
    request.end(content)
    return promise
  }

  #unreachable(cause: NodeJS.ErrnoException, signal: AbortSignal): MeshError {
    if (signal.aborted && cause.name === 'AbortError') {
      return new MeshError('ABORTED', `no answer from ${this.server} in time`, { cause })
    }
    const hint =
      cause.code === 'ECONNREFUSED'
        ? 'nothing listens there: is the control plane running?'
        : certificateHint(cause.code, this.#connection.source)
    return new MeshError(
      'CONNECT_FAILED',
      `cannot reach the API at ${this.server}: ${cause.message}${hint && `; ${hint}`}`,
      {
        cause,
      },
    )
  }
}

function certificateHint(code: string | undefined, source: string): string {
  const certificateProblem = code !== undefined && /CERT|SIGNATURE|VERIFY|ALTNAME|ISSUER/.test(code)
  return certificateProblem ? `the server's certificate does not fit the CA in ${source}` : ''
}

export function preferredApiVersion(kind: Kind): string {
  const version = kind.versions[0] ?? 'v1'
  return kind.group === '' ? version : `${kind.group}/${version}`
}

/** `/api/v1/…` or `/apis/GROUP/VERSION/…`, with the namespace where the kind has one and it is given. */
export function collectionPath(kind: Kind, namespace: string | undefined, apiVersion?: string): string {
  const { group, version } = splitApiVersion(apiVersion ?? preferredApiVersion(kind))
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
  const scope = kind.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : ''
  return `${root}${scope}/${kind.plural}`
}

export function objectPath(kind: Kind, namespace: string | undefined, name: string, apiVersion?: string): string {
  return `${collectionPath(kind, namespace, apiVersion)}/${encodeURIComponent(name)}`
}

function dryRunQuery({ dryRun }: WriteOptions): string {
  return dryRun === true ? '?dryRun=All' : ''
}

function queryOf(values: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(values)) if (value !== undefined) query.set(key, value)
  return query.size === 0 ? '' : `?${query}`
}

async function limitedText(response: IncomingMessage): Promise<string> {
  if (Number(response.headers['content-length'] ?? 0) > answerLimitBytes) {
    response.destroy()
    throw new MeshError('LIMIT_REACHED', 'the answer of the API is too large')
  }
  try {
    return await readText(response)
  } catch (error: unknown) {
    throw asMeshError(error, 'CONNECT_FAILED')
  }
}

async function failure(response: IncomingMessage): Promise<ApiError> {
  const text = await limitedText(response)
  const status = response.statusCode ?? 500
  try {
    return statusError(status, JSON.parse(text))
  } catch {
    return new ApiError(status, '', text.trim() || `the API answered ${status}`)
  }
}

function statusError(status: number, body: unknown): ApiError {
  const { code, reason, message } = (body ?? {}) as { code?: unknown; reason?: unknown; message?: unknown }
  return new ApiError(
    typeof code === 'number' ? code : status,
    typeof reason === 'string' ? reason : '',
    typeof message === 'string' && message !== '' ? message : `the API answered ${status}`,
  )
}

async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = parts.pop() ?? ''
    yield* parts
  }
  if (rest !== '') yield rest
}
