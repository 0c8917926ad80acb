// The echo workload's HTTP handler: one function for HTTP/1.1, h2c and TLS, through node:http2's compatibility API.
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { TLSSocket } from 'node:tls'
import { sleep } from '../../core/base/deadline.ts'
import { type EchoRequest, echoAnswer, echoSetHeaders, formatEnd, pairHeaders, tlsFacts } from './answer.ts'
import type { EchoContext } from './context.ts'
import { Attempts, readControls } from './controls.ts'
import { answerGrpc, isGrpc } from './grpc.ts'

export type Request = IncomingMessage | Http2ServerRequest
/** The compatibility API gives both the same methods; where TypeScript cannot call the union, it is taken as HTTP/1. */
export type Response = ServerResponse | Http2ServerResponse
export type Handler = (request: Request, response: Response) => void

const fillBytes = 64 * 1024
const maximumBytes = 16 * 1024 ** 3

/** Routes: `/health`, `/status/CODE`, `POST /upload`, `GET /bytes?n=`, gRPC by content type, and echo for all else. */
export function httpHandler(context: EchoContext): Handler {
  const attempts = new Attempts()
  return (request, response) => {
    request.on('error', () => {}) // the caller went away; the answer has nowhere to go
    response.on('error', () => {})
    handle(context, attempts, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy()
      else sendJson(response, 500, { message: error instanceof Error ? error.message : String(error) })
    })
  }
}

async function handle(context: EchoContext, attempts: Attempts, request: Request, response: Response): Promise<void> {
  if (isGrpc(request)) return answerGrpc(request as Http2ServerRequest, response as Http2ServerResponse, context)
  const url = new URL(request.url ?? '/', 'http://echo')
  const status = /^\/status\/([2-5]\d\d)$/.exec(url.pathname)
  if (url.pathname === '/health') send(response, 200, 'text/plain', 'OK')
  else if (status !== null) send(response, Number(status[1]), 'text/plain', '')
  else if (url.pathname === '/upload') await upload(request, response)
  else if (url.pathname === '/bytes') await bytes(url, request, response)
  else await echo(context, attempts, url, request, response)
}

async function echo(
  context: EchoContext,
  attempts: Attempts,
  url: URL,
  request: Request,
  response: Response,
): Promise<void> {
  const read = readControls(url.searchParams, attempts)
  if (!read.ok) return sendJson(response, 400, { message: read.message })
  if (read.controls.delayMs > 0) await sleep(read.controls.delayMs)
  request.resume()
  for (const [name, value] of echoSetHeaders(request.headers)) setHeader(response, name, value)
  sendJson(response, read.controls.status, echoAnswer(factsOf(request), context))
}

/** Counts and hashes what the caller sends, without keeping it. */
async function upload(request: Request, response: Response): Promise<void> {
  const hash = createHash('sha256')
  let count = 0
  for await (const chunk of request as IncomingMessage as AsyncIterable<Buffer>) {
    count += chunk.length
    hash.update(chunk)
  }
  sendJson(response, 200, { bytes: count, sha256: hash.digest('hex') })
}

/** Streams `n` bytes (zero-based counter pattern, or `fill` repeated) no faster than the caller reads. */
async function bytes(url: URL, request: Request, response: Response): Promise<void> {
  request.resume()
  const count = Number(url.searchParams.get('n') ?? 'x')
  if (!Number.isSafeInteger(count) || count < 0 || count > maximumBytes) {
    return sendJson(response, 400, { message: `n: a number of bytes from 0 to ${maximumBytes}` })
  }
  const fill = Buffer.alloc(fillBytes, url.searchParams.get('fill') ?? '0123456789abcdef')
  ;(response as ServerResponse).writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': String(count),
  })
  for (let sent = 0; sent < count; ) {
    const part = fill.subarray(0, Math.min(fillBytes, count - sent))
    sent += part.length
    if (!writeChunk(response, part) && !(await drained(response))) return
  }
  response.end()
}

function writeChunk(response: Response, chunk: Buffer): boolean {
  return (response as ServerResponse).write(chunk)
}

function drained(anyResponse: Response): Promise<boolean> {
  const response = anyResponse as ServerResponse
  return new Promise((resolve) => {
    const done = (alive: boolean) => (): void => {
      response.removeListener('drain', onDrain)
      response.removeListener('close', onClose)
      resolve(alive)
    }
    const onDrain = done(true)
    const onClose = done(false)
    response.once('drain', onDrain)
    response.once('close', onClose)
  })
}

export function factsOf(request: Request): EchoRequest {
  const socket = request.socket
  const http2 = request.httpVersionMajor === 2
  const raw = pairHeaders(request.rawHeaders)
  const authority = http2 ? (request as Http2ServerRequest).authority : undefined
  return {
    path: request.url ?? '/',
    host: authority ?? request.headers.host ?? '',
    method: request.method ?? 'GET',
    proto: http2 ? 'HTTP/2.0' : `HTTP/${request.httpVersion}`,
    headers: raw,
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

function setHeader(response: Response, name: string, value: string): void {
  response.setHeader(response.req.httpVersionMajor === 2 ? name.toLowerCase() : name, value)
}

function sendJson(response: Response, status: number, body: unknown): void {
  send(response, status, 'application/json', `${JSON.stringify(body, null, 1)}\n`)
}

function send(anyResponse: Response, status: number, type: string, body: string): void {
  const response = anyResponse as ServerResponse
  response.setHeader('x-content-type-options', 'nosniff')
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}
