// Writes messages for one connection, in either role, out of what layers left of them. Strings and small pieces of bodies are joined,
// so that a head with its body is one buffer and one write; large pieces go as they are. The framing decides what stands on the wire:
// never both kinds of length, never two Hosts, never a byte that ends a line early. Names go out in lower case, as HTTP/2 has them.
import { STATUS_CODES } from 'node:http'
import { release } from '../../core/net/read-buffers.ts'
import { HttpError } from '../http/error.ts'
import type { Headers, RequestHead, ResponseHead } from '../http/message.ts'
import { isAuthority } from './authority.ts'
import { isForbiddenTrailer } from './collect.ts'
import { type Framing, tunnelled } from './framing.ts'

export interface WriteOptions {
  /** What to say in `Connection`. Nothing by default: HTTP/1.1 stays open. */
  readonly connection?: 'close' | 'keep-alive'
  /** The protocol to change to: asks for it in a request, does it in a 101. */
  readonly upgrade?: string
}

/** Above this a piece of a body is not copied. Copying 4 KiB costs less than a second buffer on its way to the kernel. */
const copiedBytes = 4_096

/** Names that come from the framing and from `WriteOptions`, and never from the headers. */
const own = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'upgrade',
  'trailer',
  'http2-settings',
])

const methodPattern = /^[A-Z-]+$/
const targetPattern = /^[\x21\x22\x24-\x7e]+$/

/** One request is much like the one before: most are checked by comparing. */
let lastMethod: string | undefined
let lastTarget: string | undefined

function isRequestLine(method: string, target: string): boolean {
  if (method !== lastMethod) {
    if (!methodPattern.test(method)) return false
    lastMethod = method
  }
  if (target !== lastTarget) {
    if (!targetPattern.test(target)) return false
    lastTarget = target
  }
  return true
}

const statusLines: string[] = []
for (let status = 100; status < 600; status += 1) {
  statusLines[status] = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
}

/** Takes a batch: one or more buffers that belong on the wire in this order, to be released when they are gone. */
export type Sink = (buffers: readonly Buffer[]) => void

/**
 * One message after the other: head, `data`…, `end`. Nothing reaches the sink before `flush`, which the owner calls once for all
 * that it wrote in one turn. Pieces given to `data` are the writer's: it releases what it has copied.
 */
export class MessageWriter {
  readonly #sink: Sink
  #text = ''
  #parts: (string | Buffer)[] = []
  #framing: Framing | undefined
  #left = 0

  constructor(sink: Sink) {
    this.#sink = sink
  }

  /** Bytes that wait for `flush`, not counting the framing of chunks. */
  get waiting(): boolean {
    return this.#text !== '' || this.#parts.length > 0
  }

  /** Throws HttpError `unsendable` where a layer made a method, path or authority that cannot be sent; nothing is written then. */
  request(head: RequestHead, framing: Framing, options: WriteOptions = {}): void {
    const connect = head.method === 'CONNECT'
    const target = connect ? head.authority : head.path
    const first = head.path.charCodeAt(0)
    const proper = connect || first === 47 || (head.path === '*' && head.method === 'OPTIONS')
    if (!proper || !isRequestLine(head.method, target)) throw unsendable('the request line')
    if (!isAuthority(head.authority)) throw unsendable('the authority')
    if (framing.kind === 'close') throw new Error('a request cannot end with its connection')
    const rest = `${fieldLines(head.headers)}${lastLines(framing, head.headers, options)}`
    this.#begin(framing)
    this.#text += `${head.method} ${target} HTTP/1.1\r\nhost: ${head.authority}\r\n${rest}`
  }

  /** A final answer, a 101, or an informational one (`framing` none; the final one follows). */
  response(head: ResponseHead, framing: Framing, options: WriteOptions = {}): void {
    const line = statusLines[head.status]
    if (line === undefined) throw unsendable(`the status ${head.status}`)
    const bodiless = head.status < 200 || head.status === 204 || head.status === 304
    if (bodiless && framing.kind !== 'none' && framing.kind !== 'tunnel') throw unsendable(`a body of a ${head.status}`)
    const silent = head.status < 200 || head.status === 204
    const last = lastLines(silent ? bare : framing, head.headers, options)
    this.#begin(head.status < 200 && head.status !== 101 ? undefined : framing)
    this.#text += `${line}${fieldLines(head.headers)}${last}`
  }

  /** A piece of the body. Throws HttpError `body-length` where it is more than the length said: the connection is lost. */
  data(chunk: Buffer): void {
    if (chunk.length === 0) return
    const framing = this.#framing
    if (framing === undefined || framing.kind === 'none')
      throw new HttpError(502, 'body-length', 'a body without framing')
    if (framing.kind === 'length') {
      if (chunk.length > this.#left) throw new HttpError(502, 'body-length', 'more body than its length')
      this.#left -= chunk.length
    }
    if (framing.kind !== 'chunked') {
      this.#push(chunk)
      return
    }
    this.#text += `${chunk.length.toString(16)}\r\n`
    this.#push(chunk)
    this.#text += '\r\n'
  }

  /** After a request that was answered with 101: everything from here on goes out as it is. */
  tunnel(): void {
    this.#begin(tunnelled)
  }

  /** Trailers only go out with a chunked body; elsewhere there is no place for them and they are dropped (RFC 9110 6.5). */
  end(trailers?: Headers): void {
    const framing = this.#framing
    this.#framing = undefined
    if (framing === undefined) throw new HttpError(502, 'body-length', 'an end without a head')
    if (framing.kind === 'length' && this.#left > 0) {
      throw new HttpError(502, 'body-length', 'less body than its length')
    }
    if (framing.kind === 'chunked')
      this.#text += trailers === undefined ? '0\r\n\r\n' : `0\r\n${trailerLines(trailers)}\r\n`
  }

  /** Hands over all that was written since the last time. */
  flush(): void {
    if (!this.waiting) return
    if (this.#parts.length === 0) {
      const text = this.#text
      this.#text = ''
      this.#sink([Buffer.from(text, 'latin1')])
      return
    }
    const parts = this.#parts
    if (this.#text !== '') parts.push(this.#text)
    this.#text = ''
    this.#parts = []
    this.#sink(joinedParts(parts))
  }

  #begin(framing: Framing | undefined): void {
    if (this.#framing !== undefined) throw new Error('the message before has no end')
    this.#framing = framing
    this.#left = framing?.kind === 'length' ? framing.bytes : 0
  }

  #push(chunk: Buffer): void {
    if (this.#text !== '') this.#parts.push(this.#text)
    this.#text = ''
    this.#parts.push(chunk)
  }
}

const bare: Framing = { kind: 'none' }

function unsendable(what: string): HttpError {
  return new HttpError(500, 'unsendable', `${what} cannot be sent over HTTP/1.1`)
}

function fieldLines({ list, flat }: Headers): string {
  if (list === undefined) return linesOf(flat)
  list.lines ??= linesOf(list.flat)
  return list.lines
}

function linesOf(flat: readonly string[]): string {
  let text = ''
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at]!
    if (own.has(name)) continue
    text += `${name}: ${flat[at + 1]}\r\n`
  }
  return text
}

function trailerLines(trailers: Headers): string {
  const flat = trailers.flat
  let text = ''
  for (let at = 0; at < flat.length; at += 2) {
    if (!isForbiddenTrailer(flat[at]!)) text += `${flat[at]}: ${flat[at + 1]}\r\n`
  }
  return text
}

/** Framing, `Connection` and the empty line. `TE` needs to be nominated (RFC 9110 10.1.4). */
function lastLines(framing: Framing, headers: Headers, options: WriteOptions): string {
  let text = ''
  if (framing.kind === 'length') text = `content-length: ${framing.bytes}\r\n`
  else if (framing.kind === 'chunked') text = 'transfer-encoding: chunked\r\n'
  else if (framing.kind === 'none' && framing.declared !== undefined) text = `content-length: ${framing.declared}\r\n`
  const { connection, upgrade } = options
  const te = headers.has('te')
  if (connection === undefined && upgrade === undefined && !te) return `${text}\r\n`
  const said: string[] = []
  if (connection !== undefined) said.push(connection)
  if (te) said.push('te')
  if (upgrade === undefined) return `${text}connection: ${said.join(', ')}\r\n\r\n`
  if (!/^[A-Za-z0-9/.-]+$/.test(upgrade)) throw unsendable('the protocol of the upgrade')
  return `${text}connection: ${[...said, 'upgrade'].join(', ')}\r\nupgrade: ${upgrade}\r\n\r\n`
}

/** Neighbours that are small become one buffer, large pieces stay what they are. */
function joinedParts(parts: readonly (string | Buffer)[]): Buffer[] {
  const buffers: Buffer[] = []
  let from = 0
  while (from < parts.length) {
    const first = parts[from]!
    if (isLarge(first)) {
      buffers.push(first)
      from += 1
      continue
    }
    let to = from
    let bytes = 0
    for (; to < parts.length && !isLarge(parts[to]!); to += 1) bytes += parts[to]!.length
    buffers.push(joinedSmall(parts, from, to, bytes))
    from = to
  }
  return buffers
}

function isLarge(part: string | Buffer): part is Buffer {
  return typeof part !== 'string' && part.length > copiedBytes
}

function joinedSmall(parts: readonly (string | Buffer)[], from: number, to: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes)
  let at = 0
  for (let index = from; index < to; index += 1) {
    const part = parts[index]!
    if (typeof part === 'string') at += buffer.write(part, at, 'latin1')
    else {
      buffer.set(part, at)
      at += part.length
      release(part)
    }
  }
  return buffer
}
