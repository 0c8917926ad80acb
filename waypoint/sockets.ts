// The TCP sockets of a waypoint: listeners on its own addresses, connections from them. Handed in by app.ts; tests hand in loopback.
import { createServer, type Server, type Socket } from 'node:net'
import { asMeshError, MeshError } from '../core/base/errors.ts'
import { ports } from '../core/model/ports.ts'
import { familyOf, formatSocketAddress, type SocketAddress } from '../core/net/address.ts'
import { boundSocket, closeDescriptor, tcpListener, tcpSocket } from '../core/net/sys.ts'

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

/** As the daemon's: libuv's own interval of one second would end a quiet connection after ten seconds of an outage. */
const keepAlive = { idleMs: 180_000, intervalMs: 180_000, count: 9 } as const
const backlog = 4096

/** No matter where to: this process, or the machine, has no descriptor left. */
const outOfDescriptors: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE'])

/** The real ones. */
export class HostSockets implements Sockets {
  async listen(address: string, onSocket: (socket: Socket) => void): Promise<Listener> {
    const at = { address, port: ports.hbone }
    try {
      // Shared, so that a successor may listen before its predecessor stops.
      const descriptor = tcpListener({ ...at, reusePort: true, v6Only: true, accepted: { keepAlive } })
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
    try {
      const socket = boundSocket(tcpSocket({ family: familyOf(to.address), ...bind }))
      return await connected(socket, to, signal)
    } catch (error: unknown) {
      throw connectError(to, error)
    }
  }
}

function listening(server: Server, descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      closeDescriptor(descriptor)
      reject(error)
    })
    // `backlog` counts as an argument of its own only: Node ignores the option beside `fd`.
    server.listen({ fd: descriptor }, backlog, () => {
      server.removeAllListeners('error')
      resolve()
    })
  })
}

/** Not `server.close`'s callback, which waits for the connections. */
function closed(server: Server): Promise<void> {
  server.close()
  return Promise.resolve()
}

function connected(socket: Socket, to: SocketAddress, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      socket.removeAllListeners('connect').removeAllListeners('error')
      signal.removeEventListener('abort', abort)
      finish()
    }
    const fail = (error: unknown): void =>
      settle(() => {
        socket.on('error', () => {})
        socket.destroy()
        reject(error)
      })
    const abort = (): void => fail(signal.reason)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    socket.once('error', fail)
    socket.once('connect', () => settle(() => resolve(socket.setNoDelay(true))))
    socket.connect({ host: to.address, port: to.port })
  })
}

function connectError(to: SocketAddress, error: unknown): MeshError {
  if (error instanceof MeshError && error.code !== 'SYSTEM_CALL') return error
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
  const what = code ?? (error instanceof Error ? error.message : String(error))
  const kind = outOfDescriptors.has(code ?? '') ? 'LIMIT_REACHED' : 'CONNECT_FAILED'
  return new MeshError(kind, `${formatSocketAddress(to)}: ${what}`, { cause: error })
}
