// Session persistence (GEP-1619): who got a session goes to the same endpoint again, whatever the weights say now, as long as it serves.
// The token in the cookie or header names an endpoint without telling which: nobody can make one for an endpoint that they do not know.
import { hash } from 'node:crypto'
import type { Forward } from '../../core/decide/http/route-request.ts'
import type { SessionPersistence } from '../../core/model/routes.ts'
import type { Endpoint } from '../balance/endpoint-table.ts'
import { cookieValue } from '../balance/hash-key.ts'
import type { Cluster } from '../clusters/cluster.ts'
import type { Layer } from './layer.ts'
import type { RequestContext } from './request-context.ts'

/** Where a session may lead: all destinations of its rule. */
export interface SessionPlace {
  readonly forward: Forward
  readonly cluster: Cluster
}

interface Known {
  membership: number
  readonly byToken: Map<string, Endpoint>
}

const tokenLength = 22

export class Sessions {
  readonly #session: SessionPersistence
  /** Rules never share sessions, even where they name one cookie. */
  readonly #salt: string
  readonly #places: readonly SessionPlace[]
  readonly #known = new WeakMap<Cluster, Known>()

  constructor(session: SessionPersistence, salt: string, places: readonly SessionPlace[]) {
    this.#session = session
    this.#salt = salt
    this.#places = places
  }

  /** The destination that the request's session belongs to; its endpoint is pinned. Undefined without a session that holds. */
  resume(request: RequestContext): Forward | undefined {
    const token = this.#tokenOf(request)
    if (token === undefined) return undefined
    for (const { forward, cluster } of this.#places) {
      const endpoint = this.#endpoints(cluster).get(token)
      if (endpoint === undefined || !cluster.table.available(endpoint)) continue
      request.pinned = endpoint
      return forward
    }
    return undefined
  }

  #tokenOf(request: RequestContext): string | undefined {
    const { by, name } = this.#session
    const { headers } = request.exchange.head
    const value = by === 'cookie' ? cookieValue(headers.all('cookie'), name) : headers.get(name)
    if (value === undefined) return undefined
    const [token = '', expiry] = value.split('.', 2)
    if (this.#session.absoluteTimeoutMs === undefined) return token
    const expiresAt = Number.parseInt(expiry ?? '', 36)
    return expiresAt * 1_000 > request.deps.date() ? token : undefined
  }

  #endpoints(cluster: Cluster): ReadonlyMap<string, Endpoint> {
    const { table } = cluster
    let known = this.#known.get(cluster)
    if (known === undefined || known.membership !== table.membership) {
      const byToken = new Map(table.members.map((endpoint) => [this.#token(cluster, endpoint), endpoint]))
      known = { membership: table.membership, byToken }
      this.#known.set(cluster, known)
    }
    return known.byToken
  }

  #token({ name }: Cluster, { key }: Endpoint): string {
    const text = JSON.stringify([this.#salt, name.service, name.port, name.subset ?? null, key])
    return hash('sha256', text, 'base64url').slice(0, tokenLength)
  }

  /** Tells the client its session where it has none that led to who answered. */
  layer(cluster: Cluster): Layer {
    return (next) => async (request) => {
      const answer = await next(request)
      const endpoint = request.endpointInUse
      if (endpoint !== undefined && endpoint !== request.pinned) {
        const [name, value] = this.#field(this.#token(cluster, endpoint), request.deps.date())
        if (this.#session.by === 'cookie') answer.head.headers.add(name, value)
        else answer.head.headers.set(name, value)
      }
      return answer
    }
  }

  #field(token: string, nowMs: number): readonly [name: string, value: string] {
    const { by, name, absoluteTimeoutMs, permanent, path } = this.#session
    const seconds = absoluteTimeoutMs === undefined ? undefined : Math.ceil(absoluteTimeoutMs / 1_000)
    const value = seconds === undefined ? token : `${token}.${(Math.floor(nowMs / 1_000) + seconds).toString(36)}`
    if (by === 'header') return [name.toLowerCase(), value]
    const life = permanent && seconds !== undefined ? `; Max-Age=${seconds}` : ''
    return ['set-cookie', `${name}=${value}; Path=${path}${life}; HttpOnly`]
  }
}
