// The engine of Culvert 0.1 on node:http2, kept as the baseline of bench/engine.ts. One CONNECT that waits for its answer. Made by server-session.ts, answered by the owner of the TunnelServer.
import { constants, type ServerHttp2Stream } from 'node:http2'
import { timer } from '../../core/hbone/limits.ts'
import type { IncomingConnect, TunnelHeaders, TunnelStream } from '../../core/hbone/types.ts'
import type { Identity } from '../../core/identity/spiffe.ts'
import type { SocketAddress } from '../../core/net/address.ts'
import { outgoingHeaders } from './settings.ts'
import { Http2TunnelStream } from './stream.ts'

const { HTTP2_HEADER_STATUS, NGHTTP2_NO_ERROR } = constants

const refusalGraceMs = 2_000

/** A tunnel has no use for a `date`; Node's types do not know that it can be left out. */
const open = { endStream: false, sendDate: false }
const ended = { endStream: true, sendDate: false }

export interface ConnectFacts {
  readonly authority: string
  readonly headers: TunnelHeaders
  readonly peer: { readonly identity: Identity; readonly address: SocketAddress }
  readonly local: SocketAddress
}

export class Http2IncomingConnect implements IncomingConnect {
  readonly authority: string
  readonly headers: TunnelHeaders
  readonly peer: { readonly identity: Identity; readonly address: SocketAddress }
  readonly local: SocketAddress
  readonly #inner: ServerHttp2Stream
  readonly #stream: Http2TunnelStream
  #abort: AbortController | undefined
  #answered = false

  constructor(inner: ServerHttp2Stream, facts: ConnectFacts) {
    this.authority = facts.authority
    this.headers = facts.headers
    this.peer = facts.peer
    this.local = facts.local
    this.#inner = inner
    this.#stream = new Http2TunnelStream(inner)
    this.#stream.once('close', this.#gone)
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (!this.#answered && this.#stream.destroyed) this.#abort.abort()
    return this.#abort.signal
  }

  accept(headers?: TunnelHeaders): TunnelStream {
    this.#answer()
    if (!this.#inner.closed && !this.#inner.destroyed) {
      this.#inner.respond({ [HTTP2_HEADER_STATUS]: 200, ...outgoingHeaders(headers) }, open)
    }
    return this.#stream
  }

  reject(status: 400 | 401 | 503): void {
    this.#answer()
    refuse(this.#inner, status)
  }

  #answer(): void {
    if (this.#answered) throw new Error('this CONNECT is answered already')
    this.#answered = true
    this.#stream.off('close', this.#gone)
  }

  readonly #gone = (): void => {
    this.#abort?.abort()
  }
}

/**
 * Answers with a status and ends our side. The reset that frees the stream of a client that never ends its own side comes
 * later: sent at once, it overtakes the answer while the socket is busy.
 */
export function refuse(inner: ServerHttp2Stream, status: number): void {
  if (inner.closed || inner.destroyed || inner.headersSent) return
  inner.respond({ [HTTP2_HEADER_STATUS]: status }, ended)
  inner.resume()
  const reset = timer(refusalGraceMs, () => inner.close(NGHTTP2_NO_ERROR))
  inner.once('close', () => clearTimeout(reset))
}
