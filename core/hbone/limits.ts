// Limits and deadlines of the tunnel, the values of ztunnel where it has one (reference/ambient.md section 1). Tests and
// owners hand in others.

export interface TunnelLimits {
  /** Windows as they are announced; they grow up to the two below where a path needs it (h2/window-growth.ts). */
  readonly initialStreamWindowBytes: number
  readonly initialSessionWindowBytes: number
  readonly streamWindowBytes: number
  /** Larger than a stream's window: equal values let one unread stream stop the session. */
  readonly sessionWindowBytes: number
  readonly maxFrameBytes: number
  readonly clientHeaderListBytes: number
  readonly serverHeaderListBytes: number
  /** Streams that a server allows on a session. */
  readonly serverMaxStreams: number
  /** Connections that a server holds, handshakes included. */
  readonly serverMaxSessions: number
  /** Of these, connections whose peer has not proved yet who it is: all, and of one address (an honest one opens few at once). */
  readonly maxHandshakes: number
  readonly maxHandshakesPerAddress: number
  /** Streams that a client puts on a session even if the server allows more. */
  readonly clientMaxStreams: number
  /** Sessions that take streams, between one source and one destination; beyond, streams are refused. */
  readonly maxSessionsPerDestination: number
  /**
   * Resets of a client that end its session. Generous, because a shared session carries all connections of a workload, and
   * killing an application resets many of them at once.
   */
  readonly resetBurst: number
  readonly resetsPerSecond: number
  readonly tcpConnectTimeoutMs: number
  /** From the accepted or connected socket to the peer's SETTINGS. */
  readonly handshakeTimeoutMs: number
  /** From the CONNECT request to its answer; it includes the peer's own connect. */
  readonly responseTimeoutMs: number
  readonly pingIntervalMs: number
  readonly pingTimeoutMs: number
  /** A session from which nothing came for so long is asked for a sign of life together with the next request. */
  readonly quietMs: number
  /** So late an answer makes the client ask whether the session still lives. */
  readonly answerProbeMs: number
  /** A session that gives no sign of life within this takes no more requests, and those without an answer go elsewhere. */
  readonly probeTimeoutMs: number
  readonly tcpKeepAliveMs: number
  /** For bytes that the peer's kernel does not acknowledge. */
  readonly tcpUserTimeoutMs: number
  /** Bytes that a tunnel's socket takes before it can send them. */
  readonly tcpUnsentBytes: number
  readonly idleTimeoutMs: number
}

/** Those that every session has, whatever its streams carry. */
export type SessionLimits = Pick<
  TunnelLimits,
  | 'initialStreamWindowBytes'
  | 'initialSessionWindowBytes'
  | 'streamWindowBytes'
  | 'sessionWindowBytes'
  | 'maxFrameBytes'
  | 'clientHeaderListBytes'
  | 'serverHeaderListBytes'
  | 'serverMaxStreams'
  | 'resetBurst'
  | 'resetsPerSecond'
>

export const defaultLimits: TunnelLimits = {
  initialStreamWindowBytes: 256 * 1024,
  initialSessionWindowBytes: 1024 * 1024,
  streamWindowBytes: 4 * 1024 * 1024,
  sessionWindowBytes: 16 * 1024 * 1024,
  maxFrameBytes: 1024 * 1024,
  clientHeaderListBytes: 16 * 1024,
  serverHeaderListBytes: 64 * 1024,
  serverMaxStreams: 200,
  serverMaxSessions: 20_000,
  maxHandshakes: 4096,
  maxHandshakesPerAddress: 64,
  clientMaxStreams: 100,
  maxSessionsPerDestination: 256,
  resetBurst: 10_000,
  resetsPerSecond: 2_000,
  tcpConnectTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000,
  responseTimeoutMs: 15_000,
  pingIntervalMs: 10_000,
  pingTimeoutMs: 20_000,
  quietMs: 1_000,
  answerProbeMs: 1_000,
  probeTimeoutMs: 1_000,
  tcpKeepAliveMs: 180_000,
  tcpUserTimeoutMs: 20_000,
  tcpUnsentBytes: 128 * 1024,
  idleTimeoutMs: 300_000,
}

const longestTimerMs = 2 ** 31 - 1

/** `setTimeout` that does not keep the process alive; a wait longer than a timer can count ends early. */
export function timer(ms: number, work: () => void): NodeJS.Timeout {
  return setTimeout(work, Math.min(longestTimerMs, Math.max(0, ms))).unref()
}
