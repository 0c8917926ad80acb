// The end of the feed of an agent, or of a waypoint: keeps one connection to the control plane, resumes after a break, and hides the breaks from
// its user: the last report and open certificate requests are sent again on the next connection.
import { EventEmitter } from 'node:events'
import { backoff, deadline, sleep } from '../base/deadline.ts'
import { asMeshError, type ErrorCode, errorCodes, MeshError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import type { ExplainQuestion, LiveView } from '../model/explanation.ts'
import type { CompiledDelta, RefusedResource } from '../model/types.ts'
import { FeedConnection } from './connection.ts'
import { dialFeed, type FeedCredentials } from './dial.ts'
import type { AgentMessage, ControlMessage, WorkloadReport } from './messages.ts'
import { packedFeature } from './packing.ts'
import { parseControlMessage } from './parse.ts'

const maxReasonLength = 4096

export interface ControlPlace {
  readonly host: string
  readonly port: number
}

export interface FeedClientOptions {
  /** Where the control plane's replicas are; one is enough, the others are learned from it. At least one. */
  readonly controls: readonly ControlPlace[]
  readonly host: string
  readonly build: string
  readonly trustDomain: string
  /** Read at every connect, so that a renewed certificate is used from the next one on. */
  credentials(): FeedCredentials
  /** The version of the model that the agent holds, read at every connect; undefined without a model. */
  /** `digest`: Snapshot.digest(). */
  resume(): { readonly epoch: string; readonly version: number; readonly digest?: string } | undefined
  /** Snapshot.digests(), asked for only where the control plane does not know the version. */
  digests(): Readonly<Record<string, string>>
  /** Said in `hello`, besides those that the client itself has. */
  readonly features?: readonly string[]
  /** Asks the host's daemon; without it the agent does not say that it can be asked. */
  explain?(question: ExplainQuestion): Promise<LiveView>
  readonly log: Logger
  readonly random?: () => number
  readonly timing?: Partial<FeedTiming>
}

export interface FeedTiming {
  /** Connect, TLS, upgrade and welcome, each. */
  readonly handshakeMs: number
  readonly pingMs: number
  /** First and longest pause between attempts. */
  readonly retryBaseMs: number
  readonly retryMaxMs: number
  /** A connection that lasted this long makes the next pause short again. */
  readonly stableMs: number
  readonly certificateMs: number
  /** How long an orderly end may take. */
  readonly closeMs: number
}

const defaultTiming: FeedTiming = {
  handshakeMs: 10_000,
  // a replica whose machine vanished is left within five seconds
  pingMs: 1200,
  retryBaseMs: 200,
  retryMaxMs: 10_000,
  stableMs: 10_000,
  certificateMs: 30_000,
  closeMs: 1000,
}

/** Where there are other replicas to try, none is waited for as long as for the only one. */
const failoverHandshakeMs = 2000

export type FeedState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly attempt: number }
  | { readonly kind: 'connected' }
  | { readonly kind: 'waiting'; readonly attempt: number; readonly delayMs: number; readonly error: MeshError }
  | { readonly kind: 'closed' }

export interface FeedEvents {
  state: [state: FeedState]
  /** Also emitted as `bundle`, since it may be news. */
  welcome: [welcome: { readonly host: string; readonly trustDomain: string; readonly bundle: string }]
  delta: [delta: CompiledDelta]
  bundle: [bundle: string]
  workloadsResult: [refused: readonly { readonly uid: string; readonly reason: string }[]]
}

interface PendingCertificate {
  readonly message: Extract<AgentMessage, { type: 'csr' }>
  readonly settle: (result: { readonly chain: string; readonly bundle: string } | MeshError) => void
}

/** Emits FeedEvents. `start` once, `close` once; everything else at any time. */
export class FeedClient extends EventEmitter<FeedEvents> {
  readonly #options: FeedClientOptions
  readonly #timing: FeedTiming
  readonly #stopped = new AbortController()
  readonly #pending = new Map<number, PendingCertificate>()
  #connection: FeedConnection<ControlMessage, AgentMessage> | undefined
  #welcomed = false
  #report: readonly WorkloadReport[] | undefined
  #nextId = 1
  #state: FeedState = { kind: 'idle' }
  #loop: Promise<void> = Promise.resolve()
  #wake = new AbortController()
  /** The configured places and those that control planes named, from a random one on: hosts spread over replicas. */
  #places: readonly ControlPlace[]
  #place = 0

  constructor(options: FeedClientOptions) {
    super()
    this.#options = options
    this.#timing = { ...defaultTiming, ...options.timing }
    this.#places = options.controls
    this.#place = Math.floor((options.random ?? Math.random)() * options.controls.length)
  }

  get state(): FeedState {
    return this.#state
  }

  start(): void {
    if (this.#state.kind === 'idle') this.#loop = this.#run()
  }

  /** The complete set of local workloads; kept and sent again after every reconnect. */
  report(workloads: readonly WorkloadReport[]): void {
    this.#report = workloads
    this.#send({ type: 'workloads', workloads })
  }

  /** Which version is applied, and what of it was refused. Lost while disconnected: the next `hello` says it again. */
  acknowledge(epoch: string, version: number, refused: readonly RefusedResource[]): void {
    this.#send({ type: 'ack', epoch, version, refused })
  }

  /**
   * Asks for a certificate; `identity` is a SPIFFE URI of a local workload or `node` for the host's own. Waits out a break
   * of the connection. Rejects with the control plane's code, or ABORTED after `certificateMs` or by `signal`.
   */
  requestCertificate(
    identity: string,
    csr: string,
    signal: AbortSignal,
  ): Promise<{ readonly chain: string; readonly bundle: string }> {
    const id = this.#nextId++
    const message = { type: 'csr', id, identity, csr } as const
    const limit = deadline(this.#timing.certificateMs, AbortSignal.any([signal, this.#stopped.signal]))
    return new Promise((resolve, reject) => {
      const settle: PendingCertificate['settle'] = (result) => {
        this.#pending.delete(id)
        limit.removeEventListener('abort', abort)
        if (result instanceof MeshError) reject(result)
        else resolve(result)
      }
      const abort = (): void =>
        settle(new MeshError('ABORTED', `no certificate for ${identity} in time: is the control plane reachable?`))
      if (limit.aborted) return reject(new MeshError('ABORTED', 'the certificate request was cancelled'))
      limit.addEventListener('abort', abort, { once: true })
      this.#pending.set(id, { message, settle })
      this.#send(message)
    })
  }

  /** Connects anew at once with fresh credentials, after the host certificate was renewed. */
  reconnect(): void {
    this.#connection?.close('new credentials', this.#timing.closeMs)
    this.#wake.abort()
  }

  async close(): Promise<void> {
    if (this.#welcomed) this.#send({ type: 'bye', reason: 'the agent stops' })
    this.#stopped.abort()
    await this.#loop
    this.#enter({ kind: 'closed' })
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    let attempt = 0
    while (!signal.aborted) {
      this.#enter({ kind: 'connecting', attempt })
      const startedAt = performance.now()
      const error = await this.#session(signal)
      if (signal.aborted) return
      if (performance.now() - startedAt > this.#timing.stableMs) attempt = 0
      const delayMs = this.#delayMs(attempt, error)
      attempt += 1
      this.#place = (this.#place + 1) % this.#places.length
      this.#enter({ kind: 'waiting', attempt, delayMs, error })
      this.#options.log.warn({ code: error.code, delayMs, attempt }, `control plane: ${error.message}`)
      this.#wake = new AbortController()
      await sleep(delayMs, AbortSignal.any([signal, this.#wake.signal])).catch(() => undefined)
    }
  }

  /** Every replica is tried at once after the one before; then comes a pause, a longer one after each round. */
  #delayMs(attempt: number, error: MeshError): number {
    const { retryBaseMs: baseMs, retryMaxMs: maxMs } = this.#timing
    if (!error.retryable) return maxMs
    const count = this.#places.length
    const pause = backoff(Math.floor(attempt / count), { baseMs, maxMs }, this.#options.random)
    return attempt % count < count - 1 ? Math.min(pause, baseMs) : pause
  }

  /** One connection from dial to end. Never rejects: the error says why it ended. */
  async #session(signal: AbortSignal): Promise<MeshError> {
    const { promise: ended, resolve: end } = Promise.withResolvers<MeshError>()
    let connection: FeedConnection<ControlMessage, AgentMessage>
    try {
      connection = await this.#open(signal, end)
    } catch (error: unknown) {
      return asMeshError(error, 'FEED_CLOSED')
    }
    this.#connection = connection
    const resume = this.#options.resume()
    const { host, build } = this.#options
    const own = this.#options.explain === undefined ? [packedFeature] : [packedFeature, 'explain']
    const features = [...own, ...(this.#options.features ?? [])]
    connection.send({ type: 'hello', host, build, features, ...(resume === undefined ? {} : { resume }) })
    const late = setTimeout(() => {
      if (!this.#welcomed) connection.fail(new MeshError('FEED_CLOSED', 'the control plane sent no welcome in time'))
    }, this.#timing.handshakeMs)
    const stop = (): void => connection.close('the agent stops', this.#timing.closeMs)
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    const error = await ended
    clearTimeout(late)
    signal.removeEventListener('abort', stop)
    this.#connection = undefined
    this.#welcomed = false
    return error
  }

  async #open(
    signal: AbortSignal,
    end: (error: MeshError) => void,
  ): Promise<FeedConnection<ControlMessage, AgentMessage>> {
    const { trustDomain } = this.#options
    const control = this.#places[this.#place]!
    const { pingMs } = this.#timing
    const longest = this.#timing.handshakeMs
    const handshakeMs = this.#places.length > 1 ? Math.min(longest, failoverHandshakeMs) : longest
    const options = { control, trustDomain, handshakeMs, credentials: this.#options.credentials() }
    const socket = await dialFeed(options, deadline(2 * handshakeMs, signal))
    return new FeedConnection<ControlMessage, AgentMessage>(socket, {
      parse: parseControlMessage,
      onMessage: (message) => this.#receive(message),
      onClose: (error) => end(error ?? new MeshError('FEED_CLOSED', 'the control plane closed the connection')),
      packs: true,
      pingMs,
    })
  }

  #receive(message: ControlMessage): void {
    if (!this.#welcomed && message.type !== 'welcome' && message.type !== 'refused') {
      throw new MeshError('FEED_PROTOCOL', `${message.type} before welcome`)
    }
    switch (message.type) {
      case 'welcome':
        this.#welcome(message)
        return
      case 'resync':
        this.#send({ type: 'digests', digests: this.#options.digests() })
        return
      case 'delta':
        this.emit('delta', message.delta)
        return
      case 'bundle':
        this.emit('bundle', message.bundle)
        return
      case 'workloads-result':
        this.emit('workloadsResult', message.refused)
        return
      case 'certificate':
        this.#pending.get(message.id)?.settle({ chain: message.chain, bundle: message.bundle })
        return
      case 'certificate-error':
        this.#pending.get(message.id)?.settle(remoteError(message.code, message.reason))
        return
      case 'explain':
        void this.#explain(message.id, message.question)
        return
      case 'refused':
        throw remoteError(message.code, message.reason)
    }
  }

  #welcome(message: Extract<ControlMessage, { type: 'welcome' }>): void {
    this.#welcomed = true
    this.#enter({ kind: 'connected' })
    const { host, trustDomain, bundle, controls = [] } = message
    this.#options.log.info({ host, control: this.#places[this.#place] }, 'connected to the control plane')
    this.#learn(controls)
    this.emit('welcome', { host, trustDomain, bundle })
    this.emit('bundle', bundle)
    if (this.#report !== undefined) this.#send({ type: 'workloads', workloads: this.#report })
    for (const { message: request } of this.#pending.values()) this.#send(request)
  }

  async #explain(id: number, question: ExplainQuestion): Promise<void> {
    try {
      const view = await this.#options.explain?.(question)
      if (view === undefined) throw new MeshError('FEED_PROTOCOL', 'this agent cannot be asked')
      this.#send({ type: 'explained', id, view })
    } catch (error: unknown) {
      const { code, message: reason } = asMeshError(error, 'FEED_CLOSED')
      this.#send({ type: 'explain-failed', id, code, reason: reason.slice(0, maxReasonLength) })
    }
  }

  /** Replicas that were learned before and are not named any more are forgotten; configured ones never. */
  #learn(controls: readonly ControlPlace[]): void {
    const current = this.#places[this.#place]!
    const known = new Map(
      [...this.#options.controls, current, ...controls].map((place) => [`${place.host} ${place.port}`, place]),
    )
    this.#places = [...known.values()]
    this.#place = Math.max(
      0,
      this.#places.findIndex(({ host, port }) => host === current.host && port === current.port),
    )
  }

  #send(message: AgentMessage): void {
    if (this.#welcomed) this.#connection?.send(message)
  }

  #enter(state: FeedState): void {
    this.#state = state
    this.emit('state', state)
  }
}

/** An error that the control plane named; an unknown code of a newer one counts as a protocol error. */
function remoteError(code: string, reason: string): MeshError {
  return new MeshError(Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'FEED_PROTOCOL', reason)
}
