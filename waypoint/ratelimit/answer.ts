// What a client hears of a limit: 429 or a gRPC status, Retry-After, and the RateLimit fields of draft-ietf-httpapi-ratelimit-headers.

import { grpcStatus } from '../fault/grpc-status.ts'
import type { BucketSize, Taken } from './token-bucket.ts'

export interface LimitState {
  readonly name: string
  readonly size: BucketSize
  readonly taken: Taken
}

export type HeaderField = readonly [name: string, value: string]

/** For every answer of a route with limits, refused or not: all policies, and the one with the least left. */
export function limitFields(states: readonly LimitState[]): readonly HeaderField[] {
  const [first] = states
  if (first === undefined) return []
  const tightest = states.reduce(
    (least, state) => (state.taken.remaining < least.taken.remaining ? state : least),
    first,
  )
  const policies = states.map(({ name, size }) => {
    const windowSeconds = Math.max(1, Math.ceil(size.capacity / size.perSecond))
    return `${quoted(name)};q=${Math.floor(size.capacity)};w=${windowSeconds}`
  })
  const { remaining, fullInMs } = tightest.taken
  return [
    ['ratelimit-policy', policies.join(', ')],
    ['ratelimit', `${quoted(tightest.name)};r=${remaining};t=${Math.ceil(fullInMs / 1_000)}`],
  ]
}

export interface Refusal {
  /** 200 for gRPC, with the status in the headers and no body. */
  readonly httpStatus: number
  readonly grpcStatus?: number | undefined
  readonly headers: readonly HeaderField[]
}

/** The answer to a request over the limit; access-log flag RL. @param grpcCode RESOURCE_EXHAUSTED where absent */
export function refusal(
  states: readonly LimitState[],
  grpc: boolean,
  grpcCode: number = grpcStatus.RESOURCE_EXHAUSTED,
): Refusal {
  const waits = states.map(({ taken }) => taken.retryAfterMs).filter((ms) => Number.isFinite(ms))
  const seconds = Math.max(1, Math.ceil(Math.max(0, ...waits) / 1_000))
  const headers: readonly HeaderField[] = [['retry-after', String(seconds)], ...limitFields(states)]
  return grpc ? { httpStatus: 200, grpcStatus: grpcCode, headers } : { httpStatus: 429, headers }
}

/** A string of structured fields (RFC 9651): printable ASCII, the rest becomes `?`. */
function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
