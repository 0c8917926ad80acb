// Strings out of the block of fields that field-scanner.ts has checked, and those that say how the message is framed. Called by
// request-head.ts, response-head.ts and reader.ts (trailers).
import { HttpError } from '../http/error.ts'
import { Headers } from '../http/message.ts'
import { fieldCount, fieldName, fieldSlot, fieldValue, slotKind } from './field-scanner.ts'
import { hasToken, parseLength } from './framing.ts'
import { fieldKind, isAmbiguous } from './names.ts'

/** The fields of one head. `host` and `transfer-encoding` are here and not among the headers. */
export class Collected {
  readonly fields: string[] = []
  host: string | undefined
  contentLength: number | undefined
  chunked = false
  /** All `Connection` fields, joined. */
  connection: string | undefined
  expect: string | undefined
  upgrade: string | undefined
}

/** `text` is the latin1 string of the bytes from `base` on. */
export function collectRequest(bytes: Uint8Array, text: string, base: number): Collected {
  const into = new Collected()
  const count = fieldCount()
  for (let index = 0; index < count; index += 1) {
    const slot = fieldSlot(bytes, index)
    const name = fieldName(slot, index, text, base)
    const value = fieldValue(index, text, base)
    const kind = slotKind(slot)
    if (kind === fieldKind.other) {
      if (slot < 0 && isAmbiguous(name)) {
        throw new HttpError(400, 'field-ambiguous', `${name} is another field to us than to many a server`)
      }
      into.fields.push(name, value)
    } else if (kind === fieldKind.host) {
      if (into.host !== undefined) throw new HttpError(400, 'host', 'two Host fields')
      into.host = value
    } else {
      special(into, kind, name, value)
    }
  }
  return into
}

/** As `collectRequest`; what only means something in a request is passed on as it is. */
export function collectResponse(bytes: Uint8Array, text: string, base: number): Collected {
  const into = new Collected()
  const count = fieldCount()
  for (let index = 0; index < count; index += 1) {
    const slot = fieldSlot(bytes, index)
    const name = fieldName(slot, index, text, base)
    const value = fieldValue(index, text, base)
    const kind = slotKind(slot)
    if (kind >= fieldKind.contentLength && kind <= fieldKind.connection) special(into, kind, name, value)
    else {
      if (kind === fieldKind.upgrade) into.upgrade = into.upgrade === undefined ? value : `${into.upgrade},${value}`
      into.fields.push(name, value)
    }
  }
  return into
}

function special(into: Collected, kind: number, name: string, value: string): void {
  if (kind === fieldKind.transferEncoding) {
    transferEncoding(into, value)
    return
  }
  if (kind === fieldKind.contentLength) contentLength(into, value)
  else if (kind === fieldKind.connection) into.connection = joined(into.connection, value)
  else if (kind === fieldKind.expect) into.expect = joined(into.expect, value)
  else if (kind === fieldKind.upgrade) into.upgrade = joined(into.upgrade, value)
  else if (has(into.fields, name)) throw new HttpError(400, 'field-repeated', `two ${name} fields`)
  into.fields.push(name, value)
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before},${value}`
}

function has(fields: readonly string[], name: string): boolean {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return true
  return false
}

function contentLength(into: Collected, value: string): void {
  if (into.contentLength !== undefined) throw new HttpError(400, 'content-length', 'two Content-Length fields')
  const length = parseLength(value)
  if (length === undefined) throw new HttpError(400, 'content-length', 'Content-Length is no plain number')
  into.contentLength = length
}

/** Codings other than chunked are real, but nobody here can take them off: 501 (RFC 9112 6.1). */
const otherCodings = /^(?:(?:x-)?gzip|deflate|(?:x-)?compress)[\t ]*,[\t ]*chunked$/i

function transferEncoding(into: Collected, value: string): void {
  if (into.chunked) throw new HttpError(400, 'transfer-encoding', 'two Transfer-Encoding fields')
  if (value !== 'chunked' && value.toLowerCase() !== 'chunked') {
    if (otherCodings.test(value)) throw new HttpError(501, 'transfer-encoding', 'only chunked is understood')
    throw new HttpError(400, 'transfer-encoding', 'Transfer-Encoding is not chunked')
  }
  into.chunked = true
}

/** RFC 9112 6.1: both, or an encoding in HTTP/1.0, is how requests are smuggled. */
export function checkFraming(found: Collected, minor: number): void {
  if (!found.chunked) return
  if (found.contentLength !== undefined) {
    throw new HttpError(400, 'framing', 'Content-Length and Transfer-Encoding together')
  }
  if (minor === 0) throw new HttpError(400, 'framing', 'Transfer-Encoding in HTTP/1.0')
}

/** RFC 9112 9.3: 1.1 stays unless told otherwise, 1.0 goes unless told otherwise. */
export function keepsAlive(found: Collected, minor: number): boolean {
  if (found.connection === undefined) return minor === 1
  if (hasToken(found.connection, 'close')) return false
  return minor === 1 || hasToken(found.connection, 'keep-alive')
}

/** What changes how a message is framed, routed, authorized or understood comes too late in a trailer (RFC 9110 6.5.1). */
const notInTrailers = new Set(
  `transfer-encoding content-length host connection keep-alive proxy-connection te trailer upgrade expect max-forwards
  authorization proxy-authorization proxy-authenticate www-authenticate cookie set-cookie content-type content-encoding
  content-range range cache-control pragma if-match if-none-match if-modified-since if-unmodified-since if-range
  location forwarded x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-forwarded-client-cert
  x-real-ip x-request-id baggage traceparent tracestate http2-settings`.split(/\s+/),
)

/** True for a name that no codec lets through in trailers, nor any that a CGI-like server reads as one of those. */
export function isForbiddenTrailer(name: string): boolean {
  return notInTrailers.has(name) || (name.includes('_') && notInTrailers.has(name.replaceAll('_', '-')))
}

/** Undefined where there are none. */
export function collectTrailers(bytes: Uint8Array, text: string, base: number): Headers | undefined {
  const count = fieldCount()
  if (count === 0) return undefined
  const fields: string[] = []
  for (let index = 0; index < count; index += 1) {
    const name = fieldName(fieldSlot(bytes, index), index, text, base)
    if (isForbiddenTrailer(name)) throw new HttpError(400, 'trailer', `${name} in a trailer`)
    fields.push(name, fieldValue(index, text, base))
  }
  return Headers.scanned(fields)
}
