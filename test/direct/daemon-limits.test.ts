// One workload at its limits, and a daemon at those of its process: what is refused, how it is counted, and who is not harmed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { connectError } from '../../core/net/tcp.ts'
import type { ConnectionLimits } from '../../daemon/connections.ts'
import { echo, echoing } from '../helpers/daemon-scene.ts'
import { counter, ending, PlaneWorld, readExactly, until, workload } from '../helpers/plane-world.ts'

const outside = { address: '192.0.2.7', port: 9000 }
const a = { address: '10.0.1.1', uid: 'host/mesh/a/1' }
const b = { address: '10.0.1.2', uid: 'host/mesh/b/1' }

/** Workloads a and b on one host, and an echo outside of the mesh. */
async function scene(t: Test, limits: Partial<ConnectionLimits>) {
  const world = await PlaneWorld.create()
  t.teardown(() => world.close())
  const all = {
    maxConnections: 1_000,
    maxPending: 1_000,
    connectTimeoutMs: 5_000,
    establishTimeoutMs: 5_000,
    ...limits,
  }
  const host = world.host({ limits: all })
  const models = [workload('a', a.address), workload('b', b.address)]
  world.apply(models)
  for (const model of models) await world.serve(host, model)
  await world.sockets.serve(outside, echoing)
  const open = async (from: string) => {
    const socket = await world.sockets.captureOutbound(from, outside)
    t.teardown(() => socket.destroy())
    return socket
  }
  const refused = (uid: string, limit: string) =>
    counter(host, 'culvert_limit_refusals_total', { workload: uid, limit })
  return { host, open, refused, failures: () => counter(host, 'culvert_connection_failures_total') }
}

async function opened(open: (from: string) => Promise<net.Socket>, from: string): Promise<net.Socket> {
  const socket = await open(from)
  await echo(socket, 'x')
  return socket
}

t.test('a burst of one workload is refused beyond its limit, counted, and costs its neighbour nothing', async (t) => {
  const { host, open, refused } = await scene(t, { maxConnections: 100 })
  const live: net.Socket[] = []
  for (let count = 0; count < 100; count++) live.push(await opened(open, a.address))
  // In waves that the backlog of a listener takes.
  for (let wave = 0; wave < 5; wave++) {
    const burst = Array.from({ length: 300 }, async () => await ending(open(a.address)))
    for (let count = 0; count < 4; count++) await opened(open, b.address)
    t.same(new Set(await Promise.all(burst)), new Set(['reset']))
  }
  t.equal(refused(a.uid, 'connections'), 1_500)
  t.equal(refused(b.uid, 'connections'), 0)
  t.equal(counter(host, 'culvert_connection_failures_total', { code: 'LIMIT_REACHED', direction: 'outbound' }), 1_500)
  t.equal(await echo(live[0]!, 'still here'), 'still here')
  live[0]?.destroy()
  await until(() => host.plane.connectionCount === 119, 'the one that ended is gone')
  t.ok(await opened(open, a.address), 'there is room again')
})

t.test('with the host full, the last eighth is for workloads that have few connections', async (t) => {
  const { host, open, refused } = await scene(t, { maxTotal: 256 })
  for (let count = 0; count < 224; count++) await opened(open, a.address)
  t.equal(await ending(open(a.address)), 'reset')
  t.equal(refused(a.uid, 'total'), 1)
  await opened(open, b.address)
  await opened(open, b.address)
  t.equal(await ending(open(b.address)), 'reset', 'two are few of 256')
  await host.plane.removeWorkload(a.uid)
  await until(() => host.plane.connectionCount === 2, 'a is gone')
  t.ok(await opened(open, b.address))
  t.equal(refused(a.uid, 'total'), 0, 'what is gone is not counted for ever')
})

t.test('a connect that fails for want of descriptors is a limit, not a fault of the destination', (t) => {
  for (const [code, means] of [
    ['EMFILE', 'LIMIT_REACHED'],
    ['ENFILE', 'LIMIT_REACHED'],
    ['ECONNREFUSED', 'CONNECT_FAILED'],
  ]) {
    t.match(connectError(outside, Object.assign(new Error('no'), { code })), { code: means })
  }
  t.end()
})

t.test('without free descriptors new connections fail, those there live on, and nothing spins', async (t) => {
  const script = fileURLToPath(new URL('../helpers/starved-daemon.ts', import.meta.url))
  const application = net.createServer(echoing).listen(0, '127.0.0.1')
  t.teardown(() => application.close())
  await once(application, 'listening')
  const { port } = application.address() as net.AddressInfo
  const command = 'ulimit -n 160 && exec "$0" --disable-warning=ExperimentalWarning "$1" "$2"'
  const child = spawn('sh', ['-c', command, process.execPath, script, String(port)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const told = async (): Promise<{ host: string; cpuMs: number }> => JSON.parse((await lines.next()).value as string)
  const { host } = await told()
  const connect = (): net.Socket => {
    const socket = net.connect({ host, port: 15001 })
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
    return socket
  }
  const answers = async (socket: net.Socket): Promise<boolean> => {
    socket.write('x')
    return await readExactly(socket, 1).then(
      () => true,
      () => false,
    )
  }
  const sockets = Array.from({ length: 300 }, connect)
  const alive = (await Promise.all(sockets.map(async (socket) => ((await answers(socket)) ? [socket] : [])))).flat()
  t.ok(alive.length > 20 && alive.length < 150, `${alive.length} of 300 fit`)
  child.stdin.write('tell\n')
  const before = await told()
  t.same(new Set(await Promise.all(alive.map(answers))), new Set([true]), 'all that were established live on')
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  child.stdin.write('tell\n')
  const after = await told()
  t.ok(after.cpuMs - before.cpuMs < 500, `${after.cpuMs - before.cpuMs} ms of a second`)
  for (const socket of alive.splice(0, 20)) socket.destroy()
  let works = false
  for (let count = 0; count < 100 && !works; count++) works = await answers(connect())
  t.ok(works, 'and there is room again')
})
