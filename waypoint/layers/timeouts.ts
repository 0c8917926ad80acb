// Deadlines: of the request with all its tries and waits, and of each try. A gRPC caller's own deadline holds as well, and what is left
// of them goes upstream with each try.
import type { Answer } from '../exchange.ts'
import { Failure } from '../http/failure.ts'
import { RequestDeadline } from './deadline.ts'
import { formatGrpcTimeout, parseGrpcTimeout } from './grpc-timeout.ts'
import type { Layer, Step } from './layer.ts'
import type { RequestContext } from './request-context.ts'

/** @param totalMs undefined: no limit, likewise `tryMs` */
export function timeouts(totalMs: number | undefined, tryMs: number | undefined): Layer {
  const limited = totalMs !== undefined || tryMs !== undefined
  return (next) => (request) => {
    const { exchange } = request
    if (!limited && !exchange.grpc) return next(request)
    const callerMs = exchange.grpc ? parseGrpcTimeout(exchange.head.headers.get('grpc-timeout')) : undefined
    if (!limited && callerMs === undefined) return next(request)
    // 0 would be no limit, and a caller that gives no time has given up already.
    const ownMs = callerMs === undefined ? totalMs : Math.max(1e-3, Math.min(callerMs, totalMs ?? callerMs))
    request.deadline = new RequestDeadline({ totalMs: ownMs, perTryMs: tryMs }, request)
    request.renewAttempt()
    return next(request)
  }
}

/** For each try. */
export const tryTimeouts: Layer = (next) => (request) =>
  request.deadline === undefined ? next(request) : inTime(request, request.deadline, next)

async function inTime(request: RequestContext, deadline: RequestDeadline, next: Step): Promise<Answer> {
  const { exchange, attempt } = request
  deadline.tryBegins()
  if (exchange.grpc) {
    const leftMs = deadline.times.leftMs(request.deps.clock())
    if (Number.isFinite(leftMs)) exchange.head.headers.set('grpc-timeout', formatGrpcTimeout(leftMs))
  }
  try {
    return await next(request)
  } catch (error: unknown) {
    const reason = attempt.abandoned
    if (reason !== 'timeout' && reason !== 'try-timeout') throw error
    throw new Failure(reason, 'no answer in time', { requestStarted: true, cause: error })
  } finally {
    deadline.tryEnds()
  }
}
