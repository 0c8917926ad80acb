// One connection to an endpoint that speaks HTTP/2, over a tunnel stream or a socket: many exchanges at once. Made by pool.ts.
import type { Duplex } from 'node:stream'
import type { HeaderField } from '../../core/hbone/h2/hpack-table.ts'
import { MessageSession } from '../../core/hbone/h2/message-session.ts'
import type { MessageStream } from '../../core/hbone/h2/message-stream.ts'
import type { Answer, Exchange } from '../exchange.ts'
import { HttpError } from '../http/error.ts'
import { asFailure, Failure } from '../http/failure.ts'
import { isSendable } from '../http/sendable.ts'
import { defaultHttp2Limits, type Http2Limits } from '../http2/limits.ts'
import type { ConnectionOwner, UpstreamConnection } from './connection.ts'
import { ClientStream, type ClientStreamOwner } from './http2-stream.ts'

/** The stream must be connected and is owned from now on. The endpoint must be known to speak HTTP/2 (prior knowledge, or ALPN). */
export function openHttp2(
  stream: Duplex,
  owner: ConnectionOwner,
  limits: Partial<Http2Limits> = {},
): Http2UpstreamConnection {
  return new Http2UpstreamConnection(stream, owner, { ...defaultHttp2Limits, ...limits })
}

export class Http2UpstreamConnection implements UpstreamConnection, ClientStreamOwner {
  readonly session: MessageSession
  readonly maxInformational: number
  readonly #owner: ConnectionOwner
  readonly #maxStreams: number
  /** Until SETTINGS come, as many as we like: streams too many are refused and can be tried again. */
  #limit: number
  #active = 0
  #served = 0
  #state: 'open' | 'retired' | 'closed' = 'open'
  #full = false
  /** Exchanges that must know the endpoint's SETTINGS first. */
  #waiting: (() => void)[] | undefined = []

  constructor(stream: Duplex, owner: ConnectionOwner, limits: Http2Limits) {
    this.#owner = owner
    this.#maxStreams = limits.clientMaxStreams
    this.#limit = limits.clientMaxStreams
    this.maxInformational = limits.maxInformational
    this.session = new MessageSession(stream, 'client', limits, {
      onSettings: () => this.#settings(),
      onHeaders: (messageStream, fields, tooLarge) => userOf(messageStream)?.answered(fields, tooLarge),
      onInformational: (messageStream, fields, tooLarge) => userOf(messageStream)?.informational(fields, tooLarge),
      onTrailers: takeTrailers,
      onGoaway: () => this.retire(),
      onClosed: () => this.#closed(),
    })
  }

  get usable(): boolean {
    return this.#state === 'open' && this.#active < this.#limit
  }

  get active(): number {
    return this.#active
  }

  get served(): number {
    return this.#served
  }

  /** Whether the endpoint takes a WebSocket as an extended CONNECT (RFC 8441); undefined while that is not known. */
  get takesUpgrades(): boolean | undefined {
    return this.#waiting === undefined ? this.session.peerSettings.connectProtocol : undefined
  }

  send(exchange: Exchange): Promise<Answer> {
    if (!this.usable) return Promise.reject(new Failure('refused', 'the connection takes no more requests'))
    if (!isSendable(exchange.head)) {
      if (this.#active === 0) this.#owner.onIdle(this)
      return Promise.reject(asFailure(new HttpError(500, 'unsendable', 'the head of the request cannot be sent')))
    }
    this.#active += 1
    this.#served += 1
    this.#full = !this.usable
    if (exchange.upgrade === undefined) return new ClientStream(this, exchange).send()
    return this.#upgrade(exchange)
  }

  async #upgrade(exchange: Exchange): Promise<Answer> {
    const waiting = this.#waiting
    if (waiting !== undefined) await new Promise<void>((resolve) => waiting.push(resolve))
    let failure: Failure | undefined
    if (this.#state === 'closed') failure = new Failure('refused', 'the connection ended before its SETTINGS')
    else if (this.takesUpgrades !== true) {
      failure = new Failure('connect', 'the endpoint takes no WebSocket over HTTP/2 (RFC 8441)')
    } else if (exchange.abandoned !== undefined) failure = new Failure('client', 'given up before it was sent')
    if (failure === undefined) return await new ClientStream(this, exchange).send()
    this.released()
    throw failure
  }

  retire(): void {
    if (this.#state !== 'open') return
    this.#state = 'retired'
    this.#owner.onUnusable(this)
    if (this.#active === 0) this.session.close()
  }

  destroy(): void {
    this.session.destroy()
  }

  // ---- called by its streams ----------------------------------------------------------------------------------------

  released(): void {
    this.#active -= 1
    if (this.#active > 0) this.#offer()
    else if (this.#state === 'retired') this.session.close()
    else if (this.usable) {
      this.#full = false
      this.#owner.onIdle(this)
    }
  }

  distrust(): void {
    this.retire()
  }

  // ---- the session --------------------------------------------------------------------------------------------------

  #settings(): void {
    const allowed = this.session.peerSettings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY
    this.#limit = Math.min(this.#maxStreams, allowed)
    const waiting = this.#waiting
    this.#waiting = undefined
    for (const go of waiting ?? []) go()
    this.#offer()
    this.#full = !this.usable
  }

  #offer(): void {
    if (!this.#full || !this.usable) return
    this.#full = false
    this.#owner.onAvailable(this)
  }

  #closed(): void {
    this.retire()
    this.#state = 'closed'
    const waiting = this.#waiting
    this.#waiting = undefined
    for (const go of waiting ?? []) go()
    this.#owner.onClosed(this)
  }
}

function userOf(stream: MessageStream): ClientStream | undefined {
  return stream.user instanceof ClientStream ? stream.user : undefined
}

function takeTrailers(stream: MessageStream, fields: readonly HeaderField[], tooLarge: boolean): string | undefined {
  return userOf(stream)?.takeTrailers(fields, tooLarge)
}
