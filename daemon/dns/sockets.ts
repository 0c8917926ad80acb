// The sockets of a workload's DNS proxy. The server and the forwarder get the interface; the real ones are made inside the
// workload's network namespace and carry the proxy's mark, so that its own rules let the forwarded queries pass.
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server, type Socket as TcpSocket } from 'node:net'
import { MeshError } from '../../core/base/errors.ts'
import { marks } from '../../core/model/ports.ts'
import { type AddressFamily, familyOf, formatSocketAddress, type SocketAddress } from '../../core/net/address.ts'
import {
  boundSocket,
  closeDescriptor,
  deafenUdp,
  type NetworkNamespace,
  tcpListener,
  tcpSocket,
  udpSocket,
} from '../../core/net/sys.ts'

export interface DnsSockets {
  /** A bound socket that receives queries, with others of its kind. Rejects where the address cannot be bound. */
  udp(address: string, port: number): Promise<UdpSocket>
  /** Takes a socket of `udp` out of those that share its address; what is queued can still be read. Throws SYSTEM_CALL. */
  deafen(socket: UdpSocket): void
  /** A listening server without connection handler; half-open connections are allowed. */
  tcp(address: string, port: number): Promise<Server>
  /** A socket on a fresh random port, to be connected to one nameserver. Throws where none can be made. */
  forwardUdp(family: AddressFamily): UdpSocket
  /** Rejects with CONNECT_FAILED, or when `signal` aborts. */
  connectTcp(to: SocketAddress, signal: AbortSignal): Promise<TcpSocket>
}

/** Sockets in the namespace of a workload. The namespace must stay open while they are made. */
export function namespaceDnsSockets(namespace: NetworkNamespace): DnsSockets {
  const bound = { mark: marks.proxy }
  const shared = new Map<UdpSocket, number>()
  return {
    async udp(address, port) {
      const fd = namespace.run(() => udpSocket({ address, port, reusePort: true, ...bound }))
      const socket = bind(familyOf(address), fd)
      shared.set(socket, fd)
      // The number may be another file's by then.
      socket.once('close', () => shared.delete(socket))
      return socket
    },
    deafen(socket) {
      const fd = shared.get(socket)
      const { address, port } = socket.address()
      if (fd !== undefined) deafenUdp(fd, { address, port })
    },
    async tcp(address, port) {
      const fd = namespace.run(() => tcpListener({ address, port, v6Only: true, reusePort: true, ...bound }))
      return await listening(fd)
    },
    forwardUdp(family) {
      const address = family === 'ipv4' ? '0.0.0.0' : '::'
      const fd = namespace.run(() => udpSocket({ address, port: 0, ...bound }))
      return bind(family, fd)
    },
    async connectTcp(to, signal) {
      const fd = namespace.run(() => tcpSocket({ family: familyOf(to.address), ...bound }))
      return await connected(boundSocket(fd), to, signal)
    },
  }
}

/** Binding a descriptor takes effect at once: the socket is ready when this returns. */
function bind(family: AddressFamily, fd: number): UdpSocket {
  const socket = createSocket({ type: family === 'ipv4' ? 'udp4' : 'udp6', ipv6Only: family === 'ipv6' })
  try {
    return socket.bind({ fd })
  } catch (error: unknown) {
    socket.close()
    closeDescriptor(fd)
    throw error
  }
}

function listening(fd: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true })
    server.once('error', (error) => {
      closeDescriptor(fd)
      reject(error)
    })
    server.listen({ fd }, () => {
      server.removeAllListeners('error')
      resolve(server)
    })
  })
}

/** Connects a fresh socket, which is destroyed when that fails or `signal` aborts. */
export function connected(socket: TcpSocket, to: SocketAddress, signal: AbortSignal): Promise<TcpSocket> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      socket.off('connect', onConnect)
      socket.off('error', onError)
      signal.removeEventListener('abort', onAbort)
    }
    const fail = (text: string, cause: unknown) => {
      settle()
      socket.on('error', () => {})
      socket.destroy()
      reject(new MeshError('CONNECT_FAILED', `nameserver ${formatSocketAddress(to)}: ${text}`, { cause }))
    }
    const onConnect = () => {
      settle()
      resolve(socket)
    }
    const onError = (error: Error) => fail(error.message, error)
    const onAbort = () => fail('no connection within the deadline', signal.reason)
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', onConnect)
    socket.once('error', onError)
    socket.connect(to.port, to.address)
  })
}
