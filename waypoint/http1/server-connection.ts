// Serves the HTTP/1.1 of one client: reads a request, has the stack answer it, writes the answer, then the next. Whatever is wrong with
// what the client sends is answered with its status, and the connection ends. Made for each client connection by who detects protocols.
import type { Duplex } from 'node:stream'
import { timer } from '../../core/hbone/limits.ts'
import type { Handler, Origin } from '../exchange.ts'
import { HttpError } from '../http/error.ts'
import { Headers } from '../http/message.ts'
import { Wire, type WireOwner } from '../wire.ts'
import { type Flushed, flushAtEndOfTurn } from './end-of-turn.ts'
import { removeHopByHop } from './hop-by-hop.ts'
import { defaultHttp1Limits, type Http1Limits } from './limits.ts'
import type { Keeper } from './reader.ts'
import type { Http1Request } from './request-head.ts'
import { RequestReader } from './request-reader.ts'
import { drainedBytes, ServerExchange, type ServerHost } from './server-exchange.ts'
import { MessageWriter } from './writer.ts'

export interface ServerTimeouts {
  /** From the first byte of a head to its last: against clients that send it drop by drop. */
  readonly headMs: number
  /** Without a request. */
  readonly idleMs: number
  /** Without a byte of a body that somebody wants; between this and twice as long. */
  readonly bodyMs: number
  /** For the client to read its last answer and to end its direction. */
  readonly lingerMs: number
}

export const defaultServerTimeouts: ServerTimeouts = {
  headMs: 20_000,
  idleMs: 3_600_000,
  bodyMs: 300_000,
  lingerMs: 5_000,
}

export interface ServerOptions {
  readonly origin: Origin
  readonly handler: Handler
  /** What a nominating `Connection` may not take away (http1/hop-by-hop.ts). */
  readonly protectedHeaders?: ((name: string) => boolean) | undefined
  /** Whom clients of HTTP/1.0 mean that send no Host; otherwise these are refused. */
  readonly defaultAuthority?: string | undefined
  readonly limits?: Http1Limits | undefined
  readonly timeouts?: Partial<ServerTimeouts> | undefined
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** A request was refused before the stack saw it, or broke off in its body. */
  readonly onRefused?: ((error: HttpError) => void) | undefined
  /** A request failed by a defect of ours; it was answered with 500, or its connection ended. */
  readonly onDefect?: ((error: unknown) => void) | undefined
  readonly onClosed?: (() => void) | undefined
}

/** Answers that leave in one write at most: a client may have asked for many at once. */
const gathered = 16

/** `lingering`: nothing more is answered, what still comes is thrown away. */
type State = 'open' | 'lingering' | 'closed'

export class ServerConnection implements ServerHost, WireOwner, Flushed {
  readonly origin: Origin
  readonly handler: Handler
  readonly writer: MessageWriter
  readonly #wire: Wire
  readonly #reader: RequestReader
  readonly #options: ServerOptions
  readonly #timeouts: ServerTimeouts
  #state: State = 'open'
  #current: ServerExchange | undefined
  /** The one before the next request, which waits: the client does not take its answers. */
  #between: ServerExchange | undefined
  /** Answers that wait for the end of the turn. */
  #unflushed = 0
  #draining = false
  #flushing = false
  #discarded = -1
  #idleSince: number
  #received = 0
  #receivedBefore = -1
  #late: NodeJS.Timeout | undefined
  readonly #checkMs: number
  #check: NodeJS.Timeout

  /** `wire` where somebody has looked at the connection before. Call `start`. */
  constructor(stream: Duplex | Wire, options: ServerOptions) {
    this.#options = options
    this.#timeouts = { ...defaultServerTimeouts, ...options.timeouts }
    this.origin = options.origin
    this.handler = options.handler
    this.#wire = stream instanceof Wire ? stream : new Wire(stream, this)
    this.writer = new MessageWriter(this.#wire.write)
    this.#reader = new RequestReader(
      {
        onHead: (head) => this.#head(head),
        onData: (chunk) => this.#data(chunk),
        onEnd: (trailers) => this.#requestEnded(trailers),
        onError: (error) => this.#refuse(error),
      },
      { limits: options.limits ?? defaultHttp1Limits, defaultAuthority: options.defaultAuthority },
    )
    this.#idleSince = options.clock()
    this.#checkMs = Math.min(this.#timeouts.idleMs, this.#timeouts.bodyMs)
    this.#check = timer(this.#checkMs, this.#onCheck)
  }

  /** For a stream that nobody has read from. */
  start(): void {
    this.#wire.start()
  }

  /** For a wire that somebody else has started: `first` was read from it. */
  takeOver(first: Buffer): void {
    this.#wire.handTo(this)
    if (first.length > 0 && !this.#reader.push(first)) this.#wire.pause()
    this.#watchHead()
    if (this.#wire.ended) this.onEnd()
  }

  get draining(): boolean {
    return this.#draining
  }

  /** Answers what is under way, says that it was the last, and ends; at once where nothing is under way. */
  drain(): void {
    this.#draining = true
    if (this.#current === undefined && this.#between === undefined && this.#reader.idle) this.#finish()
  }

  /** Ends at once; a request under way is abandoned. */
  destroy(): void {
    this.abort()
  }

  // ---- the wire ------------------------------------------------------------------------------------------------------

  onBytes(chunk: Buffer, keeper: Keeper): void {
    if (this.#state !== 'open') return
    this.#received += chunk.length
    if (!this.#reader.push(chunk, keeper)) this.#wire.pause()
    this.#watchHead()
  }

  onEnd(): void {
    if (this.#state !== 'open') return
    this.#reader.finish()
    const current = this.#current
    if (current === undefined && this.#between === undefined) this.#finish()
    else if (current?.deserted(this.#reader.idle) === true) this.abort()
  }

  onDrained(): void {
    this.#current?.resumeAnswer()
    if (this.#between === undefined) return
    const before = this.#between
    this.#between = undefined
    this.#readOn(before)
  }

  onClosed(): void {
    this.#state = 'closed'
    clearTimeout(this.#check)
    clearTimeout(this.#late)
    const current = this.#current
    this.#current = undefined
    current?.lost()
    this.#options.onClosed?.()
  }

  // ---- the reader ----------------------------------------------------------------------------------------------------

  #head(head: Http1Request): void {
    removeHopByHop(head.headers, this.#options.protectedHeaders)
    const current = new ServerExchange(this, head, this.#options.clock())
    this.#current = current
    void current.run()
  }

  #data(chunk: Buffer): void {
    const current = this.#current
    if (this.#discarded >= 0) {
      this.#discarded += chunk.length
      if (this.#discarded > drainedBytes) this.#finish()
    } else current?.data(this.#reader.keep(chunk))
  }

  #requestEnded(trailers: Headers | undefined): void {
    const current = this.#current
    if (current === undefined) return
    const discarded = this.#discarded >= 0
    // An upgrade stops the reader by itself; a tunnel has no second request.
    if (current.exchange.upgrade === undefined) this.#reader.pause()
    current.end(trailers)
    if (discarded) this.#next()
  }

  #refuse(error: HttpError): void {
    if (this.#state !== 'open') return
    this.#options.onRefused?.(error)
    if (this.#discarded >= 0) {
      this.#finish()
      return
    }
    const current = this.#current
    const answering = current?.answering === true
    this.#current = undefined
    current?.lost()
    if (answering) {
      this.abort()
      return
    }
    this.writer.response({ status: error.status, headers: new Headers() }, { kind: 'length', bytes: 0 }, closing)
    this.writer.end()
    this.#finish()
  }

  // ---- for the exchange ----------------------------------------------------------------------------------------------

  flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    flushAtEndOfTurn(this)
  }

  flush(): void {
    if (!this.#flushing) return
    this.#flushing = false
    this.#unflushed = 0
    this.writer.flush()
    if (this.#wire.full) this.#current?.pauseAnswer()
  }

  pauseRequest(): void {
    this.#reader.pause()
  }

  resumeRequest(): void {
    if (this.#state === 'open' && this.#reader.resume()) this.#wire.resume()
  }

  acceptTunnel(): void {
    if (this.#state === 'open' && this.#reader.acceptTunnel()) this.#wire.resume()
  }

  /** The answer is written. */
  answered(): void {
    const current = this.#current
    if (current === undefined) return
    if (current.requestEnded) this.#next()
    else if (current.closes) this.#finish()
    else {
      this.#discarded = 0
      this.#late = timer(this.#timeouts.lingerMs, () => this.#finish())
      current.discard()
      this.resumeRequest()
    }
  }

  defect(error: unknown): void {
    this.#options.onDefect?.(error)
  }

  /** The upstream has ended its direction of a tunnel. */
  tunnelEnded(): void {
    this.flush()
    this.#wire.endWrites()
  }

  /** The client must see that what it has is not all. */
  abort(): void {
    if (this.#state === 'closed') return
    this.#state = 'lingering'
    this.#reader.pause()
    this.#wire.reset()
  }

  // ---- from one request to the next ----------------------------------------------------------------------------------

  #next(): void {
    const current = this.#current
    this.#current = undefined
    this.#discarded = -1
    clearTimeout(this.#late)
    this.#late = undefined
    if (current?.closes !== false) {
      this.#finish()
      return
    }
    this.#idleSince = this.#options.clock()
    this.#unflushed += 1
    if (this.#unflushed > gathered) this.flush()
    if (this.#wire.full) this.#between = current
    else this.#readOn(current)
  }

  #readOn(before: ServerExchange): void {
    if (this.#state !== 'open') return
    const upgrade = before.exchange.upgrade !== undefined
    if (upgrade ? this.#reader.refuseTunnel() : this.#reader.resume()) this.#wire.resume()
    this.#watchHead()
    if (this.#current !== undefined || this.#state !== 'open') return
    if (this.#wire.ended || (this.#draining && this.#reader.idle)) this.#finish()
  }

  #finish(): void {
    if (this.#state !== 'open') return
    this.#state = 'lingering'
    const current = this.#current
    this.#current = undefined
    if (current !== undefined && !current.requestEnded) current.lost()
    clearTimeout(this.#late)
    this.#flushing = false
    this.writer.flush()
    this.#reader.pause()
    this.#wire.resume()
    this.#wire.finish(this.#timeouts.lingerMs)
  }

  // ---- time ----------------------------------------------------------------------------------------------------------

  /** A head that has begun must be complete in time. */
  #watchHead(): void {
    const begun = this.#current === undefined && this.#state === 'open' && !this.#reader.idle
    if (begun) {
      this.#late ??= timer(this.#timeouts.headMs, () => {
        this.#refuse(new HttpError(408, 'timeout', 'the head of the request was not complete in time'))
      })
    } else if (this.#late !== undefined && this.#discarded < 0) {
      clearTimeout(this.#late)
      this.#late = undefined
    }
  }

  readonly #onCheck = (): void => {
    if (this.#state !== 'open') return
    const current = this.#current
    if (current === undefined) {
      const leftMs = this.#timeouts.idleMs - (this.#options.clock() - this.#idleSince)
      // Within a head another timer runs.
      if (leftMs <= 0 && this.#reader.idle) this.#finish()
      else this.#check = timer(leftMs > 0 ? Math.min(this.#checkMs, leftMs) : this.#checkMs, this.#onCheck)
      return
    }
    if (current.receiving && this.#received === this.#receivedBefore) {
      this.#refuse(new HttpError(408, 'timeout', 'the body of the request stopped coming'))
      return
    }
    this.#receivedBefore = this.#received
    this.#check = timer(this.#checkMs, this.#onCheck)
  }
}

const closing = { connection: 'close' } as const
