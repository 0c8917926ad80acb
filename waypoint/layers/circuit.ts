// The limits of a destination: requests at once for all tries of one request, connections and those who wait for one for each try.
import { isOverflow, type Permit } from '../circuit/circuit.ts'
import type { Cluster } from '../clusters/cluster.ts'
import type { Exchange } from '../exchange.ts'
import { Failure } from '../http/failure.ts'
import type { Layer } from './layer.ts'
import type { RequestContext } from './request-context.ts'

export function requestPlaces(cluster: Cluster): Layer {
  return (next) => (request) => {
    const place = cluster.circuit.request()
    if (isOverflow(place)) throw overflow(place.limit)
    request.place = place
    return next(request)
  }
}

/**
 * Over HTTP/1.1 a request needs a connection for itself: as many at once as may be open, the others wait. Over HTTP/2 the pool asks for
 * each connection as it opens it.
 */
export function connectionPlaces(cluster: Cluster): Layer | undefined {
  const { pool } = cluster.policy
  if (pool?.maxConnections === undefined || pool.protocol === 'http2') return undefined
  return (next) => (request) => {
    if (isMultiplexed(request.exchange, pool.protocol)) return next(request)
    return placed(cluster, request).then(() => next(request))
  }
}

/** As the pools choose it: upstream/upstream.ts. */
export function isMultiplexed(
  { grpc, protocol: spoken }: Exchange,
  protocol: 'default' | 'http1' | 'http2' | 'client',
): boolean {
  if (protocol === 'http1' || protocol === 'http2') return protocol === 'http2'
  return spoken === 'h2' || grpc
}

function placed(cluster: Cluster, request: RequestContext): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let permit: Permit | undefined
  const entry = cluster.circuit.enter({
    // The deadline of the request gives the try up, which ends the wait.
    deadlineMs: Number.POSITIVE_INFINITY,
    granted(grant) {
      forget()
      if (grant.kind === 'connect') permit = grant.permit
      request.connection = permit
      resolve()
    },
    expired() {},
  })
  let forget = () => {}
  if (entry.kind === 'overflow') throw overflow(entry.overflow.limit)
  if (entry.kind === 'connect') {
    request.connection = entry.permit
    resolve()
  } else if (entry.kind === 'waiting') {
    forget = request.attempt.onAbandoned((reason) => {
      entry.cancel()
      const kind = reason === 'unwanted' ? 'client' : reason
      reject(new Failure(kind, 'given up while it waited for a connection'))
    })
  }
  return promise
}

function overflow(limit: string): Failure {
  return new Failure('overflow', `the limit of ${limit} at once is reached`)
}
