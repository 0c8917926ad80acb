// The last step: one try to the endpoint that was picked.

import { asFailure, Failure } from '../http/failure.ts'
import type { Step } from './layer.ts'
import type { RequestContext } from './request-context.ts'

export const sending: Step = (request) => {
  const { attempt, deps, endpoint } = request
  if (attempt.abandoned !== undefined) throw new Failure('client', 'given up before it was sent')
  if (endpoint === undefined) throw new Failure('internal', 'no endpoint was picked')
  request.attempts += 1
  request.tryStartedAt = deps.clock()
  const { telemetry, upstream } = deps
  telemetry.tryBegins?.(request, attempt)
  const coming = upstream.send(attempt, endpoint.upstream)
  return telemetry.tryEnded === undefined ? coming : told(request, coming)
}

async function told(request: RequestContext, coming: ReturnType<Step>): ReturnType<Step> {
  const { telemetry } = request.deps
  try {
    const answer = await coming
    telemetry.tryEnded?.(request, { status: answer.head.status })
    return answer
  } catch (error: unknown) {
    telemetry.tryEnded?.(request, { failure: asFailure(error).kind })
    throw error
  }
}
