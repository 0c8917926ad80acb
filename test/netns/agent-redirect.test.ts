// The redirection in real network namespaces: installed, idempotent, repaired, removed without a trace, and really diverting.
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { Redirector, type RedirectRecord } from '../../agent/redirect/apply.ts'
import { namespaceCommands } from '../../agent/redirect/command.ts'
import { connectionKey, countHeldByDaemon, listUncaptured, resetConnections } from '../../agent/redirect/established.ts'
import { nullLogger } from '../../core/base/log.ts'
import type { SocketAddress } from '../../core/net/address.ts'
import { boundSocket, NetworkNamespace, tcpListener, tcpSocket } from '../../core/net/sys.ts'
import { originalDestination } from '../../core/net/sys-ends.ts'
import { addresses, createNamespaces, run, type TestNamespaces, trace } from '../helpers/agent-namespace.ts'

const vipRanges = ['240.240.0.0/16', '2001:2::/48']
const command = namespaceCommands()
const redirector = new Redirector({ host: 'h1', run: command, log: nullLogger() })

interface Installed {
  readonly namespaces: TestNamespaces
  readonly target: { workload: string; netns: string; ports: readonly number[]; vipRanges: readonly string[] }
  record: RedirectRecord | undefined
  apply(): Promise<readonly string[]>
}

function prepare(test: Test): Installed {
  const namespaces = createNamespaces()
  test.teardown(() => namespaces.remove())
  const target = { workload: 'shop/orders', netns: namespaces.workload, ports: [18080], vipRanges }
  const installed: Installed = {
    namespaces,
    target,
    record: undefined,
    apply: () =>
      redirector.apply(target, installed.record, async (record) => {
        installed.record = record
      }),
  }
  return installed
}

async function listenIn(test: Test, netns: string, address: string, port: number): Promise<Server> {
  const namespace = NetworkNamespace.open(netns)
  const fd = namespace.run(() => tcpListener({ address, port, v6Only: address.includes(':') }))
  namespace.close()
  const server = createServer()
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen({ fd }, resolve))
  test.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return server
}

async function connectIn(test: Test, netns: string, to: SocketAddress, mark = 0): Promise<Socket> {
  const family = to.address.includes(':') ? 'ipv6' : 'ipv4'
  const namespace = NetworkNamespace.open(netns)
  const fd = namespace.run(() => tcpSocket({ family, ...(mark === 0 ? {} : { mark }) }))
  namespace.close()
  const socket = boundSocket(fd)
  socket.on('error', () => {})
  test.teardown(() => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.connect({ host: to.address, port: to.port }, resolve)
  })
  return socket
}

function accepted(server: Server): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('nothing was accepted within 5 s')), 5000)
    server.once('connection', (socket) => {
      clearTimeout(timer)
      resolve(socket)
    })
  })
}

/** What each end of a connection receives of the other. */
function talk(inside: Socket, outside: Socket): Promise<readonly string[]> {
  const received = (socket: Socket): Promise<string> =>
    new Promise((resolve, reject) => {
      socket.once('data', (data: Buffer) => resolve(data.toString()))
      socket.once('close', () => reject(new Error('the connection was closed')))
    })
  const answers = Promise.all([received(outside), received(inside)])
  inside.write('from inside')
  outside.write('from outside')
  return answers
}

t.test('installing twice changes nothing the second time, and removal leaves no trace', async (t) => {
  const installed = prepare(t)
  const before = trace(installed.namespaces.workload)
  t.ok((await installed.apply()).length > 0)
  const once = trace(installed.namespaces.workload)
  t.match(once, 'CULVERT_OUTPUT')
  t.match(once, 'tcp_tw_reuse=1')
  t.match(once, 'nf_conntrack_tcp_loose=0')
  t.match(once, 'ip_local_port_range=10240')
  t.match(once, 'ip_local_reserved_ports=15000-15099,18080')
  t.match(once, '240.240.0.0/16 dev eth0')
  t.match(once, '2001:2::/48 dev eth0')
  t.same(await installed.apply(), [])
  t.equal(trace(installed.namespaces.workload), once)
  await redirector.remove(installed.target, installed.record)
  t.equal(trace(installed.namespaces.workload), before)
  await redirector.remove(installed.target, installed.record)
  t.equal(trace(installed.namespaces.workload), before, 'removing twice is harmless')
})

t.test('what somebody flushed, deleted or doubled is repaired, foreign rules stay', async (t) => {
  const installed = prepare(t)
  const { workload } = installed.namespaces
  const inside = (...argv: readonly string[]) => run('nsenter', `--net=${workload}`, '--', ...argv)
  inside('iptables', '-t', 'nat', '-A', 'OUTPUT', '-d', '10.1.2.3', '-j', 'ACCEPT')
  await installed.apply()
  const good = trace(workload)
  const damage: readonly (readonly string[])[] = [
    ['iptables', '-t', 'nat', '-F', 'CULVERT_OUTPUT'],
    ['iptables', '-t', 'nat', '-D', 'OUTPUT', '-j', 'CULVERT_OUTPUT'],
    ['ip6tables', '-t', 'mangle', '-D', 'CULVERT_PREROUTING', '1'],
    ['iptables', '-t', 'nat', '-I', 'OUTPUT', '-j', 'CULVERT_OUTPUT'],
    ['iptables', '-t', 'nat', '-A', 'CULVERT_OUTPUT', '-j', 'ACCEPT'],
    ['ip', 'rule', 'del', 'pref', '32764'],
    ['ip', '-6', 'route', 'flush', 'table', '100'],
    ['ip', 'route', 'del', '240.240.0.0/16'],
    ['sh', '-c', 'echo 0 > /proc/sys/net/ipv4/tcp_tw_reuse'],
  ]
  for (const argv of damage) {
    inside(...argv)
    t.not(trace(workload), good, argv.join(' '))
    t.ok((await installed.apply()).length > 0)
    t.equal(trace(workload), good, `repaired: ${argv.join(' ')}`)
  }
})

t.test(
  'a namespace with a default route gets no route for virtual IPs, one without IPv6 gets none of its routes',
  async (t) => {
    const installed = prepare(t)
    const { names, workload } = installed.namespaces
    run('ip', '-n', names.workload, 'route', 'add', 'default', 'via', addresses.peer.ipv4)
    run(
      'nsenter',
      `--net=${workload}`,
      '--',
      'sh',
      '-c',
      'for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done',
    )
    const before = trace(workload)
    await installed.apply()
    t.notMatch(trace(workload), '240.240.0.0/16')
    t.notMatch(trace(workload), '2001:2::/48')
    t.match(
      run('nsenter', `--net=${workload}`, '--', 'ip6tables-save'),
      'CULVERT_OUTPUT',
      'IPv6 stays caught if it returns',
    )
    t.same(await installed.apply(), [])
    await redirector.remove(installed.target, installed.record)
    t.equal(trace(workload), before)
  },
)

for (const family of ['ipv4', 'ipv6'] as const) {
  const any = family === 'ipv4' ? '0.0.0.0' : '::'
  const vip = family === 'ipv4' ? '240.240.3.4' : '2001:2::34'

  t.test(
    `${family}: outbound, inbound and DNS connections reach the daemon with their original destination`,
    async (t) => {
      const installed = prepare(t)
      const { workload, peer } = installed.namespaces
      const listeners = new Map<number, Server>()
      for (const port of [15001, 15006, 15008, 15053]) listeners.set(port, await listenIn(t, workload, any, port))
      await installed.apply()
      const cases: readonly { from: string; to: SocketAddress; at: number }[] = [
        { from: workload, to: { address: vip, port: 8080 }, at: 15001 },
        { from: workload, to: { address: addresses.peer[family], port: 9090 }, at: 15001 },
        { from: workload, to: { address: addresses.peer[family], port: 53 }, at: 15053 },
        { from: peer, to: { address: addresses.workload[family], port: 8080 }, at: 15006 },
        { from: peer, to: { address: addresses.workload[family], port: 15008 }, at: 15008 },
      ]
      for (const { from, to, at } of cases) {
        const arrival = accepted(listeners.get(at)!)
        const client = await connectIn(t, from, to)
        const socket = await arrival
        t.same(originalDestination(socket) ?? { address: to.address, port: to.port }, to, `${to.address}:${to.port}`)
        if (at === 15001) t.equal(socket.remotePort, (client.address() as AddressInfo).port)
        client.destroy()
      }
    },
  )

  t.test(
    `${family}: the daemon's own sockets, loopback and the workload calling itself are not diverted`,
    async (t) => {
      const installed = prepare(t)
      const { workload, peer } = installed.namespaces
      await installed.apply()
      const loopback = family === 'ipv4' ? '127.0.0.1' : '::1'
      const outside = await listenIn(t, peer, any, 9090)
      const own = await listenIn(t, workload, any, 8080)
      const marked = accepted(outside)
      await connectIn(t, workload, { address: addresses.peer[family], port: 9090 }, 0x539)
      t.equal((await marked).remoteAddress?.replace('::ffff:', ''), addresses.workload[family])
      for (const address of [loopback, addresses.workload[family]]) {
        const arrival = accepted(own)
        await connectIn(t, workload, { address, port: 8080 })
        t.ok(await arrival, address)
      }
      await t.rejects(
        connectIn(t, workload, { address: vip, port: 80 }),
        { code: 'ECONNREFUSED' },
        'no daemon: refused',
      )
    },
  )

  t.test(
    `${family}: connections from before the capture are counted and reset, those of the daemon are not`,
    async (t) => {
      const installed = prepare(t)
      const { workload, peer } = installed.namespaces
      const outside = await listenIn(t, peer, any, 9090)
      const arrival = accepted(outside)
      const early = await connectIn(t, workload, { address: addresses.peer[family], port: 9090 })
      await arrival
      await listenIn(t, workload, any, 15001)
      await installed.apply()
      const bothWays = await talk(early, await arrival)
      t.same(bothWays, ['from inside', 'from outside'], 'a connection from before goes on')
      await connectIn(t, workload, { address: addresses.peer[family], port: 9090 })
      await connectIn(t, workload, { address: addresses.peer[family], port: 9090 }, 0x539)
      const found = await listUncaptured(command, workload)
      const local = { address: addresses.workload[family], port: (early.address() as AddressInfo).port }
      t.same([...found], [connectionKey({ local, peer: { address: addresses.peer[family], port: 9090 } })])
      const closed = new Promise((resolve) => early.once('close', resolve))
      await resetConnections(command, workload, found)
      await closed
      t.equal((await listUncaptured(command, workload)).size, 0)
    },
  )
}

for (const family of ['ipv4', 'ipv6'] as const) {
  t.test(
    `${family}: the daemon reaches the application with the caller's address, and the answer comes back`,
    async (t) => {
      const installed = prepare(t)
      const { workload } = installed.namespaces
      const any = family === 'ipv4' ? '0.0.0.0' : '::'
      const application = await listenIn(t, workload, any, 8080)
      await listenIn(t, workload, any, 15001)
      await installed.apply()
      application.on('connection', (socket) => socket.end(`you are ${socket.remoteAddress?.replace('::ffff:', '')}`))
      const namespace = NetworkNamespace.open(workload)
      const caller = { address: addresses.peer[family], port: 0 }
      const fd = namespace.run(() =>
        tcpSocket({ family, mark: 0x539, bind: caller, transparent: true, freebind: true }),
      )
      namespace.close()
      const socket = boundSocket(fd)
      t.teardown(() => socket.destroy())
      const answer = new Promise<string>((resolve, reject) => {
        socket.once('error', reject)
        socket.setTimeout(5000, () => socket.destroy(new Error('no answer: replies do not come home')))
        socket.once('data', (data: Buffer) => resolve(data.toString()))
      })
      socket.connect({ host: addresses.workload[family], port: 8080 })
      t.equal(await answer, `you are ${addresses.peer[family]}`)
    },
  )
}

t.test('undiverted, new connections go their own way and those of the daemon go on', async (t) => {
  const installed = prepare(t)
  const { workload, peer } = installed.namespaces
  const before = trace(workload)
  const daemon = await listenIn(t, workload, '0.0.0.0', 15001)
  const outside = await listenIn(t, peer, '0.0.0.0', 9090)
  await installed.apply()
  const to = { address: addresses.peer.ipv4, port: 9090 }
  const taken = accepted(daemon)
  const captured = await connectIn(t, workload, to)
  const held = await taken
  t.equal(await countHeldByDaemon(command, workload), 1)
  await redirector.undivert(installed.target)
  t.notMatch(trace(workload), 'REDIRECT')
  t.match(trace(workload), 'CONNMARK', 'replies are still led home')
  t.same(await talk(captured, held), ['from inside', 'from outside'])
  const direct = accepted(outside)
  await connectIn(t, workload, to)
  await direct
  t.equal(await countHeldByDaemon(command, workload), 1)
  held.destroy()
  captured.destroy()
  while ((await countHeldByDaemon(command, workload)) > 0) await new Promise((resolve) => setTimeout(resolve, 20))
  await redirector.remove(installed.target, installed.record)
  t.equal(trace(workload), before)
})

t.test('an error names host, workload and what to look at', async (t) => {
  const target = { workload: 'shop/orders', netns: '/run/netns/cvag-none', ports: [], vipRanges: [] }
  await t.rejects(
    redirector.apply(target, undefined, async () => {}),
    { code: 'REDIRECT_FAILED', message: /host h1, workload shop\/orders: could not install.*cvag-none/ },
  )
})
