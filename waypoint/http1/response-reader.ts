// Reads responses from a connection to an upstream: one `expect` for each request that was sent, one answer for each `expect`.
// Whatever is wrong is a 502 for the client, and the connection is never used again.
import { HttpError } from '../http/error.ts'
import { incomplete, scanFields } from './field-scanner.ts'
import { HeadMemory } from './head-memory.ts'
import { defaultHttp1Limits, type Http1Limits } from './limits.ts'
import { type BodyHandler, MessageReader } from './reader.ts'
import { buildResponse, type Expected, type Http1Response, scanStatusLine } from './response-head.ts'

export interface ResponseHandler extends BodyHandler {
  /** 100, 102, 103 …: the final head is still to come. */
  onInformational(head: Http1Response): void
  /** 101 comes here, too: its framing is `tunnel`, and so is that of 2xx to CONNECT; `onData` is then what the peer sends. */
  onHead(head: Http1Response): void
}

const memoryOfAnswers = new HeadMemory<Http1Response>()

/** Answers to other requests mean something else by the same bytes. */
function isPlain({ method, upgrade }: Expected): boolean {
  return method !== 'HEAD' && method !== 'CONNECT' && upgrade !== true
}

export class ResponseReader extends MessageReader {
  readonly #responses: ResponseHandler
  #expected: Expected | undefined
  #informational = 0
  #keepAlive = true

  constructor(handler: ResponseHandler, limits: Http1Limits = defaultHttp1Limits) {
    super(handler, limits)
    this.#responses = handler
  }

  /** Before the request's first byte is written. Throws where the answer before is not complete. */
  expect(request: Expected): void {
    if (this.#expected !== undefined || !this.reusable) throw new Error('the connection cannot take another request')
    this.#expected = request
    this.#informational = 0
  }

  /**
   * Whether the connection may carry another request, from `onEnd` on: the head allowed it, nothing stood behind the
   * body. What comes later without having been asked for is an error, `unexpected-bytes`: give the connection up then.
   */
  get reusable(): boolean {
    return this.#keepAlive && !this.failed && this.between && this.drained && !this.holding
  }

  protected readHead(bytes: Buffer, from: number, end: number): number {
    const expected = this.#expected
    if (expected === undefined) throw new HttpError(502, 'unexpected-bytes', 'bytes that answer no request')
    const memory = this.limits === defaultHttp1Limits && isPlain(expected) ? memoryOfAnswers : undefined
    const again = memory?.recall(bytes, from, end)
    if (memory !== undefined && again !== undefined) {
      const after = from + memory.length
      this.#final(again)
      return after
    }
    const fields = scanStatusLine(bytes, from, end)
    if (fields === incomplete) return incomplete
    const next = scanFields(bytes, fields, end, this.limits.maxFields)
    if (next === incomplete) return incomplete
    const head = buildResponse(bytes, from, next, expected)
    if (head.status < 200 && head.status !== 101) this.#emitInformational(head)
    else {
      memory?.remember(bytes, from, next, head)
      this.#final(head)
    }
    return next
  }

  #final(head: Http1Response): void {
    this.#keepAlive = head.keepAlive
    this.beginBody(head.framing)
    this.#responses.onHead(head)
  }

  #emitInformational(head: Http1Response): void {
    this.#informational += 1
    if (this.#informational > this.limits.maxInformational) {
      throw new HttpError(502, 'informational', 'one informational answer after the other')
    }
    this.#responses.onInformational(head)
  }

  protected headTooLarge(): HttpError {
    return new HttpError(502, 'head-too-large', 'the head of the answer is too long')
  }

  protected asError(error: HttpError): HttpError {
    return error.status === 502 ? error : new HttpError(502, error.code, error.message)
  }

  /** A connection that carries no other request drops nothing in silence: bytes behind the body are an error here, too. */
  protected afterMessage(): 'head' {
    this.#expected = undefined
    return 'head'
  }

  /** Ended without an answer: the one failure that may be tried again elsewhere where nothing was processed. */
  protected endedBetween(): HttpError | undefined {
    if (this.#expected === undefined) return undefined
    return new HttpError(502, 'truncated', 'the connection ended instead of an answer')
  }
}
