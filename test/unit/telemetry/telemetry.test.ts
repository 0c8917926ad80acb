import fc from 'fast-check'
import { pino } from 'pino'
import t from 'tap'
import { MeshError } from '../../../core/base/errors.ts'
import { MetricSet } from '../../../core/base/metrics.ts'
import { DnsMetrics } from '../../../daemon/telemetry/dns-counters.ts'
import { type ConnectionFacts, labelNames, labelValues } from '../../../daemon/telemetry/labels.ts'
import { Telemetry } from '../../../daemon/telemetry/telemetry.ts'
import { service, workload } from '../../helpers/model.ts'

const caller = workload({
  name: 'client',
  serviceAccount: 'frontend',
  labels: { app: 'front', version: 'v2' },
  locality: 'eu/a/rack1',
})
const called = workload({ labels: { 'app.kubernetes.io/name': 'orders', 'service.istio.io/canonical-revision': 'r7' } })

const outbound: ConnectionFacts = {
  reporter: 'source',
  source: { address: { address: '10.0.9.9', port: 40000 }, workload: caller },
  destination: {
    address: { address: '10.0.0.1', port: 15008 },
    hboneAddress: { address: '10.0.0.1', port: 8080 },
    workload: called,
  },
  service: service(),
  secure: true,
}
const inbound: ConnectionFacts = {
  reporter: 'destination',
  source: {
    address: { address: '10.0.9.9', port: 40000 },
    workload: caller,
    identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'frontend' },
  },
  destination: { address: { address: '10.0.0.1', port: 8080 }, workload: called },
  secure: true,
}
const stranger: ConnectionFacts = {
  reporter: 'destination',
  source: { address: { address: '192.0.2.1', port: 40000 } },
  destination: { address: { address: '10.0.0.1', port: 8080 }, workload: called },
  secure: false,
}

function labels(facts: ConnectionFacts, flag = '-'): Record<string, string> {
  const values = labelValues(facts, 'east', flag)
  return Object.fromEntries(labelNames.map((name, index) => [name, values[index] ?? 'MISSING']))
}

const known = (facts: ConnectionFacts) => ({ describe: () => facts })

function setUp(options: { maxSeries?: number; level?: string } = {}) {
  const metrics = new MetricSet()
  const lines: Record<string, unknown>[] = []
  const level = options.level ?? 'info'
  const log = pino(
    { level, formatters: { level: (label) => ({ level: label }) } },
    { write: (line) => lines.push(JSON.parse(line)) },
  )
  let clock = 1000
  const maxSeries = options.maxSeries === undefined ? {} : { maxSeries: options.maxSeries }
  const telemetry = new Telemetry(metrics, log, { clusterName: () => 'east', now: () => clock, ...maxSeries })
  const samples = (name: string) =>
    metrics.snapshot().families.find((family) => family.name === `istio_tcp_${name}_total`)?.samples ?? []
  const total = (name: string) => samples(name).reduce((sum, { value }) => sum + value, 0)
  return { telemetry, metrics, lines, samples, total, pass: (ms: number) => (clock += ms) }
}

t.test('an outbound connection carries the standard labels of both ends', async (t) => {
  t.match(labels(outbound), {
    reporter: 'source',
    source_workload: 'client',
    source_workload_namespace: 'shop',
    source_principal: 'spiffe://cluster.local/ns/shop/sa/frontend',
    source_app: 'front',
    source_version: 'v2',
    source_cluster: 'east',
    source_canonical_service: 'front',
    source_canonical_revision: 'v2',
    source_region: 'eu',
    source_zone: 'a',
    destination_workload: 'orders-1',
    destination_workload_namespace: 'shop',
    destination_principal: 'spiffe://cluster.local/ns/shop/sa/orders',
    destination_app: 'orders',
    destination_version: 'unknown',
    destination_cluster: 'east',
    destination_canonical_service: 'orders',
    destination_canonical_revision: 'r7',
    destination_region: 'unknown',
    destination_service: 'orders.shop.svc.cluster.local',
    destination_service_name: 'orders',
    destination_service_namespace: 'shop',
    request_protocol: 'tcp',
    response_flags: '-',
    connection_security_policy: 'mutual_tls',
  })
})

t.test('a caller that nothing is known of is unknown, and so is its principal without a certificate', async (t) => {
  const unknown = labels(stranger)
  for (const name of labelNames.filter((each) => each.startsWith('source_'))) t.equal(unknown[name], 'unknown', name)
  t.equal(unknown['connection_security_policy'], 'unknown')
  t.equal(unknown['destination_service'], 'unknown')
  const plain = { ...inbound, secure: false, source: { ...inbound.source, identity: undefined } }
  t.equal(labels(plain)['source_principal'], 'unknown', 'an address proves no identity')
})

t.test('a certificate tells namespace and principal of a caller that the model does not know', async (t) => {
  const { workload: _, ...source } = inbound.source
  t.match(labels({ ...inbound, source }), {
    source_workload: 'unknown',
    source_workload_namespace: 'shop',
    source_principal: 'spiffe://cluster.local/ns/shop/sa/frontend',
  })
})

t.test('every label has a value for every combination of what is known', async () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.boolean(),
      fc.boolean(),
      fc.constantFrom(outbound, inbound, stranger),
      (a, b, c, facts) => {
        const source = a ? facts.source : { address: facts.source.address }
        const destination = b ? facts.destination : { address: facts.destination.address }
        const values = labelValues({ ...facts, source, destination, service: c ? service() : undefined }, '', 'DENY')
        return values.length === labelNames.length && values.every((value) => typeof value === 'string' && value !== '')
      },
    ),
  )
})

t.test('a connection counts once at its opening and once at its close, with exact totals', async (t) => {
  const { telemetry, total, samples } = setUp()
  const connection = telemetry.open(known(outbound))
  t.equal(telemetry.active, 1)
  t.equal(total('connections_opened'), 1)
  t.equal(total('connections_closed'), 0)
  connection.close({ bytes: { received: 10, sent: 2000 } })
  connection.close({ bytes: { received: 99, sent: 9999 } })
  t.equal(telemetry.active, 0)
  t.equal(total('connections_closed'), 1)
  t.equal(total('received_bytes'), 10)
  t.equal(total('sent_bytes'), 2000)
  t.same(samples('connections_failed'), [])
})

t.test('bytes of a living connection count at every flush and not twice', async (t) => {
  const { telemetry, total } = setUp()
  const connection = telemetry.open(known(outbound))
  let bytes = { received: 5, sent: 50 }
  telemetry.flush()
  connection.track({ totals: () => bytes })
  telemetry.flush()
  telemetry.flush()
  t.equal(total('received_bytes'), 5)
  bytes = { received: 7, sent: 49 }
  telemetry.flush()
  t.equal(total('received_bytes'), 7)
  t.equal(total('sent_bytes'), 50, 'a counter never falls')
  bytes = { received: 8, sent: 60 }
  connection.close()
  t.equal(total('received_bytes'), 8)
  t.equal(total('sent_bytes'), 60)
  bytes = { received: 1000, sent: 1000 }
  telemetry.flush()
  t.equal(total('sent_bytes'), 60, 'nothing counts after the close')
})

t.test('a connection that ends in an error is closed and failed under its flag', async (t) => {
  const { telemetry, samples } = setUp()
  const flagAt = labelNames.indexOf('response_flags')
  telemetry.open(known(outbound)).close({ error: new MeshError('CONNECT_FAILED', 'no route') })
  telemetry.failed(inbound, new MeshError('POLICY_DENIED', 'shop/p rule 0'))
  t.same(
    samples('connections_closed').map((each) => each.labels[flagAt]),
    ['CONNECT'],
  )
  t.same(
    samples('connections_failed').map((each) => each.labels[flagAt]),
    ['CONNECT', 'DENY'],
  )
  t.same(
    samples('connections_opened').map((each) => each.labels[flagAt]),
    ['-'],
  )
})

t.test('one line at the close of an outbound connection says who talked to whom', async (t) => {
  const { telemetry, lines, pass } = setUp()
  const connection = telemetry.open(known(outbound))
  t.same(lines, [])
  pass(13.2)
  connection.close({ bytes: { received: 10, sent: 2000 } })
  const { time: _, pid: _pid, hostname: _host, ...line } = lines[0] ?? {}
  t.same(line, {
    level: 'info',
    scope: 'access',
    'src.addr': '10.0.9.9:40000',
    'src.workload': 'client',
    'src.namespace': 'shop',
    'src.identity': 'spiffe://cluster.local/ns/shop/sa/frontend',
    'src.cluster': 'east',
    'dst.addr': '10.0.0.1:15008',
    'dst.hbone_addr': '10.0.0.1:8080',
    'dst.service': 'orders.shop.svc.cluster.local',
    'dst.workload': 'orders-1',
    'dst.namespace': 'shop',
    'dst.identity': 'spiffe://cluster.local/ns/shop/sa/orders',
    'dst.cluster': 'east',
    direction: 'outbound',
    bytes_sent: 10,
    bytes_recv: 2000,
    duration: '13ms',
    msg: 'connection complete',
  })
  t.equal(lines.length, 1)
})

t.test('the line of an inbound connection counts from the side of the local workload', async (t) => {
  const { telemetry, lines } = setUp()
  telemetry.open(known(inbound)).close({ bytes: { received: 10, sent: 2000 } })
  t.match(lines[0], { direction: 'inbound', bytes_sent: 2000, bytes_recv: 10 })
})

t.test('the line of a plaintext connection claims no identity', async (t) => {
  const { telemetry, lines } = setUp()
  telemetry.open(known(stranger)).close()
  t.notOk('src.identity' in (lines[0] ?? {}))
  t.notOk('dst.identity' in (lines[0] ?? {}))
  telemetry.open(known({ ...outbound, secure: false })).close()
  t.notOk('src.identity' in (lines[1] ?? {}))
})

t.test('a failure is logged as an error, an early refusal as a warning, an opening for debugging only', async (t) => {
  const { telemetry, lines } = setUp({ level: 'debug' })
  telemetry.open(known(outbound)).close({ error: new MeshError('CONNECT_FAILED', 'no route') })
  telemetry.failed(inbound, new MeshError('POLICY_DENIED', 'shop/p rule 0'))
  t.match(lines, [
    { level: 'debug', msg: 'connection opened' },
    { level: 'error', msg: 'connection complete', error: 'no route', code: 'CONNECT_FAILED' },
    { level: 'warn', msg: 'connection failed', error: 'shop/p rule 0', code: 'POLICY_DENIED' },
  ])
})

t.test('series are bounded: the least recently used ones go, those of open connections stay', async (t) => {
  const { telemetry, samples, total } = setUp({ maxSeries: 20, level: 'silent' })
  const from = (name: string): ConnectionFacts => ({
    ...outbound,
    source: { ...outbound.source, workload: { ...caller, name } },
  })
  const kept = telemetry.open(known(from('first')))
  for (let i = 0; i < 200; i++) telemetry.open(known(from(`w${i}`))).close({ bytes: { received: 1, sent: 1 } })
  t.ok(samples('connections_opened').length <= 20)
  kept.close({ bytes: { received: 3, sent: 3 } })
  const names = samples('received_bytes').map((each) => each.labels[labelNames.indexOf('source_workload')])
  t.ok(names.includes('first'))
  t.ok(names.includes('w199'))
  t.notOk(names.includes('w0'))
  t.ok(total('connections_closed') <= 21)
})

t.test('DNS counters are one series per workload and protocol, and go with the workload', async (t) => {
  const metrics = new MetricSet()
  const dns = new DnsMetrics(metrics)
  dns.for({ name: 'a', namespace: 'shop' }).requests.udp.add(2)
  dns.for({ name: 'b', namespace: 'shop' }).requests.tcp.add(1)
  const samples = () => metrics.snapshot().families.find(({ name }) => name === 'istio_dns_requests_total')?.samples
  t.match(samples(), [{ labels: ['a', 'shop', 'udp'], value: 2 }, {}, {}, { labels: ['b', 'shop', 'tcp'], value: 1 }])
  dns.forget({ name: 'a', namespace: 'shop' })
  t.equal(samples()?.length, 2)
})
