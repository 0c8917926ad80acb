// Deadlines: of routes, of tries, and those that gRPC callers bring.
import fc from 'fast-check'
import t from 'tap'
import type { Route } from '../../../../core/model/routes.ts'
import { RequestDeadline } from '../../../../waypoint/layers/deadline.ts'
import { formatGrpcTimeout, parseGrpcTimeout } from '../../../../waypoint/layers/grpc-timeout.ts'
import { receive, route, scene, settled } from '../../../helpers/waypoint-scene.ts'

function timed(more: Partial<Route>) {
  const found = scene()
  found.model.route(route({ retry: 'none', ...more }))
  found.stack.update()
  found.upstream.script = undefined
  return found
}

t.test('504 when the time of the route is over, and the try is given up', async (t) => {
  const { ask, time, upstream, told } = timed({ timeoutMs: 100 })
  const coming = ask()
  await time.pass(99)
  t.equal(upstream.last.exchange.abandoned, undefined)
  await time.pass(1)
  t.equal((await coming).status, 504)
  t.equal(upstream.last.exchange.abandoned, 'timeout')
  t.match(told, [{ flags: ['UT'], ms: 100 }])
})

t.test('a timer that fires early is set again', (t) => {
  const started: { readonly ms: number; readonly callback: () => void }[] = []
  let now = 0
  const timers = {
    start: (callback: () => void, ms: number) => ({ at: started.push({ ms, callback }) }),
    stop: () => {},
  }
  const attempt = scene().exchange()
  new RequestDeadline({ totalMs: 100 }, { attempt, deps: { timers, clock: () => now } })
  now = 99.5
  started[0]!.callback()
  t.same(
    started.map(({ ms }) => ms),
    [100, 0.5],
  )
  t.equal(attempt.abandoned, undefined)
  now = 100
  started[1]!.callback()
  t.same([attempt.abandoned, started.length], ['timeout', 2])
  t.end()
})

t.test('an answer in time stops the clock of the try, not that of the request', async (t) => {
  const { stack, exchange, time, upstream, told } = timed({ timeoutMs: 100, tryTimeoutMs: 50 })
  const coming = stack.handle(exchange())
  await time.pass(49)
  const body = upstream.last.stream(200)
  const received = receive(await coming)
  body.push(Buffer.from('slow'))
  await time.pass(50)
  t.equal(upstream.last.exchange.abandoned, undefined)
  await time.pass(1)
  t.ok((await received).failure)
  t.match(told, [{ status: 200, flags: ['UT'], ending: 'timeout' }])
})

t.test('nothing waits after a request in time, and without a limit there is no timer', async (t) => {
  for (const limits of [{ timeoutMs: 100, tryTimeoutMs: 50 }, {}]) {
    const { ask, time, upstream } = timed(limits)
    upstream.script = (attempt) => attempt.answer(200)
    await ask()
    t.equal(time.waiting, 0)
  }
})

t.test("a gRPC caller's deadline holds, the route's caps it, and what is left goes on", async (t) => {
  for (const [own, timeoutMs, sent, endsAt] of [
    ['200m', undefined, '200000u', 200],
    ['1S', 300, '300000u', 300],
    ['100m', 300, '100000u', 100],
    [undefined, 300, '300000u', 300],
  ] as const) {
    const { ask, time, upstream, grpc, told } = timed(timeoutMs === undefined ? {} : { timeoutMs })
    const coming = ask(grpc({ headers: own === undefined ? {} : { 'grpc-timeout': own } }))
    await settled()
    t.equal(upstream.last.headers.get('grpc-timeout'), sent)
    await time.pass(endsAt)
    const { status, headers } = await coming
    t.same([status, headers.get('grpc-status')], [200, '4'])
    t.match(told, [{ ms: endsAt, grpcStatus: 4, flags: ['UT'] }])
  }
})

t.test('a deadline of no time is over at once; one that cannot be read is none', async (t) => {
  const { ask, time, grpc, upstream } = timed({})
  const coming = ask(grpc({ headers: { 'grpc-timeout': '0m' } }))
  await time.pass(1)
  t.equal((await coming).headers.get('grpc-status'), '4')
  upstream.script = (attempt) => attempt.answer(200, { 'grpc-status': '0' })
  t.equal((await ask(grpc({ headers: { 'grpc-timeout': 'soon' } }))).headers.get('grpc-status'), '0')
  t.equal(time.waiting, 0)
})

t.test('grpc-timeout is read back within a thousandth, and never becomes 0', (t) => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e10, noNaN: true }), (ms) => {
      const read = parseGrpcTimeout(formatGrpcTimeout(ms))
      return read !== undefined && read > 0 && read >= ms * 0.999 && read - ms <= Math.max(1e-3, ms * 1e-3)
    }),
  )
  for (const text of ['', '1', 'm', '123456789m', '1x', '-1S', '1.5S', ' 1S'])
    t.equal(parseGrpcTimeout(text), undefined)
  t.end()
})
