// Fault injection (VirtualService's fault): decides for each request whether it is delayed and whether it is aborted, each for itself.
// Pure; asked by the fault layer, which waits and answers.

import { grpcToHttp, httpToGrpc } from './grpc-status.ts'

export interface FaultOptions {
  readonly delay?: { readonly percent: number; readonly delayMs: number } | undefined
  /** Percentages count to 1/10,000 of a percent. */
  readonly abort?:
    | { readonly percent: number; readonly httpStatus: number }
    | { readonly percent: number; readonly grpcStatus: number }
    | undefined
}

/** How an aborted request is answered: gRPC callers get 200 with the status in the headers and no body. */
export interface Abort {
  readonly httpStatus: number
  readonly grpcStatus?: number | undefined
}

export interface Fault {
  /** Access-log flag DI. */
  readonly delayMs?: number | undefined
  /** After the delay; access-log flag FI. */
  readonly abort?: Abort | undefined
}

const parts = 1_000_000
const nothing: Fault = {}

/** Whether it happens this time. @param percent 0 never, 100 always, to 1/10,000 % */
export function happens(percent: number, random: () => number): boolean {
  // Rounded, since 0.0003 × 10,000 is a little less than 3 in floating point.
  const of = Math.round(percent * 10_000)
  return of > 0 && (of >= parts || Math.floor(random() * parts) < of)
}

/**
 * @param grpc whether the request is gRPC: its abort is a gRPC status, that of another request an HTTP status, whichever is set
 * @param random [0, 1)
 */
export function decideFault({ delay, abort }: FaultOptions, grpc: boolean, random: () => number): Fault {
  const delayed = delay !== undefined && delay.delayMs > 0 && happens(delay.percent, random)
  const aborted = abort !== undefined && happens(abort.percent, random)
  if (!delayed && !aborted) return nothing
  return {
    ...(delayed && { delayMs: delay.delayMs }),
    ...(aborted && { abort: answer(abort, grpc) }),
  }
}

function answer(abort: NonNullable<FaultOptions['abort']>, grpc: boolean): Abort {
  if ('grpcStatus' in abort) {
    return grpc ? { httpStatus: 200, grpcStatus: abort.grpcStatus } : { httpStatus: grpcToHttp(abort.grpcStatus) }
  }
  return grpc ? { httpStatus: 200, grpcStatus: httpToGrpc(abort.httpStatus) } : { httpStatus: abort.httpStatus }
}
