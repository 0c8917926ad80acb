// What a waypoint tells of its destinations: circuit breakers and ejections on the metrics port, on the admin page and to callers, in a
// mesh with real endpoints.
import t from 'tap'
import type { MeshObject } from '../../core/model/resource.ts'
import type { Waypoint } from '../../waypoint/app.ts'
import { until } from '../helpers/control-world.ts'
import { WaypointWorld } from '../helpers/waypoint-world.ts'

const rule = (trafficPolicy: object, annotations: Readonly<Record<string, string>> = {}): MeshObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name: 'orders', namespace: 'shop', annotations },
  spec: { host: 'orders', trafficPolicy },
})

/** Samples of the scrape whose name begins so, without their labels for service, subset and port. */
async function scraped(waypoint: Waypoint, name: string): Promise<Readonly<Record<string, number>>> {
  const { address, port } = waypoint.addresses.metrics
  const text = await (await fetch(`http://${address}:${port}/metrics`)).text()
  const common = 'destination_service="orders.shop.svc.cluster.local",destination_subset="",destination_port="80"'
  return Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line.startsWith(name) && line.includes(common))
      .map((line) => line.replace(`${common},`, '').split('} '))
      .map(([sample, value]) => [sample!.slice(sample!.indexOf('{') + 1).replaceAll('"', ''), Number(value)]),
  )
}

t.test('a full circuit is told to the caller and seen in the metrics, until there is room again', async (t) => {
  const world = await WaypointWorld.create(t)
  await world.apply(rule({ connectionPool: { http: { http2MaxRequests: 2 } } }))
  const waypoint = await world.waypoint(await world.token())
  await waypoint.ready
  const held: (() => void)[] = []
  world.answer = (_, response, endpoint) => void held.push(() => response.end(endpoint))
  const caller = await world.caller()
  const to = `${await world.vip()}:80`
  const first = [caller.get(to), caller.get(to)]
  while (held.length < 2) await new Promise(setImmediate)
  const refused = await caller.get(to)
  t.match(refused, /^HTTP\/1\.1 503 /)
  t.match(refused, /\r\nx-envoy-overloaded: true\r\n/)
  t.equal(world.seen.length, 2, 'it came to no endpoint')
  t.match(await scraped(waypoint, 'culvert_circuit_used{'), { 'limit=requests': 2, 'limit=retries': 0 })
  t.same(await scraped(waypoint, 'culvert_circuit_limit{'), { 'limit=requests': 2 })
  t.match(await scraped(waypoint, 'culvert_circuit_open{'), { 'limit=requests': 1, 'limit=connections': 0 })
  t.match(await scraped(waypoint, 'culvert_circuit_overflows_total{'), { 'limit=requests': 1, 'limit=pending': 0 })
  for (const answer of held) answer()
  for (const answer of await Promise.all(first)) t.match(answer, /^HTTP\/1\.1 200 /)
  t.match(await scraped(waypoint, 'culvert_circuit_open{'), { 'limit=requests': 0 })
})

t.test('an ejection is counted with its reason, and the endpoint is seen to be out', async (t) => {
  const world = await WaypointWorld.create(t)
  await world.apply(
    rule({
      loadBalancer: { simple: 'ROUND_ROBIN' },
      outlierDetection: { consecutive5xxErrors: 3, interval: '60s', baseEjectionTime: '600s', maxEjectionPercent: 50 },
    }),
  )
  const waypoint = await world.waypoint(await world.token())
  await waypoint.ready
  world.answer = (_, response, endpoint) => {
    response.statusCode = endpoint === 'orders-v1' ? 500 : 200
    response.end(endpoint)
  }
  const caller = await world.caller()
  const to = `${await world.vip()}:80`
  for (let count = 0; count < 20; count += 1) await caller.get(to)
  t.equal(world.seen.filter(({ endpoint }) => endpoint === 'orders-v1').length, 3)
  t.same(await scraped(waypoint, 'culvert_outlier_ejections_total{'), { 'reason=consecutive-5xx,outcome=ejected': 1 })
  t.same(await scraped(waypoint, 'culvert_endpoints{'), {
    'state=serving': 1,
    'state=ejected': 1,
    'state=unhealthy': 0,
  })
  world.answer = (_, response) => {
    response.statusCode = 500
    response.end()
  }
  for (let count = 0; count < 4; count += 1) await caller.get(to)
  t.match(await scraped(waypoint, 'culvert_outlier_ejections_total{'), { 'reason=consecutive-5xx,outcome=spared': 1 })
})

t.test(
  'an endpoint that succeeds less often than the others is ejected, though never several times in a row',
  async (t) => {
    const world = await WaypointWorld.create(t)
    const rate = 'culvert.dev/outlier-success-rate'
    const outlierDetection = { interval: '1s', baseEjectionTime: '600s', maxEjectionPercent: 50 }
    await world.apply(
      rule(
        { loadBalancer: { simple: 'ROUND_ROBIN' }, outlierDetection },
        { [rate]: '0.5', [`${rate}-hosts`]: '2', [`${rate}-requests`]: '4' },
      ),
    )
    const waypoint = await world.waypoint(await world.token())
    await waypoint.ready
    let turn = 0
    world.answer = (_, response, endpoint) => {
      if (endpoint === 'orders-v1' && ++turn % 3 > 0) response.statusCode = 500
      response.end(endpoint)
    }
    const caller = await world.caller()
    const to = `${await world.vip()}:80`
    await until('the ejection', async () => {
      for (let count = 0; count < 12; count += 1) await caller.get(to)
      return 'reason=success-rate,outcome=ejected' in (await scraped(waypoint, 'culvert_outlier_ejections_total{'))
    })
    const before = world.seen.length
    for (let count = 0; count < 10; count += 1) await caller.get(to)
    t.same(new Set(world.seen.slice(before).map(({ endpoint }) => endpoint)), new Set(['orders-v2']))
  },
)

t.test('balancing by latency leaves an endpoint alone that answers late', async (t) => {
  const world = await WaypointWorld.create(t)
  await world.apply(rule({ loadBalancer: { simple: 'RANDOM' } }, { 'culvert.dev/load-balancing': 'peak-ewma' }))
  await (await world.waypoint(await world.token())).ready
  world.answer = (_, response, endpoint) => {
    if (endpoint === 'orders-v1') setTimeout(() => response.end(endpoint), 300)
    else response.end(endpoint)
  }
  const caller = await world.caller()
  const to = `${await world.vip()}:80`
  for (let count = 0; count < 60; count += 1) await caller.get(to)
  const late = world.seen.filter(({ endpoint }) => endpoint === 'orders-v1').length
  t.ok(late >= 1 && late < 15, `${late} of 60 went to the late one`)
})
