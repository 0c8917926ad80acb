// One CONNECT that waits for its answer. Made by server-session.ts, answered by the owner of the TunnelServer.
import { Cancellation, type CancelSignal } from '../base/cancel.ts'
import type { Identity } from '../identity/spiffe.ts'
import type { SocketAddress } from '../net/address.ts'
import type { Http2Session } from './h2/session.ts'
import type { TunnelHttp2Stream } from './h2/stream.ts'
import { answerFields } from './headers.ts'
import { timer } from './limits.ts'
import type { IncomingConnect, TunnelHeaders, TunnelStream } from './types.ts'

const refusalGraceMs = 2_000

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
  readonly #session: Http2Session
  readonly #stream: TunnelHttp2Stream
  #abort: Cancellation | undefined
  #answered = false

  constructor(session: Http2Session, stream: TunnelHttp2Stream, facts: ConnectFacts) {
    this.authority = facts.authority
    this.headers = facts.headers
    this.peer = facts.peer
    this.local = facts.local
    this.#session = session
    this.#stream = stream
    this.#stream.once('close', this.#gone)
  }

  get signal(): CancelSignal {
    this.#abort ??= new Cancellation()
    if (!this.#answered && this.#stream.destroyed) this.#abort.abort()
    return this.#abort
  }

  get answered(): boolean {
    return this.#answered
  }

  accept(headers?: TunnelHeaders): TunnelStream {
    this.#answer()
    this.#session.respond(this.#stream, answerFields(200, headers))
    return this.#stream
  }

  reject(status: 400 | 401 | 503): void {
    this.#answer()
    refuse(this.#session, this.#stream, status)
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
 * later: it says NO_ERROR, so that the client takes the answer for a complete one (RFC 9113 8.1).
 */
export function refuse(session: Http2Session, stream: TunnelHttp2Stream, status: number): void {
  if (stream.destroyed) return
  session.respond(stream, answerFields(status, undefined))
  stream.end()
  stream.resume()
  const reset = timer(refusalGraceMs, () => stream.abandon())
  stream.once('close', () => clearTimeout(reset))
}
