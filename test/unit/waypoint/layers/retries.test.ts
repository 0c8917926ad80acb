// Retries through the whole stack, counted at the upstream: when, how often, where to, with which body, and when not.
import t from 'tap'
import type { RetryPolicy, Route } from '../../../../core/model/routes.ts'
import { BodyChannel } from '../../../../waypoint/http/body.ts'
import { Headers } from '../../../../waypoint/http/message.ts'
import { type Asked, receive, route, type Script, scene, settled, workload } from '../../../helpers/waypoint-scene.ts'

const gateway: RetryPolicy = {
  attempts: 2,
  statuses: [500, 503],
  conditions: ['connect-failure', 'refused-stream', 'reset', 'backend-timeout'],
  backoffMs: 100,
  backoffIsMinimum: true,
  avoidPreviousHosts: true,
  remoteLocalities: false,
}
const istio: RetryPolicy = { ...gateway, statuses: [], conditions: ['5xx'], backoffMs: 25, backoffIsMinimum: false }

function retrying(more: Partial<Route>, script?: Script, options = {}) {
  const found = scene(options)
  found.model.add(workload('v2'), workload('v3'))
  found.model.route(route(more))
  found.stack.update()
  found.upstream.script = script
  const run = async (asked: Asked = {}) => {
    const coming = found.ask(asked)
    await found.time.pass(60_000)
    return coming
  }
  return { ...found, run }
}

const failing: Script = (attempt) => attempt.answer(503, {}, 'no')

t.test('as many retries as the rule says, each at another endpoint, then the last answer', async (t) => {
  const { run, upstream, told, time } = retrying({ retry: gateway }, failing)
  const { status, body } = await run()
  t.same([status, body], [503, 'no'])
  t.equal(upstream.tries.length, 3)
  t.equal(new Set(upstream.names).size, 3)
  t.match(told, [{ attempts: 3, flags: ['URX'], status: 503 }])
  t.equal(time.waiting, 0)
})

t.test('no retry comes before the backoff of the Gateway API', async (t) => {
  const { run, upstream } = retrying({ retry: gateway }, failing)
  await run()
  const [first, second, third] = upstream.tries.map(({ at }) => at)
  t.ok(second! - first! >= 100 && third! - second! >= 100)
})

t.test('a try that succeeds ends them', async (t) => {
  const { run, upstream, told } = retrying({ retry: gateway }, (attempt) =>
    attempt.answer(upstream.tries.length === 2 ? 200 : 500),
  )
  t.equal((await run()).status, 200)
  t.match(told, [{ attempts: 2, flags: [] }])
})

t.test('switched off, without attempts, or another status: one try', async (t) => {
  for (const retry of ['none', { ...gateway, attempts: 0 }, { ...gateway, statuses: [500] }] as const) {
    const { run, upstream } = retrying({ retry }, failing)
    t.equal((await run()).status, 503)
    t.equal(upstream.tries.length, 1)
  }
})

t.test('a stanza without codes retries connection errors, resets and timeouts of a try', async (t) => {
  const retry = { ...gateway, statuses: [] }
  for (const kind of ['connect', 'refused', 'reset', 'malformed'] as const) {
    const { run, upstream } = retrying({ retry }, (attempt) => attempt.fail(kind, true))
    await run()
    t.equal(upstream.tries.length, 3, kind)
  }
  const { run, upstream, told } = retrying({ retry, tryTimeoutMs: 50 })
  t.equal((await run()).status, 504)
  t.equal(upstream.tries.length, 3)
  t.ok(upstream.tries.every(({ exchange }) => exchange.abandoned === 'try-timeout'))
  t.match(told, [{ flags: ['UT', 'URX'].reverse() }])
})

t.test('denials, full circuits and defects are never tried again', async (t) => {
  for (const [kind, status] of [
    ['denied', 403],
    ['overflow', 503],
    ['internal', 500],
  ] as const) {
    const { run, upstream } = retrying({ retry: istio }, (attempt) => attempt.fail(kind))
    t.equal((await run()).status, status)
    t.equal(upstream.tries.length, 1, kind)
  }
})

t.test('without a word about retries: two, with the body, where nothing can have happened', async (t) => {
  for (const method of ['GET', 'POST']) {
    const { run, upstream } = retrying({}, (attempt) => attempt.fail('connect'))
    await run({ method, body: 'order' })
    t.equal(upstream.tries.length, 3, `${method} where the connection failed`)
    const started = retrying({}, (attempt) => attempt.fail('reset', true))
    await started.run({ method, body: 'order' })
    t.equal(started.upstream.tries.length, 1, `${method} that had begun`)
    const fresh = retrying({}, (attempt) => attempt.fail('reset', false))
    await fresh.run({ method, body: 'order' })
    t.equal(fresh.upstream.tries.length, 3, `${method} that had not begun`)
    const answered = retrying({}, failing)
    await answered.run({ method, body: 'order' })
    t.equal(answered.upstream.tries.length, method === 'GET' ? 3 : 1, `${method} that was answered`)
  }
})

t.test(
  "Istio's default as a VirtualService has it: a connection that ended before it took anything counts as none",
  async (t) => {
    const conditions = ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes']
    for (const [listed, started, tries] of [
      [conditions, false, 3],
      [conditions, true, 1],
      [['retriable-4xx'], false, 1],
    ] as const) {
      const { run, upstream } = retrying({ retry: { ...istio, conditions: listed } }, (attempt) =>
        attempt.fail('reset', started),
      )
      await run({ method: 'POST', body: 'order' })
      t.equal(upstream.tries.length, tries)
    }
  },
)

t.test('POST is tried again only where the match that holds names it', async (t) => {
  const post = { method: { kind: 'exact', value: 'POST' } } as const
  for (const [matches, tries] of [
    [[], 1],
    [[{}], 1],
    [[post], 3],
  ] as const) {
    const { run, upstream } = retrying({ retry: gateway, matches }, failing)
    await run({ method: 'POST', body: 'order' })
    t.equal(upstream.tries.length, tries)
  }
})

t.test('each try gets the whole body, as long as it is not too long', async (t) => {
  for (const [bytes, tries] of [
    [1, 3],
    [64 * 1024, 3],
    [64 * 1024 + 1, 1],
  ] as const) {
    const { run, upstream } = retrying({ retry: gateway }, failing)
    const body = 'x'.repeat(bytes)
    await run({ method: 'PUT', body })
    t.equal(upstream.tries.length, tries, `${bytes} bytes`)
    t.ok(upstream.tries.every((attempt) => attempt.body === body && attempt.bodyEnded))
  }
})

t.test('a long body of which nobody has read anything is all there for the next try', async (t) => {
  const { run, upstream } = retrying({}, (attempt) => {
    if (upstream.tries.length < 3) attempt.fail('connect')
    else {
      attempt.readBody()
      attempt.answer(200)
    }
  })
  upstream.reads = false
  const body = 'x'.repeat(1_000_000)
  t.equal((await run({ method: 'POST', body })).status, 200)
  t.equal(upstream.last.body.length, body.length)
})

t.test('a body that is still coming: the next try gets what came and what comes', async (t) => {
  const { upstream, exchange, stack, time } = retrying({ retry: { ...gateway, backoffMs: 10 } })
  const source = new BodyChannel({})
  const coming = stack.handle(exchange({ method: 'PUT', body: source }))
  await settled()
  source.push(Buffer.from('one '))
  upstream.last.answer(503)
  await time.pass(1_000)
  source.push(Buffer.from('two'))
  source.end(new Headers(['x-sum', '7']))
  upstream.last.answer(200)
  await receive(await coming)
  t.same(
    upstream.tries.map(({ body, bodyEnded }) => [body, bodyEnded]),
    [
      ['one ', false],
      ['one two', true],
    ],
  )
})

t.test('once an answer goes to the client nothing is tried again', async (t) => {
  const { upstream, exchange, stack, time, told } = retrying({ retry: gateway })
  const coming = stack.handle(exchange())
  await settled()
  const body = upstream.last.stream(200)
  const received = receive(await coming)
  body.push(Buffer.from('half'))
  upstream.last.exchange.abandon('client')
  t.equal((await received).failure?.kind, 'client')
  await time.pass(10_000)
  t.equal(upstream.tries.length, 1)
  t.match(told, [{ attempts: 1, responseBytes: 4, ending: 'client' }])
})

t.test('discarded answers are cancelled, and every place is given back', async (t) => {
  const cancelled: number[] = []
  const { ask, time, stack, upstream, model } = retrying({ retry: gateway }, (attempt) => {
    const at = upstream.tries.length
    if (at === 3) attempt.answer(200)
    else attempt.answer(503, {}, new BodyChannel({ onCancel: () => cancelled.push(at) }))
  })
  model.treat({ pool: { protocol: 'http1', maxConnections: 1, maxPendingRequests: 1 } })
  stack.update()
  const coming = ask()
  await time.pass(10_000)
  t.equal((await coming).status, 200)
  t.same(cancelled, [1, 2])
  const { circuit, endpoints } = stack.stats().clusters[0]!
  t.match(circuit, { requests: { used: 0 }, connections: { used: 0 }, retries: { used: 0 } })
  t.ok(endpoints.every(({ active }) => active === 0))
})

t.test('a retry budget: the last outcome goes to the client when it is used up', async (t) => {
  const { model, stack, upstream, ask, time, told } = retrying({ retry: gateway }, failing)
  model.treat({ retryBudget: { percent: 0, minConcurrency: 1 } })
  stack.update()
  const all = Array.from({ length: 10 }, () => ask())
  await time.pass(60_000)
  await Promise.all(all)
  t.equal(told.length, 10)
  t.equal(told.filter(({ flags }) => flags.includes('UO')).length, 9)
  t.equal(upstream.tries.length, 12, 'one of ten got its two retries')
})

t.test("the circuit's limit of retries at once", async (t) => {
  const { model, stack, upstream, ask, time } = retrying({ retry: gateway }, failing)
  model.treat({ pool: { protocol: 'default', maxRetries: 2 } })
  stack.update()
  const all = Array.from({ length: 10 }, () => ask())
  await time.pass(60_000)
  await Promise.all(all)
  t.equal(upstream.tries.length, 14)
  t.match(stack.stats().clusters[0]?.circuit.retries, { used: 0 })
})

t.test('a client that goes away in a backoff ends it', async (t) => {
  const { upstream, exchange, stack, time, told } = retrying({ retry: { ...gateway, backoffMs: 10_000 } }, failing)
  const request = exchange()
  const coming = stack.handle(request)
  await settled()
  request.abandon('client')
  ;(await coming).body.cancel()
  t.equal(time.waiting, 0)
  t.equal(upstream.tries.length, 1)
  t.match(told, [{ status: 0, flags: ['DC'] }])
})

t.test('the deadline of the request: no backoff that would outlast it, and never a retry after it', async (t) => {
  const { run, upstream, time } = retrying({ retry: { ...gateway, backoffMs: 500 }, timeoutMs: 400 }, failing)
  t.equal((await run()).status, 503)
  t.equal(upstream.tries.length, 1)
  t.equal(time.waiting, 0)
  const slow = retrying({ retry: gateway, timeoutMs: 400 })
  t.equal((await slow.run()).status, 504)
  t.equal(slow.upstream.tries.length, 1)
  t.equal(slow.upstream.last.exchange.abandoned, 'timeout')
})

t.test('gRPC: the status of a call in its headers or trailers is retried, whatever its method', async (t) => {
  const retry = { ...istio, conditions: ['unavailable', 'cancelled'] }
  const inTrailers: Script = (attempt) => attempt.stream(200).end(new Headers(['grpc-status', '14']))
  const inHeaders: Script = (attempt) => attempt.answer(200, { 'grpc-status': '14' })
  for (const script of [inTrailers, inHeaders]) {
    const { ask, time, upstream, grpc, told } = retrying({ retry }, script)
    const coming = ask(grpc())
    await time.pass(60_000)
    const { status, headers, trailers } = await coming
    t.same([status, (trailers ?? headers).get('grpc-status')], [200, '14'])
    t.equal(upstream.tries.length, 3)
    t.ok(upstream.tries.every(({ body }) => body === 'call'))
    t.match(told, [{ grpcStatus: 14, flags: ['URX'] }])
  }
  const other = retrying({ retry }, (attempt) => attempt.answer(200, { 'grpc-status': '13' }))
  await other.run(other.grpc())
  t.equal(other.upstream.tries.length, 1)
})

t.test('gRPC: a message before the trailers is an answer, and a silent stream gets its head', async (t) => {
  const retry = { ...istio, conditions: ['unavailable'] }
  const { upstream, exchange, stack, time, grpc } = retrying({ retry })
  const coming = stack.handle(exchange(grpc()))
  await settled()
  const body = upstream.last.stream(200, { 'x-early': '1' })
  await time.pass(25)
  const received = receive(await coming)
  body.push(Buffer.from('a '))
  body.push(Buffer.from('b'))
  body.end(new Headers(['grpc-status', '14']))
  t.match(await received, { body: 'a b' })
  t.equal((await received).trailers?.get('grpc-status'), '14')
  t.equal(upstream.tries.length, 1)
  const quick = retrying({ retry }, (attempt) => {
    const channel = attempt.stream(200)
    channel.push(Buffer.from('message'))
    channel.end(new Headers(['grpc-status', '14']))
  })
  t.equal((await quick.run(quick.grpc())).body, 'message')
  t.equal(quick.upstream.tries.length, 1)
})

t.test('a WebSocket that is refused may be tried again, one that was accepted never', async (t) => {
  const refused = retrying({ retry: gateway }, failing)
  await refused.run({ upgrade: 'websocket' })
  t.equal(refused.upstream.tries.length, 3)
  const { upstream, exchange, stack, time, told } = retrying({ retry: gateway, timeoutMs: 1_000 })
  const source = new BodyChannel({})
  const coming = stack.handle(exchange({ upgrade: 'websocket', body: source }))
  await settled()
  const sent = upstream.last.stream(200, {}, true)
  const received = receive(await coming)
  source.push(Buffer.from('x'.repeat(200_000)))
  await time.pass(100_000)
  sent.push(Buffer.from('pong'))
  sent.end()
  t.match(await received, { upgraded: true, body: 'pong' })
  t.equal(told.length, 0, 'the other direction goes on')
  source.end()
  t.equal(upstream.tries.length, 1)
  t.match(told, [{ requestBytes: 200_000, responseBytes: 4, ending: undefined }])
})

t.test('interim answers of every try reach the client', async (t) => {
  const statuses: number[] = []
  const { run } = retrying({ retry: gateway, timeoutMs: 50_000 }, (attempt) => {
    attempt.exchange.informational({ status: 103, headers: new Headers() })
    attempt.answer(200)
  })
  await run({ onInformational: ({ status }) => statuses.push(status) })
  t.same(statuses, [103])
})
