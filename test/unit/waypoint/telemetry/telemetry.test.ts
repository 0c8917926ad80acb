import { closeSync, openSync, readFileSync } from 'node:fs'
import t from 'tap'
import { createLogger, nullLogger } from '../../../../core/base/log.ts'
import { exposition, MetricSet } from '../../../../core/base/metrics.ts'
import type { Workload } from '../../../../core/model/types.ts'
import { Exchange, type Origin } from '../../../../waypoint/exchange.ts'
import { emptyBody } from '../../../../waypoint/http/body.ts'
import { Headers } from '../../../../waypoint/http/message.ts'
import type { ExchangeReport } from '../../../../waypoint/report.ts'
import { RequestTelemetry } from '../../../../waypoint/telemetry/telemetry.ts'
import { service, workload } from '../../../helpers/model.ts'

const orders = service()
const key = 'shop/orders.shop.svc.cluster.local'
const client = workload({ name: 'client', serviceAccount: 'frontend', labels: { app: 'shop-front', version: 'v3' } })
const origin: Origin = {
  identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'frontend' },
  principal: 'spiffe://cluster.local/ns/shop/sa/frontend',
  address: { address: '10.0.9.9', port: 41_000 },
  workload: client,
  destination: { address: '240.240.0.1', port: 80 },
  service: orders,
  target: undefined,
}

function report(more: Partial<ExchangeReport> = {}, to: Workload = workload()): ExchangeReport {
  const head = { method: 'GET', scheme: 'http', authority: 'orders', path: '/a?b', headers: new Headers() }
  const address = { address: '10.0.0.1', port: 8080 }
  return {
    exchange: new Exchange({ origin, protocol: 'http/1.1', head, body: emptyBody, startedAt: 100 }),
    origin,
    method: 'GET',
    authority: 'orders',
    path: '/a',
    route: { kind: 'VirtualService', namespace: 'shop', name: 'orders', index: 1 },
    cluster: { name: { service: key, port: 80 } } as unknown as ExchangeReport['cluster'],
    endpoint: { upstream: { workload: to, address, protocol: 'auto' } } as unknown as ExchangeReport['endpoint'],
    status: 200,
    grpcStatus: undefined,
    flags: [],
    reason: '',
    ending: undefined,
    attempts: 1,
    requestBytes: 10,
    responseBytes: 1_000,
    tryStartedAt: 101,
    answeredAt: 104,
    endedAt: 104.5,
    wouldRefuse: [],
    ...more,
  }
}

function telemetry(maxSeries?: number) {
  const metrics = new MetricSet()
  const lines: Record<string, unknown>[] = []
  const log = nullLogger()
  const options = { clusterName: () => 'Kubernetes', serviceByKey: () => orders, serviceByHostname: () => orders }
  const under = new RequestTelemetry(metrics, log, maxSeries === undefined ? options : { ...options, maxSeries })
  const text = () => exposition(() => Promise.resolve([metrics.snapshot()]))
  return { under, text, metrics, lines }
}

t.test('a request is counted once, with both ends, the service, and what came of it', async (t) => {
  const { under, text } = telemetry()
  under.exchangeEnded(report())
  under.exchangeEnded(report())
  const lines = (await text()).split('\n')
  const [counted, ...more] = lines.filter((line) => line.startsWith('istio_requests_total{'))
  t.same(more, [])
  t.match(counted, / 2$/)
  for (const label of [
    'reporter="waypoint"',
    'source_workload="client"',
    'source_principal="spiffe://cluster.local/ns/shop/sa/frontend"',
    'source_app="shop-front"',
    'source_version="v3"',
    'destination_workload="orders-1"',
    'destination_principal="spiffe://cluster.local/ns/shop/sa/orders"',
    'destination_service="orders.shop.svc.cluster.local"',
    'destination_service_name="orders"',
    'request_protocol="http"',
    'response_code="200"',
    'response_flags="-"',
    'connection_security_policy="mutual_tls"',
  ])
    t.ok(counted?.includes(label), label)
  const bucket = (le: string) =>
    lines.find((line) => line.startsWith('istio_request_duration_milliseconds_bucket') && line.includes(`le="${le}"`))
  t.match(bucket('4'), / 0$/)
  t.match(bucket('5'), / 2$/)
  t.ok(lines.some((line) => /^istio_request_duration_milliseconds_sum.* 9$/.test(line)))
  t.ok(lines.some((line) => /^istio_response_bytes_sum.* 2000$/.test(line)))
  t.ok(lines.some((line) => /^istio_request_bytes_count.* 2$/.test(line)))
})

t.test('answers that differ are counted apart: status, flags, how the body broke off, endpoint', async (t) => {
  const { under, text } = telemetry()
  under.exchangeEnded(report())
  under.exchangeEnded(report({ status: 503 }))
  under.exchangeEnded(report({ status: 503, flags: ['UF', 'URX'] }))
  under.exchangeEnded(report({ ending: 'client' }))
  under.exchangeEnded(report({}, workload({ name: 'orders-2' })))
  under.exchangeEnded(report({ attempts: 3 }))
  const counted = (await text()).split('\n').filter((line) => line.startsWith('istio_requests_total{'))
  t.equal(counted.length, 5)
  const flags = counted.map((line) => /response_flags="([^"]*)"/.exec(line)?.[1])
  t.same(flags.toSorted(), ['-', '-', '-', 'DC', 'UF,URX'])
  t.match(await text(), /culvert_upstream_retries_total\{destination_service="orders.shop.svc.cluster.local"\} 2/)
})

t.test('requests over a limit are counted by the limit, those of a dry run apart', async (t) => {
  const { under, text } = telemetry()
  under.exchangeEnded(report({ status: 429, flags: ['RL'], reason: 'shop/a/x shop/a/y', wouldRefuse: ['shop/b/z'] }))
  under.exchangeEnded(report({ wouldRefuse: ['shop/b/z'] }))
  under.exchangeEnded(report({ status: 503, flags: ['UF'], reason: 'something else' }))
  const counted = (await text()).split('\n').filter((line) => line.startsWith('culvert_rate_limited_requests_total{'))
  t.same(counted.toSorted(), [
    'culvert_rate_limited_requests_total{limit="shop/a/x",outcome="refused"} 1',
    'culvert_rate_limited_requests_total{limit="shop/a/y",outcome="refused"} 1',
    'culvert_rate_limited_requests_total{limit="shop/b/z",outcome="dry_run"} 2',
  ])
})

t.test('the number of series is bounded, and one that comes again counts on', async (t) => {
  const { under, text } = telemetry(4)
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 10; index++) under.exchangeEnded(report({ status: 200 + index }))
  }
  const counted = (await text()).split('\n').filter((line) => line.startsWith('istio_requests_total{'))
  t.ok(counted.length <= 4, String(counted.length))
  t.ok(counted.every((line) => Number(line.split(' ').at(-1)) >= 1))
})

t.test('the access log says of each request what it was, however alike the one before', (t) => {
  const file = `${t.testdir()}/log`
  const fd = openSync(file, 'w')
  const log = createLogger({ name: 'waypoint', fd })
  const options = { clusterName: () => 'Kubernetes', serviceByKey: () => orders, serviceByHostname: () => orders }
  const under = new RequestTelemetry(new MetricSet(), log, options)
  const route = { kind: 'HTTPRoute', namespace: 'shop', name: 'r', index: 1 } as const
  under.exchangeEnded(report({ path: '/"x"', route: undefined }))
  under.exchangeEnded(report({ path: '/y', route }))
  under.exchangeEnded(
    report({ method: 'PUT', authority: 'b', reason: 'be"cause', attempts: 2, wouldRefuse: ['l1', 'l2'] }),
  )
  under.exchangeEnded(report({ flags: ['UF'], status: 503, grpcStatus: 14 }))
  under.logLevel = 'error'
  under.exchangeEnded(report())
  closeSync(fd)
  const lines = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  t.match(lines, [
    {
      level: 'info',
      scope: 'access',
      direction: 'waypoint',
      'src.workload': 'client',
      'dst.service': 'orders.shop.svc.cluster.local',
      'dst.workload': 'orders-1',
      path: '/"x"',
      status: 200,
      flags: '-',
      bytes_recv: 10,
      bytes_sent: 1_000,
      duration: '5ms',
      msg: 'request complete',
    },
    { path: '/y', route: 'HTTPRoute shop/r 1' },
    { method: 'PUT', authority: 'b', error: 'be"cause', attempts: 2, 'ratelimit.dry_run': 'l1,l2' },
    { level: 'warn', flags: 'UF', status: 503, grpc_status: 14 },
  ])
  t.equal(lines.length, 4)
  t.notOk('route' in lines[0]! || 'attempts' in lines[1]!)
  t.end()
})
