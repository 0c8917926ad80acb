// Chooses the endpoint of each try: where the request's session belongs, by its hash key, or as the balancer thinks best.

import { type HashKeyPolicy, hashKey } from '../balance/hash-key.ts'
import type { Cluster } from '../clusters/cluster.ts'
import type { Answer } from '../exchange.ts'
import { Failure } from '../http/failure.ts'
import type { Layer, Step } from './layer.ts'
import type { RequestContext } from './request-context.ts'

export function balance(cluster: Cluster): Layer {
  const { hash } = cluster
  return hash === undefined ? balanced(cluster) : hashed(cluster, hash)
}

function balanced(cluster: Cluster): Layer {
  return (next) => (request) => {
    request.begin(pick(cluster, request, undefined))
    return next(request)
  }
}

function hashed(cluster: Cluster, policy: HashKeyPolicy): Layer {
  return (next) => (request) => {
    const { exchange, origin, deps } = request
    const { headers, path } = exchange.head
    const asked = { header: (name: string) => headers.all(name), path, source: origin.address.address }
    const { hash, setCookie } = hashKey(policy, asked, deps.token)
    request.begin(pick(cluster, request, hash))
    return setCookie === undefined ? next(request) : withCookie(next, request, setCookie)
  }
}

async function withCookie(next: Step, request: RequestContext, cookie: string): Promise<Answer> {
  const answer = await next(request)
  answer.head.headers.add('set-cookie', cookie)
  return answer
}

function pick({ balancer, table }: Cluster, request: RequestContext, hash: number | undefined) {
  const { pinned, tried } = request
  if (pinned !== undefined && table.available(pinned) && tried?.has(pinned) !== true) return pinned
  const plain = tried === undefined && hash === undefined
  const picked = balancer.pick(plain ? undefined : { tried, hash, otherLocalities: request.otherLocalities })
  if (picked === undefined) throw new Failure('no-endpoint', 'no endpoint is ready to serve')
  return picked
}
