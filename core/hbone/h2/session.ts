// A session for tunnels: every stream is a CONNECT and then a Duplex. Made by client.ts and server-session.ts.
import type { TLSSocket } from 'node:tls'
import type { SessionLimits } from '../limits.ts'
import { Engine } from './engine.ts'
import type { EngineHooks } from './engine-kind.ts'
import type { HeaderField } from './hpack-table.ts'
import { checkFields, checkTrailers } from './message.ts'
import { TunnelHttp2Stream } from './stream.ts'

export interface SessionHooks extends EngineHooks {
  /** A header list that opens a stream (server) or answers one (client). */
  readonly onHeaders: (stream: TunnelHttp2Stream, fields: readonly HeaderField[], tooLarge: boolean) => void
}

const maxFields = 128
const unindexed = ['forwarded', 'traceparent']

export class Http2Session extends Engine<TunnelHttp2Stream> {
  constructor(socket: TLSSocket, role: 'client' | 'server', limits: SessionLimits, hooks: SessionHooks) {
    super(socket, role, limits, hooks, {
      makeStream: (owner, id, sendWindow, receiveWindow) => new TunnelHttp2Stream(owner, id, sendWindow, receiveWindow),
      rules: {
        maxFields,
        check: checkFields,
        onHeaders: hooks.onHeaders,
        // Nothing in them is of interest to a tunnel.
        onInformational: () => {},
        onTrailers: (_stream, fields) => (checkTrailers(fields) ? undefined : 'a field that does not belong here'),
      },
      unindexed,
    })
  }

  /** Opens a stream (client). Undefined where the session takes no more. */
  request(fields: readonly HeaderField[]): TunnelHttp2Stream | undefined {
    const stream = this.openStream()
    if (stream !== undefined) this.sendHeaders(stream, this.encoder.encode(fields), false)
    return stream
  }

  /** Answers a stream (server); the stream is ended like any other. */
  respond(stream: TunnelHttp2Stream, fields: readonly HeaderField[]): void {
    if (stream.ended || stream.destroyed || this.over) return
    this.sendHeaders(stream, this.encoder.encode(fields), false)
  }
}
