// Tries again where the rule says so and it is safe: policy, budget, limits and waits are retrier.ts's; here is the loop.

import { isOverflow } from '../circuit/circuit.ts'
import type { Cluster } from '../clusters/cluster.ts'
import type { Answer } from '../exchange.ts'
import { asFailure, type Failure } from '../http/failure.ts'
import { Deadlines } from '../retry/deadlines.ts'
import type { TryOutcome } from '../retry/policy.ts'
import { ReplayBuffer } from '../retry/replay-buffer.ts'
import { type NoRetry, Retrier } from '../retry/retrier.ts'
import type { Layer, Step } from './layer.ts'
import { PeekedBody } from './peeked-body.ts'
import type { RequestContext } from './request-context.ts'
import type { RetryRules } from './retry-rules.ts'
import { wait } from './wait.ts'

export function retries(rules: RetryRules | undefined, cluster: Cluster): Layer | undefined {
  if (rules === undefined) return undefined
  return (next) => async (request) => {
    const body = request.body?.keep()
    let retrier: Retrier | undefined
    for (;;) {
      const { answer, failure, outcome } = await attempt(request, next, rules)
      if (outcome === undefined) {
        if (answer !== undefined) return answer
        throw failure
      }
      if (retrier === undefined) {
        retrier = retrierFor(request, rules, cluster, body ?? new ReplayBuffer())
        request.retrier = retrier
      }
      const verdict = retrier.after(outcome)
      if (!verdict.retry) {
        flag(request, verdict.because)
        if (answer !== undefined) return answer
        throw failure
      }
      answer?.body.cancel()
      remember(request, rules)
      request.endTry()
      if (verdict.delayMs > 0) await wait(request, verdict.delayMs)
      request.exchange.head.headers.set('x-envoy-attempt-count', String(request.attempts + 1))
      request.renewAttempt()
    }
  }
}

interface Tried {
  readonly answer?: Answer
  readonly failure?: Failure
  /** Undefined: it goes to the client as it is. */
  readonly outcome?: TryOutcome | undefined
}

async function attempt(request: RequestContext, next: Step, rules: RetryRules): Promise<Tried> {
  try {
    const answer = await next(request)
    if (request.exchange.grpc) return await grpcTried(request, answer, rules)
    const { status } = answer.head
    const { codes } = rules.options.conditions
    return status < 400 && !codes.has(status) ? { answer } : { answer, outcome: { kind: 'response', status } }
  } catch (error: unknown) {
    const failure = asFailure(error)
    return { failure, outcome: outcomeOf(failure) }
  }
}

/** The status of a call is in its trailers; a call that failed has often nothing else. */
async function grpcTried(request: RequestContext, answer: Answer, rules: RetryRules): Promise<Tried> {
  const { status, headers } = answer.head
  const known = headers.get('grpc-status')
  if (known !== undefined) return { answer, outcome: { kind: 'response', status, grpcStatus: Number(known) } }
  if (status !== 200) return { answer, outcome: { kind: 'response', status } }
  if (rules.options.conditions.grpc.size === 0) return { answer }
  const body = new PeekedBody(answer.body)
  const first = await body.first(request.deps.timers)
  const peeked = { ...answer, body }
  if (first.kind !== 'end') return { answer: peeked }
  const ending = first.trailers?.get('grpc-status')
  if (ending === undefined || ending === '0') return { answer: peeked }
  return { answer: peeked, outcome: { kind: 'response', status, grpcStatus: Number(ending) } }
}

function outcomeOf(failure: Failure): TryOutcome | undefined {
  switch (failure.kind) {
    case 'connect':
      return { kind: 'connect-failure' }
    case 'refused':
      return { kind: 'refused-stream' }
    case 'reset':
      return { kind: 'reset', requestStarted: failure.requestStarted }
    case 'malformed':
      return { kind: 'reset', requestStarted: true }
    case 'try-timeout':
      return { kind: 'try-timeout' }
    default:
      return undefined
  }
}

function retrierFor(request: RequestContext, rules: RetryRules, cluster: Cluster, body: ReplayBuffer): Retrier {
  const { method, exchange, deps, deadline } = request
  return new Retrier(rules.options, { method, grpc: exchange.grpc }, body, deadline?.times ?? new Deadlines({}, 0), {
    clock: deps.clock,
    random: deps.random,
    budget: cluster.budget,
    admit: () => {
      const place = cluster.circuit.retry()
      return isOverflow(place) ? undefined : () => place.release()
    },
  })
}

function flag(request: RequestContext, because: NoRetry): void {
  if (because === 'attempts-exhausted') request.flag('URX')
  if (because === 'budget-exhausted') request.flag('UO')
}

function remember(request: RequestContext, { avoidPrevious, otherLocalities }: RetryRules): void {
  request.otherLocalities = otherLocalities
  const { endpointInUse: endpoint } = request
  if (!avoidPrevious || endpoint === undefined) return
  request.tried ??= new Set()
  request.tried.add(endpoint)
}
