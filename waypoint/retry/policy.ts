// Which outcomes of a try are tried again: Istio's retryOn (Envoy's conditions) and the codes of a Gateway API retry stanza. Pure;
// asked by retrier.ts.

import { grpcStatus } from '../fault/grpc-status.ts'

/** Of an HTTP answer or a failure to get one; as Envoy's x-envoy-retry-on, without those for HTTP/3, header lists and its own limiter. */
const httpConditions = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'refused-stream',
  'retriable-4xx',
  /** The codes of the same list. */
  'retriable-status-codes',
] as const

/** Of a gRPC status in the headers or, as long as nothing of a body came before, in the trailers. */
const grpcConditions: Readonly<Record<string, number>> = {
  cancelled: grpcStatus.CANCELLED,
  'deadline-exceeded': grpcStatus.DEADLINE_EXCEEDED,
  internal: grpcStatus.INTERNAL,
  'resource-exhausted': grpcStatus.RESOURCE_EXHAUSTED,
  unavailable: grpcStatus.UNAVAILABLE,
}

export type HttpCondition = (typeof httpConditions)[number]

export interface RetryConditions {
  readonly http: ReadonlySet<HttpCondition>
  readonly codes: ReadonlySet<number>
  readonly grpc: ReadonlySet<number>
}

/** Istio's where a route says nothing of retries: 2 of them. */
export const istioDefaultRetryOn = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes'

/** @returns what is understood, and the words that are not, for `status` */
export function parseRetryOn(text: string): RetryConditions & { readonly unknown: readonly string[] } {
  const http = new Set<HttpCondition>()
  const [codes, grpc, unknown] = [new Set<number>(), new Set<number>(), [] as string[]]
  for (const part of text.split(',')) {
    const word = part.trim()
    const condition = httpConditions.find((each) => each === word)
    if (word === '') continue
    if (condition !== undefined) http.add(condition)
    else if (Object.hasOwn(grpcConditions, word)) grpc.add(grpcConditions[word]!)
    else if (/^[1-5]\d\d$/.test(word)) codes.add(Number(word))
    else unknown.push(word)
  }
  // Istio: an integer among the words is a retriable status code, whether that word stands there too or not.
  if (codes.size > 0) http.add('retriable-status-codes')
  return { http, codes, grpc, unknown }
}

/** Gateway API: the codes, and failures to connect and timeouts of a try whenever there is a stanza, even without codes. */
export function gatewayConditions(codes: readonly number[]): RetryConditions {
  return {
    http: new Set<HttpCondition>(['retriable-status-codes', 'connect-failure', 'refused-stream', 'reset']),
    codes: new Set(codes),
    grpc: new Set(),
  }
}

/** How a try ended before anything of it was sent on to the client. */
export type TryOutcome =
  /** `grpcStatus` of an answer that consists of headers or of headers and trailers alone. */
  | { readonly kind: 'response'; readonly status: number; readonly grpcStatus?: number | undefined }
  | { readonly kind: 'connect-failure' }
  /** REFUSED_STREAM, or a stream above the last of a GOAWAY: the endpoint has done nothing. */
  | { readonly kind: 'refused-stream' }
  | { readonly kind: 'reset'; readonly requestStarted: boolean }
  /** The deadline of the try, not of the request. */
  | { readonly kind: 'try-timeout' }
  /** Circuit breaker. */
  | { readonly kind: 'overflow' }

export interface RetriedRequest {
  readonly method: string
  readonly grpc: boolean
}

/** RFC 9110 section 9.2.2. */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/**
 * @param anyMethod the rule says that requests that are not idempotent may be done twice
 * @returns whether it may be tried again, as far as the outcome goes
 */
export function retriable(
  { http, codes, grpc }: RetryConditions,
  anyMethod: boolean,
  request: RetriedRequest,
  outcome: TryOutcome,
): boolean {
  // A status of gRPC is the service's own word on whether to try again, and its method is always POST.
  if (outcome.kind === 'response' && request.grpc && outcome.grpcStatus !== undefined && grpc.has(outcome.grpcStatus)) {
    return true
  }
  return (anyMethod || idempotent.has(request.method) || untouched(outcome)) && asked(http, codes, outcome)
}

/** The endpoint cannot have begun to serve it. */
function untouched(outcome: TryOutcome): boolean {
  const { kind } = outcome
  return kind === 'connect-failure' || kind === 'refused-stream' || (kind === 'reset' && !outcome.requestStarted)
}

function asked(http: ReadonlySet<HttpCondition>, codes: ReadonlySet<number>, outcome: TryOutcome): boolean {
  // Envoy: whatever would become a 503 or 504 counts as one.
  const anyFailure = http.has('reset') || http.has('5xx') || http.has('gateway-error')
  switch (outcome.kind) {
    case 'overflow':
      return false
    case 'connect-failure':
      return anyFailure || http.has('connect-failure') || http.has('reset-before-request')
    case 'refused-stream':
      return anyFailure || http.has('refused-stream')
    case 'reset':
      return anyFailure || (http.has('reset-before-request') && !outcome.requestStarted)
    case 'try-timeout':
      return anyFailure
    case 'response':
      return statusAsked(http, codes, outcome.status)
  }
}

function statusAsked(http: ReadonlySet<HttpCondition>, codes: ReadonlySet<number>, status: number): boolean {
  if (http.has('5xx') && status >= 500 && status <= 599) return true
  if (http.has('gateway-error') && status >= 502 && status <= 504) return true
  if (http.has('retriable-4xx') && status === 409) return true
  return http.has('retriable-status-codes') && codes.has(status)
}
