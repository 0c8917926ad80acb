// Rules of HTTPRoute and GRPCRoute, compiled. gateway-frontends.ts puts them to the frontends that the route attaches to.
import { createHash } from 'node:crypto'
import { problemsOf } from '../../../core/decide/http/match.ts'
import { durationMs } from '../../../core/model/fields/duration.ts'
import type { GrpcRouteSpec } from '../../../core/model/fields/grpc-route.ts'
import type {
  NamedMatch,
  PathMatch,
  RequestMatch,
  RetryPolicy,
  Route,
  RouteAction,
  RouteOrigin,
  SessionPersistence,
  ValueMatch,
  WeightedDestination,
} from '../../../core/model/routes.ts'
import { partlyInvalid } from './findings.ts'
import { type GatewayContext, gatewayBackend } from './gateway-backends.ts'
import { type GatewayFilters, gatewayFilters, type HttpRule } from './gateway-filters.ts'

export type GrpcRule = NonNullable<GrpcRouteSpec['rules']>[number]
type HttpMatch = NonNullable<HttpRule['matches']>[number]
type GrpcMatch = NonNullable<GrpcRule['matches']>[number]

/** @returns undefined where no match of the rule can be used: it must not become one for everything */
export function httpRule(rule: HttpRule, origin: RouteOrigin, context: GatewayContext): Route | undefined {
  const written = (rule.matches ?? []).length === 0 ? [{}] : (rule.matches ?? [])
  const matches = usable(written.map(httpMatch), context, origin.index)
  if (matches.length === 0) return undefined
  const path = written[0]?.path
  const prefix = (path?.type ?? 'PathPrefix') === 'PathPrefix' ? (path?.value ?? '/') : '/'
  const { request, backendRequest } = rule.timeouts ?? {}
  const [timeoutMs, tryTimeoutMs] = [limit(request), limit(backendRequest)]
  return {
    ...base(rule, origin, matches, prefix, context),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(tryTimeoutMs === undefined ? {} : { tryTimeoutMs }),
    ...(rule.retry === undefined ? {} : { retry: retryOf(rule.retry) }),
  }
}

export function grpcRule(rule: GrpcRule, origin: RouteOrigin, context: GatewayContext): Route | undefined {
  const written = (rule.matches ?? []).length === 0 ? [{}] : (rule.matches ?? [])
  const matches = usable(written.map(grpcMatch), context, origin.index)
  return matches.length === 0 ? undefined : base(rule, origin, matches, '/', context)
}

function base(
  rule: HttpRule | GrpcRule,
  origin: RouteOrigin,
  matches: readonly RequestMatch[],
  prefix: string,
  context: GatewayContext,
): Route {
  const where = `rules[${origin.index}]`
  const own = gatewayFilters(rule.filters ?? [], prefix, context, `${where}.filters`)
  const session = rule.sessionPersistence
  return {
    origin,
    matches,
    action: actionOf(rule, own, prefix, context, where),
    filters: own.filters,
    ...(session === undefined ? {} : { session: sessionOf(session, origin) }),
  }
}

function actionOf(
  rule: HttpRule | GrpcRule,
  own: GatewayFilters,
  prefix: string,
  context: GatewayContext,
  where: string,
): RouteAction {
  if (own.broken !== undefined) return { kind: 'respond', status: 500, reason: own.broken }
  if (own.redirect !== undefined) return { kind: 'redirect', redirect: own.redirect }
  const references = rule.backendRefs ?? []
  if (references.length === 0) return { kind: 'respond', status: 500, reason: `${where} has no backendRefs` }
  const destinations = references.map((reference, index): WeightedDestination => {
    const place = `${where}.backendRefs[${index}]`
    const { filters, redirect, broken } = gatewayFilters(reference.filters ?? [], prefix, context, `${place}.filters`)
    const weight = reference.weight ?? 1
    const failing = broken ?? (redirect === undefined ? undefined : `${place} redirects, which only a rule can do`)
    if (redirect !== undefined) context.tell(partlyInvalid(`${failing}: its requests are answered with 500`))
    if (failing === undefined) return { weight, backend: gatewayBackend(reference, context, place), filters }
    return { weight, backend: { kind: 'invalid', status: 500, reason: 'UnsupportedValue', message: failing }, filters }
  })
  return { kind: 'forward', destinations }
}

/** Matches in the form of HTTPRoute, of other kinds that have them. @param rule position of the rule that they are of */
export function httpMatches(
  written: readonly HttpMatch[],
  context: GatewayContext,
  rule: number,
): readonly RequestMatch[] {
  return usable(written.map(httpMatch), context, rule)
}

function usable(matches: readonly RequestMatch[], context: GatewayContext, rule: number): readonly RequestMatch[] {
  return matches.filter((match, index) => {
    const problems = problemsOf(match)
    for (const problem of problems) {
      context.tell(partlyInvalid(`rules[${rule}].matches[${index}] is left out: ${problem}`))
    }
    return problems.length === 0
  })
}

function httpMatch({ path, headers = [], queryParams = [], method }: HttpMatch): RequestMatch {
  const { type = 'PathPrefix', value = '/' } = path ?? {}
  const paths: PathMatch =
    type === 'RegularExpression'
      ? { kind: 'regex', value }
      : type === 'Exact'
        ? { kind: 'exact', value }
        : { kind: 'segments', value: value.length > 1 && value.endsWith('/') ? value.slice(0, -1) : value }
  return {
    path: paths,
    ...headersOf(headers),
    ...(queryParams.length === 0 ? {} : { query: firstOfEach(queryParams, (name) => name) }),
    ...(method === undefined ? {} : { method: { kind: 'exact', value: method } }),
  }
}

function grpcMatch({ method, headers = [] }: GrpcMatch): RequestMatch {
  const kind = method?.type === 'RegularExpression' ? 'regex' : 'exact'
  const part = (value: string | undefined): ValueMatch | undefined =>
    value === undefined ? undefined : { kind, value }
  const [service, name] = [part(method?.service), part(method?.method)]
  const path: PathMatch = {
    kind: 'grpc',
    ...(service === undefined ? {} : { service }),
    ...(name === undefined ? {} : { method: name }),
  }
  return { ...(method === undefined ? {} : { path }), ...headersOf(headers) }
}

type Named = NonNullable<HttpMatch['headers']>[number]

function headersOf(headers: readonly Named[]): Pick<RequestMatch, 'headers'> {
  return headers.length === 0 ? {} : { headers: firstOfEach(headers, (name) => name.toLowerCase()) }
}

/** Of several for one name only the first counts (HTTPRouteMatch). */
function firstOfEach(list: readonly Named[], nameOf: (name: string) => string): readonly NamedMatch[] {
  const found = new Map<string, NamedMatch>()
  for (const { name: written, type, value } of list) {
    const name = nameOf(written)
    const kind = type === 'RegularExpression' ? 'regex' : 'exact'
    if (!found.has(name)) found.set(name, { name, match: { kind, value } })
  }
  return [...found.values()]
}

/** 0s: none. */
function limit(text: string | undefined): number | undefined {
  const ms = text === undefined ? undefined : durationMs(text)
  return ms === 0 ? undefined : ms
}

/** Connection errors and timeouts of a try are retried wherever there is a retry stanza, also without codes. */
const always = ['connect-failure', 'refused-stream', 'reset', 'backend-timeout'] as const

function retryOf({ attempts = 2, backoff, codes = [] }: NonNullable<HttpRule['retry']>): RetryPolicy {
  const backoffMs = limit(backoff)
  return {
    attempts,
    statuses: codes,
    conditions: always,
    ...(backoffMs === undefined ? {} : { backoffMs }),
    backoffIsMinimum: true,
    avoidPreviousHosts: true,
    remoteLocalities: false,
  }
}

function sessionOf(session: NonNullable<HttpRule['sessionPersistence']>, origin: RouteOrigin): SessionPersistence {
  const { type = 'Cookie', cookie, header, absoluteTimeout } = session
  const absoluteTimeoutMs = limit(absoluteTimeout)
  return {
    by: type === 'Header' ? 'header' : 'cookie',
    name: (type === 'Header' ? header?.name : cookie?.name) ?? sessionName(origin),
    ...(absoluteTimeoutMs === undefined ? {} : { absoluteTimeoutMs }),
    permanent: cookie?.lifetimeType === 'Permanent',
    path: cookie?.path ?? '/',
  }
}

/** One for each rule: rules never share sessions. */
function sessionName({ kind, namespace, name, rule, index }: RouteOrigin): string {
  const text = [kind, namespace, name, rule ?? index].join('/')
  return `culvert-session-${createHash('sha256').update(text).digest('hex').slice(0, 12)}`
}
