// The `forwarded` header of a CONNECT (RFC 7239, one element): from where the caller connects and which service it addressed.
// Written and read by daemon and waypoint.
import { canonicalAddress, formatSocketAddress, parseSocketAddress, type SocketAddress } from '../net/address.ts'

const maxLength = 1024

/** `for` of the caller, and `host` where the caller addressed a service. */
export function formatForwarded(source: SocketAddress, serviceHostname?: string): string {
  const host = serviceHostname === undefined ? '' : `;host=${serviceHostname}`
  return `for="${formatSocketAddress(source)}"${host}`
}

const hostPattern = /(?:^|;)\s*host=(?:"([a-zA-Z0-9.-]{1,253})"|([a-zA-Z0-9.-]{1,253}))\s*(?:;|$)/i

/** The service that the caller addressed, in lower case. Only for telemetry: a caller can write here what it likes. */
export function forwardedHost(header: string | undefined): string | undefined {
  if (header === undefined || header.length > maxLength) return undefined
  const match = hostPattern.exec(header)
  return match === null ? undefined : (match[1] ?? match[2])?.toLowerCase()
}

/** One parameter; whatever has a `;` or `"` in its text is none. */
const pairPattern = /^\s*([a-z]{1,32})=(?:"([^"\\]*)"|([^"\\\s]*))\s*$/i

/**
 * From where the caller connects, port 0 where none is said. Undefined where that is not one address, said once: what two readers
 * could take for two addresses is none. Worth as much as the peer that sent it.
 */
export function forwardedFor(header: string | undefined): SocketAddress | undefined {
  if (header === undefined || header.length > maxLength || header.includes(',')) return undefined
  let text: string | undefined
  for (const part of header.split(';')) {
    const match = pairPattern.exec(part)
    if (match === null) return undefined
    if (match[1]!.toLowerCase() !== 'for') continue
    if (text !== undefined) return undefined
    text = match[2] ?? match[3] ?? ''
  }
  return text === undefined || text.includes('%') ? undefined : endOf(text)
}

function endOf(text: string): SocketAddress | undefined {
  const end = parseSocketAddress(text)
  if (end !== undefined) return end
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? (text.includes(':') ? '' : text)
  const address = canonicalAddress(bare)
  return address === undefined ? undefined : { address, port: 0 }
}
