// Metrics and the access log of a waypoint: one count and one line per request, when its answer has ended. The stack tells of each
// (report.ts). What requests of one caller to one endpoint have in common is made once.
import { type LineWriter, type Logger, lineWriter, quoted } from '../../core/base/log.ts'
import type { Family, MetricSet } from '../../core/base/metrics.ts'
import type { PumpCounters } from '../../core/hbone/pump.ts'
import type { RouteOrigin } from '../../core/model/routes.ts'
import type { Service } from '../../core/model/types.ts'
import type { Origin } from '../exchange.ts'
import { meanings } from '../http/failure.ts'
import type { ExchangeReport, MirrorReport, Telemetry } from '../report.ts'
import type { TcpEnd } from '../tcp.ts'
import type { UpstreamTarget } from '../upstream/upstream.ts'
import { ConnectionTelemetry } from './connections.ts'
import { pairFields, type RequestFacts, requestLabelValues } from './labels.ts'
import { type Series, SeriesTable } from './series.ts'

export interface RequestTelemetryOptions {
  readonly clusterName: () => string
  readonly serviceByKey: (key: string) => Service | undefined
  readonly serviceByHostname: (hostname: string) => Service | undefined
  /** Combinations of labels that are kept. */
  readonly maxSeries?: number
}

/** Requests that agree in all labels. */
interface Kind {
  readonly facts: RequestFacts
  /** Key of the service that they were for. */
  readonly destination: string | undefined
  series: Series
  /** What all their lines of the access log say, as members of JSON. */
  readonly pair: string
  /** The line before, as far as it is likely to come again. */
  asked: string
  method: string
  authority: string
  served: string
  protocol: string
  route: RouteOrigin | undefined
}

/** Of one client connection; beyond it the oldest is found anew when it comes again. */
const kindsPerOrigin = 16

export class RequestTelemetry implements Telemetry {
  readonly #log: Logger
  readonly #lines: Readonly<Record<'info' | 'warn', LineWriter>>
  readonly #table: SeriesTable
  readonly #options: RequestTelemetryOptions
  readonly #connections: ConnectionTelemetry
  readonly #retries: Family
  readonly #mirrored: Family
  readonly #limited: Family
  /** The kinds that a client connection had lately. */
  #recent = new WeakMap<Origin, Kind[]>()
  #clusterName = ''

  constructor(metrics: MetricSet, log: Logger, options: RequestTelemetryOptions) {
    this.#log = log.child({ scope: 'access' })
    const line = (level: 'info' | 'warn') => lineWriter(this.#log, level, 'request complete')
    this.#lines = { info: line('info'), warn: line('warn') }
    this.#options = options
    this.#connections = new ConnectionTelemetry(metrics, this.#log)
    this.#table = new SeriesTable(metrics, options.maxSeries ?? 5_000)
    this.#retries = metrics.counter('culvert_upstream_retries_total', 'Tries after the first one of a request', [
      'destination_service',
    ])
    this.#mirrored = metrics.counter('culvert_mirrored_requests_total', 'Copies of requests, by how they ended', [
      'destination_service',
      'outcome',
    ])
    const help = 'Requests over a rate limit, refused or let through by a dry run'
    this.#limited = metrics.counter('culvert_rate_limited_requests_total', help, ['limit', 'outcome'])
  }

  /** The access log's own level; a child logger does not follow its parent. */
  set logLevel(level: string) {
    this.#log.level = level
  }

  exchangeEnded(report: ExchangeReport): void {
    const kind = this.#kindOf(report)
    const { series } = kind
    const durationMs = report.endedAt - report.exchange.startedAt
    series.requests.add(1)
    series.duration.observe(durationMs)
    series.requestBytes.observe(report.requestBytes)
    series.responseBytes.observe(report.responseBytes)
    if (report.attempts > 1) this.#retries.labels([kind.facts.service?.hostname ?? '']).add(report.attempts - 1)
    this.#countLimits(report)
    const level = report.flags.length === 0 ? 'info' : 'warn'
    if (this.#log.isLevelEnabled(level)) this.#lines[level](lineOf(report, kind, durationMs))
  }

  /** `reason` of a refusal is the limits that it was over. */
  #countLimits({ flags, reason, wouldRefuse }: ExchangeReport): void {
    for (const limit of wouldRefuse) this.#limited.labels([limit, 'dry_run']).add(1)
    if (!flags.includes('RL')) return
    for (const limit of reason.split(' ')) this.#limited.labels([limit, 'refused']).add(1)
  }

  /** One that is not HTTP. `counters`: live, of what it moves. */
  connectionOpened(origin: Origin, target: UpstreamTarget, counters: PumpCounters): void {
    const { workload, address } = target
    const facts = { service: this.#serviceOf(origin, target), workload, address }
    this.#connections.opened(origin, facts, counters, this.#options.clusterName())
  }

  connectionEnded(origin: Origin, end: TcpEnd, durationMs: number): void {
    const service = this.#serviceOf(origin, end.target)
    this.#connections.ended(origin, service, end, durationMs, this.#options.clusterName())
  }

  #serviceOf({ service }: Origin, target: UpstreamTarget | undefined): Service | undefined {
    const hostname = target?.service
    return (hostname === undefined ? undefined : this.#options.serviceByHostname(hostname)) ?? service
  }

  /** To be called before the metrics are read. */
  flush(): void {
    this.#connections.flush()
  }

  mirrorEnded({ cluster, end }: MirrorReport): void {
    const service = this.#options.serviceByKey(cluster.name.service ?? '')
    const outcome = end === 'dropped' ? end : 'failure' in end ? end.failure : `${Math.floor(end.status / 100)}xx`
    this.#mirrored.labels([service?.hostname ?? '', outcome]).add(1)
  }

  #kindOf(report: ExchangeReport): Kind {
    const clusterName = this.#options.clusterName()
    if (clusterName !== this.#clusterName) {
      this.#clusterName = clusterName
      this.#recent = new WeakMap()
    }
    const { origin } = report
    let kinds = this.#recent.get(origin)
    if (kinds === undefined) {
      kinds = []
      this.#recent.set(origin, kinds)
    }
    const flags = flagsOf(report)
    for (const kind of kinds) if (fits(kind, report, flags)) return this.#used(kind)
    if (kinds.length >= kindsPerOrigin) kinds.shift()
    const facts = this.#factsOf(report, flags)
    const series = this.#table.get(requestLabelValues(facts, clusterName))
    const destination = report.cluster?.name.service
    const kind: Kind = { ...unseen, facts, destination, series, pair: members(pairFields(facts, clusterName)) }
    kinds.push(kind)
    return kind
  }

  #used(kind: Kind): Kind {
    if (kind.series.lastUse === undefined)
      kind.series = this.#table.get(requestLabelValues(kind.facts, this.#clusterName))
    else this.#table.used(kind.series)
    return kind
  }

  #factsOf(report: ExchangeReport, flags: string): RequestFacts {
    const { origin, cluster, endpoint } = report
    const destination = cluster?.name.service
    const service = destination === undefined ? undefined : this.#options.serviceByKey(destination)
    return {
      origin,
      service: service ?? origin.service,
      workload: endpoint?.upstream.workload,
      address: endpoint?.upstream.address,
      grpc: report.exchange.grpc,
      status: report.status,
      grpcStatus: report.grpcStatus,
      flags,
    }
  }
}

function fits({ facts, destination }: Kind, report: ExchangeReport, flags: string): boolean {
  return (
    facts.status === report.status &&
    facts.workload === report.endpoint?.upstream.workload &&
    facts.address === report.endpoint?.upstream.address &&
    destination === report.cluster?.name.service &&
    facts.flags === flags &&
    facts.grpcStatus === report.grpcStatus &&
    facts.grpc === report.exchange.grpc
  )
}

/** Envoy's flags, with the one that says how the answer broke off. */
function flagsOf({ flags, ending }: ExchangeReport): string {
  if (flags.length === 0 && ending === undefined) return '-'
  const broke = ending === undefined ? '-' : meanings[ending].flag
  const all = broke === '-' || flags.includes(broke) ? flags : [...flags, broke]
  return all.length === 0 ? '-' : all.join(',')
}

const unseen = { asked: '', method: '', authority: '', served: '', protocol: '', route: undefined }

function lineOf(report: ExchangeReport, kind: Kind, durationMs: number): string {
  const { exchange, attempts, reason, wouldRefuse } = report
  const id = exchange.head.headers.get('x-request-id')
  const retried = attempts > 1 ? `,"attempts":${attempts}` : ''
  const error = reason === '' ? '' : `,"error":${quoted(reason)}`
  const limits = wouldRefuse.length === 0 ? '' : `,"ratelimit.dry_run":${quoted(wouldRefuse.join(','))}`
  const request = id === undefined ? '' : `,"request_id":${quoted(id)}`
  const bytes = `,"bytes_recv":${report.requestBytes},"bytes_sent":${report.responseBytes}`
  return `${askedOf(report, kind)},"path":${quoted(report.path)}${servedOf(report, kind)}${retried}${error}${limits}${request}${bytes},"duration":"${Math.round(durationMs)}ms"`
}

/** A client asks the same host in the same way again and again. */
function askedOf({ method, authority }: ExchangeReport, kind: Kind): string {
  if (kind.method === method && kind.authority === authority) return kind.asked
  kind.method = method
  kind.authority = authority
  kind.asked = `${kind.pair},"method":${quoted(method)},"authority":${quoted(authority)}`
  return kind.asked
}

function servedOf({ exchange, route }: ExchangeReport, kind: Kind): string {
  const protocol = exchange.upgrade ?? (exchange.grpc ? 'grpc' : exchange.protocol)
  if (kind.protocol === protocol && kind.route === route) return kind.served
  const { status, grpcStatus, flags } = kind.facts
  kind.protocol = protocol
  kind.route = route
  const called = grpcStatus === undefined ? '' : `,"grpc_status":${JSON.stringify(grpcStatus)}`
  const rule = route && `${route.kind} ${route.namespace}/${route.name} ${route.rule ?? route.index}`
  const by = rule === undefined ? '' : `,"route":${quoted(rule)}`
  kind.served = `,"protocol":"${protocol}","status":${status}${called},"flags":${quoted(flags)}${by}`
  return kind.served
}

function members(fields: Readonly<Record<string, string>>): string {
  return JSON.stringify(fields).slice(1, -1)
}
