// Raw TCP through the waypoint: an endpoint is picked, a connection made, bytes copied until both ends are done. Made by
// client-connection.ts for what is no HTTP.
import type { Duplex } from 'node:stream'
import { timer } from '../core/hbone/limits.ts'
import { type PumpCounters, type PumpResult, pump } from '../core/hbone/pump.ts'
import { release } from '../core/net/read-buffers.ts'
import { isOverflow, type Permit } from './circuit/circuit.ts'
import type { Origin } from './exchange.ts'
import { asFailure, Failure } from './http/failure.ts'
import type { DialEndpoint } from './upstream/dial.ts'
import type { UpstreamTarget } from './upstream/upstream.ts'

export interface TcpOptions {
  readonly origin: Origin
  /** The next endpoint to try, other than those that failed; undefined: none is left. May throw a Failure (denied). */
  readonly pick: (origin: Origin, failed: readonly UpstreamTarget[]) => UpstreamTarget | undefined
  readonly dial: DialEndpoint
  /** Endpoints tried at most. */
  readonly attempts?: number
  /** How an endpoint that `pick` named was to be reached: `failure` where there is no connection. */
  readonly onDialled?: ((failure: Failure | undefined) => void) | undefined
  /** Bytes go from now on. `counters`: live. */
  readonly onOpened?: ((target: UpstreamTarget, counters: PumpCounters) => void) | undefined
  /** It is over. `failure`: there was no connection; else the copy's own result. */
  readonly onClosed?: ((end: TcpEnd) => void) | undefined
}

export interface TcpEnd {
  readonly target: UpstreamTarget | undefined
  readonly failure?: Failure | undefined
  readonly result?: PumpResult | undefined
}

const defaultAttempts = 3

export class TcpConnection {
  readonly protocol = 'tcp'
  readonly #client: Duplex
  readonly #options: TcpOptions
  readonly #abort = new AbortController()

  /** `first`: what was read already. */
  constructor(client: Duplex, first: Buffer, options: TcpOptions) {
    this.#client = client
    this.#options = options
    client.on('error', ignore)
    void this.#run(first)
  }

  /** Bytes have no place where they could stop: it goes on until its ends are done, or `destroy`. */
  drain(): void {}

  destroy(): void {
    this.#abort.abort(new Failure('client', 'the connection was closed by the mesh'))
  }

  async #run(first: Buffer): Promise<void> {
    const client = this.#client
    const gone = () => this.#abort.abort(new Failure('client', 'the client went away'))
    client.once('close', gone)
    let permit: Permit | undefined
    let end: TcpEnd
    try {
      const connected = await this.#connect()
      permit = connected.permit
      client.off('close', gone)
      const counters: PumpCounters = { aToB: first.length, bToA: 0 }
      this.#options.onOpened?.(connected.target, counters)
      if (first.length > 0) connected.stream.write(first)
      const result = await pump(client, connected.stream, { signal: this.#abort.signal, counters })
      end = { target: connected.target, result }
    } catch (error: unknown) {
      release(first)
      client.destroy()
      end = { target: undefined, failure: asFailure(error) }
    }
    permit?.release()
    this.#options.onClosed?.(end)
  }

  async #connect(): Promise<{ stream: Duplex; target: UpstreamTarget; permit: Permit | undefined }> {
    const { origin, pick, attempts = defaultAttempts } = this.#options
    const failed: UpstreamTarget[] = []
    let last = new Failure('no-endpoint', 'no endpoint to connect to')
    while (failed.length < attempts) {
      const target = pick(origin, failed)
      if (target === undefined) break
      const permit = permitFor(target)
      try {
        const stream = await this.#dial(target)
        this.#options.onDialled?.(undefined)
        if (!this.#abort.signal.aborted) return { stream, target, permit }
        stream.destroy()
      } catch (error: unknown) {
        permit?.release()
        last = asFailure(error)
        if (!this.#abort.signal.aborted) this.#options.onDialled?.(last)
        // Policy says the same everywhere.
        if (last.kind === 'denied') throw last
      }
      if (this.#abort.signal.aborted) {
        permit?.release()
        throw asFailure(this.#abort.signal.reason)
      }
      failed.push(target)
    }
    throw last
  }

  async #dial(target: UpstreamTarget): Promise<Duplex> {
    const { origin, dial } = this.#options
    const { signal } = this.#abort
    const { connectTimeoutMs = 0 } = target
    if (connectTimeoutMs === 0) return await dial(origin, target, signal)
    const abort = new AbortController()
    const give = () => abort.abort(signal.reason)
    signal.addEventListener('abort', give, { once: true })
    const late = timer(connectTimeoutMs, () =>
      abort.abort(new Failure('connect', `no connection within ${connectTimeoutMs} ms`)),
    )
    try {
      return await dial(origin, target, abort.signal)
    } finally {
      clearTimeout(late)
      signal.removeEventListener('abort', give)
    }
  }
}

function permitFor({ connections }: UpstreamTarget): Permit | undefined {
  const permit = connections?.connection()
  if (permit === undefined || !isOverflow(permit)) return permit
  throw new Failure('overflow', `the circuit breaker's limit of ${permit.limit} is reached`)
}

function ignore(): void {
  // 'close' follows.
}
