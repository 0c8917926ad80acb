// Copies of requests for other destinations: sent and forgotten. They take nothing from the request itself, neither time nor its answer.
import { splitAuthority } from '../../core/decide/http/redirect.ts'
import type { Mirror } from '../../core/model/routes.ts'
import { isOverflow } from '../circuit/circuit.ts'
import { type Cluster, servingFacts } from '../clusters/cluster.ts'
import { Exchange } from '../exchange.ts'
import { happens } from '../fault/fault.ts'
import { emptyBody } from '../http/body.ts'
import { asFailure } from '../http/failure.ts'
import type { Headers } from '../http/message.ts'
import type { TryEnd } from '../report.ts'
import type { Layer } from './layer.ts'
import { MirrorBody } from './mirror-body.ts'
import type { RequestContext } from './request-context.ts'

/** A mirror that answers nothing is given up after this long, where the route has no timeout. */
const patienceMs = 60_000

export interface MirrorTarget {
  readonly mirror: Mirror
  readonly cluster: Cluster
}

export function mirrors(targets: readonly MirrorTarget[], timeoutMs: number | undefined): Layer | undefined {
  const some = targets.filter(({ mirror }) => mirror.share > 0)
  if (some.length === 0) return undefined
  return (next) => (request) => {
    // A connection that changes its protocol has no copy.
    if (request.exchange.upgrade === undefined) {
      for (const target of some) {
        if (happens(target.mirror.share * 100, request.deps.random)) send(request, target, timeoutMs ?? patienceMs)
      }
    }
    return next(request)
  }
}

function send(request: RequestContext, { mirror, cluster }: MirrorTarget, timeoutMs: number): void {
  const { deps, origin } = request
  const tell = (end: TryEnd | 'dropped') => deps.telemetry.mirrorEnded?.({ origin, cluster, end })
  const place = cluster.circuit.request()
  if (isOverflow(place)) {
    tell({ failure: 'overflow' })
    return
  }
  const endpoint = cluster.balancer.pick()
  if (endpoint === undefined) {
    place.release()
    tell({ failure: 'no-endpoint' })
    return
  }
  const copy = copyOf(request, mirror, () => {
    tell('dropped')
    copy.abandon('unwanted')
  })
  const timer = deps.timers.start(() => copy.abandon('timeout'), timeoutMs)
  endpoint.began()
  let over = false
  const end = (how: TryEnd | undefined) => {
    if (over) return
    over = true
    deps.timers.stop(timer)
    endpoint.ended()
    place.release()
    if (how !== undefined && copy.abandoned !== 'unwanted') tell(how)
  }
  const target = servingFacts(endpoint.facts).upstream
  sent(deps.upstream.send(copy, target), end)
}

async function sent(coming: ReturnType<RequestContext['deps']['upstream']['send']>, end: (how: TryEnd) => void) {
  try {
    const { head, body } = await coming
    const done = () => end({ status: head.status })
    // Read to its end, so that the connection can be used again.
    body.read({ onData: () => {}, onEnd: done, onError: done })
  } catch (error: unknown) {
    end({ failure: asFailure(error).kind })
  }
}

function copyOf({ exchange, body }: RequestContext, { shadowHost }: Mirror, giveUp: () => void): Exchange {
  const { head } = exchange
  const headers = head.headers.copy()
  unsample(headers)
  // The copy is not asked whether it is to go on.
  headers.delete('expect')
  const authority = shadowHost ? shadowOf(head.authority) : head.authority
  const copied = body === undefined ? undefined : new MirrorBody(body.length, giveUp)
  if (copied !== undefined) body?.listen(copied)
  const { method, scheme, path } = head
  return new Exchange({
    origin: exchange.origin,
    protocol: exchange.protocol,
    head: { method, scheme, authority, path, headers },
    body: copied ?? emptyBody,
    startedAt: exchange.startedAt,
  })
}

function shadowOf(authority: string): string {
  const { host, port } = splitAuthority(authority)
  return port === undefined ? `${host}-shadow` : `${host}-shadow:${port}`
}

/** Its spans would stand beside those of the request as if both had been answered. */
function unsample(headers: Headers): void {
  const parent = headers.get('traceparent')
  if (parent !== undefined) headers.set('traceparent', parent.replace(/-[0-9a-f]{2}$/, '-00'))
  if (headers.has('x-b3-traceid')) headers.set('x-b3-sampled', '0')
  const single = headers.get('b3')
  if (single !== undefined) headers.set('b3', single.replace(/^([0-9a-f]+-[0-9a-f]+)(?:-[01d])?/, '$1-0'))
}
