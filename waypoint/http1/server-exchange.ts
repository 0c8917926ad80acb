// One request of a client of HTTP/1.1 and its answer: what the stack sees of it, and what goes back. Made by server-connection.ts for
// each head; one at a time.
import { type Answer, Exchange, type Handler, type Origin } from '../exchange.ts'
import { type Body, BodyChannel, type BodyReader, type ChannelOwner, emptyBody } from '../http/body.ts'
import { HttpError } from '../http/error.ts'
import { asFailure, Failure } from '../http/failure.ts'
import { answerOfFailure } from '../http/failure-answer.ts'
import { Headers, type ResponseHead } from '../http/message.ts'
import { chunkedBody, type Framing, noBody, tunnelled, untilClose } from './framing.ts'
import type { Http1Request } from './request-head.ts'
import { webSocketAccept } from './websocket.ts'
import type { MessageWriter, WriteOptions } from './writer.ts'

/** The connection, as an exchange needs it. */
export interface ServerHost {
  readonly origin: Origin
  readonly handler: Handler
  readonly writer: MessageWriter
  readonly draining: boolean
  flushSoon(): void
  pauseRequest(): void
  resumeRequest(): void
  /** What the client sends from now on is data. */
  acceptTunnel(): void
  /** Something of ours is broken. */
  defect(error: unknown): void
  /** The upstream has ended its direction of a tunnel. */
  tunnelEnded(): void
  /** The answer is written. */
  answered(): void
  /** The client must see that what it has is not all. */
  abort(): void
}

/** Of a body that nobody wants, so much is read to save the connection; with more it is closed. */
export const drainedBytes = 64 * 1_024

type Phase = 'waiting' | 'answering' | 'done'

const closing: WriteOptions = { connection: 'close' }
const staying: WriteOptions = { connection: 'keep-alive' }
const silent: WriteOptions = {}
const upgrading: WriteOptions = { upgrade: 'websocket' }

export class ServerExchange implements BodyReader, ChannelOwner {
  readonly exchange: Exchange
  readonly #connection: ServerHost
  readonly #head: Http1Request
  readonly #channel: BodyChannel | undefined
  /** Layers may take it away. */
  readonly #webSocketKey: string | undefined
  #phase: Phase = 'waiting'
  #answer: Body | undefined
  #answerPaused = false
  #continued: boolean
  requestEnded = false
  /** Nothing follows on this connection. */
  closes: boolean
  /** The connection belongs to another protocol now. */
  upgraded = false

  constructor(connection: ServerHost, head: Http1Request, startedAt: number) {
    this.#connection = connection
    this.#head = head
    this.closes = !head.keepAlive
    this.#continued = !head.expectContinue
    const { framing, upgrade } = head
    const empty =
      upgrade === undefined && (framing.kind === 'none' || (framing.kind === 'length' && framing.bytes === 0))
    this.#channel = empty ? undefined : new BodyChannel(this, framing.kind === 'length' ? framing.bytes : undefined)
    this.#webSocketKey = upgrade === undefined ? undefined : head.headers.get('sec-websocket-key')
    this.exchange = new Exchange({
      origin: connection.origin,
      protocol: 'http/1.1',
      head,
      body: this.#channel ?? emptyBody,
      upgrade,
      expectContinue: head.expectContinue,
      onInformational: head.minorVersion === 1 ? (interim) => this.#informational(interim) : undefined,
      startedAt,
    })
  }

  get answering(): boolean {
    return this.#phase !== 'waiting'
  }

  async run(): Promise<void> {
    let answer: Answer
    try {
      answer = await this.#connection.handler(this.exchange)
    } catch (error: unknown) {
      const failure = asFailure(error)
      if (failure.kind === 'internal') this.#connection.defect(error)
      answer = answerOfFailure(failure, this.exchange.grpc)
    }
    try {
      this.#begin(answer)
    } catch (error: unknown) {
      this.#connection.defect(error)
      this.#connection.abort()
    }
  }

  // ---- the request ---------------------------------------------------------------------------------------------------

  /** The chunk is ours. */
  data(chunk: Buffer): void {
    this.#channel?.push(chunk)
  }

  end(trailers: Headers | undefined): void {
    this.requestEnded = true
    if (this.#head.upgrade === undefined || this.upgraded) this.#channel?.end(trailers)
  }

  /** A body is under way that somebody wants. */
  get receiving(): boolean {
    return !this.requestEnded && this.#channel?.flowing === true
  }

  /**
   * Whether a client that sends no more is taken for gone, as by Envoy and nginx: a closed socket looks no other until one writes to it,
   * and what nobody waits for must not go on. Who says that this was its last request (`Connection: close`, HTTP/1.0), or has sent more
   * requests, may end its direction and still gets the answers; so does the client of a tunnel.
   * @param idle nothing came behind the request
   */
  deserted(idle: boolean): boolean {
    if (this.#head.upgrade !== undefined) return !this.upgraded
    return this.requestEnded && idle && this.#head.keepAlive
  }

  onPause(): void {
    this.#connection.pauseRequest()
  }

  onRead(): void {
    this.#continue()
  }

  onResume(): void {
    this.#connection.resumeRequest()
  }

  /** Nobody wants the rest; what comes of it waits for the answer, which says how to go on. */
  onCancel(): void {
    if (this.#phase !== 'done') this.#connection.pauseRequest()
  }

  /** The client waits for it, and somebody wants the body (RFC 9110 10.1.1). */
  #continue(): void {
    if (this.#continued || this.#phase !== 'waiting') return
    this.#continued = true
    this.#interim({ status: 100, headers: new Headers() })
  }

  #informational(head: ResponseHead): void {
    if (head.status === 100) this.#continue()
    else if (this.#phase === 'waiting' && head.status !== 101) this.#interim(head)
  }

  #interim(head: ResponseHead): void {
    this.#connection.writer.response(head, noBody)
    this.#connection.flushSoon()
  }

  /** The request breaks off; what is under way upstream ends. */
  lost(): void {
    const phase = this.#phase
    this.#phase = 'done'
    this.requestEnded = true
    this.#channel?.fail(new Failure('client', 'the client went away, or its request broke off'))
    this.exchange.abandon('client')
    if (phase === 'answering') this.#answer?.cancel()
  }

  // ---- the answer ----------------------------------------------------------------------------------------------------

  #begin(answer: Answer): void {
    if (this.#phase !== 'waiting') {
      answer.body.cancel()
      return
    }
    try {
      this.#writeHead(answer)
    } catch (error: unknown) {
      if (!(error instanceof HttpError)) throw error
      answer.body.cancel()
      this.#begin(answerOfFailure(asFailure(error), this.exchange.grpc))
    }
  }

  #writeHead(answer: Answer): void {
    const { head, body } = answer
    const connection = this.#connection
    if (answer.upgraded === true) {
      this.#writeSwitch(head)
      this.#read(body)
      connection.acceptTunnel()
      return
    }
    const framing = this.#framing(head.status, body)
    if (framing.kind === 'close' || connection.draining || this.#leavesBody()) this.closes = true
    const stays = this.#head.minorVersion === 0 ? staying : silent
    connection.writer.response(head, framing, this.closes ? closing : stays)
    connection.flushSoon()
    if (framing.kind === 'none' && body.length !== 0) {
      this.#phase = 'answering'
      body.cancel()
      this.onEnd(undefined)
    } else this.#read(body)
  }

  #read(body: Body): void {
    this.#phase = 'answering'
    this.#answer = body
    body.read(this)
  }

  #writeSwitch(head: ResponseHead): void {
    if (this.#head.upgrade === undefined) throw new HttpError(500, 'upgrade', 'an upgrade that nobody asked for')
    // Over HTTP/2 there is no such field (RFC 8441 5): the client of HTTP/1.1 waits for the proof that it was understood.
    if (this.#webSocketKey !== undefined && !head.headers.has('sec-websocket-accept')) {
      head.headers.set('sec-websocket-accept', webSocketAccept(this.#webSocketKey))
    }
    this.#connection.writer.response({ status: 101, headers: head.headers }, tunnelled, upgrading)
    this.upgraded = true
    this.closes = true
    this.#connection.flushSoon()
  }

  #framing(status: number, body: Body): Framing {
    if (status === 204) return noBody
    if (status === 304 || this.#head.method === 'HEAD') {
      const declared = body.declared ?? (body.length === 0 ? undefined : body.length)
      return declared === undefined ? noBody : { kind: 'none', declared }
    }
    if (body.length !== undefined) return { kind: 'length', bytes: body.length }
    return this.#head.minorVersion === 1 ? chunkedBody : untilClose
  }

  /** The answer comes early, and the rest of the request is not worth reading, or may never come. */
  #leavesBody(): boolean {
    const channel = this.#channel
    if (this.requestEnded || channel === undefined || this.#head.upgrade !== undefined) return false
    if (!this.#continued) return true
    return channel.cancelled && (channel.length ?? Number.POSITIVE_INFINITY) > drainedBytes
  }

  onData(chunk: Buffer): void {
    try {
      this.#connection.writer.data(chunk)
    } catch {
      this.#connection.abort()
      return
    }
    this.#connection.flushSoon()
  }

  onEnd(trailers: Headers | undefined): void {
    if (this.#phase === 'done') return
    const connection = this.#connection
    try {
      connection.writer.end(trailers)
    } catch {
      connection.abort()
      return
    }
    this.#phase = 'done'
    connection.flushSoon()
    if (this.upgraded) connection.tunnelEnded()
    else connection.answered()
  }

  /** The client must not take what it has for all. */
  onError(_failure: Failure): void {
    if (this.#phase !== 'done') this.#connection.abort()
  }

  /** What was written does not leave fast enough. */
  pauseAnswer(): void {
    if (this.#answerPaused || this.#phase !== 'answering') return
    this.#answerPaused = true
    this.#answer?.pause()
  }

  resumeAnswer(): void {
    if (!this.#answerPaused) return
    this.#answerPaused = false
    this.#answer?.resume()
  }

  /** After the answer: the rest of the request is thrown away. */
  discard(): void {
    this.#channel?.cancel()
  }
}
