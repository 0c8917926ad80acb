// Asks whether the caller may do what it asks for, before anything else is done with the request.
import type { Answer } from '../exchange.ts'
import { ownAnswer } from './answers.ts'
import type { Authorize, Denial } from './deps.ts'
import type { RequestContext } from './request-context.ts'

/** Undefined: go on. */
export function authorized(
  request: RequestContext,
  authorize: Authorize,
): Answer | undefined | Promise<Answer | undefined> {
  const verdict = authorize(request)
  if (verdict === undefined) return undefined
  return verdict instanceof Promise ? later(request, verdict) : denied(request, verdict)
}

async function later(request: RequestContext, verdict: Promise<Denial | undefined>): Promise<Answer | undefined> {
  const denial = await verdict
  return denial === undefined ? undefined : denied(request, denial)
}

function denied(request: RequestContext, { flag = 'UAEX', reason, ...answer }: Denial): Answer {
  request.reason = reason
  return ownAnswer(request.exchange, { ...answer, flag })
}
