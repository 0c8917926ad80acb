// Two HBONE peers with the same manners for test/hbone-peer: our tunnel server, and one of node:http2. Behind both: an echo on
// one port of the loopback, nothing on another, a policy against a third.

import { constants } from 'node:crypto'
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { IncomingConnect } from '../../core/hbone/types.ts'
import { parseIdentity } from '../../core/identity/spiffe.ts'
import { parseSocketAddress } from '../../core/net/address.ts'
import { Target } from '../peer/target.ts'
import { FakeCa } from './fake-ca.ts'
import { Bench, clientIdentity, listen, serverIdentity } from './tunnel.ts'

export interface OraclePeer {
  readonly target: Target
  close(): Promise<void>
}

const deniedPort = 9

/** What an application sends on, a status where it is not reached. */
async function upstream(authority: string): Promise<net.Socket | 400 | 401 | 503> {
  const to = parseSocketAddress(authority)
  if (to === undefined || to.port === 0) return 400
  if (to.port === deniedPort) return 401
  const socket = net.connect({ host: to.address, port: to.port, allowHalfOpen: true })
  try {
    await once(socket, 'connect')
    return socket
  } catch {
    return 503
  }
}

function join(stream: Duplex, socket: net.Socket): void {
  stream.on('error', () => socket.destroy()).on('close', () => socket.destroy())
  socket.on('error', () => stream.destroy())
  stream.pipe(socket).pipe(stream)
}

async function served(connect: IncomingConnect): Promise<void> {
  const reached = await upstream(connect.authority)
  if (connect.signal.aborted) {
    if (typeof reached !== 'number') reached.destroy()
  } else if (typeof reached === 'number') connect.reject(reached)
  else {
    const { baggage } = connect.headers
    join(connect.accept(baggage === undefined ? {} : { baggage }), reached)
  }
}

async function applications(): Promise<{ echo: string; refused: string; denied: string; close(): void }> {
  const echo = await listen((socket) => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  const gone = await listen(() => {})
  gone.server.close()
  const at = (port: number) => `127.0.0.1:${port}`
  return { echo: at(echo.port), refused: at(gone.port), denied: at(deniedPort), close: () => echo.server.close() }
}

async function targetFor(
  port: number,
  ca: FakeCa,
  at: { echo: string; refused: string; denied: string },
): Promise<Target> {
  const credentials = async (identity: string) => {
    const leaf = await ca.leaf(identity)
    return { certificatePem: leaf.chainPem, keyPem: leaf.keyPem }
  }
  const { echo, refused, denied } = at
  return new Target({
    ...{ host: '127.0.0.1', port, echo, refused, denied },
    credentials: await credentials(clientIdentity),
    rootsPem: ca.bundlePem,
    expectIdentity: serverIdentity,
    mint: credentials,
  })
}

export async function ourPeer(): Promise<OraclePeer> {
  const at = await applications()
  const bench = await Bench.create({ onConnect: (connect) => void served(connect) })
  const close = async () => {
    await bench.close()
    at.close()
  }
  return { target: await targetFor(bench.port, bench.ca, at), close }
}

/** Nothing of ours is in it: TLS and HTTP/2 are Node's own. */
export async function nodePeer(): Promise<OraclePeer> {
  const at = await applications()
  const ca = await FakeCa.create()
  const leaf = await ca.leaf(serverIdentity)
  const context = { key: leaf.keyPem, cert: leaf.chainPem, ca: leaf.bundlePem }
  const server = http2.createSecureServer({
    ...context,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET,
    settings: { maxConcurrentStreams: 100 },
    SNICallback: (name, answer) => {
      if (name === 'orders.shop.cluster.local') answer(null, tls.createSecureContext(context))
      else answer(new Error('unknown name'))
    },
  })
  const sessions = new Set<http2.ServerHttp2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    session.on('error', () => {}).on('close', () => sessions.delete(session))
    if (!isOurs(session.socket as tls.TLSSocket)) session.destroy()
  })
  server.on('sessionError', () => {})
  server.on('stream', (stream, headers) => void nodeServed(stream as http2.ServerHttp2Stream, headers))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    for (const session of sessions) session.destroy()
    server.close()
    at.close()
  }
  return { target: await targetFor((server.address() as net.AddressInfo).port, ca, at), close }
}

function isOurs(socket: tls.TLSSocket): boolean {
  const uri = socket.getPeerX509Certificate()?.subjectAltName?.replace(/^URI:/, '') ?? ''
  try {
    return parseIdentity(uri).trustDomain === 'cluster.local'
  } catch {
    return false
  }
}

async function nodeServed(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): Promise<void> {
  stream.on('error', () => {})
  const isConnect = headers[':method'] === 'CONNECT'
  const reached = isConnect ? await upstream(String(headers[':authority'])) : 400
  if (stream.destroyed) {
    if (typeof reached !== 'number') reached.destroy()
  } else if (typeof reached === 'number') {
    stream.respond({ ':status': reached }, { endStream: true })
  } else {
    stream.respond({ ':status': 200 })
    join(stream, reached)
  }
}
