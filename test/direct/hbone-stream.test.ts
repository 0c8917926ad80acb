// Tunnel streams and the byte copy over real sockets: half-close, resets, flow control, volume.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type net from 'node:net'
import type { Duplex } from 'node:stream'
import t from 'tap'
import { MeshError } from '../../core/base/errors.ts'
import { heldBudget } from '../../core/hbone/h2/held-budget.ts'
import { type PumpCounters, type PumpResult, pump } from '../../core/hbone/pump.ts'
import type { IncomingConnect, TunnelStream } from '../../core/hbone/types.ts'
import { Bench, dialTcp, echo, eventually, type Listening, listen, readAll } from '../helpers/tunnel.ts'

interface Chain {
  readonly bench: Bench
  /** What the application at the far end accepted. */
  readonly applications: net.Socket[]
  readonly results: PumpResult[]
  dial(counters?: PumpCounters): Promise<net.Socket>
  close(): Promise<void>
}

/** client socket → near proxy → tunnel → far proxy → application socket, all with the real pump. */
async function chain(onApplication: (socket: net.Socket) => void): Promise<Chain> {
  const applications: net.Socket[] = []
  const results: PumpResult[] = []
  const application = await listen((socket) => {
    applications.push(socket)
    socket.on('error', () => {})
    onApplication(socket)
  })
  const bench = await Bench.create({
    onConnect: async (connect) => {
      const socket = await dialTcp(application.port)
      results.push(await pump(connect.accept(), socket))
    },
  })
  let counters: PumpCounters | undefined
  const near = await listen(async (socket) => {
    socket.pause()
    const { stream } = await bench.connect()
    results.push(await pump(socket, stream, counters === undefined ? {} : { counters }))
  })
  const clients: net.Socket[] = []
  return {
    bench,
    applications,
    results,
    dial: async (live) => {
      counters = live
      const socket = await dialTcp(near.port)
      socket.on('error', () => {})
      clients.push(socket)
      return socket
    },
    close: async () => {
      for (const socket of [...clients, ...applications]) socket.destroy()
      await bench.close()
      near.server.close()
      application.server.close()
    },
  }
}

t.test('a client that ends its side first still receives the whole answer', async (t) => {
  const answer = randomBytes(3 * 1024 * 1024)
  const links = await chain(async (socket) => {
    const request = await readAllHalf(socket)
    t.equal(request.toString(), 'question')
    for (let at = 0; at < answer.length; at += 100_000) {
      socket.write(answer.subarray(at, at + 100_000))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    socket.end()
  })
  const client = await links.dial()
  client.end('question')
  t.ok((await readAll(client)).equals(answer))
  await eventually('both copies ended', () => links.results.length === 2)
  t.same(
    links.results.map((result) => result.error),
    [undefined, undefined],
  )
  await links.close()
})

t.test('a server that ends its side first still receives everything the client sends', async (t) => {
  const received = Promise.withResolvers<Buffer>()
  const links = await chain((socket) => {
    socket.end('greeting')
    readAllHalf(socket).then(received.resolve, received.reject)
  })
  const client = await links.dial()
  t.equal((await readAllHalf(client)).toString(), 'greeting')
  const data = randomBytes(3 * 1024 * 1024)
  for (let at = 0; at < data.length; at += 100_000) {
    client.write(data.subarray(at, at + 100_000))
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  client.end()
  t.ok((await received.promise).equals(data))
  await eventually('both copies ended', () => links.results.length === 2)
  t.same(
    links.results.map((result) => result.error),
    [undefined, undefined],
  )
  await links.close()
})

t.test('64 MiB in both directions at once arrive with the same hash', async (t) => {
  const links = await chain((socket) => socket.pipe(socket))
  const counters = { aToB: 0, bToA: 0 }
  const client = await links.dial(counters)
  const sent = createHash('sha256')
  const got = createHash('sha256')
  const block = randomBytes(1024 * 1024)
  const reading = (async () => {
    for await (const chunk of client.iterator({ destroyOnReturn: false })) got.update(chunk as Buffer)
  })()
  for (let count = 0; count < 64; count += 1) {
    block.writeUInt32LE(count)
    const part = Buffer.from(block)
    sent.update(part)
    if (!client.write(part)) await once(client, 'drain')
  }
  client.end()
  await reading
  t.equal(got.digest('hex'), sent.digest('hex'))
  await eventually('both copies ended', () => links.results.length === 2)
  t.same(counters, { aToB: 64 * 1024 * 1024, bToA: 64 * 1024 * 1024 })
  t.same(links.results[0], { aToB: 64 * 1024 * 1024, bToA: 64 * 1024 * 1024 })
  await links.close()
})

t.test('a reader that stands still keeps the memory on the way bounded, and what was sent is not lost', async (t) => {
  const links = await chain((socket) => socket.pause())
  const counters = { aToB: 0, bToA: 0 }
  const client = await links.dial(counters)
  await eventually('the application is connected', () => links.applications.length === 1)
  const block = Buffer.alloc(256 * 1024, 7)
  let queued = 0
  let before = -1
  // Feeds until nothing moved for a while: everything between the two ends is full.
  for (let still = 0; still < 20; ) {
    while (client.writableLength < 1024 * 1024) {
      client.write(block)
      queued += block.length
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
    still = counters.aToB === before ? still + 1 : 0
    before = counters.aToB
  }
  const application = links.applications[0]!
  const inKernel = 8 * 1024 * 1024
  const held = counters.aToB - application.bytesRead
  t.ok(held < 16 * 1024 * 1024 + inKernel, `${held} bytes between the ends`)
  t.ok(held > 4 * 1024 * 1024, 'the window was used')
  let got = 0
  application.on('data', (chunk: Buffer) => {
    got += chunk.length
  })
  application.resume()
  client.end()
  await once(application, 'end')
  t.equal(got, queued)
  await links.close()
})

t.test('an idle reader of one stream does not stop the other streams of the session', async (t) => {
  const bench = await Bench.create({
    onConnect: (connect) => {
      const stream = connect.accept()
      if (connect.authority.endsWith(':1')) stream.pause()
      else stream.pipe(stream)
    },
  })
  const flooded = await Promise.all(
    Array.from({ length: 6 }, () => bench.connect({}, AbortSignal.timeout(10_000), '10.0.0.1:1')),
  )
  for (const { stream } of flooded) for (let count = 0; count < 80; count += 1) stream.write(Buffer.alloc(65_536))
  const { stream } = await bench.connect()
  stream.end('through')
  t.equal((await readAll(stream)).toString(), 'through')
  t.equal(bench.dials, 1)
  await bench.close()
})

t.test(
  'many slow readers and a fast one in one session: the fast one gets all its bytes, the slow ones hold little',
  async (t) => {
    const slow: Duplex[] = []
    const bench = await Bench.create({
      onConnect: (connect) => {
        const stream = connect.accept()
        if (connect.authority.endsWith(':1')) slow.push(stream.pause())
        else stream.pipe(stream)
      },
    })
    const before = heldBudget.bytes
    const flooded = await Promise.all(
      Array.from({ length: 90 }, () => bench.connect({}, AbortSignal.timeout(10_000), '10.0.0.1:1')),
    )
    for (const { stream } of flooded) stream.on('error', () => {}).write(Buffer.alloc(5 * 1024 * 1024))
    const { stream } = await bench.connect()
    const sent = randomBytes(20 * 1024 * 1024)
    stream.end(sent)
    t.ok((await readAll(stream)).equals(sent))
    t.equal(bench.dials, 1, 'they share the session')
    const held = heldBudget.bytes - before
    t.ok(held <= 90 * 256 * 1024, `${held} bytes held for 90 slow readers`)
    t.ok(held > 45 * 256 * 1024, 'they were sent as much as they may')
    await bench.close()
    await eventually('nothing is held any more', () => heldBudget.bytes === before)
  },
)

t.test('a reset of one end reaches the other as a reset, in both directions', async (t) => {
  const links = await chain(() => {})
  const first = await links.dial()
  await eventually('connected', () => links.applications.length === 1)
  first.write('x')
  await once(links.applications[0]!, 'data')
  links.applications[0]!.on('data', () => {})
  const reset = once(links.applications[0]!, 'error')
  first.resetAndDestroy()
  t.match((await reset)[0], { code: 'ECONNRESET' })

  const second = await links.dial()
  await eventually('connected', () => links.applications.length === 2)
  const failed = once(second.resume(), 'error')
  links.applications[1]!.resetAndDestroy()
  t.match((await failed)[0], { code: 'ECONNRESET' })
  await eventually('all copies ended', () => links.results.length === 4)
  t.ok(links.results.every((result) => result.error instanceof MeshError))
  await links.close()
})

t.test('aborting a copy closes both ends at once and says why', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const abort = new AbortController()
  const results: Promise<PumpResult>[] = []
  const near: Listening = await listen(async (socket) => {
    const { stream } = await bench.connect()
    results.push(pump(socket, stream, { signal: abort.signal }))
  })
  const client = await dialTcp(near.port)
  client.write('ping')
  await once(client, 'data')
  const closed = once(client.resume(), 'error')
  abort.abort(new MeshError('POLICY_DENIED', 'a new policy denies this connection'))
  t.match((await closed)[0], { code: 'ECONNRESET' })
  t.match(await results[0], { aToB: 4, bToA: 4, error: { code: 'POLICY_DENIED' } })
  await bench.close()
  near.server.close()
})

t.test('a stream that is destroyed at one end fails at the other and never looks complete', async (t) => {
  for (const side of ['client', 'server'] as const) {
    const accepted = Promise.withResolvers<TunnelStream>()
    const bench = await Bench.create({ onConnect: (connect) => accepted.resolve(connect.accept()) })
    const { stream } = await bench.connect()
    const other = await accepted.promise
    const [killed, victim] = side === 'client' ? [stream, other] : [other, stream]
    killed.write('half of a mess')
    await once(victim, 'data')
    let ended = false
    victim.on('end', () => {
      ended = true
    })
    const failed = once(victim.resume(), 'error')
    killed.destroy()
    t.match((await failed)[0], { code: 'TUNNEL_UNAVAILABLE' }, side)
    t.notOk(ended, `${side}: a reset is not an end`)
    await bench.close()
  }
})

t.test('a copy that fails while a socket is being shut down still closes that socket', async (t) => {
  const bench = await Bench.create({ onConnect: (connect) => connect.accept().resume() })
  const sockets: net.Socket[] = []
  const near = await listen((socket) => sockets.push(socket))
  for (let round = 0; round < 20; round += 1) {
    const client = (await dialTcp(near.port)).on('error', () => {})
    const { stream } = await bench.connect()
    const copy = pump(client, stream)
    // The end of the tunnel shuts the socket down; in the same turn the copy fails.
    stream.push(null)
    stream.on('end', () => setImmediate(() => stream.destroy(new Error('failed'))))
    t.ok((await copy).error)
    await eventually('closed', () => client.closed)
  }
  for (const socket of sockets) socket.destroy()
  await bench.close()
  near.server.close()
  const open = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap')
  await eventually('no descriptor is lost', () => open().length === 0)
})

t.test('a session that breaks fails its streams and never looks like an end', async (t) => {
  const accepted = Promise.withResolvers<TunnelStream>()
  const bench = await Bench.create({ onConnect: (connect) => accepted.resolve(connect.accept()) })
  const { stream } = await bench.connect()
  const far = await accepted.promise
  const failures = Promise.all([once(stream.resume(), 'error'), once(far.resume(), 'error')])
  bench.accepted[0]!.destroy()
  await failures
  t.notOk(stream.readableEnded)
  t.notOk(far.readableEnded)
  await bench.close()
})

t.test('a client that ended its side before the answer is heard to the end', async (t) => {
  const waiting = Promise.withResolvers<IncomingConnect>()
  const bench = await Bench.create({ onConnect: waiting.resolve })
  const opening = bench.connect()
  const connect = await waiting.promise
  const far = connect.accept()
  const { stream } = await opening
  stream.end()
  t.equal((await readAllHalf(far)).length, 0)
  far.end('late answer')
  t.equal((await readAll(stream)).toString(), 'late answer')
  await bench.close()
})

/** Reads to the end without destroying the socket, whose other side goes on. */
async function readAllHalf(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
