// Connections of a workload that were open before its capture and so bypass the mesh: found with `ss`, counted for the
// status, reset when the workload becomes STRICT; and those that the daemon has. The reading is pure; the reconciler (enroll/)
// calls the rest.
import { marks, ports } from '../../core/model/ports.ts'
import {
  canonicalAddress,
  formatSocketAddress,
  isLoopback,
  type SocketAddress,
  splitHostPort,
} from '../../core/net/address.ts'
import type { RunInNamespace } from './command.ts'

export interface Connection {
  readonly state: string
  readonly local: SocketAddress
  readonly peer: SocketAddress
  /** SO_MARK of the socket, 0 where none. */
  readonly mark: number
}

const listing = ['ss', '-Htne', 'state', 'connected'] as const
const markPart = /\bfwmark:0x([0-9a-f]+)/
const proxyPorts: ReadonlySet<number> = new Set([ports.outbound, ports.inboundPlaintext, ports.hbone, ports.dns])
/** Filters of one `ss -K` call. */
const resetBatch = 64

/** Reads `ss -Htne state connected`: State, queues, local, peer, then details. */
export function parseConnections(text: string): readonly Connection[] {
  return text.split('\n').flatMap((line) => {
    const [state, , , localText, peerText] = line.trim().split(/\s+/)
    const local = socketAddress(localText)
    const peer = socketAddress(peerText)
    if (state === undefined || local === undefined || peer === undefined) return []
    return [{ state, local, peer, mark: Number.parseInt(markPart.exec(line)?.[1] ?? '0', 16) }]
  })
}

/**
 * Of all connections in a captured namespace those that bypass the mesh. Not among them: loopback, the daemon's own
 * sockets (mark, ports), an application's socket whose other end is the daemon in the same namespace.
 */
export function uncaptured(connections: readonly Connection[]): readonly Connection[] {
  const ends = new Set(connections.map(connectionKey))
  const daemonPeers = new Set(
    connections.filter(({ local }) => proxyPorts.has(local.port)).map(({ peer }) => formatSocketAddress(peer)),
  )
  return connections.filter(
    (connection) =>
      connection.state === 'ESTAB' &&
      !isLoopback(connection.local.address) &&
      !isLoopback(connection.peer.address) &&
      (connection.mark & marks.mask) !== marks.proxy &&
      !proxyPorts.has(connection.local.port) &&
      !ends.has(connectionKey({ local: connection.peer, peer: connection.local })) &&
      !daemonPeers.has(formatSocketAddress(connection.local)),
  )
}

/** Of all connections in a namespace those that the daemon has: accepted on its ports, or made by it. */
export function heldByDaemon(connections: readonly Connection[]): readonly Connection[] {
  return connections.filter(
    ({ state, local, mark }) =>
      state !== 'TIME-WAIT' && (proxyPorts.has(local.port) || (mark & marks.mask) === marks.proxy),
  )
}

/** `local peer` of a connection: its name while it lives. */
export function connectionKey({ local, peer }: Pick<Connection, 'local' | 'peer'>): string {
  return `${formatSocketAddress(local)} ${formatSocketAddress(peer)}`
}

/** Keys of the connections in the namespace that bypass the mesh. */
export async function listUncaptured(run: RunInNamespace, netns: string): Promise<ReadonlySet<string>> {
  const text = await run(netns, listing)
  return new Set(uncaptured(parseConnections(text)).map(connectionKey))
}

/** How many connections the daemon has in the namespace. */
export async function countHeldByDaemon(run: RunInNamespace, netns: string): Promise<number> {
  return heldByDaemon(parseConnections(await run(netns, listing))).length
}

/** Asks the kernel to reset these connections. Those that it cannot reset stay; list again to know. */
export async function resetConnections(run: RunInNamespace, netns: string, keys: ReadonlySet<string>): Promise<void> {
  const filters = [...keys].map((key) => {
    const [local = '', peer = ''] = key.split(' ')
    return ['(', 'src', local, 'and', 'dst', peer, ')']
  })
  for (let start = 0; start < filters.length; start += resetBatch) {
    const batch = filters.slice(start, start + resetBatch)
    await run(netns, ['ss', '-K', '-Htn', batch.map((filter) => filter.join(' ')).join(' or ')])
  }
}

function socketAddress(text: string | undefined): SocketAddress | undefined {
  const parts = splitHostPort(text?.replace(/%[^\]:]+/, '') ?? '')
  const address = parts === undefined ? undefined : canonicalAddress(parts.host)
  return parts === undefined || address === undefined ? undefined : { address, port: parts.port }
}
