// Outlier detection through the stack: what counts against an endpoint, ejection, and return.
import t from 'tap'
import type { OutlierDetection } from '../../../../core/model/destinations.ts'
import type { FailureKind } from '../../../../waypoint/http/failure.ts'
import { route, type Script, scene, workload } from '../../../helpers/waypoint-scene.ts'

const detection: OutlierDetection = {
  consecutive5xx: 3,
  consecutiveGatewayErrors: 0,
  consecutiveLocalFailures: 5,
  splitLocalOrigin: false,
  statuses: [],
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionPercent: 50,
  minHealthPercent: 0,
}

function detecting(more: Partial<OutlierDetection> = {}, script?: Script) {
  const events: string[] = []
  const found = scene({ onOutlier: (cluster, event) => events.push(`${cluster.name.port} ${event.kind}`) })
  const { model, stack, upstream } = found
  model.add(workload('v2'))
  model.route(route({ retry: 'none' }))
  model.treat({ loadBalancing: { kind: 'round-robin' }, outliers: { ...detection, ...more } })
  stack.update()
  upstream.script = script ?? ((attempt) => attempt.answer(attempt.target.workload.name === 'v1' ? 500 : 200))
  const many = async (count: number) => {
    const from = upstream.tries.length
    for (let sent = 0; sent < count; sent += 1) await found.ask()
    return upstream.names.slice(from).filter((name) => name === 'v1').length
  }
  return { ...found, many, events }
}

t.test('three errors in a row and it gets nothing more, until its time is served', async (t) => {
  const { many, time, upstream, events } = detecting()
  t.equal(await many(20), 3)
  t.same(events, ['80 ejected'])
  await time.pass(29_999)
  t.equal(await many(10), 0)
  await time.pass(10_001)
  t.same(events, ['80 ejected', '80 returned'])
  upstream.script = (attempt) => attempt.answer(200)
  t.equal(await many(10), 5)
})

t.test('a success in between begins the count anew', async (t) => {
  let count = 0
  const { many, events } = detecting({}, (attempt) => attempt.answer(++count % 5 === 0 ? 200 : 500))
  await many(4)
  t.same(events, [])
})

t.test('failures of connections and timeouts count, policy and clients do not', async (t) => {
  for (const [kind, counts] of [
    ['connect', true],
    ['reset', true],
    ['malformed', true],
    ['denied', false],
    ['refused', false],
    ['overflow', false],
    ['client', false],
  ] as readonly (readonly [FailureKind, boolean])[]) {
    const { many, events } = detecting({}, (attempt) =>
      attempt.target.workload.name === 'v1' ? attempt.fail(kind) : attempt.answer(200),
    )
    await many(20)
    t.equal(events.length > 0, counts, kind)
  }
})

t.test('gRPC errors count by what they mean in HTTP', async (t) => {
  for (const [status, counts] of [
    ['14', true],
    ['5', false],
  ] as const) {
    const { ask, grpc, events } = detecting({}, (attempt) =>
      attempt.answer(200, { 'grpc-status': attempt.target.workload.name === 'v1' ? status : '0' }),
    )
    for (let sent = 0; sent < 20; sent += 1) await ask(grpc())
    t.equal(events.length > 0, counts, status)
  }
})

t.test('ejections survive an update of the endpoints and of the limits; without detection they end', async (t) => {
  const { many, model, stack, events } = detecting()
  await many(10)
  model.add(workload('v3'))
  model.treat({ loadBalancing: { kind: 'round-robin' }, outliers: { ...detection, consecutive5xx: 50 } })
  stack.update()
  t.equal(await many(10), 0)
  t.same(events, ['80 ejected'])
  model.treat({ loadBalancing: { kind: 'round-robin' } })
  stack.update()
  t.not(await many(9), 0)
})

t.test('a retry goes elsewhere, so that clients see nothing of it', async (t) => {
  const { model, stack, ask, time, told, upstream } = detecting()
  const policy = { attempts: 2, statuses: [], conditions: ['5xx'], backoffMs: 25, backoffIsMinimum: false }
  model.route(route({ retry: { ...policy, avoidPreviousHosts: true, remoteLocalities: false } }))
  stack.update()
  const all: Promise<{ readonly status: number }>[] = []
  for (let sent = 0; sent < 100; sent += 1) {
    all.push(ask())
    await time.pass(100)
  }
  t.ok((await Promise.all(all)).every(({ status }) => status === 200))
  t.ok(told.filter(({ attempts }) => attempts > 1).length <= 3)
  t.ok(upstream.names.filter((name) => name === 'v1').length <= 3)
})

t.test('no timer is left behind when the service goes or detection is switched off', async (t) => {
  const { model, stack, many, time } = detecting()
  await many(1)
  t.equal(time.waiting, 1)
  model.treat({})
  stack.update()
  t.equal(time.waiting, 0)
  model.treat({ outliers: detection })
  stack.update()
  t.equal(time.waiting, 1)
  stack.close()
  t.equal(time.waiting, 0)
})

t.test('detection that comes while requests flow counts from then on', async (t) => {
  const { model, stack, many, events } = detecting()
  model.treat({})
  stack.update()
  await many(10)
  t.same(events, [])
  model.treat({ loadBalancing: { kind: 'round-robin' }, outliers: detection })
  stack.update()
  await many(10)
  t.same(events, ['80 ejected'])
})
