// What makes a header list of a tunnel malformed (RFC 9113 8.2, 8.3). Called by session.ts for every list that comes in.
import type { HeaderField } from './hpack-table.ts'

const requestPseudo: ReadonlySet<string> = new Set([':method', ':scheme', ':authority', ':path'])
const responsePseudo: ReadonlySet<string> = new Set([':status'])
const connectionSpecific: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])
const nameCharacters = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
const badValue = /[\0\r\n]|^[\t ]|[\t ]$/

/** Why the list is malformed, or undefined. */
export function checkFields(fields: readonly HeaderField[], kind: 'request' | 'response'): string | undefined {
  const pseudo = kind === 'request' ? requestPseudo : responsePseudo
  const seen = new Map<string, string>()
  let regular = false
  for (const [name, value] of fields) {
    if (badValue.test(value)) return 'a header value with forbidden characters'
    if (!name.startsWith(':')) {
      regular = true
      const problem = checkRegular(name, value)
      if (problem !== undefined) return problem
    } else if (regular) return 'a pseudo-header after a header'
    else if (!pseudo.has(name)) return 'a pseudo-header that does not belong here'
    else if (seen.has(name)) return 'a pseudo-header twice'
    else seen.set(name, value)
  }
  if (kind === 'request') return checkRequest(seen)
  return seen.has(':status') ? undefined : 'no :status'
}

/** RFC 9113 8.3.1 and 8.5: CONNECT has an authority and neither scheme nor path, every other request has both. */
function checkRequest(pseudo: ReadonlyMap<string, string>): string | undefined {
  const method = pseudo.get(':method')
  if (method === undefined) return 'no :method'
  const located = pseudo.has(':scheme') && pseudo.has(':path')
  if (method !== 'CONNECT') return located ? undefined : 'no :scheme or :path'
  if (pseudo.has(':scheme') || pseudo.has(':path')) return 'CONNECT with a scheme or path'
  return (pseudo.get(':authority') ?? '') === '' ? 'CONNECT without an authority' : undefined
}

/** Trailers have no pseudo-headers; what they say is of no interest here. */
export function checkTrailers(fields: readonly HeaderField[]): boolean {
  return fields.every(([name, value]) => !badValue.test(value) && checkRegular(name, value) === undefined)
}

function checkRegular(name: string, value: string): string | undefined {
  if (!nameCharacters.test(name)) return 'a header name with forbidden characters'
  if (connectionSpecific.has(name) || (name === 'te' && value !== 'trailers')) return 'a header of the connection'
  return undefined
}

/** Whether a value can go out as it is; one byte per character. */
export function isSendable(value: string): boolean {
  return /^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/.test(value)
}
