// What a route says of retries, as the retry layer carries it out. Pure; asked when the route is composed.
import type { RequestMatch, RetryPolicy, Route } from '../../core/model/routes.ts'
import { gatewayConditions, istioDefaultRetryOn, parseRetryOn } from '../retry/policy.ts'
import type { RetryOptions } from '../retry/retrier.ts'

export interface RetryRules {
  readonly options: RetryOptions
  /** Another endpoint, as long as there is one. */
  readonly avoidPrevious: boolean
  readonly otherLocalities: boolean
}

/**
 * Where no rule says anything: Istio's two, and where nothing of the request was sent. What is not idempotent is tried again only where
 * the endpoint cannot have begun with it, here as everywhere.
 */
const defaults: RetryRules = {
  options: { retries: 2, conditions: parseRetryOn(`${istioDefaultRetryOn},reset-before-request,503`) },
  avoidPrevious: true,
  otherLocalities: false,
}

/** @param route undefined: no rule took the request. @returns undefined where nothing is to be tried again */
export function retryRules(route: Route | undefined, match: RequestMatch | undefined): RetryRules | undefined {
  const policy = route?.retry
  if (policy === 'none') return undefined
  if (policy === undefined) return defaults
  if (policy.attempts <= 0) return undefined
  const { attempts, backoffMs, backoffIsMinimum, avoidPreviousHosts, remoteLocalities } = policy
  return {
    options: {
      retries: attempts,
      conditions: conditionsOf(policy),
      anyMethod: namesMethod(match),
      backoff: { baseMs: backoffMs, atLeastBase: backoffIsMinimum },
    },
    avoidPrevious: avoidPreviousHosts,
    otherLocalities: remoteLocalities,
  }
}

/**
 * `backend-timeout` is how control/compile/routes names what only the Gateway API's stanza means. Who wants failed connections retried
 * also wants those that ended before they took anything of the request: kept ones that an endpoint closed as it went away.
 */
function conditionsOf({ statuses, conditions }: RetryPolicy) {
  if (conditions.includes('backend-timeout')) return gatewayConditions(statuses)
  const untouched = conditions.includes('connect-failure') || conditions.includes('refused-stream')
  const all = untouched ? [...conditions, 'reset-before-request'] : conditions
  return parseRetryOn([...all, ...statuses.map(String)].join(','))
}

/**
 * Whether the rule says that requests that are not idempotent may be done twice: its match names their method. Status codes alone do
 * not say so, since they hold for all methods that the rule takes.
 */
function namesMethod(match: RequestMatch | undefined): boolean {
  return match?.method?.kind === 'exact'
}
