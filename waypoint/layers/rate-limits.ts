// Rate limits that a request meets: those of its service, of the waypoint and of its route. All must have room.
import { compileMatch } from '../../core/decide/http/match.ts'
import type { RoutedRequest } from '../../core/decide/http/request.ts'
import type { RateLimit as Policy, RateLimitRule, RateLimitTarget } from '../../core/model/rate-limits.ts'
import type { RequestMatch, RouteOrigin } from '../../core/model/routes.ts'
import type { Answer } from '../exchange.ts'
import { grpcStatus } from '../fault/grpc-status.ts'
import { limitFields, refusal } from '../ratelimit/answer.ts'
import type { LimitedRequest } from '../ratelimit/limit-key.ts'
import { checkLimits, type RateLimit } from '../ratelimit/limiter.ts'
import { ownAnswer } from './answers.ts'
import type { StackDeps } from './deps.ts'
import type { Layer } from './layer.ts'
import type { RequestContext } from './request-context.ts'

interface Limit {
  readonly limit: RateLimit
  readonly applies: (request: RoutedRequest) => boolean
  readonly headers: boolean
  readonly grpc: number
}

/** Where a request is, for what a policy targets. */
export interface LimitedPlace {
  readonly service: string | undefined
  readonly port: number
  readonly waypoint: string | undefined
  readonly route: RouteOrigin | undefined
}

/** @param policies that may target the place; undefined where none does */
export function rateLimits(
  policies: readonly Policy[],
  place: LimitedPlace,
  { buckets }: Pick<StackDeps, 'buckets'>,
): Layer | undefined {
  const limits = policies
    .filter(({ targets }) => targets.some((target) => isTarget(target, place)))
    .flatMap((policy) => policy.rules.map((rule) => limitOf(policy, rule, buckets)))
  if (limits.length === 0) return undefined
  return (next) => (request) => {
    const met = limits.filter(({ applies }) => applies(request))
    if (met.length === 0) return next(request)
    const { deps } = request
    const verdict = checkLimits(
      met.map(({ limit }) => limit),
      new Limited(request),
      buckets.local,
      deps.clock(),
    )
    if (verdict.wouldRefuse.length > 0) request.wouldRefuse = verdict.wouldRefuse
    const shown = new Set(met.flatMap(({ limit, headers }) => (headers ? [limit.name] : [])))
    const states = verdict.states.filter(({ name }) => shown.has(name))
    if (verdict.allowed) return states.length === 0 ? next(request) : withFields(next(request), limitFields(states))
    request.reason = verdict.refusedBy.join(' ')
    const refused = met.find(({ limit }) => verdict.refusedBy.includes(limit.id))
    const { headers } = refusal(verdict.states, request.exchange.grpc)
    return Promise.resolve(
      ownAnswer(request.exchange, {
        status: 429,
        grpcStatus: refused?.grpc ?? grpcStatus.RESOURCE_EXHAUSTED,
        text: 'rate limit exceeded',
        headers: [overLimit, ...headers.filter(([name]) => name === 'retry-after'), ...limitFields(states)],
        flag: 'RL',
      }),
    )
  }
}

/** Envoy's: for callers that tell it from an application's own 429. */
const overLimit = ['x-envoy-ratelimited', 'true'] as const

async function withFields(coming: Promise<Answer>, fields: ReturnType<typeof limitFields>): Promise<Answer> {
  const answer = await coming
  for (const [name, value] of fields) answer.head.headers.set(name, value)
  return answer
}

function isTarget(target: RateLimitTarget, { service, port, waypoint, route }: LimitedPlace): boolean {
  if (target.kind === 'waypoint') return target.waypoint === waypoint
  if (target.kind === 'service') {
    return target.service === service && (target.port === undefined || target.port === port)
  }
  const { kind, namespace, name } = target.route
  return (
    route !== undefined &&
    route.kind === kind &&
    route.namespace === namespace &&
    route.name === name &&
    (target.rule === undefined || target.rule === route.rule)
  )
}

function limitOf(policy: Policy, rule: RateLimitRule, buckets: StackDeps['buckets']): Limit {
  const id = `${policy.namespace}/${policy.name}/${rule.name}`
  const { size, key, dryRun, scope, matches } = rule
  return {
    limit: { id, name: rule.name, size, key, dryRun, buckets: buckets[scope] },
    applies: anyOf(matches),
    headers: policy.headers,
    grpc: grpcStatus[policy.grpcStatus],
  }
}

function anyOf(matches: readonly RequestMatch[]): (request: RoutedRequest) => boolean {
  if (matches.length === 0) return () => true
  const compiled = matches.map(compileMatch)
  return (request) =>
    compiled.some(
      ({ path, rest }) => (path === undefined || path.holds(request)) && rest.every((test) => test.holds(request)),
    )
}

class Limited implements LimitedRequest {
  readonly #request: RequestContext

  constructor(request: RequestContext) {
    this.#request = request
  }

  get identity(): string {
    return this.#request.origin.principal
  }

  get namespace(): string {
    return this.#request.sourceNamespace
  }

  get source(): string {
    return this.#request.origin.address.address
  }

  get method(): string {
    return this.#request.method
  }

  get path(): string {
    return this.#request.path
  }

  get claims(): Readonly<Record<string, unknown>> | undefined {
    return this.#request.claims
  }

  header(name: string): readonly string[] {
    return this.#request.exchange.head.headers.all(name)
  }
}
