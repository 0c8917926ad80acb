// The daemon's end of the agent's unix socket: connects again and again, believes only root or its own user, hands every
// message to one handler, carries certificate requests and says when the daemon drains. Owned by app.ts; the agent is the daemon's only way to control.
import { connect, type Socket } from 'node:net'
import { uptime } from 'node:os'
import { backoff, sleep } from '../core/base/deadline.ts'
import { asMeshError, MeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import { LineChannel } from '../core/feed/codec.ts'
import type { HandoffToAgent, HandoffToDaemon } from '../core/feed/handoff.ts'
import { parseHandoffToDaemon } from '../core/feed/parse.ts'
import type { ExplainQuestion, LiveView } from '../core/model/explanation.ts'
import { peerCredentials } from '../core/net/sys.ts'

/** One message of a whole mesh's state may be large. */
const lineLimitBytes = 256 * 1024 * 1024
const maxReasonLength = 4096
const retry = { baseMs: 50, maxMs: 2000 } as const

export type StateMessage = Exclude<HandoffToDaemon, { type: 'certificate' | 'certificate-error' | 'drain' | 'explain' }>
export type Acknowledgement = Pick<Extract<HandoffToAgent, { type: 'ack' }>, 'refused' | 'failed'>

export interface AgentClientOptions {
  /** `<run-dir>/agent.sock`. */
  readonly path: string
  readonly build: string
  /** Applies one message; messages come one at a time, in order. Its result is acknowledged. */
  readonly onMessage: (message: StateMessage) => Promise<Acknowledgement>
  /** A newer daemon serves all that this one serves. */
  readonly onDrain?: () => void
  /** What this daemon would do; throws a MeshError. */
  readonly onExplain?: (question: ExplainQuestion) => LiveView
  /** The agent is there (again). */
  readonly onConnect?: () => void
  readonly log: Logger
  readonly random?: () => number
}

/** Of this process, in milliseconds since boot. */
const startedAt = Math.round((uptime() - process.uptime()) * 1000)

interface PendingRequest {
  readonly resolve: (issued: { readonly chain: string; readonly bundle: string }) => void
  readonly reject: (error: MeshError) => void
}

export class AgentClient {
  readonly #options: AgentClientOptions
  readonly #stop = new AbortController()
  readonly #pending = new Map<number, PendingRequest>()
  readonly #connected = new Set<() => void>()
  #channel: LineChannel<HandoffToDaemon, HandoffToAgent> | undefined
  #queue: Promise<void> = Promise.resolve()
  #nextRequest = 1
  #draining = false
  #running: Promise<void>

  constructor(options: AgentClientOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  get connected(): boolean {
    return this.#channel !== undefined
  }

  /** Has the agent get a certificate. Waits for a connection; rejects with what the control plane answered or ABORTED. */
  async issue(
    identity: string,
    csr: string,
    signal: AbortSignal,
  ): Promise<{ readonly chain: string; readonly bundle: string }> {
    await this.#whenConnected(signal)
    const id = this.#nextRequest++
    const cancelled = (): MeshError =>
      new MeshError('ABORTED', `the request for a certificate of ${identity} was cancelled`, { cause: signal.reason })
    return await new Promise((resolve, reject) => {
      if (signal.aborted) return reject(cancelled())
      const abort = (): void => this.#settle(id)?.reject(cancelled())
      const done = (): void => signal.removeEventListener('abort', abort)
      signal.addEventListener('abort', abort, { once: true })
      this.#pending.set(id, {
        resolve: (issued) => {
          done()
          resolve(issued)
        },
        reject: (error) => {
          done()
          reject(error)
        },
      })
      if (this.#channel?.send({ type: 'csr', id, identity, csr }) !== true) this.#settle(id)?.reject(agentGone())
    })
  }

  /** Tells the agent, now and whenever it comes back, that this daemon accepts nothing any more. */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.#channel?.send({ type: 'draining' })
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.#queue
  }

  #whenConnected(signal: AbortSignal): Promise<void> {
    if (this.#channel !== undefined) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.#connected.delete(wake)
        signal.removeEventListener('abort', abort)
      }
      const wake = (): void => {
        done()
        resolve()
      }
      const abort = (): void => {
        done()
        reject(agentGone(signal.reason))
      }
      if (signal.aborted) return reject(agentGone(signal.reason))
      this.#connected.add(wake)
      signal.addEventListener('abort', abort, { once: true })
    })
  }

  #settle(id: number): PendingRequest | undefined {
    const request = this.#pending.get(id)
    this.#pending.delete(id)
    return request
  }

  async #run(): Promise<void> {
    const { log, random } = this.#options
    for (let attempt = 0; !this.#stop.signal.aborted; attempt++) {
      try {
        await this.#session(() => {
          attempt = 0
        })
        if (!this.#stop.signal.aborted) log.warn('the agent ended the connection; traffic goes on with the last state')
      } catch (error: unknown) {
        const level = attempt === 0 ? 'warn' : 'debug'
        log[level]({ err: error, path: this.#options.path }, 'no connection to the agent; traffic goes on')
      }
      await sleep(backoff(attempt, retry, random), this.#stop.signal).catch(() => {})
    }
  }

  async #session(onApplied: () => void): Promise<void> {
    const socket = await connectUnix(this.#options.path, this.#stop.signal)
    checkPeer(socket)
    const channel = new LineChannel<HandoffToDaemon, HandoffToAgent>(socket, {
      parse: parseHandoffToDaemon,
      limitBytes: lineLimitBytes,
    })
    const draining = this.#draining ? { draining: true } : {}
    const features = this.#options.onExplain === undefined ? {} : { features: ['explain'] }
    channel.send({ type: 'hello', build: this.#options.build, pid: process.pid, startedAt, ...draining, ...features })
    this.#channel = channel
    this.#options.log.info('connected to the agent')
    for (const wake of [...this.#connected]) wake()
    this.#options.onConnect?.()
    try {
      for await (const message of channel.messages(this.#stop.signal)) this.#take(message, channel, onApplied)
    } finally {
      this.#channel = undefined
      for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(agentGone())
    }
  }

  /** Certificates are answers and go past the queue: a state message may be waiting for one. */
  #take(message: HandoffToDaemon, channel: LineChannel<HandoffToDaemon, HandoffToAgent>, onApplied: () => void): void {
    if (message.type === 'certificate') {
      this.#settle(message.id)?.resolve(message)
      return
    }
    if (message.type === 'certificate-error') {
      const { code, reason, retryable } = message
      const text = `the control plane refused: ${code}: ${reason}${retryable ? '' : ' (final)'}`
      this.#settle(message.id)?.reject(new MeshError('CERTIFICATE_UNAVAILABLE', text))
      return
    }
    if (message.type === 'drain') {
      channel.send({ type: 'ack', seq: message.seq, refused: [], failed: {} })
      this.#options.onDrain?.()
      return
    }
    if (message.type === 'explain') {
      this.#explain(message, channel)
      return
    }
    this.#queue = this.#queue.then(async () => {
      try {
        const { refused, failed } = await this.#options.onMessage(message)
        channel.send({ type: 'ack', seq: message.seq, refused, failed })
        onApplied()
      } catch (error: unknown) {
        this.#options.log.error({ err: error, seq: message.seq, type: message.type }, 'a message could not be applied')
        channel.close()
      }
    })
  }

  /** On the state that is in force now: messages that wait are not in it. */
  #explain(
    { id, question }: Extract<HandoffToDaemon, { type: 'explain' }>,
    channel: LineChannel<HandoffToDaemon, HandoffToAgent>,
  ): void {
    try {
      const view = this.#options.onExplain?.(question)
      if (view === undefined) throw new MeshError('FEED_PROTOCOL', 'this daemon cannot be asked')
      channel.send({ type: 'explained', id, view })
    } catch (error: unknown) {
      const { code, message } = asMeshError(error, 'FEED_PROTOCOL')
      channel.send({ type: 'explain-failed', id, code, reason: message.slice(0, maxReasonLength) })
    }
  }
}

function agentGone(cause?: unknown): MeshError {
  return new MeshError('FEED_CLOSED', 'the agent is not connected: is culvert agent running on this host?', { cause })
}

function connectUnix(path: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, signal })
    socket.once('error', (error) => reject(asMeshError(error, 'FEED_CLOSED')))
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
  })
}

/** Whoever can make a socket in the run directory must not thereby become the source of policy. */
function checkPeer(socket: Socket): void {
  const { uid } = peerCredentials(socket)
  if (uid === 0 || uid === process.getuid?.()) return
  socket.destroy()
  throw new MeshError(
    'NODE_UNAUTHORIZED',
    `the agent's socket belongs to user ${uid}, not to root or this daemon's user`,
  )
}
