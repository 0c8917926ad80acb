// What the stack tells of each exchange, for access logs, metrics and traces. Read during the call only: nothing of it is a copy.
import type { RouteOrigin } from '../core/model/routes.ts'
import type { Cluster } from './clusters/cluster.ts'
import type { ServingFacts } from './clusters/endpoints.ts'
import type { Exchange, Origin } from './exchange.ts'
import type { FailureKind, ResponseFlag } from './http/failure.ts'

export interface ExchangeReport {
  readonly exchange: Exchange
  readonly origin: Origin
  /** As the client asked: before any rewrite, the path normalised and without its query. */
  readonly method: string
  readonly authority: string
  readonly path: string
  /** The rule that took it; undefined where none did or none is attached. */
  readonly route: RouteOrigin | undefined
  /** Where it was to go; undefined where the waypoint answered before that was known. */
  readonly cluster: Cluster | undefined
  /** Of the last try. */
  readonly endpoint: ServingFacts | undefined
  /** That the client got; 0 where it got none. */
  readonly status: number
  readonly grpcStatus: number | undefined
  readonly flags: readonly ResponseFlag[]
  /** Why the waypoint itself answered; empty where it did not, or a rule asked for it. */
  readonly reason: string
  /** How the answer's body ended: undefined in order, `client` where nobody wanted the rest. */
  readonly ending: FailureKind | undefined
  /** Tries, with the first. */
  readonly attempts: number
  readonly requestBytes: number
  readonly responseBytes: number
  /** Monotonic milliseconds, as `exchange.startedAt`. */
  readonly tryStartedAt: number
  /** When the answer's head was there. */
  readonly answeredAt: number
  readonly endedAt: number
  /** ids of rate limits in dry run that would have refused it. */
  readonly wouldRefuse: readonly string[]
}

/** How one try ended: with the head of an answer, or without. */
export type TryEnd = { readonly status: number } | { readonly failure: FailureKind }

export interface MirrorReport {
  readonly origin: Origin
  readonly cluster: Cluster
  /** `dropped`: its body would have had to wait for longer than the main request's. */
  readonly end: TryEnd | 'dropped'
}

export interface Telemetry {
  /** Once for each exchange, when its answer has ended. */
  exchangeEnded(report: ExchangeReport): void
  /** Before each try; may put headers of a trace into `attempt`. */
  tryBegins?(report: ExchangeReport, attempt: Exchange): void
  /** When its answer's head is there, or it failed. */
  tryEnded?(report: ExchangeReport, end: TryEnd): void
  mirrorEnded?(report: MirrorReport): void
}
