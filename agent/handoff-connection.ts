// One daemon on the handoff socket: numbers what is sent, waits for each acknowledgement with a deadline, knows which
// workloads this daemon serves. Owned by handoff.ts.
import type { Socket } from 'node:net'
import { asMeshError, MeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import { Asked } from '../core/feed/asked.ts'
import { LineChannel } from '../core/feed/codec.ts'
import type { HandoffToAgent, HandoffToDaemon, LocalWorkload } from '../core/feed/handoff.ts'
import { parseHandoffToAgent } from '../core/feed/parse.ts'
import type { ExplainQuestion, LiveView } from '../core/model/explanation.ts'
import type { CompiledDelta, RefusedResource } from '../core/model/types.ts'

export interface HandoffState {
  readonly delta: CompiledDelta
  readonly bundle: string
  readonly workloads: readonly LocalWorkload[]
}

/** Whether a daemon has the listeners of a workload open: `pending` until it answers, `absent` without a daemon. */
export type Serving = 'served' | 'unserved' | 'pending' | 'absent'

export interface ConnectionEvents {
  /** Signs a request that the daemon made. */
  issue(
    identity: string,
    csr: string,
    signal: AbortSignal,
  ): Promise<{ readonly chain: string; readonly bundle: string }>
  /** What is served may have changed. */
  changed(): void
  /** The state that the daemon was opened with is applied. */
  ready(epoch: string, version: number, refused: readonly RefusedResource[]): void
}

/** What the server of the socket hears of one connection. */
export interface ConnectionOwner {
  /** The daemon has said who it is: it may get the state. */
  greeted(connection: DaemonConnection): void
  /** It serves more, or less, than before. */
  settled(): void
}

export interface ConnectionLimits {
  readonly ackMs: number
  /** For the first message, which may be large. */
  readonly stateAckMs: number
  readonly lineBytes: number
  /** For how long a daemon serves before an older one is told to drain: one that does not survive its first traffic leaves it. */
  readonly settleMs: number
}

type Ack = Extract<HandoffToAgent, { type: 'ack' }>
type Numbered = Extract<HandoffToDaemon, { seq: number }>
type Unnumbered<M> = M extends Numbered ? Omit<M, 'seq'> : never

interface Waiting {
  readonly settle: (ack: Ack | MeshError) => void
  readonly timer: NodeJS.Timeout
}

/** Certificate requests of one daemon that are under way at once. */
const maxRequests = 256
/** Shorter than the control plane's patience, so that its answer says who is silent. */
const daemonAnswerMs = 4_000

export class DaemonConnection {
  readonly #channel: LineChannel<HandoffToAgent, HandoffToDaemon>
  readonly #events: ConnectionEvents
  readonly #limits: ConnectionLimits
  readonly #log: Logger
  readonly #ended = new AbortController()
  readonly #waiting = new Map<number, Waiting>()
  /** uid → the workload as acknowledged; undefined while the answer is awaited. */
  readonly #served = new Map<string, string | undefined>()
  readonly #owner: ConnectionOwner
  #hello: Extract<HandoffToAgent, { type: 'hello' }> | undefined
  #draining = false
  #opened = false
  /** It has acknowledged the state that it was opened with. */
  #settledState = false
  readonly #asked = new Asked('the daemon', daemonAnswerMs)
  #nextSeq = 1
  #requests = 0

  constructor(socket: Socket, events: ConnectionEvents, owner: ConnectionOwner, limits: ConnectionLimits, log: Logger) {
    this.#channel = new LineChannel(socket, { parse: parseHandoffToAgent, limitBytes: limits.lineBytes })
    this.#events = events
    this.#owner = owner
    this.#limits = limits
    this.#log = log
  }

  /** Whether the daemon was sent a state. */
  get opened(): boolean {
    return this.#opened
  }

  /** Whether it has said who it is. */
  get greeted(): boolean {
    return this.#hello !== undefined
  }

  /** It accepts no connections (any more). */
  get draining(): boolean {
    return this.#draining
  }

  /** When it started, in milliseconds since boot; 0 where it does not say. */
  get startedAt(): number {
    return this.#hello?.startedAt ?? 0
  }

  /** uids of the workloads that it accepts connections for. */
  get servedUids(): ReadonlySet<string> {
    return new Set([...this.#served].flatMap(([uid, acknowledged]) => (acknowledged === undefined ? [] : [uid])))
  }

  /** Whether it may take over: it has the state, and every workload of it has been answered for. */
  get settled(): boolean {
    return this.#settledState && !this.#draining
  }

  /** Tells it to drain, once; a daemon from before hand-overs is left as it is. */
  async drain(): Promise<void> {
    if (this.#draining || this.#hello?.startedAt === undefined) return
    this.#drains()
    await this.#request({ type: 'drain' })
  }

  #drains(): void {
    this.#draining = true
    this.#served.clear()
  }

  /** Sends the state; everything else comes after it. Once. */
  open(state: HandoffState): void {
    this.#opened = true
    void this.#sendState(state)
  }

  /** Reads until the daemon leaves. Never rejects. */
  async run(): Promise<void> {
    try {
      for await (const message of this.#channel.messages(this.#ended.signal)) this.#receive(message)
      this.#log.info('the daemon disconnected')
    } catch (error: unknown) {
      const { code, message } = asMeshError(error, 'FEED_CLOSED')
      this.#log.warn({ code }, `the daemon's connection ended: ${message}`)
    } finally {
      this.end(new MeshError('FEED_CLOSED', 'the daemon disconnected'))
    }
  }

  serving(workload: LocalWorkload): Serving {
    if (!this.#opened) return 'pending'
    if (!this.#served.has(workload.uid)) return 'unserved'
    const acknowledged = this.#served.get(workload.uid)
    if (acknowledged === undefined) return 'pending'
    return acknowledged === JSON.stringify(workload) ? 'served' : 'unserved'
  }

  /** Resolves with what the daemon refused. Rejects with FEED_CLOSED where it is gone or silent. */
  async delta(delta: CompiledDelta): Promise<readonly RefusedResource[]> {
    return (await this.#request({ type: 'delta', delta })).refused
  }

  async bundle(bundle: string): Promise<void> {
    await this.#request({ type: 'bundle', bundle })
  }

  /** Resolves once the listeners are open. Rejects with CONNECT_FAILED and the daemon's reason where they are not. */
  async add(workload: LocalWorkload): Promise<void> {
    const { uid } = workload
    this.#served.set(uid, undefined)
    try {
      const reason = (await this.#request({ type: 'workload-add', workload })).failed[uid]
      if (reason !== undefined) throw new MeshError('CONNECT_FAILED', `the daemon cannot serve ${uid}: ${reason}`)
      this.#served.set(uid, JSON.stringify(workload))
      this.#owner.settled()
    } catch (error: unknown) {
      this.#served.delete(uid)
      throw error
    }
  }

  async remove(uid: string): Promise<void> {
    this.#served.delete(uid)
    this.#owner.settled()
    await this.#request({ type: 'workload-remove', uid })
  }

  /** What the daemon would do. Rejects with FEED_PROTOCOL for one that is too old to be asked, ABORTED for a silent one. */
  async explain(question: ExplainQuestion): Promise<LiveView> {
    if (this.#hello?.features?.includes('explain') !== true) {
      throw new MeshError('FEED_PROTOCOL', 'the daemon is of an older version, which cannot be asked')
    }
    return await this.#asked.ask(question, (message) => this.#channel.send(message), this.#ended.signal)
  }

  /** Ends the connection; what waits for an answer fails. */
  end(error: MeshError): void {
    if (!this.#ended.signal.aborted) this.#ended.abort()
    this.#channel.close()
    this.#served.clear()
    for (const { settle } of [...this.#waiting.values()]) settle(error)
  }

  async #sendState(state: HandoffState): Promise<void> {
    if (!this.#draining) for (const { uid } of state.workloads) this.#served.set(uid, undefined)
    try {
      const ack = await this.#request({ type: 'state', ...state }, this.#limits.stateAckMs)
      for (const workload of state.workloads) this.#settle(workload, ack.failed[workload.uid])
      this.#log.info({ workloads: state.workloads.length, refused: ack.refused.length }, 'the daemon took the state')
      if (this.#draining) return
      this.#settledState = true
      this.#events.ready(state.delta.epoch, state.delta.version, ack.refused)
      this.#owner.settled()
    } catch (error: unknown) {
      this.#log.warn({ err: error }, 'the daemon did not take the state')
    }
    this.#events.changed()
  }

  #settle(workload: LocalWorkload, failure: string | undefined): void {
    // removed or changed while the daemon was working on it
    if (!this.#served.has(workload.uid)) return
    if (failure === undefined) this.#served.set(workload.uid, JSON.stringify(workload))
    else {
      this.#served.delete(workload.uid)
      this.#log.error({ uid: workload.uid }, `the daemon cannot serve the workload: ${failure}`)
    }
  }

  #request(message: Unnumbered<Numbered>, limitMs = this.#limits.ackMs): Promise<Ack> {
    const seq = this.#nextSeq++
    return new Promise((resolve, reject) => {
      const settle = (result: Ack | MeshError): void => {
        clearTimeout(timer)
        this.#waiting.delete(seq)
        if (result instanceof MeshError) reject(result)
        else resolve(result)
      }
      const timer = setTimeout(() => {
        const error = new MeshError(
          'FEED_CLOSED',
          `the daemon did not acknowledge ${message.type} within ${limitMs} ms`,
        )
        settle(error)
        this.#log.error({ type: message.type }, error.message)
        this.end(error)
      }, limitMs)
      this.#waiting.set(seq, { settle, timer })
      if (!this.#channel.send({ ...message, seq } as Numbered)) {
        settle(new MeshError('FEED_CLOSED', 'the daemon is not connected any more'))
      }
    })
  }

  #receive(message: HandoffToAgent): void {
    switch (message.type) {
      case 'hello':
        this.#greet(message)
        return
      case 'draining':
        this.#drains()
        this.#log.info('the daemon drains')
        this.#events.changed()
        return
      case 'ack': {
        const waiting = this.#waiting.get(message.seq)
        if (waiting === undefined) throw new MeshError('FEED_PROTOCOL', `ack of ${message.seq}, which was not sent`)
        waiting.settle(message)
        return
      }
      case 'explained':
      case 'explain-failed':
        this.#asked.settle(message)
        return
      case 'csr':
        void this.#issue(message.id, message.identity, message.csr)
    }
  }

  #greet(hello: Extract<HandoffToAgent, { type: 'hello' }>): void {
    if (this.#hello !== undefined) throw new MeshError('FEED_PROTOCOL', 'a second hello')
    this.#hello = hello
    this.#draining = hello.draining === true
    this.#log.info({ build: hello.build, pid: hello.pid, draining: this.#draining }, 'a daemon connected')
    this.#owner.greeted(this)
  }

  async #issue(id: number, identity: string, csr: string): Promise<void> {
    this.#requests += 1
    try {
      if (this.#requests > maxRequests) throw new MeshError('LIMIT_REACHED', 'too many certificate requests at once')
      const { chain, bundle } = await this.#events.issue(identity, csr, this.#ended.signal)
      this.#channel.send({ type: 'certificate', id, chain, bundle })
    } catch (error: unknown) {
      const { code, message, retryable } = asMeshError(error, 'CERTIFICATE_UNAVAILABLE')
      this.#log.warn({ code, identity }, `no certificate for the daemon: ${message}`)
      this.#channel.send({ type: 'certificate-error', id, code, reason: message, retryable })
    } finally {
      this.#requests -= 1
    }
  }
}
