// The way of a request through the waypoint, layer by layer: the one place that says in which order. Built by the wiring of the
// process, called by the codecs that face the clients.
import { normalizePath } from '../core/decide/http/path.ts'
import type { Forward, Respond } from '../core/decide/http/route-request.ts'
import type { Route } from '../core/model/routes.ts'
import type { Cluster, ClusterDeps } from './clusters/cluster.ts'
import { Clusters, type ServiceBackend } from './clusters/clusters.ts'
import type { Answer, Exchange, Handler } from './exchange.ts'
import type { Composer, RoutePlace } from './frontend.ts'
import { Frontends } from './frontends.ts'
import { Failure } from './http/failure.ts'
import { AnswerBody } from './layers/answer-body.ts'
import { ownAnswer } from './layers/answers.ts'
import { authorized } from './layers/authorize.ts'
import { balance } from './layers/balance.ts'
import { requestPlaces } from './layers/circuit.ts'
import { cors } from './layers/cors.ts'
import type { StackDeps } from './layers/deps.ts'
import { answeringFailures, failed } from './layers/failures.ts'
import { faults } from './layers/fault.ts'
import { type Layer, type Step, through } from './layers/layer.ts'
import { mirrors } from './layers/mirrors.ts'
import { outcomes } from './layers/outliers.ts'
import { responding } from './layers/own-answers.ts'
import { addOwnHeaders } from './layers/own-headers.ts'
import { rateLimits } from './layers/rate-limits.ts'
import { RequestContext } from './layers/request-context.ts'
import { retries } from './layers/retries.ts'
import { type RetryRules, retryRules } from './layers/retry-rules.ts'
import { requestRewriting, responseChanges } from './layers/rewrite.ts'
import { sending } from './layers/sending.ts'
import type { Sessions } from './layers/sessions.ts'
import { timeouts, tryTimeouts } from './layers/timeouts.ts'
import type { RoutingModel } from './routing-model.ts'

export interface Stack {
  readonly handle: Handler
  /** Shared with who carries connections that are not HTTP. */
  readonly clusters: Clusters
  /** To be called after each change of the model; requests under way end as they began. */
  update(): void
  /** For the admin page. */
  stats(): { readonly frontends: number; readonly clusters: ReturnType<Clusters['toJSON']> }
  /** Ends its timers. */
  close(): void
}

export interface StackOptions extends StackDeps {
  readonly model: RoutingModel
  readonly onOutlier?: ClusterDeps['onOutlier']
}

export function buildStack(options: StackOptions): Stack {
  const { model, waypoint } = options
  const clusters = new Clusters(model, options)
  const frontends = new Frontends(model, clusters, new Layers(clusters, options), waypoint)
  return {
    handle: (exchange) => handle(exchange, options, frontends),
    clusters,
    update: () => frontends.update(),
    stats: () => ({ frontends: frontends.count, clusters: clusters.toJSON() }),
    close: () => clusters.close(),
  }
}

/**
 * Outermost: what holds for every request, whatever its route. The one place where a path is normalised: codecs hand it over as it came,
 * policy and routes get what is sent.
 */
async function handle(exchange: Exchange, deps: StackDeps, frontends: Frontends): Promise<Answer> {
  const { head } = exchange
  const normal = normalizePath(head.path, deps.pathNormalization)
  const rejected = 'rejected' in normal
  const path = rejected ? head.path : normal.path
  const query = rejected ? undefined : normal.query
  const request = new RequestContext(exchange, path, query, deps)
  let answer: Answer
  try {
    if (rejected) {
      request.reason = normal.rejected
      answer = ownAnswer(exchange, { status: 400, grpcStatus: 13, text: normal.rejected })
    } else {
      // From here on policy, routes and the endpoint see the same bytes.
      head.path = query === undefined ? path : `${path}?${query}`
      addOwnHeaders(request)
      const denial = deps.authorize === undefined ? undefined : await authorized(request, deps.authorize)
      answer = denial ?? (await serve(request, frontends))
    }
  } catch (error: unknown) {
    answer = failed(request, error)
  }
  return ended(request, answer)
}

function serve(request: RequestContext, frontends: Frontends): Promise<Answer> {
  const frontend = frontends.of(request.origin)
  if (frontend === undefined) throw new Failure('no-endpoint', 'nobody has the address that the client connected to')
  return frontend.serve(request)
}

function ended(request: RequestContext, answer: Answer): Answer {
  request.answered(answer)
  const body = new AnswerBody(request, answer)
  const { head, upgraded, flag } = answer
  if (request.exchange.abandoned === 'client') request.status = 0
  return { head, body, upgraded, flag }
}

class Layers implements Composer {
  readonly #clusters: Clusters
  readonly #deps: StackDeps

  constructor(clusters: Clusters, deps: StackDeps) {
    this.#clusters = clusters
    this.#deps = deps
  }

  clusterOf({ clusters }: RoutePlace, { destination: { backend } }: Forward): Cluster {
    return held(clusters, this.#clusters.ofBackend(backend))
  }

  forward(place: RoutePlace, forward: Forward, sessions: Sessions | undefined): Step {
    const { route, match, destination } = forward
    const cluster = this.clusterOf(place, forward)
    const copies = forward.mirrors.map((mirror) => {
      // route-request.ts leaves out those whose backend is not there
      const backend = mirror.backend as ServiceBackend
      return { mirror, cluster: held(place.clusters, this.#clusters.ofBackend(backend)) }
    })
    return through(
      [
        ...this.#before(place, route),
        responseChanges(destination.filters.response, route.filters.response),
        sessions?.layer(cluster),
        answeringFailures,
        requestRewriting(forward),
        mirrors(copies, route.timeoutMs),
      ],
      tries(cluster, retryRules(route, match), route),
    )
  }

  direct(place: RoutePlace): Step {
    const { service, workload, port } = place.name
    const cluster =
      service !== undefined ? this.#clusters.ofService(service, port) : this.#clusters.ofWorkload(workload ?? '', port)
    held(place.clusters, cluster)
    return through(
      [...this.#before(place, undefined), answeringFailures],
      tries(cluster, retryRules(undefined, undefined)),
    )
  }

  respond(place: RoutePlace, respond: Respond): Step {
    const { route } = respond
    return through([...this.#before(place, route), responseChanges(route?.filters.response)], responding(respond))
  }

  redirect(place: RoutePlace, route: Route): Layer {
    const layers = [...this.#before(place, route), responseChanges(route.filters.response)]
    return (last) => through(layers, last)
  }

  /** Of every route, whatever it does with the request. */
  #before({ name, limits }: RoutePlace, route: Route | undefined): readonly (Layer | undefined)[] {
    const { service, port } = name
    const { waypoint } = this.#deps
    return [
      faults(route?.filters.fault),
      rateLimits(limits, { service, port, waypoint, route: route?.origin }, this.#deps),
      cors(route?.filters.cors),
    ]
  }
}

/** From a request that is ready to go to the endpoint that serves it. */
function tries(cluster: Cluster, rules: RetryRules | undefined, route?: Route): Step {
  return through(
    [
      inCluster(cluster),
      requestPlaces(cluster),
      timeouts(route?.timeoutMs, route?.tryTimeoutMs),
      retries(rules, cluster),
      balance(cluster),
      tryTimeouts,
      outcomes(cluster),
    ],
    sending,
  )
}

/** For the report. */
function inCluster(cluster: Cluster): Layer {
  return (next) => (request) => {
    request.cluster = cluster
    return next(request)
  }
}

function held(clusters: Set<Cluster>, cluster: Cluster): Cluster {
  clusters.add(cluster)
  return cluster
}
