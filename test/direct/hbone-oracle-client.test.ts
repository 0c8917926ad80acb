// The client role of the engine against a server that says whatever a test wants: every frame type both ways, what the RFC
// forbids a server, and what it leaves to a client. node:http2 as the server is in hbone-oracle.test.ts.
import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { MeshError } from '../../core/base/errors.ts'
import { errorCode, flag } from '../../core/hbone/h2/protocol.ts'
import type { TunnelStream } from '../../core/hbone/types.ts'
import { frame, type, uint32 } from '../helpers/raw-http2.ts'
import { RawServer } from '../helpers/raw-server.ts'
import { eventually } from '../helpers/tunnel.ts'
import { type Coverage, frameNames, type Wire, type WireOptions } from '../peer/wire.ts'

const { protocolError, flowControlError, frameSizeError, streamClosed, compressionError } = errorCode
const coverage: Coverage = { sent: new Set(), received: new Set() }

interface Open {
  readonly wire: Wire
  readonly id: number
  readonly stream: TunnelStream
}

/** With an open tunnel of our client. */
function onTunnel(
  name: string,
  run: (t: Test, open: Open, server: RawServer) => Promise<void>,
  settings = '',
  options: WireOptions = {},
) {
  t.test(name, async (t) => {
    const server = await RawServer.create(coverage, settings, options)
    t.teardown(() => server.close())
    const open = await server.tunnel()
    open.stream.on('error', () => {})
    await run(t, open, server)
  })
}

async function received(stream: TunnelStream, bytes: number): Promise<string> {
  let text = ''
  while (text.length < bytes) {
    const [chunk] = await once(stream, 'data', { signal: AbortSignal.timeout(5_000) })
    text += String(chunk)
  }
  return text
}

/** Until the end, which does not end the other direction. */
async function whole(stream: TunnelStream): Promise<string> {
  let text = ''
  stream.on('data', (chunk: Buffer) => {
    text += String(chunk)
  })
  await once(stream, 'end', { signal: AbortSignal.timeout(5_000) })
  return text
}

async function answersPing(wire: Wire): Promise<void> {
  const before = wire.of(type.ping).length
  wire.send(frame(type.ping, 0, 0, '0102030405060708'))
  await wire.until('an answer to PING', () => wire.of(type.ping).length > before)
}

onTunnel('the preface, SETTINGS and the request of a tunnel', async (t, { wire, id }) => {
  t.equal(wire.received[0]?.type, type.settings)
  t.equal(wire.settings.get(2), 0, 'no pushes')
  t.equal(wire.settings.get(4), 256 * 1024, 'a window that grows when it is needed')
  t.equal(id, 1)
  t.same(wire.lists(1)[0], [
    [':method', 'CONNECT'],
    [':authority', '10.0.0.1:80'],
  ])
  await wire.until('our acknowledgement', () => wire.of(type.settings).some(({ flags }) => flags === flag.ack))
})

onTunnel('DATA with and without padding, both ways, and both ends', async (t, { wire, id, stream }) => {
  stream.write('from the client')
  await wire.until('DATA', () => wire.bytes(id).length === 15)
  wire.send(frame(type.data, flag.padded, id, Buffer.concat([Buffer.of(3), Buffer.from('padded'), Buffer.alloc(3)])))
  wire.send(frame(type.data, 0, id), frame(type.data, flag.endStream, id, Buffer.from(' plain')))
  t.equal(await whole(stream), 'padded plain')
  stream.end()
  await wire.until('the end of the client', () => wire.ended(id))
})

onTunnel('unknown frames, PRIORITY, PRIORITY_UPDATE and unknown settings pass by', async (t, { wire, id, stream }) => {
  wire.send(frame(0x0a, 0, 0, '0000'), frame(0x0c, 0, 0, ''), frame(0x10, 0, 0, uint32(1)), frame(0xfe, 0xff, id, '00'))
  wire.send(frame(type.priority, 0, id, '0000000010'), frame(type.settings, 0, 0, '7777 00000001'))
  wire.send(frame(type.data, 0, id, Buffer.from('x')))
  t.equal(await received(stream, 1), 'x')
  await answersPing(wire)
})

onTunnel(
  'our client keeps to windows and frame size',
  async (t, { wire, id, stream }) => {
    stream.write(Buffer.alloc(50_000))
    await wire.until('the window used up', () => wire.bytes(id).length === 20_000)
    await answersPing(wire)
    t.equal(wire.bytes(id).length, 20_000)
    wire.send(frame(type.settings, 0, 0, '0004 00002710'), frame(type.window, 0, id, uint32(11_000)))
    await wire.until('a thousand more', () => wire.bytes(id).length === 21_000)
    await answersPing(wire)
    t.equal(wire.bytes(id).length, 21_000, 'a smaller initial window takes back what was granted')
    wire.send(frame(type.settings, 0, 0, '0004 00100000'))
    await wire.until('the rest', () => wire.bytes(id).length === 50_000)
    t.ok(wire.received.every(({ payload }) => payload.length <= 16_384))
  },
  '0004 00004e20',
  { grants: false },
)

onTunnel('RST_STREAM of the server is an error with its code', async (t, { wire, id, stream }) => {
  const failed = once(stream, 'error')
  wire.send(frame(type.reset, 0, id, uint32(errorCode.internalError)))
  t.match((await failed)[0], { code: 'TUNNEL_UNAVAILABLE', message: /internalError/ })
  await answersPing(wire)
})

onTunnel('RST_STREAM of ours says CANCEL, and what was on its way is taken', async (t, { wire, id, stream }) => {
  stream.destroy()
  await wire.until('a reset', () => wire.reset(id) !== undefined)
  t.equal(wire.reset(id), errorCode.cancel)
  wire.send(frame(type.data, 0, id, Buffer.alloc(1_000)), frame(type.window, 0, id, uint32(5)))
  wire.send(wire.headers(id, [['x', 'y']], 5))
  await answersPing(wire)
})

onTunnel('an orderly end with RST_STREAM of NO_ERROR loses nothing', async (t, { wire, id, stream }) => {
  wire.send(frame(type.data, flag.endStream, id, Buffer.from('all')), frame(type.reset, 0, id, uint32(0)))
  t.equal(await whole(stream), 'all')
})

onTunnel('trailers end the stream', async (t, { wire, id, stream }) => {
  wire.send(frame(type.data, 0, id, Buffer.from('body')), wire.headers(id, [['x-sum', '1']], 5))
  t.equal(await whole(stream), 'body')
})

onTunnel(
  'GOAWAY keeps what is open and moves what is new to another session',
  async (t, { wire, id, stream }, server) => {
    wire.send(frame(type.goaway, 0, 0, Buffer.concat([uint32(id), uint32(0), Buffer.from('bye')])))
    await answersPing(wire)
    await server.tunnel(1)
    wire.send(frame(type.data, flag.endStream, id, Buffer.from('still')))
    t.equal(await whole(stream), 'still')
    stream.end()
    await wire.until('GOAWAY of ours, once all is over', () => wire.gone === 0)
  },
)

t.test('a request beyond the last stream of GOAWAY is tried on another session', async (t) => {
  const server = await RawServer.create(coverage)
  t.teardown(() => server.close())
  const opening = server.bench.connect()
  const first = await server.request()
  first.send(frame(type.goaway, 0, 0, Buffer.concat([uint32(0), uint32(0)])))
  await eventually('a second session', () => server.wires.length === 2)
  const second = await server.request(1)
  second.send(second.headers(1, [[':status', '200']]))
  t.ok((await opening).stream)
})

t.test('answers over CONTINUATION, after informational ones, in any HPACK form', async (t) => {
  const server = await RawServer.create(coverage)
  t.teardown(() => server.close())
  const opening = server.bench.connect()
  const wire = await server.request()
  wire.send(wire.headers(1, [[':status', '103']]))
  const block = wire.block([
    [':status', '200'],
    ['baggage', 'a=1'],
  ])
  wire.send(frame(type.headers, 0, 1, block.subarray(0, 1)), frame(type.continuation, 0, 1))
  wire.send(frame(type.continuation, flag.endHeaders, 1, block.subarray(1)))
  t.equal((await opening).responseHeaders.baggage, 'a=1')
})

t.test('a request with a long header goes out over CONTINUATION, and the server reads it', async (t) => {
  const server = await RawServer.create(coverage)
  t.teardown(() => server.close())
  const baggage = 'b'.repeat(40_000)
  const opening = server.bench.pool.connect(
    server.bench.key(),
    { authority: '10.0.0.1:80', headers: { baggage } },
    AbortSignal.timeout(5_000),
  )
  const wire = await server.request()
  await wire.until('the whole request', () => wire.lists(1).length === 1)
  t.equal(new Map(wire.lists(1)[0]).get('baggage'), baggage)
  wire.send(wire.headers(1, [[':status', '200']]))
  await opening
})

const statuses: readonly [string, string][] = [
  ['400', 'TUNNEL_BAD_REQUEST'],
  ['401', 'TUNNEL_DENIED'],
  ['403', 'TUNNEL_DENIED'],
  ['503', 'TUNNEL_UNAVAILABLE'],
  ['204', 'TUNNEL_UNAVAILABLE'],
  ['xyz', 'TUNNEL_UNAVAILABLE'],
]

t.test('every other answer than 200 is an error by its status', async (t) => {
  for (const [status, code] of statuses) {
    const server = await RawServer.create(coverage)
    const opening = server.bench.connect()
    const wire = await server.request()
    wire.send(wire.headers(1, [[':status', status]], 5))
    await t.rejects(opening, { code }, status)
    await server.close()
  }
})

/** What a server must not do: the session ends with this code, and the tunnel with it. */
const violations: readonly [string, number, (wire: Wire) => readonly Buffer[]][] = [
  [
    'PUSH_PROMISE',
    protocolError,
    (wire) => [frame(type.push, 4, 1, Buffer.concat([uint32(2), wire.block([[':method', 'GET']])]))],
  ],
  ['ENABLE_PUSH of a server', protocolError, () => [frame(type.settings, 0, 0, '0002 00000001')]],
  ['HEADERS on a stream that nobody opened', protocolError, (wire) => [wire.headers(9, [[':status', '200']])]],
  ['HEADERS on an even stream', protocolError, (wire) => [wire.headers(2, [[':status', '200']])]],
  ['DATA on a stream that nobody opened', protocolError, () => [frame(type.data, 0, 9, '00')]],
  ['DATA on stream 0', protocolError, () => [frame(type.data, 0, 0, '00')]],
  ['RST_STREAM on an idle stream', protocolError, () => [frame(type.reset, 0, 9, uint32(0))]],
  ['WINDOW_UPDATE on an idle stream', protocolError, () => [frame(type.window, 0, 9, uint32(1))]],
  ['WINDOW_UPDATE of 0', protocolError, () => [frame(type.window, 0, 0, uint32(0))]],
  ['a session window beyond the limit', flowControlError, () => [frame(type.window, 0, 0, uint32(2 ** 31 - 1))]],
  ['a frame beyond the size', frameSizeError, () => [frame(type.data, 0, 1, Buffer.alloc(1024 * 1024 + 1))]],
  ['PING of 4 bytes', frameSizeError, () => [frame(type.ping, 0, 0, '00000000')]],
  ['GOAWAY on a stream', protocolError, () => [frame(type.goaway, 0, 1, Buffer.alloc(8))]],
  ['CONTINUATION without HEADERS', protocolError, () => [frame(type.continuation, 4, 1, '88')]],
  [
    'a header block that is interrupted',
    protocolError,
    () => [frame(type.headers, 0, 1, '88'), frame(type.data, 0, 1, '00')],
  ],
  ['broken HPACK', compressionError, () => [frame(type.headers, 5, 1, '80')]],
  ['DATA after a stream is over', streamClosed, () => [frame(type.data, 1, 1), frame(type.data, 0, 1, '00')]],
]

t.test('a violation of the server ends the session with its code, and the tunnel with an error:', async (t) => {
  for (const [name, code, frames] of violations) {
    const server = await RawServer.create(coverage)
    const { wire, stream } = await server.tunnel()
    let failure: MeshError | undefined
    stream.on('error', (error: MeshError) => {
      failure = error
    })
    if (code === streamClosed) stream.end()
    stream.resume()
    if (code === streamClosed) await wire.until('our end', () => wire.ended(1))
    wire.send(...frames(wire))
    await wire.until(`GOAWAY for ${name}`, () => wire.gone !== undefined)
    t.equal(wire.gone, code, name)
    await eventually('the stream is over', () => stream.destroyed)
    if (code !== streamClosed) t.match(failure, { code: 'TUNNEL_UNAVAILABLE' }, name)
    await server.close()
  }
})

/** What breaks a stream alone. */
const streamViolations: readonly [string, number, (wire: Wire) => readonly Buffer[]][] = [
  ['WINDOW_UPDATE of 0 for a stream', protocolError, () => [frame(type.window, 0, 1, uint32(0))]],
  ['a stream window beyond the limit', flowControlError, () => [frame(type.window, 0, 1, uint32(2 ** 31 - 1))]],
  ['headers in the middle', protocolError, (wire) => [wire.headers(1, [['x', 'y']])]],
  ['DATA after the end', streamClosed, () => [frame(type.data, 1, 1), frame(type.data, 0, 1, '00')]],
]

t.test('a violation on a stream resets it, and the session lives on:', async (t) => {
  for (const [name, code, frames] of streamViolations) {
    const server = await RawServer.create(coverage)
    const { wire, stream } = await server.tunnel()
    stream.on('error', () => {})
    wire.send(...frames(wire))
    await wire.until(`a reset for ${name}`, () => wire.reset(1) !== undefined)
    t.equal(wire.reset(1), code, name)
    await answersPing(wire)
    await server.close()
  }
})

t.test('answers that are none reset the stream:', async (t) => {
  const answers: readonly [string, (wire: Wire) => readonly Buffer[]][] = [
    ['no status', (wire) => [wire.headers(1, [['x', 'y']])]],
    [
      'a pseudo-header of requests',
      (wire) => [
        wire.headers(1, [
          [':status', '200'],
          [':path', '/'],
        ]),
      ],
    ],
    ['DATA before the answer', () => [frame(type.data, 0, 1, '00')]],
    ['an informational answer with an end', (wire) => [wire.headers(1, [[':status', '103']], 5)]],
  ]
  for (const [name, frames] of answers) {
    const server = await RawServer.create(coverage)
    const opening = server.bench.connect({}, AbortSignal.timeout(3_000))
    opening.catch(() => {})
    const wire = await server.request()
    wire.send(...frames(wire))
    await wire.until(`a reset for ${name}`, () => wire.reset(1) !== undefined)
    t.equal(wire.reset(1), protocolError, name)
    await server.close()
    await t.rejects(opening)
  }
})

t.test(
  'after all of these every frame type went both ways, but for the two that a client of tunnels never sends',
  async (t) => {
    t.same(
      [...frameNames].filter((name) => !coverage.sent.has(name)),
      [],
    )
    t.same(
      [...frameNames].filter((name) => !coverage.received.has(name)),
      ['PRIORITY', 'PUSH_PROMISE'],
    )
  },
)
