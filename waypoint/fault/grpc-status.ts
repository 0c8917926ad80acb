// gRPC statuses by name, and what a proxy makes of an HTTP status for a gRPC caller and the reverse. Used where the waypoint answers
// itself, and by the retry policy.

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
export const grpcStatus = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const

/** By grpc's http-grpc-status-mapping.md, which is also Envoy's. */
const ofHttp: Readonly<Record<number, number>> = {
  200: grpcStatus.OK,
  400: grpcStatus.INTERNAL,
  401: grpcStatus.UNAUTHENTICATED,
  403: grpcStatus.PERMISSION_DENIED,
  404: grpcStatus.UNIMPLEMENTED,
  429: grpcStatus.UNAVAILABLE,
  502: grpcStatus.UNAVAILABLE,
  503: grpcStatus.UNAVAILABLE,
  504: grpcStatus.UNAVAILABLE,
}

/** By google/rpc/code.proto. */
const toHttp: readonly number[] = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]

export function httpToGrpc(status: number): number {
  return ofHttp[status] ?? grpcStatus.UNKNOWN
}

export function grpcToHttp(status: number): number {
  return toHttp[status] ?? 500
}

/** `UNAVAILABLE` or `14`, in any case. Undefined for what is neither. */
export function parseGrpcStatus(text: string): number | undefined {
  if (/^(?:\d|1[0-6])$/.test(text)) return Number(text)
  const name = text.toUpperCase()
  return Object.hasOwn(grpcStatus, name) ? grpcStatus[name as keyof typeof grpcStatus] : undefined
}
