// SETTINGS, ours and those of the peer: what we say, and what is parsed, checked and kept (RFC 9113 6.5.2). Called by engine.ts.
import type { SessionLimits } from '../limits.ts'
import { defaultFrameBytes, defaultWindow, errorCode, maxWindow, SessionError, settingId } from './protocol.ts'
import { initialStreamWindow } from './window-growth.ts'

export interface PeerSettings {
  readonly headerTableBytes: number
  /** Undefined: no limit. */
  readonly maxConcurrentStreams: number | undefined
  readonly initialWindow: number
  readonly maxFrameBytes: number
  /** Extended CONNECT is allowed (RFC 8441). */
  readonly connectProtocol: boolean
}

export const initialPeerSettings: PeerSettings = {
  headerTableBytes: 4_096,
  maxConcurrentStreams: undefined,
  initialWindow: defaultWindow,
  maxFrameBytes: defaultFrameBytes,
  connectProtocol: false,
}

/** What we tell the peer. `connectProtocol`: a server takes extended CONNECT. */
export function ourSettings(
  isServer: boolean,
  limits: SessionLimits,
  connectProtocol: boolean,
): readonly (readonly [id: number, value: number])[] {
  return [
    [settingId.initialWindowSize, initialStreamWindow(limits)],
    [settingId.maxFrameSize, limits.maxFrameBytes],
    [settingId.maxHeaderListSize, isServer ? limits.serverHeaderListBytes : limits.clientHeaderListBytes],
    ...(isServer
      ? ([
          [settingId.maxConcurrentStreams, limits.serverMaxStreams],
          [settingId.enableConnectProtocol, connectProtocol ? 1 : 0],
        ] as const)
      : ([[settingId.enablePush, 0]] as const)),
  ]
}

/** The settings after a frame with the payload `source[start, end)`. Throws SessionError where a value is not allowed. */
export function applySettings(
  before: PeerSettings,
  source: Buffer,
  start: number,
  end: number,
  fromServer: boolean,
): PeerSettings {
  let { headerTableBytes, maxConcurrentStreams, initialWindow, maxFrameBytes, connectProtocol } = before
  for (let at = start; at < end; at += 6) {
    const value = source.readUInt32BE(at + 2)
    switch (source.readUInt16BE(at)) {
      case settingId.headerTableSize:
        headerTableBytes = value
        break
      case settingId.enablePush:
        if (value > 1 || (fromServer && value !== 0)) throw invalid('ENABLE_PUSH', value)
        break
      case settingId.maxConcurrentStreams:
        maxConcurrentStreams = value
        break
      case settingId.initialWindowSize:
        if (value > maxWindow) throw invalid('INITIAL_WINDOW_SIZE', value, errorCode.flowControlError)
        initialWindow = value
        break
      case settingId.maxFrameSize:
        if (value < defaultFrameBytes || value > 2 ** 24 - 1) throw invalid('MAX_FRAME_SIZE', value)
        maxFrameBytes = value
        break
      case settingId.enableConnectProtocol:
        // Whoever allowed it cannot take that back (RFC 8441 3).
        if (value > 1 || (value === 0 && connectProtocol)) throw invalid('ENABLE_CONNECT_PROTOCOL', value)
        connectProtocol = value === 1
        break
      default:
      // Unknown settings are ignored, as is the size of header lists: ours are small.
    }
  }
  return { headerTableBytes, maxConcurrentStreams, initialWindow, maxFrameBytes, connectProtocol }
}

function invalid(name: string, value: number, code: number = errorCode.protocolError): SessionError {
  return new SessionError(code, `${name} must not be ${value}`)
}
