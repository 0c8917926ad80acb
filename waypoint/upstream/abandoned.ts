// What the try of an abandoned exchange fails with. Used by connections and by the pool while there is none yet.
import type { AbandonReason } from '../exchange.ts'
import { Failure, type FailureKind } from '../http/failure.ts'

const kinds: Readonly<Record<AbandonReason, FailureKind>> = {
  client: 'client',
  unwanted: 'client',
  timeout: 'timeout',
  'try-timeout': 'try-timeout',
}

export function abandoned(reason: AbandonReason, requestStarted: boolean): Failure {
  return new Failure(kinds[reason], `the request was given up: ${reason}`, { requestStarted })
}
