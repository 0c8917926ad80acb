// The byte layouts that system calls want: struct sockaddr_in and sockaddr_in6, and C integers. Used by sys.ts only. Pure.
// Linux on x64 and arm64: little endian, port and address in network order.
import { addressBytes, addressText, familyOf, type SocketAddress } from './address.ts'
import { numbers } from './sys-calls.ts'

/** A C `int`. */
export function wordOf(value: number): Buffer {
  const word = Buffer.alloc(4)
  word.writeInt32LE(value | 0)
  return word
}

/** The `int` 1 that turns an option on. */
export const flagOn: Uint8Array = wordOf(1)

/** struct sockaddr_in (16 bytes) or sockaddr_in6 (28 bytes). */
export function encodeSocketAddress(socket: SocketAddress): Buffer {
  const bytes = addressBytes(socket.address)
  const ipv4 = familyOf(socket.address) === 'ipv4'
  const encoded = Buffer.alloc(ipv4 ? 16 : 28)
  encoded.writeUInt16LE(ipv4 ? numbers.AF_INET : numbers.AF_INET6, 0)
  encoded.writeUInt16BE(socket.port, 2)
  encoded.set(bytes, ipv4 ? 4 : 8)
  return encoded
}

/** Undefined for any other family. An IPv4-mapped IPv6 address comes out as IPv4. */
export function decodeSocketAddress(encoded: Buffer): SocketAddress | undefined {
  const family = encoded.readUInt16LE(0)
  if (family === numbers.AF_INET) return { address: addressText(encoded.subarray(4, 8)), port: encoded.readUInt16BE(2) }
  if (family === numbers.AF_INET6)
    return { address: addressText(encoded.subarray(8, 24)), port: encoded.readUInt16BE(2) }
  return undefined
}

const mappedPrefix = Buffer.from('00000000000000000000ffff', 'hex')

/** Whether a sockaddr speaks IPv4: AF_INET, or an IPv4-mapped address of a dual-stack socket. */
export function isMappedAddress(encoded: Buffer): boolean {
  const family = encoded.readUInt16LE(0)
  return family === numbers.AF_INET || (family === numbers.AF_INET6 && mappedPrefix.equals(encoded.subarray(8, 20)))
}
