// The steps of the tour, in order. Each does something real, looks at what happened, and fails where it did not.
import { readFileSync } from 'node:fs'
import { applyObject } from '../../cli/apply.ts'
import { namespaceKind } from '../../core/model/kinds/core.ts'
import { captureWire } from '../capture/capture.ts'
import type { CaptureSummary, Conversation } from '../capture/summary.ts'
import { holdUnit, releaseUnit, unitProcess, waitRestarted } from '../faults.ts'
import { upLab, waitUntil } from '../lab.ts'
import { startLoad } from '../load/in-workload.ts'
import { labPaths, logFile } from '../state.ts'
import { parseTopology } from '../topology.ts'
import { caller, expect, fileOf, objectsOf, server, serviceUrl, stranger, type Tour, type TourStep } from './tour.ts'
import { waypoint } from './waypoint-step.ts'

/** Renewal starts at half of it; long enough to bridge a dead control plane. */
const leafLifetime = '20s'
const marker = 'culvert-demo-secret'
const enrolLabel = 'culvert.dev/dataplane-mode'

const build: TourStep = {
  name: 'build',
  title: 'Three hosts',
  words:
    'service-a runs on h1, service-b on h2, service-c on h3. A control plane, and on each host an agent and a daemon, are ' +
    'started; the hosts join with one-time tokens. Nothing is captured yet.',
  command: () => 'culvert lab up -f lab/demo/topology.yaml -f lab/demo/service.yaml',
  run: async (tour) => {
    const file = fileOf('./topology.yaml')
    tour.lab = await upLab({
      ...tour.selector,
      topology: parseTopology(readFileSync(file, 'utf8'), file),
      resources: [fileOf('./service.yaml')],
      leafLifetime,
      signal: tour.signal,
      progress: (text) => tour.say.doing(text),
    })
    await tour.waitCaptured(false)
    const { hosts, workloads } = tour.lab.plan
    return {
      finding: `${hosts.length} hosts have joined; their ${workloads.length} workloads are known, and not captured`,
      facts: { hosts: hosts.length, workloads: workloads.length },
    }
  },
}

const before: TourStep = {
  name: 'plaintext-before',
  title: 'Before: everybody on the wire can read along',
  words: 'service-a calls service-b as applications do without a mesh. Every frame on the wire is captured meanwhile.',
  command: ({ name }) => `ip netns exec cv-${name}-wire tcpdump -nA -i br0 port 8080   # needs tcpdump`,
  run: async (tour) => {
    const [address] = tour.workload(server).addresses
    const { summary } = await captured(tour, async () => {
      const plan = { url: `http://${address}:8080/?token=${marker}`, count: 20, fresh: true }
      const report = await tour.load(caller, plan)
      expect(report.failed === 0, `${report.failed} of 20 plain requests failed: ${JSON.stringify(report.failures)}`)
    })
    const seen = summary.markers[marker] ?? 0
    const conversation = between(tour, summary).find((candidate) => candidate.port === 8080)
    expect(seen >= 20 && conversation !== undefined, `the capture shows the request only ${seen} times`)
    tour.say.show([conversation.sample])
    return {
      finding: `the wire shows "${marker}" ${seen} times in 20 requests, readable by anyone`,
      facts: { requests: 20, markerSeen: seen, ports: [8080] },
    }
  },
}

const enrol: TourStep = {
  name: 'enrol',
  title: 'One label brings the namespace into the mesh',
  words:
    'The namespace gets a label. The agents redirect the traffic of its workloads to the daemons, which fetch certificates. ' +
    'No application is restarted or changed.',
  command: () => `culvert label namespace default ${enrolLabel}=ambient`,
  run: async (tour) => {
    const pid = unitProcess(tour.selector, server)?.pid
    const namespace = await tour.client.get(namespaceKind, '', 'default')
    expect(namespace !== undefined, 'the namespace default does not exist')
    const labels = { ...namespace.metadata.labels, [enrolLabel]: 'ambient' }
    const begin = performance.now()
    await tour.client.update(namespaceKind, { ...namespace, metadata: { ...namespace.metadata, labels } })
    await tour.waitCaptured(true)
    const milliseconds = Math.round(performance.now() - begin)
    expect(unitProcess(tour.selector, server)?.pid === pid, 'service-b was restarted')
    return {
      finding: `all three workloads are captured after ${milliseconds} ms; service-b is still process ${pid}`,
      facts: { milliseconds, serverPid: pid },
    }
  },
}

const after: TourStep = {
  name: 'encrypted-after',
  title: 'After: only mutual TLS on the wire',
  words:
    'The same calls again, now by name: the mesh answers DNS for service-b. The applications still speak plain HTTP; the wire ' +
    'carries tunnels to port 15008.',
  command: ({ name }) => `ip netns exec cv-${name}-wire tcpdump -nA -i br0 host 10.88.2.1`,
  run: async (tour) => {
    const { summary } = await captured(tour, async () => {
      const plan = { url: `${serviceUrl}?token=${marker}`, count: 200, concurrency: 4, fresh: true }
      const report = await tour.load(caller, plan)
      expect(report.failed === 0, `${report.failed} of 200 requests failed: ${JSON.stringify(report.failures)}`)
    })
    const seen = summary.markers[marker] ?? 0
    const conversations = between(tour, summary).filter((conversation) => conversation.protocol !== 'other')
    const tunnels = conversations.filter(({ port }) => port === 15008)
    const others = conversations.filter(({ port }) => port !== 15008)
    const bytes = tunnels.reduce((sum, { payloadBytes }) => sum + payloadBytes, 0)
    expect(seen === 0, `the marker can still be read ${seen} times`)
    expect(others.length === 0, `traffic besides the tunnel: ${others.map(describeConversation).join('; ')}`)
    expect(bytes > 0, 'no tunnel traffic was captured')
    const connections = tunnels.reduce((sum, { connections: count }) => sum + count, 0)
    const handshakes = tunnels.reduce((sum, { tlsConnections }) => sum + tlsConnections, 0)
    expect(connections === handshakes, `${connections} connections, but only ${handshakes} began with TLS`)
    tour.say.show(tunnels.slice(0, 1).map((tunnel) => tunnel.sample))
    return {
      finding: `200 requests, ${bytes} bytes, all to port 15008 in TLS; "${marker}" was seen 0 times`,
      facts: { requests: 200, markerSeen: seen, ports: [15008], bytes, tlsConnections: handshakes },
    }
  },
}

const identity: TourStep = {
  name: 'identity',
  title: 'Both ends know who the other is',
  words: 'One more call. Each daemon logs the connection with the identities that the certificates have proved.',
  command: (selector) => {
    const paths = labPaths(selector)
    return `tail -n1 ${logFile(paths, 'daemon@h1')} ${logFile(paths, 'daemon@h2')}`
  },
  run: async (tour) => {
    const marks = { source: tour.logSize(caller), destination: tour.logSize(server) }
    const report = await tour.load(caller, { url: `${serviceUrl}who`, count: 1, fresh: true })
    expect(report.failed === 0, `the request failed: ${JSON.stringify(report.failures)}`)
    const answer = JSON.parse(report.first ?? '{}') as { readonly pod?: string; readonly remoteAddress?: string }
    const [address] = tour.workload(caller).addresses
    expect(
      answer.remoteAddress?.startsWith(`${address}:`) === true,
      `service-b saw ${answer.remoteAddress} as its caller`,
    )
    const source = await logged(tour, caller, marks.source, 'outbound')
    const destination = await logged(tour, server, marks.destination, 'inbound')
    const expected = {
      src: 'spiffe://cluster.local/ns/default/sa/service-a',
      dst: 'spiffe://cluster.local/ns/default/sa/service-b',
    }
    for (const line of [source, destination]) {
      const told = `${line['direction']} log says ${line['src.identity']} → ${line['dst.identity']}`
      expect(line['src.identity'] === expected.src && line['dst.identity'] === expected.dst, told)
    }
    tour.say.show([`h1 outbound ${expected.src} → ${expected.dst}`, `h2 inbound  ${expected.src} → ${expected.dst}`])
    return {
      finding: `both daemons name both identities, and service-b still sees its caller's address ${address}`,
      facts: { source: expected.src, destination: expected.dst, remoteAddress: answer.remoteAddress },
    }
  },
}

const policy: TourStep = {
  name: 'policy',
  title: 'A policy says who may call',
  words:
    'So far service-c may call service-b as well. examples/authorization-policy.yaml, an Istio AuthorizationPolicy, is applied ' +
    'as it is: only service-a may.',
  command: () => 'culvert apply -f examples/authorization-policy.yaml',
  run: async (tour) => {
    const one = { url: serviceUrl, count: 1, fresh: true, timeoutMs: 3_000 }
    const open = await tour.load(stranger, one)
    expect(open.succeeded === 1, `service-c was refused before there was a policy: ${JSON.stringify(open.failures)}`)
    for (const object of objectsOf(fileOf('../../examples/authorization-policy.yaml'))) {
      const metadata = { ...object.metadata, namespace: object.metadata.namespace ?? 'default' }
      await applyObject(tour.client, { ...object, metadata })
    }
    let failures = ''
    await waitUntil(
      'service-c is refused',
      async () => {
        const report = await tour.load(stranger, { ...one, count: 10 })
        failures = Object.keys(report.failures).join(', ')
        return report.failed === 10
      },
      10_000,
    )
    const allowed = await tour.load(caller, { ...one, count: 50 })
    expect(allowed.failed === 0, `service-a is refused, too: ${JSON.stringify(allowed.failures)}`)
    return {
      finding: `service-a: 50 of 50 requests answered; service-c: 10 of 10 refused (${failures})`,
      facts: { allowed: allowed.succeeded, refused: 10, failures },
    }
  },
}

const withoutControl: TourStep = {
  name: 'control-killed',
  title: 'The control plane dies, the traffic does not',
  words: 'The control plane is killed with -9 and kept down while 1,000 requests are made. Then it may come back.',
  command: ({ name }) => `culvert lab stop --name ${name} control; culvert lab start --name ${name} control`,
  run: async (tour) => {
    const pid = unitProcess(tour.selector, 'control')?.pid
    await holdUnit(tour.selector, 'control')
    const report = await tour.load(caller, { url: serviceUrl, count: 1_000, concurrency: 8, fresh: true })
    const refused = await tour.load(stranger, { url: serviceUrl, count: 10, fresh: true, timeoutMs: 3_000 })
    expect(unitProcess(tour.selector, 'control') === undefined, 'the control plane was running meanwhile')
    expect(report.succeeded === 1_000, `${report.failed} of 1000 failed: ${JSON.stringify(report.failures)}`)
    expect(refused.failed === 10, 'without a control plane service-c got through')
    releaseUnit(tour.selector, 'control')
    const back = await waitRestarted(tour.selector, 'control', undefined)
    await waitUntil('the hosts are connected again', () => connectedAgain(tour), 20_000)
    return {
      finding: `killed process ${pid}: 1000 of 1000 requests answered, service-c still refused; back as process ${back.pid}`,
      facts: { killed: pid, requests: 1_000, failed: report.failed, requestsPerSecond: rate(report) },
    }
  },
}

const rotation: TourStep = {
  name: 'rotation',
  title: 'Certificates are renewed under load',
  words:
    `In this tour certificates live for ${leafLifetime} only, and are renewed at half of it. Steady requests over connections ` +
    'that stay open run until both sides have new ones.',
  command: ({ name }) => `nsenter --net=/run/netns/cv-${name}-h1 curl -s http://127.0.0.1:15000/certificates`,
  run: async (tour) => {
    const old = await serials(tour)
    const load = startLoad(tour.selector, caller, { url: serviceUrl, durationMs: 60_000, concurrency: 4, pauseMs: 5 })
    let current = old
    try {
      await waitUntil(
        'both certificates are renewed',
        async () => {
          current = await serials(tour)
          return current.caller !== old.caller && current.server !== old.server
        },
        25_000,
      )
      // A while longer, over the new certificates.
      const fresh = await tour.load(caller, { url: serviceUrl, count: 50, fresh: true })
      expect(fresh.failed === 0, `new connections fail after the renewal: ${JSON.stringify(fresh.failures)}`)
    } finally {
      const report = await load.stop()
      expect(
        report.failed === 0,
        `${report.failed} requests failed during the renewal: ${JSON.stringify(report.failures)}`,
      )
      expect(report.connections <= 4, `${report.connections} connections were needed where 4 should have lasted`)
      tour.say.doing(`${report.succeeded} requests over ${report.connections} connections, none failed`)
    }
    return {
      finding: `service-a ${short(old.caller)} → ${short(current.caller)}, service-b ${short(old.server)} → ${short(current.server)}; no request failed, no connection was reset`,
      facts: { before: old, after: current },
    }
  },
}

export const tourSteps: readonly TourStep[] = [
  build,
  before,
  enrol,
  after,
  identity,
  policy,
  withoutControl,
  rotation,
  waypoint,
]

/** Captures the wire during some work. A capture that lost frames proves nothing, and fails. */
async function captured(tour: Tour, work: () => Promise<void>): Promise<{ readonly summary: CaptureSummary }> {
  const capture = await captureWire(tour.selector)
  try {
    await work()
  } catch (error: unknown) {
    await capture.cancel()
    throw error
  }
  const summary = await capture.stop([marker])
  expect(summary.dropped === 0, `the capture lost ${summary.dropped} frames`)
  return { summary }
}

/** Conversations between workloads; the hosts' own (feed, neighbour discovery) are left out. */
function between(tour: Tour, summary: CaptureSummary): readonly Conversation[] {
  const addresses = new Set(tour.lab.plan.workloads.flatMap((workload) => workload.addresses))
  return summary.conversations.filter(({ client, server: to }) => addresses.has(client) || addresses.has(to))
}

function describeConversation({ client, server: to, port, protocol }: Conversation): string {
  return `${protocol} ${client} → ${to}:${port}`
}

async function logged(tour: Tour, workload: string, from: number, direction: string) {
  let line: Readonly<Record<string, unknown>> | undefined
  await waitUntil(
    `the ${direction} connection is logged`,
    () => {
      line = tour.accessLog(workload, from).find((candidate) => candidate['direction'] === direction)
      return line !== undefined
    },
    5_000,
  )
  return line!
}

async function connectedAgain(tour: Tour): Promise<boolean> {
  try {
    await tour.waitCaptured(true)
    return true
  } catch {
    return false
  }
}

async function serials(tour: Tour): Promise<{ readonly caller: string; readonly server: string }> {
  const serial = async (workload: string): Promise<string> => {
    const { namespace, spec } = tour.workload(workload)
    const identity = `spiffe://cluster.local/ns/${namespace}/sa/${spec.serviceAccount}`
    const certificate = (await tour.certificates(workload)).get(identity)
    expect(certificate !== undefined, `the daemon has no certificate of ${identity}`)
    return certificate.serialNumber
  }
  return { caller: await serial(caller), server: await serial(server) }
}

function short(serial: string): string {
  return `${serial.slice(0, 8).toLowerCase()}…`
}

function rate(report: { readonly requests: number; readonly durationMs: number }): number {
  return Math.round((report.requests * 1_000) / Math.max(1, report.durationMs))
}
