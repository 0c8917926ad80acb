// DNS over TCP for one workload (RFC 7766): several queries per connection, answered as they are ready, with bounds on
// connections, on queries under way and on idle time. server.ts attaches it to its listeners.
import type { Server, Socket } from 'node:net'
import { asMeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import { FrameReader, frame } from './frames.ts'
import type { Resolver } from './resolver.ts'

export interface TcpOptions {
  readonly log: Logger
  /** Closes every connection. */
  readonly signal: AbortSignal
  /** 64 by default. */
  readonly maxTcpConnections?: number
  /** 10 s by default. */
  readonly tcpIdleMs?: number
}

/** Queries of one connection under way at once; reading pauses above it. */
const maxPipelined = 16

export function serveTcp(server: Server, resolver: Resolver, options: TcpOptions): void {
  const { log, signal } = options
  const connections = new Set<Socket>()
  server.on('error', (error) => log.warn({ err: error }, 'DNS listener failed'))
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => {})
    if (signal.aborted || connections.size >= (options.maxTcpConnections ?? 64)) {
      socket.destroy()
      return
    }
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
    socket.setTimeout(options.tcpIdleMs ?? 10_000, () => socket.destroy())
    serveConnection(socket, resolver, log)
  })
  signal.addEventListener('abort', () => {
    for (const socket of connections) socket.destroy()
  })
}

function serveConnection(socket: Socket, resolver: Resolver, log: Logger): void {
  const reader = new FrameReader()
  let underWay = 0
  let ended = false
  const settled = (response: Buffer | undefined) => {
    underWay--
    if (socket.destroyed) return
    if (response !== undefined) socket.write(frame(response))
    if (underWay < maxPipelined && !socket.writableNeedDrain) socket.resume()
    if (ended && underWay === 0) socket.end()
  }
  const failed = (error: unknown) => {
    log.error({ err: asMeshError(error, 'ABORTED') }, 'a DNS query could not be handled')
    settled(undefined)
  }
  socket.on('drain', () => {
    if (underWay < maxPipelined) socket.resume()
  })
  socket.on('end', () => {
    ended = true
    if (underWay === 0) socket.end()
  })
  socket.on('data', (chunk: Buffer) => {
    for (const message of reader.push(chunk)) {
      underWay++
      resolver.resolve(message, 'tcp').then(settled, failed)
    }
    if (underWay >= maxPipelined || socket.writableNeedDrain) socket.pause()
  })
}
