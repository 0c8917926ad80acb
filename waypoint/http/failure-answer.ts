// What a client hears where the proxy has no answer of an upstream. Called by the codecs that face clients, for what no layer answered.
import type { Answer } from '../exchange.ts'
import { emptyBody } from './body.ts'
import { type Failure, meanings } from './failure.ts'
import { Headers } from './message.ts'

/** For gRPC: status 200 and the failure in `grpc-status`, all in the head ("Trailers-Only"). */
export function failureAnswer(failure: Failure, grpc: boolean): Answer {
  const { status, flag, grpc: code } = meanings[failure.kind]
  const head = grpc
    ? { status: 200, headers: new Headers(['content-type', 'application/grpc', 'grpc-status', String(code)]) }
    : { status, headers: new Headers() }
  return { head, body: emptyBody, ...(flag === '-' ? {} : { flag }) }
}
