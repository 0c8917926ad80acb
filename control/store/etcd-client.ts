// Talks to an etcd cluster: the member that answered last, the next one where it fails, with backoff, until a deadline. Every call
// that goes through here may be repeated: reads by nature, writes because they are conditional (etcd-write.ts).
import { backoff, deadline, sleep } from '../../core/base/deadline.ts'
import { MeshError } from '../../core/base/errors.ts'
import { away, verdictOf } from './etcd-errors.ts'
import { EtcdFault, type EtcdTls, EtcdTransport } from './etcd-transport.ts'

export interface EtcdClientOptions {
  readonly endpoints: readonly URL[]
  readonly tls?: EtcdTls
  readonly user?: string
  readonly password?: string
  /** One attempt at one member. */
  readonly attemptMs?: number
  /** A call with all of its attempts. */
  readonly deadlineMs?: number
}

/** What happened to a call besides its answer. */
export interface CallTrace {
  /** An attempt failed after etcd may have seen it: a write may have happened. */
  unknown: boolean
}

export interface CallOptions {
  /** Of a write. */
  readonly trace?: CallTrace
  /** Ends the call early. */
  readonly signal?: AbortSignal
}

const defaultAttemptMs = 3000
const defaultDeadlineMs = 12_000
interface Status {
  readonly header?: { readonly cluster_id?: string }
  readonly version?: string
}

const pauses = { baseMs: 50, maxMs: 1000 }

export class EtcdClient {
  readonly #options: EtcdClientOptions
  readonly #transport: EtcdTransport
  readonly #closing = new AbortController()
  /** Index of the member in use; another start in each process spreads the load. */
  #member: number
  #token: string | undefined
  #clusterId: string | undefined
  /** Members of the cluster for sure: they have not failed since they said so. */
  readonly #known = new Set<number>()

  constructor(options: EtcdClientOptions) {
    if (options.endpoints.length === 0) throw new MeshError('CONFIG_INVALID', 'etcd needs an endpoint at least')
    this.#options = options
    this.#transport = new EtcdTransport(options.tls)
    this.#member = Math.floor(Math.random() * options.endpoints.length)
  }

  /** Throws STORE_FAILED where no member answers, or one that does is too old or of another cluster. */
  async start(): Promise<void> {
    await this.call('/maintenance/status', {})
    const signal = deadline(this.#options.attemptMs ?? defaultAttemptMs, this.#closing.signal)
    const members = this.#options.endpoints.map((_, member) => this.#identify(member, signal))
    for (const result of await Promise.allSettled(members)) {
      if (result.status === 'rejected' && result.reason instanceof MeshError) throw result.reason
    }
  }

  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** The answer of `/v3${path}`. Throws STORE_FAILED, LIMIT_REACHED or RESOURCE_CONFLICT (compacted) with what to do about it. */
  async call<T>(path: string, body: object, { trace, signal }: CallOptions = {}): Promise<T> {
    const { deadlineMs = defaultDeadlineMs, endpoints } = this.#options
    const ends = signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal])
    const until = deadline(deadlineMs, ends)
    let last: EtcdFault | undefined
    for (let attempt = 0; ; attempt += 1) {
      this.#checkOpen()
      const member = this.#member
      try {
        return await this.#attempt<T>(member, path, body, until)
      } catch (error: unknown) {
        if (!(error instanceof EtcdFault)) throw error
        // the client's own end of time says less than what went before it
        if (last === undefined || !until.aborted) last = error
        if (trace !== undefined) trace.unknown ||= error.sent && error.grpcCode !== 16
        this.#judge(error, member, attempt)
      }
      if (!until.aborted) await this.#pause(attempt, until)
      this.#checkOpen()
      if (until.aborted) throw away(endpoints, last, trace?.unknown === true)
    }
  }

  /**
   * The messages of a stream of the member in use. Ends with the member or `signal`. Throws EtcdFault; `failed` then goes on to the
   * next member.
   */
  async open(path: string, body: object, signal: AbortSignal) {
    this.#checkOpen()
    const member = this.#member
    const until = deadline(this.#options.attemptMs ?? defaultAttemptMs, signal)
    const token = await this.#admitted(member, until)
    const endpoint = this.#endpoint(member)
    const request = { endpoint, path: `/v3${path}`, body, signal, ...(token === undefined ? {} : { token }) }
    return { member, messages: this.#transport.stream(request) }
  }

  /** Whether a member answers with what the whole cluster agrees on. */
  async isAlive(member: number, key: string, signal: AbortSignal): Promise<boolean> {
    try {
      const until = deadline(this.#options.attemptMs ?? defaultAttemptMs, signal)
      await this.#attempt(member, '/kv/range', { key, keys_only: true }, until)
      return true
    } catch {
      return false
    }
  }

  /** Says that a member failed, after its stream did. Throws where trying again is of no use. */
  failed(error: EtcdFault, member: number): void {
    this.#judge(error, member, 0)
  }

  close(): void {
    this.#closing.abort()
    this.#transport.close()
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new MeshError('STORE_FAILED', 'the store is closed')
  }

  #endpoint(member: number): URL {
    return this.#options.endpoints[member]!
  }

  async #attempt<T>(member: number, path: string, body: object, until: AbortSignal): Promise<T> {
    const signal = deadline(this.#options.attemptMs ?? defaultAttemptMs, until)
    const token = await this.#admitted(member, signal)
    const endpoint = this.#endpoint(member)
    const request = { endpoint, path: `/v3${path}`, body, signal, ...(token === undefined ? {} : { token }) }
    return (await this.#transport.call(request)) as T
  }

  /** Before anything is said to a member: that it belongs to the cluster, and the token for it. */
  async #admitted(member: number, signal: AbortSignal): Promise<string | undefined> {
    try {
      if (!this.#known.has(member)) await this.#identify(member, signal)
      return await this.#authenticated(member, signal)
    } catch (error: unknown) {
      if (!(error instanceof EtcdFault)) throw error
      // what the caller wants to say has not been sent yet
      const { message, grpcCode } = error
      throw new EtcdFault(message, { sent: false, cause: error, ...(grpcCode === undefined ? {} : { grpcCode }) })
    }
  }

  /** Writing to two clusters in turn would lose writes on both. */
  async #identify(member: number, signal: AbortSignal): Promise<void> {
    const endpoint = this.#endpoint(member)
    const request = { endpoint, path: '/v3/maintenance/status', body: {}, signal }
    const { header, version = '0' } = (await this.#transport.call(request)) as Status
    const [major = 0, minor = 0] = version.split('.').map(Number)
    if (major < 3 || (major === 3 && minor < 4)) {
      const text = `etcd ${version} at ${endpoint.host} is too old: 3.4 or newer is needed`
      throw new MeshError('STORE_FAILED', text)
    }
    this.#clusterId ??= header?.cluster_id
    if (header?.cluster_id === undefined || header.cluster_id !== this.#clusterId) {
      const text = `etcd at ${endpoint.host} belongs to another cluster than the other endpoints: take it out of them`
      throw new MeshError('STORE_FAILED', text)
    }
    this.#known.add(member)
  }

  async #authenticated(member: number, signal: AbortSignal): Promise<string | undefined> {
    const { user, password } = this.#options
    if (user === undefined) return undefined
    if (this.#token !== undefined) return this.#token
    const body = { name: user, password: password ?? '' }
    const request = { endpoint: this.#endpoint(member), path: '/v3/auth/authenticate', body, signal }
    const { token } = (await this.#transport.call(request)) as { token?: string }
    this.#token = token
    return this.#token
  }

  #judge(fault: EtcdFault, member: number, attempt: number): void {
    const verdict = verdictOf(fault)
    if (verdict.do === 'fail') throw verdict.error
    if (verdict.do === 'authenticate') this.#token = undefined
    if (verdict.do === 'authenticate' && attempt === 0) return
    this.#known.delete(member)
    if (this.#member === member) this.#member = (member + 1) % this.#options.endpoints.length
  }

  /** The first round over the members goes on at once. */
  async #pause(attempt: number, until: AbortSignal): Promise<void> {
    const round = Math.floor((attempt + 1) / this.#options.endpoints.length)
    if (round === 0) return
    await sleep(backoff(round - 1, pauses), until).catch(() => undefined)
  }
}
