// The real daemon (main thread, data worker, unix socket, namespaces) between two captured namespaces of this machine, with a
// fake agent and a fake CA. Needs root.
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Redirector } from '../../agent/redirect/apply.ts'
import { namespaceCommands } from '../../agent/redirect/command.ts'
import { parseConfig } from '../../core/base/config.ts'
import { nullLogger } from '../../core/base/log.ts'
import type { LocalWorkload } from '../../core/feed/handoff.ts'
import { workloadIdentity } from '../../core/model/canonical.ts'
import type { CompiledDelta, Workload } from '../../core/model/types.ts'
import { familyOf, type SocketAddress } from '../../core/net/address.ts'
import { boundSocket, NetworkNamespace, tcpListener, tcpSocket } from '../../core/net/sys.ts'
import { build } from '../../daemon/app.ts'
import { daemonRows } from '../../daemon/config.ts'
import { addresses, createNamespaces, type TestNamespaces } from '../helpers/agent-namespace.ts'
import { FakeAgent } from '../helpers/fake-agent.ts'
import { FakeCa } from '../helpers/fake-ca.ts'
import {
  allowOnly,
  ending,
  memberOf,
  readAll,
  readExactly,
  resourceOf,
  service,
  workload,
} from '../helpers/plane-world.ts'

const port = 8080
const vips = { ipv4: '240.240.0.7', ipv6: '2001:2::7' } as const
const mesh = {
  kind: 'Mesh',
  key: 'mesh',
  value: {
    trustDomain: 'cluster.local',
    clusterName: 'test',
    rootNamespace: 'culvert-system',
    vipRanges: ['240.240.0.0/16', '2001:2::/48'],
    serviceDomain: 'svc.cluster.local',
  },
} as const

const client = workload('client', addresses.peer.ipv4, { addresses: Object.values(addresses.peer) })
const server = workload('server', addresses.workload.ipv4, {
  addresses: Object.values(addresses.workload),
  services: [memberOf('server', 80, port)],
})
const named = { ...service('server', vips.ipv4, 80), vips: Object.values(vips) }

function delta(version: number, extra: readonly ReturnType<typeof resourceOf>[] = [], full = true): CompiledDelta {
  const base = full ? [mesh, ...[client, server, named].map(resourceOf)] : []
  return { epoch: 'e', version, full, upserts: [...base, ...extra], removes: [] }
}

function localOf(model: Workload, path: string): LocalWorkload {
  const namespace = NetworkNamespace.open(path)
  const { inode } = namespace
  namespace.close()
  const { uid, namespace: ns, name, addresses: own } = model
  return {
    uid,
    namespace: ns,
    name,
    identity: workloadIdentity(model),
    addresses: own,
    netns: { path, inode },
    nameservers: [],
  }
}

function openIn(path: string, to: SocketAddress): net.Socket {
  const namespace = NetworkNamespace.open(path)
  const socket = boundSocket(namespace.run(() => tcpSocket({ family: familyOf(to.address) })))
  namespace.close()
  socket.on('error', () => {})
  return socket.connect({ host: to.address, port: to.port })
}

async function applicationIn(test: Test, path: string, onSocket: (socket: net.Socket) => void): Promise<void> {
  const namespace = NetworkNamespace.open(path)
  for (const address of ['0.0.0.0', '::']) {
    const fd = namespace.run(() => tcpListener({ address, port, v6Only: true }))
    const application = net.createServer({ allowHalfOpen: true }, onSocket)
    await new Promise<void>((resolve) => application.listen({ fd }, resolve))
    test.teardown(() => application.close())
  }
  namespace.close()
}

async function directories(test: Test): Promise<{ stateDir: string; runDir: string }> {
  const root = await mkdtemp(join(tmpdir(), 'culvert-daemon-'))
  test.teardown(() => rm(root, { recursive: true, force: true }))
  return { stateDir: join(root, 'state'), runDir: root }
}

function configOf(flags: Record<string, unknown>) {
  const any = '127.0.0.1:0'
  return parseConfig(daemonRows, {
    flags: {
      adminAddress: any,
      metricsAddress: any,
      healthAddress: any,
      drainTimeout: '1s',
      logLevel: 'silent',
      ...flags,
    },
  })
}

async function capture(namespaces: TestNamespaces): Promise<void> {
  const redirector = new Redirector({ host: 'h', run: namespaceCommands(), log: nullLogger() })
  for (const netns of [namespaces.workload, namespaces.peer]) {
    await redirector.apply(
      { workload: netns, netns, ports: [port], vipRanges: mesh.value.vipRanges },
      undefined,
      async () => {},
    )
  }
}

for (const workers of [1, 2])
  t.test(
    `a daemon with ${workers} data workers carries captured traffic, survives its agent, and comes back from disk`,
    async (t) => {
      const namespaces = createNamespaces()
      t.teardown(() => namespaces.remove())
      const ca = await FakeCa.create()
      const paths = await directories(t)
      const agent = await FakeAgent.listen(paths.runDir, ca)
      t.teardown(() => agent.close())
      let daemon = await build(configOf({ ...paths, workers }), { log: nullLogger() })
      t.teardown(() => daemon.close())
      const callers: string[] = []
      await applicationIn(t, namespaces.workload, (socket) => {
        callers.push(socket.remoteAddress ?? '')
        socket.on('error', () => {})
        socket.pipe(socket)
      })
      const locals = [localOf(client, namespaces.peer), localOf(server, namespaces.workload)]
      const state = await agent.send({ type: 'state', delta: delta(1), bundle: ca.bundlePem, workloads: [locals[0]!] })
      t.same(state, { type: 'ack', seq: 1, refused: [], failed: {} })
      await daemon.ready
      t.same((await agent.send({ type: 'workload-add', workload: locals[1]! })).failed, {})
      await capture(namespaces)

      for (const family of ['ipv4', 'ipv6'] as const) {
        for (const to of [
          { address: vips[family], port: 80 },
          { address: addresses.workload[family], port },
        ]) {
          const socket = openIn(namespaces.peer, to)
          socket.write('over the tunnel')
          t.equal(await readExactly(socket, 15), 'over the tunnel', `${to.address}:${to.port}`)
          t.equal(callers.at(-1), addresses.peer[family])
          socket.end()
          t.equal(await readAll(socket), '')
        }
      }
      t.same([...new Set(agent.requested)].sort(), [workloadIdentity(client), workloadIdentity(server)])
      const { admin, metrics, health } = daemon.addresses
      const get = async (at: SocketAddress, path: string) =>
        await (await fetch(`http://127.0.0.1:${at.port}${path}`)).text()
      t.match(
        await get(metrics, '/metrics'),
        /istio_tcp_connections_opened_total\{reporter="destination",source_workload="client"/,
      )
      t.equal(await get(health, '/healthz/ready'), 'ready\n')
      const dump = await get(admin, '/config_dump')
      t.match(JSON.parse(dump), { agentConnected: true, workloads: locals, snapshot: { version: 1 } })
      t.notMatch(dump, /PRIVATE KEY/)

      await t.test('a pin that is another namespace by now fails that workload only', async (t) => {
        const stranger = workload('stranger', '10.77.0.9')
        const wrong = { ...localOf(stranger, namespaces.peer), netns: { path: namespaces.peer, inode: 1 } }
        const { failed } = await agent.send({ type: 'workload-add', workload: wrong })
        t.match(failed[stranger.uid], /is network namespace \d+, not 1/)
        await agent.send({ type: 'workload-remove', uid: stranger.uid })
      })

      await t.test('a policy closes what it denies', async (t) => {
        const live = openIn(namespaces.peer, { address: vips.ipv4, port: 80 })
        live.write('x')
        await readExactly(live, 1)
        const start = Date.now()
        await agent.send({ type: 'delta', delta: delta(2, [resourceOf(allowOnly('somebody'))], false) })
        t.equal(await ending(live), 'reset')
        t.ok(Date.now() - start < 1000)
        await agent.send({ type: 'delta', delta: delta(3, [resourceOf(allowOnly('client'))], false) })
      })

      await t.test('without an agent it goes on, and a restart serves the saved state', async (t) => {
        await agent.close()
        await daemon.close()
        const file = join(paths.stateDir, 'state.json')
        t.equal((await stat(file)).mode & 0o777, 0o600)
        t.notMatch(await readFile(file, 'utf8'), /PRIVATE KEY/)
        daemon = await build(configOf({ ...paths, workers }), { log: nullLogger() })
        await daemon.ready
        const socket = openIn(namespaces.peer, { address: vips.ipv4, port: 80 })
        socket.write('again')
        t.equal(await readExactly(socket, 5), 'again')
        socket.destroy()
      })
    },
  )
