// What the layers are given: clocks, chance, the ways in and out. Made by the wiring of the waypoint, by tests and benchmarks.
import type { PathNormalization } from '../../core/decide/http/path.ts'
import type { RoutedRequest } from '../../core/decide/http/request.ts'
import type { Place } from '../clusters/options.ts'
import type { Exchange, Origin } from '../exchange.ts'
import type { ResponseFlag } from '../http/failure.ts'
import type { Buckets } from '../ratelimit/token-bucket.ts'
import type { Telemetry } from '../report.ts'
import type { Timers } from '../timers.ts'
import type { Upstream } from '../upstream/upstream.ts'

/** Undefined: allowed. */
export interface Denial {
  /** 401, 403 … */
  readonly status: number
  readonly grpcStatus: number
  /** For the client, in one line. */
  readonly text: string
  readonly headers?: readonly (readonly [name: string, value: string])[]
  readonly flag?: ResponseFlag
  /** For the log: which policy. */
  readonly reason: string
}

/** What policy decides on. */
export interface JudgedRequest extends RoutedRequest {
  readonly exchange: Exchange
  readonly origin: Origin
  /** Claims of the caller's verified token; set by who verified it. */
  claims: Readonly<Record<string, unknown>> | undefined
}

/**
 * Whether the caller may do what it asks for. Sees the path as it is routed and forwarded; may set `claims`. Where it throws, nothing goes on: 500.
 */
export type Authorize = (request: JudgedRequest) => Denial | undefined | Promise<Denial | undefined>

export interface StackDeps {
  readonly upstream: Upstream
  readonly telemetry: Telemetry
  readonly timers: Timers
  /** Monotonic milliseconds, of the same origin as `Exchange.startedAt`. */
  readonly clock: () => number
  /** Milliseconds since 1970. */
  readonly date: () => number
  /** [0, 1). */
  readonly random: () => number
  /** A new `x-request-id`. */
  readonly requestId: () => string
  /** Unguessable, of letters and digits: the value of a cookie. */
  readonly token: () => string
  /** Where this waypoint is, as far as it knows by now. */
  readonly place: () => Place
  /** Key of the Service that this waypoint is, for limits that name it. */
  readonly waypoint?: string | undefined
  /** Where limits of each scope are counted. */
  readonly buckets: Readonly<Record<'local' | 'mesh', Buckets>>
  /** Everybody may do everything where absent. */
  readonly authorize?: Authorize | undefined
  /** Istio's default where absent: BASE. */
  readonly pathNormalization?: PathNormalization | undefined
}
