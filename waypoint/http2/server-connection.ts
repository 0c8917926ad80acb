// One connection of a client that speaks HTTP/2, cleartext inside its tunnel or over TLS: each stream becomes an exchange for the stack.
// Made by the waypoint once the protocol is known.
import type { Duplex } from 'node:stream'
import type { MeshError } from '../../core/base/errors.ts'
import type { HeaderField } from '../../core/hbone/h2/hpack-table.ts'
import { type MessageHooks, MessageSession } from '../../core/hbone/h2/message-session.ts'
import type { MessageStream } from '../../core/hbone/h2/message-stream.ts'
import { errorCode } from '../../core/hbone/h2/protocol.ts'
import { timer } from '../../core/hbone/limits.ts'
import type { Handler, Origin } from '../exchange.ts'
import { HttpError } from '../http/error.ts'
import { defaultHttp2Limits, type Http2Limits } from './limits.ts'
import { type RequestRules, readRequest } from './request-head.ts'
import { ServerStream, type ServerStreamOwner } from './server-stream.ts'

export interface Http2ServerOptions {
  readonly origin: Origin
  readonly handler: Handler
  /** What the connection carries. */
  readonly scheme: 'http' | 'https'
  readonly limits?: Partial<Http2Limits>
  /** Monotonic milliseconds. */
  readonly clock?: () => number
  /** A request was refused before the stack saw it. */
  readonly onRefused?: (error: HttpError) => void
  /** A layer threw something that is no failure of an upstream; the client got 500. */
  readonly onDefect?: (error: Error) => void
  /** Over, once; with an error where the client broke the protocol. */
  readonly onClosed?: (error: MeshError | undefined) => void
}

const goawayGraceMs = 1_000
/** An idle connection, or a stalled stream, is found after this many looks. */
const looks = 2

export class Http2ServerConnection {
  readonly #session: MessageSession
  readonly #options: Http2ServerOptions
  readonly #rules: RequestRules
  readonly #owner: ServerStreamOwner
  readonly #handshake: NodeJS.Timeout
  readonly #idleWatch: NodeJS.Timeout
  readonly #stallWatch: NodeJS.Timeout
  #served = 0
  #servedBefore = -1
  #idleLooks = 0
  #settled = false
  #draining = false

  /** Takes the stream over; `first` was read of it already. */
  constructor(stream: Duplex, options: Http2ServerOptions, first?: Buffer) {
    const limits = { ...defaultHttp2Limits, ...options.limits }
    this.#options = options
    this.#rules = {
      scheme: options.scheme,
      maxFields: limits.maxFields,
      maxTargetBytes: limits.maxTargetBytes,
    }
    const hooks: MessageHooks = {
      onSettings: () => this.#opened(),
      onHeaders: (messageStream, fields, tooLarge) => this.#request(messageStream, fields, tooLarge),
      onInformational: () => {},
      onTrailers: (messageStream, fields, tooLarge) => takeTrailers(messageStream, fields, tooLarge),
      // It speaks of streams that we would open; the client ends the connection when it has its answers.
      onGoaway: () => {},
      onClosed: (error) => this.#closed(error),
    }
    this.#session = new MessageSession(stream, 'server', limits, hooks, first)
    this.#owner = {
      origin: options.origin,
      handler: options.handler,
      clock: options.clock ?? (() => performance.now()),
      session: this.#session,
      onDefect: options.onDefect ?? (() => {}),
    }
    this.#handshake = timer(limits.handshakeTimeoutMs, () => this.destroy())
    this.#idleWatch = setInterval(() => this.#lookForRest(), limits.idleTimeoutMs / looks).unref()
    this.#stallWatch = setInterval(() => this.#lookForStalls(), limits.stallTimeoutMs / looks).unref()
  }

  /** Requests under way. */
  get active(): number {
    return this.#session.streams
  }

  /** Requests that the stack got so far. */
  get served(): number {
    return this.#served
  }

  /** GOAWAY: requests in progress and those on their way are served; then it closes. The deadline is the owner's: `destroy`. */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    if (!this.#settled) return
    this.#session.announceEnd()
    const grace = timer(goawayGraceMs, () => this.#session.close())
    // After the answer the client has seen the GOAWAY, and everything it sent before.
    this.#session.ping(() => {
      clearTimeout(grace)
      this.#session.close()
    })
  }

  /** Ends at once: what is under way is abandoned. */
  destroy(): void {
    this.#session.destroy()
  }

  #opened(): void {
    if (this.#settled) return
    this.#settled = true
    clearTimeout(this.#handshake)
    if (!this.#draining) return
    this.#draining = false
    this.drain()
  }

  #request(stream: MessageStream, fields: readonly HeaderField[], tooLarge: boolean): void {
    try {
      if (tooLarge) throw new HttpError(431, 'head-too-large', 'the head is too large')
      const request = readRequest(fields, this.#rules)
      if (typeof request === 'string') {
        this.#options.onRefused?.(new HttpError(400, 'malformed', request))
        this.#session.break(stream, request)
        return
      }
      const served = new ServerStream(this.#owner, stream, request)
      stream.user = served
      this.#served += 1
      startSoon(served)
    } catch (error: unknown) {
      if (!(error instanceof HttpError)) throw error
      this.#options.onRefused?.(error)
      this.#refuse(stream, error.status)
    }
  }

  #refuse(stream: MessageStream, status: number): void {
    this.#session.respond(stream, [':status', String(status), 'content-length', '0'], true)
    if (!stream.remoteEnded) stream.reset(errorCode.noError)
  }

  #lookForRest(): void {
    const rests = this.#session.streams === 0 && this.#served === this.#servedBefore
    this.#servedBefore = this.#served
    this.#idleLooks = rests ? this.#idleLooks + 1 : 0
    if (this.#idleLooks >= looks) this.drain()
  }

  #lookForStalls(): void {
    for (const stream of this.#session.openStreams()) {
      if (stream.user instanceof ServerStream) stream.user.checkProgress()
    }
  }

  #closed(error: MeshError | undefined): void {
    clearTimeout(this.#handshake)
    clearInterval(this.#idleWatch)
    clearInterval(this.#stallWatch)
    this.#options.onClosed?.(error)
  }
}

function takeTrailers(stream: MessageStream, fields: readonly HeaderField[], tooLarge: boolean): string | undefined {
  // Those of a request that was refused are of no interest.
  return stream.user instanceof ServerStream ? stream.user.takeTrailers(fields, tooLarge) : undefined
}

/**
 * Requests start when all that was read at once is parsed: one that is reset in the same breath (CVE-2023-44487) costs no upstream, and
 * one that came whole is known to be whole.
 */
let waiting: ServerStream[] = []

function startSoon(stream: ServerStream): void {
  if (waiting.push(stream) === 1) process.nextTick(startAll)
}

function startAll(): void {
  const streams = waiting
  waiting = []
  for (const stream of streams) stream.start()
}
