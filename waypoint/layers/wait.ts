// A wait that ends early where the exchange does. Used by the layers that delay and that back off.
import { Failure } from '../http/failure.ts'
import type { RequestContext } from './request-context.ts'

/** Rejects with a Failure `client` where the client goes away meanwhile. */
export function wait(request: RequestContext, ms: number): Promise<void> {
  const { exchange, deps } = request
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = deps.timers.start(() => {
    forget()
    resolve()
  }, ms)
  const forget = exchange.onAbandoned(() => {
    deps.timers.stop(timer)
    reject(new Failure('client', 'the client went away while its request waited'))
  })
  return promise
}
