// Every TCP socket of the data plane: listeners inside a workload's network namespace and marked connections out of it.
// DataPlane gets this interface; tests hand in loopback sockets, the worker hands in NamespaceSockets.
import net from 'node:net'
import type { CancelSignal } from '../core/base/cancel.ts'
import { MeshError } from '../core/base/errors.ts'
import type { LocalWorkload } from '../core/feed/handoff.ts'
import { marks } from '../core/model/ports.ts'
import { familyOf, type SocketAddress } from '../core/net/address.ts'
import { boundSocket, NetworkNamespace, tcpListener, tcpSocket } from '../core/net/sys.ts'
import { localEnd, originalDestination, remoteEnd } from '../core/net/sys-ends.ts'
import { acceptedKeepAlive, connectError, connectSocket, listening } from '../core/net/tcp.ts'

export interface ListenAt {
  /** `0.0.0.0` or `::`. */
  readonly address: string
  readonly port: number
  /** So many listeners share the port, for a rush of connections; one without it. */
  readonly listeners?: number
}

export interface ConnectRequest {
  readonly workload: LocalWorkload
  readonly to: SocketAddress
  /** Source address; the port is chosen by the kernel. */
  readonly bind?: string
  /** The source address is not the workload's own: the caller's address is shown to the application. */
  readonly transparent: boolean
  readonly signal: CancelSignal
}

export interface Sockets {
  /** Opens the workload's namespace. Throws SYSTEM_CALL where the pin is gone or is another namespace. */
  open(workload: LocalWorkload): void
  /** Forgets the namespace; existing sockets live on. */
  close(workload: LocalWorkload): void
  /**
   * Resolves with what listens now. Rejects with a system error whose `code` says why (`EAFNOSUPPORT`: no IPv6 here); nothing listens
   * then.
   */
  listen(workload: LocalWorkload, at: ListenAt, onSocket: (socket: net.Socket) => void): Promise<readonly net.Server[]>
  /** Resolves once connected. Rejects with CONNECT_FAILED, or with the signal's reason. */
  connectTcp(request: ConnectRequest): Promise<net.Socket>
  /** The other end of a socket; undefined once it is gone. */
  remoteEnd(socket: net.Socket): SocketAddress | undefined
  /** This end of a socket; undefined once it is closed. */
  localEnd(socket: net.Socket): SocketAddress | undefined
  /** Where a redirected connection was going; undefined where nothing redirected it. */
  originalDestination(socket: net.Socket): SocketAddress | undefined
}

export function sameEnd(a: SocketAddress, b: SocketAddress): boolean {
  return a.port === b.port && a.address === b.address
}

function nameOf(workload: LocalWorkload): string {
  return `${workload.uid} ${workload.netns.inode}`
}

/** The real sockets: descriptors made inside the workload's namespace, marked so that its rules let them pass. */
export class NamespaceSockets implements Sockets {
  /** By uid and inode; counted, because a workload may come back while its former stay still drains. */
  readonly #namespaces = new Map<string, { readonly namespace: NetworkNamespace; users: number }>()
  open(workload: LocalWorkload): void {
    const known = this.#namespaces.get(nameOf(workload))
    if (known !== undefined) {
      known.users++
      return
    }
    const namespace = NetworkNamespace.open(workload.netns.path, workload.netns.inode)
    this.#namespaces.set(nameOf(workload), { namespace, users: 1 })
  }

  close(workload: LocalWorkload): void {
    const known = this.#namespaces.get(nameOf(workload))
    if (known === undefined || --known.users > 0) return
    this.#namespaces.delete(nameOf(workload))
    known.namespace.close()
  }

  /** For the DNS server, which makes its own sockets. Throws SYSTEM_CALL where the workload is not open. */
  namespaceOf(workload: LocalWorkload): NetworkNamespace {
    const known = this.#namespaces.get(nameOf(workload))
    if (known !== undefined) return known.namespace
    throw new MeshError('SYSTEM_CALL', `the network namespace of ${workload.uid} is not open (any more)`)
  }

  async listen(
    workload: LocalWorkload,
    { address, port, listeners = 1 }: ListenAt,
    onSocket: (socket: net.Socket) => void,
  ): Promise<readonly net.Server[]> {
    const v6Only = familyOf(address) === 'ipv6'
    // Shared with the other workers, with the one that replaces this one, and with the next daemon while this one drains.
    const accepted = { keepAlive: acceptedKeepAlive }
    const options = { address, port, mark: marks.proxy, reusePort: true, v6Only, accepted }
    const servers: net.Server[] = []
    try {
      while (servers.length < listeners) {
        const descriptor = this.namespaceOf(workload).run(() => tcpListener(options))
        servers.push(await listening(net.createServer({ allowHalfOpen: true }, onSocket), descriptor))
      }
      return servers
    } catch (error: unknown) {
      for (const server of servers) server.close()
      throw error
    }
  }

  async connectTcp(request: ConnectRequest): Promise<net.Socket> {
    const { workload, to, bind, transparent } = request
    const options = {
      family: familyOf(to.address),
      mark: marks.proxy,
      ...(bind === undefined ? {} : { bind: { address: bind, port: 0 } }),
      transparent,
      freebind: transparent,
    }
    const descriptor = this.#inside(workload, to, () => tcpSocket(options))
    return await connectSocket(boundSocket(descriptor), to, request.signal)
  }

  /** Makes the descriptor; a failed option or bind is a failed connect. */
  #inside(workload: LocalWorkload, to: SocketAddress, work: () => number): number {
    try {
      return this.namespaceOf(workload).run(work)
    } catch (error: unknown) {
      throw connectError(to, error)
    }
  }

  remoteEnd(socket: net.Socket): SocketAddress | undefined {
    return remoteEnd(socket)
  }

  localEnd(socket: net.Socket): SocketAddress | undefined {
    return localEnd(socket)
  }

  originalDestination(socket: net.Socket): SocketAddress | undefined {
    return originalDestination(socket)
  }
}
