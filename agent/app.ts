// The agent's one wiring place: discovery, enrolment, the handoff to the daemon and the feed from the control plane.
// Called by cli/commands/agent.ts and by tests. `close` leaves redirection in place: running traffic does not need an
// agent.
import { chmodSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { logLevelRoute, metricsRoute, readyRoute } from '../core/admin/routes.ts'
import { startHttp } from '../core/admin/server.ts'
import { MeshError } from '../core/base/errors.ts'
import { createLogger, type Logger } from '../core/base/log.ts'
import { Readiness } from '../core/base/readiness.ts'
import { HeldModel } from '../core/feed/held-model.ts'
import { becomeMember, type Membership, stayMember } from '../core/feed/membership.ts'
import type { WorkloadReport } from '../core/feed/messages.ts'
import type { SocketAddress } from '../core/net/address.ts'
import { bindMount, unmountDetach, warmThreadPool } from '../core/net/sys.ts'
import { type AgentConfig, lookUpUser } from './config.ts'
import { WorkloadDirectory } from './discover/directory.ts'
import type { Discoverer } from './discover/discoverer.ts'
import { Reconciler } from './enroll/reconciler.ts'
import { HandoffServer } from './handoff.ts'
import { type AgentFacts, AgentMetrics } from './metrics.ts'
import { Redirector } from './redirect/apply.ts'
import { loadConntrack, namespaceCommands } from './redirect/command.ts'
import { countHeldByDaemon, listUncaptured, resetConnections } from './redirect/established.ts'
import { Pins } from './redirect/pins.ts'
import { type AgentState, openState } from './state.ts'

export interface AgentDeps {
  readonly log?: Logger
  readonly build?: string
  /** The workloads directory unless a test hands in another. */
  readonly discoverer?: Discoverer
}

export interface Agent {
  readonly addresses: { readonly handoff: string; readonly admin?: SocketAddress }
  /** Resolves once a model is in force, from the control plane or from disk, and the daemon can connect. */
  readonly ready: Promise<void>
  /** Ends; redirection, pins and the daemon's listeners stay as they are. A second call joins the first. */
  close(): Promise<void>
}

const timing = { retryBaseMs: 200, retryMaxMs: 10_000, absenceGraceMs: 15_000, lingerMs: 2_000 } as const

/**
 * Starts the agent. On a host that has never joined, resolves once it has; else at once. Throws what joining throws
 * (TOKEN_INVALID, NODE_UNAUTHORIZED, IDENTITY_INVALID, CONFIG_INVALID), SYSTEM_CALL or STORE_FAILED.
 */
export async function build(config: AgentConfig, deps: AgentDeps = {}): Promise<Agent> {
  const log = deps.log ?? createLogger({ name: 'agent', level: config.logLevel })
  await warmThreadPool()
  mkdirSync(config.stateDir, { recursive: true, mode: 0o700 })
  chmodSync(config.stateDir, 0o700)
  mkdirSync(config.runDir, { recursive: true, mode: 0o755 })
  const runtime = new AgentRuntime(config, { ...deps, log })
  try {
    await runtime.start()
  } catch (error: unknown) {
    await runtime.close()
    throw error
  }
  const { addresses, ready } = runtime
  return { addresses, ready, close: () => runtime.close() }
}

/** The parts of a running agent and the wires between them. */
class AgentRuntime {
  readonly #config: AgentConfig
  readonly #build: string
  readonly #log: Logger
  readonly #stop = new AbortController()
  readonly #readiness = new Readiness()
  readonly #modelKnown = this.#readiness.task('model')
  readonly #listening = this.#readiness.task('handoff')
  readonly #metrics = new AgentMetrics()
  readonly #model: HeldModel
  readonly #discoverer: Discoverer
  readonly #handoff: HandoffServer
  readonly #reconciler: Reconciler
  #admin: Awaited<ReturnType<typeof startHttp>> | undefined
  #membership: Membership | undefined
  #report: readonly WorkloadReport[] = []
  #background: Promise<void> = Promise.resolve()
  #rescan: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  constructor(config: AgentConfig, deps: AgentDeps & { readonly log: Logger }) {
    this.#config = config
    this.#build = deps.build ?? 'dev'
    this.#log = deps.log
    const state = openState(config.stateDir, deps.log)
    this.#model = this.#createModel(state)
    this.#handoff = this.#createHandoff()
    this.#reconciler = this.#createReconciler(state)
    this.#discoverer =
      deps.discoverer ??
      new WorkloadDirectory({
        directory: config.workloadsDir,
        rescanMs: config.reconcileInterval,
        log: deps.log.child({ part: 'discover' }),
      })
  }

  get addresses(): Agent['addresses'] {
    return { handoff: this.#socketPath, ...(this.#admin === undefined ? {} : { admin: this.#admin.address }) }
  }

  get ready(): Promise<void> {
    const ready = this.#readiness.wait(this.#stop.signal)
    ready.catch(() => {})
    return ready
  }

  async start(): Promise<void> {
    await this.#model.load()
    await loadConntrack()
    await this.#reconciler.load()
    await this.#discoverer.start(() => this.#reconciler.discovered(this.#discoverer.workloads))
    this.#reconciler.discovered(this.#discoverer.workloads)
    this.#rescan = setInterval(
      () => this.#reconciler.discovered(this.#discoverer.workloads),
      this.#config.reconcileInterval,
    )
    await this.#openAdmin()
    if (this.#model.known && this.#model.bundle !== '') {
      await this.#listen()
      this.#background = this.#join()
        .then((membership) => stayMember(membership, this.#stop.signal))
        .catch((error: unknown) => {
          if (this.#stop.signal.aborted) return
          this.#log.error({ err: error }, 'not connected to the control plane: working from the saved state')
        })
    } else {
      const membership = await this.#join()
      await this.#listen()
      this.#background = stayMember(membership, this.#stop.signal)
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  get #socketPath(): string {
    return join(this.#config.runDir, 'agent.sock')
  }

  #createModel(state: AgentState): HeldModel {
    return new HeldModel({
      file: state.model,
      log: this.#log.child({ part: 'model' }),
      acknowledge: (epoch, version, refused) => this.#membership?.feed.acknowledge(epoch, version, refused),
      changed: () => {
        if (this.#model.known) this.#modelKnown()
        this.#handoff.open()
        this.#reconciler.wake()
      },
    })
  }

  #createHandoff(): HandoffServer {
    const { daemonUser } = this.#config
    return new HandoffServer({
      path: this.#socketPath,
      daemonUser: daemonUser === undefined ? undefined : lookUpUser(daemonUser),
      state: () => {
        if (!this.#model.known || this.#model.bundle === '') return undefined
        const delta = this.#model.snapshot.toDelta()
        return { delta, bundle: this.#model.bundle, workloads: this.#reconciler.localWorkloads }
      },
      issue: (identity, csr, signal) => this.#issue(identity, csr, signal),
      changed: () => this.#reconciler.wake(),
      ready: (epoch, version, refused) => this.#model.taken(epoch, version, refused),
      log: this.#log.child({ part: 'handoff' }),
    })
  }

  #createReconciler(state: AgentState): Reconciler {
    const { host, runDir, reconcileInterval, releaseTimeout, drainTimeout } = this.#config
    const log = this.#log.child({ part: 'enroll' })
    const run = namespaceCommands(this.#stop.signal)
    return new Reconciler({
      host,
      bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
      pins: new Pins(join(runDir, 'netns'), { bindMount, unmountDetach }),
      file: state.host,
      connected: () => this.#membership?.feed.state.kind === 'connected',
      report: (workloads) => {
        this.#report = workloads
        this.#membership?.feed.report(workloads)
      },
      redirector: new Redirector({ host, run, log }),
      connections: {
        bypassing: (netns) => listUncaptured(run, netns),
        reset: (netns, keys) => resetConnections(run, netns, keys),
        held: (netns) => countHeldByDaemon(run, netns),
      },
      daemon: this.#handoff,
      model: this.#model,
      timing: { ...timing, verifyMs: reconcileInterval, releaseMs: releaseTimeout, drainMs: drainTimeout },
      clock: Date.now,
      log,
    })
  }

  /** The daemon makes the key and asks; only identities of workloads that run here are passed on. */
  async #issue(
    identity: string,
    csr: string,
    signal: AbortSignal,
  ): Promise<{ readonly chain: string; readonly bundle: string }> {
    if (!this.#reconciler.hasIdentity(identity)) {
      throw new MeshError('NODE_UNAUTHORIZED', `no workload with the identity ${identity} runs on this host`)
    }
    const feed = this.#membership?.feed
    if (feed === undefined) throw new MeshError('FEED_CLOSED', 'the agent is not connected to the control plane yet')
    return await feed.requestCertificate(identity, csr, signal)
  }

  async #join(): Promise<Membership> {
    const membership = await becomeMember({
      config: this.#config,
      build: this.#build,
      resume: () => {
        const { version, snapshot } = this.#model
        return version === undefined ? undefined : { ...version, digest: snapshot.digest() }
      },
      digests: () => this.#model.snapshot.digests(),
      explain: (question) => this.#handoff.explain(question),
      log: this.#log,
      signal: this.#stop.signal,
    })
    this.#membership = membership
    const { feed, certificate } = membership
    feed.on('delta', (delta) => this.#model.apply(delta))
    feed.on('bundle', (bundle) => this.#model.setBundle(bundle))
    feed.on('workloadsResult', (refused) => this.#reconciler.refused(refused))
    feed.on('state', () => this.#reconciler.wake())
    feed.report(this.#report)
    if (this.#model.bundle === '') this.#model.setBundle(certificate.credentials.bundle)
    return membership
  }

  async #listen(): Promise<void> {
    await this.#handoff.listen()
    this.#model.publishTo(this.#handoff)
    if (this.#model.known) this.#modelKnown()
    this.#listening()
  }

  async #openAdmin(): Promise<void> {
    const { adminAddress } = this.#config
    if (adminAddress === undefined) return
    const ready = readyRoute(this.#readiness, this.#stop.signal)
    const routes = {
      '/healthz/ready': ready,
      '/ready': ready,
      '/metrics': metricsRoute(async () => [this.#metrics.snapshot(this.#facts())]),
      '/logging': logLevelRoute(this.#log),
      'POST /logging': logLevelRoute(this.#log),
    }
    this.#admin = await startHttp({ address: adminAddress.host, port: adminAddress.port, routes, log: this.#log })
  }

  #facts(): AgentFacts {
    return {
      states: this.#reconciler.states,
      uncapturedConnections: this.#report.reduce((sum, workload) => sum + workload.uncapturedConnections, 0),
      daemons: this.#handoff.connected,
      connected: this.#membership?.feed.state.kind === 'connected',
      modelVersion: this.#model.snapshot.version,
      certificateNotAfterMs: this.#membership?.certificate.notAfter ?? 0,
    }
  }

  async #close(): Promise<void> {
    clearInterval(this.#rescan)
    await this.#discoverer.close()
    await this.#reconciler.close()
    this.#stop.abort()
    await this.#membership?.feed.close()
    await this.#handoff.close()
    await this.#model.close()
    await this.#background
    await this.#admin?.close()
    this.#log.info('stopped; redirection stays in place')
  }
}
