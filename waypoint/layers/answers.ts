// Answers that the waypoint gives itself: as HTTP, or for gRPC as headers that say it all (trailers-only). Used by the layers.
import type { Answer, Exchange } from '../exchange.ts'
import { type Body, bodyOf, emptyBody } from '../http/body.ts'
import { type Failure, type FailureKind, meanings, type ResponseFlag } from '../http/failure.ts'
import { Headers } from '../http/message.ts'

export interface OwnAnswer {
  readonly status: number
  /** For a gRPC client, in place of `status`. */
  readonly grpcStatus: number
  readonly headers?: readonly (readonly [name: string, value: string])[] | undefined
  /** Body, or `grpc-message`. */
  readonly text?: string | undefined
  readonly bytes?: Buffer | undefined
  readonly flag?: ResponseFlag | undefined
}

export function ownAnswer(exchange: Exchange, answer: OwnAnswer): Answer {
  const { status, grpcStatus, headers = [], text, flag } = answer
  const fields = new Headers()
  for (const [name, value] of headers) fields.set(name, value)
  if (exchange.grpc) {
    fields.set('content-type', 'application/grpc')
    fields.set('grpc-status', String(grpcStatus))
    if (text !== undefined && text !== '') fields.set('grpc-message', percentEncoded(text))
    return { head: { status: 200, headers: fields }, body: emptyBody, flag }
  }
  const bytes = answer.bytes ?? (text === undefined ? undefined : Buffer.from(text))
  if (bytes !== undefined && bytes.length > 0 && !fields.has('content-type')) fields.set('content-type', 'text/plain')
  return { head: { status, headers: fields }, body: bodyFor(exchange.head.method, status, bytes), flag }
}

function bodyFor(method: string, status: number, bytes: Buffer | undefined): Body {
  if (bytes === undefined || bytes.length === 0) return emptyBody
  if (method === 'HEAD' || status === 304) return { ...emptyBody, declared: bytes.length }
  return status === 204 || status < 200 ? emptyBody : bodyOf(bytes)
}

/** gRPC over HTTP/2: percent-encoding of everything but visible ASCII. */
function percentEncoded(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

/** For the client: what happened, nothing of where. */
const texts: Readonly<Record<FailureKind, string>> = {
  connect: 'upstream connect error',
  denied: 'denied by policy',
  refused: 'the upstream refused the request',
  reset: 'the upstream ended the connection before it answered',
  malformed: 'the upstream broke the protocol',
  'try-timeout': 'upstream request timeout',
  timeout: 'upstream request timeout',
  overflow: 'too many requests at once for this upstream',
  'no-endpoint': 'no healthy upstream',
  client: 'the client went away',
  internal: 'internal error',
}

export function failureAnswer(exchange: Exchange, failure: Failure): Answer {
  const { kind } = failure
  const { status, grpc, flag } = meanings[kind]
  return ownAnswer(exchange, {
    status,
    grpcStatus: grpc,
    text: texts[kind],
    headers: kind === 'overflow' ? [['x-envoy-overloaded', 'true']] : undefined,
    flag: flag === '-' ? undefined : flag,
  })
}
