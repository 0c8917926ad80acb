// The limit of a destination's requests at once: one place for a request with all its tries. That of connections, and of those who wait for
// one, is asked by the pool; that of retries by the retry layer.
import { isOverflow } from '../circuit/circuit.ts'
import type { Cluster } from '../clusters/cluster.ts'
import { Failure } from '../http/failure.ts'
import type { Layer } from './layer.ts'

export function requestPlaces(cluster: Cluster): Layer {
  return (next) => (request) => {
    const place = cluster.circuit.request()
    if (isOverflow(place)) throw new Failure('overflow', `the limit of ${place.limit} at once is reached`)
    request.place = place
    return next(request)
  }
}
