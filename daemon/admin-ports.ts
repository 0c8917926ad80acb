// The daemon's three ports for people and machines (admin, metrics, health), shared with another daemon of this host during a
// hand-over. Opened and closed by app.ts.
import { lookup } from 'node:dns/promises'
import { type HttpRoutes, startHttp } from '../core/admin/server.ts'
import { asMeshError, MeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import type { SocketAddress } from '../core/net/address.ts'
import { closeDescriptor, tcpListener } from '../core/net/sys.ts'

export interface PortPlan {
  readonly at: { readonly host: string; readonly port: number }
  readonly routes: HttpRoutes
}

interface Bound {
  readonly descriptor: number
  readonly address: SocketAddress
  readonly routes: HttpRoutes
}

type Http = Awaited<ReturnType<typeof startHttp>>

/**
 * Whoever asks this host's daemon is to reach one that serves. So a daemon that finds another one at these ports binds them at
 * once, which shows a stranger there, but listens only when `open` is called: the other one answers until then, and gives the
 * ports up when it drains.
 */
export class AdminPorts {
  readonly #log: Logger
  readonly #bound: Bound[] = []
  readonly #servers: Http[] = []
  /** Another daemon listens at one of the ports. */
  readonly shared: boolean
  #closed = false

  private constructor(bound: readonly Bound[], shared: boolean, log: Logger) {
    this.#bound.push(...bound)
    this.shared = shared
    this.#log = log
  }

  /** Throws SYSTEM_CALL where a port is taken by something else. */
  static async bind(plans: readonly PortPlan[], log: Logger): Promise<AdminPorts> {
    const bound: Bound[] = []
    let shared = false
    try {
      for (const { at, routes } of plans) {
        const address = { address: (await lookup(at.host)).address, port: at.port }
        shared ||= at.port !== 0 && !isFree(address)
        bound.push({ descriptor: listener(address), address, routes })
      }
    } catch (error: unknown) {
      for (const { descriptor } of bound) closeDescriptor(descriptor)
      throw asMeshError(error, 'SYSTEM_CALL')
    }
    return new AdminPorts(bound, shared, log)
  }

  get addresses(): readonly SocketAddress[] {
    return this.#bound.map(({ address }) => address)
  }

  /** Answers from now on. Resolves with where, in the order of the plans. */
  async open(): Promise<readonly SocketAddress[]> {
    while (!this.#closed) {
      const next = this.#bound.shift()
      if (next === undefined) break
      const { descriptor, address, routes } = next
      this.#servers.push(await startHttp({ ...address, descriptor, routes, log: this.#log }))
    }
    return this.#servers.map((server) => server.address)
  }

  /** Connections that are open end. */
  async close(): Promise<void> {
    this.#closed = true
    for (const { descriptor } of this.#bound.splice(0)) closeDescriptor(descriptor)
    await Promise.all(this.#servers.map((server) => server.close()))
  }
}

function listener({ address, port }: SocketAddress): number {
  try {
    return tcpListener({ address, port, reusePort: true })
  } catch (error: unknown) {
    const { message } = asMeshError(error, 'SYSTEM_CALL')
    throw new MeshError('SYSTEM_CALL', `cannot listen on ${address} port ${port}: ${message}`, { cause: error })
  }
}

/** Without sharing, a socket can be bound only where nobody listens. */
function isFree(address: SocketAddress): boolean {
  try {
    closeDescriptor(tcpListener(address))
    return true
  } catch {
    return false
  }
}
