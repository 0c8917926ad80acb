// What a reader of HTTP/1.1 called back, as lines that tests compare: data joined, since it comes in the pieces of the reads.
import type { HttpError } from '../../waypoint/http/error.ts'
import type { Headers } from '../../waypoint/http/message.ts'
import type { Framing } from '../../waypoint/http1/framing.ts'
import type { Http1Limits } from '../../waypoint/http1/limits.ts'
import type { MessageReader } from '../../waypoint/http1/reader.ts'
import { RequestReader, type RequestReaderOptions } from '../../waypoint/http1/request-reader.ts'
import type { Expected } from '../../waypoint/http1/response-head.ts'
import { ResponseReader } from '../../waypoint/http1/response-reader.ts'

export function flatText(headers: Headers | undefined): string {
  const parts: string[] = []
  for (const [index, part] of (headers?.flat ?? []).entries()) parts.push(index % 2 === 0 ? `${part}=` : `${part};`)
  return parts.join('')
}

export function framingText(framing: Framing): string {
  if (framing.kind === 'length') return `length ${framing.bytes}`
  return framing.kind === 'none' && framing.declared !== undefined ? `none (${framing.declared})` : framing.kind
}

export class Events {
  readonly lines: string[] = []
  #body = ''

  /** Called before each event; tests pause in it. */
  before: () => void = () => {}

  at(line: string): void {
    this.before()
    this.#flush()
    this.lines.push(line)
  }

  data(chunk: Buffer): void {
    this.before()
    this.#body += chunk.toString('latin1')
  }

  #flush(): void {
    if (this.#body !== '') this.lines.push(`data ${this.#body}`)
    this.#body = ''
  }

  done(): readonly string[] {
    this.#flush()
    return this.lines
  }

  readonly body = {
    onData: (chunk: Buffer) => this.data(chunk),
    onEnd: (trailers: Headers | undefined) => this.at(trailers === undefined ? 'end' : `end ${flatText(trailers)}`),
    onError: (error: HttpError) => this.at(`error ${error.status} ${error.code}`),
  }
}

export function requestReader(events: Events, options: RequestReaderOptions = {}): RequestReader {
  return new RequestReader(
    {
      ...events.body,
      onHead: (head) =>
        events.at(
          [
            `${head.method} ${head.scheme}://${head.authority} ${head.path} 1.${head.minorVersion}`,
            `[${flatText(head.headers)}] ${framingText(head.framing)}`,
            ...(head.keepAlive ? [] : ['close']),
            ...(head.expectContinue ? ['expects'] : []),
            ...(head.upgrade === undefined ? [] : [head.upgrade]),
          ].join(' '),
        ),
    },
    options,
  )
}

export function responseReader(events: Events, limits?: Http1Limits): ResponseReader {
  const headText = (head: { status: number; headers: Headers; framing: Framing; keepAlive: boolean }) =>
    `${head.status} [${flatText(head.headers)}] ${framingText(head.framing)}${head.keepAlive ? '' : ' close'}`
  return new ResponseReader(
    {
      ...events.body,
      onInformational: (head) => events.at(`informational ${headText(head)}`),
      onHead: (head) => events.at(headText(head)),
    },
    limits,
  )
}

/** Events of a connection whose bytes come in `pieces`. */
export function feed(reader: MessageReader, events: Events, pieces: readonly Buffer[], end = false): readonly string[] {
  for (const piece of pieces) reader.push(piece)
  if (end) reader.finish()
  return events.done()
}

export function readRequests(
  pieces: readonly Buffer[],
  options: RequestReaderOptions = {},
  end = false,
): readonly string[] {
  const events = new Events()
  return feed(requestReader(events, options), events, pieces, end)
}

/** One answer to `expected`. */
export function readResponse(pieces: readonly Buffer[], expected: Expected, end = false): readonly string[] {
  const events = new Events()
  const reader = responseReader(events)
  reader.expect(expected)
  return feed(reader, events, pieces, end)
}

/** Each byte on its own. */
export function singleBytes(bytes: Buffer): readonly Buffer[] {
  return [...bytes].map((byte) => Buffer.of(byte))
}

/** Cut at `cuts`, which are shares of the whole in 1/1000. */
export function cutAt(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const places = [0, ...cuts.map((cut) => Math.floor((bytes.length * cut) / 1_000)), bytes.length].sort((a, b) => a - b)
  return places.slice(1).map((to, index) => bytes.subarray(places[index], to))
}
