// Every frame between two hosts, before and after enrolment: what the applications say can be read on the wire before, and never
// afterwards; between enrolled workloads there is only TLS to the tunnel port.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { canonicalAddress, familyOf } from '../../core/net/address.ts'
import { captureWire } from '../../lab/capture/capture.ts'
import type { Segment } from '../../lab/capture/frames.ts'
import type { CaptureSummary, Conversation } from '../../lab/capture/summary.ts'
import type { LoadPlan } from '../../lab/load/load.ts'
import { type MeshLab, meshLab } from '../helpers/mesh-lab.ts'
import { judgeTls } from '../helpers/tls-streams.ts'
import type { HttpReport } from '../helpers/traffic/http.ts'
import { runRole } from '../helpers/traffic-lab.ts'

const marker = 'culvert-wire-secret'
const port = 8080
const mebibyte = 1024 * 1024

const topology = `
hosts: [h1, h2]
workloads:
- {name: client, namespace: shop, serviceAccount: client, host: h1, labels: {app: client}}
- {name: server, namespace: shop, serviceAccount: server, host: h2, labels: {app: server}, echo: {}}
`
const namespace = (labels: string): string => `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {${labels}}}
`
const manifests = `${namespace('')}
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: shop}
spec: {selector: {app: server}, ipFamilyPolicy: RequireDualStack, ports: [{name: http, port: ${port}}]}
`

t.setTimeout(240_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

type Family = 'ipv4' | 'ipv6'
/** Where the server is called, as a URL has it. */
type Origin = (family: Family) => string

function originOf(address: string): string {
  return `http://${familyOf(address) === 'ipv6' ? `[${address}]` : address}:${port}`
}

/** The echo's answer repeats the path; the request says the marker in its body too. */
async function requests(t: Test, mesh: MeshLab, origin: Origin, count: number): Promise<void> {
  const plans: readonly LoadPlan[] = (['ipv4', 'ipv6'] as const).flatMap((family) => {
    const plan = { url: `${origin(family)}/${marker}`, body: marker, count: count / 4, concurrency: 2 }
    return [plan, { ...plan, fresh: true }]
  })
  const reports = await Promise.all(plans.map((plan) => mesh.load('client.shop', plan)))
  t.same(
    reports.map(({ succeeded, failed, failures }) => ({ succeeded, failed, failures })),
    plans.map((plan) => ({ succeeded: plan.count, failed: 0, failures: {} })),
    `${count} requests, half of them on new connections, over both families`,
  )
  t.ok(
    reports.every(({ first }) => first?.includes(marker)),
    'and the marker in the answers',
  )
}

async function bodies(t: Test, mesh: MeshLab, origin: Origin, family: Family, bytes: number): Promise<void> {
  const plan = { origin: origin(family), marker, uploadBytes: bytes, downloadBytes: bytes }
  const report = (await runRole(mesh, 'client', 'http', plan, 120_000)) as HttpReport
  t.same(report, { uploaded: bytes, downloaded: bytes }, `${bytes} bytes of markers up and down, ${family}`)
}

/** What the addresses of the two workloads say to each other, whoever began. */
function between(mesh: MeshLab, summary: CaptureSummary): readonly Conversation[] {
  const [client, server] = [mesh.workload('shop/client').addresses, mesh.workload('shop/server').addresses]
  const joins = (from: readonly string[], to: readonly string[], { client, server }: Conversation): boolean =>
    from.includes(client) && to.includes(server)
  return summary.conversations.filter((talk) => joins(client, server, talk) || joins(server, client, talk))
}

function betweenWorkloads(mesh: MeshLab): (segment: Segment) => boolean {
  const workloads = new Set(['shop/client', 'shop/server'].flatMap((name) => mesh.workload(name).addresses))
  const own = (address: string): boolean => workloads.has(canonicalAddress(address) ?? address)
  return ({ source, destination }) => own(source) && own(destination)
}

t.test('what applications say is readable on the wire before enrolment, and never after it', async (t) => {
  const mesh = await meshLab({ name: 'wire', stateDir, topology, manifests })
  t.teardown(() => mesh.close())

  await t.test('before enrolment the capture sees the marker', async (t) => {
    // A virtual address means nothing without the mesh.
    const origin: Origin = (family) => originOf(mesh.address('shop/server', family))
    const file = join(mesh.lab.paths.folder, 'plain.pcap')
    const capture = await captureWire(mesh.lab.selector, { file })
    await requests(t, mesh, origin, 20)
    await bodies(t, mesh, origin, 'ipv4', mebibyte)
    const summary = await capture.stop([marker])
    t.equal(summary.dropped, 0, 'every frame was captured')
    const once = Math.floor(mebibyte / marker.length)
    t.ok(summary.markers[marker]! >= 2 * once + 2 * 20, `${summary.markers[marker]} times`)
    t.same(
      [...new Set(between(mesh, summary).map((talk) => `${talk.protocol} ${talk.port}`))],
      [`tcp ${port}`],
      'between the workloads themselves',
    )
    const { streams, problems } = await judgeTls(file, betweenWorkloads(mesh))
    t.ok(streams > 0 && problems.length === streams, `none of the ${streams} streams is TLS`)
  })

  await t.test('enrolled, only TLS to the tunnel port is left', async (t) => {
    const file = join(mesh.lab.paths.folder, 'wire.pcap')
    t.teardown(() => rm(file, { force: true }))
    await mesh.apply(namespace('culvert.dev/dataplane-mode: ambient'))
    const origin: Origin = (family) => originOf(mesh.vip('shop/server', family))
    const capture = await captureWire(mesh.lab.selector, { file })
    await requests(t, mesh, origin, 1_000)
    await bodies(t, mesh, origin, 'ipv4', 100 * mebibyte)
    await bodies(t, mesh, origin, 'ipv6', 16 * mebibyte)
    const summary = await capture.stop([marker])
    t.equal(summary.dropped, 0, 'every frame was captured')
    t.equal(summary.markers[marker], 0, `the marker is in none of ${summary.frames} frames`)
    await onlyTls(t, mesh, summary, file)
  })
})

async function onlyTls(t: Test, mesh: MeshLab, summary: CaptureSummary, file: string): Promise<void> {
  const talks = between(mesh, summary)
  t.same([...new Set(talks.map((talk) => `${talk.protocol} ${talk.port}`))], ['tcp 15008'], 'only the tunnel port')
  t.same(new Set(talks.map(({ client }) => familyOf(client))), new Set(['ipv4', 'ipv6']), 'over both families')
  t.ok(
    talks.every(({ connections, tlsConnections }) => connections > 0 && connections === tlsConnections),
    'every connection begins with a ClientHello',
  )
  const verdict = await judgeTls(file, betweenWorkloads(mesh))
  t.same(verdict.problems, [], `${verdict.streams} streams are TLS to the last of ${verdict.records} records`)
  t.ok(verdict.streams >= 4, 'both directions of a connection of each family')
  const carried = talks.reduce((sum, { payloadBytes }) => sum + payloadBytes, 0)
  t.ok(carried > 2 * 116 * mebibyte, `${carried} bytes crossed`)
  t.comment(`${summary.frames} frames, ${carried} bytes in ${verdict.records} TLS records`)
}
