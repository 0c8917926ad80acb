// The gRPC side of the echo workload, called by http.ts for `application/grpc` requests: the conformance server's
// `gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo*`, and `culvert.echo.v1.EchoService` with all four kinds of calls.
//
//   message EchoMessage { string text = 1; string pod = 2; string namespace = 3; uint32 sequence = 4; }
//   service EchoService {
//     rpc Unary(EchoMessage) returns (EchoMessage);                       // the same text
//     rpc ClientStream(stream EchoMessage) returns (EchoMessage);         // sequence: messages, text: bytes of their texts
//     rpc ServerStream(EchoMessage) returns (stream EchoMessage);         // x-echo-count times, x-echo-interval apart
//     rpc BidiStream(stream EchoMessage) returns (stream EchoMessage);    // each as it comes
//   }
//
// Controls are metadata: those of HTTP as `x-echo-delay`, `x-echo-fault`, `x-echo-succeed-after` …; `x-echo-grpc-status: 14,0` by
// attempt, at once unless `x-echo-grpc-status-at: end`; `x-echo-trailer: name:value`.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { sleep } from '../../core/base/deadline.ts'
import { pairHeaders } from './answer.ts'
import type { EchoContext } from './context.ts'
import { parseDuration, readControls, seriesOf } from './controls.ts'
import type { Counts } from './counts.ts'
import { breakHttp2 } from './faults.ts'
import { deadlineMs, GrpcAnswer, status } from './grpc-answer.ts'
import { count, field, readMessage, text } from './protobuf.ts'

const conformance = '/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/'
const conformanceMethods: ReadonlySet<string> = new Set(['Echo', 'EchoTwo', 'EchoThree'])
export const echoService = '/culvert.echo.v1.EchoService/'

export function isGrpc(request: IncomingMessage | Http2ServerRequest): boolean {
  return request.httpVersionMajor === 2 && (request.headers['content-type'] ?? '').startsWith('application/grpc')
}

export async function answerGrpc(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  context: EchoContext,
  counts: Counts,
): Promise<void> {
  const { headers } = request
  const asked = (name: string): string | null => metadata(headers, name)
  const uuid = seriesOf(asked)
  const attempt = counts.arrived(uuid)
  const answer = new GrpcAnswer(request, response)
  using _deadline = answer.expireAfter(deadlineMs(headers['grpc-timeout']))
  request.stream.once('close', () => {
    if (!answer.ended) counts.cancelled(uuid)
  })
  const read = readControls(asked, attempt)
  if (!read.ok) return answer.end(status.invalidArgument, read.message)
  const { controls } = read
  if (controls.delayMs > 0) await sleep(controls.delayMs)
  if (answer.ended || request.stream.destroyed) return
  if (controls.fault !== undefined) {
    answer.abandon()
    return breakHttp2(controls.fault, request, response)
  }
  if (asked('responseCode') !== null && controls.status !== 200) return answer.plain(controls.status)
  const [code, message] = [statusAsked(asked, attempt), asked('grpcMessage') ?? '']
  if (code !== status.ok && asked('grpcStatusAt') !== 'end') return answer.end(code, message)
  await call(request, answer, context, asked)
  answer.end(code, message)
}

/** `grpcStatusAt` is the header `x-echo-grpc-status-at`. */
function metadata(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[`x-echo-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`]
  return typeof value === 'string' ? value : null
}

type Asked = (name: string) => string | null

function statusAsked(asked: Asked, attempt: number): number {
  const list = (asked('grpcStatus') ?? '0').split(',').map(Number)
  const succeedAfter = asked('succeedAfter')
  if (succeedAfter !== null && attempt > Number(succeedAfter)) return status.ok
  const code = list[Math.min(attempt, list.length) - 1]
  return Number.isInteger(code) ? code! : status.invalidArgument
}

async function call(
  request: Http2ServerRequest,
  answer: GrpcAnswer,
  context: EchoContext,
  asked: Asked,
): Promise<void> {
  const { url: path } = request
  if (path.startsWith(conformance) && conformanceMethods.has(path.slice(conformance.length))) {
    for await (const _ of answer.messages()) break // read and left alone, as the conformance server does
    const headers = pairHeaders(request.rawHeaders).filter(([name]) => !name.startsWith(':'))
    return answer.send(echoResponse(path.slice(1), headers, request.authority, context))
  }
  const method = path.startsWith(echoService) ? path.slice(echoService.length) : ''
  if (method === 'Unary') {
    for await (const message of answer.messages()) await answer.send(echoMessage(textOf(message), context, 1))
  } else if (method === 'BidiStream') {
    let sequence = 0
    answer.begin()
    for await (const message of answer.messages()) {
      await answer.send(echoMessage(textOf(message), context, ++sequence))
    }
  } else if (method === 'ClientStream') {
    let [messages, bytes] = [0, 0]
    for await (const message of answer.messages()) {
      messages++
      bytes += Buffer.byteLength(textOf(message))
    }
    await answer.send(echoMessage(String(bytes), context, messages))
  } else if (method === 'ServerStream') await serverStream(answer, context, asked)
  else answer.end(status.unimplemented, `unknown method ${path}`)
}

async function serverStream(answer: GrpcAnswer, context: EchoContext, asked: Asked): Promise<void> {
  const [times, intervalMs] = [Number(asked('count') ?? 3), parseDuration(asked('interval')) ?? 0]
  let received = ''
  for await (const message of answer.messages()) received = textOf(message)
  for (let sequence = 1; sequence <= times && !answer.ended; sequence++) {
    await answer.send(echoMessage(received, context, sequence))
    if (intervalMs > 0 && sequence < times) await sleep(intervalMs)
  }
}

export function echoMessage(
  value: string,
  { pod, namespace }: Pick<EchoContext, 'pod' | 'namespace'>,
  sequence: number,
) {
  return Buffer.concat([text(1, value), text(2, pod), text(3, namespace), count(4, sequence)])
}

function textOf(message: Buffer): string {
  const found = readMessage(message).find(({ number }) => number === 1)?.value
  return found === undefined ? '' : String(found)
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
