// What the HTTP handlers of the echo workload share: requests and responses of both versions as one, and whole answers.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { TLSSocket } from 'node:tls'
import { type EchoRequest, formatEnd, pairHeaders, tlsFacts } from './answer.ts'

export type Request = IncomingMessage | Http2ServerRequest
/** The compatibility API gives both the same methods; where TypeScript cannot call the union, it is taken as HTTP/1. */
export type Response = ServerResponse | Http2ServerResponse
export type Handler = (request: Request, response: Response) => void

export function isHttp2(request: Request): request is Http2ServerRequest {
  return request.httpVersionMajor === 2
}

export function factsOf(request: Request): EchoRequest {
  const socket = request.socket
  const http2 = isHttp2(request)
  const authority = http2 ? request.authority : undefined
  return {
    path: request.url ?? '/',
    host: authority ?? request.headers.host ?? '',
    method: request.method ?? 'GET',
    proto: http2 ? 'HTTP/2.0' : `HTTP/${request.httpVersion}`,
    headers: pairHeaders(request.rawHeaders),
    remoteAddress: formatEnd(socket.remoteAddress, socket.remotePort),
    localAddress: formatEnd(socket.localAddress, socket.localPort),
    ...tlsPart(request),
  }
}

function tlsPart(request: Request): Pick<EchoRequest, 'tls'> {
  // Over HTTP/2 the request's socket is a proxy object that still answers the questions of a TLS socket.
  const session = 'stream' in request ? request.stream.session : undefined
  if (session !== undefined) return session.encrypted === true ? { tls: tlsFacts(session.socket as TLSSocket) } : {}
  return request.socket instanceof TLSSocket ? { tls: tlsFacts(request.socket) } : {}
}

/** Behind the value that is there already: what a caller asks for twice, it gets twice. */
export function addHeader(response: Response, name: string, value: string): void {
  const written = response.req.httpVersionMajor === 2 ? name.toLowerCase() : name
  const earlier = response.getHeader(written)
  response.setHeader(written, earlier === undefined ? value : `${String(earlier)},${value}`)
}

export interface Trailers {
  readonly [name: string]: string
}

export function sendJson(response: Response, status: number, body: unknown, trailers?: Trailers): void {
  send(response, status, 'application/json', `${JSON.stringify(body, null, 1)}\n`, trailers)
}

/** With trailers it has no length: HTTP/1.1 has them in chunked bodies only. */
export function send(anyResponse: Response, status: number, type: string, body: string, trailers?: Trailers): void {
  const response = anyResponse as ServerResponse
  response.setHeader('x-content-type-options', 'nosniff')
  if (trailers === undefined) {
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
    response.end(body)
    return
  }
  response.writeHead(status, { 'content-type': type, trailer: Object.keys(trailers).join(', ') })
  response.write(body)
  response.addTrailers(trailers)
  response.end()
}
