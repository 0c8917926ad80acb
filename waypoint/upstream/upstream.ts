// What the stack sees of the way to an endpoint: one call for one try. Implemented by the pools of this folder; faked in the tests of
// the layers.
import type { Workload } from '../../core/model/types.ts'
import type { SocketAddress } from '../../core/net/address.ts'
import type { Circuit } from '../circuit/circuit.ts'
import type { Answer, Exchange } from '../exchange.ts'
import type { UpstreamConnection } from './connection.ts'

/** Where a try goes. */
export interface UpstreamTarget {
  readonly workload: Workload
  readonly address: SocketAddress
  /** Hostname of the service that it is for, for `forwarded` and the telemetry of the other end. */
  readonly service?: string | undefined
  /** SPIFFE identities that the endpoint may present besides its own: those of the service. */
  readonly identities?: readonly string[] | undefined
  /** `client`: the version that the client speaks. `auto`: HTTP/2 for gRPC and for clients of HTTP/2, else HTTP/1.1. */
  readonly protocol: 'auto' | 'http1' | 'http2' | 'client'
  readonly connectTimeoutMs?: number | undefined
  /** An idle connection is closed after so long. */
  readonly idleTimeoutMs?: number | undefined
  /** After so many requests a connection is closed; undefined: no limit. */
  readonly maxRequestsPerConnection?: number | undefined
  /** Of the destination's circuit breaker; undefined: no limit. */
  readonly connections?: ConnectionPermits | undefined
}

/**
 * The connections of a destination in its circuit breaker: a Circuit as it is. `enter` is asked before a connection is opened, its permit
 * is released when that is closed; a connection without further work is offered to those who wait for one.
 */
export type ConnectionPermits = Pick<Circuit<UpstreamConnection>, 'enter' | 'offer' | 'connection'>

export interface Upstream {
  /**
   * One try. Resolves with the head of the answer, interim ones have gone to `exchange.informational`; the request's body flows
   * until it ends, even after that. `exchange.abandon` ends it in any phase. Throws Failure (connect, denied, refused, reset,
   * malformed, overflow, client); a failure after the head goes to the reader of the answer's body.
   */
  send(exchange: Exchange, target: UpstreamTarget): Promise<Answer>
}
