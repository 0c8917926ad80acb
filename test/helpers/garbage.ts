// What strangers send: bytes that are no TLS, no HTTP/2 and no DNS, and TLS of the wrong people. For the garbage test.
import { randomBytes } from 'node:crypto'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import { deadline } from '../../core/base/deadline.ts'
import type { IssuedCertificate } from '../../core/identity/certificate.ts'
import { clientTls, createCredentials } from '../../core/identity/tls.ts'
import { marks } from '../../core/model/ports.ts'
import { familyOf, type SocketAddress } from '../../core/net/address.ts'
import { boundSocket, NetworkNamespace, tcpSocket, udpSocket } from '../../core/net/sys.ts'
import { netnsPath } from '../../lab/network.ts'

const halfHello = Buffer.concat([Buffer.from('1603010200010001fc0303', 'hex'), randomBytes(40)])

export const payloads: Readonly<Record<string, Buffer>> = {
  nothing: Buffer.alloc(0),
  'one byte': Buffer.from([0]),
  'random bytes': randomBytes(100),
  'many random bytes': randomBytes(256 * 1024),
  'an HTTP request': Buffer.from('GET / HTTP/1.1\r\nhost: nobody\r\n\r\n'),
  'an HTTP request that never ends': Buffer.concat([
    Buffer.from('POST /x HTTP/1.1\r\nx: '),
    Buffer.alloc(128 * 1024, 'a'),
  ]),
  'a chunked request cut off': Buffer.from(
    'POST /v1/join HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffff\r\n{"',
  ),
  'HTTP/2 in the clear': Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), randomBytes(200)]),
  'half a TLS hello': halfHello,
  'a TLS hello that lies about its length': Buffer.from('16030100050100ffffff0303', 'hex'),
  'a TLS alert': Buffer.from('15030300020228', 'hex'),
  'a DNS header that promises more': Buffer.from('00101234010000ff00ff00ff00ff', 'hex'),
}

export type Dial = () => net.Socket

/** A TCP socket of a namespace; with the proxy's mark no rule diverts it. Connects as usual. */
export function dialInside(netns: string, to: SocketAddress, mark?: number): net.Socket {
  using namespace = NetworkNamespace.open(netnsPath(netns))
  const options = { family: familyOf(to.address), ...(mark === undefined ? {} : { mark }) }
  const socket = boundSocket(namespace.run(() => tcpSocket(options)))
  socket.on('error', () => {})
  socket.connect(to.port, to.address)
  return socket
}

/** As a daemon on that host would: past the redirection of its own namespace. */
export function dialAsProxy(netns: string, to: SocketAddress): net.Socket {
  return dialInside(netns, to, marks.proxy)
}

/** Sends every payload on connections of their own and looks away; one half hangs up, the other is cut off after a moment. */
export async function throwGarbage(dial: Dial): Promise<void> {
  const thrown = Object.values(payloads).map(async (payload, index) => {
    const socket = dial()
    socket.on('error', () => {})
    socket.resume()
    socket.write(payload)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    if (index % 2 === 0) socket.end()
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 300))])
    socket.resetAndDestroy()
  })
  await Promise.all(thrown)
}

/** TLS from somebody without a certificate, who then talks. */
export async function knockWithoutCertificate(dial: Dial): Promise<void> {
  const socket = tls.connect({ socket: dial(), rejectUnauthorized: false, ALPNProtocols: ['h2', 'http/1.1'] })
  socket.on('error', () => {})
  socket.resume()
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0')
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 500))])
  socket.destroy()
}

/** Datagrams that are no DNS queries. */
export async function throwDatagrams(netns: string, to: SocketAddress): Promise<void> {
  using namespace = NetworkNamespace.open(netnsPath(netns))
  const fd = namespace.run(() => udpSocket({ address: '0.0.0.0', port: 0 }))
  const socket = dgram.createSocket('udp4').bind({ fd })
  socket.on('error', () => {})
  for (const payload of Object.values(payloads)) {
    const datagram = payload.subarray(0, 4_096)
    await new Promise((resolve) => socket.send(datagram, to.port, to.address, resolve))
  }
  socket.close()
}

/** A tunnel by hand: TLS with any certificate, HTTP/2, and CONNECT with any authority. */
export class HandTunnel {
  readonly #session: ClientHttp2Session

  private constructor(session: ClientHttp2Session) {
    this.#session = session
  }

  /** Rejects where the other side does not let this certificate in. */
  static async open(socket: net.Socket, certificate: IssuedCertificate): Promise<HandTunnel> {
    const options = clientTls(socket, createCredentials(certificate).context, undefined)
    const secure = tls.connect({ ...options, rejectUnauthorized: false })
    const session = connectHttp2('https://tunnel', { createConnection: () => secure })
    const failed = new Promise<never>((_resolve, reject) => {
      session.on('error', reject)
      session.once('close', () => reject(new Error('the tunnel was closed')))
      secure.on('error', reject)
    })
    failed.catch(() => {})
    // Its SETTINGS come only after the server has looked at the certificate.
    await Promise.race([once(session, 'remoteSettings', { signal: deadline(5_000) }), failed])
    return new HandTunnel(session)
  }

  /** The status of the answer to a CONNECT. */
  async connect(authority: string): Promise<number | undefined> {
    const stream = this.#session.request({ ':method': 'CONNECT', ':authority': authority })
    stream.on('error', () => {})
    const [headers] = (await once(stream, 'response', { signal: deadline(10_000) })) as [IncomingHttpHeaders]
    stream.destroy()
    return headers[':status'] as number | undefined
  }

  close(): void {
    this.#session.on('error', () => {})
    this.#session.destroy()
  }
}

/** First line of what an HTTP server over TLS answers to `request`; empty where it hangs up. */
export async function httpsAnswer(
  socket: net.Socket,
  certificate: IssuedCertificate | undefined,
  request: string,
): Promise<string> {
  const own = certificate === undefined ? {} : { key: certificate.keyPem, cert: certificate.chainPem }
  const secure = tls.connect({ socket, rejectUnauthorized: false, ...own })
  const chunks: Buffer[] = []
  secure.on('data', (chunk: Buffer) => chunks.push(chunk))
  secure.on('error', () => {})
  secure.end(request)
  await once(secure, 'close', { signal: deadline(10_000) })
  return Buffer.concat(chunks).toString().split('\r\n')[0] ?? ''
}

/** A connection in this process's own namespace. */
export function dialHere(to: SocketAddress): net.Socket {
  return net.connect(to.port, to.address)
}
