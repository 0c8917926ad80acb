// The gRPC side of the echo workload: unary `gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo*`, with the few bytes
// of protobuf that its answer needs written here. Called by http.ts for `application/grpc` requests.

import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { pairHeaders } from './answer.ts'
import type { EchoContext } from './context.ts'

const service = '/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/'
const methods: ReadonlySet<string> = new Set(['Echo', 'EchoTwo', 'EchoThree'])
const maximumRequestBytes = 4 * 1024 * 1024

export function isGrpc(request: IncomingMessage | Http2ServerRequest): boolean {
  return request.httpVersionMajor === 2 && (request.headers['content-type'] ?? '').startsWith('application/grpc')
}

/** Answers one unary call: the request message is read and left alone, as the conformance server does. */
export async function answerGrpc(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  context: EchoContext,
): Promise<void> {
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maximumRequestBytes) return finish(response, undefined, 8, 'message is too large')
  }
  const path = request.url
  if (!path.startsWith(service) || !methods.has(path.slice(service.length))) {
    return finish(response, undefined, 12, `unknown method ${path}`)
  }
  const headers = pairHeaders(request.rawHeaders).filter(([name]) => !name.startsWith(':'))
  finish(response, echoResponse(path.slice(1), headers, request.authority, context), 0, '')
}

function finish(response: Http2ServerResponse, message: Buffer | undefined, status: number, text: string): void {
  response.writeHead(200, { 'content-type': 'application/grpc' })
  response.addTrailers({
    'grpc-status': String(status),
    ...(text === '' ? {} : { 'grpc-message': encodeURIComponent(text) }),
  })
  response.end(message === undefined ? Buffer.alloc(0) : frame(message))
}

/** Length-prefixed message: a compression flag and 32 bits of length (gRPC over HTTP/2). */
export function frame(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

/** EchoResponse {assertions = 1 {fully_qualified_method = 1, headers = 2 {key, value}, authority = 3, context = 4}}. */
export function echoResponse(
  method: string,
  headers: readonly (readonly [string, readonly string[]])[],
  authority: string,
  context: EchoContext,
): Buffer {
  const contextMessage = Buffer.concat([
    text(1, context.namespace),
    text(2, context.ingress),
    text(3, context.service),
    text(4, context.pod),
  ])
  const assertions = Buffer.concat([
    text(1, method),
    ...headers.flatMap(([name, values]) => values.map((v) => field(2, Buffer.concat([text(1, name), text(2, v)])))),
    text(3, authority),
    field(4, contextMessage),
  ])
  return field(1, assertions)
}

function text(number: number, value: string): Buffer {
  return value === '' ? Buffer.alloc(0) : field(number, Buffer.from(value))
}

/** A length-delimited protobuf field (wire type 2). */
function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(content.length), content])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}
