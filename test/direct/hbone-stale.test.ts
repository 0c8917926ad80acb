// Sessions whose other end is no longer there: the next request finds out soon, and gets through on a fresh session.
import type net from 'node:net'
import t, { type Test } from 'tap'
import type { TunnelLimits } from '../../core/hbone/limits.ts'
import type { TunnelPoolOptions } from '../../core/hbone/pool.ts'
import type { IncomingConnect } from '../../core/hbone/types.ts'
import { descriptorOf } from '../../core/net/sys.ts'
import { calls, numbers } from '../../core/net/sys-calls.ts'
import { Bench, dialTcp, echo, eventually, listen, readAll } from '../helpers/tunnel.ts'

/** Far away: whatever happens in these tests does not come from the ping of quiet sessions. */
const patient = { pingIntervalMs: 60_000, pingTimeoutMs: 60_000, responseTimeoutMs: 60_000 }

/** A way to the server that can swallow everything, as a firewall does that drops packets. */
class Relay {
  readonly #pairs: (readonly [net.Socket, net.Socket])[] = []
  readonly port: number

  private constructor(port: number) {
    this.port = port
  }

  static async to(port: () => number, t: Test): Promise<Relay> {
    const server = await listen((near) => {
      void dialTcp(port()).then((far) => {
        relay.#pairs.push([near, far])
        for (const [from, into] of [
          [near, far],
          [far, near],
        ] as const) {
          from.on('error', () => {})
          from.on('data', (chunk: Buffer) => into.write(chunk))
          from.on('end', () => into.end())
          from.on('close', () => into.destroy())
        }
      })
    })
    const relay = new Relay(server.port)
    t.teardown(() => {
      server.server.close()
      for (const pair of relay.#pairs) for (const socket of pair) socket.destroy()
    })
    return relay
  }

  get connections(): number {
    return this.#pairs.length
  }

  /** Nothing of the connections so far gets through any more; new ones work. */
  swallow(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.pause()
  }

  release(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resume()
  }
}

async function scene(
  t: Test,
  limits: Partial<TunnelLimits>,
  options: { readonly onConnect?: (connect: IncomingConnect) => void; readonly pool?: Partial<TunnelPoolOptions> } = {},
) {
  const events = { silent: 0, retries: [] as string[] }
  const bench: Bench = await Bench.create({
    onConnect: options.onConnect ?? echo,
    poolLimits: { ...patient, ...limits },
    pool: {
      dial: async () => {
        bench.dials += 1
        return await dialTcp(relay.port)
      },
      onSilent: () => {
        events.silent += 1
      },
      onRetry: (reason) => events.retries.push(reason),
      ...options.pool,
    },
  })
  const relay = await Relay.to(() => bench.port, t)
  t.teardown(() => bench.close())
  return { bench, relay, events }
}

async function works(bench: Bench, text: string): Promise<boolean> {
  const { stream } = await bench.connect()
  stream.end(text)
  return (await readAll(stream)).toString() === text
}

t.test('an idle session that lost its peer in silence is left by the first request that meets it', async (t) => {
  const limits = { quietMs: 20, probeTimeoutMs: 100, answerProbeMs: 60_000 }
  const { bench, relay, events } = await scene(t, limits)
  t.ok(await works(bench, 'before'))
  relay.swallow()
  await new Promise((resolve) => setTimeout(resolve, 2 * limits.quietMs))
  const requests = [works(bench, 'one'), works(bench, 'two')]
  t.same(await Promise.all(requests), [true, true], 'all that waited get through')
  t.equal(bench.dials, 2, 'on one fresh session')
  t.same(events, { silent: 1, retries: ['ended', 'ended'] })
  await eventually('nothing is left of the dead one', () => bench.pool.sessions === 1)
})

t.test('a busy session that falls silent is left when an answer is late', async (t) => {
  const { bench, relay, events } = await scene(t, { quietMs: 60_000, probeTimeoutMs: 100, answerProbeMs: 30 })
  const live = (await bench.connect()).stream
  live.on('error', () => {})
  relay.swallow()
  live.write('held up')
  t.ok(await works(bench, 'past it'))
  t.equal(bench.dials, 2)
  t.equal(events.silent, 1)
  t.notOk(live.destroyed, 'a stream that was answered is not given up so soon')
  relay.release()
  live.end()
  t.equal((await readAll(live)).toString(), 'held up', 'it may have been slow only')
  await eventually('the old session ends with its last stream', () => bench.pool.sessions === 1)
})

t.test('a slow application behind a living session is waited for, and asked once', async (t) => {
  let asked = 0
  const onConnect = (connect: IncomingConnect) => {
    asked += 1
    setTimeout(() => echo(connect), 400)
  }
  const { bench, events } = await scene(t, { quietMs: 0, probeTimeoutMs: 100, answerProbeMs: 20 }, { onConnect })
  t.ok(await works(bench, 'slow'))
  t.equal(asked, 1)
  t.same(events, { silent: 0, retries: [] })
})

t.test('a destination that left the mesh is not dialled for those who still wait', async (t) => {
  let current = true
  const gate = Promise.withResolvers<void>()
  const dial = async () => {
    bench.dials += 1
    await gate.promise
    return await dialTcp(bench.port)
  }
  const { bench } = await scene(t, {}, { pool: { dial, current: () => current } })
  const waiting = bench.connect()
  await eventually('dialled', () => bench.dials === 1)
  current = false
  bench.pool.retire(() => true)
  gate.resolve()
  await t.rejects(waiting, { code: 'TUNNEL_UNAVAILABLE', message: /no longer at/ })
  await t.rejects(bench.connect(), { code: 'TUNNEL_UNAVAILABLE' })
  t.equal(bench.dials, 1)
})

t.test('who has somewhere else to go does not wait for a connect to its end', async (t) => {
  const dial = () => {
    bench.dials += 1
    return bench.dials === 1 ? held.promise : bench.raw()
  }
  const held = Promise.withResolvers<net.Socket>()
  const { bench } = await scene(t, {}, { pool: { dial } })
  const request = { authority: '10.0.0.1:80', headers: {} }
  const signal = AbortSignal.timeout(20_000)
  const faithful = bench.pool.connect(bench.key(), request, signal)
  await t.rejects(bench.pool.connect(bench.key(), { ...request, patience: () => 20 }, signal), {
    code: 'TUNNEL_TIMEOUT',
    message: /within 20 ms/,
  })
  held.resolve(await bench.raw())
  await faithful
  t.equal(bench.dials, 1, 'the connect itself went on')
  t.ok(await bench.pool.connect(bench.key(), { ...request, patience: () => 0 }, signal), 'an open session needs none')
})

t.test(
  'many more requests than a session takes are all served; a bound refuses the rest and nobody else',
  async (t) => {
    const { bench } = await scene(t, { clientMaxStreams: 5 })
    const opened = await Promise.all(Array.from({ length: 500 }, () => bench.connect()))
    t.equal(bench.pool.sessions, 100)
    for (const { stream } of opened) stream.destroy()

    let counted = 0
    const onFull = (_key: unknown, requests: number) => {
      counted += requests
    }
    const small = await scene(t, { clientMaxStreams: 5, maxSessionsPerDestination: 3 }, { pool: { onFull } })
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => small.bench.connect()))
    const refused = outcomes.filter(({ status }) => status === 'rejected')
    t.equal(refused.length, 5)
    t.ok(refused.every((outcome) => outcome.status === 'rejected' && outcome.reason.code === 'LIMIT_REACHED'))
    t.equal(counted, 5)
    t.equal(small.bench.pool.sessions, 3)
    t.ok(await small.bench.connect({ destinationUid: 'another' }), 'another destination has room of its own')
    const [first] = outcomes
    if (first?.status === 'fulfilled') first.value.stream.destroy()
    t.ok(await works(small.bench, 'again'), 'a stream that ended makes room')
  },
)

t.test('a handshake that a drain meets comes to its end, and its first request is served', async (t) => {
  const { bench } = await scene(t, {})
  const second = await Bench.create({ onConnect: echo })
  t.teardown(() => second.close())
  second.serverCredentials = bench.serverCredentials
  let dials = 0
  const pool: Bench = await Bench.create({
    pool: {
      dial: async () => {
        dials += 1
        if (dials > 1) return await second.raw()
        const socket = await bench.raw()
        await eventually('accepted', () => bench.tunnels.sessions === 1)
        void bench.tunnels.drain(10_000)
        return socket
      },
    },
  })
  t.teardown(() => pool.close())
  pool.clientCredentials = bench.clientCredentials
  t.ok(await works(pool, 'elsewhere'))
  t.equal(dials, 1)
  await eventually('the first has drained', () => bench.tunnels.sessions === 0)
})

t.test('a drain does not wait for a handshake that goes nowhere', async (t) => {
  const { bench } = await scene(t, {})
  await bench.raw()
  await eventually('accepted', () => bench.tunnels.sessions === 1)
  await bench.tunnels.drain(60_000)
  t.equal(bench.tunnels.sessions, 0)
})

t.test('the kernel gives both ends of a tunnel up that is not acknowledged, in bounded time', async (t) => {
  const bench = await Bench.create({
    onConnect: echo,
    poolLimits: { tcpUserTimeoutMs: 12_345 },
    serverLimits: { tcpUserTimeoutMs: 23_456 },
  })
  t.teardown(() => bench.close())
  t.ok(await works(bench, 'x'))
  t.equal(tcpOption(bench.dialled[0]!, numbers.TCP_USER_TIMEOUT), 12_345)
  t.equal(tcpOption(bench.accepted[0]!, numbers.TCP_USER_TIMEOUT), 23_456)
})

function tcpOption(socket: net.Socket, name: number): number {
  const value = Buffer.alloc(4)
  const length = Buffer.from([4, 0, 0, 0])
  calls.getsockopt(descriptorOf(socket), numbers.SOL_TCP, name, value, length)
  return value.readInt32LE()
}

t.test('the kernel takes little that it cannot send, so that small messages overtake bulk', async (t) => {
  const bench = await Bench.create({
    onConnect: echo,
    poolLimits: { tcpUnsentBytes: 54_321 },
    serverLimits: { tcpUnsentBytes: 65_432 },
  })
  t.teardown(() => bench.close())
  t.ok(await works(bench, 'x'))
  t.equal(tcpOption(bench.dialled[0]!, numbers.TCP_NOTSENT_LOWAT), 54_321)
  t.equal(tcpOption(bench.accepted[0]!, numbers.TCP_NOTSENT_LOWAT), 65_432)
})

t.test('nobody is asked for a sign of life while nobody waits', async (t) => {
  const limits = { quietMs: 0, probeTimeoutMs: 30, answerProbeMs: 10 }
  const { bench, relay, events } = await scene(t, limits)
  t.ok(await works(bench, 'answered'))
  relay.swallow()
  await new Promise((resolve) => setTimeout(resolve, 10 * limits.probeTimeoutMs))
  t.equal(events.silent, 0)
  t.equal(bench.pool.sessions, 1)
})
