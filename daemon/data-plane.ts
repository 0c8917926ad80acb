// The data plane of one worker: model, local workloads, certificates, tunnels and live connections, and what a change of one
// means for the others. worker.ts drives it by messages; direct tests drive it in their own thread.

import { asMeshError, MeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import type { Cell, MetricSet } from '../core/base/metrics.ts'
import { Repeats } from '../core/base/repeats.ts'
import { outboundLimits } from '../core/decide/outbound.ts'
import { waypointsChanged } from '../core/decide/waypoint.ts'
import type { LocalWorkload } from '../core/feed/handoff.ts'
import { heldBudget } from '../core/hbone/h2/held-budget.ts'
import { defaultLimits } from '../core/hbone/limits.ts'
import { TunnelPool } from '../core/hbone/pool.ts'
import type { TunnelKey } from '../core/hbone/types.ts'
import type { IssuedCertificate } from '../core/identity/certificate.ts'
import { Certificates } from '../core/identity/held-certificates.ts'
import { formatIdentity } from '../core/identity/spiffe.ts'
import { workloadIdentity } from '../core/model/canonical.ts'
import { Snapshot } from '../core/model/snapshot.ts'
import type { CompiledDelta, RefusedResource } from '../core/model/types.ts'
import { formatSocketAddress } from '../core/net/address.ts'
import { refusal } from './admission.ts'
import { type ConnectionLimits, Connections, type Direction, mostConnections } from './connections.ts'
import { Outliers } from './outliers.ts'
import type { Plane } from './plane.ts'
import type { Sockets } from './sockets.ts'
import { Telemetry } from './telemetry/telemetry.ts'
import { ServedWorkload, type Stoppable } from './workloads.ts'

/** Peers whose claims to be a waypoint are told apart in the log. */
const maxClaimKeys = 64

export interface DataPlaneOptions {
  readonly sockets: Sockets
  readonly limits: ConnectionLimits
  /** How long connections of a removed workload may go on. */
  readonly drainMs: number
  /** Starts DNS for a workload. */
  readonly startDns?: (served: ServedWorkload, plane: Plane) => Promise<Stoppable>
  readonly metrics: MetricSet
  readonly log: Logger
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  readonly random?: () => number
  /** So long a connection waits for a waypoint that is away; `outboundLimits` by default. */
  readonly waypointPatienceMs?: number
}

/** One live connection, for people. */
export interface ConnectionView {
  readonly id: number
  readonly direction: Direction
  readonly workload: string
  readonly source: string
  readonly destination: string
  readonly identity?: string
  /** SPIFFE URI of the waypoint that the connection came through. */
  readonly via?: string
  readonly state: string
  readonly ageMs: number
}

export class DataPlane {
  readonly #options: DataPlaneOptions
  readonly #plane: Plane
  readonly #clock: () => number
  readonly #served = new Map<string, ServedWorkload>()
  /** By uid, with those that drain: a connection that is being made may still dial. */
  readonly #stays = new Map<string, ServedWorkload>()
  readonly #leaving = new Set<Promise<void>>()
  /** Workloads come and go one after the other. */
  #changes: Promise<unknown> = Promise.resolve()
  readonly #gauges: Readonly<Record<'connections' | 'outboundSessions' | 'inboundSessions' | 'heldBytes', Cell>>
  #draining = false

  constructor(options: DataPlaneOptions) {
    const { sockets, limits, metrics, log } = options
    this.#options = options
    this.#clock = options.clock ?? Date.now
    const sessions = metrics.gauge('culvert_tunnel_sessions', 'Tunnel sessions with peers', ['direction'])
    this.#gauges = {
      connections: metrics.gauge('culvert_connections', 'Connections that are open or being made', []).labels([]),
      outboundSessions: sessions.labels(['outbound']),
      inboundSessions: sessions.labels(['inbound']),
      heldBytes: metrics
        .gauge('culvert_tunnel_held_bytes', 'Bytes that came through tunnels and wait for a slow reader', [])
        .labels([]),
    }
    const retries = metrics.counter('culvert_connect_retries_total', 'Connects that were tried again', ['how'])
    const freshSessions = retries.labels(['fresh-session'])
    const silent = metrics
      .counter('culvert_tunnel_sessions_silent_total', 'Tunnel sessions without a sign of life when one was needed', [])
      .labels([])
    const refusals = metrics.counter('culvert_limit_refusals_total', 'What a limit refused, by workload and limit', [
      'workload',
      'limit',
    ])
    const snapshot = new Snapshot()
    const certificates = new Certificates(this.#clock)
    this.#plane = {
      sockets,
      snapshot,
      certificates,
      log,
      connections: new Connections(limits, this.#clock, ({ uid }, limit) => refusals.labels([uid, limit]).add(1)),
      refusals,
      maxTunnels: Math.min(defaultLimits.serverMaxSessions, Math.ceil(mostConnections(limits) / 4)),
      telemetry: new Telemetry(metrics, log, { clusterName: () => snapshot.settings.clusterName }),
      failures: metrics.counter('culvert_connection_failures_total', 'Connections that failed, by error code', [
        'direction',
        'code',
      ]),
      ignoredClaims: metrics
        .counter('culvert_caller_claims_ignored_total', 'Peers that named another caller and are no waypoint', [])
        .labels([]),
      claimLines: new Repeats({ maxKeys: maxClaimKeys }),
      waypointPatienceMs: options.waypointPatienceMs ?? outboundLimits.waypointPatienceMs,
      random: options.random ?? Math.random,
      pool: new TunnelPool({
        dial: (key, signal) => this.#dial(key, signal),
        context: (identity) => certificates.context(identity),
        trustDomain: () => snapshot.settings.trustDomain,
        current: (key) => this.#destinationCurrent(key),
        onRetry: () => freshSessions.add(1),
        onSilent: () => silent.add(1),
        onFull: ({ sourceUid }, requests) => refusals.labels([sourceUid, 'streams']).add(requests),
        log,
      }),
      outliers: new Outliers(() => performance.now()),
      otherEndpoints: retries.labels(['other-endpoint']),
    }
  }

  get snapshot(): Snapshot {
    return this.#plane.snapshot
  }

  get connectionCount(): number {
    return this.#plane.connections.count
  }

  /** Sessions towards peers. */
  get outboundSessions(): number {
    return this.#plane.pool.sessions
  }

  get workloads(): readonly ServedWorkload[] {
    return [...this.#served.values()]
  }

  /** Applies a delta at once; live connections are judged again right after. */
  apply(delta: CompiledDelta): readonly RefusedResource[] {
    const { snapshot, pool, connections, log } = this.#plane
    const refused = snapshot.apply(delta)
    const change = snapshot.lastChange
    for (const stay of this.#stays.values()) stay.refresh()
    if (change.workloads.size > 0) pool.retire((key) => !this.#current(key))
    const local = [...this.#stays].some(([uid, { model }]) => {
      if (change.workloads.has(uid)) return true
      return model !== undefined && waypointsChanged(snapshot, model, change.services)
    })
    if (change.authorizations || change.settings || local) {
      void connections
        .recheck((connection) => {
          const { facts } = connection
          return facts.direction === 'outbound' ? undefined : refusal(snapshot, facts)
        })
        .then((closed) => {
          if (closed > 0) log.info({ closed, version: snapshot.version }, 'closed connections that policy now denies')
        })
    }
    return refused
  }

  setCertificate(certificate: IssuedCertificate): void {
    const { identity } = certificate
    const { renewed, trust } = this.#plane.certificates.set(certificate)
    if (renewed || trust) this.#plane.pool.retire((key) => key.sourceIdentity === identity)
    if (!trust) return
    for (const stay of this.#stays.values()) if (stay.local.identity === identity) stay.retireSessions()
  }

  forgetCertificate(identity: string): void {
    this.#plane.certificates.forget(identity)
  }

  /** Serves exactly these workloads. Resolves with the reason for each that could not be. */
  setWorkloads(workloads: readonly LocalWorkload[]): Promise<Record<string, string>> {
    return this.#serially(async () => {
      const wanted = new Set(workloads.map(({ uid }) => uid))
      for (const uid of [...this.#served.keys()]) if (!wanted.has(uid)) this.#remove(uid)
      const failed: Record<string, string> = {}
      for (const workload of workloads) {
        try {
          await this.#add(workload)
        } catch (error: unknown) {
          failed[workload.uid] = asMeshError(error, 'SYSTEM_CALL').message
        }
      }
      return failed
    })
  }

  /** Resolves once its listeners are open; a workload that is served already keeps them. Throws SYSTEM_CALL, DRAINING. */
  addWorkload(local: LocalWorkload): Promise<void> {
    return this.#serially(() => this.#add(local))
  }

  /** Listeners close at once; its connections drain in the background. */
  removeWorkload(uid: string): Promise<void> {
    return this.#serially(async () => this.#remove(uid))
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#changes.then(work)
    this.#changes = result.catch(() => {})
    return result
  }

  async #add(local: LocalWorkload): Promise<void> {
    if (this.#draining) throw new MeshError('DRAINING', 'the daemon is shutting down')
    const present = this.#served.get(local.uid)
    if (present !== undefined) {
      const same = present.local.netns.inode === local.netns.inode && present.local.identity === local.identity
      if (same) return await present.update(local)
      this.#remove(local.uid)
    }
    const { startDns } = this.#options
    const dns = startDns === undefined ? undefined : (served: ServedWorkload) => startDns(served, this.#plane)
    const served = await ServedWorkload.start({ plane: this.#plane, startDns: dns }, local)
    this.#served.set(local.uid, served)
    this.#stays.set(local.uid, served)
    served.refresh()
    this.#plane.log.info({ workload: local.uid, identity: local.identity }, 'serving a workload')
  }

  #remove(uid: string): void {
    const served = this.#served.get(uid)
    if (served === undefined) return
    this.#served.delete(uid)
    this.#plane.pool.retire((key) => key.sourceUid === uid)
    const leaving = this.#leave(served)
    this.#leaving.add(leaving)
    void leaving.then(() => this.#leaving.delete(leaving))
  }

  async #leave(served: ServedWorkload): Promise<void> {
    const { pool, log, refusals } = this.#plane
    try {
      await served.stop(this.#options.drainMs)
      log.info({ workload: served.uid }, 'a workload is no longer served')
    } catch (error: unknown) {
      log.error({ err: error, workload: served.uid }, 'a workload did not stop cleanly')
    }
    if (this.#stays.get(served.uid) !== served) return
    this.#stays.delete(served.uid)
    refusals.retain(([uid]) => uid !== served.uid)
    pool.retire((key) => key.sourceUid === served.uid)
  }

  listConnections(limit = 10_000): ConnectionView[] {
    const views: ConnectionView[] = []
    for (const { id, facts, state, startedAt } of this.#plane.connections.list()) {
      if (views.length >= limit) break
      views.push({
        id,
        direction: facts.direction,
        workload: facts.owner.uid,
        source: formatSocketAddress(facts.source),
        destination: formatSocketAddress(facts.destination),
        ...(facts.identity === undefined ? {} : { identity: formatIdentity(facts.identity) }),
        ...(facts.via === undefined ? {} : { via: formatIdentity(facts.via.identity) }),
        state,
        ageMs: this.#clock() - startedAt,
      })
    }
    return views
  }

  /** Before a metrics snapshot is taken. */
  flushMetrics(): void {
    const { telemetry, connections, pool } = this.#plane
    telemetry.flush()
    this.#gauges.connections.set(connections.count)
    this.#gauges.outboundSessions.set(pool.sessions)
    this.#gauges.heldBytes.set(heldBudget.bytes)
    this.#gauges.inboundSessions.set(this.workloads.reduce((sum, { sessions }) => sum + sessions, 0))
  }

  setLogLevel(level: string): void {
    this.#plane.log.level = level
    this.#plane.telemetry.logLevel = level
  }

  /** Stops accepting, tells peers, gives live connections `deadlineMs`, which may be `Infinity`, then resets them. */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true
    await this.#changes
    const stopping = [...this.#served.values()].map((served) => served.stop(deadlineMs))
    // What is being made still gets its session; the others are for nobody any more.
    this.#plane.pool.retire(() => true)
    await Promise.all([...stopping, ...this.#leaving])
    this.#served.clear()
    this.#stays.clear()
    await this.#plane.pool.close(0)
  }

  async #dial(key: TunnelKey, signal: AbortSignal) {
    const served = this.#stays.get(key.sourceUid)
    if (served === undefined) throw new MeshError('CONNECT_FAILED', `${key.sourceUid} is no longer served here`)
    return await this.#plane.sockets.connectTcp({
      workload: served.local,
      to: key.destination,
      bind: key.sourceAddress,
      transparent: false,
      signal,
    })
  }

  /** Whether new streams may still use a session: both ends must be what they were. */
  #current(key: TunnelKey): boolean {
    const source = this.#served.get(key.sourceUid)
    if (source === undefined || source.local.identity !== key.sourceIdentity) return false
    return source.local.addresses.includes(key.sourceAddress) && this.#destinationCurrent(key)
  }

  /** Whether the model has the same workload, with an expected identity, at the address of the key. */
  #destinationCurrent(key: TunnelKey): boolean {
    const destination = this.#plane.snapshot.workloadByUid(key.destinationUid)
    return (
      destination !== undefined &&
      destination.protocol === 'HBONE' &&
      destination.addresses.includes(key.destination.address) &&
      key.expectedIdentities.includes(workloadIdentity(destination))
    )
  }
}
