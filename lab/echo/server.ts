// Opens the echo workload's listeners. One TCP port speaks HTTP/1.1 and h2c: the first bytes say which. Called by main.ts and,
// with port 0, by tests.
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttp2Server, createSecureServer } from 'node:http2'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { selfSigned } from './certificate.ts'
import type { EchoContext } from './context.ts'
import { continueHandler, httpHandler } from './http.ts'
import type { Handler } from './messages.ts'
import { extendedConnect, type Upgrade, webSocketUpgrade } from './web-socket.ts'

export interface EchoPorts {
  readonly http: readonly number[]
  readonly grpc: number
  readonly tcp: number
  readonly tls: number
}

export const defaultEchoPorts: EchoPorts = { http: [8080, 80], grpc: 7070, tcp: 9090, tls: 8443 }

export interface EchoServer {
  /** The ports in use, in the order of the request. */
  readonly ports: EchoPorts
  close(): Promise<void>
}

const preface = Buffer.from('PRI * HTTP/2.0')
/** A caller that opens a connection and says nothing is let go. */
const firstBytesMs = 60_000

/** Listens on `::` for both families, or on `0.0.0.0` where the namespace has no IPv6. */
export async function startEcho(context: EchoContext, ports: EchoPorts = defaultEchoPorts): Promise<EchoServer> {
  const handler = httpHandler(context)
  const upgrade = webSocketUpgrade()
  const sockets = new Set<Socket>()
  const servers: Server[] = []
  const open = async (server: Server, port: number): Promise<number> => {
    server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    })
    servers.push(server)
    return listen(server, port)
  }
  const http: number[] = []
  for (const port of ports.http) http.push(await open(plainServer(handler, upgrade), port))
  const grpc = await open(plainServer(handler, upgrade), ports.grpc)
  const tcp = await open(createServer({ allowHalfOpen: true }, echoBytes), ports.tcp)
  const tls = await open(await tlsServer(context, handler, upgrade), ports.tls)
  return {
    ports: { http, grpc, tcp, tls },
    close: async () => {
      const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
      for (const socket of sockets) socket.destroy()
      await Promise.all(closed)
    },
  }
}

/** Extended CONNECT, for WebSockets over HTTP/2. */
const settings = { enableConnectProtocol: true } as const

function plainServer(handler: Handler, upgrade: Upgrade): Server {
  const http1 = createHttpServer({ keepAliveTimeout: 300_000, requestTimeout: 0 }, handler)
  http1.on('upgrade', upgrade)
  http1.on('checkContinue', continueHandler(handler))
  const http2 = createHttp2Server({ settings }, handler)
  http2.on('connect', extendedConnect)
  http2.on('checkContinue', continueHandler(handler))
  return createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.setTimeout(firstBytesMs, () => socket.destroy())
    readFirst(socket, (first) => {
      socket.setTimeout(0)
      socket.removeAllListeners('timeout')
      if (first.subarray(0, preface.length).equals(preface)) {
        socket.allowHalfOpen = false // a caller that ends its half is gone, and so are its streams
        http2.emit('connection', socket) // reads what was put back by itself
        return
      }
      http1.emit('connection', socket)
      socket.resume()
    })
  })
}

/** Waits until the first bytes decide between the HTTP/2 preface and anything else, and puts them back. */
function readFirst(socket: Socket, decided: (first: Buffer) => void): void {
  let first: Buffer = Buffer.alloc(0)
  const onEnd = (): void => void socket.destroy()
  const onData = (chunk: Buffer): void => {
    first = first.length === 0 ? chunk : Buffer.concat([first, chunk])
    if (first.length < preface.length && preface.subarray(0, first.length).equals(first)) return
    socket.removeListener('data', onData)
    socket.removeListener('end', onEnd)
    socket.pause()
    socket.unshift(first)
    decided(first)
  }
  socket.on('data', onData)
  socket.once('end', onEnd)
}

async function tlsServer(context: EchoContext, handler: Handler, upgrade: Upgrade): Promise<Server> {
  const names = [context.service, context.pod, 'localhost'].filter((name) => name !== '')
  const server = createSecureServer({ ...(await selfSigned(names)), allowHTTP1: true, settings }, handler)
  server.on('upgrade', upgrade)
  server.on('connect', extendedConnect)
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return server
}

/** Sends back what comes, keeping the half that the caller leaves open. */
function echoBytes(socket: Socket): void {
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.pipe(socket)
}

async function listen(server: Server, port: number): Promise<number> {
  try {
    return await listenOn(server, port, '::')
  } catch (error: unknown) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL') throw error
    return listenOn(server, port, '0.0.0.0')
  }
}

function listenOn(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, backlog: 4096 }, () => {
      server.removeListener('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}
