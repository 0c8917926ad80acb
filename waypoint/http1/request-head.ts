// The head of a request: the request line byte by byte, then what the fields together mean. Called by request-reader.ts.
import { METHODS } from 'node:http'
import { HttpError } from '../http/error.ts'
import { Headers, type RequestHead } from '../http/message.ts'
import { isAuthority, isHostAndPort } from './authority.ts'
import { type Collected, checkFraming, collectRequest, keepsAlive } from './collect.ts'
import { afterLineEnd, incomplete } from './field-scanner.ts'
import { chunkedBody, type Framing, hasToken, noBody } from './framing.ts'
import { nameBytes } from './names.ts'

export interface Http1Request extends RequestHead {
  readonly minorVersion: 0 | 1
  readonly framing: Framing
  /** Whether the client expects another answer on this connection. */
  readonly keepAlive: boolean
  /** The client waits for 100 before it sends the body. */
  readonly expectContinue: boolean
  /** The one protocol that may take the connection over; every other `Upgrade` is as if it were not there. */
  readonly upgrade: 'websocket' | undefined
}

export interface RequestRules {
  /** What the connection carries. An absolute target with another scheme is refused. */
  readonly scheme: 'http' | 'https'
  /** Stands in for `Host` in HTTP/1.0, where there need be none. Without it such a request is refused. */
  readonly defaultAuthority: string | undefined
  /** Whether CONNECT is let in; otherwise 405. */
  readonly allowConnect: boolean
}

const space = 32
const hash = 35
const longestMethod = 32
/** "HTTP/1.1" and the line end. */
const versionBytes = 8

/** Those that Node knows, too: a method that the far side's parser refuses is better refused here. */
const methods = new Set(METHODS)

/** Byte → 1 where a target may have it: visible ASCII. `#` never goes over the wire (CVE-2021-39156). */
const targetBytes = new Uint8Array(256).fill(1, 0x21, 0x7f)
targetBytes[hash] = 0

let method = ''
let targetStart = 0
let targetEnd = 0
let minor: 0 | 1 = 1

/** Index after the request line, or `incomplete`; `buildRequest` takes the rest from here. */
export function scanRequestLine(bytes: Buffer, from: number, end: number, maxTargetBytes: number): number {
  let at = scanMethod(bytes, from, end)
  if (at === incomplete) return incomplete
  targetStart = at
  const longest = Math.min(end, at + maxTargetBytes + 1)
  while (at < longest && targetBytes[bytes[at]!] === 1) at += 1
  if (at - targetStart > maxTargetBytes) throw new HttpError(414, 'target-too-long', 'the target is too long')
  if (at === end) return incomplete
  if (bytes[at] !== space) throw targetError(bytes[at]!)
  if (at === targetStart) throw new HttpError(400, 'target', 'two spaces after the method')
  targetEnd = at
  return scanVersion(bytes, at + 1, end)
}

function targetError(byte: number): HttpError {
  if (byte === hash) return new HttpError(400, 'target', 'the target has a fragment')
  if (byte === 10 || byte === 13) return new HttpError(400, 'version', 'no version: HTTP/0.9')
  return new HttpError(400, 'target', `the target has the byte 0x${byte.toString(16)}`)
}

function scanMethod(bytes: Buffer, from: number, end: number): number {
  let at = from
  while (at < end && nameBytes[bytes[at]!] !== 0 && at - from < longestMethod) at += 1
  if (at === end) return incomplete
  if (bytes[at] !== space || at === from) {
    throw new HttpError(400, 'method', `the request begins with no method: 0x${bytes[at]!.toString(16)}`)
  }
  const length = at - from
  if (length === 3 && bytes[from] === 71 && bytes[from + 1] === 69 && bytes[from + 2] === 84) method = 'GET'
  else {
    method = bytes.toString('latin1', from, at)
    if (!methods.has(method)) {
      // Methods are told apart by case; one in lower case is rather a mistake than a method of the future.
      throw new HttpError(/^[A-Z-]+$/.test(method) ? 501 : 400, 'method', `the method ${method} is not known`)
    }
  }
  return at + 1
}

function scanVersion(bytes: Buffer, at: number, end: number): number {
  if (end - at < versionBytes + 2) return incomplete
  const last = bytes[at + 7]
  if (
    bytes[at] !== 72 ||
    bytes[at + 1] !== 84 ||
    bytes[at + 2] !== 84 ||
    bytes[at + 3] !== 80 ||
    bytes[at + 4] !== 47 ||
    bytes[at + 5] !== 49 ||
    bytes[at + 6] !== 46 ||
    (last !== 48 && last !== 49)
  ) {
    throw versionError(bytes.toString('latin1', at, at + versionBytes))
  }
  minor = last === 49 ? 1 : 0
  return afterLineEnd(bytes, at + versionBytes, end)
}

function versionError(text: string): HttpError {
  if (/^HTTP\/\d\.\d$/.test(text)) return new HttpError(505, 'version', `${text} is not spoken here`)
  return new HttpError(400, 'version', 'the request line does not end in a version')
}

/** After `scanRequestLine` and `scanFields` of the same bytes, which end at `end`. */
export function buildRequest(bytes: Buffer, from: number, end: number, rules: RequestRules): Http1Request {
  const text = bytes.toString('latin1', from, end)
  const found = collectRequest(bytes, text, from)
  checkFraming(found, minor)
  checkHost(found.host, minor)
  const target = text.substring(targetStart - from, targetEnd - from)
  const host = found.host ?? rules.defaultAuthority
  const head = {
    method,
    scheme: rules.scheme as string,
    authority: '',
    path: target,
    headers: Headers.scanned(found.fields),
    minorVersion: minor,
    framing: framingOf(found),
    keepAlive: keepsAlive(found, minor),
    expectContinue: expectsContinue(found.expect),
    upgrade: upgradeOf(found),
  }
  // A client of HTTP/1.0 does not know 100, so the far side must not wait for it to have been told.
  if (minor === 0 && found.expect !== undefined) head.headers.delete('expect')
  if (method === 'CONNECT') aimConnect(head, target, found, rules)
  else if (target.charCodeAt(0) === 47) head.authority = host ?? ''
  else aim(head, target, host, rules)
  if (head.authority === '') throw new HttpError(400, 'host', 'no Host')
  if (method === 'TRACE' && head.framing.kind !== 'none') throw new HttpError(400, 'framing', 'TRACE with a body')
  return head
}

type Aimed = { -readonly [K in keyof Http1Request]: Http1Request[K] }

function checkHost(host: string | undefined, version: 0 | 1): void {
  if (host === undefined) {
    if (version === 1) throw new HttpError(400, 'host', 'no Host')
  } else if (!isAuthority(host)) throw new HttpError(400, 'host', 'Host is no authority')
}

function framingOf(found: Collected): Framing {
  if (found.chunked) return chunkedBody
  return found.contentLength === undefined ? noBody : { kind: 'length', bytes: found.contentLength }
}

/** HTTP/1.0 knows no 100 (RFC 9110 10.1.1). */
function expectsContinue(expect: string | undefined): boolean {
  if (expect === undefined) return false
  if (expect.toLowerCase() !== '100-continue') throw new HttpError(417, 'expect', 'only 100-continue can be expected')
  return minor === 1
}

function upgradeOf(found: Collected): 'websocket' | undefined {
  const { upgrade, connection } = found
  if (upgrade === undefined || connection === undefined || upgrade.toLowerCase() !== 'websocket') return undefined
  if (minor === 0 || method !== 'GET' || !hasToken(connection, 'upgrade')) return undefined
  // Where the body ends and the other protocol begins would be up to each reader.
  if (found.chunked || (found.contentLength ?? 0) > 0) throw new HttpError(400, 'upgrade', 'an upgrade with a body')
  return 'websocket'
}

const absolute = /^(https?):\/\/([^/?]*)(.*)$/i

/** Absolute form, whose authority counts and not Host's (RFC 9112 3.2.2), or `*`. */
function aim(head: Aimed, target: string, host: string | undefined, rules: RequestRules): void {
  if (target === '*') {
    if (head.method !== 'OPTIONS') throw new HttpError(400, 'target', '* is for OPTIONS')
    head.authority = host ?? ''
    return
  }
  const match = absolute.exec(target)
  if (match === null) throw new HttpError(400, 'target', 'the target is neither a path nor an address')
  const [, scheme = '', authority = '', rest = ''] = match
  if (scheme.toLowerCase() !== rules.scheme) throw new HttpError(400, 'target', `${scheme} over ${rules.scheme}`)
  if (!isAuthority(authority)) throw new HttpError(400, 'target', 'the address in the target is no authority')
  head.authority = authority
  if (rest === '' && head.method === 'OPTIONS') head.path = '*'
  else head.path = rest.startsWith('/') ? rest : `/${rest}`
}

function aimConnect(head: Aimed, target: string, found: Collected, rules: RequestRules): void {
  if (!rules.allowConnect) throw new HttpError(405, 'connect', 'CONNECT is not served here')
  if (!isHostAndPort(target)) throw new HttpError(400, 'target', 'CONNECT to no host and port')
  if (found.chunked || found.contentLength !== undefined) throw new HttpError(400, 'connect', 'CONNECT with a body')
  head.authority = target
  head.path = ''
}
