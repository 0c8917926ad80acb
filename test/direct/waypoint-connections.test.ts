// Connections that are no HTTP through a real waypoint: where TCPRoute and TLSRoute send them, and what no rule takes.
import { once } from 'node:events'
import { type Duplex, duplexPair } from 'node:stream'
import tls from 'node:tls'
import t from 'tap'
import { nullLogger } from '../../core/base/log.ts'
import { TunnelServer } from '../../core/hbone/server.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { report } from '../helpers/control-reports.ts'
import { type Test, until } from '../helpers/control-world.ts'
import { clientAddress, WaypointWorld } from '../helpers/waypoint-world.ts'

const parent = [{ group: '', kind: 'Service', name: 'orders' }]
const endpoints = [
  ['raw-v1', '10.0.0.3', 'v1'],
  ['raw-v2', '10.0.0.4', 'v2'],
] as const

function object(kind: string, name: string, spec: object, version = 'gateway.networking.k8s.io/v1'): MeshObject {
  return { apiVersion: version, kind, metadata: { name, namespace: 'shop' }, spec: spec as Record<string, unknown> }
}

/** Endpoints that answer the first bytes with their name; each behind a Service of its own. */
async function rawWorld(test: Test): Promise<WaypointWorld> {
  const world = await WaypointWorld.create(test)
  for (const [name, address] of endpoints) {
    const credentials = await world.credentials('orders')
    const tunnels = new TunnelServer({
      contexts: () => credentials,
      trustDomain: () => 'cluster.local',
      onConnect: (connect) => {
        const stream = connect.accept()
        stream.on('error', () => {})
        stream.once('data', () => stream.end(name))
      },
      log: nullLogger(),
    })
    await world.loopback.serve({ address, port: 15008 }, (socket) => tunnels.accept(socket))
    test.teardown(async () => tunnels.close())
    await world.apply(object('Service', name, { selector: { app: name }, ports: [{ port: 80 }] }, 'v1'))
  }
  await world.host.report(
    report('h1', 'frontend', clientAddress, { captured: true }),
    ...endpoints.map(([name, address]) =>
      report('h1', name, address, { serviceAccount: 'orders', captured: true, labels: { app: name } }),
    ),
  )
  const waypoint = await world.waypoint(await world.token())
  await waypoint.ready
  return world
}

async function answer(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = []
  stream.on('error', () => {})
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer)
  } catch {
    return 'refused'
  }
  return chunks.length === 0 ? 'refused' : Buffer.concat(chunks).toString()
}

t.test('TCPRoute: every connection goes by its weights, and nobody looks into it', async (t) => {
  const world = await rawWorld(t)
  const to = (name: string, weight: number) => ({ name, port: 80, weight })
  await world.apply(
    object('TCPRoute', 'split', { parentRefs: parent, rules: [{ backendRefs: [to('raw-v1', 1), to('raw-v2', 1)] }] }),
  )
  const caller = await world.caller()
  const authority = `${await world.vip()}:80`
  const ask = async (text: string): Promise<string> => {
    const stream = await caller.connect(authority)
    stream.write(text)
    return await answer(stream)
  }
  await until('the route', async () => (await ask('hello\r\n\r\n')).startsWith('raw-'))
  const found = new Set<string>()
  for (let n = 0; n < 40; n++) found.add(await ask('GET / HTTP/1.1\r\nhost: orders\r\n\r\n'))
  t.same([...found].sort(), ['raw-v1', 'raw-v2'], 'also where it looks like HTTP')
})

t.test(
  'TLSRoute: by the server name that the client asks for; others, and those without TLS, are refused',
  async (t) => {
    const world = await rawWorld(t)
    const route = (name: string, hostnames: readonly string[], backend: string) =>
      object('TLSRoute', name, {
        parentRefs: parent,
        hostnames,
        rules: [{ backendRefs: [{ name: backend, port: 80 }] }],
      })
    await world.apply(route('one', ['one.example'], 'raw-v1'), route('others', ['*.example'], 'raw-v2'))
    const caller = await world.caller()
    const authority = `${await world.vip()}:80`
    const ask = async (servername: string): Promise<string> => {
      const stream = await caller.connect(authority)
      // the hello of Node's own client, in two pieces; what comes back is no TLS but the endpoint's name
      const hello = await helloFor(servername)
      stream.write(hello.subarray(0, 50))
      setTimeout(() => stream.write(hello.subarray(50)), 20)
      return await answer(stream)
    }
    await until('one route', async () => (await ask('one.example')) === 'raw-v1')
    await until('the other', async () => (await ask('two.example')) === 'raw-v2')
    t.equal(await ask('example.org'), 'refused')
    const plain = await caller.connect(authority)
    plain.write('hello\r\n')
    t.equal(await answer(plain), 'refused')
  },
)

/** What Node's own client sends first. */
async function helloFor(servername: string): Promise<Buffer> {
  const [near, far] = duplexPair()
  const client = tls.connect({ socket: near, servername })
  client.on('error', () => {})
  const [hello] = (await once(far, 'data')) as [Buffer]
  client.destroy()
  return hello
}

const rule = (trafficPolicy: object): MeshObject =>
  object('DestinationRule', 'orders', { host: 'orders', trafficPolicy }, 'networking.istio.io/v1')

t.test('a hash by source address holds for connections as well', async (t) => {
  const world = await WaypointWorld.create(t)
  await world.apply(rule({ loadBalancer: { consistentHash: { useSourceIp: true } } }))
  await (await world.waypoint(await world.token())).ready
  const authority = `${await world.vip()}:80`
  const used = new Set<string>()
  for (let host = 1; host <= 8; host += 1) {
    const caller = await world.caller('frontend', `10.0.9.${host}`)
    const before = world.raw.length
    for (let n = 0; n < 4; n += 1) {
      const stream = await caller.connect(authority)
      stream.write(Buffer.from([1]))
      await once(stream, 'data')
      stream.destroy()
    }
    const mine = new Set(world.raw.slice(before).map(({ endpoint }) => endpoint))
    t.equal(mine.size, 1, `10.0.9.${host} keeps to one`)
    for (const endpoint of mine) used.add(endpoint)
  }
  t.equal(used.size, 2, 'and all are used')
})

t.test(
  'an endpoint that takes no connections is ejected, and connections are counted while they are open',
  async (t) => {
    const world = await WaypointWorld.create(t)
    await world.apply(
      rule({
        loadBalancer: { simple: 'ROUND_ROBIN' },
        outlierDetection: { consecutive5xxErrors: 2, baseEjectionTime: '600s', maxEjectionPercent: 50 },
      }),
    )
    const labels = { app: 'orders', version: 'v1' }
    await world.host.report(
      report('h1', 'frontend', clientAddress, { captured: true }),
      report('h1', 'orders-v1', '10.0.0.1', { serviceAccount: 'orders', captured: true, labels }),
      // nobody serves there
      report('h1', 'orders-v7', '10.0.0.7', { serviceAccount: 'orders', captured: true, labels }),
    )
    const waypoint = await world.waypoint(await world.token())
    await waypoint.ready
    const scraped = async (): Promise<string> => {
      const { address, port } = waypoint.addresses.metrics
      return await (await fetch(`http://${address}:${port}/metrics`)).text()
    }
    const caller = await world.caller()
    const authority = `${await world.vip()}:80`
    for (let n = 0; n < 8; n += 1) {
      const stream = await caller.connect(authority)
      stream.write(Buffer.from([1, 2, 3]))
      const [echoed] = (await once(stream, 'data')) as [Buffer]
      t.same([...echoed], [1, 2, 3], 'another endpoint serves')
      stream.end()
      await once(stream.resume(), 'close')
    }
    const ejected = (text: string): boolean => /culvert_endpoints\{.*state="ejected"\} 1/.test(text)
    t.ok(ejected(await scraped()))
    const open = await caller.connect(authority)
    open.write(Buffer.alloc(100))
    await once(open, 'data')
    const counted = async (name: string): Promise<number> => {
      const line = (await scraped()).split('\n').find((each) => each.startsWith(`istio_tcp_${name}{`))
      return Number(line?.split(' ').at(-1))
    }
    t.equal(await counted('connections_opened_total'), 9)
    t.equal(await counted('connections_closed_total'), 8)
    t.equal(await counted('received_bytes_total'), 124)
    t.equal(await counted('sent_bytes_total'), 124)
    open.destroy()
    await until('its end', async () => (await counted('connections_closed_total')) === 9)
  },
)
