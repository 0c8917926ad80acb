// The one error type of the mesh and its table of codes. Every process throws, logs and reports these; nobody decides on a
// message. docs/ERRORS.md lists exactly the codes of this table (a test compares both ways).

/** What each code means. `status` is the tunnel's answer (`:status` of the CONNECT), `flag` the access-log response flag. */
export const errorCodes = {
  // configuration and resources
  CONFIG_INVALID: { status: 503, flag: '-', retryable: false, text: 'a configuration value is missing or wrong' },
  RESOURCE_INVALID: { status: 503, flag: '-', retryable: false, text: 'a resource does not fit its field table' },
  RESOURCE_NOT_FOUND: { status: 503, flag: '-', retryable: false, text: 'no such resource' },
  RESOURCE_CONFLICT: {
    status: 503,
    flag: '-',
    retryable: true,
    text: 'the resource was changed by someone else meanwhile',
  },
  STORE_FAILED: { status: 503, flag: '-', retryable: true, text: 'the store could not be read or written' },
  // joining and node authorization
  TOKEN_INVALID: {
    status: 401,
    flag: '-',
    retryable: false,
    text: 'a join token is malformed, unknown, expired or used',
  },
  NODE_UNAUTHORIZED: {
    status: 401,
    flag: '-',
    retryable: false,
    text: 'a host asked for what its token does not allow',
  },
  FEED_PROTOCOL: {
    status: 503,
    flag: '-',
    retryable: true,
    text: 'a feed or handoff message was malformed or unexpected',
  },
  FEED_CLOSED: { status: 503, flag: '-', retryable: true, text: 'the control connection ended' },
  // identity
  IDENTITY_INVALID: {
    status: 401,
    flag: 'IDENTITY_ERROR',
    retryable: false,
    text: 'a SPIFFE identity is malformed or not the expected one',
  },
  CERTIFICATE_UNAVAILABLE: {
    status: 503,
    flag: 'IDENTITY_ERROR',
    retryable: true,
    text: 'no valid certificate for this identity yet',
  },
  // the tunnel
  TUNNEL_BAD_REQUEST: {
    status: 400,
    flag: '-',
    retryable: false,
    text: 'a CONNECT was malformed or addressed a foreign address',
  },
  TUNNEL_DENIED: {
    status: 401,
    flag: 'DENY',
    retryable: false,
    text: 'an authorization policy denies this connection',
  },
  TUNNEL_UNAVAILABLE: {
    status: 503,
    flag: 'CONNECT',
    retryable: true,
    text: 'the peer answered 503 or its session ended',
  },
  TUNNEL_HANDSHAKE: { status: 503, flag: 'TLS_FAILURE', retryable: true, text: 'the TLS handshake with a peer failed' },
  TUNNEL_H2: {
    status: 503,
    flag: 'H2_HANDSHAKE_FAILURE',
    retryable: true,
    text: 'the HTTP/2 handshake with a peer failed',
  },
  TUNNEL_TIMEOUT: { status: 503, flag: 'CONNECT', retryable: true, text: 'a tunnel step passed its deadline' },
  // connections
  CONNECT_FAILED: { status: 503, flag: 'CONNECT', retryable: true, text: 'the destination could not be reached' },
  NO_ENDPOINT: {
    status: 503,
    flag: 'CONNECT',
    retryable: true,
    text: 'the service, or the waypoint before it, has no healthy endpoint',
  },
  UNKNOWN_PORT: {
    status: 503,
    flag: 'CONNECT',
    retryable: false,
    text: 'the service or workload does not have this port',
  },
  LOOP_REFUSED: {
    status: 503,
    flag: 'CONNECT',
    retryable: false,
    text: "a connection to the mesh's own ports was refused",
  },
  POLICY_DENIED: {
    status: 401,
    flag: 'DENY',
    retryable: false,
    text: 'an authorization policy or STRICT mTLS denies this connection, or it went around a waypoint',
  },
  LIMIT_REACHED: { status: 503, flag: 'CONNECT', retryable: true, text: 'a configured limit is reached' },
  DRAINING: { status: 503, flag: 'CONNECT', retryable: true, text: 'this process is shutting down' },
  ABORTED: { status: 503, flag: '-', retryable: true, text: 'the wait was cancelled' },
  // system
  SYSTEM_CALL: { status: 503, flag: '-', retryable: false, text: 'a system call failed' },
  REDIRECT_FAILED: { status: 503, flag: '-', retryable: true, text: 'iptables, a route or a sysctl could not be set' },
  LAB_FAILED: { status: 503, flag: '-', retryable: false, text: 'the lab could not be built or a tour step failed' },
} as const satisfies Record<string, { status: number; flag: string; retryable: boolean; text: string }>

export type ErrorCode = keyof typeof errorCodes

/** An error of the mesh. `code` is stable and documented; `message` is for people and says what to check next. */
export class MeshError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  constructor(code: ErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'MeshError'
    this.code = code
    this.retryable = errorCodes[code].retryable
  }
}

/** Narrows anything thrown to a MeshError; foreign errors become `fallback` with the original as cause. */
export function asMeshError(error: unknown, fallback: ErrorCode): MeshError {
  if (error instanceof MeshError) return error
  const text = error instanceof Error ? error.message : String(error)
  return new MeshError(fallback, text, { cause: error })
}

/** Where an error surfaces: the status of a CONNECT answer and the access-log response flag. */
export function errorOutcome(error: MeshError): { readonly tunnelStatus: number; readonly flag: string } {
  const row = errorCodes[error.code]
  return { tunnelStatus: row.status, flag: row.flag }
}
