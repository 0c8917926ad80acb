// Numbers of RFC 9113 and the error of a peer that breaks them. Used by every file of the engine.

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const flag = { ack: 0x1, endStream: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const

export const errorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const

export const settingId = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const

/** What the client sends first (RFC 9113 3.4). */
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
export const frameHeaderBytes = 9
export const maxWindow = 2 ** 31 - 1
export const maxStreamId = 2 ** 31 - 1
/** What holds for both ends until SETTINGS say otherwise. */
export const defaultWindow = 65_535
export const defaultFrameBytes = 16_384

const names = Object.fromEntries(Object.entries(errorCode).map(([name, code]) => [code, name]))

export function errorName(code: number): string {
  return names[code] ?? `error ${code}`
}

/** The peer broke the session: it ends with GOAWAY of this code. Thrown by parsers, caught in engine.ts alone. */
export class SessionError extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export function protocolError(message: string): SessionError {
  return new SessionError(errorCode.protocolError, message)
}

export function flowError(message: string): SessionError {
  return new SessionError(errorCode.flowControlError, message)
}
