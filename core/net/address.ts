// IP addresses and socket addresses as canonical text: one spelling per address, so that strings can be map keys.
import { isIP, isIPv4, SocketAddress as NodeSocketAddress } from 'node:net'

/** `address` is canonical (see `canonicalAddress`), `port` 0–65535. */
export interface SocketAddress {
  readonly address: string
  readonly port: number
}

export type AddressFamily = 'ipv4' | 'ipv6'

const mappedPrefix = '::ffff:'

/**
 * The one spelling of an address: dotted IPv4, RFC 5952 IPv6, IPv4-mapped IPv6 as IPv4, no zone.
 * Returns undefined where `text` is not an address.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (isIP(text) !== 6) return undefined
  const zone = text.indexOf('%')
  const bare = zone < 0 ? text : text.slice(0, zone)
  const canonical = new NodeSocketAddress({ address: bare, family: 'ipv6' }).address
  if (canonical.startsWith(mappedPrefix) && isIPv4(canonical.slice(mappedPrefix.length))) {
    return canonical.slice(mappedPrefix.length)
  }
  return canonical
}

/** Family of a canonical address. */
export function familyOf(address: string): AddressFamily {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}

/** `1.2.3.4:80` or `[2001:db8::1]:80`. */
export function formatSocketAddress(socket: SocketAddress): string {
  return socket.address.includes(':') ? `[${socket.address}]:${socket.port}` : `${socket.address}:${socket.port}`
}

const authorityPattern = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/

/** Splits `host:port` or `[v6]:port` (RFC 3986 authority without userinfo). The host is not resolved or checked. */
export function splitHostPort(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = authorityPattern.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  if (port > 65535) return undefined
  return { host: (match[1] ?? match[2])!, port }
}

/** Parses `ip:port`; undefined for names, missing ports and anything malformed. */
export function parseSocketAddress(text: string): SocketAddress | undefined {
  const parts = splitHostPort(text)
  if (parts === undefined) return undefined
  const address = canonicalAddress(parts.host)
  return address === undefined ? undefined : { address, port: parts.port }
}

/** 4 or 16 bytes of a canonical address, network order. */
export function addressBytes(address: string): Uint8Array {
  if (!address.includes(':')) return ipv4Bytes(address)
  const bytes = new Uint8Array(16)
  const [head = '', tail] = address.split('::')
  const left = groupsOf(head)
  const right = tail === undefined ? [] : groupsOf(tail)
  left.forEach((group, index) => {
    writeGroup(bytes, index, group)
  })
  right.forEach((group, index) => {
    writeGroup(bytes, 8 - right.length + index, group)
  })
  return bytes
}

/** By hand: every lookup by address begins here. */
function ipv4Bytes(address: string): Uint8Array {
  const bytes = new Uint8Array(4)
  let index = 0
  let part = 0
  for (let at = 0; at < address.length; at += 1) {
    const digit = address.charCodeAt(at) - 48
    if (digit >= 0) part = part * 10 + digit
    else {
      bytes[index] = part
      index += 1
      part = 0
    }
  }
  bytes[index] = part
  return bytes
}

function groupsOf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number)
    return [(a << 8) | b, (c << 8) | d]
  })
}

function writeGroup(bytes: Uint8Array, index: number, group: number): void {
  bytes[index * 2] = group >> 8
  bytes[index * 2 + 1] = group & 0xff
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(address: string): boolean {
  return address === '::1' || (address.startsWith('127.') && !address.includes(':'))
}

/** 169.254.0.0/16, where clouds answer their machines' own questions, and fe80::/10. */
export function isLinkLocal(address: string): boolean {
  return address.startsWith('169.254.') || /^fe[89ab][0-9a-f]:/.test(address)
}

/** Canonical text of 4 or 16 bytes in network order; IPv4-mapped bytes come out as IPv4. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`
  const groups: string[] = []
  for (let index = 0; index < 16; index += 2)
    groups.push((((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0)).toString(16))
  return canonicalAddress(groups.join(':'))!
}
