// The application behind echo and bulk connections, the same for every subject. Started by origin/main.ts and by its test.
import { once } from 'node:events'
import net from 'node:net'
import { readSocket } from '../../core/net/socket-reader.ts'
import { orders } from '../load/bulk.ts'
import { flood } from '../load/flood.ts'

/** Sends back what it hears. */
export function echo(socket: net.Socket): void {
  socket.on('error', () => {})
  socket.pipe(socket)
}

/** The first byte says who sends: the caller, the application, or both. */
export function bulk(socket: net.Socket): void {
  let asked = false
  socket.on('error', () => {})
  readSocket(socket, (chunk) => {
    if (asked) return
    asked = true
    if (chunk.toString('latin1', 0, 1) !== orders.up) void flood(socket)
  })
}

export interface ListenAt {
  readonly address: string
  readonly port: number
}

export async function listen(at: ListenAt, onSocket: (socket: net.Socket) => void): Promise<net.Server> {
  const server = net.createServer({ noDelay: true }, onSocket)
  server.listen({ port: at.port, host: at.address, backlog: 4096 })
  await once(server, 'listening')
  return server
}
