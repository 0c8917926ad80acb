// The answer that stands for a failure where no layer has made another one of it. Used by the codecs that face the clients.
import type { Answer } from '../exchange.ts'
import { emptyBody } from './body.ts'
import { type Failure, meanings } from './failure.ts'
import { Headers } from './message.ts'

export function answerOfFailure(failure: Failure): Answer {
  const { status, flag } = meanings[failure.kind]
  return { head: { status, headers: new Headers() }, body: emptyBody, flag: flag === '-' ? undefined : flag }
}
