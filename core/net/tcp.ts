// What every TCP socket of the data planes has in common, whoever made its descriptor: how it listens, how it connects, what a failure
// means to an operator. Called by the sockets of the daemon and of the waypoint.
import type { Server, Socket } from 'node:net'
import type { CancelSignal } from '../base/cancel.ts'
import { MeshError } from '../base/errors.ts'
import { formatSocketAddress, type SocketAddress } from './address.ts'
import { closeDescriptor } from './sys.ts'

/** As ztunnel. libuv's own interval of one second would end a quiet connection after ten seconds of an outage. */
const keepAlive = { enable: true, initialDelay: 180_000, interval: 180_000, count: 9 } as const
/** The same for sockets that a listener accepts (sys.ts). */
export const acceptedKeepAlive = {
  idleMs: keepAlive.initialDelay,
  intervalMs: keepAlive.interval,
  count: keepAlive.count,
} as const
const backlog = 4096

/** What each system error of a connect means to an operator. */
const hints: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ETIMEDOUT: 'no answer: is the host up, and does a firewall drop this port?',
  EHOSTUNREACH: 'the host does not answer: is it up?',
  ENETUNREACH: 'no route: is there an address of this family on both ends?',
  EADDRNOTAVAIL: 'no free source port, or the source address is not of this namespace',
  EMFILE: 'this process has no descriptor left: raise LimitNOFILE or lower the limits of connections',
  ENFILE: 'this machine has no descriptor left: raise fs.file-max',
  EADDRINUSE: 'no free source port: is tcp_tw_reuse set in this namespace?',
}

/** No matter where to: this process, or the machine, has none left. */
const outOfDescriptors: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE'])

/** `ECONNREFUSED` and the like, of the error or of what caused it. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if (error instanceof MeshError) return systemCode(error.cause)
  return 'code' in error && typeof error.code === 'string' ? error.code : systemCode(error.cause)
}

/** A failed connect as the mesh reports it. */
export function connectError(to: SocketAddress, error: unknown): MeshError {
  const known = systemCode(error)
  const what = known ?? (error instanceof Error ? error.message : String(error))
  const hint = known === undefined ? undefined : hints[known]
  const text = `${formatSocketAddress(to)}: ${what}${hint === undefined ? '' : ` (${hint})`}`
  return new MeshError(outOfDescriptors.has(known ?? '') ? 'LIMIT_REACHED' : 'CONNECT_FAILED', text, { cause: error })
}

/** Options that every data socket carries: small writes leave at once, a vanished peer is noticed. */
function tuneSocket(socket: Socket): void {
  socket.setNoDelay(true)
  socket.setKeepAlive(keepAlive)
}

/** Connects a fresh socket. The socket is destroyed when the wait fails. */
export function connectSocket(socket: Socket, to: SocketAddress, signal: CancelSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      socket.off('connect', onConnect)
      socket.off('error', onError)
      signal.removeEventListener('abort', onAbort)
    }
    const onConnect = (): void => {
      done()
      tuneSocket(socket)
      resolve(socket)
    }
    const onError = (error: Error): void => {
      done()
      socket.destroy()
      reject(connectError(to, error))
    }
    const onAbort = (): void => {
      done()
      socket.once('error', () => {})
      socket.destroy()
      reject(signal.reason instanceof MeshError ? signal.reason : connectError(to, signal.reason))
    }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', onConnect)
    socket.once('error', onError)
    socket.connect({ host: to.address, port: to.port })
  })
}

/** Resolves once `server` listens on a bound descriptor, rejects with the system error. */
export function listening(server: Server, descriptor: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      closeDescriptor(descriptor)
      reject(error)
    })
    // `backlog` counts as an argument of its own only: Node ignores the option beside `fd`.
    server.listen({ fd: descriptor }, backlog, () => {
      server.removeAllListeners('error')
      resolve(server)
    })
  })
}
