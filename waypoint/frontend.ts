// What clients of one address meet: the routes of a port of a service, or a workload by its own address. Composed when the model
// changes, asked for every request. stack.ts makes them and says how routes become layers.
import {
  compileRouting,
  type Forward,
  type Respond,
  type RouteDecision,
  type Routing,
  routeRequest,
} from '../core/decide/http/route-request.ts'
import type { RateLimit } from '../core/model/rate-limits.ts'
import type { Route, RouteTable } from '../core/model/routes.ts'
import type { Cluster } from './clusters/cluster.ts'
import type { Answer } from './exchange.ts'
import type { Layer, Step } from './layers/layer.ts'
import type { RequestContext } from './layers/request-context.ts'
import { type SessionPlace, Sessions } from './layers/sessions.ts'

export interface FrontendName {
  /** Key of the service; undefined for a workload. */
  readonly service: string | undefined
  readonly workload: string | undefined
  readonly port: number
}

/** What a frontend is made of: the same objects mean that nothing changed. */
export interface FrontendBasis {
  readonly table: RouteTable | undefined
  /** Limits that may target it, some of them certain routes only. */
  readonly limits: readonly (readonly RateLimit[])[]
}

/** How routes become layers; a cluster that is asked for is held on to until the next composition. */
export interface Composer {
  forward(place: RoutePlace, forward: Forward, sessions: Sessions | undefined): Step
  respond(place: RoutePlace, respond: Respond): Step
  redirect(place: RoutePlace, route: Route): Layer
  /** No route is attached. */
  direct(place: RoutePlace): Step
  clusterOf(place: RoutePlace, forward: Forward): Cluster
}

/** Where something is composed for. */
export interface RoutePlace {
  readonly name: FrontendName
  readonly limits: readonly RateLimit[]
  readonly clusters: Set<Cluster>
}

type RedirectStep = (
  request: RequestContext,
  decision: RouteDecision & { readonly kind: 'redirect' },
) => Promise<Answer>

export class Frontend {
  readonly name: FrontendName
  readonly #compose: Composer
  readonly #redirecting: RedirectStep
  #basis: FrontendBasis
  #place: RoutePlace
  #routing: Routing | undefined
  #direct: Step | undefined
  #steps = new Map<Forward | Respond, Step>()
  #sessions = new Map<Forward | Respond, Sessions>()
  #redirects = new Map<Route, Layer>()
  closed = false

  constructor(name: FrontendName, basis: FrontendBasis, compose: Composer, redirecting: RedirectStep) {
    this.name = name
    this.#compose = compose
    this.#redirecting = redirecting
    this.#basis = basis
    this.#place = this.#newPlace()
    this.recompose(basis)
  }

  get clusters(): ReadonlySet<Cluster> {
    return this.#place.clusters
  }

  isMadeOf({ table, limits }: FrontendBasis): boolean {
    const { table: before, limits: limitsBefore } = this.#basis
    return table === before && limits.every((each, index) => each === limitsBefore[index])
  }

  get basis(): FrontendBasis {
    return this.#basis
  }

  /** Requests under way keep the layers that they are in. */
  recompose(basis: FrontendBasis): void {
    this.#basis = basis
    this.#place = this.#newPlace()
    this.#routing = basis.table === undefined ? undefined : compileRouting(basis.table)
    this.#direct = undefined
    this.#steps = new Map()
    this.#redirects = new Map()
    this.#sessions = this.#sessionsOf(this.#routing)
  }

  #newPlace(): RoutePlace {
    return { name: this.name, limits: [...new Set(this.#basis.limits.flat())], clusters: new Set() }
  }

  #sessionsOf(routing: Routing | undefined): Map<Forward | Respond, Sessions> {
    const found = new Map<Forward | Respond, Sessions>()
    if (routing === undefined) return found
    for (const group of [routing.everyone, ...routing.consumers.values()]) {
      for (const plan of group?.plans ?? []) {
        if (plan.kind !== 'forward') continue
        const route = plan.none.route
        if (route?.session === undefined) continue
        const places = plan.decisions.flatMap((forward): readonly SessionPlace[] =>
          forward.kind === 'forward' ? [{ forward, cluster: this.#compose.clusterOf(this.#place, forward) }] : [],
        )
        const { kind, namespace, name, rule, index } = route.origin
        const sessions = new Sessions(route.session, JSON.stringify([kind, namespace, name, rule ?? index]), places)
        for (const decision of [...plan.decisions, plan.none]) found.set(decision, sessions)
      }
    }
    return found
  }

  /** Routes one request and passes it on. */
  serve(request: RequestContext): Promise<Answer> {
    if (this.#routing === undefined) return this.#straight(request)
    const decision = routeRequest(this.#routing, request, request.deps.random())
    if (decision.kind === 'unrouted') return this.#straight(request)
    request.route = decision.route?.origin
    if (decision.kind === 'redirect') return this.#redirect(request, decision)
    const sessions = this.#sessions.size === 0 ? undefined : this.#sessions.get(decision)
    const chosen = sessions?.resume(request) ?? decision
    let step = this.#steps.get(chosen)
    if (step === undefined) {
      step =
        chosen.kind === 'forward'
          ? this.#compose.forward(this.#place, chosen, sessions)
          : this.#compose.respond(this.#place, chosen)
      this.#steps.set(chosen, step)
    }
    return step(request)
  }

  #straight(request: RequestContext): Promise<Answer> {
    this.#direct ??= this.#compose.direct(this.#place)
    return this.#direct(request)
  }

  #redirect(request: RequestContext, decision: RouteDecision & { readonly kind: 'redirect' }): Promise<Answer> {
    let layer = this.#redirects.get(decision.route)
    if (layer === undefined) {
      layer = this.#compose.redirect(this.#place, decision.route)
      this.#redirects.set(decision.route, layer)
    }
    return layer((inner) => this.#redirecting(inner, decision))(request)
  }
}
