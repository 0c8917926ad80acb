// The engine of Culvert 0.1 on node:http2, kept as the baseline of bench/engine.ts. HTTP/2 options of both ends, and what headers look like as node:http2 knows them. Called by server-session.ts, client.ts.
import type { ClientSessionOptions, IncomingHttpHeaders, OutgoingHttpHeaders, ServerSessionOptions } from 'node:http2'
import type { TunnelLimits } from '../../core/hbone/limits.ts'
import type { TunnelHeaders } from '../../core/hbone/types.ts'

/**
 * Node's own limit of memory per session counts buffered data; with full windows on all streams its default of 10 MB would
 * refuse streams of an honest peer. Memory is bounded by windows and by the number of streams.
 */
const sessionMemoryMegabytes = 2_048

const floods = {
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 400,
  maxOutstandingPings: 10,
  maxOutstandingSettings: 10,
  maxSettings: 32,
  maxHeaderListPairs: 128,
} as const

export function serverSessionOptions(limits: TunnelLimits): ServerSessionOptions {
  return {
    ...floods,
    streamResetBurst: limits.resetBurst,
    streamResetRate: limits.resetsPerSecond,
    maxSessionMemory: sessionMemoryMegabytes,
    settings: {
      initialWindowSize: limits.streamWindowBytes,
      maxFrameSize: limits.maxFrameBytes,
      maxConcurrentStreams: limits.serverMaxStreams,
      maxHeaderListSize: limits.serverHeaderListBytes,
      enableConnectProtocol: false,
    },
  }
}

export function clientSessionOptions(limits: TunnelLimits): ClientSessionOptions {
  return {
    ...floods,
    maxSessionMemory: sessionMemoryMegabytes,
    peerMaxConcurrentStreams: limits.clientMaxStreams,
    settings: {
      enablePush: false,
      initialWindowSize: limits.streamWindowBytes,
      maxFrameSize: limits.maxFrameBytes,
      maxHeaderListSize: limits.clientHeaderListBytes,
    },
  }
}

/** The headers that mean something to a mesh; a repeated one counts as absent. */
export function tunnelHeaders(headers: IncomingHttpHeaders): TunnelHeaders {
  const { baggage, forwarded, traceparent } = headers
  return {
    ...(typeof baggage === 'string' ? { baggage } : {}),
    ...(typeof forwarded === 'string' ? { forwarded } : {}),
    ...(typeof traceparent === 'string' ? { traceparent } : {}),
  }
}

export function outgoingHeaders(headers: TunnelHeaders | undefined): OutgoingHttpHeaders {
  return {
    ...(headers?.baggage === undefined ? {} : { baggage: headers.baggage }),
    ...(headers?.forwarded === undefined ? {} : { forwarded: headers.forwarded }),
    ...(headers?.traceparent === undefined ? {} : { traceparent: headers.traceparent }),
  }
}
