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
