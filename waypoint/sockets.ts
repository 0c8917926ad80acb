// The TCP sockets of a waypoint: listeners on its own addresses, connections from them. Handed in by app.ts; tests hand in loopback.
import { createServer, type Server, type Socket } from 'node:net'
import { asMeshError, MeshError } from '../core/base/errors.ts'
import { ports } from '../core/model/ports.ts'
import { familyOf, formatSocketAddress, type SocketAddress } from '../core/net/address.ts'
import { boundSocket, type TcpSocketOptions, tcpListener, tcpSocket } from '../core/net/sys.ts'
import { acceptedKeepAlive, connectError, connectSocket, listening } from '../core/net/tcp.ts'

export interface Listener {
  readonly address: SocketAddress
  /** Takes no more connections; those that it took live on. */
  close(): Promise<void>
}

export interface Sockets {
  /** Takes tunnels at one of its addresses. Rejects with SYSTEM_CALL. */
  listen(address: string, onSocket: (socket: Socket) => void): Promise<Listener>
  /** Connects from one of its own addresses. Rejects with CONNECT_FAILED, LIMIT_REACHED, or with the signal's reason. */
  connect(from: string | undefined, to: SocketAddress, signal: AbortSignal): Promise<Socket>
}

/** The real ones. */
export class HostSockets implements Sockets {
  async listen(address: string, onSocket: (socket: Socket) => void): Promise<Listener> {
    const at = { address, port: ports.hbone }
    try {
      // Shared, so that a successor may listen before its predecessor stops.
      const descriptor = tcpListener({
        ...at,
        reusePort: true,
        v6Only: true,
        accepted: { keepAlive: acceptedKeepAlive },
      })
      const server = createServer({ allowHalfOpen: true }, onSocket)
      await listening(server, descriptor)
      return { address: at, close: () => closed(server) }
    } catch (error: unknown) {
      const text = `cannot take tunnels on ${formatSocketAddress(at)}: ${asMeshError(error, 'SYSTEM_CALL').message}`
      throw new MeshError('SYSTEM_CALL', text, { cause: error })
    }
  }

  async connect(from: string | undefined, to: SocketAddress, signal: AbortSignal): Promise<Socket> {
    const bind = from === undefined ? {} : { bind: { address: from, port: 0 } }
    return await connectSocket(fresh(to, bind), to, signal)
  }
}

/** A failed option or bind is a failed connect. */
function fresh(to: SocketAddress, bind: Pick<TcpSocketOptions, 'bind'>): Socket {
  try {
    return boundSocket(tcpSocket({ family: familyOf(to.address), ...bind }))
  } catch (error: unknown) {
    throw connectError(to, error)
  }
}

/** Not `server.close`'s callback, which waits for the connections. */
function closed(server: Server): Promise<void> {
  server.close()
  return Promise.resolve()
}
