// The daemon's one wiring place: agent's socket, certificates, saved state, admin servers in this thread, connections in the
// data workers. Called by cli/commands/daemon.ts and by tests.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { healthRoutes } from '../core/admin/routes.ts'
import { createLogger, type Logger } from '../core/base/log.ts'
import { Readiness } from '../core/base/readiness.ts'
import { CertificateCache } from '../core/identity/cache.ts'
import type { SocketAddress } from '../core/net/address.ts'
import { warmThreadPool } from '../core/net/sys.ts'
import { type AdminDeps, adminRoutes, metricsRoutes } from './admin.ts'
import { AdminPorts } from './admin-ports.ts'
import { AgentClient } from './agent-client.ts'
import type { DaemonConfig } from './config.ts'
import { descriptorsFor, openFileLimit } from './descriptors.ts'
import { explainHere } from './explain.ts'
import { HandoffState } from './handoff-state.ts'
import { loadState, StateWriter } from './state-file.ts'
import { Workers, type WorkersOptions } from './workers.ts'

export interface DaemonDeps {
  readonly log?: Logger
  readonly build?: string
  /** Starts a data worker; the real thread unless a test hands in another. */
  readonly spawn?: WorkersOptions['spawn']
}

export interface Daemon {
  readonly addresses: { readonly admin: SocketAddress; readonly metrics: SocketAddress; readonly health: SocketAddress }
  /** Resolves once a state, of the agent or from disk, is in force. */
  readonly ready: Promise<void>
  /** Resolves when a newer daemon has taken over: `close` is due. */
  readonly retired: Promise<void>
  /** Drains (bounded by `drainTimeout`) and ends. A second call joins the first. */
  close(): Promise<void>
}

const saveDelayMs = 500
/** What a worker gets on top of its drain before it is ended unasked. */
const drainGraceMs = 5000
/** A drain may take days. */
const drainReportMs = 60_000

/** Starts the daemon. Throws SYSTEM_CALL where a port is taken, STORE_FAILED where the state directory is not usable. */
export async function build(config: DaemonConfig, deps: DaemonDeps = {}): Promise<Daemon> {
  const log = deps.log ?? createLogger({ name: 'daemon', level: config.logLevel })
  const version = deps.build ?? 'dev'
  await warmThreadPool()
  await mkdir(config.stateDir, { recursive: true, mode: 0o700 })
  const readiness = new Readiness()
  const stateArrived = readiness.task('state')
  const workersStarted = readiness.task('workers')
  const retired = Promise.withResolvers<void>()
  let handedOver = false
  const onRetired = (): void => {
    handedOver = true
    retired.resolve()
  }
  const hooks = { stateArrived, retired: onRetired }
  const parts = assemble(config, { ...deps, log, build: version }, hooks)
  const { certificates, workers, state, agent } = parts
  const stop = new AbortController()
  const admin = { build: version, state, workers, agent, readiness, draining: stop.signal, log }
  // First of all: once the agent has heard of this daemon, another one may be told to drain.
  const ports = await bindPorts(config, admin).catch(async (error: unknown) => {
    await workers.close()
    throw error
  })
  await certificates.load()
  await workers.start()
  workersStarted()
  await restoreSaved(parts, config, stateArrived, log)
  parts.connect()
  let closing: Promise<void> | undefined
  const ready = openPorts(ports, readiness.wait(stop.signal))
  // Who closes a daemon that never became ready need not look at this.
  ready.catch(() => {})
  const [adminAddress, metrics, health] = ports.shared ? ports.addresses : await ports.open()
  return {
    addresses: { admin: adminAddress!, metrics: metrics!, health: health! },
    ready,
    retired: retired.promise,
    close: () => {
      closing ??= end(parts, config, { stop, ports, handedOver })
      return closing
    },
  }
}

interface Ending {
  readonly stop: AbortController
  readonly ports: AdminPorts
  /** Another daemon has the state on disk in its care. */
  readonly handedOver: boolean
}

/**
 * The ports where one asks for this host's daemon, and the files on disk, are given up first: a daemon that has taken over has
 * them now. The agent is heard to the end, since live connections are still judged by the model.
 */
async function end(parts: Parts, config: DaemonConfig, { stop, ports, handedOver }: Ending): Promise<void> {
  const { certificates, workers, writer, state, log } = parts
  const deadlineMs = config.drainTimeout
  log.info({ handedOver, deadlineMs: Number.isFinite(deadlineMs) ? deadlineMs : 'unlimited' }, 'draining')
  stop.abort()
  state.drain()
  parts.connect().drain()
  const drained = workers.some('drain', { deadlineMs }, deadlineMs + drainGraceMs)
  const progress = setInterval(() => void reportDrain(workers, log), drainReportMs)
  await Promise.all([handedOver ? writer.abandon() : writer.close(), certificates.close(), ports.close()])
  await drained
  clearInterval(progress)
  await parts.connect().close()
  await workers.close()
  log.info('stopped')
}

async function reportDrain(workers: Workers, log: Logger): Promise<void> {
  const live = (await workers.some('connections', {})).flat().length
  log.info({ live }, 'still draining')
}

interface Parts {
  readonly log: Logger
  readonly certificates: CertificateCache
  readonly workers: Workers
  readonly state: HandoffState
  readonly writer: StateWriter
  readonly agent: Pick<AgentClient, 'connected'>
  /** The client of the agent, started on first use. */
  readonly connect: () => AgentClient
}

function assemble(
  config: DaemonConfig,
  deps: DaemonDeps & { readonly log: Logger; readonly build: string },
  hooks: { readonly stateArrived: () => void; readonly retired: () => void },
): Parts {
  const { log } = deps
  let agent: AgentClient | undefined
  const certificates = new CertificateCache({
    directory: join(config.stateDir, 'certificates'),
    issue: async (identity, csr, signal) => {
      agent ??= connect()
      return await agent.issue(identity, csr, signal)
    },
    log,
  })
  const workers: Workers = new Workers({
    count: config.workers,
    setup: { limits: limitsOf(config), drainMs: config.drainTimeout, logLevel: config.logLevel },
    state: () => state.workerState(),
    ...(deps.spawn === undefined ? {} : { spawn: deps.spawn }),
    log,
  })
  const state: HandoffState = new HandoffState({ certificates, workers, onChange: () => writer.touch(), log })
  const writer: StateWriter = new StateWriter({
    file: stateFile(config),
    state: () => state.persisted(),
    delayMs: saveDelayMs,
    log,
  })
  certificates.onChange((certificate) => state.certificateChanged(certificate))
  const connect = (): AgentClient => {
    agent ??= new AgentClient({
      path: join(config.runDir, 'agent.sock'),
      build: deps.build,
      onMessage: async (message) => {
        const acknowledgement = await state.apply(message)
        hooks.stateArrived()
        return acknowledgement
      },
      onDrain: hooks.retired,
      onExplain: (question) => explainHere(state, config, question),
      onConnect: () => certificates.retry(),
      log,
    })
    return agent
  }
  const connected = {
    get connected() {
      return agent?.connected === true
    },
  }
  return { log, certificates, workers, state, writer, agent: connected, connect }
}

function stateFile(config: DaemonConfig): string {
  return join(config.stateDir, 'state.json')
}

function limitsOf(config: DaemonConfig): WorkersOptions['setup']['limits'] {
  return {
    maxConnections: config.maxConnections,
    ...(config.maxTotalConnections > 0 ? { maxTotal: config.maxTotalConnections } : {}),
    maxDescriptors: descriptorsFor(openFileLimit(), config.workers),
    maxPending: config.maxPending,
    connectTimeoutMs: config.connectTimeout,
    establishTimeoutMs: config.establishTimeout,
  }
}

/** What the daemon knew when it stopped is in force again before the agent is there, and stays if it never comes. */
async function restoreSaved(
  { state }: Parts,
  config: DaemonConfig,
  stateArrived: () => void,
  log: Logger,
): Promise<void> {
  const saved = await loadState(stateFile(config), log)
  if (saved === undefined) return
  try {
    const { failed } = await state.restore(saved)
    for (const [workload, reason] of Object.entries(failed)) log.warn({ workload, reason }, 'a workload is not back')
    log.info({ version: saved.delta.version, workloads: saved.workloads.length }, 'serving the saved state')
    stateArrived()
  } catch (error: unknown) {
    log.error({ err: error }, 'the saved state cannot be used; waiting for the agent')
  }
}

/** Beside another daemon, who asks reaches that one until this one is ready. */
async function openPorts(ports: AdminPorts, ready: Promise<void>): Promise<void> {
  await ready
  if (ports.shared) await ports.open()
}

async function bindPorts(config: DaemonConfig, deps: AdminDeps): Promise<AdminPorts> {
  const plans = [
    { at: config.adminAddress, routes: adminRoutes(deps) },
    { at: config.metricsAddress, routes: metricsRoutes(deps) },
    { at: config.healthAddress, routes: healthRoutes(deps) },
  ]
  return await AdminPorts.bind(plans, deps.log)
}
