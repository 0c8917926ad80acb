// Peers that break the rules or abuse them, against our tunnel server: each ends in a bounded, reported refusal with the right
// code, while another session is served on.
import { once } from 'node:events'
import t from 'tap'
import { errorCode } from '../../core/hbone/h2/protocol.ts'
import type { TunnelStream } from '../../core/hbone/types.ts'
import { frame, RawPeer, type, uint32 } from '../helpers/raw-http2.ts'
import { Bench, type BenchOptions, echo, eventually, readAll } from '../helpers/tunnel.ts'

const { protocolError, flowControlError, frameSizeError, streamClosed, enhanceYourCalm, compressionError } = errorCode

async function rawClient(bench: Bench, settings: Buffer | string = ''): Promise<RawPeer> {
  return RawPeer.client(await bench.tls(bench.clientCredentials.context), settings)
}

/** A bench with an echo server and a bystander whose stream must stay quick. */
async function withBystander(options: BenchOptions = {}) {
  const bench = await Bench.create({ onConnect: echo, ...options })
  const { stream } = await bench.connect({}, AbortSignal.timeout(10_000), '10.0.0.1:1')
  let worstMs = 0
  let going = true
  const rounds = (async () => {
    while (going) {
      const began = performance.now()
      stream.write('x')
      await once(stream, 'data')
      worstMs = Math.max(worstMs, performance.now() - began)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  })()
  const finish = async () => {
    going = false
    await rounds
    await bench.close()
    return worstMs
  }
  return { bench, finish }
}

const repeat = (count: number, make: (index: number) => Buffer) => Array.from({ length: count }, (_, at) => make(at))
const oddId = (index: number) => 2 * index + 1
const ping = frame(type.ping, 0, 0, '0000000000000001')

/** Each gets a peer with stream 1 open. */
const floods: readonly [string, (peer: RawPeer) => Buffer[]][] = [
  [
    'rapid reset (CVE-2023-44487)',
    (peer) =>
      repeat(1_000, (at) =>
        Buffer.concat([peer.connect(oddId(at + 1)), frame(type.reset, 0, oddId(at + 1), uint32(8))]),
      ),
  ],
  [
    'streams that are reset because of their own faults',
    (peer) =>
      repeat(1_000, (at) =>
        Buffer.concat([peer.connect(oddId(at + 1)), frame(type.window, 0, oddId(at + 1), uint32(0))]),
      ),
  ],
  [
    'CONTINUATION (CVE-2024-27316)',
    () => [frame(type.headers, 0, 3, '82'), ...repeat(1_000, () => frame(type.continuation, 0, 3, '82'))],
  ],
  [
    'a header block without an end',
    () => [
      frame(type.headers, 0, 3, Buffer.alloc(16_000)),
      ...repeat(10, () => frame(type.continuation, 0, 3, Buffer.alloc(16_000))),
    ],
  ],
  ['PING', () => repeat(10_000, () => ping)],
  ['SETTINGS', () => repeat(1_000, () => frame(type.settings, 0, 0, '000400010000'))],
  ['acknowledgements of SETTINGS', () => repeat(10_000, () => frame(type.settings, 1, 0))],
  ['DATA without bytes', () => repeat(10_000, () => frame(type.data, 0, 1))],
  ['DATA of padding', () => repeat(10_000, () => frame(type.data, 8, 1, '0300 0000'))],
  ['PRIORITY', () => repeat(10_000, () => frame(type.priority, 0, 1, '0000000000'))],
  ['unknown frames', () => repeat(10_000, () => frame(0x77, 0, 1, '00'))],
  ['WINDOW_UPDATE', () => repeat(50_000, () => frame(type.window, 0, 1, uint32(1)))],
  [
    'RST_STREAM of a stream that is over',
    (peer) => [
      frame(type.reset, 0, 1, uint32(8)),
      ...repeat(10_000, () => frame(type.reset, 0, 1, uint32(8))),
      peer.connect(3),
    ],
  ],
  ['informational settings beyond count', () => [frame(type.settings, 0, 0, Buffer.alloc(6 * 200))]],
]

t.test('a flood ends with ENHANCE_YOUR_CALM, and a bystander is served on:', async (t) => {
  for (const [name, attack] of floods) {
    const { bench, finish } = await withBystander({ serverLimits: { resetBurst: 100, resetsPerSecond: 10 } })
    const peer = await rawClient(bench)
    peer.send(peer.connect(1))
    await eventually('an answer', () => peer.answers.has(1))
    peer.send(...attack(peer))
    t.equal(await peer.gone(), enhanceYourCalm, name)
    t.match(bench.errors, [{ error: { code: 'TUNNEL_H2', message: /enhanceYourCalm/ } }], name)
    const worstMs = await finish()
    t.ok(worstMs < 1_000, `${name}: the bystander waited ${worstMs.toFixed(1)} ms at most`)
  }
})

const violations: readonly [string, number, (peer: RawPeer) => Buffer[]][] = [
  ['a frame beyond the size', frameSizeError, () => [frame(type.data, 0, 1, Buffer.alloc(1024 * 1024 + 1))]],
  ['PUSH_PROMISE', protocolError, () => [frame(type.push, 4, 1, '00000002 82')]],
  ['DATA for a stream that never was', protocolError, () => [frame(type.data, 0, 9, '00')]],
  ['an even stream', protocolError, (peer) => [peer.connect(2)]],
  ['DATA on stream 0', protocolError, () => [frame(type.data, 0, 0, '00')]],
  ['RST_STREAM for a stream that never was', protocolError, () => [frame(type.reset, 0, 9, uint32(0))]],
  ['WINDOW_UPDATE for a stream that never was', protocolError, () => [frame(type.window, 0, 9, uint32(1))]],
  ['WINDOW_UPDATE of 0 for the session', protocolError, () => [frame(type.window, 0, 0, uint32(0))]],
  ['a session window beyond the limit', flowControlError, () => [frame(type.window, 0, 0, uint32(2 ** 31 - 1))]],
  ['SETTINGS beyond the window', flowControlError, () => [frame(type.settings, 0, 0, '0004 80000000')]],
  [
    'SETTINGS that overflow a stream window',
    flowControlError,
    () => [frame(type.window, 0, 1, uint32(2 ** 31 - 1 - 65_535)), frame(type.settings, 0, 0, '0004 00010000')],
  ],
  ['a frame size that is not allowed', protocolError, () => [frame(type.settings, 0, 0, '0005 00000001')]],
  ['ENABLE_PUSH of 2', protocolError, () => [frame(type.settings, 0, 0, '0002 00000002')]],
  ['broken HPACK', compressionError, () => [frame(type.headers, 4, 3, 'ff ff ff ff ff ff ff')]],
  ['an HPACK index that is not there', compressionError, () => [frame(type.headers, 4, 3, 'ff 00')]],
  ['an HPACK table beyond the setting', compressionError, () => [frame(type.headers, 4, 3, '3f e2 1f')]],
  [
    'DATA after a stream ended in order',
    streamClosed,
    () => [frame(type.data, 1, 1, '00'), frame(type.data, 0, 1, '00'), frame(type.data, 0, 1, '00')],
  ],
  [
    'DATA beyond the session window',
    flowControlError,
    (peer) => [
      ...repeat(10, (at) => peer.connect(oddId(at + 1))),
      ...repeat(300, (at) => frame(type.data, 0, oddId((at % 8) + 1), Buffer.alloc(60_000))),
    ],
  ],
]

t.test('a violation of the session ends it with its code:', async (t) => {
  const bench = await Bench.create({
    onConnect: echo,
    // Nobody reads here, and so nothing is given back.
    serverLimits: { sessionWindowBytes: 65_535 },
  })
  for (const [name, code, attack] of violations) {
    const before = bench.errors.length
    const peer = await rawClient(bench)
    peer.send(peer.connect(1))
    await eventually('an answer', () => peer.answers.has(1))
    peer.send(...attack(peer))
    t.equal(await peer.gone(), code, name)
    t.equal(bench.errors.length, before + 1, name)
    t.equal(bench.errors.at(-1)?.error.code, 'TUNNEL_H2', name)
  }
  await bench.close()
})

const streamViolations: readonly [string, number, (peer: RawPeer) => Buffer[]][] = [
  ['WINDOW_UPDATE of 0', protocolError, () => [frame(type.window, 0, 1, uint32(0))]],
  ['a window beyond the limit', flowControlError, () => [frame(type.window, 0, 1, uint32(2 ** 31 - 1))]],
  ['DATA after its end', streamClosed, () => [frame(type.data, 1, 1, '00'), frame(type.data, 0, 1, '00')]],
  ['DATA beyond its window', flowControlError, () => repeat(2, () => frame(type.data, 0, 1, Buffer.alloc(50_000)))],
  ['trailers without an end', protocolError, (peer) => [frame(type.headers, 4, 1, peer.block([['x', 'y']]))]],
  ['trailers with a pseudo-header', protocolError, (peer) => [frame(type.headers, 5, 1, peer.block([[':path', '/']]))]],
  ['an upper-case name', protocolError, (peer) => [peer.connect(3, ['Baggage', 'x'])]],
  ['a header of the connection', protocolError, (peer) => [peer.connect(3, ['connection', 'close'])]],
  ['a pseudo-header twice', protocolError, (peer) => [peer.connect(3, [':authority', 'b:1'])]],
  ['an unknown pseudo-header', protocolError, (peer) => [peer.connect(3, [':nonsense', 'b'])]],
  [
    'a pseudo-header after a header',
    protocolError,
    (peer) => [
      frame(
        type.headers,
        4,
        3,
        peer.block([
          ['x', 'y'],
          [':method', 'CONNECT'],
        ]),
      ),
    ],
  ],
  ['a value with a line break', protocolError, (peer) => [peer.connect(3, ['baggage', 'a\r\nb'])]],
  [
    'CONNECT with a path',
    protocolError,
    (peer) => [
      peer.request(3, [
        [':method', 'CONNECT'],
        [':authority', 'a:1'],
        [':path', '/'],
      ]),
    ],
  ],
  [
    'CONNECT with a scheme',
    protocolError,
    (peer) => [
      peer.request(3, [
        [':method', 'CONNECT'],
        [':authority', 'a:1'],
        [':scheme', 'x'],
      ]),
    ],
  ],
  [
    'extended CONNECT',
    protocolError,
    (peer) => [
      peer.request(3, [
        [':method', 'CONNECT'],
        [':authority', 'a:1'],
        [':protocol', 'websocket'],
        [':scheme', 'https'],
        [':path', '/'],
      ]),
    ],
  ],
  ['CONNECT without an authority', protocolError, (peer) => [peer.request(3, [[':method', 'CONNECT']])]],
  [
    'CONNECT with an empty authority',
    protocolError,
    (peer) => [
      peer.request(3, [
        [':method', 'CONNECT'],
        [':authority', ''],
      ]),
    ],
  ],
  [
    'GET without a path',
    protocolError,
    (peer) => [
      peer.request(3, [
        [':method', 'GET'],
        [':scheme', 'https'],
      ]),
    ],
  ],
  ['no method', protocolError, (peer) => [frame(type.headers, 4, 3, peer.block([[':authority', 'a:1']]))]],
]

t.test('a violation of a stream resets that stream, and the session lives on:', async (t) => {
  for (const [name, code, attack] of streamViolations) {
    const bench = await Bench.create({
      onConnect: (connect) => void connect.accept().on('error', () => {}),
      serverLimits: { streamWindowBytes: 65_535 },
    })
    const peer = await rawClient(bench)
    peer.send(peer.connect(1))
    await eventually('an answer', () => peer.answers.has(1))
    peer.send(...attack(peer))
    await eventually('a reset', () => peer.resets.size === 1)
    t.same([...peer.resets.values()], [code], name)
    peer.send(ping)
    await eventually('still alive', () => peer.pings === 1)
    t.same(bench.errors, [], name)
    await bench.close()
    peer.socket.destroy()
  }
})

t.test('a header list beyond the limit is answered 400, a bomb ends the session', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const peer = await rawClient(bench)
  const first = peer.block([
    [':method', 'CONNECT'],
    [':authority', 'a:1'],
    ['x', 'v'.repeat(3_000)],
  ])
  for (let id = 1; id < 40; id += 2) {
    peer.send(frame(type.headers, 5, id, Buffer.concat([first, Buffer.alloc(100, 0x80 | 62)])))
  }
  await eventually('answers', () => peer.answers.size === 20)
  t.match(peer.answers.get(1), [[':status', '400']])
  peer.send(peer.connect(101))
  await eventually('a good one is answered', () => peer.answers.has(101))
  t.match(peer.answers.get(101), [[':status', '200']])
  t.same(bench.errors, [])
  peer.send(frame(type.headers, 5, 103, Buffer.concat([first, Buffer.alloc(16_000, 0x80 | 62)])))
  t.equal(await peer.gone(), enhanceYourCalm)
  t.match(bench.errors, [{ error: { code: 'TUNNEL_H2', message: /far beyond/ } }])
  await bench.close()
})

t.test('another request than CONNECT is answered 400, and a moment later reset without an error', async (t) => {
  const bench = await Bench.create({ onConnect: () => t.fail('must not reach the owner') })
  const peer = await rawClient(bench)
  for (const [at, method] of ['GET', 'POST', 'PRI', 'connect'].entries()) {
    const fields = [
      [':method', method],
      [':authority', 'a:1'],
      [':path', '/'],
      [':scheme', 'https'],
    ] as const
    peer.send(frame(type.headers, 4, oddId(at), peer.block(fields)))
    await eventually('an answer', () => peer.answers.has(oddId(at)))
    t.match(peer.answers.get(oddId(at)), [[':status', '400']])
  }
  await eventually('resets', () => peer.resets.size === 4)
  t.same(new Set(peer.resets.values()), new Set([0]))
  peer.socket.destroy()
  await bench.close()
})

t.test('streams beyond the limit are refused one by one', async (t) => {
  const bench = await Bench.create({ onConnect: echo, serverLimits: { serverMaxStreams: 5 } })
  const peer = await rawClient(bench)
  peer.send(...repeat(8, (at) => peer.connect(oddId(at))))
  await eventually('all are answered', () => peer.answers.size + peer.resets.size === 8)
  t.equal(peer.answers.size, 5)
  t.same([...peer.resets.values()], [7, 7, 7])
  peer.send(frame(type.data, 1, 1, '00'), frame(type.data, 0, 15, '00'))
  await eventually('the first one ends', () => peer.ended.has(1))
  peer.send(peer.connect(17))
  await eventually('a place that became free is used again', () => peer.answers.has(17))
  peer.socket.destroy()
  await bench.close()
})

t.test('a peer with a window of zero gets nothing and costs little; other sessions go on', async (t) => {
  const blocked: TunnelStream[] = []
  const { bench, finish } = await withBystander({
    onConnect: (connect) => {
      if (connect.authority.endsWith(':1')) {
        echo(connect)
        return
      }
      const stream = connect.accept()
      stream.on('error', () => {})
      blocked.push(stream)
      while (stream.write(Buffer.alloc(16_384)));
    },
  })
  const peer = await rawClient(bench, '0004 00000000')
  peer.send(...repeat(150, (at) => peer.connect(oddId(at))))
  await eventually('answers', () => peer.answers.size === 150)
  t.equal(peer.received.size, 0)
  t.ok(
    blocked.every((stream) => stream.writableLength <= 128 * 1024),
    'each waits with a full buffer, no more',
  )
  peer.send(frame(type.settings, 0, 0, '0004 00010000'))
  await eventually('the session window is used up', () => {
    return [...peer.received.values()].reduce((sum, bytes) => sum + bytes, 0) === 65_535
  })
  peer.socket.destroy()
  await eventually('all are gone', () => blocked.every((stream) => stream.destroyed))
  t.ok((await finish()) < 1_000)
})

t.test('single bytes for a reader that stands still cost no more than their share of memory', async (t) => {
  const accepted: TunnelStream[] = []
  const bench = await Bench.create({
    onConnect: (connect) => accepted.push(connect.accept()),
    serverLimits: { initialStreamWindowBytes: 4 * 1024 * 1024 },
  })
  const peer = await rawClient(bench)
  peer.send(peer.connect(1))
  await eventually('accepted', () => accepted.length === 1)
  const count = 300_000
  const single = frame(type.data, 0, 1, '61')
  globalThis.gc?.()
  const before = process.memoryUsage()
  for (let sent = 0; sent < count; sent += 10_000) {
    peer.send(...repeat(10_000, () => single))
    await new Promise((resolve) => setImmediate(resolve))
  }
  peer.send(ping)
  await eventually('all arrived', () => peer.pings === 1)
  const after = process.memoryUsage()
  t.ok(after.heapUsed - before.heapUsed < 60_000_000, `${after.heapUsed - before.heapUsed} bytes of heap`)
  peer.send(frame(type.data, 1, 1))
  t.equal((await readAll(accepted[0]!)).length, count)
  peer.socket.destroy()
  await bench.close()
})

t.test('a peer that sends PING and reads nothing is cut, with little memory spent', async (t) => {
  const bench = await Bench.create({ onConnect: echo, serverLimits: { pingIntervalMs: 20, pingTimeoutMs: 60 } })
  const peer = await rawClient(bench)
  Reflect.get(peer.socket, '_handle').readStop()
  const chatter = setInterval(() => peer.send(ping), 10)
  await eventually('it is cut although it sends', () => bench.tunnels.sessions === 0)
  clearInterval(chatter)
  t.match(bench.errors, [{ error: { code: 'TUNNEL_TIMEOUT' } }])
  peer.socket.destroy()
  await bench.close()
})
