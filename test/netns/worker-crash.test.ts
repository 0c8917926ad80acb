// A data worker that dies under traffic takes its own connections with it and nothing else: not those of the other workers, no
// new ones, no name resolution, no count.

import dgram from 'node:dgram'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { decode, encode } from 'dns-packet'
import t from 'tap'
import { nullLogger } from '../../core/base/log.ts'
import { NetworkNamespace, udpSocket } from '../../core/net/sys.ts'
import { build } from '../../daemon/app.ts'
import type { WorkerSetup } from '../../daemon/worker-messages.ts'
import { waitUntil } from '../../lab/lab.ts'
import { createNamespaces, type TestNamespaces } from '../helpers/agent-namespace.ts'
import {
  applicationIn,
  capture,
  client,
  configOf,
  delta,
  directories,
  localOf,
  openIn,
  server,
  vips,
} from '../helpers/captured-daemon.ts'
import { FakeAgent } from '../helpers/fake-agent.ts'
import { FakeCa } from '../helpers/fake-ca.ts'
import { readExactly } from '../helpers/plane-world.ts'

const service = { address: vips.ipv4, port: 80 }
const connections = 60
/** Tunnels are shared, so with two workers every second run would have all connections end in the one that dies. */
const workers = 6
const opened = /^istio_tcp_connections_opened_total\{reporter="source"[^}]*\} (\d+)$/m

/** Connected through the mesh, and it has said something. */
async function talking(namespaces: TestNamespaces): Promise<Socket> {
  const socket = openIn(namespaces.peer, service)
  socket.write('x')
  await readExactly(socket, 1)
  return socket
}

async function answers(socket: Socket): Promise<boolean> {
  if (socket.destroyed) return false
  socket.write('y')
  return await readExactly(socket, 1).then(
    (text) => text === 'y',
    () => false,
  )
}

/** A connection that is made, used and closed. */
async function visit(namespaces: TestNamespaces): Promise<boolean> {
  const socket = await talking(namespaces).catch(() => undefined)
  if (socket === undefined) return false
  const good = await answers(socket)
  socket.destroy()
  return good
}

async function resolves(namespaces: TestNamespaces): Promise<boolean> {
  const namespace = NetworkNamespace.open(namespaces.peer)
  const fd = namespace.run(() => udpSocket({ address: '0.0.0.0', port: 0 }))
  namespace.close()
  const socket = dgram.createSocket('udp4').bind({ fd })
  const query = encode({ type: 'query', id: 7, questions: [{ type: 'A', name: 'server.mesh.svc.cluster.local' }] })
  socket.send(query, 15053, '127.0.0.1')
  const [reply] = (await once(socket, 'message', { signal: AbortSignal.timeout(3000) }).catch(() => [undefined])) as [
    Buffer | undefined,
  ]
  socket.close()
  return reply !== undefined && (decode(reply).answers ?? []).length > 0
}

t.test('a worker that dies costs its own connections only, and no count', async (t) => {
  const namespaces = createNamespaces()
  t.teardown(() => namespaces.remove())
  const ca = await FakeCa.create()
  const paths = await directories(t)
  const agent = await FakeAgent.listen(paths.runDir, ca)
  t.teardown(() => agent.close())
  const threads: Worker[] = []
  const spawn = (setup: WorkerSetup): Worker => {
    const thread = new Worker(new URL('../../daemon/worker.ts', import.meta.url), { workerData: setup })
    threads.push(thread)
    return thread
  }
  const daemon = await build(configOf({ ...paths, workers }), { log: nullLogger(), spawn })
  t.teardown(() => daemon.close())
  await applicationIn(t, namespaces.workload, (socket) => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  const workloads = [localOf(client, namespaces.peer), localOf(server, namespaces.workload)]
  await agent.send({ type: 'state', delta: delta(1), bundle: ca.bundlePem, workloads })
  await daemon.ready
  await capture(namespaces)
  const count = async (): Promise<number> => {
    const url = `http://127.0.0.1:${daemon.addresses.metrics.port}/metrics`
    return Number(opened.exec(await (await fetch(url)).text())?.[1])
  }

  const sockets: Socket[] = []
  for (let index = 0; index < connections; index++) sockets.push(await talking(namespaces))
  t.equal(await count(), connections)

  // Under traffic: whoever connects while it happens is served by the other one.
  const during: Promise<boolean>[] = []
  const more = setInterval(() => during.push(visit(namespaces)), 2)
  await threads[1]!.terminate()
  const results = await Promise.all(sockets.map(answers))
  await waitUntil('another thread is there', () => threads.length === workers + 1, 5000)
  clearInterval(more)

  // A connection is lost where either of its two ends was in the worker that died.
  const alive = results.filter(Boolean).length
  t.ok(alive > 0, 'those of the other workers go on')
  t.ok(alive < connections, 'those of the dead one are gone')
  const all = await Promise.all(during)
  t.ok(all.length > 0)
  t.ok(all.filter((good) => !good).length <= 5, 'at most what the dead worker had on its way is refused')
  t.ok((await count()) >= connections, 'the total did not fall')

  const names = await Promise.all(Array.from({ length: 16 }, () => resolves(namespaces)))
  t.same(new Set(names), new Set([true]), 'names resolve, whichever worker is asked')
  const fresh = await Promise.all(Array.from({ length: connections }, () => talking(namespaces).then(answers)))
  t.same(new Set(fresh), new Set([true]), 'new connections are served')
  for (const socket of sockets) socket.destroy()
})
