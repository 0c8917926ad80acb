// The control plane's API server: Kubernetes REST paths over HTTPS. control/app.ts starts it; kubectl, the CLI and the dashboard
// talk to it.
import type { IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:https'
import { MeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { SocketAddress } from '../../core/net/address.ts'
import type { Store } from '../store/store.ts'
import { ApiHandler } from './handler.ts'
import type { Caller, Handler } from './request.ts'
import { Resources } from './resources.ts'

export interface ApiOptions {
  readonly store: Store
  readonly listen: SocketAddress
  /** PEM. With `ca`, clients are asked for a certificate; `authenticate` decides what one is worth. */
  readonly tls: { readonly key: string; readonly cert: string; readonly ca?: string }
  /** Who is asking; undefined answers 401. */
  readonly authenticate: (request: IncomingMessage) => Promise<Caller | undefined>
  readonly allocate: (service: MeshObject) => Promise<MeshObject>
  /** Shared with whoever else writes (`--config`, agents); made here where absent. */
  readonly resources?: Resources
  /** Routes besides the resources, by `METHOD /path`, `/path` or `/path/`. */
  readonly extra: Readonly<Record<string, Handler>>
  readonly notReady?: () => string | undefined
  /** Why nothing can be written or read; a check of its own in /readyz. */
  readonly storeTrouble?: () => string | undefined
  readonly version?: string
  readonly log: Logger
  readonly now?: () => number
}

export interface Api {
  readonly address: SocketAddress
  readonly resources: Resources
  /** Serves new connections with a renewed certificate. */
  renew(tls: ApiOptions['tls']): void
  /** Ends watches, lets short requests finish, and closes. */
  close(): Promise<void>
}

const handshakeTimeoutMs = 10_000
const headersTimeoutMs = 10_000
const requestTimeoutMs = 30_000
const closeDeadlineMs = 2_000
const closeIdleEveryMs = 20
const maxConnections = 4096

/** Listens; rejects with CONFIG_INVALID where it cannot. */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { store, allocate, tls, log } = options
  const resources = options.resources ?? new Resources({ store, allocate })
  const closing = new AbortController()
  const handler = new ApiHandler({
    resources,
    store,
    authenticate: options.authenticate,
    routes: options.extra,
    notReady: options.notReady ?? (() => undefined),
    storeTrouble: options.storeTrouble,
    version: options.version ?? '0.0.0',
    log,
    closing: closing.signal,
    now: options.now ?? Date.now,
  })
  const secure = { minVersion: 'TLSv1.3', ...(tls.ca === undefined ? {} : { ca: tls.ca }) } as const
  const client = tls.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: false }
  // Node would give a client that does not even begin TLS two minutes.
  const timeouts = {
    handshakeTimeout: handshakeTimeoutMs,
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
  }
  const server = createServer(
    { key: tls.key, cert: tls.cert, ...secure, ...client, ...timeouts },
    (request, response) => {
      void handler.handle(request, response)
    },
  )
  server.maxConnections = maxConnections
  server.on('tlsClientError', (error, socket) => {
    log.debug({ err: error, peer: socket.remoteAddress }, 'TLS handshake failed')
  })
  await listening(server, options.listen)
  const { address, port } = server.address() as { address: string; port: number }
  return {
    address: { address, port },
    resources,
    renew: (renewed) => server.setSecureContext({ ...secure, ...renewed }),
    close: () => close(server, closing),
  }
}

function listening(server: Server, { address, port }: SocketAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new MeshError('CONFIG_INVALID', `the API cannot listen on ${address} port ${port}: ${error.message}`, {
          cause: error,
        }),
      )
    })
    server.listen({ host: address, port }, resolve)
  })
}

async function close(server: Server, closing: AbortController): Promise<void> {
  closing.abort()
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve())
  })
  // connections turn idle as their last answers leave
  const idle = setInterval(() => server.closeIdleConnections(), closeIdleEveryMs)
  const deadline = setTimeout(() => server.closeAllConnections(), closeDeadlineMs)
  await closed
  clearInterval(idle)
  clearTimeout(deadline)
}
