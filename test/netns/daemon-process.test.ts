// The real daemon (main thread, data worker, unix socket, namespaces) between two captured namespaces of this machine, with a
// fake agent and a fake CA. Needs root.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { nullLogger } from '../../core/base/log.ts'
import { workloadIdentity } from '../../core/model/canonical.ts'
import type { SocketAddress } from '../../core/net/address.ts'
import { build } from '../../daemon/app.ts'
import { addresses, createNamespaces } from '../helpers/agent-namespace.ts'
import {
  applicationIn,
  capture,
  client,
  configOf,
  delta,
  directories,
  localOf,
  openIn,
  port,
  server,
  vips,
} from '../helpers/captured-daemon.ts'
import { FakeAgent } from '../helpers/fake-agent.ts'
import { FakeCa } from '../helpers/fake-ca.ts'
import { allowOnly, ending, readAll, readExactly, resourceOf, workload } from '../helpers/plane-world.ts'

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
