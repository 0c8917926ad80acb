// Who is delayed, who is aborted and how.
import fc from 'fast-check'
import t from 'tap'
import { decideFault, happens } from '../../../../waypoint/fault/fault.ts'
import { grpcStatus, grpcToHttp, httpToGrpc, parseGrpcStatus } from '../../../../waypoint/fault/grpc-status.ts'
import { seeded } from '../../../helpers/balanced.ts'

t.test('percentages count to a ten-thousandth, 0 is never, 100 always', (t) => {
  t.notOk(happens(0, () => 0))
  t.ok(happens(100, () => 1 - 2 ** -53))
  t.notOk(happens(Number.NaN, () => 0))
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 999_999 }), (millionths) => {
      const percent = millionths / 10_000
      return (
        happens(percent, () => (millionths - 0.5) / 1_000_000) &&
        !happens(percent, () => (millionths + 0.5) / 1_000_000)
      )
    }),
  )
  t.end()
})

t.test('delay and abort are drawn for themselves', (t) => {
  const random = seeded(4)
  const counts = { delay: 0, abort: 0, both: 0 }
  for (let request = 0; request < 40_000; request += 1) {
    const fault = decideFault(
      { delay: { percent: 50, delayMs: 2_000 }, abort: { percent: 10, httpStatus: 503 } },
      false,
      random,
    )
    if (fault.delayMs !== undefined) counts.delay += 1
    if (fault.abort !== undefined) counts.abort += 1
    if (fault.delayMs !== undefined && fault.abort !== undefined) counts.both += 1
  }
  t.ok(Math.abs(counts.delay - 20_000) < 400, `${counts.delay}`)
  t.ok(Math.abs(counts.abort - 4_000) < 250, `${counts.abort}`)
  t.ok(Math.abs(counts.both - 2_000) < 200, `${counts.both}`)
  t.end()
})

t.test('the answer is what the caller understands', (t) => {
  const http = { abort: { percent: 100, httpStatus: 503 } }
  const grpc = { abort: { percent: 100, grpcStatus: grpcStatus.PERMISSION_DENIED } }
  t.same(decideFault(http, false, Math.random), { abort: { httpStatus: 503 } })
  t.same(decideFault(http, true, Math.random), { abort: { httpStatus: 200, grpcStatus: 14 } })
  t.same(decideFault(grpc, true, Math.random), { abort: { httpStatus: 200, grpcStatus: 7 } })
  t.same(decideFault(grpc, false, Math.random), { abort: { httpStatus: 403 } })
  t.end()
})

t.test('nothing set, nothing happens', (t) => {
  t.same(
    decideFault({}, false, () => 0),
    {},
  )
  t.same(
    decideFault({ delay: { percent: 100, delayMs: 0 } }, false, () => 0),
    {},
  )
  t.same(
    decideFault({ delay: { percent: 100, delayMs: 5 } }, false, () => 0),
    { delayMs: 5 },
  )
  t.end()
})

t.test('statuses of gRPC and HTTP', (t) => {
  t.same(
    [200, 400, 401, 403, 404, 429, 502, 503, 504, 500, 418].map(httpToGrpc),
    [0, 13, 16, 7, 12, 14, 14, 14, 14, 2, 2],
  )
  t.same(
    Object.values(grpcStatus).map(grpcToHttp),
    [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401],
  )
  t.equal(grpcToHttp(99), 500)
  t.same(['14', 'unavailable', 'OK', '16', '17', 'toString', '', '-1'].map(parseGrpcStatus), [
    14,
    14,
    0,
    16,
    ...Array(4).fill(undefined),
  ])
  t.end()
})
