// One exchange on a connection to an upstream of HTTP/1.1: the request goes out, the answer comes in, both at once where they like.
// Made by http1.ts, which owns the connection.

import { randomBytes } from 'node:crypto'
import { timer } from '../../core/hbone/limits.ts'
import type { Answer, Exchange } from '../exchange.ts'
import { type Body, BodyChannel, type BodyReader, type ChannelOwner, emptyBody } from '../http/body.ts'
import { HttpError } from '../http/error.ts'
import { asFailure, Failure, type FailureKind } from '../http/failure.ts'
import type { Headers, RequestHead } from '../http/message.ts'
import { type Framing, noBody } from '../http1/framing.ts'
import { removeHopByHop } from '../http1/hop-by-hop.ts'
import type { Http1Response } from '../http1/response-head.ts'
import { webSocketAccept } from '../http1/websocket.ts'
import type { MessageWriter } from '../http1/writer.ts'
import { abandoned } from './abandoned.ts'

/** The connection, as a try needs it. */
export interface TryHost {
  readonly writer: MessageWriter
  flushSoon(): void
  /** Half of a tunnel is over. */
  endWrites(): void
  pauseAnswer(): void
  resumeAnswer(): void
  /** One of the two directions is done. */
  progressed(): void
  /** The exchange and the connection are over. */
  fail(failure: Failure): void
}

/** A server that knows nothing of 100 waits for the body; so does nobody longer than this (RFC 9110 10.1.1). */
const continueMs = 1_000

/** `ask`: the head is out and the body waits for 100. */
type Sending = 'ask' | 'body' | 'done' | 'cancelled'

export class Http1Try implements BodyReader, ChannelOwner {
  readonly exchange: Exchange
  readonly answer: Promise<Answer>
  readonly #connection: TryHost
  #resolve!: (answer: Answer) => void
  #reject!: (failure: Failure) => void
  #unlisten: (() => void) | undefined
  #sending: Sending = 'body'
  #bodyPaused = false
  #late: NodeJS.Timeout | undefined
  #headCame = false
  #channel: BodyChannel | undefined
  #over = false
  /** Made here where the client's protocol has none. */
  #webSocketKey: string | undefined
  /** A byte of the request was handed to the connection while it lived. */
  started = false
  /** A byte of an answer has come. */
  begun = false
  answered = false
  upgraded = false

  constructor(connection: TryHost, exchange: Exchange) {
    this.#connection = connection
    this.exchange = exchange
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  get sent(): boolean {
    return this.#sending === 'done'
  }

  // ---- the request ---------------------------------------------------------------------------------------------------

  /** Throws HttpError where the head cannot be sent; nothing is written then. */
  writeHead(): void {
    const { exchange } = this
    const { writer } = this.#connection
    if (exchange.upgrade === undefined) writer.request(exchange.head, framingOf(exchange))
    else writer.request(this.#upgradeHead(), noBody, { upgrade: exchange.upgrade })
  }

  /** An extended CONNECT (RFC 8441) is a GET here. */
  #upgradeHead(): RequestHead {
    const { head } = this.exchange
    const { scheme, authority, path } = head
    let { headers } = head
    if (!headers.has('sec-websocket-key')) {
      headers = headers.copy()
      this.#webSocketKey = randomBytes(16).toString('base64')
      headers.set('sec-websocket-key', this.#webSocketKey)
      if (!headers.has('sec-websocket-version')) headers.set('sec-websocket-version', '13')
    }
    return { method: 'GET', scheme, authority, path, headers }
  }

  /** After the head. */
  begin(): void {
    const { exchange } = this
    this.#unlisten = exchange.onAbandoned((reason) => {
      this.#connection.fail(abandoned(reason, this.started))
    })
    if (this.#over) return
    if (exchange.upgrade !== undefined) this.#finishRequest(undefined)
    else if (exchange.expectContinue && exchange.body.length !== 0) {
      this.#sending = 'ask'
      this.#late = timer(continueMs, () => this.#sendBody())
    } else exchange.body.read(this)
  }

  #sendBody(): void {
    if (this.#sending !== 'ask') return
    this.#sending = 'body'
    clearTimeout(this.#late)
    this.exchange.body.read(this)
  }

  onData(chunk: Buffer): void {
    try {
      this.#connection.writer.data(chunk)
    } catch (error: unknown) {
      this.#broken(error)
      return
    }
    this.#connection.flushSoon()
  }

  onEnd(trailers: Headers | undefined): void {
    if (this.upgraded) {
      this.#sending = 'done'
      this.#connection.endWrites()
      this.#connection.progressed()
    } else this.#finishRequest(trailers)
  }

  #finishRequest(trailers: Headers | undefined): void {
    try {
      this.#connection.writer.end(trailers)
    } catch (error: unknown) {
      this.#broken(error)
      return
    }
    this.#sending = 'done'
    this.#connection.flushSoon()
    this.#connection.progressed()
  }

  /** More or less of a body than its length said: this request must not become another one. */
  #broken(error: unknown): void {
    if (!(error instanceof HttpError)) throw error
    this.#connection.fail(this.#failure('client', error.message))
  }

  onError(failure: Failure): void {
    this.#connection.fail(this.#failure(failure.kind, failure.message))
  }

  pauseBody(): void {
    if (this.#bodyPaused || this.#sending !== 'body') return
    this.#bodyPaused = true
    this.exchange.body.pause()
  }

  resumeBody(): void {
    if (!this.#bodyPaused) return
    this.#bodyPaused = false
    this.exchange.body.resume()
  }

  /** Nobody reads the rest of the request. */
  #cancelBody(): void {
    clearTimeout(this.#late)
    if (this.#sending === 'done' || this.#sending === 'cancelled') return
    this.#sending = 'cancelled'
    this.exchange.body.cancel()
  }

  // ---- the answer ----------------------------------------------------------------------------------------------------

  informational(head: Http1Response): void {
    removeHopByHop(head.headers)
    this.exchange.informational(head)
    if (head.status === 100) this.#sendBody()
  }

  head(head: Http1Response): void {
    removeHopByHop(head.headers)
    if (head.status === 101) this.#switch(head)
    else {
      this.#headCame = true
      // The answer instead of 100: the body is not wanted.
      if (this.#sending === 'ask') this.#cancelBody()
      this.#resolve({ head, body: this.#bodyOf(head.framing) })
    }
  }

  #switch({ headers }: Http1Response): void {
    if (this.#webSocketKey !== undefined) {
      if (headers.get('sec-websocket-accept') !== webSocketAccept(this.#webSocketKey)) {
        throw new HttpError(502, 'upgrade', 'Sec-WebSocket-Accept does not fit')
      }
      headers.delete('sec-websocket-accept')
    }
    this.#headCame = true
    this.upgraded = true
    this.#sending = 'body'
    this.#channel = new BodyChannel(this)
    this.#connection.writer.tunnel()
    this.#resolve({ head: { status: 200, headers }, body: this.#channel, upgraded: true })
    this.exchange.body.read(this)
  }

  #bodyOf(framing: Framing): Body {
    if (framing.kind === 'none') {
      return framing.declared === undefined ? emptyBody : { ...emptyBody, declared: framing.declared }
    }
    if (framing.kind === 'length' && framing.bytes === 0) return emptyBody
    this.#channel = new BodyChannel(this, framing.kind === 'length' ? framing.bytes : undefined)
    return this.#channel
  }

  /** The chunk is ours. */
  data(chunk: Buffer): void {
    this.#channel?.push(chunk)
  }

  end(trailers: Headers | undefined): void {
    this.answered = true
    // First the connection is free: the end may bring the next request of the same client.
    this.#connection.progressed()
    this.#channel?.end(trailers)
  }

  onPause(): void {
    this.#connection.pauseAnswer()
  }

  onResume(): void {
    this.#connection.resumeAnswer()
  }

  onCancel(): void {
    if (!this.#over) this.#connection.fail(this.#failure('client', 'nobody wants the rest of the answer'))
  }

  // ---- the end -------------------------------------------------------------------------------------------------------

  /** All is said: the connection is free, or of no more use. */
  complete(): void {
    this.#over = true
    this.#unlisten?.()
    this.#cancelBody()
  }

  failed(failure: Failure): void {
    if (this.#over) return
    this.complete()
    if (this.#headCame) this.#channel?.fail(failure)
    else this.#reject(failure)
  }

  /** The connection is over before the exchange is. */
  lost(message: string): Failure {
    if (this.#headCame || this.started) return this.#failure('reset', message)
    return this.#failure('refused', message)
  }

  /** What the upstream sent is wrong, or breaks off. */
  malformed(error: HttpError): Failure {
    const brokenOff = error.code === 'truncated' && (this.#headCame || !this.begun)
    return this.#failure(brokenOff ? 'reset' : 'malformed', error.message)
  }

  #failure(kind: FailureKind, message: string): Failure {
    return new Failure(kind, message, { requestStarted: this.started })
  }
}

const withBody = new Set(['POST', 'PUT', 'PATCH'])

function framingOf({ body, head }: Exchange): Framing {
  const { length } = body
  if (length === undefined) return { kind: 'chunked' }
  if (length > 0) return { kind: 'length', bytes: length }
  return withBody.has(head.method) || head.headers.has('content-length') ? { kind: 'length', bytes: 0 } : noBody
}

/** For a head that cannot be sent. */
export function unsendable(error: unknown): Failure {
  return asFailure(error)
}
