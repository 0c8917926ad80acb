// Header blocks that come in: decoded in order and turned into new streams, answers, interim answers or trailers. What they must look
// like is up to the owner of the session (`HeaderRules`). Owned by engine.ts.
import type { SessionLimits } from '../limits.ts'
import type { Floods } from './floods.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import type { HeaderField } from './hpack-table.ts'
import { errorCode } from './protocol.ts'
import type { SessionStream } from './session-stream.ts'
import type { Streams } from './streams.ts'

/** What becomes of the header lists of a session. */
export interface HeaderRules<S> {
  readonly maxFields: number
  /** Why the first list of a stream is malformed, if it is. */
  readonly check: (fields: readonly HeaderField[], kind: 'request' | 'response') => string | undefined
  /** The one header list of a stream that counts: its request (server) or its answer (client). The end was seen before it. */
  readonly onHeaders: (stream: S, fields: readonly HeaderField[], tooLarge: boolean) => void
  /** An answer before the answer (client). */
  readonly onInformational: (stream: S, fields: readonly HeaderField[], tooLarge: boolean) => void
  /** The end was not seen yet. Returns why they are malformed, if they are. */
  readonly onTrailers: (stream: S, fields: readonly HeaderField[], tooLarge: boolean) => string | undefined
}

export interface HeaderBlocksDeps<S extends SessionStream> {
  readonly isServer: boolean
  readonly limits: SessionLimits
  readonly streams: Streams<S>
  readonly floods: Floods
  /** Whether new streams are taken (server). */
  readonly accepts: () => boolean
  /** What a new stream may send. */
  readonly sendWindow: () => number
  readonly rules: HeaderRules<S>
}

export class HeaderBlocks<S extends SessionStream> {
  readonly #deps: HeaderBlocksDeps<S>
  readonly #decoder: HpackDecoder

  constructor(deps: HeaderBlocksDeps<S>) {
    this.#deps = deps
    const { isServer, limits, rules } = deps
    const maxListBytes = isServer ? limits.serverHeaderListBytes : limits.clientHeaderListBytes
    this.#decoder = new HpackDecoder({ maxListBytes, maxFields: rules.maxFields })
  }

  /** Takes a block, of whatever stream: the table must stay in step. Throws SessionError. */
  receive(streamId: number, endStream: boolean, block: Buffer, start: number, end: number): void {
    const { isServer, streams, floods } = this.#deps
    const { fields, tooLarge } = this.#decoder.decode(block, start, end)
    const stream = streams.get(streamId)
    if (stream === undefined) {
      if (isServer && streams.isNew(streamId)) this.#opens(streamId, endStream, fields, tooLarge)
      else {
        streams.checkClosed(streamId, 0)
        floods.control()
      }
    } else if (stream.remoteEnded) streams.break(stream, errorCode.streamClosed, 'headers after its end')
    else if (!stream.opened) this.#message(stream, endStream, fields, tooLarge)
    else this.#trailers(stream, endStream, fields, tooLarge)
  }

  #opens(streamId: number, endStream: boolean, fields: readonly HeaderField[], tooLarge: boolean): void {
    const { accepts, streams, floods, limits, sendWindow } = this.#deps
    if (accepts() && streams.size < limits.serverMaxStreams) {
      this.#message(streams.create(streamId, sendWindow()), endStream, fields, tooLarge)
      return
    }
    // After our GOAWAY it is no fault of the peer.
    if (accepts()) floods.reset()
    streams.refuse(streamId)
  }

  #message(stream: S, endStream: boolean, fields: readonly HeaderField[], tooLarge: boolean): void {
    const { isServer, streams, floods, rules } = this.#deps
    const problem = rules.check(fields, isServer ? 'request' : 'response')
    if (problem !== undefined) {
      streams.break(stream, errorCode.protocolError, problem)
      return
    }
    if (!isServer && isInformational(fields)) {
      floods.control()
      if (endStream) streams.break(stream, errorCode.protocolError, 'an informational answer with an end')
      else rules.onInformational(stream, fields, tooLarge)
      return
    }
    if (!isServer) floods.answered()
    stream.opened = true
    // The end first: the owner sees a stream as it is.
    if (endStream) stream.remoteEnd()
    rules.onHeaders(stream, fields, tooLarge)
  }

  #trailers(stream: S, endStream: boolean, fields: readonly HeaderField[], tooLarge: boolean): void {
    const { streams, rules } = this.#deps
    const problem = endStream ? rules.onTrailers(stream, fields, tooLarge) : 'a second header list without an end'
    if (problem === undefined) stream.remoteEnd()
    else streams.break(stream, errorCode.protocolError, `malformed trailers: ${problem}`)
  }
}

function isInformational(fields: readonly HeaderField[]): boolean {
  for (const [name, value] of fields) if (name === ':status') return value.charCodeAt(0) === 0x31
  return false
}
