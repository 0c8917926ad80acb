// A small HTTP server for machines and operators: health, metrics, dumps. Each process starts one or more with the routes of
// routes.ts and its own. Nothing here authenticates: bind to loopback, or expose only what may be seen.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { asMeshError, MeshError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'

// Not by an import, which touches every export of node:http, among them WebSocket, and so loads all of undici: 15 MiB.
const { createServer } = process.getBuiltinModule('node:http')

/** Kept as in core/net/address.ts, which admin does not import. */
interface SocketAddress {
  readonly address: string
  readonly port: number
}

export interface HttpAnswer {
  readonly status: number
  /** Content type, `text/plain; charset=utf-8` unless given. */
  readonly type?: string
  readonly body: string
}

export type HttpHandler = (request: IncomingMessage, url: URL) => Promise<HttpAnswer> | HttpAnswer

/** By `METHOD /path` or `/path`, which answers GET and HEAD. */
export type HttpRoutes = Readonly<Record<string, HttpHandler>>

export interface HttpOptions {
  readonly address: string
  /** 0 for any free one. */
  readonly port: number
  /** A bound socket to listen on, which this server then owns; by default it makes its own. */
  readonly descriptor?: number
  readonly routes: HttpRoutes
  readonly log: Logger
}

const requestTimeoutMs = 10_000

/** Listens; rejects with SYSTEM_CALL where it cannot. `close` ends the connections that are open. */
export async function startHttp(
  options: HttpOptions,
): Promise<{ readonly address: SocketAddress; close(): Promise<void> }> {
  const server = createServer(
    { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs },
    (request, response) => {
      void answer(options, request, response)
    },
  )
  server.maxConnections = 256
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
    else socket.destroy()
  })
  await listening(server, options)
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new MeshError('SYSTEM_CALL', 'the server has no address')
  return { address: { address: bound.address, port: bound.port }, close: () => close(server) }
}

function listening(server: Server, { address, port, descriptor }: HttpOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      reject(
        new MeshError('SYSTEM_CALL', `cannot listen on ${address} port ${port}: ${error.message}`, { cause: error }),
      )
    }
    server.once('error', failed)
    server.listen(descriptor === undefined ? { host: address, port } : { fd: descriptor }, () => {
      server.off('error', failed)
      resolve()
    })
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

async function answer(options: HttpOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume()
  const result = await decide(options, request).catch((thrown: unknown): HttpAnswer => {
    const error = asMeshError(thrown, 'SYSTEM_CALL')
    options.log.error({ error, url: request.url }, 'an admin request failed')
    return { status: 500, body: `${error.code}: ${error.message}\n` }
  })
  const body = Buffer.from(result.body)
  response.writeHead(result.status, {
    'content-type': result.type ?? 'text/plain; charset=utf-8',
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

async function decide(options: HttpOptions, request: IncomingMessage): Promise<HttpAnswer> {
  const method = request.method ?? 'GET'
  const url = URL.parse(request.url ?? '/', 'http://admin')
  if (url === null) return { status: 400, body: 'not a URL\n' }
  if (isFromWebPage(options, request)) return { status: 403, body: 'web pages may not ask this port\n' }
  const handler = handlerOf(options.routes, method, url.pathname)
  if (handler !== undefined) return await handler(request, url)
  const known = Object.keys(options.routes)
  if (known.some((route) => route === url.pathname || route.endsWith(` ${url.pathname}`))) {
    return { status: 405, body: `${method} is not answered here\n` }
  }
  return { status: 404, body: `not found; this port answers ${known.join(', ')}\n` }
}

/**
 * Loopback keeps strangers out, but not the pages in a browser of this machine: one could post to it, or have its own name
 * point here and read the answers (DNS rebinding).
 */
function isFromWebPage({ address }: HttpOptions, { method, headers }: IncomingMessage): boolean {
  if (method !== 'GET' && method !== 'HEAD' && headers.origin !== undefined) return true
  if (!loopback.test(address) || headers.host === undefined) return false
  const named = URL.parse(`http://${headers.host}`)?.hostname ?? ''
  return named !== 'localhost' && !loopback.test(named.replace(/^\[|\]$/g, ''))
}

const loopback = /^(?:127(?:\.\d{1,3}){3}|::1)$/

function handlerOf(routes: HttpRoutes, method: string, path: string): HttpHandler | undefined {
  const key = `${method} ${path}`
  if (Object.hasOwn(routes, key)) return routes[key]
  return (method === 'GET' || method === 'HEAD') && Object.hasOwn(routes, path) ? routes[path] : undefined
}
