// CIDR prefixes: parsing, and a path-compressed binary trie per address family for longest-prefix lookups. Policy, the
// snapshot and the address allocation use it; keys are canonical addresses (see address.ts).
import { type AddressFamily, addressBytes, addressText, canonicalAddress } from './address.ts'

export interface Cidr {
  /** Canonical, host bits cleared. */
  readonly address: string
  readonly prefix: number
  readonly family: AddressFamily
}

const cidrPattern = /^([0-9a-fA-F:.]+)(?:\/(0|[1-9]\d{0,2}))?$/

/**
 * Parses `10.0.0.0/8`, `2001:db8::/32` or a bare address (/32, /128). Host bits are allowed and cleared. An IPv4-mapped
 * IPv6 prefix of 96 bits or more is the IPv4 prefix that it maps. Undefined where `text` is none of these.
 */
export function parseCidr(text: string): Cidr | undefined {
  const key = parseKey(text)
  if (key === undefined) return undefined
  return { address: addressText(key.bytes), prefix: key.prefix, family: key.bytes.length === 4 ? 'ipv4' : 'ipv6' }
}

interface Key {
  readonly bytes: Uint8Array
  readonly prefix: number
}

function parseKey(text: string): Key | undefined {
  const match = cidrPattern.exec(text)
  if (match === null) return undefined
  const written = match[1]!
  const address = canonicalAddress(written)
  if (address === undefined) return undefined
  const writtenBits = written.includes(':') ? 128 : 32
  const writtenPrefix = match[2] === undefined ? writtenBits : Number(match[2])
  if (writtenPrefix > writtenBits) return undefined
  const bytes = addressBytes(address)
  if (bytes.length * 8 === writtenBits) return masked(bytes, writtenPrefix)
  if (writtenPrefix >= 96) return masked(bytes, writtenPrefix - 96)
  return masked(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes), writtenPrefix)
}

function masked(bytes: Uint8Array, prefix: number): Key {
  for (let index = prefix >> 3; index < bytes.length; index += 1) {
    const keep = Math.max(0, prefix - index * 8)
    bytes[index] = keep >= 8 ? bytes[index]! : bytes[index]! & (0xff00 >> keep) & 0xff
  }
  return { bytes, prefix }
}

interface Node<T> {
  readonly bytes: Uint8Array
  readonly prefix: number
  /** Absent in a node that only branches. */
  held: { readonly value: T } | undefined
  /** Children by the bit after the prefix. */
  zero: Node<T> | undefined
  one: Node<T> | undefined
}

/** A map from prefixes to values, IPv4 and IPv6 apart. Lookups answer with the longest prefix that covers an address. */
export class CidrTrie<T> {
  #ipv4: Node<T> | undefined
  #ipv6: Node<T> | undefined
  #size = 0

  /** Prefixes held. */
  get size(): number {
    return this.#size
  }

  /** Sets the value of a prefix; throws a TypeError where `cidr` is none. */
  insert(cidr: string, value: T): void {
    const key = parseKey(cidr)
    if (key === undefined) throw new TypeError(`not an address or CIDR: ${cidr}`)
    const added = (): void => {
      this.#size += 1
    }
    if (key.bytes.length === 4) this.#ipv4 = insertInto(this.#ipv4, key, value, added)
    else this.#ipv6 = insertInto(this.#ipv6, key, value, added)
  }

  /** Removes exactly this prefix; false where it is not held. */
  remove(cidr: string): boolean {
    const key = parseKey(cidr)
    if (key === undefined) return false
    const before = this.#size
    const removed = (): void => {
      this.#size -= 1
    }
    if (key.bytes.length === 4) this.#ipv4 = removeFrom(this.#ipv4, key, removed)
    else this.#ipv6 = removeFrom(this.#ipv6, key, removed)
    return this.#size < before
  }

  /** The value of the longest prefix that covers the canonical `address`. */
  lookup(address: string): T | undefined {
    return this.#find(address)?.value
  }

  /** Whether any prefix covers the canonical `address`. */
  matches(address: string): boolean {
    return this.#find(address) !== undefined
  }

  #find(address: string): { readonly value: T } | undefined {
    const bytes = addressBytes(address)
    let node = bytes.length === 4 ? this.#ipv4 : this.#ipv6
    let best: { readonly value: T } | undefined
    let known = 0
    while (node !== undefined && commonBits(node.bytes, bytes, node.prefix, known) === node.prefix) {
      best = node.held ?? best
      if (node.prefix === bytes.length * 8) break
      known = node.prefix
      node = bitOf(bytes, node.prefix) === 1 ? node.one : node.zero
    }
    return best
  }
}

function bitOf(bytes: Uint8Array, index: number): 0 | 1 {
  return ((bytes[index >> 3]! >> (7 - (index & 7))) & 1) as 0 | 1
}

/** How many of the first `limit` bits are equal, of which `known` are. */
function commonBits(a: Uint8Array, b: Uint8Array, limit: number, known = 0): number {
  for (let index = known >> 3; index * 8 < limit; index += 1) {
    const difference = a[index]! ^ b[index]!
    if (difference !== 0) return Math.min(limit, index * 8 + Math.clz32(difference) - 24)
  }
  return limit
}

function insertInto<T>(node: Node<T> | undefined, key: Key, value: T, added: () => void): Node<T> {
  const leaf = (): Node<T> => {
    added()
    return { ...key, held: { value }, zero: undefined, one: undefined }
  }
  if (node === undefined) return leaf()
  const common = commonBits(node.bytes, key.bytes, Math.min(node.prefix, key.prefix))
  if (common < node.prefix) {
    const parent = common === key.prefix ? leaf() : branch<T>(key, common)
    attach(parent, node)
    if (common < key.prefix) attach(parent, leaf())
    return parent
  }
  if (node.prefix === key.prefix) {
    if (node.held === undefined) added()
    node.held = { value }
  } else if (bitOf(key.bytes, node.prefix) === 1) node.one = insertInto(node.one, key, value, added)
  else node.zero = insertInto(node.zero, key, value, added)
  return node
}

function branch<T>(key: Key, prefix: number): Node<T> {
  return { ...masked(key.bytes.slice(), prefix), held: undefined, zero: undefined, one: undefined }
}

function attach<T>(parent: Node<T>, child: Node<T>): void {
  if (bitOf(child.bytes, parent.prefix) === 1) parent.one = child
  else parent.zero = child
}

function removeFrom<T>(node: Node<T> | undefined, key: Key, removed: () => void): Node<T> | undefined {
  if (node === undefined || node.prefix > key.prefix) return node
  if (commonBits(node.bytes, key.bytes, node.prefix) < node.prefix) return node
  if (node.prefix === key.prefix) {
    if (node.held !== undefined) removed()
    node.held = undefined
  } else if (bitOf(key.bytes, node.prefix) === 1) node.one = removeFrom(node.one, key, removed)
  else node.zero = removeFrom(node.zero, key, removed)
  if (node.held !== undefined || (node.zero !== undefined && node.one !== undefined)) return node
  return node.zero ?? node.one
}
