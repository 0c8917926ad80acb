// Waits for the server name that a client of TLS asks for, where rules of its frontend go by it. Made by data-plane.ts for connections that
// are no HTTP; hands the stream on with all that was read, whatever came.
import type { Duplex } from 'node:stream'
import { timer } from '../core/hbone/limits.ts'
import { readHello } from '../core/net/client-hello.ts'
import { defaultSilentMs, type Serving } from './client-connection.ts'
import { Wire, type WireOwner } from './wire.ts'

export interface ServerNameOptions {
  /** A client that has not said it by then asks for none. */
  readonly silentMs?: number | undefined
  /** Takes the stream over. */
  readonly serve: (stream: Duplex, first: Buffer, serverName: string | undefined) => Serving
  /** It was over before. */
  readonly onClosed?: (() => void) | undefined
}

export class ServerNameReader implements WireOwner, Serving {
  readonly #options: ServerNameOptions
  readonly #wire: Wire
  readonly #silent: NodeJS.Timeout
  #first: Buffer
  #serving: Serving | undefined
  #draining = false

  /** @param first what was read already */
  constructor(stream: Duplex, first: Buffer, options: ServerNameOptions) {
    this.#options = options
    // the hello is put together here, and outlives the buffers that it came in
    this.#first = first
    this.#wire = new Wire(stream, this)
    this.#silent = timer(options.silentMs ?? defaultSilentMs, () => this.#decide(true))
    this.#decide(false)
    if (this.#serving === undefined) this.#wire.start()
  }

  drain(): void {
    this.#draining = true
    if (this.#serving !== undefined) this.#serving.drain()
    else if (this.#first.length === 0) this.#wire.finish(0)
  }

  destroy(): void {
    if (this.#serving === undefined) this.#wire.reset()
    else this.#serving.destroy()
  }

  onBytes(chunk: Buffer): void {
    this.#first = Buffer.concat([this.#first, chunk])
    this.#decide(false)
  }

  onEnd(): void {
    if (this.#first.length > 0) this.#decide(true)
    else this.#wire.finish(0)
  }

  onDrained(): void {}

  onClosed(): void {
    clearTimeout(this.#silent)
    if (this.#serving === undefined) this.#options.onClosed?.()
  }

  #decide(late: boolean): void {
    if (this.#serving !== undefined) return
    const hello = readHello(this.#first)
    if (hello.kind === 'incomplete' && !late) return
    clearTimeout(this.#silent)
    const name = hello.kind === 'tls' ? hello.serverName : undefined
    this.#serving = this.#options.serve(this.#wire.detach(), this.#first, name)
    if (this.#draining) this.#serving.drain()
  }
}
