// The waypoint as a plain HTTP proxy, without tunnels and without a mesh: `node bench/waypoint/plain-proxy.ts APPLICATION_ADDRESS`. The
// same detection, codecs, stack, pool, metrics and access log as in the process, and the same route as in subjects.ts. Started by world.ts.
import { randomUUID } from 'node:crypto'
import { openSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createLogger } from '../../core/base/log.ts'
import { MetricSet } from '../../core/base/metrics.ts'
import { keyOf, route, scene, service, toService, workload } from '../../test/helpers/waypoint-scene.ts'
import { ClientConnection } from '../../waypoint/client-connection.ts'
import type { Origin } from '../../waypoint/exchange.ts'
import { Failure } from '../../waypoint/http/failure.ts'
import { Http2ServerConnection } from '../../waypoint/http2/server-connection.ts'
import { RequestTelemetry } from '../../waypoint/telemetry/telemetry.ts'
import { systemTimers } from '../../waypoint/timers.ts'
import { openHttp1 } from '../../waypoint/upstream/http1.ts'
import { openHttp2 } from '../../waypoint/upstream/http2.ts'
import { UpstreamPool } from '../../waypoint/upstream/pool.ts'
import type { UpstreamTarget } from '../../waypoint/upstream/upstream.ts'
import { ports } from './subjects.ts'

const [application = '127.0.0.1'] = process.argv.slice(2)
const clock = (): number => performance.now()

function dial(_origin: Origin, { address }: UpstreamTarget): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.address, port: address.port, noDelay: true, allowHalfOpen: true })
    const failed = (error: Error): void => reject(new Failure('connect', error.message, { cause: error }))
    socket.once('error', failed)
    socket.once('connect', () => {
      socket.off('error', failed)
      resolve(socket)
    })
  })
}

const metrics = new MetricSet()
const log = createLogger({ name: 'waypoint', fd: openSync('/dev/null', 'w'), gather: true })
const { model, stack, origin } = scene({
  clock,
  date: Date.now,
  timers: systemTimers,
  random: Math.random,
  requestId: randomUUID,
  telemetry: new RequestTelemetry(metrics, log, {
    clusterName: () => '',
    serviceByKey: (key) => model.serviceByKey(key),
    serviceByHostname: () => undefined,
  }),
  upstream: new UpstreamPool({ dial, open: { http1: openHttp1, http2: openHttp2 }, clock }),
})
const all = Object.values(ports)
const orders = service('orders', {
  ports: [
    { name: 'http', port: ports.http, protocol: 'TCP' },
    { name: 'http2', port: ports.h2, protocol: 'TCP', appProtocol: 'kubernetes.io/h2c' },
  ],
})
const targetPorts = Object.fromEntries(all.map((port) => [String(port), port]))
const membership = { service: keyOf('orders'), ports: targetPorts }
model.add(orders, workload('v1', { addresses: [application], protocol: 'TCP', services: [membership] }))
for (const port of all) {
  const { backend, ...rest } = toService('orders')
  const destinations = [{ ...rest, backend: { ...backend, port } as typeof backend }]
  const never = {
    path: { kind: 'segments', value: '/never' },
    headers: [{ name: 'x-version', match: { kind: 'exact', value: 'two' } }],
  } as const
  const action = { kind: 'forward', destinations } as const
  const request = { set: [{ name: 'x-bench', value: 'yes' }], add: [], remove: [] }
  const everyone = {
    precedence: 'first',
    routes: [route({ matches: [never], action }), route({ action, filters: { request } })],
  } as const
  model.tables.set(`${keyOf('orders')} ${port}`, { service: keyOf('orders'), port, everyone, consumers: {} })
}
stack.update()

function serve(socket: Socket, port: number): void {
  socket.on('error', () => {})
  const address = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
  const own: Origin = { ...origin, address, service: orders, destination: { ...origin.destination, port } }
  const http = { origin: own, handler: stack.handle, clock } as const
  new ClientConnection(socket, {
    hint: 'http',
    http1: http,
    http2: (stream, first) => new Http2ServerConnection(stream, { ...http, scheme: 'http' }, first),
    tcp: (stream) => {
      stream.destroy()
      return { drain: () => {}, destroy: () => {} }
    },
  })
}

for (const port of all) {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => serve(socket, port))
  server.listen({ host: '0.0.0.0', port, backlog: 4_096 })
}
