// The echo workload's HTTP handler: one function for HTTP/1.1, h2c and TLS, through node:http2's compatibility API.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { sleep } from '../../core/base/deadline.ts'
import { echoAnswer, echoSetHeaders, readFields } from './answer.ts'
import { bytes, EventStreams, pipe, upload } from './bodies.ts'
import type { EchoContext } from './context.ts'
import { type EchoControls, readControls, seriesOf } from './controls.ts'
import { Counts } from './counts.ts'
import { breakHttp1, breakHttp2 } from './faults.ts'
import { answerGrpc, isGrpc } from './grpc.ts'
import { addHeader, factsOf, type Handler, isHttp2, type Request, type Response, send, sendJson } from './messages.ts'

interface Echo {
  readonly context: EchoContext
  readonly counts: Counts
  readonly events: EventStreams
}

/**
 * `/health`, `/counts` and `POST /events/next` are about the workload itself. All else is counted and takes controls: `/status/CODE`,
 * `POST /upload`, `/pipe`, `/bytes?n=`, `/events`, gRPC by content type, and echo for every other path.
 */
export function httpHandler(context: EchoContext): Handler {
  const echo: Echo = { context, counts: new Counts(), events: new EventStreams() }
  return (request, response) => {
    request.on('error', () => {}) // the caller went away; the answer has nowhere to go
    response.on('error', () => {})
    handle(echo, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy()
      else sendJson(response, 500, { message: error instanceof Error ? error.message : String(error) })
    })
  }
}

async function handle(echo: Echo, request: Request, response: Response): Promise<void> {
  if (isHttp2(request) && isGrpc(request)) {
    return answerGrpc(request, response as Http2ServerResponse, echo.context, echo.counts)
  }
  // not through URL: it would change the path, and some that arrive are none
  const { path, query } = targetOf(request)
  if (path === '/health') return send(response, 200, 'text/plain', 'OK')
  const asked = (name: string): string | null => query.get(name)
  const uuid = seriesOf(asked) ?? seriesOf((name) => header(request, `x-echo-${name}`))
  if (path === '/counts') return sendCounts(echo, uuid, response)
  if (path === '/events/next') return sendJson(response, 200, { streams: echo.events.next(uuid ?? '') })
  const attempt = echo.counts.arrived(uuid)
  const read = readControls(asked, attempt)
  if (!read.ok) return sendJson(response, 400, { message: read.message })
  if (read.controls.fault === undefined) countCancelled(echo.counts, uuid, request, response)
  await answer(echo, read.controls, uuid, path, query, request, response)
}

function targetOf(request: Request): { readonly path: string; readonly query: URLSearchParams } {
  const target = request.url ?? '/'
  const mark = target.indexOf('?')
  if (mark < 0) return { path: target, query: new URLSearchParams() }
  return { path: target.slice(0, mark), query: new URLSearchParams(target.slice(mark + 1)) }
}

function header(request: Request, name: string): string | null {
  const value = request.headers[name]
  return typeof value === 'string' ? value : null
}

function sendCounts({ counts, context }: Echo, uuid: string | undefined, response: Response): void {
  const { pod, namespace } = context
  const series = uuid === undefined ? {} : counts.series(uuid)
  sendJson(response, 200, { pod, namespace, total: counts.requests, ...series })
}

/** A request that is broken here on purpose is not the caller's doing. */
function countCancelled(counts: Counts, uuid: string | undefined, request: Request, anyResponse: Response): void {
  const response = anyResponse as ServerResponse
  if (isHttp2(request)) {
    const { stream } = request
    stream.once('close', () => {
      if (!response.writableEnded || stream.rstCode !== 0) counts.cancelled(uuid)
    })
  } else {
    response.once('close', () => {
      if (!response.writableFinished) counts.cancelled(uuid)
    })
  }
}

async function answer(
  echo: Echo,
  { delayMs, status, fault }: EchoControls,
  uuid: string | undefined,
  path: string,
  query: URLSearchParams,
  request: Request,
  response: Response,
): Promise<void> {
  const link = query.get('hints')
  if (link !== null) (response as ServerResponse).writeEarlyHints({ link: readFields(`link:${link}`)[0]?.[1] ?? '' })
  if (delayMs > 0) await sleep(delayMs)
  if (fault !== undefined) {
    if (isHttp2(request)) breakHttp2(fault, request, response as Http2ServerResponse)
    else breakHttp1(fault, request)
    return
  }
  for (const [name, value] of echoSetHeaders(request.headers)) addHeader(response, name, value)
  const bare = /^\/status\/([2-5]\d\d)$/.exec(path)
  if (bare !== null) send(response, Number(bare[1]), 'text/plain', '')
  else if (path === '/upload' && !query.has('early')) await upload(status, request, response)
  else if (path === '/upload') refuse(Number(query.get('early')), request, response)
  else if (path === '/pipe') await pipe(request, response)
  else if (path === '/bytes') await bytes(query, request, response)
  else if (path === '/events') echo.events.open(uuid ?? '', request, response)
  else {
    request.resume()
    const trailers = query.has('trailer') ? Object.fromEntries(readFields(query.get('trailer') ?? '')) : undefined
    sendJson(response, status, echoAnswer(factsOf(request), echo.context), trailers)
  }
}

/** Answers while the body is still coming; what comes after is read and left alone. */
function refuse(status: number, request: Request, response: Response): void {
  request.resume()
  if (status >= 200 && status <= 599) sendJson(response, status, { message: 'answered early' })
  else sendJson(response, 400, { message: 'early: a status from 200 to 599' })
}

/** `Expect: 100-continue`: the caller's body is asked for, unless `?expect=refuse`, which is answered with 417. */
export function continueHandler(handler: Handler): Handler {
  return (request, response) => {
    const { query } = targetOf(request)
    if (query.get('expect') === 'refuse') sendJson(response, 417, { message: 'the body was not asked for' })
    else {
      ;(response as ServerResponse).writeContinue()
      handler(request as IncomingMessage | Http2ServerRequest, response)
    }
  }
}
