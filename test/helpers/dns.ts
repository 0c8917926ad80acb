// DNS in tests with real sockets of this process: sockets for the proxy, a nameserver that answers as told, and a client.
import dgram from 'node:dgram'
import { once } from 'node:events'
import net from 'node:net'
import { type DecodedPacket, decode, encode, type Packet } from 'dns-packet'
import { MetricSet } from '../../core/base/metrics.ts'
import type { SocketAddress } from '../../core/net/address.ts'
import { FrameReader, frame } from '../../daemon/dns/frames.ts'
import { connected, type DnsSockets } from '../../daemon/dns/sockets.ts'
import { type DnsCounters, DnsMetrics } from '../../daemon/telemetry/dns-counters.ts'

/** Plain sockets of this process. `made` counts the sockets that were opened for forwarding. */
export function processDnsSockets(): DnsSockets & { readonly made: { udp: number } } {
  const made = { udp: 0 }
  return {
    made,
    async udp(address, port) {
      const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4')
      socket.bind(port, address)
      await once(socket, 'listening')
      return socket
    },
    async tcp(address, port) {
      const server = net.createServer({ allowHalfOpen: true })
      server.listen(port, address)
      await once(server, 'listening')
      return server
    },
    forwardUdp(family) {
      made.udp++
      return dgram.createSocket(family === 'ipv4' ? 'udp4' : 'udp6')
    },
    deafen: () => {},
    connectTcp: (to, signal) => connected(new net.Socket(), to, signal),
  }
}

export function dnsCounters(): DnsCounters {
  return new DnsMetrics(new MetricSet()).for({ name: 'client', namespace: 'shop' })
}

/** Gets the query and a way to answer from where it was asked; answering late, twice or never is up to it. */
export type NameserverBehaviour = (query: DecodedPacket, reply: (response: Buffer) => void, bytes: Buffer) => void

export interface Nameserver {
  readonly address: SocketAddress
  readonly asked: DecodedPacket[]
  /** Source ports of the queries over UDP. */
  readonly sourcePorts: number[]
  close(): Promise<void>
}

/** A nameserver on one port for UDP and TCP. */
export async function startNameserver(behave: NameserverBehaviour): Promise<Nameserver> {
  const tcp = net.createServer((socket) => {
    const reader = new FrameReader()
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      for (const message of reader.push(chunk)) {
        asked.push(decode(message))
        behave(decode(message), (response) => socket.write(frame(response)), message)
      }
    })
  })
  const asked: DecodedPacket[] = []
  const sourcePorts: number[] = []
  tcp.listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  const { port } = tcp.address() as net.AddressInfo
  const udp = dgram.createSocket('udp4').bind(port, '127.0.0.1')
  await once(udp, 'listening')
  udp.on('message', (message, remote) => {
    asked.push(decode(message))
    sourcePorts.push(remote.port)
    behave(decode(message), (response) => udp.send(response, remote.port, remote.address), message)
  })
  const close = async () => {
    udp.close()
    tcp.close()
    await once(udp, 'close')
  }
  return { address: { address: '127.0.0.1', port }, asked, sourcePorts, close }
}

/** A response that echoes id and question. */
export function respond(query: DecodedPacket, more: Packet = {}): Buffer {
  return encode({ type: 'response', id: query.id ?? 0, flags: 0x180, questions: query.questions ?? [], ...more })
}

/** Sends over UDP and waits for one datagram; undefined where none comes within `waitMs`. */
export async function askUdp(server: SocketAddress, bytes: Buffer, waitMs = 5000): Promise<Buffer | undefined> {
  const socket = dgram.createSocket(server.address.includes(':') ? 'udp6' : 'udp4')
  try {
    socket.send(bytes, server.port, server.address)
    const [message] = await once(socket, 'message', { signal: AbortSignal.timeout(waitMs) })
    return message as Buffer
  } catch {
    return undefined
  } finally {
    socket.close()
  }
}

/** Sends all at once over one TCP connection, ends its side and collects what comes back until the end. */
export async function askTcp(server: SocketAddress, ...messages: readonly Buffer[]): Promise<readonly Buffer[]> {
  const socket = net.connect(server.port, server.address)
  socket.setTimeout(5000, () => socket.destroy(new Error('no answer over TCP')))
  const reader = new FrameReader()
  const answers: Buffer[] = []
  socket.on('data', (chunk: Buffer) => answers.push(...reader.push(chunk)))
  socket.end(Buffer.concat(messages.map(frame)))
  await once(socket, 'close')
  return answers
}
