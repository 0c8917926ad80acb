// What becomes of each try: told to the outlier detector, and as latency to the balancer where it asks.
import type { Cluster } from '../clusters/cluster.ts'
import type { Answer } from '../exchange.ts'
import { grpcToHttp } from '../fault/grpc-status.ts'
import { asFailure, type FailureKind } from '../http/failure.ts'
import type { OutlierOutcome } from '../outlier/detector.ts'
import type { Layer } from './layer.ts'
import type { RequestContext } from './request-context.ts'

/** A failure may be worse for the balancer than the time that it took (linkerd's LoadBiaser). */
const failurePenaltyMs = 5_000

export function outcomes(cluster: Cluster): Layer | undefined {
  const detects = cluster.outliers !== undefined
  const measures = cluster.policy.loadBalancing?.kind === 'peak-ewma'
  if (!detects && !measures) return undefined
  return (next) => async (request) => {
    // The policy may change while it is under way.
    const endpoint = request.endpointInUse
    try {
      const answer = await next(request)
      if (endpoint === undefined) return answer
      if (detects) cluster.outliers?.observe(endpoint.key, { kind: 'response', status: statusOf(request, answer) })
      if (measures) measure(request, endpoint, 0)
      return answer
    } catch (error: unknown) {
      const outcome = outcomeOf(asFailure(error).kind)
      if (endpoint !== undefined && outcome !== undefined) {
        if (detects) cluster.outliers?.observe(endpoint.key, outcome)
        if (measures) measure(request, endpoint, failurePenaltyMs)
      }
      throw error
    }
  }
}

function measure(
  { deps, tryStartedAt }: RequestContext,
  endpoint: NonNullable<RequestContext['endpointInUse']>,
  leastMs: number,
): void {
  const nowMs = deps.clock()
  endpoint.latency.observe(Math.max(leastMs, nowMs - tryStartedAt), nowMs)
}

/** A gRPC answer that is all headers counts by its status (Envoy). */
function statusOf({ exchange }: RequestContext, { head }: Answer): number {
  const status = exchange.grpc ? head.headers.get('grpc-status') : undefined
  return status === undefined ? head.status : grpcToHttp(Number(status))
}

/**
 * Not the endpoint's doing: a policy's denial, a circuit breaker, a client that went away; nor that it is shutting down in order or
 * that an idle connection had just ended.
 */
function outcomeOf(kind: FailureKind): OutlierOutcome | undefined {
  if (kind === 'connect' || kind === 'reset') return { kind: 'unreachable' }
  if (kind === 'malformed') return { kind: 'response', status: 502 }
  return kind === 'timeout' || kind === 'try-timeout' ? { kind: 'timeout' } : undefined
}
