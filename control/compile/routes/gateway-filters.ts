// Filters of HTTPRoute and GRPCRoute, of a rule or of one backend. A filter that cannot be had is never skipped: `broken` says that
// the requests must be answered with an error instead.
import { isChangeable } from '../../../core/decide/http/headers.ts'
import type { HttpRouteSpec } from '../../../core/model/fields/http-route.ts'
import type {
  CorsPolicy,
  HeaderChanges,
  HeaderValue,
  Mirror,
  OriginMatch,
  PathRewrite,
  Redirect,
  RouteFilters,
} from '../../../core/model/routes.ts'
import { notFullyEnforced } from '../conditions.ts'
import { partlyInvalid, unresolved } from './findings.ts'
import { type GatewayContext, gatewayBackend } from './gateway-backends.ts'

export type HttpRule = NonNullable<HttpRouteSpec['rules']>[number]
/** Those of GRPCRoute are some of these. */
export type HttpFilter = NonNullable<HttpRule['filters']>[number]
type Modifier = NonNullable<HttpFilter['requestHeaderModifier']>
type PathModifier = NonNullable<NonNullable<HttpFilter['urlRewrite']>['path']>

export interface GatewayFilters {
  readonly filters: RouteFilters
  readonly redirect?: Redirect
  readonly broken?: string
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

interface Parts {
  readonly filters: Writable<RouteFilters>
  redirect?: Redirect
  broken?: string
}

/**
 * @param prefix of the rule's only PathPrefix match, for ReplacePrefixMatch
 * @param where the list is, for messages
 */
export function gatewayFilters(
  list: readonly HttpFilter[],
  prefix: string,
  context: GatewayContext,
  where: string,
): GatewayFilters {
  const parts: Parts = { filters: {} }
  for (const [index, filter] of list.entries()) addFilter(parts, filter, prefix, context, `${where}[${index}]`)
  return parts
}

function addFilter(parts: Parts, filter: HttpFilter, prefix: string, context: GatewayContext, where: string): void {
  const { filters } = parts
  const broken = (text: string): void => {
    parts.broken ??= `${where}: ${text}`
  }
  if (filter.requestHeaderModifier !== undefined) {
    const { changes, host } = changesOf(filter.requestHeaderModifier, context, where)
    filters.request = changes
    if (host !== undefined && filters.rewrite?.host === undefined) filters.rewrite = { ...filters.rewrite, host }
  } else if (filter.responseHeaderModifier !== undefined) {
    filters.response = changesOf(filter.responseHeaderModifier, context, where).changes
  } else if (filter.requestMirror !== undefined) {
    filters.mirrors = [...(filters.mirrors ?? []), mirrorOf(filter.requestMirror, context, where)]
  } else if (filter.requestRedirect !== undefined) {
    parts.redirect = redirectOf(filter.requestRedirect, prefix)
  } else if (filter.urlRewrite !== undefined) {
    const { hostname, path } = filter.urlRewrite
    filters.rewrite = {
      ...filters.rewrite,
      ...(hostname === undefined ? {} : { host: hostname }),
      ...(path === undefined ? {} : { path: pathOf(path, prefix) }),
    }
  } else if (filter.cors !== undefined) {
    filters.cors = corsOf(filter.cors)
  } else if (filter.extensionRef !== undefined) {
    const { group = '', kind, name } = filter.extensionRef
    broken(`${kind} ${name} is a filter that this mesh does not have`)
    context.tell(unresolved('InvalidKind', `${where}: ${kind}.${group} is unknown; its requests are answered with 500`))
  } else {
    broken(`a filter of type ${filter.type} is not supported`)
    context.tell(partlyInvalid(`${where}: type ${filter.type} is not supported; its requests are answered with 500`))
  }
}

function changesOf(modifier: Modifier, context: GatewayContext, where: string) {
  const { set = [], add = [], remove = [] } = modifier
  const host = set.find(({ name }) => name.toLowerCase() === 'host')?.value
  const kept = (name: string): boolean => {
    if (name.toLowerCase() === 'host' && host !== undefined) return false
    if (isChangeable(name)) return true
    context.tell(
      notFullyEnforced('FixedHeader', `${where}: the header ${name} belongs to the connection and is not changed`),
    )
    return false
  }
  const values = (list: readonly HeaderValue[]): readonly HeaderValue[] =>
    list.filter(({ name }) => kept(name)).map(({ name, value }) => ({ name, value }))
  const changes: HeaderChanges = { set: values(set), add: values(add), remove: remove.filter(kept) }
  return { changes, host }
}

function mirrorOf(mirror: NonNullable<HttpFilter['requestMirror']>, context: GatewayContext, where: string): Mirror {
  const { backendRef, percent, fraction } = mirror
  const backend = gatewayBackend(backendRef, context, `${where}.requestMirror`)
  const share = fraction === undefined ? (percent ?? 100) / 100 : fraction.numerator / (fraction.denominator ?? 100)
  return { backend, share, shadowHost: false }
}

function redirectOf(redirect: NonNullable<HttpFilter['requestRedirect']>, prefix: string): Redirect {
  const { scheme, hostname, port, path, statusCode = 302 } = redirect
  return {
    status: statusCode as Redirect['status'],
    port: port ?? 'frontend',
    ...(scheme === undefined ? {} : { scheme }),
    ...(hostname === undefined ? {} : { host: hostname }),
    ...(path === undefined ? {} : { path: pathOf(path, prefix) }),
  }
}

function pathOf(path: PathModifier, prefix: string): PathRewrite {
  if (path.type === 'ReplaceFullPath') return { kind: 'full', value: path.replaceFullPath ?? '' }
  return { kind: 'segments', prefix, value: path.replacePrefixMatch ?? '' }
}

function corsOf(cors: NonNullable<HttpFilter['cors']>): CorsPolicy {
  return {
    origins: (cors.allowOrigins ?? []).map(originOf),
    methods: cors.allowMethods ?? [],
    headers: cors.allowHeaders ?? [],
    expose: cors.exposeHeaders ?? [],
    maxAgeSeconds: cors.maxAge ?? 5,
    credentials: cors.allowCredentials ?? false,
    forwardUnmatched: false,
  }
}

function originOf(origin: string): OriginMatch {
  if (origin === '*') return { kind: 'present' }
  const star = origin.indexOf('*')
  if (star < 0) return { kind: 'exact', value: origin }
  return { kind: 'wildcard', before: origin.slice(0, star), after: origin.slice(star + 1) }
}
