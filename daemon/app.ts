// The daemon's one wiring place: agent's socket, certificates, saved state, admin servers in this thread, connections in the
// data workers. Called by cli/commands/daemon.ts and by tests.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { startHttp } from '../core/admin/server.ts'
import { createLogger, type Logger } from '../core/base/log.ts'
import { Readiness } from '../core/base/readiness.ts'
import { CertificateCache } from '../core/identity/cache.ts'
import type { SocketAddress } from '../core/net/address.ts'
import { warmThreadPool } from '../core/net/sys.ts'
import { type AdminDeps, adminRoutes, healthRoutes, metricsRoutes } from './admin.ts'
import { AgentClient } from './agent-client.ts'
import type { DaemonConfig } from './config.ts'
import { connectionsFor, openFileLimit } from './descriptors.ts'
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
  /** Drains (bounded by `drainTimeout`) and ends. A second call joins the first. */
  close(): Promise<void>
}

const saveDelayMs = 500
/** What a worker gets on top of its drain before it is ended unasked. */
const drainGraceMs = 5000

/** Starts the daemon. Throws SYSTEM_CALL where a port is taken, STORE_FAILED where the state directory is not usable. */
export async function build(config: DaemonConfig, deps: DaemonDeps = {}): Promise<Daemon> {
  const log = deps.log ?? createLogger({ name: 'daemon', level: config.logLevel })
  const version = deps.build ?? 'dev'
  await warmThreadPool()
  await mkdir(config.stateDir, { recursive: true, mode: 0o700 })
  const readiness = new Readiness()
  const stateArrived = readiness.task('state')
  const workersStarted = readiness.task('workers')
  const parts = assemble(config, { ...deps, log, build: version }, stateArrived)
  const { certificates, workers, state } = parts
  await certificates.load()
  await workers.start()
  workersStarted()
  await restoreSaved(parts, config, stateArrived, log)
  const agent = parts.connect()
  const stop = new AbortController()
  const admin = { build: version, state, workers, agent, readiness, draining: stop.signal, log }
  const servers = await openServers(config, admin).catch(async (error: unknown) => {
    await end(parts, config, stop, [])
    throw error
  })
  let closing: Promise<void> | undefined
  const ready = readiness.wait(stop.signal)
  // Who closes a daemon that never became ready need not look at this.
  ready.catch(() => {})
  return {
    addresses: servers.addresses,
    ready,
    close: () => {
      closing ??= end(parts, config, stop, servers.list)
      return closing
    },
  }
}

/** Nothing new from the agent, connections drained, state and certificates on disk, then the rest. */
async function end(
  parts: Parts,
  config: DaemonConfig,
  stop: AbortController,
  servers: OpenServers['list'],
): Promise<void> {
  const { certificates, workers, writer, log } = parts
  const deadlineMs = config.drainTimeout
  log.info({ deadlineMs }, 'draining')
  stop.abort()
  await parts.connect().close()
  await workers.some('drain', { deadlineMs }, deadlineMs + drainGraceMs)
  await Promise.all([writer.close(), certificates.close()])
  await workers.close()
  await Promise.all(servers.map((server) => server.close()))
  log.info('stopped')
}

interface Parts {
  readonly log: Logger
  readonly certificates: CertificateCache
  readonly workers: Workers
  readonly state: HandoffState
  readonly writer: StateWriter
  /** The client of the agent, started on first use. */
  readonly connect: () => AgentClient
}

function assemble(
  config: DaemonConfig,
  deps: DaemonDeps & { readonly log: Logger; readonly build: string },
  stateArrived: () => void,
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
        stateArrived()
        return acknowledgement
      },
      onConnect: () => certificates.retry(),
      log,
    })
    return agent
  }
  return { log, certificates, workers, state, writer, connect }
}

function stateFile(config: DaemonConfig): string {
  return join(config.stateDir, 'state.json')
}

function limitsOf(config: DaemonConfig): WorkersOptions['setup']['limits'] {
  return {
    maxConnections: config.maxConnections,
    maxTotal: config.maxTotalConnections || connectionsFor(openFileLimit(), config.workers),
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

interface OpenServers {
  readonly addresses: Daemon['addresses']
  readonly list: readonly { close(): Promise<void> }[]
}

async function openServers(config: DaemonConfig, deps: AdminDeps): Promise<OpenServers> {
  const open = (
    { host, port }: { readonly host: string; readonly port: number },
    routes: ReturnType<typeof adminRoutes>,
  ) => startHttp({ address: host, port, routes, log: deps.log })
  const list: Awaited<ReturnType<typeof startHttp>>[] = []
  try {
    for (const [address, routes] of [
      [config.adminAddress, adminRoutes(deps)],
      [config.metricsAddress, metricsRoutes(deps)],
      [config.healthAddress, healthRoutes(deps)],
    ] as const) {
      list.push(await open(address, routes))
    }
  } catch (error: unknown) {
    await Promise.all(list.map((server) => server.close()))
    throw error
  }
  const [admin, metrics, health] = list.map((server) => server.address)
  return { addresses: { admin: admin!, metrics: metrics!, health: health! }, list }
}
