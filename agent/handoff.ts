// The agent's unix socket for daemons: <run-dir>/agent.sock. Only root and the configured user may connect. Every
// daemon is told everything (state, then changes in order); the one that started last decides what counts as served, and
// once it serves all that an older one serves, the older one is told to drain. Used by app.ts and the reconciler.
import { chmodSync, chownSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { asMeshError, MeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import type { LocalWorkload } from '../core/feed/handoff.ts'
import type { ExplainQuestion, LiveView } from '../core/model/explanation.ts'
import type { CompiledDelta, RefusedResource } from '../core/model/types.ts'
import { peerCredentials } from '../core/net/sys.ts'
import {
  type ConnectionEvents,
  type ConnectionLimits,
  type ConnectionOwner,
  DaemonConnection,
  type HandoffState,
  type Serving,
} from './handoff-connection.ts'

export interface HandoffOptions extends ConnectionEvents {
  readonly path: string
  /** User of the daemon besides root; the socket's group is theirs. */
  readonly daemonUser?: { readonly uid: number; readonly gid: number } | undefined
  /** Everything, as it is now; undefined while nothing is known: daemons then wait for `open`. */
  state(): HandoffState | undefined
  readonly limits?: Partial<ConnectionLimits>
  readonly log: Logger
}

/** Whether a process listens on the unix socket. The file of one that has ended refuses. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path)
    const settle = (answered: boolean): void => {
      probe.destroy()
      resolve(answered)
    }
    probe.once('connect', () => settle(true)).once('error', () => settle(false))
  })
}

const defaultLimits: ConnectionLimits = {
  ackMs: 5000,
  stateAckMs: 30_000,
  lineBytes: 256 * 1024 * 1024,
  settleMs: 1000,
}
/** Daemons that drain until their last connection ends may be many. */
const maxDaemons = 64

export class HandoffServer implements ConnectionOwner {
  readonly #options: HandoffOptions
  readonly #limits: ConnectionLimits
  readonly #server: Server
  /** Oldest first. */
  readonly #connections = new Set<DaemonConnection>()
  #closed = false
  /** The daemon that is about to take over. */
  #taking: { readonly newest: DaemonConnection; readonly timer: NodeJS.Timeout } | undefined

  constructor(options: HandoffOptions) {
    this.#options = options
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#server = createServer((socket) => this.#accept(socket))
  }

  /** Replaces the socket that an earlier agent left. Rejects with SYSTEM_CALL, also where that agent still runs. */
  async listen(): Promise<void> {
    const { path, daemonUser, log } = this.#options
    if (await answers(path)) {
      const text = `another agent serves ${path}: end it, or give this one a --run-dir and --state-dir of its own`
      throw new MeshError('SYSTEM_CALL', text)
    }
    rmSync(path, { force: true })
    const mask = process.umask(0o177)
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject)
        this.#server.listen(path, () => resolve())
      })
    } catch (error: unknown) {
      throw new MeshError('SYSTEM_CALL', `cannot listen on ${path}: ${asMeshError(error, 'SYSTEM_CALL').message}`, {
        cause: error,
      })
    } finally {
      process.umask(mask)
    }
    this.#server.on('error', (error) => log.error({ err: error }, 'the handoff socket failed'))
    if (daemonUser !== undefined) chownSync(path, 0, daemonUser.gid)
    chmodSync(path, 0o660)
    log.info({ path }, 'waiting for the daemon')
  }

  /** There is a state now: it goes to the daemons that wait for it. */
  open(): void {
    for (const connection of this.#connections) this.#open(connection)
  }

  /** For DaemonConnection only. */
  greeted(connection: DaemonConnection): void {
    this.#open(connection)
  }

  /**
   * For DaemonConnection only. The hand-over: whatever an older daemon accepts connections for, the newest one accepts too, so
   * the older one may stop. Where the newest lacks one of its workloads, both go on, and share the others.
   */
  settled(): void {
    const newest = this.#newest
    if (newest === undefined || newest === this.#taking?.newest || this.#replaced(newest).length === 0) return
    clearTimeout(this.#taking?.timer)
    const timer = setTimeout(() => this.#takeOver(newest), this.#limits.settleMs)
    this.#taking = { newest, timer }
  }

  #takeOver(newest: DaemonConnection): void {
    this.#taking = undefined
    if (newest !== this.#newest) {
      this.settled()
      return
    }
    for (const older of this.#replaced(newest)) {
      this.#options.log.info('a newer daemon has taken over; the older one is to drain')
      // a daemon that is gone or silent by now is told again when it connects again
      older
        .drain()
        .catch((error: unknown) => this.#options.log.warn({ err: error }, 'the older daemon does not answer'))
    }
  }

  /** Daemons that may stop, because the newest one serves what they serve. */
  #replaced(newest: DaemonConnection): readonly DaemonConnection[] {
    if (!newest.settled) return []
    const served = newest.servedUids
    return [...this.#connections].filter(
      (older) => older !== newest && older.greeted && !older.draining && older.servedUids.isSubsetOf(served),
    )
  }

  /** Daemons that are connected, those that drain included. */
  get connected(): number {
    return this.#connections.size
  }

  /** Whether the newest daemon serves exactly this workload. */
  serving(workload: LocalWorkload): Serving {
    return this.#newest?.serving(workload) ?? 'absent'
  }

  /** To all daemons; what the newest refused, undefined without a daemon. Rejects with FEED_CLOSED. */
  async delta(delta: CompiledDelta): Promise<readonly RefusedResource[] | undefined> {
    return this.#all((connection) => connection.delta(delta))
  }

  async bundle(bundle: string): Promise<void> {
    await this.#all((connection) => connection.bundle(bundle))
  }

  /** Resolves once the newest daemon listens for the workload. Rejects with CONNECT_FAILED or FEED_CLOSED. */
  async add(workload: LocalWorkload): Promise<void> {
    const newest = this.#newest
    if (newest?.opened !== true) throw new MeshError('FEED_CLOSED', 'no daemon is connected')
    await newest.add(workload)
  }

  /** What the newest daemon would do. Rejects with FEED_CLOSED without one, and with what the daemon answers. */
  async explain(question: ExplainQuestion): Promise<LiveView> {
    const newest = this.#newest
    if (newest?.opened !== true) throw new MeshError('FEED_CLOSED', 'no daemon is connected to the agent')
    return await newest.explain(question)
  }

  /** Tells every daemon to drain the workload. */
  async remove(uid: string): Promise<void> {
    await this.#all((connection) => connection.remove(uid))
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#taking?.timer)
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const connection of this.#connections) connection.end(new MeshError('DRAINING', 'the agent stops'))
    await closed
    rmSync(this.#options.path, { force: true })
  }

  /** The daemon that started last, among those that accept; of those that do not say when, the one that connected last. */
  get #newest(): DaemonConnection | undefined {
    let newest: DaemonConnection | undefined
    for (const connection of this.#connections) {
      if (!connection.greeted || connection.draining) continue
      if (newest === undefined || connection.startedAt >= newest.startedAt) newest = connection
    }
    return newest
  }

  /**
   * Sends to all at once; the newest one's answer counts, the others' failures end their connections and are logged
   * there.
   */
  async #all<T>(send: (connection: DaemonConnection) => Promise<T>): Promise<T | undefined> {
    const newest = this.#newest
    const opened = [...this.#connections].filter((connection) => connection.opened)
    const answers = opened.map((connection) => ({ connection, answer: send(connection) }))
    for (const { answer } of answers) answer.catch(() => {})
    return answers.find(({ connection }) => connection === newest)?.answer
  }

  #open(connection: DaemonConnection): void {
    if (connection.opened || !connection.greeted) return
    const state = this.#options.state()
    if (state !== undefined) connection.open(state)
  }

  #accept(socket: Socket): void {
    const { log, daemonUser } = this.#options
    socket.on('error', () => {})
    try {
      const { uid, pid } = peerCredentials(socket)
      if (uid !== 0 && uid !== daemonUser?.uid) {
        log.warn({ uid, pid }, 'refused a connection: neither root nor the daemon user')
        socket.destroy()
        return
      }
      if (this.#connections.size >= maxDaemons) throw new MeshError('LIMIT_REACHED', 'too many daemons are connected')
      void this.#serve(socket, log.child({ daemon: pid }))
    } catch (error: unknown) {
      log.warn({ err: error }, 'refused a connection')
      socket.destroy()
    }
  }

  async #serve(socket: Socket, log: Logger): Promise<void> {
    const connection = new DaemonConnection(socket, this.#options, this, this.#limits, log)
    this.#connections.add(connection)
    try {
      await connection.run()
    } finally {
      this.#connections.delete(connection)
      if (!this.#closed) this.settled()
      this.#options.changed()
    }
  }
}
