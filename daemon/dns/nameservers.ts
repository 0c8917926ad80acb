// The nameservers that a workload uses, as its agent reports them, made usable for forwarding. Pure.
import { ports } from '../../core/model/ports.ts'
import { canonicalAddress, isLoopback, parseSocketAddress, type SocketAddress } from '../../core/net/address.ts'

const defaultPort = 53
/** Resolvers of libc stop at three; further ones only lengthen the wait. */
const maxNameservers = 4

export interface Nameservers {
  readonly usable: readonly SocketAddress[]
  /** Entries that were left out, and why. */
  readonly ignored: readonly string[]
}

/**
 * Reads `ip` and `ip:port` entries. The proxy itself is left out. Port 53 of loopback stays: the query carries the proxy's
 * mark there and reaches a resolver of the workload's own.
 * @param ownAddresses of the workload
 */
export function readNameservers(entries: readonly string[], ownAddresses: readonly string[]): Nameservers {
  const usable: SocketAddress[] = []
  const ignored: string[] = []
  for (const entry of entries) {
    const bare = canonicalAddress(entry)
    const server = bare === undefined ? parseSocketAddress(entry) : { address: bare, port: defaultPort }
    if (server === undefined || server.port === 0) ignored.push(`${entry} is not an address`)
    else if (isProxy(server, ownAddresses)) ignored.push(`${entry} is the proxy itself`)
    else if (usable.length >= maxNameservers) ignored.push(`${entry} is more than ${maxNameservers} nameservers`)
    else if (!usable.some(({ address, port }) => address === server.address && port === server.port))
      usable.push(server)
  }
  return { usable, ignored }
}

function isProxy({ address, port }: SocketAddress, ownAddresses: readonly string[]): boolean {
  const local = isLoopback(address) || address === '0.0.0.0' || address === '::' || ownAddresses.includes(address)
  return port === ports.dns && local
}
