// Where a request goes: the decision of layer-7 routing, by the routes of a frontend. Pure; the waypoint asks for every request,
// `explain` and `analyze` ask the same function. A decision to forward is made when the table arrives and only picked here.
import type {
  Mirror,
  RequestMatch,
  Route,
  RouteGroup,
  RouteOrigin,
  RouteTable,
  WeightedDestination,
} from '../../model/routes.ts'
import { choose, sumsOf } from './choose.ts'
import { locationOf } from './redirect.ts'
import type { RoutedRequest } from './request.ts'
import { compileRewrite, type PathRewriter } from './rewrite.ts'
import { RouteIndex } from './route-index.ts'

export interface Forward {
  readonly kind: 'forward'
  readonly route: Route
  readonly match: RequestMatch
  readonly destination: WeightedDestination & { readonly backend: { readonly kind: 'service' } }
  /** Undefined: the path stays. What it returns may bring a query of its own, which replaces the request's. */
  readonly rewritePath: PathRewriter | undefined
  /** New authority. */
  readonly host: string | undefined
  /** Those with a backend that is there. */
  readonly mirrors: readonly Mirror[]
}

export interface Respond {
  readonly kind: 'respond'
  readonly status: number
  /** For a gRPC client, in place of `status`. */
  readonly grpcStatus: number
  /** For log and metrics; empty where the rule asks for this answer. */
  readonly reason: string
  readonly route: Route | undefined
  readonly match: RequestMatch | undefined
}

export type RouteDecision =
  /** No route is attached: to the Service that the client asked for. */
  | { readonly kind: 'unrouted' }
  | Forward
  | Respond
  | {
      readonly kind: 'redirect'
      readonly status: number
      readonly location: string
      readonly route: Route
      readonly match: RequestMatch
    }

/** A table ready for requests. */
export interface Routing {
  readonly table: RouteTable
  readonly everyone: CompiledGroup | undefined
  readonly consumers: ReadonlyMap<string, CompiledGroup>
}

interface CompiledGroup {
  readonly index: RouteIndex
  /** By rank. */
  readonly plans: readonly Plan[]
}

type Plan =
  | { readonly kind: 'answer'; readonly decision: Respond }
  | {
      readonly kind: 'redirect'
      readonly route: Route
      readonly match: RequestMatch
      readonly path: PathRewriter | undefined
    }
  | {
      readonly kind: 'forward'
      readonly sums: readonly number[]
      readonly decisions: readonly (Forward | Respond)[]
      readonly none: Respond
    }

export function compileRouting(table: RouteTable): Routing {
  return {
    table,
    everyone: table.everyone === undefined ? undefined : compileGroup(table.everyone),
    consumers: new Map(Object.entries(table.consumers).map(([namespace, group]) => [namespace, compileGroup(group)])),
  }
}

const unrouted: RouteDecision = { kind: 'unrouted' }
const grpc = { unknown: 2, unimplemented: 12, unavailable: 14 } as const

const notFound: Respond = {
  kind: 'respond',
  status: 404,
  grpcStatus: grpc.unimplemented,
  reason: 'no rule matches',
  route: undefined,
  match: undefined,
}

/** @param random in [0, 1), for the weights */
export function routeRequest(routing: Routing, request: RoutedRequest, random: number): RouteDecision {
  const group = groupFor(routing, request.sourceNamespace)
  if (group === undefined) return unrouted
  const rank = group.index.find(request)
  if (rank < 0) return notFound
  const plan = group.plans[rank]!
  if (plan.kind === 'answer') return plan.decision
  if (plan.kind === 'forward') return plan.decisions[choose(plan.sums, random)] ?? plan.none
  return redirected(plan, request)
}

function redirected(
  { route, match, path }: Plan & { readonly kind: 'redirect' },
  request: RoutedRequest,
): RouteDecision {
  // the plan was made of such an action
  if (route.action.kind !== 'redirect') return notFound
  const { redirect } = route.action
  return { kind: 'redirect', status: redirect.status, location: locationOf(redirect, request, path), route, match }
}

function groupFor(routing: Routing, namespace: string): CompiledGroup | undefined {
  if (routing.consumers.size === 0) return routing.everyone
  return routing.consumers.get(namespace) ?? routing.everyone
}

function compileGroup(group: RouteGroup): CompiledGroup {
  const index = new RouteIndex(group)
  return { index, plans: index.entries.map(({ route, match }) => planOf(route, match)) }
}

function planOf(route: Route, match: RequestMatch): Plan {
  const { action } = route
  if (action.kind === 'respond') {
    const { status, reason = '' } = action
    return { kind: 'answer', decision: answer(status, reason, route, match) }
  }
  if (action.kind === 'redirect') {
    const { path } = action.redirect
    return { kind: 'redirect', route, match, path: path && compileRewrite(path, match.path) }
  }
  const status = route.origin.kind === 'VirtualService' ? 503 : 500
  return {
    kind: 'forward',
    sums: sumsOf(action.destinations.map(({ weight }) => weight)),
    decisions: action.destinations.map((destination) => forward(route, match, destination)),
    none: answer(status, 'no backend has a weight', route, match),
  }
}

function forward(route: Route, match: RequestMatch, destination: WeightedDestination): Forward | Respond {
  const { backend, filters } = destination
  if (backend.kind === 'invalid') {
    return answer(backend.status, `${backend.reason}: ${backend.message}`, route, match)
  }
  const path = route.filters.rewrite?.path ?? filters.rewrite?.path
  return {
    kind: 'forward',
    route,
    match,
    destination: { ...destination, backend },
    rewritePath: path && compileRewrite(path, match.path),
    host: route.filters.rewrite?.host ?? filters.rewrite?.host,
    mirrors: [...(route.filters.mirrors ?? []), ...(filters.mirrors ?? [])].filter(
      (mirror) => mirror.backend.kind === 'service',
    ),
  }
}

function answer(status: number, reason: string, route: Route, match: RequestMatch): Respond {
  const grpcStatus = reason === '' && status !== 503 ? grpcOf(status) : grpc.unavailable
  return { kind: 'respond', status, grpcStatus, reason, route, match }
}

/** The mapping of HTTP to gRPC statuses for answers that carry none (grpc/doc/http-grpc-status-mapping.md). */
function grpcOf(status: number): number {
  const known: Readonly<Record<number, number>> = {
    400: 13,
    401: 16,
    403: 7,
    404: 12,
    429: 14,
    502: 14,
    503: 14,
    504: 14,
  }
  return known[status] ?? (status === 200 ? 0 : grpc.unknown)
}

export interface Considered {
  readonly origin: RouteOrigin
  /** Position among the rule's matches; -1 for a rule without any. */
  readonly match: number
  /** `outranked`: it holds too, but another one counts. */
  readonly outcome: 'chosen' | 'outranked' | 'fails'
  /** The first field that does not hold. */
  readonly field?: string
}

/** All matches for a request in the order in which they count, with why each is or is not the one. For `explain`. */
export function considered(routing: Routing, request: RoutedRequest): readonly Considered[] {
  const group = groupFor(routing, request.sourceNamespace)
  if (group === undefined) return []
  const chosen = group.index.find(request)
  return group.index.entries.map(({ route: { origin }, position: match }, rank): Considered => {
    if (rank === chosen) return { origin, match, outcome: 'chosen' }
    const field = group.index.failing(rank, request)
    return field === undefined ? { origin, match, outcome: 'outranked' } : { origin, match, outcome: 'fails', field }
  })
}
