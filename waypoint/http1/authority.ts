// What may stand in `Host` and in the authority of a target. Called by request-head.ts for what comes in and by writer.ts for what
// a layer made.
import { isIPv6 } from 'node:net'

const pattern = /^(?:[A-Za-z0-9._~-]+|\[([0-9A-Fa-f:.]+)\])(?::(\d{1,5}))?$/

/** One request is much like the one before: most are checked by comparing. */
let lastGood: string | undefined

/**
 * A name, an IPv4 address or an IPv6 address in brackets, with or without a port. Narrower than RFC 3986: no user information, no
 * percent encoding, no sub-delimiters, no colon without a port; nothing that two parsers split in two ways.
 */
export function isAuthority(text: string): boolean {
  if (text === lastGood) return true
  const match = pattern.exec(text)
  if (match === null) return false
  if (match[1] !== undefined && !isIPv6(match[1])) return false
  if (match[2] !== undefined && Number(match[2]) > 65_535) return false
  lastGood = text
  return true
}

/** As `isAuthority`, and with a port, as CONNECT needs it (RFC 9110 9.3.6). */
export function isHostAndPort(text: string): boolean {
  return /:\d+$/.test(text) && isAuthority(text)
}
