// Limits and deadlines of HTTP/2 in front of clients and towards endpoints. Owners hand in others.
import type { MessageLimits } from '../../core/hbone/h2/message-session.ts'

export interface Http2Limits extends MessageLimits {
  /** Streams that we open on a connection even if the endpoint allows more. */
  readonly clientMaxStreams: number
  /** Fields of a head after its cookies were joined. Beyond it 431. */
  readonly maxFields: number
  /** Of `:path`. Beyond it 414. */
  readonly maxTargetBytes: number
  /** Interim answers before the final one. */
  readonly maxInformational: number
  /** From the first byte to the client's SETTINGS. */
  readonly handshakeTimeoutMs: number
  /** Without a stream. */
  readonly idleTimeoutMs: number
  /** A stream whose reader takes nothing for so long is reset; one that has nothing to say may stay silent for ever. */
  readonly stallTimeoutMs: number
}

/**
 * As HTTP/1.1 has them (http1/limits.ts), where there is the same. Windows are smaller than those of tunnels: a client here is one
 * application. Resets: killing a client with as many calls as it may have under way stays far below.
 */
export const defaultHttp2Limits: Http2Limits = {
  initialStreamWindowBytes: 128 * 1_024,
  initialSessionWindowBytes: 1_024 * 1_024,
  streamWindowBytes: 1_024 * 1_024,
  sessionWindowBytes: 8 * 1_024 * 1_024,
  maxFrameBytes: 64 * 1_024,
  clientHeaderListBytes: 32 * 1_024,
  serverHeaderListBytes: 32 * 1_024,
  serverMaxStreams: 200,
  resetBurst: 2_000,
  resetsPerSecond: 400,
  maxListFields: 256,
  maxBlockBytes: 128 * 1_024,
  clientMaxStreams: 100,
  maxFields: 100,
  maxTargetBytes: 8_192,
  maxInformational: 16,
  handshakeTimeoutMs: 10_000,
  idleTimeoutMs: 300_000,
  stallTimeoutMs: 300_000,
}
