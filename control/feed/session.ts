// One agent's feed: brings it to the current version and keeps it there, takes its reports, signs what its host may have.
// Opened by FeedServer after the host is authenticated.
import { isDeepStrictEqual } from 'node:util'
import { asMeshError, errorCodes, MeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import { Asked } from '../../core/feed/asked.ts'
import type { FeedConnection } from '../../core/feed/connection.ts'
import type { AgentMessage, ControlMessage, WorkloadReport } from '../../core/feed/messages.ts'
import { packedFeature } from '../../core/feed/packing.ts'
import { type View, viewOf } from '../../core/feed/views.ts'
import { parseIdentity } from '../../core/identity/spiffe.ts'
import type { ExplainQuestion, LiveView } from '../../core/model/explanation.ts'
import type { Refusal } from '../../core/model/mesh-status.ts'
import type { RefusedResource } from '../../core/model/types.ts'
import type { Authority, SignedCertificate } from '../ca/authority.ts'
import type { MeshEvent } from '../events/event.ts'
import { resourceRefused, workloadRefused } from '../events/mesh-events.ts'
import type { HostRecord, Hosts } from '../hosts.ts'
import type { Placement } from '../placement.ts'
import type { DeltaLog } from '../publish/delta-log.ts'
import { EncodedDelta, type EncodedViews } from '../publish/encoded.ts'
import type { Publisher } from '../publish/publisher.ts'
import type { Reports } from '../reports.ts'
import { Serial } from '../serial.ts'

/** An agent that still has this much to read gets nothing more; what changes meanwhile reaches it as one delta. */
const maxBufferedBytes = 1024 * 1024
const maxQueuedMessages = 1024
/** Characters; one message is always taken. */
const maxQueuedSize = 64 * 1024 * 1024
/** How long `explain --live` waits for a host. */
const agentAnswerMs = 5_000
const longestTimerMs = 2 ** 31 - 1
/** An agent that comes from another replica may be ahead of this one, for this long. */
const catchUpMs = 2000
/** An agent that refuses everything must not fill the memory and the log. */
const maxRefusedKept = 1000

export interface SessionDeps {
  readonly authority: Authority
  readonly hosts: Hosts
  readonly reports: Reports
  readonly deltas: DeltaLog
  readonly encoded: EncodedViews
  readonly publisher: Publisher
  /** Where this feed and those of other replicas are. */
  readonly feeds: () => readonly { readonly host: string; readonly port: number }[]
  /** Called when what a host has acknowledged may have changed. */
  readonly acknowledged: (view: View) => void
  /** Told of each certificate that a workload gets. */
  readonly issued?: (host: string, identity: string, signed: SignedCertificate) => void
  /** Told of what is worth an event. */
  readonly record?: (event: MeshEvent) => void
  readonly log: Logger
}

/** What `culvert status` tells of a connected host. */
export interface SessionStatus {
  readonly connectedAt: number
  /** Who it is: records of earlier versions do not say. */
  readonly view?: View
  readonly build: string
  /** Of the mesh. */
  readonly epoch: string
  readonly sentVersion: number
  readonly ackedVersion: number
  /** What the host could not take of the acknowledged version. */
  readonly refusedResources: readonly RefusedResource[]
  /** What it could not take last, though it may have taken it since. */
  readonly lastRefusal?: Refusal | undefined
  readonly reports: readonly WorkloadReport[]
  readonly refusedReports: Placement['refused']
}

type Phase =
  /** Nothing is sent before the agent said what it has. */
  | { readonly kind: 'greeting' }
  | { readonly kind: 'awaiting-digests' }
  | { readonly kind: 'following'; readonly epoch: string; readonly sentVersion: number }

export class FeedSession {
  readonly #deps: SessionDeps
  readonly #host: HostRecord
  readonly #connection: FeedConnection<AgentMessage, ControlMessage>
  readonly #serial = new Serial()
  readonly #asked = new Asked('the agent', agentAnswerMs)
  readonly #gone = new AbortController()
  readonly #connectedAt = Date.now()
  readonly #stopFollowing: () => void
  readonly #certificateEnds: number
  #expiry: NodeJS.Timeout | undefined
  #phase: Phase = { kind: 'greeting' }
  #queued = 0
  #queuedSize = 0
  #refused = false
  #build = ''
  #features: readonly string[] = []
  #view: View = 'agent'
  #writing = false
  #acked: { readonly version: number; readonly refused: readonly RefusedResource[] } = { version: 0, refused: [] }
  #placement: Placement = { accepted: [], refused: [] }
  #lastRefusal: Refusal | undefined

  /**
   * `certificateEnds`: when the certificate that the host connected with is worth nothing any more; `lastRefusal`: of an earlier
   * session of the host.
   */
  constructor(
    deps: SessionDeps,
    host: HostRecord,
    certificateEnds: number,
    connect: SessionConnect,
    lastRefusal?: Refusal,
  ) {
    this.#deps = deps
    this.#host = host
    this.#certificateEnds = certificateEnds
    this.#lastRefusal = lastRefusal
    this.#connection = connect((message, size) => this.#enqueue(message, size))
    this.#armExpiry()
    this.#stopFollowing = deps.publisher.onVersion(() => this.#follow())
  }

  get status(): SessionStatus {
    return {
      connectedAt: this.#connectedAt,
      view: this.#view,
      build: this.#build,
      epoch: this.#deps.deltas.epoch,
      sentVersion: this.#phase.kind === 'following' ? this.#phase.sentVersion : 0,
      ackedVersion: this.#acked.version,
      refusedResources: this.#acked.refused,
      ...(this.#lastRefusal === undefined ? {} : { lastRefusal: this.#lastRefusal }),
      reports: this.#placement.accepted.map(({ report }) => report),
      refusedReports: this.#placement.refused,
    }
  }

  /** Ends the session and tells the agent why. */
  refuse(error: MeshError): void {
    this.#refused = true
    this.#connection.send({ type: 'refused', code: error.code, reason: error.message })
    this.#connection.close(error.message, 1000)
  }

  /** What the host's daemon would do. Rejects with FEED_PROTOCOL for an agent that cannot be asked, ABORTED for a silent one. */
  async explain(question: ExplainQuestion, signal: AbortSignal): Promise<LiveView> {
    if (!this.#features.includes('explain')) {
      throw new MeshError('FEED_PROTOCOL', 'the agent is of an older version, which cannot be asked')
    }
    const either = AbortSignal.any([signal, this.#gone.signal])
    return await this.#asked.ask(question, (message) => this.#connection.send(message), either)
  }

  /** The connection ended. Resolves once what the agent had said before is dealt with. */
  async ended(): Promise<void> {
    clearTimeout(this.#expiry)
    this.#gone.abort()
    this.#stopFollowing()
    await this.#serial.idle()
    this.#deps.acknowledged(this.#view)
  }

  #armExpiry(): void {
    const leftMs = this.#certificateEnds - Date.now()
    if (leftMs <= 0) {
      const reason = 'the certificate of this connection has expired: connect with the renewed one'
      this.refuse(new MeshError('FEED_CLOSED', reason))
    } else this.#expiry = setTimeout(() => this.#armExpiry(), Math.min(leftMs, longestTimerMs)).unref()
  }

  /** Messages are dealt with one after the other; an agent that sends faster than that is cut off. */
  #enqueue(message: AgentMessage, size: number): void {
    if (this.#refused) return
    const tooLarge = this.#queued > 0 && this.#queuedSize + size > maxQueuedSize
    if (tooLarge || this.#queued >= maxQueuedMessages) {
      throw new MeshError('LIMIT_REACHED', 'the agent sends too much at once')
    }
    this.#queued += 1
    this.#queuedSize += size
    void this.#serial
      .run(() => this.#receive(message))
      .catch((error: unknown) => this.refuse(asMeshError(error, 'STORE_FAILED')))
      .finally(() => {
        this.#queued -= 1
        this.#queuedSize -= size
      })
  }

  async #receive(message: AgentMessage): Promise<void> {
    // Whoever was revoked, or replaced by a newer connection, has nothing to say any more.
    if (this.#refused) return
    if (this.#phase.kind === 'greeting' && message.type !== 'hello') {
      throw new MeshError('FEED_PROTOCOL', `${message.type} before hello`)
    }
    switch (message.type) {
      case 'hello':
        return this.#hello(message)
      case 'digests':
        return this.#digests(message.digests)
      case 'workloads':
        return this.#workloads(message.workloads)
      case 'ack':
        return this.#ack(message)
      case 'csr':
        return this.#csr(message)
      case 'explained':
      case 'explain-failed':
        return this.#asked.settle(message)
      case 'bye':
        this.#connection.close('bye', 1000)
    }
  }

  async #hello(message: Extract<AgentMessage, { type: 'hello' }>): Promise<void> {
    const { authority, deltas, publisher } = this.#deps
    if (this.#phase.kind !== 'greeting') throw new MeshError('FEED_PROTOCOL', 'a second hello')
    if (message.host !== this.#host.host) {
      throw new MeshError(
        'NODE_UNAUTHORIZED',
        `the agent of "${message.host}" uses the certificate of "${this.#host.host}"`,
      )
    }
    this.#build = message.build
    this.#features = message.features ?? []
    this.#view = viewOf(this.#features)
    await publisher.ready
    const { trustDomain, bundle } = authority
    const controls = this.#deps.feeds()
    this.#connection.send({ type: 'welcome', host: this.#host.host, trustDomain, bundle, controls })
    const { resume } = message
    const encoded = this.#deps.encoded[this.#view]
    if (resume === undefined) return this.#send(encoded.full())
    if (resume.epoch === deltas.epochOf(this.#view)) {
      await publisher.reached(resume.version, catchUpMs)
      const delta = encoded.since(resume.version)
      if (delta !== undefined) {
        this.#acked = { version: resume.version, refused: [] }
        this.#deps.acknowledged(this.#view)
        return this.#send(delta)
      }
    }
    // the version is not known here, after a restart perhaps; the state may be the same all the same
    if (resume.digest === deltas.digestIn(this.#view)) return this.#send(new EncodedDelta(deltas.nothing(this.#view)))
    this.#resync()
  }

  async #digests(digests: Readonly<Record<string, string>>): Promise<void> {
    if (this.#phase.kind !== 'awaiting-digests') throw new MeshError('FEED_PROTOCOL', 'digests that nobody asked for')
    this.#send(new EncodedDelta(this.#deps.deltas.difference(digests, this.#view)))
  }

  /** Called at each new version: sends one delta from what the agent has to what is current, once it can take it. */
  #follow(): void {
    if (this.#phase.kind !== 'following' || this.#writing) return
    const { deltas, encoded } = this.#deps
    const { epoch, sentVersion } = this.#phase
    const isKnown = epoch === deltas.epochOf(this.#view)
    // Another replica may have led the agent to a revision that changed nothing.
    if (isKnown && sentVersion >= deltas.version) return
    const delta = isKnown ? encoded[this.#view].since(sentVersion) : undefined
    if (delta === undefined) this.#resync()
    else this.#send(delta)
  }

  #resync(): void {
    this.#phase = { kind: 'awaiting-digests' }
    this.#connection.send({ type: 'resync' })
  }

  #send(delta: EncodedDelta): void {
    this.#phase = { kind: 'following', epoch: delta.epoch, sentVersion: delta.version }
    this.#writing = true
    const packed = this.#features.includes(packedFeature) ? delta.packed : undefined
    this.#connection.sendEncoded(packed ?? delta.text, packed !== undefined, () => this.#drained())
    if (this.#connection.bufferedBytes <= maxBufferedBytes) this.#drained()
  }

  #drained(): void {
    if (!this.#writing || this.#connection.bufferedBytes > maxBufferedBytes) return
    this.#writing = false
    this.#follow()
  }

  async #workloads(reports: readonly WorkloadReport[]): Promise<void> {
    const host = await this.#deps.hosts.get(this.#host.host)
    if (host === undefined) throw new MeshError('NODE_UNAUTHORIZED', `host "${this.#host.host}" was deleted`)
    const before = this.#placement.refused
    this.#placement = await this.#deps.reports.apply(host, reports)
    for (const refused of this.#placement.refused) {
      const isNews = !before.some((earlier) => isDeepStrictEqual(earlier, refused))
      if (isNews) this.#deps.record?.(workloadRefused(host.host, refused))
    }
    this.#connection.send({ type: 'workloads-result', refused: this.#placement.refused })
  }

  async #ack(message: Extract<AgentMessage, { type: 'ack' }>): Promise<void> {
    if (message.epoch !== this.#deps.deltas.epochOf(this.#view)) return
    // Acknowledgements may overtake each other: of a version on disk and of a later one that the daemon has taken.
    if (message.version < this.#acked.version) return
    if (message.version > this.#deps.deltas.revision) {
      throw new MeshError('FEED_PROTOCOL', `an acknowledgement of version ${message.version}, which does not exist yet`)
    }
    const refused = message.refused.slice(0, maxRefusedKept)
    const isNews = !isDeepStrictEqual(refused, this.#acked.refused)
    this.#acked = { version: message.version, refused }
    const [first] = refused
    if (first !== undefined && isNews) {
      this.#lastRefusal = { ...first, version: message.version, at: new Date().toISOString() }
      for (const resource of refused) this.#deps.record?.(resourceRefused(this.#host.host, resource))
    }
    this.#deps.acknowledged(this.#view)
    if (first === undefined || !isNews) return
    const count = message.refused.length
    this.#deps.log.warn({ host: this.#host.host, count, refused: refused.slice(0, 20) }, 'a host refused resources')
  }

  async #csr(message: Extract<AgentMessage, { type: 'csr' }>): Promise<void> {
    const { id } = message
    try {
      const { chain } = await this.#sign(message.identity, message.csr)
      this.#connection.send({ type: 'certificate', id, chain, bundle: this.#deps.authority.bundle })
    } catch (error: unknown) {
      const { code, message: reason } = asMeshError(error, 'STORE_FAILED')
      this.#deps.log.warn({ host: this.#host.host, identity: message.identity, code }, `no certificate: ${reason}`)
      this.#connection.send({ type: 'certificate-error', id, code, reason, retryable: errorCodes[code].retryable })
    }
  }

  async #sign(identity: string, csr: string): Promise<{ readonly chain: string }> {
    const { hosts, authority } = this.#deps
    if (identity === 'node') return hosts.renew(this.#host.host, csr)
    this.#authorize(identity)
    const signed = await authority.sign(csr, identity)
    this.#deps.issued?.(this.#host.host, identity, signed)
    return signed
  }

  /** An identity is signed only for a host on which an accepted workload has it. */
  #authorize(identity: string): void {
    const { namespace, serviceAccount, trustDomain } = parseIdentity(identity)
    const own = this.#deps.authority.trustDomain
    if (trustDomain !== own) {
      throw new MeshError('NODE_UNAUTHORIZED', `${identity} is of another trust domain than ${own}`)
    }
    const placed = this.#placement.accepted.some(
      ({ report }) => report.namespace === namespace && report.serviceAccount === serviceAccount,
    )
    if (placed) return
    const reason = `no workload of ${namespace}/${serviceAccount} is placed on host "${this.#host.host}"`
    throw new MeshError('NODE_UNAUTHORIZED', reason)
  }
}

/** Makes the connection once the session can take its messages. */
export type SessionConnect = (
  onMessage: (message: AgentMessage, size: number) => void,
) => FeedConnection<AgentMessage, ControlMessage>
