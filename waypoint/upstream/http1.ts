// One connection to an upstream that speaks HTTP/1.1: one exchange at a time. Whatever is wrong with an answer, or comes unasked, ends
// it; only a connection whose last answer was whole and left nothing behind carries another request. Made and shared by pool.ts.
import type { Duplex } from 'node:stream'
import type { Answer, Exchange } from '../exchange.ts'
import type { HttpError } from '../http/error.ts'
import { Failure } from '../http/failure.ts'
import { type Flushed, flushAtEndOfTurn } from '../http1/end-of-turn.ts'
import { defaultHttp1Limits, type Http1Limits } from '../http1/limits.ts'
import type { Keeper } from '../http1/reader.ts'
import type { Http1Response } from '../http1/response-head.ts'
import { ResponseReader } from '../http1/response-reader.ts'
import { MessageWriter } from '../http1/writer.ts'
import { Wire, type WireOwner } from '../wire.ts'
import type { ConnectionOwner, UpstreamConnection } from './connection.ts'
import { Http1Try, type TryHost, unsendable } from './http1-try.ts'

/** For the peer to end its direction, too. */
const lingerMs = 1_000

export function openHttp1(stream: Duplex, owner: ConnectionOwner, limits?: Http1Limits): UpstreamConnection {
  return new Http1Connection(stream, owner, limits)
}

/** `ending`: takes no more exchanges. */
type State = 'open' | 'ending' | 'closed'

export class Http1Connection implements UpstreamConnection, TryHost, WireOwner, Flushed {
  readonly writer: MessageWriter
  readonly #owner: ConnectionOwner
  readonly #wire: Wire
  readonly #reader: ResponseReader
  #state: State = 'open'
  #try: Http1Try | undefined
  #served = 0
  #flushing = false
  #idleHintMs: number | undefined

  constructor(stream: Duplex, owner: ConnectionOwner, limits: Http1Limits = defaultHttp1Limits) {
    this.#owner = owner
    this.#wire = new Wire(stream, this)
    this.writer = new MessageWriter(this.#wire.write)
    this.#reader = new ResponseReader(
      {
        onInformational: (head) => this.#try?.informational(head),
        onHead: (head) => this.#head(head),
        onData: (chunk) => this.#try?.data(this.#reader.keep(chunk)),
        onEnd: (trailers) => this.#try?.end(trailers),
        onError: (error) => this.#malformed(error),
      },
      limits,
    )
    this.#wire.start()
  }

  get usable(): boolean {
    return this.#state === 'open' && this.#try === undefined && this.#wire.writable && !this.#wire.ended
  }

  get active(): number {
    return this.#try === undefined ? 0 : 1
  }

  get served(): number {
    return this.#served
  }

  get idleHintMs(): number | undefined {
    return this.#idleHintMs
  }

  send(exchange: Exchange): Promise<Answer> {
    if (!this.usable) return Promise.reject(new Failure('refused', 'the connection takes no request'))
    const attempt = new Http1Try(this, exchange)
    try {
      attempt.writeHead()
    } catch (error: unknown) {
      this.#owner.onIdle(this)
      return Promise.reject(unsendable(error))
    }
    const upgrade = exchange.upgrade !== undefined
    this.#reader.expect({ method: upgrade ? 'GET' : exchange.head.method, upgrade })
    this.#served += 1
    this.#try = attempt
    this.flushSoon()
    attempt.begin()
    return attempt.answer
  }

  retire(): void {
    if (this.#state !== 'open') return
    this.#unusable()
    if (this.#try === undefined) this.#wire.finish(lingerMs)
  }

  destroy(): void {
    if (this.#try !== undefined) this.fail(this.#try.lost('the connection was closed here'))
    else this.#reset()
  }

  // ---- the wire ------------------------------------------------------------------------------------------------------

  onBytes(chunk: Buffer, keeper: Keeper): void {
    const attempt = this.#try
    if (attempt !== undefined) attempt.begun = true
    if (!this.#reader.push(chunk, keeper)) this.#wire.pause()
  }

  onEnd(): void {
    this.#unusable()
    this.#reader.finish()
    if (this.#try === undefined) this.#wire.finish(lingerMs)
  }

  onDrained(): void {
    this.#try?.resumeBody()
  }

  onClosed(): void {
    const attempt = this.#try
    // All has come; whoever reads slowly still gets it.
    const complete = this.#wire.ended && this.#reader.paused
    if (attempt !== undefined && !complete) this.fail(attempt.lost('the connection was reset'))
    this.#unusable()
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#owner.onClosed(this)
  }

  // ---- for the try ---------------------------------------------------------------------------------------------------

  flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    flushAtEndOfTurn(this)
  }

  flush(): void {
    this.#flushing = false
    const attempt = this.#try
    if (attempt !== undefined && this.writer.waiting && this.#wire.writable) attempt.started = true
    this.writer.flush()
    if (this.#wire.full) attempt?.pauseBody()
  }

  endWrites(): void {
    this.flush()
    this.#wire.endWrites()
  }

  pauseAnswer(): void {
    this.#reader.pause()
  }

  resumeAnswer(): void {
    if (this.#reader.resume()) this.#wire.resume()
  }

  /**
   * One of the two directions is done. An answer that was complete before its request ends the connection: nobody reads the rest. The
   * two of a tunnel are apart.
   */
  progressed(): void {
    const attempt = this.#try
    if (attempt === undefined || !attempt.answered || (attempt.upgraded && !attempt.sent)) return
    this.#try = undefined
    const { sent } = attempt
    attempt.complete()
    if (!sent) this.#reset()
    else if (this.#state === 'open' && this.#reader.reusable && this.#wire.writable && !this.#wire.ended) {
      this.#owner.onIdle(this)
    } else {
      this.#unusable()
      this.#wire.finish(lingerMs)
    }
  }

  /** The exchange and the connection are over. */
  fail(failure: Failure): void {
    const attempt = this.#try
    this.#try = undefined
    this.#unusable()
    this.#reset()
    attempt?.failed(failure)
  }

  // ---- inside --------------------------------------------------------------------------------------------------------

  #head(head: Http1Response): void {
    const text = head.headers.get('keep-alive')
    if (text !== undefined) this.#idleHintMs = idleHint(text)
    this.#try?.head(head)
  }

  #malformed(error: HttpError): void {
    const attempt = this.#try
    if (attempt === undefined) this.#reset()
    else this.fail(attempt.malformed(error))
  }

  #unusable(): void {
    if (this.#state !== 'open') return
    this.#state = 'ending'
    this.#owner.onUnusable(this)
  }

  #reset(): void {
    this.#unusable()
    this.#wire.reset()
  }
}

let lastText = ''
let lastHint: number | undefined

/** One answer is like the one before. */
function idleHint(text: string): number | undefined {
  if (text === lastText) return lastHint
  const seconds = /(?:^|[,;\s])timeout=(\d{1,6})(?:[,;\s]|$)/i.exec(text)?.[1]
  lastText = text
  lastHint = seconds === undefined ? undefined : Number(seconds) * 1_000
  return lastHint
}
