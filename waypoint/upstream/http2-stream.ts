// One exchange on a connection to an endpoint that speaks HTTP/2: the request as it goes out, the answer as its reader gets it. Made by
// http2.ts for each `send`.

import type { HeaderField } from '../../core/hbone/h2/hpack-table.ts'
import type { MessageSession } from '../../core/hbone/h2/message-session.ts'
import type { MessageStream, StreamUser } from '../../core/hbone/h2/message-stream.ts'
import { errorCode, errorName } from '../../core/hbone/h2/protocol.ts'
import { timer } from '../../core/hbone/limits.ts'
import { release } from '../../core/net/read-buffers.ts'
import type { AbandonReason, Answer, Exchange } from '../exchange.ts'
import type { Body, BodyReader } from '../http/body.ts'
import { Failure } from '../http/failure.ts'
import type { Headers } from '../http/message.ts'
import { addFields, readTrailers } from '../http2/fields.ts'
import { type Http2Answer, readResponse } from '../http2/response-head.ts'
import { abandoned } from './abandoned.ts'

/** What a stream needs of its connection. */
export interface ClientStreamOwner {
  readonly session: MessageSession
  readonly maxInformational: number
  /** Its exchange no longer counts. */
  released(): void
  /** The endpoint breaks the protocol: no further exchange for it here. */
  distrust(): void
}

/** The request's body stops when so much waits to be sent. */
const maxQueuedBytes = 128 * 1_024

/** An endpoint that knows no 100 gets the body after so long (RFC 9110 10.1.1). */
const continueMs = 1_000

export class ClientStream implements StreamUser, Body, BodyReader {
  readonly #owner: ClientStreamOwner
  readonly #exchange: Exchange
  #resolve: ((answer: Answer) => void) | undefined
  #reject: ((failure: Failure) => void) | undefined
  #stream: MessageStream | undefined
  #forget: (() => void) | undefined
  /** Writes of the session before ours. */
  #writesBefore = 0
  #informational = 0
  /** Of the request's body. */
  #sent = 0
  #requestDone = false
  #requestRead = false
  /** It is not read, and so never ended. */
  #requestCut = false
  #late: NodeJS.Timeout | undefined
  #requestPaused = false
  /** Of the answer's body. */
  #reader: BodyReader | undefined
  #expected: number | undefined
  #received = 0
  #trailers: Headers | undefined
  #readDone = false
  /** What the reader is told as soon as there is one. */
  #failure: Failure | undefined
  length: number | undefined
  declared: number | undefined

  constructor(owner: ClientStreamOwner, exchange: Exchange) {
    this.#owner = owner
    this.#exchange = exchange
  }

  // ---- the request --------------------------------------------------------------------------------------------------

  send(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#begin()
    })
  }

  #begin(): void {
    const { session } = this.#owner
    const { head, body, upgrade } = this.#exchange
    const ends = body.length === 0 && upgrade === undefined
    this.#writesBefore = session.writes
    const stream = session.request(requestFields(this.#exchange), ends)
    if (stream === undefined) {
      this.#owner.released()
      this.#fail(new Failure('refused', `${head.authority}: the connection takes no more requests`))
      return
    }
    this.#stream = stream
    stream.user = this
    this.#requestDone = ends
    this.#forget = this.#exchange.onAbandoned(this.#abandoned)
    // What follows an upgrade waits until it is accepted, a body that the endpoint may not want until it says so.
    if (ends || stream.destroyed || upgrade !== undefined) return
    if (this.#exchange.expectContinue) this.#late = timer(continueMs, () => this.#readRequest())
    else this.#readRequest()
  }

  #readRequest(): void {
    clearTimeout(this.#late)
    if (this.#requestRead || this.#requestDone) return
    this.#requestRead = true
    this.#exchange.body.read(this)
  }

  onData(chunk: Buffer): void {
    const { body, upgrade } = this.#exchange
    const stream = this.#stream!
    if (this.#requestDone) {
      release(chunk)
      return
    }
    this.#sent += chunk.length
    if (upgrade === undefined && body.length !== undefined && this.#sent > body.length) {
      release(chunk)
      this.#giveUp(new Failure('internal', 'the request has more body than its length', this.#started))
      return
    }
    stream.send(chunk)
    if (stream.queuedBytes < maxQueuedBytes || this.#requestPaused) return
    this.#requestPaused = true
    body.pause()
  }

  onEnd(trailers: Headers | undefined): void {
    if (this.#requestDone) return
    const { body, upgrade } = this.#exchange
    this.#requestDone = true
    if (upgrade === undefined && body.length !== undefined && this.#sent !== body.length) {
      this.#giveUp(new Failure('internal', 'the request has less body than its length', this.#started))
    } else this.#stream?.end(trailers?.flat)
  }

  /** The rest of the request will never come: the endpoint must not take what it has for the whole. */
  onError(failure: Failure): void {
    if (this.#requestDone) return
    this.#requestDone = true
    this.#giveUp(new Failure(failure.kind, failure.message, { ...this.#started, cause: failure }))
  }

  streamDrained(): void {
    if (!this.#requestPaused) return
    this.#requestPaused = false
    this.#exchange.body.resume()
  }

  streamSent(): void {
    this.#requestDone = true
  }

  readonly #abandoned = (reason: AbandonReason): void => {
    this.#giveUp(abandoned(reason, this.#started.requestStarted))
  }

  get #started(): { readonly requestStarted: boolean } {
    return { requestStarted: this.#owner.session.writes > this.#writesBefore }
  }

  #giveUp(failure: Failure): void {
    this.#stream?.reset(errorCode.cancel)
    this.#fail(failure)
  }

  // ---- the answer ---------------------------------------------------------------------------------------------------

  /** Called by the connection. */
  informational(fields: readonly HeaderField[], tooLarge: boolean): void {
    const answer = readResponse(fields, tooLarge)
    this.#informational += 1
    if (typeof answer === 'string') this.#malformed(answer)
    else if (this.#informational > this.#owner.maxInformational) this.#malformed('too many interim answers')
    else {
      this.#exchange.informational(answer.head)
      if (answer.head.status === 100 && this.#exchange.upgrade === undefined) this.#readRequest()
    }
  }

  answered(fields: readonly HeaderField[], tooLarge: boolean): void {
    const answer = readResponse(fields, tooLarge)
    const problem = typeof answer === 'string' ? answer : this.#measure(answer)
    if (typeof answer === 'string' || problem !== undefined) {
      this.#malformed(problem ?? '')
      return
    }
    const { head } = answer
    const upgraded = this.#exchange.upgrade !== undefined && head.status >= 200 && head.status < 300
    if (upgraded) {
      head.status = 200
      this.#readRequest()
    } else if (!this.#requestRead && !this.#requestDone) this.#cutRequest()
    const resolve = this.#resolve
    this.#resolve = undefined
    this.#reject = undefined
    resolve?.(upgraded ? { head, body: this, upgraded } : { head, body: this })
  }

  /** How much body there must be. Returns what is wrong with it already. */
  #measure({ head, contentLength }: Http2Answer): string | undefined {
    const { status } = head
    const ended = this.#stream?.remoteEnded === true
    if (this.#exchange.upgrade !== undefined && status >= 200 && status < 300) {
      return contentLength === undefined ? undefined : 'an accepted upgrade with a length'
    }
    if (this.#exchange.head.method === 'HEAD' || status === 304 || status === 204) {
      if (status === 204 && contentLength !== undefined && contentLength > 0) return 'a 204 with a body'
      this.#expected = 0
      this.declared = contentLength
      // An end without data may still come, and trailers with it; nobody has a place for those.
      this.length = 0
      return undefined
    }
    if (ended && contentLength !== undefined && contentLength > 0) return 'less body than content-length'
    this.#expected = contentLength
    this.length = ended ? 0 : contentLength === 0 ? undefined : contentLength
    return undefined
  }

  /** Called by the connection. Why they are malformed, if they are. */
  takeTrailers(fields: readonly HeaderField[], tooLarge: boolean): string | undefined {
    const trailers = readTrailers(fields, tooLarge)
    if (typeof trailers === 'string') {
      this.#owner.distrust()
      return trailers
    }
    this.#trailers = trailers
    return undefined
  }

  read(reader: BodyReader): void {
    if (this.#reader !== undefined) throw new Error('a body is read once')
    this.#reader = reader
    if (this.#failure !== undefined) reader.onError(this.#failure)
    else this.#stream?.resume()
  }

  pause(): void {
    this.#stream?.pause()
  }

  resume(): void {
    if (!this.#readDone && this.#reader !== undefined) this.#stream?.resume()
  }

  cancel(): void {
    if (this.#readDone) return
    this.#readDone = true
    const stream = this.#stream
    if (stream === undefined) return
    if (stream.remoteEnded && stream.localEnded) stream.stopReading()
    else stream.reset(errorCode.cancel)
    this.#endRequest()
  }

  streamData(chunk: Buffer): void {
    this.#received += chunk.length
    if (this.#expected !== undefined && this.#received > this.#expected) {
      release(chunk)
      this.#malformed('more body than content-length')
    } else if (this.#readDone) release(chunk)
    else this.#reader?.onData(chunk)
  }

  streamEnd(): void {
    if (this.#readDone) return
    if (this.#expected !== undefined && this.#received !== this.#expected) {
      this.#malformed('less body than content-length')
      return
    }
    this.#readDone = true
    this.#forget?.()
    if (this.#requestCut) this.#stream?.reset(errorCode.cancel)
    this.#reader?.onEnd(this.#trailers)
  }

  /** What it says is not HTTP: this exchange fails, and the connection is not used again. */
  #malformed(why: string): void {
    this.#owner.distrust()
    const failure = new Failure('malformed', `the endpoint broke HTTP/2: ${why}`, { requestStarted: true })
    // A stream that is over on the wire cannot be reset; its reader hears of it all the same.
    this.#fail(failure)
    const stream = this.#stream
    if (stream === undefined) return
    if (stream.ended) stream.stopReading()
    else this.#owner.session.break(stream, why)
  }

  streamReset(code: number, cause: Error | undefined): void {
    // A complete answer stays good; the endpoint only does not want the rest of the request (RFC 9113 8.1).
    if (this.#stream?.remoteEnded === true) {
      this.#endRequest()
      return
    }
    const started = this.#started
    if (cause === undefined) {
      // Whoever has begun to answer has looked at the request, whatever it says.
      const refused = code === errorCode.refusedStream && this.#reject !== undefined && this.#informational === 0
      const text = `the endpoint reset the stream (${errorName(code)})`
      this.#fail(new Failure(refused ? 'refused' : 'reset', text, { requestStarted: !refused }))
    } else if (this.#owner.session.broken || !this.#owner.session.over) {
      this.#owner.distrust()
      this.#fail(new Failure('malformed', cause.message, { ...started, cause }))
    } else {
      this.#fail(new Failure(started.requestStarted ? 'reset' : 'refused', cause.message, { ...started, cause }))
    }
  }

  streamReleased(): void {
    this.#owner.released()
  }

  /** The answer came instead of leave to send the body: it goes nowhere. */
  #cutRequest(): void {
    this.#requestCut = true
    clearTimeout(this.#late)
    this.#requestDone = true
    this.#exchange.body.cancel()
  }

  #endRequest(): void {
    clearTimeout(this.#late)
    if (this.#requestDone) return
    this.#requestDone = true
    // One that nobody has read yet can go elsewhere.
    if (this.#requestRead) this.#exchange.body.cancel()
  }

  /** Once; whoever waits for the head is told, otherwise whoever reads the body. */
  #fail(failure: Failure): void {
    this.#forget?.()
    this.#endRequest()
    const reject = this.#reject
    if (reject !== undefined) {
      this.#resolve = undefined
      this.#reject = undefined
      this.#readDone = true
      reject(failure)
    } else if (!this.#readDone) {
      this.#readDone = true
      this.#failure = failure
      this.#stream?.stopReading()
      this.#reader?.onError(failure)
    }
  }
}

function requestFields(exchange: Exchange): readonly string[] {
  const { head, body, upgrade } = exchange
  if (upgrade === undefined) {
    const list = [':method', head.method, ':scheme', head.scheme, ':authority', head.authority, ':path', head.path]
    return addFields(list, head.headers, body.length)
  }
  const list = [':method', 'CONNECT', ':protocol', upgrade, ':scheme', head.scheme]
  list.push(':authority', head.authority, ':path', head.path)
  // There is no handshake of keys over HTTP/2 (RFC 8441 5).
  return addFields(list, head.headers, undefined, 'sec-websocket-key')
}
