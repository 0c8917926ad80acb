// What `culvert status` makes of what the control plane tells.
import t from 'tap'
import { type StatusFacts, statusProblems } from '../../../cli/status-problems.ts'
import { statusText } from '../../../cli/status-text.ts'
import { viewWorkload } from '../../../cli/workload-view.ts'
import type { HostStatus, MeshStatus } from '../../../core/model/mesh-status.ts'
import type { MeshObject } from '../../../core/model/resource.ts'

const now = Date.parse('2026-06-01T12:00:00Z')
const ago = (seconds: number): string => new Date(now - seconds * 1000).toISOString()
const paint = (_: string, text: string): string => text

const host = (change: Partial<HostStatus> = {}): HostStatus => ({
  host: 'h1',
  connected: true,
  connectedSince: ago(600),
  build: '1.0.0',
  replica: 'aaaaaaaa-1',
  version: 42,
  lag: 0,
  refused: [],
  refusedWorkloads: [],
  workloads: [],
  identities: ['shop/*'],
  certificates: [{ serial: '1', notBefore: ago(3600), notAfter: ago(-3600) }],
  ...change,
})

function facts(hosts: readonly HostStatus[], change: Partial<MeshStatus> = {}): StatusFacts {
  const mesh: MeshStatus = {
    trustDomain: 'cluster.local',
    epoch: 'e',
    version: 42,
    revision: 42,
    certificateAuthority: { rootFingerprint: 'f', issuingNotAfter: ago(-365 * 24 * 3600) },
    replicas: [{ id: 'aaaaaaaa-1', api: 'https://a', feed: [{ host: '10.0.0.1', port: 1 }], build: '1', leads: true }],
    hosts,
    ...change,
  }
  return { mesh, workloads: [], findings: [] }
}

t.test('a mesh that does what it was told has no problems', async (t) => {
  t.same(statusProblems(facts([host(), host({ host: 'h2', lag: 3, behindSince: ago(1) })]), now), [])
})

t.test('each trouble of a host is one problem that names it', async (t) => {
  const cases: readonly (readonly [Partial<HostStatus>, 'error' | 'warning', RegExp])[] = [
    [{ connected: false, awaySince: ago(100) }, 'error', /not connected for 100s/],
    [{ connected: false }, 'error', /not connected:/],
    [
      { refused: [{ kind: 'Authorization', key: 'shop/p', reason: 'too large' }] },
      'error',
      /could not take Authorization shop\/p: too large/,
    ],
    [{ refusedWorkloads: [{ uid: 'u', reason: 'not granted' }] }, 'error', /workload u is refused: not granted/],
    [{ lag: 3, behindSince: ago(10) }, 'warning', /3 versions behind for 10s/],
    [{ lag: 1, behindSince: ago(100) }, 'error', /1 version behind for 100s/],
    [{ certificates: [{ serial: '1', notAfter: ago(60) }] }, 'error', /expired 60s ago: it must join again/],
    [
      { certificates: [{ serial: '1', notBefore: ago(3600), notAfter: ago(-60) }] },
      'warning',
      /expires in 60s and was not renewed/,
    ],
  ]
  for (const [change, severity, message] of cases) {
    t.match(statusProblems(facts([host(change)]), now), [{ severity, about: 'host h1', message }], String(message))
  }
})

t.test('a certificate that was renewed counts, not the one before it', async (t) => {
  const certificates = [
    { serial: '1', notAfter: ago(60) },
    { serial: '2', notAfter: ago(-3600) },
  ]
  t.same(statusProblems(facts([host({ certificates })]), now), [])
})

t.test('a control plane without a leader, or with an authority that ends, says so', async (t) => {
  const { mesh } = facts([])
  const replicas = mesh!.replicas.map((replica) => ({ ...replica, leads: false }))
  t.match(statusProblems(facts([], { replicas }), now), [{ severity: 'error', message: /no replica leads/ }])
  const ends = (seconds: number) => ({ certificateAuthority: { rootFingerprint: 'f', issuingNotAfter: ago(seconds) } })
  t.match(statusProblems(facts([], ends(-3 * 24 * 3600)), now), [{ severity: 'warning', message: /expires in 3d/ }])
  t.match(statusProblems(facts([], ends(60)), now), [{ severity: 'error', message: /expired 60s ago/ }])
})

t.test('problems stand first, errors before warnings, then where every host is', async (t) => {
  const hosts = [
    host({ lag: 2, behindSince: ago(10) }),
    host({ host: 'h2', connected: false, awaySince: ago(50), version: 0, lag: 9 }),
  ]
  const all = facts(hosts)
  const report = { ...all, api: 'https://a', problems: statusProblems(all, now) }
  const text = statusText(report, { wide: false, paint, now })
  t.match(text, /^2 problems:\n {2}error {4}host h2: not connected for 50s.*\n {2}warning {2}host h1: 2 versions/)
  t.match(text, /^HOST +WORKLOADS +CAPTURED +VERSION +LAG +CERTIFICATE +AGENT$/m)
  t.match(text, /^h1 +0 +0 +42 +2 versions, 10s +60m left +connected 10m$/m)
  t.match(text, /^h2 +0 +0 +- +- +60m left +away 50s$/m)
  t.notMatch(text, /REPLICA/, 'one replica needs no table')
})

t.test('the wide form tells which replica a host is connected to, and what it refused last', async (t) => {
  const lastRefusal = { kind: 'Service', key: 'shop/x.y', reason: 'no port', version: 40, at: ago(90) } as const
  const all = facts([host({ lastRefusal })])
  const text = statusText({ ...all, api: 'https://a', problems: [] }, { wide: true, paint, now })
  t.match(text, /all is well/)
  t.match(text, /^aaaaaaaa +https:\/\/a +10\.0\.0\.1:1 +1 +leads$/m)
  t.match(text, /^h1 .* aaaaaaaa .* 1\.0\.0 +Service shop\/x\.y 90s ago: no port +connected 10m$/m)
})

t.test('a waypoint is a host of its own kind', async (t) => {
  const all = facts([host(), host({ host: 'wp-1', kind: 'waypoint' })])
  const text = statusText({ ...all, api: 'https://a', problems: [] }, { wide: false, paint, now })
  t.match(text, /^HOST +KIND +WORKLOADS +CAPTURED .* CONNECTION$/m)
  t.match(text, /^h1 +agent +0 +0 /m)
  t.match(text, /^wp-1 +waypoint +0 +- /m)
  const away = facts([host({ host: 'wp-1', kind: 'waypoint', connected: false })])
  t.match(statusProblems(away, now), [{ about: 'host wp-1', message: /look at `culvert waypoint` there/ }])
})

t.test('an instance of a waypoint is captured by nobody, and that is no problem', async (t) => {
  const entry = (annotations: Record<string, string>): MeshObject => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name: 'wp-1', namespace: 'shop', annotations },
    spec: { serviceAccount: 'wp', labels: { 'gateway.networking.k8s.io/gateway-name': 'wp' } },
  })
  const problems = (annotations: Record<string, string>) =>
    statusProblems({ ...facts([]), workloads: [viewWorkload(entry(annotations), new Map())] }, now)
  t.same(problems({ 'culvert.dev/redirection': 'enabled' }), [])
  t.match(problems({}), [{ severity: 'warning', message: /takes no tunnels now/ }])
})
