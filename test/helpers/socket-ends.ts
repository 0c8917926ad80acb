// The ends of a socket as Node tells them, for worlds that show other addresses than the kernel's. Used by the sockets of tests.
import { canonicalAddress, type SocketAddress } from '../../core/net/address.ts'

export function endOf(address: string | undefined, port: number | undefined): SocketAddress | undefined {
  const canonical = address === undefined ? undefined : canonicalAddress(address)
  return canonical === undefined || port === undefined ? undefined : { address: canonical, port }
}
