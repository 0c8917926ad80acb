// Names of fields as the scanner meets them: which bytes a name may have, one string for each well-known name (no allocation, and
// comparing it is comparing pointers), and which names mean something to the framing. Used by field-scanner.ts and the heads.

/** Byte → the byte in lower case where a name may have it (RFC 9110 5.6.2), otherwise 0. */
export const nameBytes = new Uint8Array(256)
for (const character of "!#$%&'*+.^_`|~-0123456789abcdefghijklmnopqrstuvwxyz") {
  nameBytes[character.charCodeAt(0)] = character.charCodeAt(0)
  nameBytes[character.toUpperCase().charCodeAt(0)] = character.charCodeAt(0)
}

/** What a codec must look at. 0 is every other name. */
export const fieldKind = {
  other: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  expect: 5,
  upgrade: 6,
  /** May be there once: who reads the first and who reads the last would see two meanings. */
  single: 7,
} as const

const kinds: Readonly<Record<string, number>> = {
  host: fieldKind.host,
  'content-length': fieldKind.contentLength,
  'transfer-encoding': fieldKind.transferEncoding,
  connection: fieldKind.connection,
  expect: fieldKind.expect,
  upgrade: fieldKind.upgrade,
  authorization: fieldKind.single,
  'proxy-authorization': fieldKind.single,
}

const ordinary = `accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials
  access-control-allow-headers access-control-allow-methods access-control-allow-origin access-control-expose-headers
  access-control-max-age access-control-request-headers access-control-request-method age allow alt-svc b3 baggage
  cache-control content-disposition content-encoding content-language content-location content-range
  content-security-policy content-type cookie date etag expires forwarded from grpc-accept-encoding grpc-encoding
  grpc-message grpc-status grpc-status-details-bin grpc-timeout http2-settings if-match if-modified-since if-none-match
  if-range if-unmodified-since keep-alive last-modified link location origin pragma priority proxy-connection range
  referer retry-after sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site
  sec-fetch-user sec-websocket-accept sec-websocket-extensions sec-websocket-key sec-websocket-protocol
  sec-websocket-version server server-timing set-cookie strict-transport-security te traceparent tracestate trailer
  upgrade-insecure-requests user-agent vary via www-authenticate x-b3-flags x-b3-parentspanid x-b3-sampled x-b3-spanid
  x-b3-traceid x-content-type-options x-forwarded-client-cert x-forwarded-for x-forwarded-host x-forwarded-port
  x-forwarded-proto x-frame-options x-powered-by x-real-ip x-request-id x-requested-with x-xss-protection`.split(/\s+/)

/** Names whose meaning the mesh or a framing hangs on. `content_length` is another name to us, the same one to many a backend. */
const meaningful = new Set(
  `${Object.keys(kinds).join(' ')} te trailer keep-alive proxy-connection cookie forwarded x-forwarded-for
  x-forwarded-host x-forwarded-port x-forwarded-proto x-forwarded-client-cert x-real-ip x-request-id x-b3-traceid
  x-b3-spanid x-b3-parentspanid x-b3-sampled x-b3-flags content-type grpc-timeout http2-settings`.split(/\s+/),
)

/** True for a name that CGI-like backends read as one of the meaningful ones. */
export function isAmbiguous(name: string): boolean {
  return name.includes('_') && meaningful.has(name.replaceAll('_', '-'))
}

const slots = 1_024
const known: (string | undefined)[] = new Array(slots).fill(undefined)
const knownKinds = new Uint8Array(slots)
/** The bytes of the names side by side, and their lengths: faster to compare than characters of strings. */
const longestName = 40
const knownBytes = new Uint8Array(slots * longestName)
const knownLengths = new Uint8Array(slots)

/** One step of the hash of a name, over its bytes in lower case. */
export function hashed(hash: number, byte: number): number {
  return (Math.imul(hash, 31) + byte) | 0
}

/** Two names in one slot: the first stays and the other is simply not well-known. A name with a kind is never the other one. */
function remember(name: string): void {
  let hash = 0
  for (let at = 0; at < name.length; at += 1) hash = hashed(hash, name.charCodeAt(at))
  const slot = slotOf(hash)
  if (known[slot] !== undefined) {
    if (kinds[name] !== undefined) throw new Error(`the slot of ${name} is taken by ${known[slot]}`)
    return
  }
  if (name.length > longestName) throw new Error(`${name} is too long to be well-known`)
  known[slot] = name
  knownLengths[slot] = name.length
  for (let at = 0; at < name.length; at += 1) knownBytes[slot * longestName + at] = name.charCodeAt(at)
  knownKinds[slot] = kinds[name] ?? fieldKind.other
}

function slotOf(hash: number): number {
  return (hash ^ (hash >>> 10)) & (slots - 1)
}

for (const name of [...Object.keys(kinds), ...ordinary]) remember(name)

/** The slot of the well-known name that these bytes spell, in whatever case; -1 for another name. */
export function knownSlot(bytes: Uint8Array, start: number, end: number, hash: number): number {
  const slot = slotOf(hash)
  const length = end - start
  if (knownLengths[slot] !== length) return -1
  const first = slot * longestName
  for (let at = 0; at < length; at += 1) if (nameBytes[bytes[start + at]!] !== knownBytes[first + at]) return -1
  return slot
}

export function knownName(slot: number): string {
  return known[slot]!
}

export function kindOf(slot: number): number {
  return knownKinds[slot]!
}
