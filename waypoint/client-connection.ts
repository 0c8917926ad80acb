// One connection of a client from its first byte on: detects what is spoken and hands over to who speaks it. Made for each CONNECT that the
// waypoint accepts.
import type { Duplex } from 'node:stream'
import { timer } from '../core/hbone/limits.ts'
import { type ProtocolHint, protocolOf } from './detect.ts'
import type { Keeper } from './http1/reader.ts'
import { defaultServerTimeouts, ServerConnection, type ServerOptions } from './http1/server-connection.ts'
import { Wire, type WireOwner } from './wire.ts'

/** What serves a client, whatever is spoken. */
export interface Serving {
  /** Finishes what is under way, takes nothing more, and ends. */
  drain(): void
  /** Ends at once. */
  destroy(): void
}

export interface ClientOptions {
  readonly hint?: ProtocolHint | undefined
  /**
   * A client that says nothing for so long waits for the server to speak first: raw TCP. Only without a hint. Who has rules of layer 7
   * for a port hints `http` or `client-first`: otherwise a client that waits passes them by.
   */
  readonly silentMs?: number | undefined
  readonly http1: ServerOptions
  /** Take the stream over with what was read of it, and tell the owner of the end by themselves. */
  readonly http2: (stream: Duplex, first: Buffer) => Serving
  readonly tcp: (stream: Duplex, first: Buffer) => Serving
  /** It was over before it was clear what it is. */
  readonly onClosed?: (() => void) | undefined
}

/** Long enough for a client that is a slow network away, short enough for a mail server's greeting. */
export const defaultSilentMs = 750

/** So long a drain waits for the first byte of a connection. */
const firstRequestMs = 1_000

const nothing = Buffer.alloc(0)

export class ClientConnection implements WireOwner {
  readonly #options: ClientOptions
  readonly #wire: Wire
  #first = nothing
  #late: NodeJS.Timeout
  #serving: Serving | undefined
  #protocol: 'opening' | 'http1' | 'http2' | 'tcp' = 'opening'
  #draining = false

  constructor(stream: Duplex, options: ClientOptions) {
    this.#options = options
    this.#wire = new Wire(stream, this)
    this.#late = options.hint === undefined ? this.#decideLate() : this.#closeLate()
    if (options.hint === 'tcp') this.#decide(true)
    else this.#wire.start()
  }

  /** What is spoken, as far as it is known. */
  get protocol(): string {
    return this.#protocol
  }

  drain(): void {
    this.#draining = true
    if (this.#serving !== undefined) this.#serving.drain()
    else if (this.#first.length === 0) {
      // It was opened a moment ago: its first request is on the way, and would find nobody.
      clearTimeout(this.#late)
      this.#late = timer(firstRequestMs, () => this.#wire.finish(0))
    }
  }

  destroy(): void {
    if (this.#serving === undefined) this.#wire.reset()
    else this.#serving.destroy()
  }

  #closeLate(): NodeJS.Timeout {
    const { timeouts } = this.#options.http1
    return timer(timeouts?.idleMs ?? defaultServerTimeouts.idleMs, () => this.#wire.finish(0))
  }

  #decideLate(): NodeJS.Timeout {
    return timer(this.#options.silentMs ?? defaultSilentMs, () => this.#decide(true))
  }

  onBytes(chunk: Buffer, _keeper: Keeper): void {
    if (this.#first.length === 0) {
      clearTimeout(this.#late)
      this.#late = this.#decideLate()
    }
    this.#first = Buffer.concat([this.#first, chunk])
    this.#decide(false)
  }

  onEnd(): void {
    if (this.#first.length > 0) this.#decide(true)
    else this.#wire.finish(0)
  }

  onDrained(): void {}

  onClosed(): void {
    clearTimeout(this.#late)
    if (this.#serving === undefined) this.#options.onClosed?.()
  }

  #decide(late: boolean): void {
    if (this.#serving !== undefined) return
    const protocol = protocolOf(this.#first, this.#options.hint, late)
    if (protocol === undefined) return
    clearTimeout(this.#late)
    this.#protocol = protocol
    const first = this.#first
    this.#first = nothing
    this.#serving = this.#hand(protocol, first)
    if (this.#draining) this.#serving.drain()
  }

  #hand(protocol: 'http1' | 'http2' | 'tcp', first: Buffer): Serving {
    if (protocol !== 'http1') return this.#options[protocol](this.#wire.detach(), first)
    const connection = new ServerConnection(this.#wire, this.#options.http1)
    connection.takeOver(first)
    return connection
  }
}
