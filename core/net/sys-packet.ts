// AF_PACKET capture: every frame of an interface, through the native boundary like sys.ts. Called by lab/capture in a process
// of its own, which sits in the namespace that it captures. Facts: packet(7), linux/if_packet.h.

import koffi from 'koffi'
import { MeshError } from '../base/errors.ts'
import { callFailed, calls, errnos, lastErrno } from './sys-calls.ts'

const libc = koffi.load(null)
const recv = libc.func('int64_t recv(int fd, void *buffer, size_t length, int flags)')
const poll = libc.func('int poll(void *descriptors, unsigned long count, int timeout)')
const ifNameToIndex = libc.func('unsigned int if_nametoindex(const char *name)')

const AF_PACKET = 17
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const ETH_P_ALL = 3
const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
const SOL_PACKET = 263
const PACKET_ADD_MEMBERSHIP = 1
const PACKET_STATISTICS = 6
const PACKET_MR_PROMISC = 1
const MSG_TRUNC = 0x20
const MSG_DONTWAIT = 0x40
const POLLIN = 1
const receiveBufferBytes = 256 * 1024 * 1024

export interface PacketCounts {
  /** Frames that the socket saw, the dropped ones included. */
  readonly seen: number
  /** Frames lost because nobody read in time: a capture with drops proves nothing. */
  readonly dropped: number
}

/** A socket that sees every frame on one interface of the current network namespace, those for others included. */
export class PacketSocket {
  readonly #fd: number
  readonly #buffer: Buffer
  #seen = 0
  #dropped = 0

  /** Opens the capture. `frameBytes` is the longest frame kept whole. Throws SYSTEM_CALL. */
  constructor(interfaceName: string, frameBytes = 256 * 1024) {
    this.#buffer = Buffer.alloc(frameBytes)
    const index = Number(ifNameToIndex(interfaceName))
    if (index === 0) throw callFailed('if_nametoindex', interfaceName)
    // Protocol 0 first: no frame is queued before the socket is bound to its interface.
    this.#fd = Number(calls.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
    if (this.#fd < 0) throw callFailed('socket AF_PACKET', interfaceName)
    try {
      this.#prepare(interfaceName, index)
    } catch (error: unknown) {
      calls.close(this.#fd)
      throw error
    }
  }

  #prepare(interfaceName: string, index: number): void {
    const size = Buffer.alloc(4)
    size.writeInt32LE(receiveBufferBytes)
    check(calls.setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, size, 4), 'setsockopt SO_RCVBUFFORCE', interfaceName)
    const membership = Buffer.alloc(16) // struct packet_mreq: ifindex, type, alen, address[8]
    membership.writeInt32LE(index, 0)
    membership.writeUInt16LE(PACKET_MR_PROMISC, 4)
    const joined = calls.setsockopt(this.#fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership, membership.length)
    check(joined, 'setsockopt PACKET_ADD_MEMBERSHIP', interfaceName)
    const address = Buffer.alloc(20) // struct sockaddr_ll: family, protocol (network order), ifindex, …
    address.writeUInt16LE(AF_PACKET, 0)
    address.writeUInt16BE(ETH_P_ALL, 2)
    address.writeInt32LE(index, 4)
    check(calls.bind(this.#fd, address, address.length), 'bind AF_PACKET', interfaceName)
  }

  /** Waits up to `timeoutMs` (blocking this thread) until a frame is there. */
  wait(timeoutMs: number): boolean {
    const descriptor = Buffer.alloc(8) // struct pollfd
    descriptor.writeInt32LE(this.#fd, 0)
    descriptor.writeInt16LE(POLLIN, 4)
    return Number(poll(descriptor, 1, timeoutMs)) > 0
  }

  /** The next frame, valid until the next call; undefined where none is waiting. Throws SYSTEM_CALL for a frame too long. */
  read(): Buffer | undefined {
    const length = Number(recv(this.#fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT | MSG_TRUNC))
    if (length < 0) {
      const errno = lastErrno()
      if (errno === errnos.EAGAIN || errno === errnos.EINTR) return undefined
      throw callFailed('recv', 'the packet socket')
    }
    if (length > this.#buffer.length)
      throw new MeshError('SYSTEM_CALL', `a frame of ${length} bytes exceeds the buffer`)
    return this.#buffer.subarray(0, length)
  }

  /** Since the socket was opened (the kernel counts from its last answer). */
  counts(): PacketCounts {
    const statistics = Buffer.alloc(8)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(statistics.length)
    const answer = calls.getsockopt(this.#fd, SOL_PACKET, PACKET_STATISTICS, statistics, length)
    check(answer, 'getsockopt PACKET_STATISTICS', 'the packet socket')
    this.#seen += statistics.readUInt32LE(0)
    this.#dropped += statistics.readUInt32LE(4)
    return { seen: this.#seen, dropped: this.#dropped }
  }

  close(): void {
    calls.close(this.#fd)
  }
}

function check(result: unknown, call: string, subject: string): void {
  if (Number(result) < 0) throw callFailed(call, subject)
}
