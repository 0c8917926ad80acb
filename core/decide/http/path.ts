// The path of a request as policy, routing and forwarding see it: normalised once, here, and the same bytes everywhere after.
// Semantics: Istio's pathNormalization (NONE, BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES). Asked for every request.

export type PathNormalization = 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES'

export type NormalPath =
  /** `query` has no `?`; undefined where the target has none, empty where it ends in one. */
  | { readonly path: string; readonly query: string | undefined }
  /** To be answered with 400. */
  | { readonly rejected: string }

/** @param target `:path` or the request target in origin form; `*` is for OPTIONS, which the caller knows */
export function normalizePath(target: string, mode: PathNormalization = 'BASE'): NormalPath {
  const fragment = target.indexOf('#')
  const whole = fragment < 0 ? target : target.slice(0, fragment)
  const mark = whole.indexOf('?')
  const path = mark < 0 ? whole : whole.slice(0, mark)
  const query = mark < 0 ? undefined : whole.slice(mark + 1)
  if (path.charCodeAt(0) !== slash) {
    return path === '*' && query === undefined ? { path, query } : { rejected: 'the path does not begin with "/"' }
  }
  if (path.includes('%00') || path.includes('\0')) return { rejected: 'the path has a NUL' }
  return { path: mode === 'NONE' ? path : normalized(path, mode), query }
}

const slash = 0x2f
const dot = 0x2e
const percent = 0x25
const backslash = 0x5c

function normalized(path: string, mode: PathNormalization): string {
  const merge = mode !== 'BASE'
  if (isNormal(path, merge)) return path
  const separated = mode === 'DECODE_AND_MERGE_SLASHES' ? path.replace(/%2f|%5c/gi, '/') : path
  const segments = decodeUnreserved(separated).replaceAll('\\', '/').split('/')
  const kept = withoutDots(segments)
  const joined = `/${kept.join('/')}`
  return merge ? joined.replace(/\/{2,}/g, '/') : joined
}

/** Nothing in the path that any step would change. */
function isNormal(path: string, merge: boolean): boolean {
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at)
    if (code === percent || code === backslash) return false
    if (code !== slash) continue
    const next = path.charCodeAt(at + 1)
    if (next === dot || (merge && next === slash)) return false
  }
  return true
}

const unreserved = /[A-Za-z0-9._~-]/

/**
 * Escapes of characters that need none become those characters. A `%` that begins no escape stays, and what stands right behind it
 * is not decoded: `%%32e` must not become `%2e`, which the next reader would decode once more.
 */
function decodeUnreserved(path: string): string {
  let out = ''
  let frozen = -1
  for (let at = 0; at < path.length; ) {
    const isEscape = path.charCodeAt(at) === percent && isHexPair(path, at + 1)
    if (!isEscape) {
      if (path.charCodeAt(at) === percent) frozen = out.length + 2
      out += path[at]
      at += 1
      continue
    }
    const text = path.slice(at, at + 3)
    const character = String.fromCharCode(Number.parseInt(text.slice(1), 16))
    out += unreserved.test(character) && out.length > frozen ? character : text
    at += 3
  }
  return out
}

function isHexPair(path: string, at: number): boolean {
  return /^[0-9A-Fa-f]{2}$/.test(path.slice(at, at + 2))
}

/** RFC 3986 section 5.2.4; empty segments are segments. `segments[0]` is what stands before the first slash. */
function withoutDots(segments: readonly string[]): readonly string[] {
  const kept: string[] = []
  const last = segments.length - 1
  for (let index = 1; index <= last; index++) {
    const segment = segments[index]!
    if (segment !== '.' && segment !== '..') {
      kept.push(segment)
      continue
    }
    if (segment === '..') kept.pop()
    // a path that ends in a dot segment ends in a slash
    if (index === last) kept.push('')
  }
  return kept
}

/** The last rule before a path is written to the wire, for rewrites: never two slashes in front, which reads as an authority. */
export function withLeadingSlash(path: string): string {
  return path.charCodeAt(0) === slash ? path : `/${path}`
}
