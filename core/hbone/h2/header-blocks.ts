// Header blocks that come in: decoded in order, checked, and turned into new streams, answers or trailers. Owned by session.ts.
import type { TunnelLimits } from '../limits.ts'
import type { Floods } from './floods.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import type { HeaderField } from './hpack-table.ts'
import { checkFields, checkTrailers } from './message.ts'
import { errorCode } from './protocol.ts'
import type { TunnelHttp2Stream } from './stream.ts'
import type { Streams } from './streams.ts'

export interface HeaderBlocksDeps {
  readonly isServer: boolean
  readonly limits: TunnelLimits
  readonly streams: Streams
  readonly floods: Floods
  /** Whether new streams are taken (server). */
  readonly accepts: () => boolean
  /** What a new stream may send. */
  readonly sendWindow: () => number
  /** The one header list of a stream that counts: its request (server) or its answer (client). */
  readonly onHeaders: (stream: TunnelHttp2Stream, fields: readonly HeaderField[], tooLarge: boolean) => void
}

const maxFields = 128

export class HeaderBlocks {
  readonly #deps: HeaderBlocksDeps
  readonly #decoder: HpackDecoder

  constructor(deps: HeaderBlocksDeps) {
    this.#deps = deps
    const { isServer, limits } = deps
    const maxListBytes = isServer ? limits.serverHeaderListBytes : limits.clientHeaderListBytes
    this.#decoder = new HpackDecoder({ maxListBytes, maxFields })
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
    else if (endStream && checkTrailers(fields)) stream.remoteEnd()
    else streams.break(stream, errorCode.protocolError, 'malformed trailers')
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

  #message(stream: TunnelHttp2Stream, endStream: boolean, fields: readonly HeaderField[], tooLarge: boolean): void {
    const { isServer, streams, floods, onHeaders } = this.#deps
    const problem = checkFields(fields, isServer ? 'request' : 'response')
    if (problem !== undefined) {
      streams.break(stream, errorCode.protocolError, problem)
      return
    }
    const informational = !isServer && fields.some(([name, value]) => name === ':status' && value.startsWith('1'))
    if (informational) {
      floods.control()
      if (endStream) streams.break(stream, errorCode.protocolError, 'an informational answer with an end')
      return
    }
    stream.opened = true
    // The end first: the owner sees a stream as it is.
    if (endStream) stream.remoteEnd()
    onHeaders(stream, fields, tooLarge)
  }
}
