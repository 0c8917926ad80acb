// The addresses of a connected socket as the kernel knows them: its two ends, and where it was going before it was redirected.
// Asked for every connection that is accepted, so past the objects and texts that Node makes of them.
import type { Socket } from 'node:net'
import type { SocketAddress } from './address.ts'
import { descriptorOf } from './sys.ts'
import { callFailed, calls, errnos, lastErrno, numbers, systemCallError } from './sys-calls.ts'
import { decodeSocketAddress, isMappedAddress } from './sys-encoding.ts'

const addressBuffer = Buffer.alloc(28)
const lengthBuffer = Buffer.alloc(4)

/** The other end of a TCP socket; undefined once it is gone. */
export function remoteEnd(socket: Socket): SocketAddress | undefined {
  return endOf(socket, calls.getpeername)
}

/** This end of a TCP socket; undefined once it is closed. */
export function localEnd(socket: Socket): SocketAddress | undefined {
  return endOf(socket, calls.getsockname)
}

function endOf(socket: Socket, call: typeof calls.getsockname): SocketAddress | undefined {
  const fd = descriptorIfOpen(socket)
  if (fd === undefined) return undefined
  lengthBuffer.writeUInt32LE(addressBuffer.length)
  return call(fd, addressBuffer, lengthBuffer) === 0 ? decodeSocketAddress(addressBuffer) : undefined
}

/**
 * Where a redirected connection was going before iptables REDIRECT; for one that was not redirected, its own local address,
 * which the caller recognizes. Undefined where connection tracking does not know it or the socket is closed.
 */
export function originalDestination(socket: Socket | number): SocketAddress | undefined {
  const fd = typeof socket === 'number' ? socket : descriptorIfOpen(socket)
  if (fd === undefined) return undefined
  lengthBuffer.writeUInt32LE(addressBuffer.length)
  if (calls.getsockname(fd, addressBuffer, lengthBuffer) !== 0) throw callFailed('getsockname', `on ${fd}`)
  const level = isMappedAddress(addressBuffer) ? numbers.SOL_IP : numbers.SOL_IPV6
  lengthBuffer.writeUInt32LE(addressBuffer.length)
  if (calls.getsockopt(fd, level, numbers.SO_ORIGINAL_DST, addressBuffer, lengthBuffer) === 0) {
    return decodeSocketAddress(addressBuffer)
  }
  const errno = lastErrno()
  if (errno === errnos.ENOENT || errno === errnos.ENOPROTOOPT || errno === errnos.ENOTCONN) return undefined
  throw systemCallError('getsockopt SO_ORIGINAL_DST', `on ${fd}`, errno)
}

function descriptorIfOpen(socket: Socket): number | undefined {
  return socket.destroyed ? undefined : descriptorOf(socket)
}
