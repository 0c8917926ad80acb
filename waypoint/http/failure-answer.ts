// The answer that stands for a failure where no layer has made another one of it. Used by the codecs that face the clients.
import type { Answer } from '../exchange.ts'
import { emptyBody } from './body.ts'
import { type Failure, meanings } from './failure.ts'
import { Headers } from './message.ts'

/** For gRPC: status 200 and the failure in `grpc-status`, all in the head ("Trailers-Only"). */
export function answerOfFailure(failure: Failure, grpc = false): Answer {
  const { status, flag, grpc: code } = meanings[failure.kind]
  const head = grpc
    ? { status: 200, headers: new Headers(['content-type', 'application/grpc', 'grpc-status', String(code)]) }
    : { status, headers: new Headers() }
  return { head, body: emptyBody, flag: flag === '-' ? undefined : flag }
}
