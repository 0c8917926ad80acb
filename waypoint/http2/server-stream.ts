// One request of a client over HTTP/2 and its answer: the request's body as the layers read it, the answer's body as it goes out. Made by
// server-connection.ts for every stream whose header list is a request.

import type { HeaderField } from '../../core/hbone/h2/hpack-table.ts'
import type { MessageSession } from '../../core/hbone/h2/message-session.ts'
import type { MessageStream, StreamUser } from '../../core/hbone/h2/message-stream.ts'
import { errorCode } from '../../core/hbone/h2/protocol.ts'
import { release } from '../../core/net/read-buffers.ts'
import { type Answer, Exchange, type Handler, type Origin } from '../exchange.ts'
import type { Body, BodyReader } from '../http/body.ts'
import { asFailure, Failure } from '../http/failure.ts'
import { answerOfFailure } from '../http/failure-answer.ts'
import type { Headers, ResponseHead } from '../http/message.ts'
import { readTrailers } from './fields.ts'
import type { Http2Request } from './request-head.ts'
import { responseFields } from './response-head.ts'

/** What a stream needs of its connection. */
export interface ServerStreamOwner {
  readonly origin: Origin
  readonly handler: Handler
  readonly clock: () => number
  readonly session: MessageSession
  /** A defect of a layer; the client got 500. */
  readonly onDefect: (error: Error) => void
}

/** The answer's body stops when so much waits to be sent. */
const maxQueuedBytes = 128 * 1_024

export class ServerStream implements StreamUser, Body, BodyReader {
  readonly #owner: ServerStreamOwner
  readonly #stream: MessageStream
  readonly #request: Http2Request
  #length: number | undefined
  #exchange: Exchange | undefined
  /** Of the request's body. */
  #reader: BodyReader | undefined
  #received = 0
  #waitsForContinue: boolean
  #trailers: Headers | undefined
  /** The request's body has ended, one way or another. */
  #readDone = false
  #answer: Answer | undefined
  /** What the answer's body must have. */
  #expected: number | undefined
  #sent = 0
  #answerPaused = false
  /** Nothing more goes out. */
  #over = false
  /** `sentBytes` of the stream when somebody last looked while data was waiting. */
  #lastSent = -1

  constructor(owner: ServerStreamOwner, stream: MessageStream, request: Http2Request) {
    this.#owner = owner
    this.#stream = stream
    this.#request = request
    this.#waitsForContinue = request.expectContinue
  }

  // ---- the request --------------------------------------------------------------------------------------------------

  /** Hands the request to the stack; what came with its head is known by now. */
  start(): void {
    const stream = this.#stream
    const request = this.#request
    if (stream.destroyed) return
    this.#length = request.contentLength
    if (stream.remoteEnded) {
      const bytes = stream.heldBytes
      if (request.contentLength !== undefined && request.contentLength !== bytes) {
        this.#break(`a body of ${bytes} bytes, not ${request.contentLength}`)
        return
      }
      // With trailers to come the length stays open: a message of HTTP/1.1 with a length has no place for them.
      this.#length = this.#trailers === undefined ? bytes : undefined
    } else if (request.contentLength === 0) this.#length = undefined
    this.#exchange = new Exchange({
      origin: this.#owner.origin,
      protocol: 'h2',
      head: request.head,
      body: this,
      upgrade: request.upgrade,
      expectContinue: request.expectContinue,
      onInformational: (head) => this.#inform(head),
      startedAt: this.#owner.clock(),
    })
    void this.#serve(this.#exchange)
  }

  async #serve(exchange: Exchange): Promise<void> {
    let answer: Answer
    try {
      answer = await this.#owner.handler(exchange)
    } catch (error: unknown) {
      const failure = asFailure(error)
      if (failure.kind === 'internal') this.#owner.onDefect(failure)
      answer = answerOfFailure(failure, exchange.grpc)
    }
    try {
      this.#respond(exchange, answer)
    } catch (error: unknown) {
      this.#owner.onDefect(asFailure(error))
      answer.body.cancel()
      this.#abort()
    }
  }

  get length(): number | undefined {
    return this.#length
  }

  read(reader: BodyReader): void {
    if (this.#reader !== undefined) throw new Error('a body is read once')
    this.#reader = reader
    if (!this.#readDone) {
      this.#continue()
      this.#stream.resume()
    } else reader.onError(new Failure('client', 'the rest of the request will not come'))
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    if (!this.#readDone && this.#reader !== undefined) this.#stream.resume()
  }

  cancel(): void {
    this.#readDone = true
    this.#stream.stopReading()
  }

  streamData(chunk: Buffer): void {
    const expected = this.#request.contentLength
    this.#received += chunk.length
    if (expected !== undefined && this.#received > expected) {
      release(chunk)
      this.#break('more body than content-length')
    } else if (this.#readDone) release(chunk)
    else this.#reader?.onData(chunk)
  }

  streamEnd(): void {
    if (this.#readDone) return
    const expected = this.#request.contentLength
    if (expected !== undefined && this.#received !== expected) {
      this.#break('less body than content-length')
      return
    }
    this.#readDone = true
    this.#reader?.onEnd(this.#trailers)
  }

  /** Why they are malformed, if they are. */
  takeTrailers(fields: readonly HeaderField[], tooLarge: boolean): string | undefined {
    const trailers = readTrailers(fields, tooLarge)
    if (typeof trailers === 'string') return trailers
    this.#trailers = trailers
    return undefined
  }

  /** The client broke its message: whoever sends it on must not end it in order. */
  #break(why: string): void {
    this.#owner.session.break(this.#stream, why)
  }

  streamReset(): void {
    this.#over = true
    this.#stream.stopReading()
    this.#exchange?.abandon('client')
    this.#failRequest('the client reset the stream')
    this.#answer?.body.cancel()
  }

  #failRequest(why: string): void {
    if (this.#readDone) return
    this.#readDone = true
    this.#reader?.onError(new Failure('client', why))
  }

  // ---- the answer ---------------------------------------------------------------------------------------------------

  /** The client waits for it, and somebody wants the body (RFC 9110 10.1.1). */
  #continue(): void {
    if (!this.#waitsForContinue) return
    this.#waitsForContinue = false
    if (!this.#over && this.#answer === undefined) {
      this.#owner.session.respond(this.#stream, [':status', '100'], false)
    }
  }

  #inform(head: ResponseHead): void {
    if (head.status === 100) this.#continue()
    if (this.#over || this.#answer !== undefined || head.status >= 200 || head.status === 100) return
    const fields = responseFields(head, undefined)
    if (fields !== undefined) this.#owner.session.respond(this.#stream, fields, false)
  }

  #respond(exchange: Exchange, answer: Answer): void {
    this.#answer = answer
    if (this.#over) {
      answer.body.cancel()
      return
    }
    const { head, body } = answer
    const upgraded = answer.upgraded === true && exchange.upgrade !== undefined
    const bodiless = !upgraded && (this.#request.head.method === 'HEAD' || head.status === 204 || head.status === 304)
    const length = bodiless ? declaredLength(head.status, body) : body.length
    const fields = head.status < 200 ? undefined : responseFields(head, upgraded ? undefined : length)
    if (fields === undefined) throw new Error(`no answer can have the status ${head.status}`)
    const ends = bodiless || (body.length === 0 && !upgraded)
    this.#expected = upgraded ? undefined : body.length
    this.#owner.session.respond(this.#stream, fields, ends)
    if (ends) body.cancel()
    else body.read(this)
  }

  onData(chunk: Buffer): void {
    if (this.#over) {
      release(chunk)
      return
    }
    this.#sent += chunk.length
    if (this.#expected !== undefined && this.#sent > this.#expected) {
      release(chunk)
      this.#answer?.body.cancel()
      this.#abort()
      return
    }
    const stream = this.#stream
    stream.send(chunk)
    if (stream.queuedBytes < maxQueuedBytes || this.#answerPaused) return
    this.#answerPaused = true
    this.#answer?.body.pause()
  }

  onEnd(trailers: Headers | undefined): void {
    if (this.#over) return
    if (this.#expected !== undefined && this.#sent !== this.#expected) this.#abort()
    else this.#stream.end(trailers?.flat)
  }

  onError(): void {
    if (!this.#over) this.#abort()
  }

  streamDrained(): void {
    if (!this.#answerPaused) return
    this.#answerPaused = false
    this.#answer?.body.resume()
  }

  /** A complete answer: the client need not send the rest (RFC 9113 8.1). */
  streamSent(): void {
    if (this.#answer?.upgraded === true && this.#exchange?.upgrade !== undefined) return
    this.#over = true
    if (this.#stream.remoteEnded) {
      // A body that nobody has asked for is not kept; a mirror may still read one.
      if (this.#reader === undefined) this.cancel()
      return
    }
    this.#stream.reset(errorCode.noError)
    this.#failRequest('the answer was complete before the request was')
  }

  streamReleased(): void {
    // The session counts its streams itself.
  }

  /** The client must not take what it has for the whole. */
  #abort(): void {
    this.#over = true
    this.#stream.reset(errorCode.internalError)
    this.#failRequest('the answer broke off')
  }

  /** Asked now and then. Nothing has moved since the last time although something waits: gives it up. */
  checkProgress(): void {
    const { queuedBytes, sentBytes } = this.#stream
    if (queuedBytes > 0 && sentBytes === this.#lastSent) {
      this.#stream.reset(errorCode.cancel)
      this.streamReset()
    } else this.#lastSent = queuedBytes > 0 ? sentBytes : -1
  }
}

/** What an answer without its body says of it. */
function declaredLength(status: number, body: Body): number | undefined {
  if (status === 204) return undefined
  return body.declared ?? (body.length === 0 ? undefined : body.length)
}
