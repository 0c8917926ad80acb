// A waypoint in a real lab: client → daemon → waypoint → daemon → echo, with routes that change, restarts, and nobody getting past it.
import t from 'tap'
import { killUnit, stopUnit, waitRestarted } from '../../lab/faults.ts'
import { labStatus } from '../../lab/status.ts'
import { type MeshLab, meshLab } from '../helpers/mesh-lab.ts'

const topology = `
hosts: [h1, h2]
workloads:
- {name: client, namespace: shop, serviceAccount: frontend, host: h1, labels: {app: frontend}, run: sleep infinity}
- {name: stranger, namespace: shop, serviceAccount: stranger, host: h1, labels: {app: stranger}, run: sleep infinity}
- {name: orders-v1, namespace: shop, serviceAccount: orders, host: h2, labels: {app: orders, version: v1}, echo: {}}
- {name: orders-v2, namespace: shop, serviceAccount: orders, host: h1, labels: {app: orders, version: v2}, echo: {}}
waypoints:
- {name: wp, namespace: shop, host: h2, replicas: 2}
`

const split = (v1: number, v2: number): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders, namespace: shop}
spec:
  hosts: [orders]
  http:
  - match: [{uri: {prefix: /gone}}]
    directResponse: {status: 410, body: {string: gone}}
  - route:
    - {destination: {host: orders, subset: v1}, weight: ${v1}}
    - {destination: {host: orders, subset: v2}, weight: ${v2}}
`

const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {culvert.dev/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Service
metadata: {name: orders, namespace: shop, labels: {culvert.dev/use-waypoint: wp}}
spec:
  selector: {app: orders}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: tcp, port: 9090, targetPort: 9090}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: orders, namespace: shop}
spec:
  host: orders
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
${split(90, 10)}`

const denyStranger = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: shop}
spec:
  selector: {matchLabels: {app: orders}}
  action: ALLOW
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/frontend]}}]
`

t.setTimeout(180_000)
const stateDir = t.testdir({})
let mesh: MeshLab

t.before(async () => {
  mesh = await meshLab({ name: 'way', stateDir, topology, manifests, drainTimeout: '5s' })
})
t.teardown(async () => mesh?.close())

async function curl(workload: string, ...words: readonly string[]): Promise<string> {
  const { execInWorkload } = await import('../../lab/exec.ts')
  const { stdout } = await execInWorkload(mesh.lab.selector, `${workload}.shop`, ['curl', '-s', '-m', '10', ...words])
  return stdout
}

const podOf = (body: string): string => (JSON.parse(body) as { readonly pod: string }).pod

/** Which pods answered so many requests on kept connections. */
async function pods(count: number): Promise<Readonly<Record<string, number>>> {
  const url = `http://orders/?[1-${count}]`
  const text = await curl('client', url)
  const found: Record<string, number> = {}
  for (const [, pod = ''] of text.matchAll(/"pod": "([^"]+)"/g)) found[pod] = (found[pod] ?? 0) + 1
  return found
}

t.test('the lab tells where its waypoints are, and their processes run', async (t) => {
  const { waypoints } = labStatus(mesh.lab.selector)
  t.match(waypoints, [
    { name: 'wp-1', namespace: 'shop', gateway: 'wp', pids: { waypoint: Number } },
    { name: 'wp-2', namespace: 'shop', gateway: 'wp', pids: { waypoint: Number } },
  ])
})

t.test('the application sees the client, and the split is the one of the VirtualService', async (t) => {
  const answer = JSON.parse(await curl('client', 'http://orders/a/b?c=1'))
  t.match(answer, { path: '/a/b?c=1', method: 'GET', host: 'orders' })
  const [client] = mesh.workload('shop/client').addresses
  t.ok(String(answer.remoteAddress).startsWith(`${client}:`), answer.remoteAddress)
  const { 'orders-v1': v1 = 0, 'orders-v2': v2 = 0 } = await pods(1_000)
  t.equal(v1 + v2, 1_000)
  t.ok(v2 > 60 && v2 < 140, `${v2} of 1000 to v2`)
  t.equal(await curl('client', 'http://orders/gone'), 'gone')
})

t.test('both families, HTTP/2 with prior knowledge, and raw TCP pass', async (t) => {
  const v6 = mesh.vip('shop/orders', 'ipv6')
  t.match(podOf(await curl('client', `http://[${v6}]/`)), /^orders-v/)
  const version = await curl(
    'client',
    '--http2-prior-knowledge',
    '-o',
    '/dev/null',
    '-w',
    '%{http_version} %{http_code}',
    'http://orders/',
  )
  t.equal(version, '2 200')
})

t.test('a destination behind the waypoint judges the original caller', async (t) => {
  await mesh.apply(denyStranger)
  t.match(podOf(await curl('client', 'http://orders/')), /^orders-v/)
  const refused = await curl('stranger', '-o', '/dev/null', '-w', '%{http_code}', 'http://orders/')
  t.equal(refused, '403')
  await mesh.remove(denyStranger)
  t.match(podOf(await curl('stranger', 'http://orders/')), /^orders-v/)
})

t.test('weights change under load without one failed request', async (t) => {
  const load = mesh.startLoad('client.shop', { url: 'http://orders/', concurrency: 4, durationMs: 8_000, pauseMs: 5 })
  for (const [v1, v2] of [
    [50, 50],
    [0, 100],
    [100, 0],
    [90, 10],
  ] as const)
    await mesh.apply(split(v1, v2))
  const { requests, failed, failures } = await load.report()
  t.ok(requests > 500, `${requests} requests`)
  t.same({ failed, failures }, { failed: 0, failures: {} })
})

t.test('a replica that is stopped in order loses no request, one that is killed is left at once', async (t) => {
  const load = mesh.startLoad('client.shop', {
    url: 'http://orders/',
    concurrency: 4,
    durationMs: 10_000,
    pauseMs: 5,
    fresh: true,
  })
  await stopUnit(mesh.lab.selector, 'waypoint@wp-1.shop')
  mesh.release('waypoint@wp-1.shop')
  await mesh.converge()
  const { requests, failed, failures } = await load.report()
  t.ok(requests > 200, `${requests} requests`)
  t.same({ failed, failures }, { failed: 0, failures: {} })
  const before = killUnit(mesh.lab.selector, 'waypoint@wp-2.shop')
  t.match(podOf(await curl('client', '--retry', '2', '--retry-all-errors', 'http://orders/')), /^orders-v/)
  await waitRestarted(mesh.lab.selector, 'waypoint@wp-2.shop', before)
  await mesh.converge()
})

t.test('without a waypoint nobody gets to what is behind it', async (t) => {
  await mesh.hold('waypoint@wp-1.shop', 'waypoint@wp-2.shop')
  const address = mesh.address('shop/orders-v1')
  for (const url of ['http://orders/', `http://${address}:8080/`]) {
    const code = await curl('client', '-o', '/dev/null', '-w', '%{http_code}', url)
    t.equal(code, '000', url)
  }
  mesh.release('waypoint@wp-1.shop', 'waypoint@wp-2.shop')
  await mesh.converge()
  await t.resolves(async () => podOf(await curl('client', '--retry', '10', '--retry-all-errors', 'http://orders/')))
})
