// The compiled model of routing at waypoints: what control/compile/routes makes of the routes of the Gateway API and of
// VirtualServices, and what core/decide decides on. All types are readonly; a value is replaced, never changed.

export type RouteKind = 'GRPCRoute' | 'HTTPRoute' | 'TLSRoute' | 'TCPRoute' | 'VirtualService'

/** Which rule of which object, for logs, metrics and `explain`. */
export interface RouteOrigin {
  /** `Service`: the frontend itself, whose routes could not be read. */
  readonly kind: RouteKind | 'Service'
  readonly namespace: string
  readonly name: string
  /** Name of the rule, where it has one. */
  readonly rule?: string
  /** Position in the object's rules, from 0. With delegation, that in the object that the rule stands in. */
  readonly index: number
}

/**
 * Which match counts where several hold. `specific`: the most specific of all routes, match by match (Gateway API); `first`: the
 * first in the order of the rules (Istio).
 */
export type RoutePrecedence = 'specific' | 'first'

/** The routes that the clients of one namespace, or of all the others, are subject to. */
export interface RouteGroup {
  readonly precedence: RoutePrecedence
  /** In order; for `specific` the order that breaks ties: oldest object, then `namespace/name`, then rule. */
  readonly routes: readonly Route[]
  /**
   * For connections that are not HTTP, of which the first that holds counts; one that none holds for is refused. Undefined: such
   * connections go to the Service. With `connections` and no `routes` no connection is taken for HTTP.
   */
  readonly connections?: readonly ConnectionRoute[]
}

/** A rule of TCPRoute or TLSRoute, or of `tcp` or `tls` of a VirtualService. */
export interface ConnectionRoute {
  readonly origin: RouteOrigin
  /** Any is enough; none at all: every connection. */
  readonly matches: readonly ConnectionMatch[]
  /** Without any that has a weight the connection is refused. */
  readonly destinations: readonly { readonly weight: number; readonly backend: Backend }[]
}

/** All that is there must hold. */
export interface ConnectionMatch {
  /** Server names of TLS, in lower case; `*.domain` stands for one or more labels. A connection that is not TLS never fits. */
  readonly serverNames?: readonly string[]
  readonly port?: number
  /** CIDRs of the address that the client connected to. */
  readonly destinationBlocks?: readonly string[]
  /** CIDRs of the caller. */
  readonly sourceBlocks?: readonly string[]
  readonly sourceNamespace?: string
  readonly sourceLabels?: Readonly<Record<string, string>>
}

/** Routing of one frontend: a port of a Service. */
export interface RouteTable {
  /** Key of the Service: `namespace/hostname`. */
  readonly service: string
  readonly port: number
  /** For clients of every namespace without an own group; undefined where no route is attached: straight to the Service. */
  readonly everyone?: RouteGroup
  /** By namespace of the client (consumer routes, `exportTo`); such a group replaces that of everyone. */
  readonly consumers: Readonly<Record<string, RouteGroup>>
}

export interface Route {
  readonly origin: RouteOrigin
  /** Any is enough; none at all: every request. */
  readonly matches: readonly RequestMatch[]
  readonly action: RouteAction
  readonly filters: RouteFilters
  /** The whole request with its retries, milliseconds; undefined: no limit. */
  readonly timeoutMs?: number
  /** One try, milliseconds. */
  readonly tryTimeoutMs?: number
  /** `none`: the author switched retries off; undefined: nothing was said, the waypoint's default holds. */
  readonly retry?: RetryPolicy | 'none'
  readonly session?: SessionPersistence
}

/** How a text is compared; `regex` is RE2 for the whole text. */
export type ValueMatch =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'regex'; readonly value: string }
  | { readonly kind: 'present' }

export type PathMatch =
  | { readonly kind: 'exact'; readonly value: string; readonly ignoreCase?: boolean }
  /** Whole segments; without a trailing slash, except the root itself (Gateway API PathPrefix). */
  | { readonly kind: 'segments'; readonly value: string }
  /** Byte by byte: `/v2` takes `/v2x` (Istio). */
  | { readonly kind: 'prefix'; readonly value: string; readonly ignoreCase?: boolean }
  | { readonly kind: 'regex'; readonly value: string }
  /** `/service/method`; undefined: any. Both are exact, or both regular expressions. */
  | { readonly kind: 'grpc'; readonly service?: ValueMatch; readonly method?: ValueMatch }

/** `name` is in lower case for headers, as written for query parameters. */
export interface NamedMatch {
  readonly name: string
  readonly match: ValueMatch
}

/** A claim of the caller's verified token, by its path. */
export interface ClaimMatch {
  readonly claim: readonly string[]
  readonly match: ValueMatch
  readonly without: boolean
}

/** All that is there must hold. */
export interface RequestMatch {
  readonly name?: string
  readonly path?: PathMatch
  readonly method?: ValueMatch
  readonly scheme?: ValueMatch
  readonly authority?: ValueMatch
  readonly headers?: readonly NamedMatch[]
  /** None may hold; a header that is absent counts as empty. */
  readonly withoutHeaders?: readonly NamedMatch[]
  readonly query?: readonly NamedMatch[]
  readonly claims?: readonly ClaimMatch[]
  readonly port?: number
  readonly sourceNamespace?: string
  readonly sourceLabels?: Readonly<Record<string, string>>
}

export type RouteAction =
  | { readonly kind: 'forward'; readonly destinations: readonly WeightedDestination[] }
  | { readonly kind: 'redirect'; readonly redirect: Redirect }
  /** The waypoint answers itself; `reason` tells why where nobody asked for it. */
  | { readonly kind: 'respond'; readonly status: number; readonly body?: DirectBody; readonly reason?: string }

export type DirectBody =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'base64'; readonly bytes: string }

export type Backend =
  | {
      readonly kind: 'service'
      /** Key of the Service. */
      readonly service: string
      readonly hostname: string
      readonly port: number
      readonly subset?: Subset
    }
  /** Its share is answered with `status`: 500 for the Gateway API, 503 for Istio. */
  | { readonly kind: 'invalid'; readonly status: 500 | 503; readonly reason: string; readonly message: string }

/** The workloads of the service that carry all labels. */
export interface Subset {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}

export interface WeightedDestination {
  /** Relative to the others of the route, ≥ 0. */
  readonly weight: number
  readonly backend: Backend
  /** For the requests of this destination, after those of the route. */
  readonly filters: RouteFilters
}

/** What happens to a request on its way, and to its response. */
export interface RouteFilters {
  readonly request?: HeaderChanges
  readonly response?: HeaderChanges
  readonly rewrite?: Rewrite
  readonly mirrors?: readonly Mirror[]
  readonly cors?: CorsPolicy
  readonly fault?: Fault
}

/** `remove` comes first, then `set`, then `add`. Names in the case that they were written in. */
export interface HeaderChanges {
  readonly set: readonly HeaderValue[]
  readonly add: readonly HeaderValue[]
  readonly remove: readonly string[]
}

export interface HeaderValue {
  readonly name: string
  readonly value: string
}

export type PathRewrite =
  | { readonly kind: 'full'; readonly value: string }
  /** The segments that matched (Gateway API ReplacePrefixMatch). */
  | { readonly kind: 'segments'; readonly prefix: string; readonly value: string }
  /** The bytes that the `prefix` match took; the whole path where another kind of match held (Istio). */
  | { readonly kind: 'matched'; readonly value: string }
  /** Everything that the expression finds; `\0` to `\9` in the value are its groups (Istio). */
  | { readonly kind: 'regex'; readonly pattern: string; readonly value: string }

export interface Rewrite {
  /** New authority. */
  readonly host?: string
  readonly path?: PathRewrite
}

export interface Redirect {
  readonly status: 301 | 302 | 303 | 307 | 308
  readonly scheme?: 'http' | 'https'
  /** Host, with a port where the author wrote one (Istio). */
  readonly host?: string
  /** `frontend`: that of the frontend unless a scheme is given (Gateway API); `request`: as in the request's authority (Istio). */
  readonly port: number | 'frontend' | 'request' | 'request-port' | 'scheme'
  readonly path?: PathRewrite
}

export interface Mirror {
  readonly backend: Backend
  /** In [0, 1]. */
  readonly share: number
  /** Whether `-shadow` is put behind the host (Istio). */
  readonly shadowHost: boolean
}

/** How an origin is compared; `wildcard` (Gateway API) stands for one or more characters between the two texts. */
export type OriginMatch = ValueMatch | { readonly kind: 'wildcard'; readonly before: string; readonly after: string }

export interface CorsPolicy {
  readonly origins: readonly OriginMatch[]
  readonly methods: readonly string[]
  readonly headers: readonly string[]
  readonly expose: readonly string[]
  /** Seconds; undefined: the header is not sent. */
  readonly maxAgeSeconds?: number
  readonly credentials: boolean
  /** Whether preflights of other origins reach the backend. */
  readonly forwardUnmatched: boolean
}

export interface Fault {
  readonly delay?: { readonly delayMs: number; readonly share: number }
  readonly abort?:
    | { readonly status: number; readonly share: number }
    | { readonly grpc: number; readonly share: number }
}

export interface RetryPolicy {
  /** Retries, besides the first try. */
  readonly attempts: number
  readonly statuses: readonly number[]
  /** Envoy's names: `connect-failure`, `reset`, `unavailable`, … */
  readonly conditions: readonly string[]
  /** Milliseconds. */
  readonly backoffMs?: number
  readonly maxBackoffMs?: number
  /** Never earlier than `backoffMs` (Gateway API); otherwise anywhere up to it (full jitter, Envoy). */
  readonly backoffIsMinimum: boolean
  readonly avoidPreviousHosts: boolean
  readonly remoteLocalities: boolean
}

export interface SessionPersistence {
  readonly by: 'cookie' | 'header'
  readonly name: string
  readonly absoluteTimeoutMs?: number
  readonly permanent: boolean
  readonly path: string
}
