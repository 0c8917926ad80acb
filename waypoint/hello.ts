// A connection of TLS that nobody here opens, where rules ask for its server name: waits for the whole ClientHello, then hands over to who
// passes it on. Made by data-plane.ts for such connections only.
import type { Duplex } from 'node:stream'
import { timer } from '../core/hbone/limits.ts'
import { readHello } from '../core/net/client-hello.ts'
import type { Serving } from './client-connection.ts'
import { Wire, type WireOwner } from './wire.ts'

export interface HelloOptions {
  /** Takes the stream over with what was read of it; `serverName` undefined: it is not TLS, names nobody, or did not say in time. */
  readonly pass: (stream: Duplex, first: Buffer, serverName: string | undefined) => Serving
  /** It was over before. */
  readonly onClosed: () => void
}

const helloMs = 5_000

export class HelloConnection implements WireOwner, Serving {
  readonly #options: HelloOptions
  readonly #wire: Wire
  readonly #late: NodeJS.Timeout
  #first: Buffer
  #serving: Serving | undefined

  constructor(stream: Duplex, first: Buffer, options: HelloOptions) {
    this.#options = options
    this.#first = first
    this.#wire = new Wire(stream, this)
    this.#late = timer(helloMs, () => this.#look(true))
    this.#look(false)
    if (this.#serving === undefined) this.#wire.start()
  }

  drain(): void {
    this.#serving?.drain()
  }

  destroy(): void {
    if (this.#serving === undefined) this.#wire.reset()
    else this.#serving.destroy()
  }

  onBytes(chunk: Buffer): void {
    // A copy: the chunk is valid during the call only.
    this.#first = Buffer.concat([this.#first, chunk])
    this.#look(false)
  }

  onEnd(): void {
    this.#look(true)
  }

  onDrained(): void {}

  onClosed(): void {
    clearTimeout(this.#late)
    if (this.#serving === undefined) this.#options.onClosed()
  }

  #look(late: boolean): void {
    if (this.#serving !== undefined) return
    const hello = readHello(this.#first)
    if (hello.kind === 'incomplete' && !late) return
    clearTimeout(this.#late)
    const name = hello.kind === 'tls' ? hello.serverName : undefined
    this.#serving = this.#options.pass(this.#wire.detach(), this.#first, name)
  }
}
