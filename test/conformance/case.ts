// What a case of the conformance table is: resources, requests, and all that must come of them. The tables are in cases/; they are
// judged on the decision alone (model.ts) and on the wire (lab-run.ts).
import type { CallProtocol } from '../../lab/calls/call.ts'

/**
 * `core`, `extended`: counted in the profile's report upstream. `uncounted`: tests of the mesh suite that need features of no mesh
 * profile. `gateway`: tests written for gateways, with Services as parents.
 */
export type Level = 'core' | 'extended' | 'uncounted' | 'gateway'

export interface ConformanceCase {
  /** Short name of the test in the suite of the Gateway API. */
  readonly name: string
  readonly profile: 'MESH-HTTP' | 'MESH-GRPC'
  readonly level: Level
  /** YAML; namespace `conformance` where none is written. */
  readonly resources: string
  readonly routes?: readonly ExpectedRoute[]
  readonly requests: readonly CaseRequest[]
}

/** Conditions that differ from Accepted and ResolvedRefs, both true, for every parent. */
export interface ExpectedRoute {
  readonly name: string
  /** The reason of Accepted=False. */
  readonly notAccepted?: string
  /** The reason of ResolvedRefs=False. */
  readonly unresolved?: string
}

export interface CaseRequest {
  /** What is asked, where the table alone does not say it. */
  readonly about?: string
  /** Namespace of the client; `conformance` if absent. */
  readonly from?: 'conformance' | 'conformance-consumer'
  /** `service[:port]`, or `pod NAME:port`; `echo` if absent. */
  readonly to?: string
  readonly path?: string
  readonly protocol?: CallProtocol
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly repeat?: number
  /**
   * The answer depends on what only a proxy does (time, retries, CORS, mirrors): the decision alone is judged by `backend` only.
   * `series`: each try gets a fresh uuid, as query parameter; `attempts` and `mirrored` are counted by it.
   */
  readonly series?: boolean
  readonly onWire?: boolean
  readonly expect: Expected
}

/** What is not written is as the request was, or is not there: the path, the host; status 200. */
export interface Expected {
  readonly status?: number | readonly number[]
  readonly grpcStatus?: number
  /** The instance that answers. */
  readonly backend?: string
  /** Of that instance; `conformance` if absent. */
  readonly namespace?: string
  readonly path?: string
  readonly host?: string
  /** `HTTP/2.0`: how the request arrived. */
  readonly proto?: string
  /** Headers at the backend. */
  readonly request?: Readonly<Record<string, string>>
  readonly requestAbsent?: readonly string[]
  /** A list: any of these. Blanks behind commas are not compared. */
  readonly response?: Readonly<Record<string, string | readonly string[]>>
  readonly responseAbsent?: readonly string[]
  readonly location?: string
  readonly body?: string
  /** Per cent of the answers by instance, of a repeated request; ±5 points. */
  readonly shares?: Readonly<Record<string, number>>
  /** Requests that arrived at the instances, by the series. */
  readonly attempts?: Readonly<Record<string, number>>
  /** Per cent of the requests that arrive at mirrors; ±5 points of a repeated request, exactly of a single one. */
  readonly mirrored?: Readonly<Record<string, number>>
  readonly atLeastMs?: number
}

export const tolerancePoints = 5
export const weightedRequests = 500

/** `echo`, `echo:8080`, `echo-v1.conformance`: the Service's name, namespace and port. */
export function frontendOf({ to = 'echo', protocol }: Pick<CaseRequest, 'to' | 'protocol'>): {
  readonly name: string
  readonly namespace: string
  readonly port: number
} {
  const [host = '', port] = to.split(':')
  const [name = '', namespace = 'conformance'] = host.split('.')
  return { name, namespace, port: Number(port ?? (protocol === 'grpc' ? 7070 : 80)) }
}

export function titleOf(request: CaseRequest): string {
  const { about, from, to = 'echo', protocol, method = 'GET', path = '/', headers, body, repeat } = request
  const parts = [
    ...(protocol === undefined ? [] : [protocol]),
    method,
    `${to}${path}`,
    ...(headers === undefined ? [] : [JSON.stringify(headers)]),
    ...(body === undefined ? [] : ['with a body']),
    ...(repeat === undefined ? [] : [`${repeat} times`]),
    ...(from === undefined ? [] : [`from ${from}`]),
  ]
  return about === undefined ? parts.join(' ') : `${parts.join(' ')} (${about})`
}
