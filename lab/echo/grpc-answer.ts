// One gRPC call from the server's side: its messages in, its messages, status and trailers out. Used by grpc.ts.
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { echoSetHeaders, readFields } from './answer.ts'
import { Deframer, frame } from './protobuf.ts'

export const status = {
  ok: 0,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  resourceExhausted: 8,
  unimplemented: 12,
} as const

const maximumMessageBytes = 4 * 1024 * 1024
const contentType = 'application/grpc+proto'

const timeoutUnits: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 }

/** `grpc-timeout` in milliseconds; undefined where there is none. */
export function deadlineMs(header: string | readonly string[] | undefined): number | undefined {
  const found = /^(\d{1,8})([HMSmun])$/.exec(String(header ?? ''))
  return found === null ? undefined : Number(found[1]) * timeoutUnits[found[2]!]!
}

export class GrpcAnswer {
  readonly #request: Http2ServerRequest
  readonly #response: Http2ServerResponse
  #begun = false
  #ended = false

  constructor(request: Http2ServerRequest, response: Http2ServerResponse) {
    this.#request = request
    this.#response = response
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Ends the call with DEADLINE_EXCEEDED when the time is up; disposed of with the call. */
  expireAfter(ms: number | undefined): Disposable {
    if (ms === undefined) return { [Symbol.dispose]: () => {} }
    const timer = setTimeout(() => this.end(status.deadlineExceeded, 'the deadline of the call is over'), ms)
    return { [Symbol.dispose]: () => clearTimeout(timer) }
  }

  /** The caller's messages. Ends the call where one is too large, or where the caller leaves half of one. */
  async *messages(): AsyncGenerator<Buffer> {
    const deframer = new Deframer(maximumMessageBytes)
    try {
      for await (const chunk of this.#request as AsyncIterable<Buffer>) yield* deframer.push(chunk)
    } catch (error: unknown) {
      if (error instanceof RangeError) this.end(status.resourceExhausted, error.message)
      else throw error
    }
  }

  /** Sends the initial metadata. */
  begin(): void {
    if (this.#begun || this.#ended) return
    this.#begun = true
    this.#response.writeHead(200, { 'content-type': contentType, ...this.#initial() })
  }

  /** Resolves when the caller has room for the next one; at once when the call is over. */
  async send(message: Buffer): Promise<void> {
    this.begin()
    if (this.#ended || this.#request.stream.destroyed) return
    if (this.#response.write(frame(message))) return
    await new Promise<void>((resolve) => {
      this.#response.once('drain', resolve)
      this.#response.once('close', resolve)
    })
  }

  /** Only the first status counts. Where nothing was sent yet it goes out with the headers (Trailers-Only). */
  end(code: number, message: string): void {
    const { stream } = this.#request
    if (this.#ended || stream.destroyed) return
    this.#ended = true
    const text = message === '' ? {} : { 'grpc-message': encodeURIComponent(message) }
    const trailers = { 'grpc-status': String(code), ...text, ...this.#trailers() }
    if (this.#begun) {
      this.#response.addTrailers(trailers)
      this.#response.end()
    } else stream.respond({ 'content-type': contentType, ...this.#initial(), ...trailers }, { endStream: true })
  }

  /** Somebody else ends the call. */
  abandon(): void {
    this.#ended = true
  }

  /** An answer that is no gRPC at all, as of a proxy in between. */
  plain(code: number): void {
    this.#ended = true
    this.#response.writeHead(code, { 'content-type': 'text/plain' })
    this.#response.end(`status ${code}\n`)
  }

  #initial(): Readonly<Record<string, string>> {
    return lowerCase(echoSetHeaders(this.#request.headers))
  }

  #trailers(): Readonly<Record<string, string>> {
    return lowerCase(readFields(String(this.#request.headers['x-echo-trailer'] ?? '')))
  }
}

function lowerCase(fields: readonly (readonly [string, string])[]): Readonly<Record<string, string>> {
  return Object.fromEntries(fields.map(([name, value]) => [name.toLowerCase(), value]))
}
