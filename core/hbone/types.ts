// The narrow interface of the tunnel: what daemon and waypoint know of it. The engine behind it (server.ts, client.ts) may
// be replaced without touching them.
import type { Duplex } from 'node:stream'
import type { CancelSignal } from '../base/cancel.ts'
import type { Identity } from '../identity/spiffe.ts'
import type { SocketAddress } from '../net/address.ts'

/**
 * One application connection inside a session: bytes both ways, half-close carried (`end` / `'end'`), `destroy()` resets.
 * `allowHalfOpen` is always true: ending one direction never ends the other.
 */
export type TunnelStream = Duplex

/** Request headers of a CONNECT, all optional to a receiver. */
export interface TunnelHeaders {
  readonly baggage?: string
  readonly forwarded?: string
  readonly traceparent?: string
  /**
   * `x-culvert-source-identity`: SPIFFE URI of the caller for whom a waypoint asks; whoever reads it decides whether the peer may
   * speak for others. Empty where it came more than once: there, and not to be believed.
   */
  readonly source?: string
}

/** A CONNECT that waits for an answer. Exactly one of `accept` and `reject` must be called. */
export interface IncomingConnect {
  /** `:authority` as received, not yet parsed. */
  readonly authority: string
  readonly headers: TunnelHeaders
  readonly peer: { readonly identity: Identity; readonly address: SocketAddress }
  /** The address and port on which the tunnel's TCP connection arrived. */
  readonly local: SocketAddress
  /** Aborted when the peer resets the stream or the session ends before the answer. */
  readonly signal: CancelSignal
  /** Answers 200 and returns the stream. */
  accept(headers?: TunnelHeaders): TunnelStream
  /** Answers 400 (malformed), 401 (denied) or 503 (could not connect) and ends the stream. */
  reject(status: 400 | 401 | 503): void
}

/** One tunnel session towards a peer is shared by connections that agree in all of these. */
export interface TunnelKey {
  /** Source workload's uid and the address that the socket is bound to. */
  readonly sourceUid: string
  readonly sourceAddress: string
  /** SPIFFE URI presented. */
  readonly sourceIdentity: string
  /** SPIFFE URIs of which the server must present one. */
  readonly expectedIdentities: readonly string[]
  readonly destination: SocketAddress
  readonly destinationUid: string
}
