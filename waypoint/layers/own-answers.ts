// Routes that end here: an answer of the rule's own, a redirect, an error.
import type { Respond, RouteDecision } from '../../core/decide/http/route-request.ts'
import { ownAnswer } from './answers.ts'
import type { Step } from './layer.ts'

type Redirected = RouteDecision & { readonly kind: 'redirect' }

export function responding({ status, grpcStatus, reason, route }: Respond): Step {
  const action = route?.action
  const body = reason === '' && action?.kind === 'respond' ? action.body : undefined
  const bytes =
    body === undefined ? undefined : body.kind === 'text' ? Buffer.from(body.text) : Buffer.from(body.bytes, 'base64')
  // Why stands in the log: it names objects that are no business of the caller.
  const text = reason === '' ? undefined : status === 404 ? 'no route for this request' : 'no usable backend'
  return (request) => {
    request.reason = reason
    const flag = reason === '' ? undefined : 'NR'
    return Promise.resolve(ownAnswer(request.exchange, { status, grpcStatus, text, bytes, flag }))
  }
}

/** The location is of this very request, so it is made anew for each. */
export function redirecting(request: Parameters<Step>[0], { status, location }: Redirected): ReturnType<Step> {
  return Promise.resolve(ownAnswer(request.exchange, { status, grpcStatus: 2, headers: [['location', location]] }))
}
