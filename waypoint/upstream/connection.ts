// One connection to an endpoint as the pool sees it, whatever it speaks: made from a connected stream by http1.ts and http2.ts, shared
// or kept for the next exchange by pool.ts.
import type { Duplex } from 'node:stream'
import type { Answer, Exchange } from '../exchange.ts'

/** Told by a connection, once it is made; never from within its constructor. */
export interface ConnectionOwner {
  /** HTTP/2: at its limit of streams before, it has room for one again, while others are under way. */
  onAvailable(connection: UpstreamConnection): void
  /** The last exchange under way has ended, and it is still usable. */
  onIdle(connection: UpstreamConnection): void
  /** It takes no more exchanges: GOAWAY, an error, the end of the stream. Those under way go on. Once, and always before `onClosed`. */
  onUnusable(connection: UpstreamConnection): void
  /** All is over, its stream is closed or destroyed. Once. */
  onClosed(connection: UpstreamConnection): void
}

export interface UpstreamConnection {
  /** It takes an exchange now. */
  readonly usable: boolean
  /** Exchanges under way: until both bodies have ended. */
  readonly active: number
  /** Exchanges that it was given so far. */
  readonly served: number
  /**
   * Sends one exchange; only while `usable`. Resolves with the head of the answer; rejects with a Failure (refused, reset, malformed,
   * client), whose `requestStarted` is exact. A failure after the head goes to the reader of the answer's body. When
   * `exchange.abandon` is called it gives the exchange up: a stream is reset, a connection of HTTP/1.1 ends.
   */
  send(exchange: Exchange): Promise<Answer>
  /** The peer said that it closes an idle connection after so many milliseconds (`Keep-Alive: timeout=…`). */
  readonly idleHintMs?: number | undefined
  /** No further exchange; closes in order once the last one under way has ended, at once where there is none. */
  retire(): void
  /** Ends at once; what is under way fails with `reset`. */
  destroy(): void
}

/** A connected stream becomes a connection, which owns it from now on. For HTTP/2: `send` may be called before the peer's SETTINGS. */
export type OpenConnection = (stream: Duplex, owner: ConnectionOwner) => UpstreamConnection
