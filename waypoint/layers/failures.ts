// Turns what failed below into the answer that the client gets.

import type { Answer } from '../exchange.ts'
import { asFailure } from '../http/failure.ts'
import { failureAnswer } from './answers.ts'
import type { Layer } from './layer.ts'
import type { RequestContext } from './request-context.ts'

export const answeringFailures: Layer = (next) => async (request) => {
  try {
    return await next(request)
  } catch (error: unknown) {
    return failed(request, error)
  }
}

export function failed(request: RequestContext, error: unknown): Answer {
  const failure = asFailure(error)
  request.endTry()
  request.reason = failure.message
  return failureAnswer(request.exchange, failure)
}
