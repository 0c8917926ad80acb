// What the bench asks of its load generator, one JSON line each way. Types only; load/main.ts answers, generator.ts asks.

export interface Destination {
  readonly host: string
  readonly port: number
}

/** `both`: each stream carries bytes in both directions at once. */
export type Direction = 'up' | 'down' | 'both'

export interface BulkPlan extends Destination {
  readonly kind: 'bulk'
  readonly streams: number
  readonly direction: Direction
  /** Not counted, at the beginning. */
  readonly warmMs: number
  readonly ms: number
}

export interface BulkReport {
  /** Both directions together. */
  readonly gigabitsPerSecond: number
}

export interface OpenLoopPlan extends Destination {
  readonly kind: 'open-loop'
  readonly connections: number
  /** Requests per second, whatever the answers do. */
  readonly rate: number
  readonly warmMs: number
  readonly ms: number
}

export interface OpenLoopReport {
  readonly requests: number
  /** Failed or unanswered at the end. */
  readonly failed: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  /** By how much the generator itself was late, 99th percentile: not a part of the latencies. */
  readonly lateP99Us: number
}

export interface HoldPlan extends Destination {
  readonly kind: 'hold'
  /** Connections to have open when it returns, those of earlier plans included; 0 closes all. */
  readonly connections: number
}

export interface HoldReport {
  readonly open: number
  readonly failed: number
}

export interface ChurnPlan extends Destination {
  readonly kind: 'churn'
  /** New connections per second. */
  readonly rate: number
  readonly ms: number
}

export interface ChurnReport {
  readonly connections: number
  readonly failed: number
  /** From the beginning of the connect to the echo of the first byte. */
  readonly p50Us: number
  readonly p99Us: number
}

export interface Reports {
  readonly bulk: BulkReport
  readonly 'open-loop': OpenLoopReport
  readonly hold: HoldReport
  readonly churn: ChurnReport
}

export type LoadPlan = BulkPlan | OpenLoopPlan | HoldPlan | ChurnPlan
export type LoadAnswer<K extends keyof Reports = keyof Reports> =
  | { readonly report: Reports[K] }
  | { readonly error: string }
