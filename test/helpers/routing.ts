// Requests, routes and tables as tests of layer-7 routing write them.
import type { RoutedRequest } from '../../core/decide/http/request.ts'
import { compileRouting, type RouteDecision, routeRequest } from '../../core/decide/http/route-request.ts'
import type { PathMatch, RequestMatch, Route, RouteGroup, RouteTable } from '../../core/model/routes.ts'

export interface Asked {
  readonly method?: string
  readonly scheme?: 'http' | 'https'
  readonly authority?: string
  /** With its query. */
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly port?: number
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly claims?: Readonly<Record<string, readonly string[]>>
}

export function request(asked: Asked = {}): RoutedRequest {
  const target = asked.path ?? '/'
  const mark = target.indexOf('?')
  const headers = new Map(Object.entries(asked.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
  return {
    method: asked.method ?? 'GET',
    scheme: asked.scheme ?? 'http',
    authority: asked.authority ?? 'echo',
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? undefined : target.slice(mark + 1),
    port: asked.port ?? 80,
    sourceNamespace: asked.namespace ?? 'clients',
    ...(asked.labels === undefined ? {} : { sourceLabels: asked.labels }),
    header: (name) => headers.get(name),
    claim: (path) => asked.claims?.[path.join('.')],
  }
}

/** A route to a service of the name. */
export function routeTo(name: string, matches: readonly RequestMatch[], more: Partial<Route> = {}): Route {
  const backend = { kind: 'service', service: `shop/${name}`, hostname: name, port: 8080 } as const
  return {
    origin: { kind: 'HTTPRoute', namespace: 'shop', name, index: 0 },
    matches,
    action: { kind: 'forward', destinations: [{ weight: 1, backend, filters: {} }] },
    filters: {},
    ...more,
  }
}

export const exact = (value: string): PathMatch => ({ kind: 'exact', value })
export const segments = (value: string): PathMatch => ({ kind: 'segments', value })

export function tableOf(routes: readonly Route[], precedence: RouteGroup['precedence'] = 'specific'): RouteTable {
  return { service: 'shop/echo', port: 80, everyone: { precedence, routes }, consumers: {} }
}

export function decide(table: RouteTable, asked: Asked = {}, random = 0): RouteDecision {
  return routeRequest(compileRouting(table), request(asked), random)
}

/** Where a decision leads, in a word: the hostname of the service, or the status. */
export function goal(decision: RouteDecision): string {
  if (decision.kind === 'forward') {
    const { backend } = decision.destination
    return backend.subset === undefined ? backend.hostname : `${backend.hostname}/${backend.subset.name}`
  }
  if (decision.kind === 'redirect') return `${decision.status} ${decision.location}`
  return decision.kind === 'respond' ? String(decision.status) : decision.kind
}
