// Mirrored requests: how many, what they carry, and that they never touch the request itself.
import t from 'tap'
import type { Mirror } from '../../../../core/model/routes.ts'
import { BodyChannel } from '../../../../waypoint/http/body.ts'
import { mostWaitingBytes } from '../../../../waypoint/layers/mirror-body.ts'
import {
  type Asked,
  keyOf,
  receive,
  route,
  scene,
  service,
  settled,
  toService,
  workload,
} from '../../../helpers/waypoint-scene.ts'

function mirrored(more: Partial<Mirror> = {}, filters = {}) {
  const found = scene()
  const { model, stack, upstream } = found
  model.add(service('copy'), workload('copy', { services: [{ service: keyOf('copy'), ports: { '80': 80 } }] }))
  const mirrors = [{ backend: toService('copy').backend, share: 1, shadowHost: false, ...more }]
  model.route(route({ filters: { ...filters, mirrors } }))
  stack.update()
  const copies = () => upstream.tries.filter(({ target }) => target.workload.name === 'copy')
  const mains = () => upstream.tries.filter(({ target }) => target.workload.name !== 'copy')
  return { ...found, copies, mains }
}

const share = (percent: number): Partial<Mirror> => ({ share: percent / 100 })

t.test('a copy of the request as it is sent on, with its body; its answer is thrown away', async (t) => {
  const set = [{ name: 'x-a', value: '1' }]
  const filters = { request: { set, add: [], remove: [] }, rewrite: { path: { kind: 'full', value: '/new' } } }
  const { ask, copies, mains, upstream, mirrored: told, stack } = mirrored({}, filters)
  upstream.script = (attempt) =>
    attempt.answer(attempt.target.workload.name === 'copy' ? 500 : 200, {}, attempt.target.workload.name)
  const { status, body } = await ask({ method: 'POST', body: 'order' })
  t.same([status, body], [200, 'v1'])
  for (const each of [copies()[0]!, mains()[0]!]) {
    t.same(
      [each.path, each.authority, each.headers.get('x-a'), each.body, each.bodyEnded],
      ['/new', 'orders', '1', 'order', true],
    )
  }
  await settled()
  t.match(told, [{ end: { status: 500 } }])
  t.match(stack.stats().clusters[1], { circuit: { requests: { used: 0 } }, endpoints: [{ active: 0 }] })
})

t.test("Istio's shadow host, before the port, and a trace that is not sampled", async (t) => {
  const { ask, copies, mains } = mirrored({ shadowHost: true })
  const headers = {
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'x-b3-traceid': '1',
    'x-b3-sampled': '1',
    b3: '80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90',
    expect: '100-continue',
  }
  await ask({ authority: 'orders.shop:8080', headers })
  const [copy, main] = [copies()[0]!, mains()[0]!]
  t.same([copy.authority, main.authority], ['orders.shop-shadow:8080', 'orders.shop:8080'])
  t.match(copy.headers.get('traceparent'), /-00$/)
  t.equal(copy.headers.get('x-b3-sampled'), '0')
  t.equal(copy.headers.get('b3'), '80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0-05e3ac9a4f6e3b90')
  t.notOk(copy.headers.has('expect'))
  t.match(main.headers.flat.join(), /01,.*expect/)
})

t.test('the share of requests that the rule says', async (t) => {
  for (const [percent, low, high] of [
    [0, 0, 0],
    [25, 425, 575],
    [100, 2_000, 2_000],
  ] as const) {
    const { ask, copies, mains } = mirrored(share(percent))
    for (let count = 0; count < 2_000; count += 1) await ask()
    t.equal(mains().length, 2_000)
    t.ok(copies().length >= low && copies().length <= high, `${percent} %: ${copies().length}`)
  }
})

t.test('a mirror that fails, is full, has nobody or never answers changes nothing', async (t) => {
  const failing = mirrored()
  failing.upstream.script = (attempt) =>
    attempt.target.workload.name === 'copy' ? attempt.fail('connect') : attempt.answer(200)
  t.equal((await failing.ask()).status, 200)
  await settled()
  t.match(failing.mirrored, [{ end: { failure: 'connect' } }])

  const empty = mirrored()
  empty.model.remove('uid-copy')
  empty.stack.update()
  t.equal((await empty.ask()).status, 200)
  t.match(empty.mirrored, [{ end: { failure: 'no-endpoint' } }])

  const silent = mirrored()
  silent.model.treat({ pool: { protocol: 'default', maxRequests: 1 } }, {}, 'copy')
  silent.stack.update()
  silent.upstream.script = (attempt) => {
    if (attempt.target.workload.name !== 'copy') attempt.answer(200)
  }
  t.equal((await silent.ask()).status, 200)
  t.equal((await silent.ask()).status, 200)
  t.match(silent.mirrored, [{ end: { failure: 'overflow' } }])
  await silent.time.pass(60_000)
  t.match(silent.mirrored[1], { end: { failure: 'client' } })
  t.equal(silent.copies()[0]!.exchange.abandoned, 'timeout')
  t.match(silent.stack.stats().clusters[1], { circuit: { requests: { used: 0 } }, endpoints: [{ active: 0 }] })
  t.equal(silent.time.waiting, 0)
})

t.test('a mirror that reads slowly never holds the request up: beyond a limit it is given up', async (t) => {
  const { stack, exchange, upstream, mirrored: told, copies, mains } = mirrored()
  upstream.script = undefined
  upstream.reads = false
  let paused = false
  const source = new BodyChannel({ onPause: () => (paused = true) })
  const coming = stack.handle(exchange({ method: 'POST', body: source }))
  await settled()
  copies()[0]!.exchange.body.read({ onData: () => t.fail('it is paused'), onEnd: () => {}, onError: () => {} })
  copies()[0]!.exchange.body.pause()
  paused = false
  mains()[0]!.readBody()
  const chunk = Buffer.alloc(64 * 1024, 'x')
  for (let sent = 0; sent < mostWaitingBytes * 2; sent += chunk.length) source.push(chunk)
  source.end()
  t.notOk(paused)
  t.equal(mains()[0]!.body.length, mostWaitingBytes * 2)
  t.equal(copies()[0]!.exchange.abandoned, 'unwanted')
  t.match(told, [{ end: 'dropped' }])
  mains()[0]!.answer(200)
  t.equal((await receive(await coming)).status, 200)
})

t.test('the mirror learns that the request ended early', async (t) => {
  const { stack, exchange, upstream, copies, mains } = mirrored()
  upstream.script = undefined
  upstream.reads = false
  const coming = stack.handle(exchange({ method: 'POST', body: new BodyChannel({}) }))
  await settled()
  const errors: string[] = []
  copies()[0]!.exchange.body.read({ onData: () => {}, onEnd: () => {}, onError: ({ kind }) => errors.push(kind) })
  mains()[0]!.exchange.body.cancel()
  t.same(errors, [], 'there may be another try')
  mains()[0]!.answer(413)
  t.equal((await receive(await coming)).status, 413)
  t.same(errors, ['client'])
})

t.test('retries are not mirrored again, and what is upgraded never', async (t) => {
  const { ask, time, copies, mains, upstream } = mirrored()
  upstream.script = (attempt) => attempt.answer(attempt.target.workload.name === 'copy' ? 200 : 503)
  const coming = ask()
  await time.pass(10_000)
  await coming
  t.same([mains().length, copies().length], [3, 1])
  const asked: Asked = { upgrade: 'websocket' }
  const upgraded = ask(asked)
  await time.pass(10_000)
  await upgraded
  t.equal(copies().length, 1)
})
