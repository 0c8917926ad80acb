// A waypoint's HTTP/2 over real sockets with nothing behind it but what a test hands in: the server end, the client end, and the two of
// them together as a proxy.
import { once } from 'node:events'
import net from 'node:net'
import type { MeshError } from '../../core/base/errors.ts'
import { release } from '../../core/net/read-buffers.ts'
import { type Answer, Exchange, type ExchangeFacts, type Handler, type Origin } from '../../waypoint/exchange.ts'
import { type Body, BodyChannel, bodyOf, emptyBody } from '../../waypoint/http/body.ts'
import type { Failure } from '../../waypoint/http/failure.ts'
import { Headers } from '../../waypoint/http/message.ts'
import type { Http2Limits } from '../../waypoint/http2/limits.ts'
import { Http2ServerConnection, type Http2ServerOptions } from '../../waypoint/http2/server-connection.ts'
import { type Http2UpstreamConnection, openHttp2 } from '../../waypoint/upstream/http2.ts'
import { listen } from './tunnel.ts'

export const origin: Origin = {
  identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'frontend' },
  principal: 'spiffe://cluster.local/ns/shop/sa/frontend',
  address: { address: '10.0.0.9', port: 40_000 },
  workload: undefined,
  destination: { address: '240.240.0.1', port: 80 },
  service: undefined,
  target: undefined,
}

export interface Served {
  readonly port: number
  readonly connections: Http2ServerConnection[]
  readonly errors: (MeshError | undefined)[]
  readonly refused: string[]
  readonly defects: Error[]
  close(): void
}

export async function serveHttp2(handler: Handler, options: Partial<Http2ServerOptions> = {}): Promise<Served> {
  const connections: Http2ServerConnection[] = []
  const errors: (MeshError | undefined)[] = []
  const refused: string[] = []
  const defects: Error[] = []
  const { server, port } = await listen((socket) => {
    connections.push(
      new Http2ServerConnection(socket, {
        origin,
        handler,
        scheme: 'http',
        onClosed: (error) => errors.push(error),
        onRefused: ({ code }) => refused.push(code),
        onDefect: (error) => defects.push(error),
        ...options,
      }),
    )
  })
  const close = () => {
    server.close()
    for (const connection of connections) connection.destroy()
  }
  return { port, connections, errors, refused, defects, close }
}

export interface Read {
  readonly body: Buffer
  readonly trailers: Headers | undefined
  readonly failure: Failure | undefined
}

/** All of a body; resolves with its failure, too. */
export function readBody(body: Body): Promise<Read> {
  const chunks: Buffer[] = []
  return new Promise((resolve) => {
    const done = (trailers: Headers | undefined, failure: Failure | undefined) =>
      resolve({ body: Buffer.concat(chunks), trailers, failure })
    body.read({
      onData: (chunk) => {
        // A copy, and then it is released: a test that poisons finds out whether that was right.
        chunks.push(Buffer.from(chunk))
        release(chunk)
      },
      onEnd: (trailers) => done(trailers, undefined),
      onError: (failure) => done(undefined, failure),
    })
  })
}

export function answer(status: number, fields: readonly string[] = [], body: string | Buffer | Body = ''): Answer {
  const headers = new Headers(fields)
  if (typeof body === 'object' && !Buffer.isBuffer(body)) return { head: { status, headers }, body }
  const bytes = Buffer.from(body)
  return { head: { status, headers }, body: bytes.length === 0 ? emptyBody : bodyOf(bytes) }
}

export function exchangeOf(
  method: string,
  path: string,
  options: Partial<Omit<ExchangeFacts, 'head'>> & { readonly fields?: readonly string[] } = {},
): Exchange {
  const { fields, ...facts } = options
  const headers = new Headers(fields ?? [])
  const head = { method, scheme: 'http', authority: 'orders:8080', path, headers }
  return new Exchange({ origin, protocol: 'h2', body: emptyBody, startedAt: 0, ...facts, head })
}

export interface Upstreamed {
  readonly connection: Http2UpstreamConnection
  readonly events: string[]
  readonly socket: net.Socket
}

export async function connectHttp2(port: number, limits: Partial<Http2Limits> = {}): Promise<Upstreamed> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  await once(socket, 'connect')
  const events: string[] = []
  const connection = openHttp2(
    socket,
    {
      onAvailable: () => events.push('available'),
      onIdle: () => events.push('idle'),
      onUnusable: () => events.push('unusable'),
      onClosed: () => events.push('closed'),
    },
    limits,
  )
  return { connection, events, socket }
}

export { BodyChannel }
