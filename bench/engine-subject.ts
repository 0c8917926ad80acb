// One engine under measurement, in a process of its own: TunnelServer and TunnelPool over the loopback, both ends here.
// Started by engine.ts, which sends `{scenario, ms}` and gets a number.
import { once } from 'node:events'
import net from 'node:net'
import { createHistogram } from 'node:perf_hooks'
import type { Duplex } from 'node:stream'
import { nullLogger } from '../core/base/log.ts'
import { TunnelPool } from '../core/hbone/pool.ts'
import { pump } from '../core/hbone/pump.ts'
import { TunnelServer } from '../core/hbone/server.ts'
import type { IncomingConnect, TunnelKey } from '../core/hbone/types.ts'
import { createCredentials } from '../core/identity/tls.ts'
import { FakeCa } from '../test/helpers/fake-ca.ts'
import { TunnelPool as OldPool } from './baseline/pool.ts'
import { pump as oldPump } from './baseline/pump.ts'
import { TunnelServer as OldServer } from './baseline/server.ts'

const old = process.argv[2] === 'node-http2'
const copy = old ? oldPump : pump
const serverIdentity = 'spiffe://cluster.local/ns/shop/sa/orders'
const clientIdentity = 'spiffe://cluster.local/ns/shop/sa/frontend'
const small = Buffer.alloc(100, 1)
const block = Buffer.alloc(64 * 1024, 2)

async function listen(onSocket: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, onSocket).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as net.AddressInfo).port
}

async function dial(port: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** What the far end does, by authority. */
function serve(duplex: Duplex, what: string): void {
  duplex.on('error', () => {})
  if (what === 'echo') duplex.on('data', (chunk: Buffer) => duplex.write(chunk)).on('end', () => duplex.end())
  else if (what === 'sink') duplex.resume().on('end', () => duplex.end())
  else flood(duplex)
}

function flood(duplex: Duplex): void {
  const more = () => {
    while (!duplex.destroyed && duplex.write(block));
  }
  duplex.resume().on('drain', more)
  more()
}

class Subject {
  readonly #pool: Pick<TunnelPool, 'connect'>
  readonly #key: TunnelKey
  readonly #near = new Map<string, number>()

  private constructor(pool: Pick<TunnelPool, 'connect'>, key: TunnelKey) {
    this.#pool = pool
    this.#key = key
  }

  static async create(): Promise<Subject> {
    const ca = await FakeCa.create()
    const server = createCredentials(await ca.leaf(serverIdentity))
    const client = createCredentials(await ca.leaf(clientIdentity))
    const applications = new Map<string, number>()
    for (const what of ['echo', 'sink', 'flood']) {
      applications.set(what, await listen((socket) => serve(socket, what)))
    }
    const options = {
      contexts: () => server,
      trustDomain: () => 'cluster.local',
      onConnect: async (connect: IncomingConnect) => {
        const [kind = '', what = ''] = connect.authority.split(':')
        if (kind === 'stream') serve(connect.accept(), what)
        else await copy(...(await dialThenAccept(connect, applications.get(what)!)))
      },
      log: nullLogger(),
    }
    const tunnels = old ? new OldServer(options) : new TunnelServer(options)
    const port = await listen((socket) => tunnels.accept(socket))
    const poolOptions = { dial: () => dial(port), context: () => client, log: nullLogger() }
    const subject = new Subject(old ? new OldPool(poolOptions) : new TunnelPool(poolOptions), {
      sourceUid: 'a',
      sourceAddress: '127.0.0.1',
      sourceIdentity: clientIdentity,
      expectedIdentities: [serverIdentity],
      destination: { address: '127.0.0.1', port },
      destinationUid: 'b',
    })
    for (const what of applications.keys()) {
      subject.#near.set(
        what,
        await listen(async (socket) => {
          socket.pause()
          await copy(socket, await subject.open(`pumped:${what}`))
        }),
      )
    }
    return subject
  }

  async open(authority: string): Promise<Duplex> {
    const headers = { baggage: 'k8s.cluster.name=a,k8s.namespace.name=shop', forwarded: 'for="10.0.0.1:1234"' }
    const { stream } = await this.#pool.connect(this.#key, { authority, headers }, AbortSignal.timeout(10_000))
    return stream
  }

  /** `stream`: straight on the tunnel; `pumped`: application socket, pump, tunnel, pump, application socket. */
  connect(kind: string, what: string): Promise<Duplex> {
    return kind === 'stream' ? this.open(`stream:${what}`) : dial(this.#near.get(what)!)
  }

  async requests(kind: string, connections: number, ms: number): Promise<Rate> {
    const streams = await Promise.all(Array.from({ length: connections }, () => this.connect(kind, 'echo')))
    let count = 0
    for (const stream of streams) {
      stream.on('error', () => {})
      stream.on('data', () => {
        count += 1
        stream.write(small)
      })
    }
    for (const stream of streams) stream.write(small)
    const rate = await measured(ms, () => count)
    for (const stream of streams) stream.destroy()
    return rate
  }

  async bulk(kind: string, what: 'sink' | 'flood', count: number, ms: number): Promise<Rate> {
    const streams = await Promise.all(Array.from({ length: count }, () => this.connect(kind, what)))
    let bytes = 0
    for (const stream of streams) {
      stream.on('error', () => {})
      if (what === 'flood') {
        stream.on('data', (chunk: Buffer) => {
          bytes += chunk.length
        })
        continue
      }
      const more = () => {
        do bytes += block.length
        while (!stream.destroyed && stream.write(block))
      }
      stream.on('drain', more)
      more()
    }
    const rate = await measured(ms, () => bytes)
    for (const stream of streams) stream.destroy()
    return { perSecond: (rate.perSecond * 8) / 1e9, perCpuSecond: (rate.perCpuSecond * 8) / 1e9 }
  }

  /** Round trips of small messages on four connections, one at a time each; beside bulk of the same pair, and so session. */
  async small(kind: string, beside: 'alone' | 'up' | 'down', ms: number): Promise<Rate> {
    const bulk = beside === 'alone' ? undefined : this.bulk(kind, beside === 'up' ? 'sink' : 'flood', 1, 1.2 * ms)
    const streams = await Promise.all(Array.from({ length: 4 }, () => this.connect(kind, 'echo')))
    const histogram = createHistogram()
    for (const stream of streams) {
      let sent = performance.now()
      stream.on('error', () => {})
      stream.on('data', () => {
        histogram.record(Math.max(1, Math.round((performance.now() - sent) * 1_000)))
        // A closed loop without a pause would take the CPU from the bulk, and measure itself.
        setTimeout(() => {
          sent = performance.now()
          if (!stream.destroyed) stream.write(small)
        }, 2)
      })
      stream.write(small)
    }
    await new Promise((resolve) => setTimeout(resolve, ms / 5))
    histogram.reset()
    await new Promise((resolve) => setTimeout(resolve, ms))
    for (const stream of streams) stream.destroy()
    // Where less is better: p99 and p50 in microseconds.
    const gbits = (await bulk)?.perSecond ?? 0
    return {
      perSecond: histogram.percentile(99),
      perCpuSecond: histogram.percentile(50),
      note: `p50 ${histogram.percentile(50)} us, p99 ${histogram.percentile(99)} us, bulk ${gbits.toFixed(2)} Gbit/s`,
    }
  }

  async tunnels(kind: string, concurrency: number, ms: number): Promise<Rate> {
    let count = 0
    let going = true
    const worker = async () => {
      while (going) {
        const stream = await this.connect(kind, 'echo')
        stream.on('error', () => {})
        stream.end(small)
        stream.resume()
        await once(stream, 'end')
        count += 1
      }
    }
    const workers = Array.from({ length: concurrency }, worker)
    const rate = await measured(ms, () => count)
    going = false
    await Promise.all(workers)
    return rate
  }
}

async function dialThenAccept(connect: IncomingConnect, port: number): Promise<[Duplex, Duplex]> {
  const socket = await dial(port)
  return [connect.accept(), socket]
}

/** Per second and per second of CPU time: the machine may have others to serve. */
interface Rate {
  readonly perSecond: number
  readonly perCpuSecond: number
  readonly note?: string
}

/** Events after a warm-up of a fifth of the time. */
async function measured(ms: number, count: () => number): Promise<Rate> {
  await new Promise((resolve) => setTimeout(resolve, ms / 5))
  const [before, began, cpu] = [count(), performance.now(), process.cpuUsage()]
  await new Promise((resolve) => setTimeout(resolve, ms))
  const events = count() - before
  const { user, system } = process.cpuUsage(cpu)
  return { perSecond: (events * 1_000) / (performance.now() - began), perCpuSecond: (events * 1e6) / (user + system) }
}

const subject = await Subject.create()

function run(scenario: string, ms: number): Promise<Rate> {
  const [kind = '', what = '', number = '1'] = scenario.split(' ')
  if (what === 'requests') return subject.requests(kind, Number(number), ms)
  if (what === 'small') return subject.small(kind, number as 'alone' | 'up' | 'down', ms)
  if (what === 'tunnels') return subject.tunnels(kind, Number(number), ms)
  return subject.bulk(kind, what === 'up' ? 'sink' : 'flood', Number(number), ms)
}

if (process.send === undefined) {
  // For profiles: node --cpu-prof bench/engine-subject.ts culvert "stream requests 32" 5000
  const rate = await run(process.argv[3] ?? 'stream requests 32', Number(process.argv[4] ?? 3_000))
  process.stdout.write(`${JSON.stringify(rate)}\n`)
  process.exit(0)
}
process.on('message', async (message: { readonly scenario: string; readonly ms: number }) => {
  process.send?.(await run(message.scenario, message.ms))
})
process.send('ready')
