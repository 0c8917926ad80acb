// The DNS proxy of one workload, on UDP and TCP port 15053 of loopback inside its namespace, where redirection sends its
// queries. Started and closed by the daemon with the workload.
import type { Socket as UdpSocket } from 'node:dgram'
import type { Server } from 'node:net'
import { asMeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import { ports } from '../../core/model/ports.ts'
import type { Snapshot } from '../../core/model/snapshot.ts'
import type { SocketAddress } from '../../core/net/address.ts'
import type { DnsCounters } from '../telemetry/dns-counters.ts'
import { Forwarder } from './forwarder.ts'
import { readNameservers } from './nameservers.ts'
import { Resolver } from './resolver.ts'
import type { DnsSockets } from './sockets.ts'
import { serveTcp } from './tcp.ts'

export interface DnsOptions {
  readonly snapshot: Snapshot
  /** The compiled workload is not needed: a workload resolves names before the control plane knows it. */
  readonly workload: {
    readonly namespace: string
    readonly name: string
    readonly addresses: readonly string[]
    /** `ip` or `ip:port`. */
    readonly nameservers: readonly string[]
  }
  readonly sockets: DnsSockets
  readonly counters: DnsCounters
  readonly log: Logger
  /** 15053 by default; 0 in tests. */
  readonly port?: number
  readonly forwardDeadlineMs?: number
  readonly maxInFlight?: number
  readonly maxTcpConnections?: number
  readonly tcpIdleMs?: number
}

export interface DnsServer {
  /** Where it listens. */
  readonly udp: readonly SocketAddress[]
  readonly tcp: readonly SocketAddress[]
  /** Takes no further queries, which go to whoever shares the port, answers those that have arrived, then closes. */
  drain(): Promise<void>
  /** Stops at once: sockets close, queries under way are dropped. */
  close(): Promise<void>
}

/** Forwarded queries have earlier deadlines; a client that never stops asking over one TCP connection has none. */
const drainMs = 10_000
const loopbacks = ['127.0.0.1', '::1'] as const

/** Opens the listeners. IPv6 may be missing in a namespace; without IPv4 loopback it rejects. */
export async function startDns(options: DnsOptions): Promise<DnsServer> {
  const stop = new AbortController()
  const udp: UdpSocket[] = []
  const tcp: Server[] = []
  const close = async () => {
    stop.abort()
    await Promise.all([...udp.map(closed), ...tcp.map(closed)])
  }
  const resolver = makeResolver(options, stop.signal)
  const drain = async () => {
    for (const server of tcp) server.close()
    for (const socket of udp) deafen(socket, options)
    await resolver.quiet(drainMs)
    await close()
  }
  for (const address of loopbacks) {
    try {
      const port = options.port ?? ports.dns
      const socket = await options.sockets.udp(address, port)
      udp.push(socket)
      serveUdp(socket, resolver, options.log)
      const server = await options.sockets.tcp(address, port)
      tcp.push(server)
      serveTcp(server, resolver, { ...options, signal: stop.signal })
    } catch (error: unknown) {
      if (address === '127.0.0.1') {
        await close()
        throw error
      }
      options.log.debug({ err: error }, 'no DNS on ::1: is IPv6 disabled in this namespace?')
    }
  }
  return { udp: udp.map((socket) => listeningOn(socket)), tcp: tcp.map((server) => listeningOn(server)), drain, close }
}

function makeResolver(options: DnsOptions, signal: AbortSignal): Resolver {
  const { snapshot, workload, sockets, counters, log } = options
  const { usable, ignored } = readNameservers(workload.nameservers, workload.addresses)
  for (const reason of ignored) log.warn(`nameserver of ${workload.namespace}/${workload.name} ignored: ${reason}`)
  const forwarder = new Forwarder({
    sockets,
    counters,
    nameservers: usable,
    ...(options.forwardDeadlineMs === undefined ? {} : { deadlineMs: options.forwardDeadlineMs }),
    ...(options.maxInFlight === undefined ? {} : { maxInFlight: options.maxInFlight }),
  })
  return new Resolver({ snapshot, namespace: workload.namespace, forwarder, counters, log, signal })
}

function serveUdp(socket: UdpSocket, resolver: Resolver, log: Logger): void {
  socket.on('error', (error) => log.warn({ err: error }, 'DNS socket failed'))
  socket.on('message', (bytes, { address, port }) => {
    const reply = (response: Buffer | undefined) => {
      if (response === undefined) return
      try {
        socket.send(response, port, address, () => {})
      } catch {
        // Closed meanwhile: the client asks again.
      }
    }
    resolver.resolve(bytes, 'udp').then(reply, (error: unknown) => {
      log.error({ err: asMeshError(error, 'ABORTED') }, 'a DNS query could not be handled')
    })
  })
}

function deafen(socket: UdpSocket, { sockets, log }: DnsOptions): void {
  try {
    sockets.deafen(socket)
  } catch (error: unknown) {
    log.warn({ err: error }, 'queries that arrive from now on until the DNS socket closes are lost')
  }
}

function listeningOn(source: UdpSocket | Server): SocketAddress {
  const bound = source.address()
  if (bound === null || typeof bound === 'string') return { address: '', port: 0 }
  return { address: bound.address, port: bound.port }
}

function closed(source: UdpSocket | Server): Promise<void> {
  return new Promise((resolve) => {
    try {
      source.close(() => resolve())
    } catch {
      resolve()
    }
  })
}
