// The waypoint's one wiring place: membership and model from the feed, its certificate, the data plane, the admin servers. Called by
// cli/commands/waypoint.ts and by tests. One data thread: the model, the tunnels and the requests are in this one.

import { chmodSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { healthRoutes } from '../core/admin/routes.ts'
import { startHttp } from '../core/admin/server.ts'
import { sleep } from '../core/base/deadline.ts'
import { MeshError } from '../core/base/errors.ts'
import { createLogger, type Logger } from '../core/base/log.ts'
import { Readiness } from '../core/base/readiness.ts'
import { StateFile } from '../core/base/state-file.ts'
import { HeldModel, type ModelState } from '../core/feed/held-model.ts'
import { becomeMember, type Membership, stayMember } from '../core/feed/membership.ts'
import { CertificateCache } from '../core/identity/cache.ts'
import type { IssuedCertificate } from '../core/identity/certificate.ts'
import type { SocketAddress } from '../core/net/address.ts'
import { warmThreadPool } from '../core/net/sys.ts'
import { type AdminDeps, adminRoutes, metricsRoutes } from './admin.ts'
import { hostOf, type WaypointConfig } from './config.ts'
import { DataPlane } from './data-plane.ts'
import { identityOf, reportOf, selfOf } from './self.ts'
import { HostSockets, type Sockets } from './sockets.ts'

export interface WaypointDeps {
  readonly log?: Logger
  /** One line per request goes here: a logger that gathers lines, unless given. */
  readonly accessLog?: Logger
  readonly build?: string
  /** The real ones unless a test hands in others. */
  readonly sockets?: Sockets
}

export interface Waypoint {
  readonly addresses: {
    readonly admin: SocketAddress
    readonly metrics: SocketAddress
    readonly health: SocketAddress
    /** Where tunnels are taken; empty until it is ready. */
    readonly tunnels: readonly SocketAddress[]
  }
  /** Resolves once model and certificate are there, from the control plane or from disk, and tunnels are taken. */
  readonly ready: Promise<void>
  /** Rejects when it cannot go on: a listener could not be opened. */
  readonly failed: Promise<never>
  /** Withdraws, drains (bounded by `drainTimeout`) and ends. A second call joins the first. */
  close(): Promise<void>
}

/**
 * Starts the waypoint. Where it has never joined, resolves once it has; else at once. Throws what joining throws (TOKEN_INVALID,
 * NODE_UNAUTHORIZED, IDENTITY_INVALID, CONFIG_INVALID), SYSTEM_CALL or STORE_FAILED.
 */
export async function build(config: WaypointConfig, deps: WaypointDeps = {}): Promise<Waypoint> {
  await warmThreadPool()
  mkdirSync(config.stateDir, { recursive: true, mode: 0o700 })
  chmodSync(config.stateDir, 0o700)
  const runtime = new WaypointRuntime(config, deps)
  try {
    await runtime.start()
  } catch (error: unknown) {
    await runtime.close()
    throw error
  }
  return runtime
}

type Http = Awaited<ReturnType<typeof startHttp>>

/** The parts of a running waypoint and the wires between them. */
class WaypointRuntime implements Waypoint {
  readonly #config: WaypointConfig
  readonly #build: string
  readonly #log: Logger
  readonly #boot: string
  readonly #stop = new AbortController()
  readonly #draining = new AbortController()
  readonly #readiness = new Readiness()
  readonly #modelKnown = this.#readiness.task('model')
  readonly #certified = this.#readiness.task('certificate')
  readonly #listening = this.#readiness.task('tunnels')
  readonly #failed = Promise.withResolvers<never>()
  readonly #model: HeldModel
  readonly #certificates: CertificateCache
  readonly #plane: DataPlane
  #identity: string | undefined
  #membership: Membership | undefined
  #background: Promise<void> = Promise.resolve()
  #http: readonly Http[] = []
  #opening: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(config: WaypointConfig, deps: WaypointDeps) {
    this.#config = config
    this.#build = deps.build ?? 'dev'
    this.#log = deps.log ?? createLogger({ name: 'waypoint', level: config.logLevel })
    this.#boot = bootOf(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'))
    this.#failed.promise.catch(() => {})
    this.#model = this.#createModel()
    this.#certificates = new CertificateCache({
      directory: join(config.stateDir, 'certificates'),
      issue: (identity, csr, signal) => this.#issue(identity, csr, signal),
      log: this.#log,
    })
    this.#plane = new DataPlane({
      config,
      uid: reportOf(config, this.#boot, false).uid,
      self: () => selfOf(config, this.#model.snapshot.settings.serviceDomain),
      identity: () => this.#identity,
      snapshot: this.#model.snapshot,
      sockets: deps.sockets ?? new HostSockets(),
      accessLog: deps.accessLog ?? createLogger({ name: 'waypoint', level: config.logLevel, gather: true }),
      log: this.#log,
    })
    this.#model.publishTo({
      connected: 1,
      delta: async (_, refused) => [...refused, ...this.#plane.modelChanged()],
      bundle: async (bundle) => this.#certificates.setBundle(bundle),
    })
    this.#certificates.onChange((certificate) => this.#certificateChanged(certificate))
  }

  get addresses(): Waypoint['addresses'] {
    const [admin, metrics, health] = this.#http.map((server) => server.address)
    return { admin: admin!, metrics: metrics!, health: health!, tunnels: this.#plane.tunnels }
  }

  get ready(): Promise<void> {
    const ready = this.#readiness.wait(this.#stop.signal)
    ready.catch(() => {})
    return ready
  }

  get failed(): Promise<never> {
    return this.#failed.promise
  }

  async start(): Promise<void> {
    await this.#openAdmin()
    await this.#certificates.load()
    await this.#model.load()
    if (!this.#model.known || this.#model.bundle === '') {
      const membership = await this.#join()
      this.#background = stayMember(membership, this.#stop.signal)
      return
    }
    // What was known when it stopped is in force again before the control plane is there, and stays if that never comes.
    this.#certificates.setBundle(this.#model.bundle)
    this.#plane.modelChanged()
    this.#modelKnown()
    this.#become(this.#model.trustDomain)
    this.#background = this.#join()
      .then((membership) => stayMember(membership, this.#stop.signal))
      .catch((error: unknown) => {
        if (this.#stop.signal.aborted) return
        this.#log.error({ err: error }, 'not connected to the control plane: working from the saved state')
      })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #createModel(): HeldModel {
    const log = this.#log.child({ part: 'model' })
    return new HeldModel({
      file: new StateFile<ModelState>(join(this.#config.stateDir, 'model.json'), log),
      log,
      acknowledge: (epoch, version, refused) => this.#membership?.feed.acknowledge(epoch, version, refused),
      changed: () => {
        if (!this.#model.known) return
        this.#modelKnown()
        this.#openWhenDue()
      },
    })
  }

  async #join(): Promise<Membership> {
    const { snapshot } = this.#model
    const membership = await becomeMember({
      config: { ...this.#config, host: hostOf(this.#config) },
      build: this.#build,
      features: ['waypoint'],
      resume: () => {
        const { version } = this.#model
        return version === undefined ? undefined : { ...version, digest: snapshot.digest() }
      },
      digests: () => snapshot.digests(),
      log: this.#log,
      signal: this.#stop.signal,
    })
    this.#membership = membership
    const { feed, certificate } = membership
    feed.on('delta', (delta) => this.#model.apply(delta))
    feed.on('bundle', (bundle) => this.#model.setBundle(bundle))
    feed.on('workloadsResult', (refused) => {
      for (const { uid, reason } of refused)
        this.#log.error({ uid }, `the control plane refuses this waypoint: ${reason}`)
      if (refused.length === 0) this.#certificates.retry()
    })
    if (this.#model.bundle === '') this.#model.setBundle(certificate.credentials.bundle)
    this.#become(certificate.credentials.trustDomain)
    this.#report()
    return membership
  }

  /** Its identity is known from now on. */
  #become(trustDomain: string): void {
    const identity = identityOf(this.#config, trustDomain)
    if (identity === this.#identity) return
    this.#identity = identity
    this.#certificates.require(identity)
    this.#certificates.forgetUnrequired()
    const held = this.#certificates.get(identity)
    if (held !== undefined) this.#certificateChanged(held)
  }

  async #issue(
    identity: string,
    csr: string,
    signal: AbortSignal,
  ): Promise<{ readonly chain: string; readonly bundle: string }> {
    const feed = this.#membership?.feed
    if (feed === undefined) throw new MeshError('FEED_CLOSED', 'not connected to the control plane yet')
    return await feed.requestCertificate(identity, csr, signal)
  }

  #certificateChanged(certificate: IssuedCertificate): void {
    if (certificate.identity !== this.#identity) return
    this.#plane.setCertificate(certificate)
    this.#certified()
    this.#openWhenDue()
  }

  /** Takes tunnels once it has a model and a certificate, and says so. */
  #openWhenDue(): void {
    const identity = this.#identity
    if (this.#opening !== undefined || this.#draining.signal.aborted || !this.#model.known) return
    if (identity === undefined || this.#certificates.get(identity) === undefined) return
    this.#opening = this.#plane.listen().then(
      () => {
        this.#log.info({ identity, addresses: this.#config.address }, 'taking tunnels')
        this.#listening()
        this.#report()
      },
      (error: unknown) => this.#failed.reject(error),
    )
  }

  #report(): void {
    const open = this.#plane.tunnels.length > 0 && !this.#draining.signal.aborted
    this.#membership?.feed.report([reportOf(this.#config, this.#boot, open)])
  }

  async #openAdmin(): Promise<void> {
    const { adminAddress, metricsAddress, healthAddress } = this.#config
    const deps: AdminDeps = {
      build: this.#build,
      waypoint: () => selfOf(this.#config, this.#model.snapshot.settings.serviceDomain).key,
      plane: this.#plane,
      certificate: () => (this.#identity === undefined ? undefined : this.#certificates.get(this.#identity)),
      feed: () => this.#membership?.feed.state.kind ?? 'idle',
      readiness: this.#readiness,
      draining: this.#draining.signal,
      log: this.#log,
    }
    const plans = [
      { at: adminAddress, routes: adminRoutes(deps) },
      { at: metricsAddress, routes: metricsRoutes(deps) },
      { at: healthAddress, routes: healthRoutes(deps) },
    ]
    for (const { at, routes } of plans) {
      const server = await startHttp({ address: at.host, port: at.port, routes, log: this.#log })
      this.#http = [...this.#http, server]
    }
  }

  /** First nobody is to come any more, then those that are there finish. The model is followed to the end. */
  async #close(): Promise<void> {
    const { drainTimeout, withdrawTime } = this.#config
    this.#draining.abort()
    await this.#opening
    const connected = this.#membership?.feed.state.kind === 'connected'
    if (this.#plane.tunnels.length > 0 && connected) {
      const others = this.#plane.hasOthers
      this.#log.info({ withdrawTime, others }, 'withdrawing')
      this.#report()
      // Alone, it would only be longer away: daemons wait a moment for a waypoint that comes back.
      if (others) await sleep(withdrawTime)
    }
    const deadlineMs = Number.isFinite(drainTimeout) ? drainTimeout : 'unlimited'
    this.#log.info({ deadlineMs, connections: this.#plane.connectionCount }, 'draining')
    await this.#plane.drain(drainTimeout)
    this.#stop.abort()
    await this.#membership?.feed.close()
    await this.#background
    await this.#certificates.close()
    await this.#model.close()
    for (const server of this.#http) await server.close()
    this.#log.info('stopped')
  }
}

/** Enough of it to tell one life of the machine from another. */
function bootOf(bootId: string): string {
  return bootId.replaceAll('-', '').slice(0, 12)
}
