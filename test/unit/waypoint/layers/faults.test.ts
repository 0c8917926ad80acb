// Injected faults through the stack: shares exact over many requests, delay before abort, HTTP and gRPC.
import t from 'tap'
import type { Fault } from '../../../../core/model/routes.ts'
import { route, scene, settled } from '../../../helpers/waypoint-scene.ts'

function faulty(fault: Fault, seed = 1) {
  const found = scene({ seed })
  found.model.route(route({ filters: { fault } }))
  found.stack.update()
  return found
}

t.test('half of 1,000 requests wait for 2 s, within three points, and all are served', async (t) => {
  for (const seed of [1, 2, 3]) {
    const { ask, time, told, upstream } = faulty({ delay: { delayMs: 2_000, share: 0.5 } }, seed)
    const all = Array.from({ length: 1_000 }, () => ask())
    await time.pass(2_000)
    t.ok((await Promise.all(all)).every(({ status }) => status === 200))
    const delayed = told.filter(({ ms }) => ms === 2_000)
    t.ok(Math.abs(delayed.length - 500) <= 30, `${delayed.length}`)
    t.ok(delayed.every(({ flags }) => flags[0] === 'DI'))
    t.ok(told.filter(({ ms }) => ms !== 2_000).every(({ ms, flags }) => ms === 0 && flags.length === 0))
    t.equal(upstream.tries.length, 1_000)
  }
})

t.test('aborted requests never reach the upstream', async (t) => {
  const { ask, told, upstream, grpc } = faulty({ abort: { status: 555, share: 1 } })
  t.equal((await ask()).status, 555)
  const call = await ask(grpc())
  t.same(
    [call.status, call.headers.get('grpc-status'), call.headers.get('content-type')],
    [200, '2', 'application/grpc'],
  )
  t.equal(upstream.tries.length, 0)
  t.match(told, [
    { flags: ['FI'], status: 555 },
    { flags: ['FI'], grpcStatus: 2 },
  ])
})

t.test('a gRPC status is one for calls, and its HTTP status for others', async (t) => {
  const { ask, grpc } = faulty({ abort: { grpc: 14, share: 1 } })
  t.equal((await ask(grpc())).headers.get('grpc-status'), '14')
  t.equal((await ask()).status, 503)
})

t.test('20 % of aborts', async (t) => {
  const { ask, told } = faulty({ abort: { status: 500, share: 0.2 } })
  for (let count = 0; count < 5_000; count += 1) await ask()
  const aborted = told.filter(({ flags }) => flags[0] === 'FI').length
  t.ok(Math.abs(aborted - 1_000) < 75, `${aborted}`)
})

t.test('a share of nothing is no fault', async (t) => {
  const { ask, time } = faulty({ delay: { delayMs: 1_000, share: 0 }, abort: { status: 500, share: 0 } })
  t.equal((await ask()).status, 200)
  t.equal(time.waiting, 0)
})

t.test('the delay comes before the abort, and ends when the client goes', async (t) => {
  const { ask, stack, exchange, time, told } = faulty({
    delay: { delayMs: 50, share: 1 },
    abort: { status: 500, share: 1 },
  })
  const coming = ask()
  await time.pass(50)
  t.equal((await coming).status, 500)
  t.match(told, [{ flags: ['DI', 'FI'], ms: 50 }])
  const request = exchange()
  const answer = stack.handle(request)
  await settled()
  request.abandon('client')
  ;(await answer).body.cancel()
  t.equal(time.waiting, 0)
})

t.test('a delay is not counted against the timeout of the route', async (t) => {
  const { ask, time, model, stack } = scene()
  model.route(route({ filters: { fault: { delay: { delayMs: 500, share: 1 } } }, timeoutMs: 100 }))
  stack.update()
  const coming = ask()
  await time.pass(500)
  t.equal((await coming).status, 200)
})
