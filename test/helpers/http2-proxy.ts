// HTTP/2 in front and behind with nothing in between, over sockets or inside tunnels on both sides as in the mesh: Node's client, our two
// ends, Node's server.
import { once } from 'node:events'
import http2 from 'node:http2'
import type net from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import { Http2Session } from '../../core/hbone/h2/session.ts'
import { defaultLimits } from '../../core/hbone/limits.ts'
import { pump } from '../../core/hbone/pump.ts'
import { ClientConnection } from '../../waypoint/client-connection.ts'
import type { Handler } from '../../waypoint/exchange.ts'
import { Http2ServerConnection } from '../../waypoint/http2/server-connection.ts'
import { type Http2UpstreamConnection, openHttp2 } from '../../waypoint/upstream/http2.ts'
import { origin } from './http2-waypoint.ts'
import { dialTcp, eventually, listen } from './tunnel.ts'

export interface Proxied {
  readonly client: http2.ClientHttp2Session
  readonly upstream: Http2UpstreamConnection
  readonly front: () => Http2ServerConnection | undefined
}

const connect = [
  [':method', 'CONNECT'],
  [':authority', '10.0.0.1:80'],
] as const
const silent = { onSettings: () => {}, onGoaway: () => {}, onClosed: () => {} }

/** A connection to `port` as a stream inside a tunnel session; what arrives at its far end goes to `onStream`. */
async function tunnelTo(t: Test, onStream: (stream: Duplex) => void): Promise<Duplex> {
  const { server, port } = await listen((socket) => {
    socket.setNoDelay(true)
    const session = new Http2Session(socket as unknown as TLSSocket, 'server', defaultLimits, {
      ...silent,
      onHeaders: (stream) => {
        session.respond(stream, [[':status', '200']])
        onStream(stream)
      },
    })
    t.teardown(() => session.destroy())
  })
  const answered: unknown[] = []
  const socket = (await dialTcp(port)).setNoDelay(true)
  const session = new Http2Session(socket as unknown as TLSSocket, 'client', defaultLimits, {
    ...silent,
    onHeaders: (stream) => answered.push(stream),
  })
  await eventually('SETTINGS', () => session.peerSettings.maxConcurrentStreams !== undefined)
  const stream = session.request(connect)!
  await eventually('the answer', () => answered.length === 1)
  t.teardown(() => {
    session.destroy()
    server.close()
  })
  return stream
}

export async function proxied(
  t: Test,
  way: 'sockets' | 'tunnels',
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  options: {
    readonly settings?: http2.Settings
    readonly handler?: (upstream: Http2UpstreamConnection) => Handler
  } = {},
): Promise<Proxied> {
  const server = http2.createServer({ settings: options.settings ?? {} })
  server.on('sessionError', () => {})
  const sessions: http2.ServerHttp2Session[] = []
  server.on('session', (session) => sessions.push(session))
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => {})
    onStream(stream, headers)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo

  const out = async (): Promise<Duplex> => (await dialTcp(port)).setNoDelay(true)
  const behind =
    way === 'sockets' ? await out() : await tunnelTo(t, (stream) => void out().then((socket) => pump(stream, socket)))
  const upstream = openHttp2(behind, {
    onAvailable: () => {},
    onIdle: () => {},
    onUnusable: () => {},
    onClosed: () => {},
  })
  const handler = options.handler?.(upstream) ?? ((exchange) => upstream.send(exchange))

  let front: Http2ServerConnection | undefined
  const serve = (stream: Duplex) => {
    new ClientConnection(stream, {
      http1: undefined as never,
      tcp: () => {
        throw new Error('it is HTTP/2')
      },
      http2: (detached, first) => {
        front = new Http2ServerConnection(detached, { origin, handler, scheme: 'http' }, first)
        return front
      },
    })
  }
  const { server: frontServer, port: frontPort } = await listen((socket) => {
    socket.setNoDelay(true)
    if (way === 'sockets') serve(socket)
    else void tunnelTo(t, serve).then((stream) => pump(socket, stream))
  })
  const client = http2.connect(`http://127.0.0.1:${frontPort}`)
  client.on('error', () => {})
  await once(client, 'remoteSettings')
  t.teardown(() => {
    client.destroy()
    front?.destroy()
    upstream.destroy()
    for (const session of sessions) session.destroy()
    frontServer.close()
    server.close()
  })
  return { client, upstream, front: () => front }
}
