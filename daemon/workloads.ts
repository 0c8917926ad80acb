// One stay of a local workload: its namespace, its listeners (15001, 15006, 15008 and DNS), its tunnel server, from start to
// drained end. Owned by DataPlane.
import type { Server, Socket } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { asMeshError, MeshError } from '../core/base/errors.ts'
import { Repeats } from '../core/base/repeats.ts'
import type { LocalWorkload } from '../core/feed/handoff.ts'
import { TunnelServer } from '../core/hbone/server.ts'
import { ports } from '../core/model/ports.ts'
import type { Workload } from '../core/model/types.ts'
import { formatSocketAddress } from '../core/net/address.ts'
import { systemCode } from '../core/net/tcp.ts'
import { handleConnect } from './inbound.ts'
import { handleInboundPlaintext } from './inbound-plaintext.ts'
import { handleOutbound } from './outbound.ts'
import type { Plane } from './plane.ts'
import { RushWatch, rushListeners } from './rush.ts'
import type { Served } from './served.ts'
import type { ListenAt } from './sockets.ts'

/** The DNS server of one workload, or whatever else stops with it. */
export interface Stoppable {
  /** Lets others take what comes from now on, finishes what has come, closes. Bounded by the work's own deadlines. */
  drain(): Promise<void>
  close(): Promise<void>
}

export interface ServedWorkloadDeps {
  readonly plane: Plane
  /** Starts the workload's DNS, if it shall have one. */
  readonly startDns: ((served: ServedWorkload) => Promise<Stoppable>) | undefined
}

/** How long after its connections a session may end. */
const cutMs = 500
/** Refusals of tunnels whose lines are told apart: what a stranger presents is in the reason. */
const maxRefusalKeys = 64
/** Of a listener without descriptors, one line in this time. */
const acceptErrorLogMs = 1_000

/** What a namespace without IPv6 answers to a listener on `::`. */
const noIpv6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT'])

export class ServedWorkload implements Served {
  readonly #plane: Plane
  readonly #startDns: ServedWorkloadDeps['startDns']
  readonly #servers: Server[] = []
  readonly #tunnel: TunnelServer
  readonly #refusals = new Repeats({ maxKeys: maxRefusalKeys })
  readonly #rush = new RushWatch()
  #local: LocalWorkload
  #model: Workload | undefined
  #dns: Stoppable | undefined
  #stopped: Promise<void> | undefined

  private constructor({ plane, startDns }: ServedWorkloadDeps, local: LocalWorkload) {
    this.#plane = plane
    this.#startDns = startDns
    this.#local = local
    this.#model = plane.snapshot.workloadByUid(local.uid)
    this.#tunnel = new TunnelServer({
      contexts: (serverName) => plane.certificates.serverContext(this.#local.identity, serverName),
      trustDomain: () => plane.snapshot.settings.trustDomain,
      onConnect: (connect) => void handleConnect(plane, this, connect),
      onError: (error, peer) => {
        plane.failures.labels(['inbound', error.code]).add(1)
        const withheld = this.#refusals.admit(`${error.code} ${peer.address} ${error.message}`)
        if (withheld === undefined) return
        const more = withheld === 0 ? {} : { withheld }
        plane.log.info(
          { err: error, peer: formatSocketAddress(peer), workload: this.uid, ...more },
          'a tunnel was refused',
        )
      },
      onRefused: (limit) => plane.refusals.labels([this.uid, limit]).add(1),
      limits: { serverMaxSessions: plane.maxTunnels },
      log: plane.log,
    })
  }

  /** Resolves once every listener is open; on failure nothing stays open. Throws SYSTEM_CALL. */
  static async start(deps: ServedWorkloadDeps, local: LocalWorkload): Promise<ServedWorkload> {
    const { plane } = deps
    plane.sockets.open(local)
    const served = new ServedWorkload(deps, local)
    try {
      await served.#listen({ port: ports.outbound }, (socket) => {
        if (served.#rush.begins(performance.now())) void served.#spread()
        void handleOutbound(plane, served, socket)
      })
      await served.#listen(
        { port: ports.inboundPlaintext },
        (socket) => void handleInboundPlaintext(plane, served, socket),
      )
      await served.#listen({ port: ports.hbone }, (socket) => served.#tunnel.accept(socket))
      served.#dns = await deps.startDns?.(served)
      return served
    } catch (error: unknown) {
      await served.stop(0)
      throw asMeshError(error, 'SYSTEM_CALL')
    }
  }

  get uid(): string {
    return this.#local.uid
  }

  get local(): LocalWorkload {
    return this.#local
  }

  get model(): Workload | undefined {
    return this.#model
  }

  /** Sessions of peers that are open to this workload. */
  get sessions(): number {
    return this.#tunnel.sessions
  }

  /** Reads its compiled form again. One that the model lost for a moment keeps its last: its policies still hold. */
  refresh(): void {
    this.#model = this.#plane.snapshot.workloadByUid(this.uid) ?? this.#model
  }

  /** Peers prove who they are anew: the trust bundle is another. */
  retireSessions(): void {
    this.#tunnel.retire()
  }

  /** Takes what may change while listeners stay: addresses, nameservers. Another resolver list restarts its DNS. */
  async update(local: LocalWorkload): Promise<void> {
    const dns = !isDeepStrictEqual(this.#local.nameservers, local.nameservers)
    this.#local = local
    if (!dns || this.#startDns === undefined) return
    await this.#dns?.close()
    this.#dns = await this.#startDns(this)
  }

  /** Listeners close now; live connections get `drainMs`, then they are reset. Resolves when all is gone. */
  stop(drainMs: number): Promise<void> {
    this.#stopped ??= this.#stop(drainMs)
    return this.#stopped
  }

  async #stop(drainMs: number): Promise<void> {
    for (const server of this.#servers) server.close()
    const dns = this.#dns?.drain()
    const { connections, sockets, log } = this.#plane
    // Sessions are cut after the connections that they carry, so that each connection is reset, and reported, for what it is.
    const tunnel = this.#tunnel.drain(drainMs + cutMs)
    if (!(await connections.whenEmpty(this, drainMs))) {
      const live = connections.of(this).length
      log.warn({ workload: this.uid, live }, 'the drain deadline passed; resetting what is left')
      connections.closeAll(new MeshError('DRAINING', 'the workload or its daemon stops'), this)
    }
    await tunnel
    this.#tunnel.close()
    await dns
    sockets.close(this.#local)
  }

  /**
   * libuv takes one connection of a listener in a turn of the event loop, and a turn has costs of its own: a wait, a write to the
   * tunnel. The kernel spreads a rush over listeners that share the port (measured: a sixth more new connections per second). They
   * stay: whoever rushed once does it again.
   */
  async #spread(): Promise<void> {
    const plane = this.#plane
    const onSocket = (socket: Socket): void => void handleOutbound(plane, this, socket)
    try {
      await this.#listen({ port: ports.outbound, listeners: rushListeners }, onSocket)
    } catch (error: unknown) {
      plane.log.warn({ err: error, workload: this.uid }, 'no more listeners for a rush of connections; one goes on')
    }
  }

  async #listen(at: Omit<ListenAt, 'address'>, onSocket: (socket: Socket) => void): Promise<void> {
    const accept = (socket: Socket): void => {
      // Whoever owns the socket later listens too; until then an early reset must not be an uncaught error.
      socket.on('error', ignore)
      onSocket(socket)
    }
    const { sockets } = this.#plane
    this.#keep(await sockets.listen(this.#local, { ...at, address: '0.0.0.0' }, accept))
    try {
      this.#keep(await sockets.listen(this.#local, { ...at, address: '::' }, accept))
    } catch (error: unknown) {
      if (!noIpv6.has(systemCode(error) ?? '')) throw error
    }
  }

  #keep(servers: readonly Server[]): void {
    if (this.#stopped !== undefined) {
      for (const server of servers) server.close()
      return
    }
    this.#servers.push(...servers)
    let told = Number.NEGATIVE_INFINITY
    const failed = (error: Error): void => {
      // Not for want of descriptors: then libuv accepts with one that it keeps for this, and closes, without a word.
      this.#plane.refusals.labels([this.uid, 'accept']).add(1)
      const now = performance.now()
      if (now - told < acceptErrorLogMs) return
      told = now
      this.#plane.log.error({ err: error, workload: this.uid }, 'a listener failed to accept a connection')
    }
    for (const server of servers) server.on('error', failed)
  }
}

function ignore(): void {}
