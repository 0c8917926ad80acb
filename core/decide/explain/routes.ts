// What the routes of a service make of a request at its waypoint: which rule takes it and why others do not, where it goes, how long it
// may take and how often it is tried. Pure; explain.ts asks for connections that pass a waypoint.
import type { ConnectionPool, DestinationPolicy, OutlierDetection } from '../../model/destinations.ts'
import type { ExplainQuestion, ExplainStep } from '../../model/explanation.ts'
import type { RateLimit } from '../../model/rate-limits.ts'
import type {
  Backend,
  ConnectionRoute,
  Route,
  RouteFilters,
  RouteOrigin,
  RouteTable,
  WeightedDestination,
} from '../../model/routes.ts'
import { type Snapshot, serviceKey } from '../../model/snapshot.ts'
import type { Service, Workload } from '../../model/types.ts'
import { normalizePath } from '../http/path.ts'
import type { RoutedRequest } from '../http/request.ts'
import { takesHttp } from '../http/route-connection.ts'
import { type Considered, compileRouting, considered, type RouteDecision, routeRequest } from '../http/route-request.ts'

/** A service behind a waypoint, as a caller asks for it. */
export interface RoutedDestination {
  readonly service: Service
  readonly port: number
  /** Undefined: a caller without an identity. */
  readonly source: Workload | undefined
}

export function routeSteps(
  snapshot: Snapshot,
  destination: RoutedDestination,
  question: ExplainQuestion,
): readonly ExplainStep[] {
  const { service, port } = destination
  const key = serviceKey(service)
  const table = snapshot.routesOf(key, port)
  const shown = said(question)
  if (table === undefined) {
    const because = `no route is attached to ${service.namespace}/${service.name} port ${port}, so its own endpoints get it`
    const own = { kind: 'service', service: key, hostname: service.hostname, port } as const
    return [
      { what: 'route', outcome: 'none', because },
      ...timingSteps(undefined, [own], snapshot),
      ...limitSteps(snapshot, key, port, undefined, service),
    ]
  }
  const namespace = destination.source?.namespace ?? ''
  if (!takesHttp(table, namespace)) return [connectionStep(table, namespace)]
  const request = requestOf(destination, question)
  if (typeof request === 'string') {
    return [{ what: 'route', outcome: `${shown}: 400`, because: request, passed: false }]
  }
  const routing = compileRouting(table)
  const decision = routeRequest(routing, request, 0)
  const all = considered(routing, request)
  const route = decision.kind === 'unrouted' ? undefined : decision.route
  return [
    routeStep(decision, all, shown),
    ...othersStep(all),
    ...(route === undefined ? [] : filterSteps(route)),
    ...(route?.action.kind === 'forward' ? timingSteps(route, backendsOf(route.action.destinations), snapshot) : []),
    ...limitSteps(snapshot, key, port, route?.origin, service),
  ]
}

function said({ method = 'GET', path = '/', headers = {} }: ExplainQuestion): string {
  const names = Object.keys(headers)
  return `${method} ${path}${names.length === 0 ? '' : ` with ${names.join(', ')}`}`
}

/** A text: why nobody would serve it. */
function requestOf({ service, port, source }: RoutedDestination, question: ExplainQuestion): RoutedRequest | string {
  const { method = 'GET', path: target = '/', headers = {} } = question
  const normal = normalizePath(target)
  if ('rejected' in normal) return normal.rejected
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  return {
    method,
    scheme: 'http',
    authority: lower.get('host') ?? (port === 80 ? service.hostname : `${service.hostname}:${port}`),
    path: normal.path,
    query: normal.query,
    port,
    sourceNamespace: source?.namespace ?? '',
    ...(source === undefined ? {} : { sourceLabels: source.labels }),
    header: (name) => lower.get(name),
  }
}

function nameOf({ kind, namespace, name, rule, index }: RouteOrigin): string {
  return `${kind} ${namespace}/${name} rule ${rule === undefined ? index : `"${rule}"`}`
}

function routeStep(decision: RouteDecision, all: readonly Considered[], shown: string): ExplainStep {
  const what = 'route'
  if (decision.kind === 'unrouted') {
    const because = 'the routes that are attached are for the clients of other namespaces, so the own endpoints get it'
    return { what, outcome: 'none', because }
  }
  const chosen = all.find(({ outcome }) => outcome === 'chosen')
  if (decision.route === undefined || chosen === undefined) {
    const matches = all.length === 1 ? 'their one match does not hold' : `none of their ${all.length} matches holds`
    const because = `routes are attached and ${matches}, so it does not go to the service either`
    return { what, outcome: `${shown}: 404`, because, passed: false }
  }
  const match = chosen.match < 0 ? 'it takes every request' : `its match ${chosen.match} holds`
  const name = nameOf(decision.route.origin)
  const { route } = decision
  if (decision.kind === 'redirect') {
    return { what, outcome: `${shown}: ${decision.status} to ${decision.location}`, because: `${name}: ${match}` }
  }
  if (route.action.kind === 'forward') return forwardStep(route.action.destinations, `${name}: ${match}`, shown)
  const { status = 404, reason = '' } = decision.kind === 'respond' ? decision : {}
  if (reason === '')
    return { what, outcome: `${shown}: ${status}`, because: `${name}: ${match}; the waypoint answers itself` }
  return { what, outcome: `${shown}: ${status}`, because: `${name}: ${match}; ${reason}`, passed: false }
}

function forwardStep(destinations: readonly WeightedDestination[], because: string, shown: string): ExplainStep {
  const what = 'route'
  const shares = sharesOf(destinations)
  if (shares.length === 0) return { what, outcome: `${shown}: no backend has a weight`, because, passed: false }
  const invalid = destinations.flatMap(({ weight, backend }) =>
    weight > 0 && backend.kind === 'invalid' ? [`${backend.reason}: ${backend.message}`] : [],
  )
  const why = [because, ...invalid].join('; ')
  const lost = invalid.length > 0 && invalid.length === shares.length
  return { what, outcome: `${shown} to ${shares.join(', ')}`, because: why, ...(lost ? { passed: false } : {}) }
}

function sharesOf(destinations: readonly { readonly weight: number; readonly backend: Backend }[]): readonly string[] {
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0)
  return destinations
    .filter(({ weight }) => weight > 0)
    .map(({ weight, backend }) => {
      const share = weight === total ? '' : ` (${Math.round((weight / total) * 1000) / 10} %)`
      if (backend.kind === 'invalid') return `${backend.status}${share}`
      const subset = backend.subset === undefined ? '' : ` subset ${backend.subset.name}`
      return `${backend.hostname}:${backend.port}${subset}${share}`
    })
}

const mostShown = 12

/** In the order in which they count. */
function othersStep(all: readonly Considered[]): readonly ExplainStep[] {
  const others = all.filter(({ outcome }) => outcome !== 'chosen')
  if (others.length === 0) return []
  const reasons = others.slice(0, mostShown).map(({ origin, match, outcome, field }) => {
    const which = `${nameOf(origin)}${match < 0 ? '' : ` match ${match}`}`
    return outcome === 'fails' ? `${which}: ${field} does not hold` : `${which}: holds too, another one comes first`
  })
  const more = others.length > mostShown ? [`and ${others.length - mostShown} more`] : []
  const outcome = others.length === 1 ? '1 match not taken' : `${others.length} matches not taken`
  return [{ what: 'other routes', outcome, because: [...reasons, ...more].join('; ') }]
}

function filterSteps({ filters, action }: Route): readonly ExplainStep[] {
  const own = changesOf(filters)
  const ofDestinations = action.kind === 'forward' ? action.destinations.flatMap((each) => changesOf(each.filters)) : []
  const all = [...new Set([...own, ...ofDestinations])]
  if (all.length === 0) return []
  return [{ what: 'filters', outcome: all.join(', '), because: 'the rule asks for it' }]
}

function changesOf({ request, response, rewrite, mirrors = [], cors, fault }: RouteFilters): readonly string[] {
  const percent = (share: number): string => `${Math.round(share * 10_000) / 100} %`
  const { delay, abort } = fault ?? {}
  const status = abort === undefined ? '' : 'grpc' in abort ? `gRPC status ${abort.grpc}` : `status ${abort.status}`
  return [
    ...(request === undefined ? [] : ['request headers changed']),
    ...(response === undefined ? [] : ['response headers changed']),
    ...(rewrite?.path === undefined ? [] : ['path rewritten']),
    ...(rewrite?.host === undefined ? [] : [`host ${rewrite.host}`]),
    ...mirrors.map(({ backend, share }) => `${percent(share)} mirrored to ${backendName(backend)}`),
    ...(cors === undefined ? [] : ['CORS']),
    ...(delay === undefined ? [] : [`${percent(delay.share)} delayed by ${delay.delayMs} ms`]),
    ...(abort === undefined ? [] : [`${percent(abort.share)} answered with ${status}`]),
  ]
}

function backendName(backend: Backend): string {
  return backend.kind === 'invalid' ? `nobody (${backend.reason})` : `${backend.hostname}:${backend.port}`
}

type ServiceBackend = Extract<Backend, { readonly kind: 'service' }>

function backendsOf(destinations: readonly WeightedDestination[]): readonly ServiceBackend[] {
  return destinations.flatMap(({ backend }) => (backend.kind === 'service' ? [backend] : []))
}

/** @param route undefined: none is attached */
function timingSteps(
  route: Route | undefined,
  backends: readonly ServiceBackend[],
  snapshot: Snapshot,
): readonly ExplainStep[] {
  const { timeoutMs, tryTimeoutMs, retry } = route ?? {}
  const timeout = timeoutMs === undefined ? 'no timeout' : `${timeoutMs} ms in all`
  const each = tryTimeoutMs === undefined ? '' : `, ${tryTimeoutMs} ms for a try`
  const outcome = `${timeout}${each}; ${retriesText(retry)}`
  const silent = timeoutMs === undefined && tryTimeoutMs === undefined && retry === undefined
  const because = route === undefined || silent ? 'no rule says otherwise' : `${nameOf(route.origin)} says so`
  const steps: ExplainStep[] = [{ what: 'timeout and retries at the waypoint', outcome, because }]
  for (const backend of backends) {
    const [found] = snapshot.destinationsOf(backend.service)
    if (found === undefined) continue
    const subset = found.subsets.find(({ name }) => name === backend.subset?.name)
    const port = String(backend.port)
    const policy = { ...found.policy, ...found.ports[port], ...subset?.policy, ...subset?.ports[port] }
    const text = policyText(policy)
    if (text === '') continue
    const name = `${backend.hostname}${backend.subset === undefined ? '' : ` subset ${backend.subset.name}`}`
    steps.push({
      what: 'destination',
      outcome: `${name}: ${text}`,
      because: `DestinationRule ${found.sources.join(', ')}`,
    })
  }
  return steps
}

/** As waypoint/layers/retry-rules.ts has it where no rule says anything. */
const ownRetries = '2 retries where nothing of the request was taken, on 503, and on gRPC unavailable and cancelled'

function retriesText(retry: Route['retry']): string {
  if (retry === 'none') return 'no retries'
  if (retry === undefined) return ownRetries
  const on = [...retry.conditions, ...retry.statuses].join(', ')
  return `${retry.attempts} ${retry.attempts === 1 ? 'retry' : 'retries'} on ${on}`
}

function policyText({ loadBalancing, warmup, locality, pool, outliers, retryBudget }: DestinationPolicy): string {
  const balancing =
    loadBalancing === undefined
      ? []
      : [loadBalancing.kind === 'hash' ? `hash by ${loadBalancing.key.kind}` : loadBalancing.kind]
  return [
    ...balancing,
    ...(warmup === undefined ? [] : [`warm-up over ${warmup.durationMs} ms`]),
    ...(locality === undefined ? [] : ['locality']),
    ...(pool === undefined ? [] : poolTexts(pool)),
    ...(outliers === undefined ? [] : [outlierText(outliers)]),
    ...(retryBudget === undefined ? [] : [`retries up to ${retryBudget.percent} % of the requests`]),
  ].join(', ')
}

function poolTexts(pool: ConnectionPool): readonly string[] {
  const { maxConnections, maxPendingRequests, maxRequests, maxRetries, connectTimeoutMs } = pool
  const counts = {
    connections: maxConnections,
    'requests that wait': maxPendingRequests,
    'requests at once': maxRequests,
    'retries at once': maxRetries,
  }
  const limits = Object.entries(counts).flatMap(([of, most]) => (most === undefined ? [] : [`at most ${most} ${of}`]))
  const connect = connectTimeoutMs === undefined ? [] : [`connected within ${connectTimeoutMs} ms`]
  const said = [...limits, ...connect]
  return said.length === 0 ? ['settings of connections'] : said
}

function outlierText(outliers: OutlierDetection): string {
  const { consecutive5xx, consecutiveGatewayErrors, baseEjectionMs, maxEjectionPercent } = outliers
  const counts = { '5xx': consecutive5xx, 'gateway errors': consecutiveGatewayErrors }
  const on = Object.entries(counts).flatMap(([what, count]) => (count > 0 ? [`${count} ${what}`] : []))
  const after = on.length === 0 ? '' : ` after ${on.join(' or ')} in a row`
  return `outlier detection: ejected${after} for ${baseEjectionMs} ms, at most ${maxEjectionPercent} % of the endpoints`
}

function limitSteps(
  snapshot: Snapshot,
  key: string,
  port: number,
  origin: RouteOrigin | undefined,
  { waypoint }: Service,
): readonly ExplainStep[] {
  const holds = ({ targets }: RateLimit): boolean =>
    targets.some((target) => {
      if (target.kind === 'waypoint') return target.waypoint === waypoint
      if (target.kind === 'service') return target.service === key && (target.port ?? port) === port
      const { kind, namespace, name } = target.route
      const same = origin?.kind === kind && origin.namespace === namespace && origin.name === name
      return same && (target.rule === undefined || target.rule === origin.rule)
    })
  const all = [...snapshot.rateLimitsOf(key), ...(waypoint === undefined ? [] : snapshot.rateLimitsOf(waypoint))]
  const limits = [...new Set(all)].filter(holds)
  if (limits.length === 0) return []
  const rules = limits.flatMap(({ rules }) =>
    rules.map(
      ({ name, size, dryRun }) =>
        `${name}: ${rateText(size.perSecond)}, ${size.capacity} at once${dryRun ? ' (dry run)' : ''}`,
    ),
  )
  const names = limits.map(({ namespace, name }) => `RateLimitPolicy ${namespace}/${name}`)
  return [{ what: 'rate limits', outcome: rules.join('; '), because: names.join(', ') }]
}

/** In the largest unit in which it is one or more. */
function rateText(perSecond: number): string {
  const units = { second: 1, minute: 60, hour: 3_600, day: 86_400 }
  const [unit, seconds] = Object.entries(units).find(([, length]) => perSecond * length >= 1) ?? ['day', units.day]
  return `${Math.round(perSecond * seconds * 100) / 100} per ${unit}`
}

function connectionStep({ consumers, everyone }: RouteTable, namespace: string): ExplainStep {
  const group = Object.hasOwn(consumers, namespace) ? consumers[namespace] : everyone
  const routes: readonly ConnectionRoute[] = group?.connections ?? []
  const because = 'the port is routed by connections, so nobody reads requests'
  if (routes.length === 0) return { what: 'route', outcome: 'refused: no rule is left', because, passed: false }
  const shown = routes.slice(0, mostShown).map((route) => {
    const names = route.matches.flatMap(({ serverNames = [] }) => serverNames)
    const server = names.length === 0 ? '' : ` for ${names.join(', ')}`
    return `${nameOf(route.origin)}${server}: ${sharesOf(route.destinations).join(', ') || 'nobody'}`
  })
  return { what: 'route', outcome: shown.join('; '), because }
}
