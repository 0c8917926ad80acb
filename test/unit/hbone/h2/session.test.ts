// A session without sockets: two of ours against each other with any traffic, a rogue server, and fuzzing in both roles.
import { once } from 'node:events'
import { type Duplex, duplexPair } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import fc from 'fast-check'
import t from 'tap'
import { FrameWriter } from '../../../../core/hbone/h2/frame-writer.ts'
import { HpackEncoder } from '../../../../core/hbone/h2/hpack-encoder.ts'
import { errorCode, preface } from '../../../../core/hbone/h2/protocol.ts'
import { Http2Session } from '../../../../core/hbone/h2/session.ts'
import type { TunnelHttp2Stream } from '../../../../core/hbone/h2/stream.ts'
import { defaultLimits, type TunnelLimits } from '../../../../core/hbone/limits.ts'
import { frame, RawPeer, type } from '../../../helpers/raw-http2.ts'
import { eventually } from '../../../helpers/tunnel.ts'

const connect = [
  [':method', 'CONNECT'],
  [':authority', '10.0.0.1:80'],
] as const

interface Made {
  readonly session: Http2Session
  readonly closed: unknown[]
}

function make(
  socket: Duplex,
  role: 'client' | 'server',
  onStream: (session: Http2Session, stream: TunnelHttp2Stream) => void = () => {},
  limits: Partial<TunnelLimits> = {},
): Made {
  const closed: unknown[] = []
  socket.on('error', () => {})
  const session = new Http2Session(
    socket as unknown as TLSSocket,
    role,
    { ...defaultLimits, ...limits },
    {
      onSettings: () => {},
      onHeaders: (stream) => onStream(session, stream),
      onGoaway: () => {},
      onClosed: (error) => closed.push(error),
    },
  )
  return { session, closed }
}

function echoes(session: Http2Session, stream: TunnelHttp2Stream): void {
  session.respond(stream, [[':status', '200']])
  stream.on('data', (chunk: Buffer) => stream.write(chunk)).on('end', () => stream.end())
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

t.test('any traffic over any windows comes back as it was sent', async (t) => {
  const sizes = fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 1, maxLength: 6 })
  const streams = fc.array(fc.record({ sizes, direct: fc.boolean() }), { minLength: 1, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(streams, fc.integer({ min: 65_535, max: 400_000 }), async (plans, window) => {
      const [a, b] = duplexPair({ allowHalfOpen: false })
      const limits = { streamWindowBytes: window, sessionWindowBytes: window, maxFrameBytes: 16_384 + window }
      const client = make(a, 'client', () => {}, limits)
      const server = make(b, 'server', echoes, limits)
      await eventually('settings', () => client.session.peerSettings.maxConcurrentStreams !== undefined)
      const sums = plans.map(async (plan) => {
        const stream = client.session.request(connect)!
        const sent: Buffer[] = plan.sizes.map((size, at) => Buffer.alloc(size, at + 1))
        const got: Buffer[] = []
        if (plan.direct) stream.readDirect({ data: (chunk) => got.push(chunk) })
        else stream.on('data', (chunk: Buffer) => got.push(chunk))
        for (const chunk of sent) {
          if (plan.direct) stream.send(chunk)
          else stream.write(chunk)
        }
        stream.end()
        await once(stream, 'end')
        return Buffer.concat(got).equals(Buffer.concat(sent))
      })
      const right = (await Promise.all(sums)).every(Boolean)
      await eventually('no stream is left', () => client.session.streams === 0 && server.session.streams === 0)
      client.session.close()
      await eventually('closed', () => client.closed.length === 1 && server.closed.length === 1)
      return right && client.closed[0] === undefined && server.closed[0] === undefined
    }),
    { numRuns: 60 },
  )
  t.pass()
})

t.test('a small message overtakes bulk of another stream', async (t) => {
  const [a, b] = duplexPair({ allowHalfOpen: false })
  const order: string[] = []
  const server = make(b, 'server', (session, stream) => {
    session.respond(stream, [[':status', '200']])
    stream.on('data', (chunk: Buffer) => order.push(chunk.length < 100 ? 'small' : 'bulk'))
  })
  const client = make(a, 'client')
  await eventually('settings', () => client.session.peerSettings.maxConcurrentStreams !== undefined)
  const bulk = client.session.request(connect)!
  const small = client.session.request(connect)!
  await turns(3)
  for (let count = 0; count < 60; count += 1) bulk.send(Buffer.alloc(65_536))
  small.send(Buffer.from('now'))
  await eventually('it arrives', () => order.includes('small'))
  t.ok(order.indexOf('small') < 3, `after ${order.indexOf('small')} pieces of bulk`)
  client.session.destroy()
  server.session.destroy()
})

t.test('a small message waits for what is on its way only, however much bulk flows', async (t) => {
  const [a, b] = duplexPair({ allowHalfOpen: false })
  let arrived = 0
  let before: number | undefined
  let atArrival: number | undefined
  const server = make(b, 'server', (session, stream) => {
    session.respond(stream, [[':status', '200']])
    stream.readDirect({
      data: (chunk) => {
        if (stream.id !== 1) atArrival ??= arrived
        else arrived += chunk.length
        if (before !== undefined || arrived < 2 * 1024 * 1024 + 1) return
        before = arrived
        small.send(Buffer.from('now'))
      },
    })
  })
  const client = make(a, 'client')
  await eventually('settings', () => client.session.peerSettings.maxConcurrentStreams !== undefined)
  const bulk = client.session.request(connect)!
  const small = client.session.request(connect)!
  const more = () => {
    while (bulk.queuedBytes < 1024 * 1024) bulk.send(Buffer.alloc(65_536))
  }
  bulk.onDrained = more
  const feeding = setInterval(more, 1)
  more()
  await eventually('it arrives', () => atArrival !== undefined)
  clearInterval(feeding)
  bulk.onDrained = undefined
  t.ok(atArrival! - before! <= 2 * 128 * 1024, `behind ${atArrival! - before!} bytes of bulk`)
  client.session.destroy()
  server.session.destroy()
})

const rogueServer: readonly [string, number, (peer: RawPeer) => Buffer[]][] = [
  ['a pushed stream', errorCode.protocolError, () => [frame(type.push, 4, 1, '00000002 82')]],
  [
    'an answer to nothing',
    errorCode.protocolError,
    (peer) => [frame(type.headers, 4, 9, peer.block([[':status', '200']]))],
  ],
  [
    'a stream of its own',
    errorCode.protocolError,
    (peer) => [frame(type.headers, 4, 2, peer.block([[':status', '200']]))],
  ],
  ['ENABLE_PUSH', errorCode.protocolError, () => [frame(type.settings, 0, 0, '0002 00000001')]],
  ['DATA for a stream that never was', errorCode.protocolError, () => [frame(type.data, 0, 3, '00')]],
]

t.test('a rogue server ends the session with its code:', async (t) => {
  for (const [name, code, attack] of rogueServer) {
    const [a, b] = duplexPair({ allowHalfOpen: false })
    const client = make(a, 'client')
    b.once('data', () => {})
    const peer = new RawPeer(skipPreface(b))
    peer.send(frame(type.settings, 0, 0))
    await eventually('settings', () => peer.settingsAcks === 1)
    client.session.request(connect)
    peer.send(...attack(peer))
    t.equal(await peer.gone(), code, name)
    t.match(client.closed, [{ code: 'TUNNEL_H2' }], name)
  }
})

t.test('a rogue server breaks its stream only:', async (t) => {
  const cases: readonly [string, (peer: RawPeer) => Buffer[]][] = [
    ['DATA before the answer', () => [frame(type.data, 0, 1, '00')]],
    ['an answer without a status', (peer) => [frame(type.headers, 4, 1, peer.block([['x', 'y']]))]],
    [
      'an answer with a method',
      (peer) => [
        frame(
          type.headers,
          4,
          1,
          peer.block([
            [':status', '200'],
            [':method', 'GET'],
          ]),
        ),
      ],
    ],
    ['an informational answer with an end', (peer) => [frame(type.headers, 5, 1, peer.block([[':status', '103']]))]],
  ]
  for (const [name, attack] of cases) {
    const [a, b] = duplexPair({ allowHalfOpen: false })
    const client = make(a, 'client')
    const peer = new RawPeer(skipPreface(b))
    peer.send(frame(type.settings, 0, 0))
    await eventually('settings', () => peer.settingsAcks === 1)
    const stream = client.session.request(connect)!
    const failed = once(stream, 'error')
    peer.send(...attack(peer))
    t.match((await failed)[0], { code: 'TUNNEL_H2' }, name)
    t.same(client.closed, [], name)
    await eventually('reset', () => peer.resets.get(1) === errorCode.protocolError)
    client.session.destroy()
    b.destroy()
  }
})

/** What a server reads after the preface of a client. */
function skipPreface(socket: Duplex): Duplex {
  const read = socket.on.bind(socket)
  let left = preface.length
  return new Proxy(socket, {
    get(target, property) {
      if (property === 'on') {
        return (event: string, listener: (...values: unknown[]) => void) =>
          read(event, (...values: unknown[]) => {
            const [chunk] = values
            if (event !== 'data' || !(chunk instanceof Buffer)) return listener(...values)
            const skipped = Math.min(left, chunk.length)
            left -= skipped
            if (chunk.length > skipped) listener(chunk.subarray(skipped))
          })
      }
      const value: unknown = Reflect.get(target, property)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** An honest conversation of one side, to be mutilated. */
function transcript(role: 'client' | 'server'): Buffer {
  const writer = new FrameWriter()
  const encoder = new HpackEncoder()
  if (role === 'client') writer.raw(preface)
  writer.settings([[4, 100_000]])
  writer.windowUpdate(0, 100_000)
  writer.settingsAck()
  for (let id = 1; id < 12; id += 2) {
    const fields = role === 'client' ? connect : ([[':status', '200']] as const)
    writer.headers(id, encoder.encode([...fields, ['baggage', `a=${id}`]]), false, 16_384)
    writer.data(id, 300, false)
    writer.payload(Buffer.alloc(300, id))
    writer.windowUpdate(id, 1_000)
    writer.ping(false, Buffer.alloc(8), 0)
    if (id % 4 === 1) writer.data(id, 0, true)
    else writer.resetStream(id, 8)
  }
  writer.goaway(0, 0, '')
  return Buffer.concat(writer.take().parts)
}

interface Cut {
  readonly at: number
  readonly kind: 'flip' | 'remove' | 'repeat' | 'insert'
  readonly bytes: Uint8Array
}

function mutate(bytes: Buffer, cuts: readonly Cut[]): Buffer {
  let result = Buffer.from(bytes)
  for (const { at, kind, bytes: noise } of cuts) {
    const from = Math.floor((at / 1_000_000) * result.length)
    const to = Math.min(result.length, from + noise.length)
    if (kind === 'flip') for (let index = from; index < to; index += 1) result[index]! ^= noise[index - from]!
    else {
      const middle =
        kind === 'remove' ? [] : kind === 'repeat' ? [result.subarray(from, to), result.subarray(from, to)] : [noise]
      result = Buffer.concat([result.subarray(0, from), ...middle, result.subarray(kind === 'insert' ? from : to)])
    }
  }
  return result
}

const cuts: fc.Arbitrary<readonly Cut[]> = fc.array(
  fc.record({
    at: fc.nat(999_999),
    kind: fc.constantFrom('flip', 'remove', 'repeat', 'insert'),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  }),
  { maxLength: 4 },
)

t.test('a mutilated conversation, or any bytes, end a session in order and at once, in both roles', async (t) => {
  for (const role of ['client', 'server'] as const) {
    const honest = transcript(role === 'server' ? 'client' : 'server')
    const input = fc.oneof(
      { weight: 4, arbitrary: cuts.map((list) => mutate(honest, list)) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)) },
    )
    await fc.assert(
      fc.asyncProperty(input, fc.integer({ min: 1, max: 3_000 }), async (bytes, piece) => {
        const [near, far] = duplexPair({ allowHalfOpen: false })
        far.on('error', () => {}).resume()
        const made = make(near, role, (session, stream) => {
          if (role === 'server') echoes(session, stream)
          else stream.resume().end('x')
        })
        await turns(1)
        const streams = role === 'client' ? Array.from({ length: 6 }, () => made.session.request(connect)) : []
        for (let at = 0; at < bytes.length; at += piece) {
          far.write(bytes.subarray(at, at + piece))
          if (at % 5 === 0) await turns(1)
        }
        await turns(3)
        const heldStreams = made.session.streams
        far.destroy()
        near.destroy()
        await turns(3)
        const over = streams.every((stream) => stream === undefined || stream.destroyed || stream.readableEnded)
        return made.closed.length === 1 && made.session.streams === 0 && heldStreams <= 200 && over
      }),
      { numRuns: 400 },
    )
    t.pass(role)
  }
})
