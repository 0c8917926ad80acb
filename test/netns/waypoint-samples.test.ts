// The samples of examples/, verbatim, behind a waypoint: 90/10, half of the requests delayed, both while weights change under load;
// the AuthorizationPolicy means the same as without a waypoint.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { callsFrom } from '../../lab/calls/in-workload.ts'
import { type MeshLab, meshLab } from '../helpers/mesh-lab.ts'

const sample = (name: string): string => fileURLToPath(new URL(`../../examples/${name}.yaml`, import.meta.url))
const canary = sample('canary-virtual-service')
const delay = sample('fault-delay')
const authorization = sample('authorization-policy')

const topology = `
hosts: [h1, h2, h3]
workloads:
- {name: client, namespace: default, serviceAccount: client, host: h1, labels: {app: client}}
- {name: my-service-v1, namespace: default, serviceAccount: my-service, host: h2, labels: {app: my-service, version: v1}, echo: {}}
- {name: my-service-v2, namespace: default, serviceAccount: my-service, host: h3, labels: {app: my-service, version: v2}, echo: {}}
- {name: slow-service, namespace: default, serviceAccount: slow-service, host: h2, labels: {app: slow-service}, echo: {}}
- {name: service-a, namespace: default, serviceAccount: service-a, host: h1, labels: {app: service-a}}
- {name: service-b, namespace: default, serviceAccount: service-b, host: h3, labels: {app: service-b}, echo: {}}
- {name: service-c, namespace: default, serviceAccount: service-c, host: h1, labels: {app: service-c}}
waypoints:
- {name: waypoint, namespace: default, host: h2}
`
const service = (name: string): string => `---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: default}
spec: {selector: {app: ${name}}, ports: [{name: http, port: 80, targetPort: 8080}]}
`
const manifests = `apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {culvert.dev/dataplane-mode: ambient, istio.io/use-waypoint: waypoint}}
${service('my-service')}${service('slow-service')}${service('service-b')}`

t.setTimeout(300_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

/** Per cent of the answers. */
function share(counts: Readonly<Record<string, number>>, name: string): number {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return (100 * (counts[name] ?? 0)) / total
}

function near(t: Test, found: number, wanted: number, points: number, what: string): void {
  t.ok(Math.abs(found - wanted) <= points, `${what}: ${found.toFixed(2)} %, expected ${wanted} % ± ${points}`)
}

/** The sample with other weights, as a file. */
function weighted(first: number): string {
  const file = join(stateDir, `weights-${first}.yaml`)
  const weights: Readonly<Record<string, number>> = { 90: first, 10: 100 - first }
  const text = readFileSync(canary, 'utf8').replace(/weight: (90|10)$/gm, (_, old: string) => `weight: ${weights[old]}`)
  writeFileSync(file, text)
  return file
}

t.test('the samples behind a waypoint', async (t) => {
  const mesh = await meshLab({ name: 'wpsamples', stateDir, topology, manifests })
  t.teardown(() => mesh.close())
  const client = 'client.default'

  await t.test('90 to 10 over 10,000 requests', async (t) => {
    await mesh.culvert('apply', '-f', canary)
    await mesh.converge()
    const report = await mesh.load(client, { url: 'http://my-service/', count: 10_000, concurrency: 32 })
    t.equal(report.failed, 0, JSON.stringify(report.failures))
    near(t, share(report.backends, 'my-service-v1'), 90, 2, 'v1')
    near(t, share(report.backends, 'my-service-v2'), 10, 2, 'v2')
  })

  await t.test('weights change under load without one failed request, and what is applied last holds', async (t) => {
    const load = mesh.startLoad(client, { url: 'http://my-service/', concurrency: 16 })
    for (const first of [50, 0, 100, 30]) {
      await mesh.culvert('apply', '-f', weighted(first))
      await mesh.converge()
      const { backends } = await mesh.load(client, { url: 'http://my-service/', count: 1_000, concurrency: 8 })
      near(t, share(backends, 'my-service-v1'), first, first % 100 === 0 ? 0 : 5, `v1 of ${first}`)
    }
    const report = await load.stop()
    t.equal(report.failed, 0, JSON.stringify(report.failures))
    t.ok(report.requests > 1_000, `${report.requests} requests meanwhile`)
  })

  await t.test('half of 1,000 requests are delayed by two seconds, while the rule is written again', async (t) => {
    await mesh.culvert('apply', '-f', delay)
    await mesh.converge()
    const plan = { url: 'http://slow-service/', count: 1_000, concurrency: 250, slowMs: 1_990 }
    // three points of 1,000 are two standard deviations: one run in seventeen is outside by chance
    const shares: number[] = []
    while (shares.length < 4 && Math.abs((shares.at(-1) ?? 0) - 50) > 3) {
      const load = mesh.startLoad(client, plan)
      for (const first of [20, 80]) await mesh.culvert('apply', '-f', weighted(first))
      const report = await load.report()
      t.equal(report.failed, 0, JSON.stringify(report.failures))
      t.ok(report.medianMs < 3_000)
      shares.push((100 * report.slow) / report.requests)
    }
    near(t, shares.at(-1)!, 50, 3, `delayed, run ${shares.length}`)
  })

  await t.test('the AuthorizationPolicy allows who it names, through the waypoint and at the address', async (t) => {
    await mesh.culvert('apply', '-f', authorization)
    await mesh.converge()
    await onlyServiceA(t, mesh, 'http://service-b/')
    await onlyServiceA(t, mesh, `http://${mesh.address('default/service-b')}:8080/`)
    await mesh.culvert('delete', '-f', authorization)
    await mesh.converge()
    const [result] = await callsFrom(mesh.lab.selector, 'service-c.default', [{ url: 'http://service-b/' }])
    t.match(result, { kind: 'answered', status: 200 }, 'without it everybody')
  })
})

async function onlyServiceA(t: Test, mesh: MeshLab, url: string): Promise<void> {
  const [allowed] = await callsFrom(mesh.lab.selector, 'service-a.default', [{ url }])
  t.match(allowed, { kind: 'answered', status: 200 }, `service-a at ${url}`)
  const seen = JSON.parse(allowed?.kind === 'answered' ? allowed.body : '{}') as { readonly remoteAddress?: string }
  t.match(seen.remoteAddress, mesh.address('default/service-a'), 'the application sees the caller')
  const [denied] = await callsFrom(mesh.lab.selector, 'service-c.default', [{ url }])
  const refused = denied?.kind === 'failed' || (denied?.kind === 'answered' && denied.status === 403)
  t.ok(refused, `service-c at ${url}: ${JSON.stringify(denied).slice(0, 200)}`)
}
