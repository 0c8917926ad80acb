// The data plane of a waypoint, in one thread: tunnels in, what is spoken in them, the stack, tunnels out; and what a change of the
// model or of the certificate means for each. Driven by app.ts.
import { randomBytes, randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { Logger } from '../core/base/log.ts'
import { type Family, MetricSet, type MetricSnapshot } from '../core/base/metrics.ts'
import { heldBudget } from '../core/hbone/h2/held-budget.ts'
import { TunnelPool } from '../core/hbone/pool.ts'
import { baggageOf, newTraceparent } from '../core/hbone/tunnel-headers.ts'
import type { TunnelKey } from '../core/hbone/types.ts'
import type { IssuedCertificate } from '../core/identity/certificate.ts'
import { Certificates } from '../core/identity/held-certificates.ts'
import { workloadIdentity } from '../core/model/canonical.ts'
import type { Snapshot } from '../core/model/snapshot.ts'
import type { RefusedResource } from '../core/model/types.ts'
import { familyOf, type SocketAddress } from '../core/net/address.ts'
import { ClientConnection, type Serving } from './client-connection.ts'
import type { Place } from './clusters/options.ts'
import type { WaypointConfig } from './config.ts'
import { ConnectionRouting } from './connection-routing.ts'
import type { Origin } from './exchange.ts'
import type { HttpError } from './http/error.ts'
import { Http2ServerConnection } from './http2/server-connection.ts'
import { mayStay, originOf, type Self } from './origin.ts'
import { LocalBuckets } from './ratelimit/token-bucket.ts'
import { Replicas } from './replicas.ts'
import { type LiveConnection, Serve } from './serve.ts'
import { ServerNameReader } from './server-name.ts'
import type { Sockets } from './sockets.ts'
import { buildStack, type Stack } from './stack.ts'
import { TcpConnection } from './tcp.ts'
import { DestinationTelemetry, destinationMetrics } from './telemetry/destinations.ts'
import { RequestTelemetry } from './telemetry/telemetry.ts'
import { systemTimers } from './timers.ts'
import { type DialEndpoint, dialEndpoint, refusesOwn } from './upstream/dial.ts'
import { openHttp1 } from './upstream/http1.ts'
import { openHttp2 } from './upstream/http2.ts'
import { type Endpoint, UpstreamPool } from './upstream/pool.ts'

export interface DataPlaneOptions {
  readonly config: WaypointConfig
  /** Of this replica's workload. */
  readonly uid: string
  readonly self: () => Self
  /** SPIFFE URI; undefined until it is known. */
  readonly identity: () => string | undefined
  /** Kept by who hears of changes; `modelChanged` is called after each. */
  readonly snapshot: Snapshot
  readonly sockets: Sockets
  readonly accessLog: Logger
  readonly log: Logger
}

const clock = (): number => performance.now()
/** Keys of local rate limits that are kept at once. */
const mostBuckets = 100_000

export class DataPlane {
  readonly #options: DataPlaneOptions
  readonly #metrics = new MetricSet()
  readonly #refusals: Family
  readonly #badRequests: Family
  readonly #telemetry: RequestTelemetry
  readonly #destinations: DestinationTelemetry
  readonly #certificates = new Certificates(Date.now)
  readonly #tunnels: TunnelPool
  readonly #dial: DialEndpoint
  readonly #upstream: UpstreamPool
  readonly #routing: ConnectionRouting
  readonly #replicas: Replicas
  readonly #stack: Stack
  readonly #serve: Serve

  constructor(options: DataPlaneOptions) {
    const { config, snapshot, log } = options
    this.#options = options
    this.#refusals = this.#metrics.counter(
      'culvert_connect_refused_total',
      'CONNECTs that were refused, by error code',
      ['code'],
    )
    this.#badRequests = this.#metrics.counter(
      'culvert_bad_requests_total',
      'Requests that were refused before they were routed, by what was wrong with them',
      ['code'],
    )
    this.#telemetry = new RequestTelemetry(this.#metrics, options.accessLog, {
      clusterName: () => snapshot.settings.clusterName,
      serviceByKey: (key) => snapshot.serviceByKey(key),
      serviceByHostname: (hostname) => snapshot.serviceByHostname(hostname),
    })
    this.#destinations = new DestinationTelemetry(this.#metrics, log)
    this.#tunnels = this.#createTunnels()
    this.#dial = this.#createDial()
    this.#upstream = new UpstreamPool({ dial: this.#dial, open: { http1: openHttp1, http2: openHttp2 }, clock })
    const { uid, self, identity } = options
    this.#replicas = new Replicas({ uid, self, identity, snapshot, tunnels: this.#tunnels, clock })
    this.#stack = this.#createStack()
    this.#routing = new ConnectionRouting(snapshot, this.#stack.clusters, Math.random, self().key)
    this.#serve = new Serve({
      sockets: options.sockets,
      contexts: (serverName) => this.#serverContext(serverName),
      trustDomain: () => snapshot.settings.trustDomain,
      take: (connect) => this.#replicas.take(connect),
      originOf: (connect) => originOf(snapshot, options.self(), connect),
      carry: (stream, origin, closed) => this.#carry(stream, origin, closed),
      maxTunnels: config.maxTunnels,
      maxConnections: config.maxConnections,
      mayStay: (origin) => mayStay(snapshot, options.self(), origin),
      onRefused: ({ code }) => this.#refusals.labels([code]).add(1),
      log,
    })
  }

  get snapshot(): Snapshot {
    return this.#options.snapshot
  }

  /** Where tunnels are taken. */
  get tunnels(): readonly SocketAddress[] {
    return this.#serve.listeners.map(({ address }) => address)
  }

  get connectionCount(): number {
    return this.#serve.connections
  }

  /** Whether another replica may take its place. */
  get hasOthers(): boolean {
    return this.#replicas.others
  }

  connections(): readonly object[] {
    return this.#serve.list()
  }

  clusters(): ReturnType<Stack['stats']>['clusters'] {
    return this.#stack.stats().clusters
  }

  setLogLevel(level: string): void {
    this.#telemetry.logLevel = level
  }

  metrics(): MetricSnapshot {
    const gauge = (name: string, help: string, value: number): void =>
      this.#metrics.gauge(name, help, []).labels([]).set(value)
    gauge('culvert_connections', 'Client connections that are open', this.#serve.connections)
    gauge('culvert_upstream_connections', 'Connections to endpoints', this.#upstream.connections)
    gauge('culvert_tunnel_held_bytes', 'Bytes that came through tunnels and wait for a slow reader', heldBudget.bytes)
    const sessions = this.#metrics.gauge('culvert_tunnel_sessions', 'Tunnel sessions with peers', ['direction'])
    sessions.labels(['inbound']).set(this.#serve.tunnels)
    sessions.labels(['outbound']).set(this.#tunnels.sessions)
    this.#telemetry.flush()
    return { families: [...this.#metrics.snapshot().families, ...destinationMetrics(this.clusters()).families] }
  }

  /** Opens the listeners. Throws SYSTEM_CALL. */
  async listen(): Promise<void> {
    await this.#serve.listen(this.#options.config.address)
  }

  /**
   * The snapshot is another: routes and endpoints follow at once, requests under way end as they began. What could not be taken is said
   * by the snapshot already.
   */
  modelChanged(): readonly RefusedResource[] {
    const { lastChange: change } = this.snapshot
    this.#stack.update()
    if (change.workloads.size > 0) {
      this.#tunnels.retire((key) => !this.#isCurrent(key))
      this.#upstream.retire((endpoint) => this.#hasLeft(endpoint))
    }
    if (change.services.size > 0 || change.workloads.size > 0) this.#serve.recheck()
    return []
  }

  setCertificate(certificate: IssuedCertificate): void {
    const { renewed, trust } = this.#certificates.set(certificate)
    if (renewed || trust) this.#tunnels.retire(() => true)
    if (trust) this.#serve.retire()
  }

  /** Takes nothing more, lets what is under way finish for at most `deadlineMs`, then ends all. */
  async drain(deadlineMs: number): Promise<void> {
    await Promise.all([this.#serve.drain(deadlineMs), this.#replicas.close()])
    await this.#upstream.close(0)
    await this.#tunnels.close(0)
    this.#stack.close()
  }

  #createTunnels(): TunnelPool {
    const { config, sockets, snapshot, log } = this.#options
    return new TunnelPool({
      dial: (key, signal) => sockets.connect(key.sourceAddress || undefined, key.destination, signal),
      context: (identity) => this.#certificates.context(identity),
      trustDomain: () => snapshot.settings.trustDomain,
      current: (key) => this.#isCurrent(key),
      limits: { tcpConnectTimeoutMs: config.connectTimeout },
      log,
    })
  }

  #createDial(): DialEndpoint {
    const { config, identity, snapshot, sockets } = this.#options
    return dialEndpoint({
      tunnels: this.#tunnels,
      self: () => ({ uid: 'waypoint', addresses: config.address, identity: identity() ?? '' }),
      connectPlain: (from, to, signal) => sockets.connect(from, to, signal),
      refuses: refusesOwn(config.address),
      baggageOf: ({ workload }) => (workload === undefined ? undefined : baggageOf(workload, snapshot.settings)),
      newTraceparent,
      identitiesOf: (hostname) => snapshot.serviceByHostname(hostname)?.identities ?? [],
    })
  }

  #createStack(): Stack {
    const { self, snapshot } = this.#options
    return buildStack({
      model: snapshot,
      upstream: this.#upstream,
      telemetry: this.#telemetry,
      timers: systemTimers,
      clock,
      date: Date.now,
      random: Math.random,
      requestId: randomUUID,
      token: () => randomBytes(16).toString('hex'),
      place: () => this.#place(),
      waypoint: self().key,
      onOutlier: (cluster, event) => this.#destinations.outlier(cluster, event),
      buckets: { local: new LocalBuckets(mostBuckets), mesh: this.#replicas.buckets },
    })
  }

  /** As the configuration says, else as the mesh knows this workload. */
  #place(): Place {
    const { config } = this.#options
    const own = this.snapshot.workloadByAddress(config.address[0]!)
    const families = [...new Set(config.address.map(familyOf))]
    return { locality: config.locality || (own?.locality ?? ''), labels: own?.labels ?? {}, families }
  }

  #carry(stream: Duplex, origin: Origin, closed: () => void): LiveConnection {
    const { log } = this.#options
    const http = {
      origin,
      handler: this.#stack.handle,
      clock,
      onRefused: ({ code }: HttpError) => this.#badRequests.labels([code]).add(1),
      onDefect: (error: unknown) => log.error({ err: error }, 'a request failed in an unexpected way'),
    } as const
    return new ClientConnection(stream, {
      hint: this.#routing.hintFor(origin),
      silentMs: this.#options.config.detectTimeout,
      http1: { ...http, onClosed: closed },
      http2: (detached, first) => {
        const options = {
          ...http,
          scheme: 'http',
          onClosed: closed,
        } as const
        return new Http2ServerConnection(detached, options, first)
      },
      tcp: (detached, first) => this.#carryTcp(detached, first, origin, closed),
      onClosed: closed,
    })
  }

  #carryTcp(stream: Duplex, first: Buffer, origin: Origin, closed: () => void): Serving {
    if (!this.#routing.asksServerName(origin)) return this.#copyTcp(stream, first, origin, undefined, closed)
    return new ServerNameReader(stream, first, {
      silentMs: this.#options.config.detectTimeout,
      serve: (detached, read, serverName) => this.#copyTcp(detached, read, origin, serverName, closed),
      onClosed: closed,
    })
  }

  #copyTcp(
    stream: Duplex,
    first: Buffer,
    origin: Origin,
    serverName: string | undefined,
    closed: () => void,
  ): TcpConnection {
    const picking = this.#routing.picking(origin, serverName)
    const startedAt = clock()
    return new TcpConnection(stream, first, {
      origin,
      pick: () => picking.pick(),
      dial: this.#dial,
      onDialled: (failure) => picking.dialled(failure),
      onOpened: (target, counters) => this.#telemetry.connectionOpened(origin, target, counters),
      onClosed: (end) => {
        picking.ended()
        this.#telemetry.connectionEnded(origin, end, clock() - startedAt)
        closed()
      },
    })
  }

  /** Gone, moved, or to be reached in another way: what was plain before must not go on beside a tunnel. */
  #hasLeft({ workload, address }: Endpoint): boolean {
    const now = this.snapshot.workloadByUid(workload.uid)
    return now === undefined || now.protocol !== workload.protocol || !now.addresses.includes(address.address)
  }

  /** A name must be this waypoint's own: nobody gets a certificate that it did not ask for. */
  #serverContext(serverName: string | undefined): ReturnType<Certificates['serverContext']> {
    const identity = this.#options.identity()
    return identity === undefined ? undefined : this.#certificates.serverContext(identity, serverName)
  }

  /** Whether the model has the same workload, with an expected identity, at the address of the key. */
  #isCurrent(key: TunnelKey): boolean {
    const destination = this.snapshot.workloadByUid(key.destinationUid)
    return (
      destination !== undefined &&
      destination.protocol === 'HBONE' &&
      destination.addresses.includes(key.destination.address) &&
      key.expectedIdentities.includes(workloadIdentity(destination))
    )
  }
}
