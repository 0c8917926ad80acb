// The body of the answer on its way to the client: counts it, and settles the request when it has ended. Put around every answer by
// stack.ts.
import type { Answer } from '../exchange.ts'
import type { Body, BodyReader } from '../http/body.ts'
import type { Failure } from '../http/failure.ts'
import type { Headers } from '../http/message.ts'
import type { RequestContext } from './request-context.ts'

export class AnswerBody implements Body, BodyReader {
  readonly #request: RequestContext
  readonly #inner: Body
  readonly #upgraded: boolean
  #reader: BodyReader | undefined

  constructor(request: RequestContext, { body, upgraded = false }: Answer) {
    this.#request = request
    this.#inner = body
    this.#upgraded = upgraded
  }

  get length(): number | undefined {
    return this.#inner.length
  }

  get declared(): number | undefined {
    return this.#inner.declared
  }

  read(reader: BodyReader): void {
    this.#reader = reader
    this.#inner.read(this)
  }

  pause(): void {
    this.#inner.pause()
  }

  resume(): void {
    this.#inner.resume()
  }

  cancel(): void {
    this.#inner.cancel()
    this.#request.settle('client')
  }

  onData(chunk: Buffer): void {
    this.#request.responseBytes += chunk.length
    this.#reader?.onData(chunk)
  }

  onEnd(trailers: Headers | undefined): void {
    const status = trailers?.get('grpc-status')
    if (status !== undefined) this.#request.grpcStatus = Number(status)
    // The other direction of an accepted upgrade may go on.
    const { body } = this.#request
    if (this.#upgraded && body?.over === false) body.whenEnded(() => this.#request.settle(undefined))
    else this.#request.settle(undefined)
    this.#reader?.onEnd(trailers)
  }

  onError(failure: Failure): void {
    const timedOut = this.#request.attempt.abandoned === 'timeout'
    this.#request.flag(timedOut ? 'UT' : failure.kind === 'client' ? 'DC' : 'UC')
    this.#request.settle(timedOut ? 'timeout' : failure.kind)
    this.#reader?.onError(failure)
  }
}
