// The head of a response: the status line byte by byte, then how its body ends, which the request's method has a say in. Called by
// response-reader.ts, which turns every error into a 502.
import { HttpError } from '../http/error.ts'
import { Headers, type ResponseHead } from '../http/message.ts'
import { type Collected, checkFraming, collectResponse, keepsAlive } from './collect.ts'
import { afterLineEnd, endOfText, incomplete } from './field-scanner.ts'
import { chunkedBody, type Framing, noBody, tunnelled, untilClose } from './framing.ts'

export interface Http1Response extends ResponseHead {
  readonly minorVersion: 0 | 1
  readonly framing: Framing
  /** Whether the connection may carry another request, as far as the head tells. */
  readonly keepAlive: boolean
  /** The `Upgrade` field of a 101. */
  readonly upgrade: string | undefined
}

/** What the reader must know of the request to understand the answer. */
export interface Expected {
  readonly method: string
  /** The request asked for an upgrade: 101 is welcome. */
  readonly upgrade?: boolean
}

const space = 32
const carriageReturn = 13
/** "HTTP/1.1 200". */
const statusLineBytes = 12

let status = 0
let minor: 0 | 1 = 1

/** Index after the status line, or `incomplete`. The reason phrase may be missing with or without its space; it is dropped. */
export function scanStatusLine(bytes: Buffer, from: number, end: number): number {
  if (end - from <= statusLineBytes) return incomplete
  const version = bytes.toString('latin1', from, from + 9)
  if (version !== 'HTTP/1.1 ' && version !== 'HTTP/1.0 ') throw new HttpError(502, 'status-line', 'no HTTP/1 answer')
  minor = version === 'HTTP/1.1 ' ? 1 : 0
  status = digits(bytes, from + 9)
  let at = from + statusLineBytes
  if (bytes[at] === space) at = endOfText(bytes, at, end)
  else if (bytes[at] !== carriageReturn) throw new HttpError(502, 'status-line', 'a status of more than three digits')
  return afterLineEnd(bytes, at, end)
}

function digits(bytes: Buffer, at: number): number {
  let number = 0
  for (let index = at; index < at + 3; index += 1) {
    const digit = bytes[index]! - 48
    if (digit < 0 || digit > 9) throw new HttpError(502, 'status-line', 'the status is no number')
    number = number * 10 + digit
  }
  if (number < 100 || number > 599) throw new HttpError(502, 'status-line', `there is no status ${number}`)
  return number
}

/** After `scanStatusLine` and `scanFields` of the same bytes, which end at `end`. */
export function buildResponse(bytes: Buffer, from: number, end: number, expected: Expected): Http1Response {
  const text = bytes.toString('latin1', from, end)
  const found = collectResponse(bytes, text, from)
  checkFraming(found, minor)
  const framing = framingOf(found, expected)
  return {
    status,
    headers: Headers.scanned(found.fields),
    minorVersion: minor,
    framing,
    keepAlive: keepsAlive(found, minor) && framing.kind !== 'close' && framing.kind !== 'tunnel' && !bodyIsWrong(found),
    upgrade: status === 101 ? found.upgrade : undefined,
  }
}

/** 204 has no body, whatever it says; who says so anyway is likely to send one. */
function bodyIsWrong(found: Collected): boolean {
  return status === 204 && (found.chunked || (found.contentLength ?? 0) > 0)
}

function framingOf(found: Collected, expected: Expected): Framing {
  if (status < 200) return informational(found, expected)
  if (expected.method === 'CONNECT' && status < 300) {
    if (found.chunked || (found.contentLength ?? 0) > 0) throw new HttpError(502, 'framing', 'a tunnel with a length')
    return tunnelled
  }
  if (status === 204) return noBody
  if (expected.method === 'HEAD' || status === 304) {
    return found.contentLength === undefined ? noBody : { kind: 'none', declared: found.contentLength }
  }
  if (found.chunked) return chunkedBody
  return found.contentLength === undefined ? untilClose : { kind: 'length', bytes: found.contentLength }
}

function informational(found: Collected, expected: Expected): Framing {
  if (minor === 0) throw new HttpError(502, 'informational', `${status} in HTTP/1.0`)
  if (found.chunked || (found.contentLength ?? 0) > 0) {
    throw new HttpError(502, 'informational', `${status} with a length`)
  }
  if (status !== 101) return noBody
  if (expected.upgrade !== true) throw new HttpError(502, 'upgrade', '101 that nobody asked for')
  if (found.upgrade?.toLowerCase() !== 'websocket') throw new HttpError(502, 'upgrade', '101 to another protocol')
  return tunnelled
}
