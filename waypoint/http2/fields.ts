// What fields may look like in HTTP/2 (RFC 9113 8.2) and which mean something to a codec; what goes out of a head. Used by the readers
// of heads here and by upstream/http2.ts.
import type { HeaderField } from '../../core/hbone/h2/hpack-table.ts'
import { Headers } from '../http/message.ts'
import { isForbiddenTrailer } from '../http1/collect.ts'
import { isAmbiguous } from '../http1/names.ts'

export const fieldKind = {
  other: 0,
  cookie: 1,
  host: 2,
  contentLength: 3,
  te: 4,
  expect: 5,
  /** May be there once: who reads the first and who reads the last would see two meanings. */
  single: 6,
  /** Another name to us, the same one to many a backend. */
  ambiguous: 7,
  /** Of the connection (RFC 9113 8.2.2): malformed. */
  connection: 8,
  /** No name. */
  malformed: 9,
} as const

const kinds = new Map<string, number>([
  ['cookie', fieldKind.cookie],
  ['host', fieldKind.host],
  ['content-length', fieldKind.contentLength],
  ['te', fieldKind.te],
  ['expect', fieldKind.expect],
  ['authorization', fieldKind.single],
  ['proxy-authorization', fieldKind.single],
  ['connection', fieldKind.connection],
  ['keep-alive', fieldKind.connection],
  ['proxy-connection', fieldKind.connection],
  ['transfer-encoding', fieldKind.connection],
  ['upgrade', fieldKind.connection],
  ['http2-settings', fieldKind.connection],
])
/** Names that were looked at once are not looked at again. */
const maxLearned = 1_024
const longestLearned = 48
const namePattern = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

export function kindOf(name: string): number {
  return kinds.get(name) ?? learn(name)
}

function learn(name: string): number {
  if (!namePattern.test(name)) return fieldKind.malformed
  const kind = isAmbiguous(name) ? fieldKind.ambiguous : fieldKind.other
  if (kinds.size < maxLearned && name.length <= longestLearned) kinds.set(name, kind)
  return kind
}

/** RFC 9113 8.2.1 and RFC 9110 5.5: no control character but HTAB, no white space at the ends. Characters are bytes. */
export function isValue(value: string): boolean {
  const last = value.length - 1
  if (last < 0) return true
  if (isSpace(value.charCodeAt(0)) || isSpace(value.charCodeAt(last))) return false
  for (let at = 0; at <= last; at += 1) {
    const code = value.charCodeAt(at)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return false
  }
  return true
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** Why they are malformed, or the trailers; undefined where there are none. */
export function readTrailers(fields: readonly HeaderField[], tooLarge: boolean): Headers | string | undefined {
  if (tooLarge) return 'too large'
  if (fields.length === 0) return undefined
  const flat: string[] = []
  for (const [name, value] of fields) {
    if (name.charCodeAt(0) === 0x3a) return 'a pseudo-header field'
    const kind = kindOf(name)
    if (kind >= fieldKind.connection || isForbiddenTrailer(name)) return `${JSON.stringify(name)} does not belong here`
    if (!isValue(value)) return 'a value with forbidden characters'
    flat.push(name, value)
  }
  return Headers.scanned(flat)
}

/** Names that no head of ours has: of a connection, or said in another way. `content-length` comes from the body. */
const own = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'trailer',
  'host',
  'content-length',
])

/**
 * Adds the fields of a head to `list`, which has its pseudo-header fields. `length` is what the body has (or would have, for an answer
 * to HEAD); undefined: not known, or it goes without saying. `dropped` is one name more to leave out.
 */
export function addFields(list: string[], headers: Headers, length: number | undefined, dropped?: string): string[] {
  const { flat } = headers
  let declared = false
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at]!
    if (name === 'content-length') declared = true
    if (own.has(name) || name === dropped || (name === 'te' && flat[at + 1] !== 'trailers')) continue
    list.push(name, flat[at + 1]!)
  }
  if (length !== undefined && (declared || length > 0)) list.push('content-length', String(length))
  return list
}
