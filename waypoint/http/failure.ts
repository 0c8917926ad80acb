// Why the proxy has no answer of an upstream, or no rest of a message: one class for all layers. Thrown by what is below a layer, turned
// into a retry, into an answer to the client, and into the flag of the access log. Decide on `kind`, never on the message.

export type FailureKind =
  /** No connection: refused, no route, TLS, the tunnel's 503, its deadline. Nothing was sent. */
  | 'connect'
  /** The tunnel's end denied it (401): an answer of policy, never retried, no fault of the endpoint. */
  | 'denied'
  /** REFUSED_STREAM, a GOAWAY below the stream, or a kept connection that ended before it took a byte of the request. */
  | 'refused'
  /** The connection or stream ended before the answer's head. */
  | 'reset'
  /** The upstream broke the protocol: 502, and its connection is never used again. */
  | 'malformed'
  /** A deadline of one try. */
  | 'try-timeout'
  /** The deadline of the request. */
  | 'timeout'
  /** A circuit breaker's limit. */
  | 'overflow'
  /** Nobody to send it to: no endpoint that may serve. */
  | 'no-endpoint'
  /** The client went away, or its message is not to be had: nobody is left to answer. */
  | 'client'
  /** A defect here. */
  | 'internal'

/** Envoy's response flags (`%RESPONSE_FLAGS%`). */
export type ResponseFlag =
  | 'UF'
  | 'UAEX'
  | 'UC'
  | 'UR'
  | 'UPE'
  | 'UT'
  | 'UO'
  | 'UH'
  | 'DC'
  | 'NR'
  | 'URX'
  | 'DI'
  | 'FI'
  | 'RL'
  | 'DT'

interface Meaning {
  readonly status: 401 | 403 | 408 | 500 | 502 | 503 | 504
  readonly flag: ResponseFlag | '-'
  /** For a gRPC client. */
  readonly grpc: number
}

export const meanings: Readonly<Record<FailureKind, Meaning>> = {
  connect: { status: 503, flag: 'UF', grpc: 14 },
  denied: { status: 403, flag: 'UAEX', grpc: 7 },
  refused: { status: 503, flag: 'UR', grpc: 14 },
  reset: { status: 503, flag: 'UC', grpc: 14 },
  malformed: { status: 502, flag: 'UPE', grpc: 14 },
  'try-timeout': { status: 504, flag: 'UT', grpc: 4 },
  timeout: { status: 504, flag: 'UT', grpc: 4 },
  overflow: { status: 503, flag: 'UO', grpc: 14 },
  'no-endpoint': { status: 503, flag: 'UH', grpc: 14 },
  client: { status: 503, flag: 'DC', grpc: 1 },
  internal: { status: 500, flag: '-', grpc: 13 },
}

export class Failure extends Error {
  readonly kind: FailureKind
  /** The endpoint may have begun to serve the request: at least one byte of it was handed to a connection that lived. */
  readonly requestStarted: boolean

  constructor(
    kind: FailureKind,
    message: string,
    options: { readonly requestStarted?: boolean; readonly cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = 'Failure'
    this.kind = kind
    this.requestStarted = options.requestStarted ?? false
  }
}

export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error
  return new Failure('internal', error instanceof Error ? error.message : String(error), { cause: error })
}
