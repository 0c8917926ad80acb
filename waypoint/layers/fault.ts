// Faults that a rule injects: a delay, an abort, each for its share of the requests.
import type { Fault } from '../../core/model/routes.ts'
import { decideFault, type FaultOptions } from '../fault/fault.ts'
import { httpToGrpc } from '../fault/grpc-status.ts'
import { ownAnswer } from './answers.ts'
import type { Layer } from './layer.ts'
import { wait } from './wait.ts'

export function faults(fault: Fault | undefined): Layer | undefined {
  if (fault === undefined) return undefined
  const options = optionsOf(fault)
  if (options.delay === undefined && options.abort === undefined) return undefined
  return (next) => async (request) => {
    const { exchange, deps } = request
    const { delayMs, abort } = decideFault(options, exchange.grpc, deps.random)
    if (delayMs !== undefined) {
      request.flag('DI')
      await wait(request, delayMs)
    }
    if (abort === undefined) return next(request)
    const { httpStatus, grpcStatus = httpToGrpc(httpStatus) } = abort
    request.reason = 'fault'
    return ownAnswer(exchange, { status: httpStatus, grpcStatus, text: 'fault filter abort', flag: 'FI' })
  }
}

/** What never happens is left out. */
function optionsOf({ delay, abort }: Fault): FaultOptions {
  const percent = (share: number) => share * 100
  return {
    ...(delay !== undefined && delay.share > 0 && { delay: { percent: percent(delay.share), delayMs: delay.delayMs } }),
    ...(abort !== undefined &&
      abort.share > 0 && {
        abort:
          'grpc' in abort
            ? { percent: percent(abort.share), grpcStatus: abort.grpc }
            : { percent: percent(abort.share), httpStatus: abort.status },
      }),
  }
}
