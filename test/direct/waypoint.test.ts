// A real waypoint in this process between callers and endpoints: how it joins, whom it serves, how it comes back.
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import type { MeshObject } from '../../core/model/resource.ts'
import { api, directory, until } from '../helpers/control-world.ts'
import { WaypointWorld } from '../helpers/waypoint-world.ts'

const statusOf = (answer: string): string => answer.split('\r\n')[0] ?? ''
const bodyOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n') + 4)

const split: MeshObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'orders', namespace: 'shop' },
  spec: {
    hosts: ['orders'],
    http: [
      {
        match: [{ uri: { prefix: '/new' } }],
        route: [{ destination: { host: 'orders', subset: 'v2' } }],
      },
      { route: [{ destination: { host: 'orders', subset: 'v1' } }] },
    ],
  },
}

const subsets: MeshObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name: 'orders', namespace: 'shop' },
  spec: {
    host: 'orders',
    subsets: [
      { name: 'v1', labels: { version: 'v1' } },
      { name: 'v2', labels: { version: 'v2' } },
    ],
  },
}

t.test('a waypoint joins with a token, and an HTTP request passes it with its caller’s identity', async (t) => {
  const world = await WaypointWorld.create(t)
  const waypoint = await world.waypoint(await world.token())
  await waypoint.ready
  const known = await until('the instance', () => {
    const found = world.host.snapshot.workloadByAddress('10.0.5.1')
    return found?.protocol === 'HBONE' ? found : undefined
  })
  t.match(known, { name: 'wp', serviceAccount: 'wp', services: [{ service: 'shop/wp.shop.svc.cluster.local' }] })

  const caller = await world.caller()
  const vip = await world.vip()
  const answer = await caller.get(`${vip}:80`, '/a/b?c=1')
  t.equal(statusOf(answer), 'HTTP/1.1 200 OK')
  t.match(bodyOf(answer), /orders-v[12]/)
  t.equal(world.seen.length, 1)
  t.match(world.seen[0], {
    authority: /^10\.0\.0\.[12]:8080$/,
    peer: 'spiffe://cluster.local/ns/shop/sa/wp',
    headers: { source: 'spiffe://cluster.local/ns/shop/sa/frontend', forwarded: /for="?10\.0\.9\.9/ },
    method: 'GET',
    path: '/a/b?c=1',
    host: 'orders',
  })
})

t.test('routes of the control plane hold, and a change holds without a new connection', async (t) => {
  const world = await WaypointWorld.create(t)
  await world.apply(subsets, split)
  const waypoint = await world.waypoint(await world.token())
  await waypoint.ready
  const caller = await world.caller()
  const to = `${await world.vip()}:80`
  t.equal(bodyOf(await caller.get(to, '/new/x')), 'orders-v2')
  t.equal(bodyOf(await caller.get(to, '/old')), 'orders-v1')
  await world.patch(split, { spec: { http: [{ route: [{ destination: { host: 'orders', subset: 'v2' } }] }] } })
  await until('the new route', async () => bodyOf(await caller.get(to, '/old')) === 'orders-v2')
})

t.test(
  'a client of HTTP/2 with prior knowledge is served, and the endpoint is spoken to as the client speaks',
  async (t) => {
    const world = await WaypointWorld.create(t)
    await (await world.waypoint(await world.token())).ready
    const caller = await world.caller()
    const stream = await caller.connect(`${await world.vip()}:80`)
    const session = connectHttp2('http://orders', { createConnection: () => stream as never })
    t.teardown(() => session.destroy())
    const get = async (path: string): Promise<string> => {
      const request = session.request({ ':path': path })
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      return Buffer.concat(chunks).toString()
    }
    const answers = await Promise.all(['/1', '/2', '/3'].map(get))
    t.match(answers, [/orders-v/, /orders-v/, /orders-v/])
    t.same(world.seen.map(({ path }) => path).toSorted(), ['/1', '/2', '/3'])
    t.same(new Set(world.seen.map(({ version, host }) => `${version} ${host}`)), new Set(['2.0 orders:80']))
  },
)

t.test('what is not HTTP passes as it is, and rules for connections see the server name of TLS', async (t) => {
  const world = await WaypointWorld.create(t)
  await (await world.waypoint(await world.token())).ready
  const caller = await world.caller()
  const to = `${await world.vip()}:80`
  const raw = await caller.connect(to)
  raw.write(Buffer.from([1, 2, 3]))
  const [echoed] = (await once(raw, 'data')) as [Buffer]
  t.same([...echoed], [1, 2, 3])
  raw.destroy()

  const route = (name: string, hostnames: readonly string[], backend: string): MeshObject => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'TLSRoute',
    metadata: { name, namespace: 'shop' },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: 'orders' }],
      hostnames,
      rules: [{ backendRefs: [{ name: backend, port: 80 }] }],
    },
  })
  const version = (name: string): MeshObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop' },
    spec: { selector: { version: name }, ports: [{ port: 80, targetPort: 8080 }] },
  })
  await world.apply(version('v1'), version('v2'), route('a', ['a.example'], 'v1'), route('b', ['b.example'], 'v2'))
  const greet = async (servername: string): Promise<string | undefined> => {
    const before = world.raw.length
    const stream = await caller.connect(to)
    stream.on('error', () => {})
    // The endpoint echoes, which is no TLS: either way the client hangs up.
    const closed = new Promise<void>((resolve) => stream.once('close', resolve))
    connectTls({ socket: stream as never, servername }).on('error', () => {})
    await closed
    return world.raw[before]?.endpoint
  }
  await until('the routes', async () => (await greet('c.example')) === undefined)
  await until(
    'both routes',
    async () => (await greet('b.example')) === 'orders-v2' && (await greet('a.example')) === 'orders-v1',
  )
  t.equal(await greet('c.example'), undefined, 'no rule holds: nobody hears of it')
})

t.test('two replicas count a mesh-wide limit together', async (t) => {
  const world = await WaypointWorld.create(t)
  await world.apply({
    apiVersion: 'culvert.dev/v1alpha1',
    kind: 'RateLimitPolicy',
    metadata: { name: 'orders', namespace: 'shop' },
    spec: {
      targetRefs: [{ kind: 'Service', name: 'orders' }],
      rules: [{ name: 'all', scope: 'Mesh', limit: { requests: 20, per: '1h' } }],
    },
  })
  const folder = await directory(t)
  const second = { instance: 'wp-2', address: '10.0.5.2', stateDir: folder }
  const first = await world.waypoint(await world.token())
  const other = await world.waypoint(await world.token('wp-2.shop'), second)
  await Promise.all([first.ready, other.ready])
  await until('both replicas', () => {
    const found = world.host.snapshot.endpointsOf('shop/wp.shop.svc.cluster.local')
    return found.filter(({ health }) => health === 'healthy').length === 2
  })
  const caller = await world.caller()
  const to = `${await world.vip()}:80`
  let passed = 0
  for (let round = 0; round < 40; round++) {
    for (const replica of ['10.0.5.1', '10.0.5.2']) {
      if (statusOf(await caller.get(to, '/', replica)) === 'HTTP/1.1 200 OK') passed += 1
    }
  }
  t.ok(passed >= 20 && passed <= 24, `${passed} of 80 passed`)
})

t.test('a mesh-wide limit does not begin anew when a replica goes and others keep its limits', async (t) => {
  const world = await WaypointWorld.create(t)
  await world.apply({
    apiVersion: 'culvert.dev/v1alpha1',
    kind: 'RateLimitPolicy',
    metadata: { name: 'orders', namespace: 'shop' },
    spec: {
      targetRefs: [{ kind: 'Service', name: 'orders' }],
      rules: [{ name: 'each', scope: 'Mesh', keys: [{ type: 'Path' }], limit: { requests: 10, per: '1h' } }],
    },
  })
  const folder = await directory(t)
  const first = await world.waypoint(await world.token())
  const other = await world.waypoint(await world.token('wp-2.shop'), {
    instance: 'wp-2',
    address: '10.0.5.2',
    stateDir: folder,
  })
  await Promise.all([first.ready, other.ready])
  const serving = (): number =>
    world.host.snapshot.endpointsOf('shop/wp.shop.svc.cluster.local').filter(({ health }) => health === 'healthy')
      .length
  await until('both replicas', () => serving() === 2)
  const caller = await world.caller()
  const to = `${await world.vip()}:80`
  // some are kept by this replica, some by that
  const paths = ['/a', '/b', '/c', '/d', '/e', '/f']
  const passed = new Map(paths.map((path) => [path, 0]))
  const ask = async (replica: string): Promise<void> => {
    for (const path of paths) {
      if (statusOf(await caller.get(to, path, replica)) === 'HTTP/1.1 200 OK') passed.set(path, passed.get(path)! + 1)
    }
  }
  for (let round = 0; round < 20; round++) for (const replica of ['10.0.5.1', '10.0.5.2']) await ask(replica)
  await first.close()
  await until('one replica', () => serving() === 1)
  for (let round = 0; round < 20; round++) await ask('10.0.5.2')
  for (const [path, count] of passed) t.ok(count >= 10 && count <= 13, `${path}: ${count} of 60 passed`)
})

t.test('it is no open proxy: what it does not serve is refused, malformed targets are told apart', async (t) => {
  const world = await WaypointWorld.create(t)
  await (await world.waypoint(await world.token())).ready
  const caller = await world.caller()
  const vip = await world.vip()
  for (const authority of ['10.0.9.9:80', '93.184.215.14:80', '240.240.255.1:80']) {
    await t.rejects(caller.connect(authority), { code: 'TUNNEL_DENIED' }, authority)
  }
  for (const authority of ['127.0.0.1:15000', '10.0.5.1:15008', `${vip}:81`, 'orders:80', '10.0.0.1:15008']) {
    await t.rejects(caller.connect(authority), { code: 'TUNNEL_BAD_REQUEST' }, authority)
  }
  t.same(world.seen, [])
  const byAddress = await caller.get('10.0.0.2:8080')
  t.equal(bodyOf(byAddress), 'orders-v2', 'a workload behind it is served by its own address')
})

t.test('its files are private, and it serves without the control plane after a restart', async (t) => {
  const world = await WaypointWorld.create(t)
  const first = await world.waypoint(await world.token())
  await first.ready
  const vip = await world.vip()
  const caller = await world.caller()
  t.match(bodyOf(await caller.get(`${vip}:80`)), /orders/)
  const files = ['model.json', 'host-certificate.json'].map((name) => join(world.waypointState, name))
  await until('the saved model', async () => (await readFile(files[0]!, 'utf8').catch(() => '')).includes(vip))
  await first.close()
  for (const file of files) t.equal(statSync(file).mode & 0o777, 0o600, file)
  t.equal(statSync(join(world.waypointState, 'certificates')).mode & 0o777, 0o700)
  await world.control.close()
  const second = await world.waypoint()
  await second.ready
  t.match(bodyOf(await caller.get(`${vip}:80`)), /orders/)
})

t.test('who stops it takes it out of the model first, and what is under way finishes', async (t) => {
  const world = await WaypointWorld.create(t)
  const waypoint = await world.waypoint(await world.token(), { drainTimeout: '10s' })
  await waypoint.ready
  const caller = await world.caller()
  const vip = await world.vip()
  let release = (): void => {}
  world.answer = (_, response, endpoint) => {
    release = () => response.end(endpoint)
  }
  const answer = caller.get(`${vip}:80`)
  await until('the request', () => world.seen.length === 1)
  const closed = waypoint.close()
  await until('withdrawn', () => world.host.snapshot.workloadByAddress('10.0.5.1')?.health === 'unhealthy')
  release()
  t.match(bodyOf(await answer), /orders/)
  await closed
})

t.test('what it could not take of the model is told upwards, and the admin page shows what it has', async (t) => {
  const world = await WaypointWorld.create(t)
  const waypoint = await world.waypoint(await world.token())
  await waypoint.ready
  const caller = await world.caller()
  await caller.get(`${await world.vip()}:80`)
  const dump = async (path: string): Promise<unknown> => {
    const { address, port } = waypoint.addresses.admin
    return await (await fetch(`http://${address}:${port}${path}`)).json()
  }
  t.match(await dump('/config_dump'), { waypoint: 'shop/wp.shop.svc.cluster.local', feed: 'connected' })
  t.notMatch(JSON.stringify(await dump('/config_dump')), /PRIVATE KEY/)
  t.match(await dump('/clusters'), [{ service: 'shop/orders.shop.svc.cluster.local', endpoints: [{}, {}] }])
  const { address, port } = waypoint.addresses.metrics
  const metrics = await (await fetch(`http://${address}:${port}/metrics`)).text()
  t.match(metrics, /istio_requests_total\{reporter="waypoint",source_workload="frontend".* 1/)
  const status = await until('acknowledged', async () => {
    const { body } = await api(world.stateDir, 'GET', '/culvert/v1/status')
    const hosts = body['hosts'] as { host: string; lag: number; refused: unknown[] }[]
    return hosts.find(({ host, lag }) => host === 'wp.shop' && lag === 0)
  })
  t.same(status.refused, [])
})
