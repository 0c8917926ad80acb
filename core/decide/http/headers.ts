// Changes of headers by rules, on the flat list that Node's raw headers are: name, value, name, value, in the order of the wire.
// The waypoint applies them to the request before it goes on and to the response before it goes back.
import type { HeaderChanges } from '../../model/routes.ts'

/**
 * What no rule may change: the framing of the message, the host (a rewrite's matter), and pseudo-headers. The compile step tells
 * the author; here nothing happens.
 */
const fixed: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

export function isChangeable(name: string): boolean {
  return !name.startsWith(':') && !fixed.has(name.toLowerCase())
}

/** Of these each value is a field of its own (RFC 9110 section 5.3). */
const separate: ReadonlySet<string> = new Set(['set-cookie'])

/** @returns `headers` itself where nothing changes */
export function changeHeaders(headers: readonly string[], changes: HeaderChanges | undefined): readonly string[] {
  if (changes === undefined) return headers
  const out = [...headers]
  for (const name of changes.remove) if (isChangeable(name)) remove(out, name.toLowerCase())
  for (const { name, value } of changes.set) if (isChangeable(name)) set(out, name, value)
  for (const { name, value } of changes.add) if (isChangeable(name)) add(out, name, value)
  return out
}

/** Index of the first field of the name at or after `from`, or -1. */
function find(headers: readonly string[], lower: string, from = 0): number {
  for (let index = from; index < headers.length; index += 2) {
    const name = headers[index]!
    if (name.length === lower.length && name.toLowerCase() === lower) return index
  }
  return -1
}

function remove(headers: string[], lower: string, from = 0): void {
  for (let index = find(headers, lower, from); index >= 0; index = find(headers, lower, index)) headers.splice(index, 2)
}

function set(headers: string[], name: string, value: string): void {
  const lower = name.toLowerCase()
  const index = find(headers, lower)
  if (index < 0) {
    headers.push(name, value)
    return
  }
  headers[index + 1] = value
  remove(headers, lower, index + 2)
}

/** Behind the last value that is there already: `old,new` (Gateway API conformance). */
function add(headers: string[], name: string, value: string): void {
  const lower = name.toLowerCase()
  let last = -1
  for (let index = find(headers, lower); index >= 0; index = find(headers, lower, index + 2)) last = index
  if (last < 0 || separate.has(lower)) headers.push(name, value)
  else headers[last + 1] = `${headers[last + 1]},${value}`
}
