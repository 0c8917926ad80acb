// The load generator against its own application over the loopback: what it reports is what happened.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import t, { type Test } from 'tap'
import { Generator, generatorCommand } from '../../../bench/generator.ts'
import { runBulk } from '../../../bench/load/bulk.ts'
import { Held, runChurn } from '../../../bench/load/connections.ts'
import { runOpenLoop } from '../../../bench/load/open-loop.ts'
import { bulk, echo, listen } from '../../../bench/origin/streams.ts'

const host = '127.0.0.1'
const portOf = (server: net.Server): number => (server.address() as net.AddressInfo).port

async function serve(t: Test, onSocket: (socket: net.Socket) => void): Promise<{ host: string; port: number }> {
  const sockets = new Set<net.Socket>()
  const server = await listen({ address: host, port: 0 }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    onSocket(socket)
  })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { host, port: portOf(server) }
}

async function web(t: Test, delayMs: (count: number) => number): Promise<{ host: string; port: number }> {
  let count = 0
  const server = http.createServer((_, response) => {
    count += 1
    setTimeout(() => response.end('hello'), delayMs(count)).unref()
  })
  server.listen(0, host)
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { host, port: portOf(server) }
}

t.test('bulk streams carry bytes up, down and both ways', async (t) => {
  for (const direction of ['up', 'down', 'both'] as const) {
    const [read, destination] = await counting(t)
    const report = await runBulk({ kind: 'bulk', ...destination, streams: 2, direction, warmMs: 20, ms: 100 })
    t.ok(report.gigabitsPerSecond > 0, direction)
    if (direction === 'down') t.equal(read(), 2, 'only the order of each stream goes up')
    else t.ok(read() > 1_000_000, `${direction}: ${read()} bytes arrived`)
  }
})

/** The bulk application, with what its sockets have read. */
async function counting(t: Test): Promise<[() => number, { host: string; port: number }]> {
  const sockets: net.Socket[] = []
  const destination = await serve(t, (socket) => {
    sockets.push(socket)
    bulk(socket)
  })
  return [() => sockets.reduce((sum, socket) => sum + socket.bytesRead, 0), destination]
}

t.test('bulk streams that end early are a failure, not a slow result', async (t) => {
  const destination = await serve(t, (socket) => socket.once('data', () => socket.destroy()))
  const plan = { kind: 'bulk', ...destination, streams: 1, direction: 'up', warmMs: 0, ms: 100 } as const
  await t.rejects(runBulk(plan), /1 of 1 streams ended/)
})

t.test('the open loop asks at its rate and counts latency from when a request was due', async (t) => {
  // One connection, and one answer of half a second: all that became due meanwhile waited, and must say so.
  const destination = await web(t, (count) => (count === 20 ? 500 : 0))
  const plan = { kind: 'open-loop', ...destination, connections: 1, rate: 100, warmMs: 0, ms: 1_000 } as const
  const report = await runOpenLoop(plan)
  t.equal(report.failed, 0)
  t.equal(report.requests, 100)
  t.ok(report.p99Us > 400_000, `p99 ${report.p99Us}`)
  // Without the correction a single one of a hundred would be slow.
  t.ok(report.p50Us < 400_000 && report.p50Us > 0, `p50 ${report.p50Us}`)
  const fast = await runOpenLoop({ ...plan, ...(await web(t, (count) => (count === 20 ? 500 : 0))), connections: 8 })
  t.ok(fast.p50Us < 100_000, 'others are free while one waits')
})

t.test('requests without an answer are failures', async (t) => {
  const destination = await web(t, (count) => (count > 5 ? 60_000 : 0))
  const plan = { kind: 'open-loop', ...destination, connections: 2, rate: 200, warmMs: 0, ms: 100 } as const
  t.ok((await runOpenLoop(plan)).failed > 5)
})

t.test('connections are held until they are let go', async (t) => {
  let open = 0
  const destination = await serve(t, (socket) => {
    open += 1
    socket.once('close', () => {
      open -= 1
    })
    echo(socket)
  })
  const held = new Held()
  t.same(await held.run({ kind: 'hold', ...destination, connections: 20 }), { open: 20, failed: 0 })
  t.same(await held.run({ kind: 'hold', ...destination, connections: 50 }), { open: 50, failed: 0 })
  t.equal(open, 50)
  t.same(await held.run({ kind: 'hold', ...destination, connections: 0 }), { open: 0, failed: 0 })
})

t.test('connections that come and go are counted, and those that fail too', async (t) => {
  let count = 0
  const destination = await serve(t, (socket) => {
    count += 1
    if (count % 2 === 0) socket.destroy()
    else echo(socket)
  })
  const report = await runChurn({ kind: 'churn', ...destination, rate: 200, ms: 300 })
  t.equal(report.connections, count)
  t.equal(count, 60)
  t.equal(report.failed, 30)
})

t.test('the generator process answers each plan, tells failures, and is replaced when it dies', async (t) => {
  const children: ChildProcess[] = []
  const [command = '', ...args] = generatorCommand
  const generator = new Generator(() => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    children.push(child)
    return child
  })
  t.teardown(() => {
    for (const child of children) child.kill('SIGKILL')
  })
  const destination = await serve(t, echo)
  const plan = { kind: 'hold', ...destination, connections: 2 } as const
  t.same(await generator.run(plan), { open: 2, failed: 0 })
  const nobody = { kind: 'bulk', host, port: 1, streams: 1, direction: 'up', warmMs: 0, ms: 1 } as const
  await t.rejects(generator.run(nobody), /ECONNREFUSED/)
  t.equal(children.length, 1)
  children[0]!.kill('SIGKILL')
  await t.rejects(generator.run(plan), /ended/)
  t.same(await generator.run(plan), { open: 2, failed: 0 })
  t.equal(children.length, 2)
})
