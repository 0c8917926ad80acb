// A session for requests and answers in either role: header lists go out as they are given and come in unchecked, since what they must
// look like is a matter of HTTP, not of frames. Made by the waypoint's http2/ and upstream/http2.ts.
import type { Duplex } from 'node:stream'
import type { SessionLimits } from '../limits.ts'
import { Engine } from './engine.ts'
import type { EngineHooks } from './engine-kind.ts'
import type { HeaderField } from './hpack-table.ts'
import { MessageStream } from './message-stream.ts'

export interface MessageHooks extends EngineHooks {
  /** A request (server) or a final answer (client); whether the stream has ended with it is to be seen there. */
  readonly onHeaders: (stream: MessageStream, fields: readonly HeaderField[], tooLarge: boolean) => void
  readonly onInformational: (stream: MessageStream, fields: readonly HeaderField[], tooLarge: boolean) => void
  /** The end follows. Returns why they are malformed, if they are: the stream is reset then. */
  readonly onTrailers: (stream: MessageStream, fields: readonly HeaderField[], tooLarge: boolean) => string | undefined
}

export interface MessageLimits extends SessionLimits {
  /** Fields of one list, pseudo-header fields among them; more, and what does not fit is left out (`tooLarge`). */
  readonly maxListFields: number
  /** Of an encoded header block. Between this and the size of a list there is room to answer. */
  readonly maxBlockBytes: number
}

const unindexed = [
  ':path',
  'content-length',
  'forwarded',
  'traceparent',
  'tracestate',
  'grpc-timeout',
  'x-request-id',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'b3',
  'etag',
  'if-none-match',
  'location',
  'content-range',
  'x-envoy-upstream-service-time',
]
const secret = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie']

export class MessageSession extends Engine<MessageStream> {
  constructor(socket: Duplex, role: 'client' | 'server', limits: MessageLimits, hooks: MessageHooks, first?: Buffer) {
    super(socket, role, limits, hooks, {
      makeStream: (owner, id, sendWindow, receiveWindow) => new MessageStream(owner, id, sendWindow, receiveWindow),
      rules: {
        maxFields: limits.maxListFields,
        check: () => undefined,
        onHeaders: hooks.onHeaders,
        onInformational: hooks.onInformational,
        onTrailers: hooks.onTrailers,
      },
      unindexed,
      secret,
      maxBlockBytes: limits.maxBlockBytes,
      connectProtocol: role === 'server',
      first,
    })
  }

  /** Opens a stream (client) with `[name, value, …]`. Undefined where the session takes no more. */
  request(fields: readonly string[], endStream: boolean): MessageStream | undefined {
    const stream = this.openStream()
    if (stream === undefined) return undefined
    this.sendHeaders(stream, this.encoder.encodeFlat(fields), endStream)
    if (endStream) stream.endNow()
    return stream
  }

  /** An answer, interim or final (server). */
  respond(stream: MessageStream, fields: readonly string[], endStream: boolean): void {
    if (stream.destroyed || stream.localEnded || this.over) return
    this.sendHeaders(stream, this.encoder.encodeFlat(fields), endStream)
    if (endStream) stream.endNow()
  }
}
