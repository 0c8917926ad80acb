// What one exchange costs a waypoint, from its client's tunnel stream to the endpoint's and back, in one process and without TLS and
// sockets: codecs, tunnels, stack, pool, metrics and the access log as they are. The two ends are in the figures as well; they do next to
// nothing. Processor time and the best of many batches, since other work on the machine spoils everything else.
//   node bench/exchange.ts [CONNECTIONS] [BATCHES]
import { randomUUID } from 'node:crypto'
import { openSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { type Duplex, duplexPair } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { createLogger } from '../core/base/log.ts'
import { MetricSet } from '../core/base/metrics.ts'
import { Http2Session, type SessionHooks } from '../core/hbone/h2/session.ts'
import type { TunnelHttp2Stream } from '../core/hbone/h2/stream.ts'
import { defaultLimits } from '../core/hbone/limits.ts'
import { route, scene } from '../test/helpers/waypoint-scene.ts'
import { ClientConnection } from '../waypoint/client-connection.ts'
import type { Origin } from '../waypoint/exchange.ts'
import { RequestTelemetry } from '../waypoint/telemetry/telemetry.ts'
import { systemTimers } from '../waypoint/timers.ts'
import { openHttp1 } from '../waypoint/upstream/http1.ts'
import { openHttp2 } from '../waypoint/upstream/http2.ts'
import { UpstreamPool } from '../waypoint/upstream/pool.ts'

const connections = Number(process.argv[2] ?? 32)
const batches = Number(process.argv[3] ?? 30)
const perBatch = 4_000

const request = Buffer.from('GET /1k HTTP/1.1\r\nHost: orders.shop:80\r\n\r\n')
const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nServer: nginx/1.27\r\nDate: Sat, 21 Nov 2026 15:42:21 GMT\r\nContent-Type: application/octet-stream\r
Content-Length: 1024\r\nLast-Modified: Sat, 21 Nov 2026 15:00:00 GMT\r\nConnection: keep-alive\r\nETag: "65000000-400"\r
Accept-Ranges: bytes\r\n\r\n${'k'.repeat(1_024)}`,
)
const connect = [
  [':method', 'CONNECT'],
  [':authority', '240.240.0.1:80'],
] as const

/** A session of tunnels; `onStream` takes those that the client opens. */
function tunnels(onStream: (stream: TunnelHttp2Stream) => void): Http2Session {
  const hooks: Omit<SessionHooks, 'onHeaders'> = {
    onSettings: () => {},
    onGoaway: () => {},
    onClosed: (error) => console.error(error),
  }
  const [near, far] = duplexPair({ highWaterMark: 1_048_576 }) as unknown as [TLSSocket, TLSSocket]
  const limits = { ...defaultLimits, serverMaxStreams: 1_000 }
  const server: Http2Session = new Http2Session(far, 'server', limits, {
    ...hooks,
    onHeaders: (stream) => {
      server.respond(stream, [[':status', '200']])
      onStream(stream)
    },
  })
  return new Http2Session(near, 'client', limits, {
    ...hooks,
    onHeaders: (stream, fields) => stream.onAnswer?.(fields, false),
  })
}

function open(session: Http2Session): Promise<TunnelHttp2Stream> {
  const stream = session.request(connect)
  if (stream === undefined) throw new Error('the session takes no more streams')
  return new Promise((resolve) => {
    stream.onAnswer = () => resolve(stream)
  })
}

/** What an application does: one answer for whatever comes, which is one request each time. */
function serve(stream: TunnelHttp2Stream): void {
  stream.readDirect({ data: () => stream.send(answer) })
}

const toApplication = tunnels(serve)
const { model, stack, origin } = build()
const clock = (): number => performance.now()

function build() {
  const metrics = new MetricSet()
  const log = createLogger({ name: 'waypoint', fd: openSync('/dev/null', 'w'), gather: true })
  const known = (key: string) => made.model.serviceByKey(key)
  const upstream = new UpstreamPool({
    dial: (): Promise<Duplex> => open(toApplication),
    open: { http1: openHttp1, http2: openHttp2 },
    clock: () => performance.now(),
  })
  const telemetry = new RequestTelemetry(metrics, log, {
    clusterName: () => '',
    serviceByKey: known,
    serviceByHostname: () => undefined,
  })
  const made = scene({
    clock: () => performance.now(),
    date: Date.now,
    timers: systemTimers,
    random: Math.random,
    requestId: randomUUID,
    telemetry,
    upstream,
  })
  return made
}

model.route(
  route({
    matches: [
      {
        path: { kind: 'prefix', value: '/never' },
        headers: [{ name: 'x-version', match: { kind: 'exact', value: 'two' } }],
      },
    ],
  }),
  route({ filters: { request: { set: [{ name: 'x-bench', value: 'yes' }], add: [], remove: [] } } }),
)
stack.update()

/** A client connection has an origin of its own. */
function accept(stream: TunnelHttp2Stream): void {
  const own: Origin = { ...origin, address: { ...origin.address } }
  const http = { origin: own, handler: stack.handle, clock } as const
  const never = (): never => {
    throw new Error('not HTTP/1.1')
  }
  new ClientConnection(stream, {
    hint: 'http',
    http1: { ...http, onRefused: (error) => console.error(error) },
    http2: never,
    tcp: never,
  })
}

let left = 0
let finished: () => void = () => {}

async function load(session: Http2Session): Promise<() => void> {
  const stream = await open(session)
  let due = 0
  stream.readDirect({
    data: (chunk) => {
      due += chunk.length
      // An answer of ours is never as short as this, and never as long as two.
      if (due < 1_200) return
      due = 0
      left -= 1
      if (left >= connections) stream.send(request)
      else if (left === 0) finished()
    },
  })
  return () => stream.send(request)
}

setInterval(() => {}, 1_000)
const fromClients = tunnels(accept)
await new Promise((resolve) => setTimeout(resolve, 50))
const starts = await Promise.all(Array.from({ length: connections }, () => load(fromClients)))

async function batch(): Promise<number> {
  const before = process.cpuUsage()
  left = perBatch
  await new Promise<void>((resolve) => {
    finished = resolve
    for (const start of starts) start()
  })
  const { user, system } = process.cpuUsage(before)
  return (user + system) / perBatch
}

const costs: number[] = []
for (let count = 0; count < batches; count += 1) costs.push(await batch())
costs.sort((a, b) => a - b)
console.log(
  `${connections} connections: best ${costs[0]!.toFixed(2)}, median ${costs[costs.length >> 1]!.toFixed(2)} µs of processor time per exchange`,
)
process.exit(0)
