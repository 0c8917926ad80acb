// What goes over the wire, byte by byte: what ztunnel and Envoy meet at the other end of a tunnel (reference/ambient.md section 1).
import http2 from 'node:http2'
import type net from 'node:net'
import t from 'tap'
import { serverTls } from '../../core/identity/tls.ts'
import { Bench, dialTcp, echo, eventually, listen } from '../helpers/tunnel.ts'

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const types = { headers: 1, reset: 3, settings: 4, ping: 6, windowUpdate: 8 } as const
const acknowledged = 1
const endHeaders = 4

interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** The complete frames at the start of `bytes` (RFC 9113 section 4.1). */
function framesOf(bytes: Buffer): readonly Frame[] {
  const frames: Frame[] = []
  for (let at = 0; at + 9 <= bytes.length; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    if (end > bytes.length) break
    const stream = bytes.readUInt32BE(at + 5)
    frames.push({ type: bytes[at + 3]!, flags: bytes[at + 4]!, stream, payload: bytes.subarray(at + 9, end) })
    at = end
  }
  return frames
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9)
  header.writeUIntBE(payload.length, 0, 3)
  header.writeUInt8(type, 3)
  header.writeUInt8(flags, 4)
  header.writeUInt32BE(stream, 5)
  return Buffer.concat([header, payload])
}

/** Header fields without compression (RFC 7541 section 6.2.2). */
function literals(fields: Readonly<Record<string, string>>): Buffer {
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)])
  return Buffer.concat(Object.entries(fields).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))
}

function settingsOf({ payload }: Frame): Readonly<Record<number, number>> {
  const settings: Record<number, number> = {}
  for (let at = 0; at + 6 <= payload.length; at += 6) settings[payload.readUInt16BE(at)] = payload.readUInt32BE(at + 2)
  return settings
}

function collected(socket: net.Socket): () => Buffer {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks)
}

/** A session of hand-made frames with the bench's server: what it sends back. */
async function conversation(bench: Bench, ...sent: readonly Buffer[]) {
  const socket = await bench.tls(bench.clientCredentials.context)
  const bytes = collected(socket)
  socket.write(Buffer.concat([preface, frame(types.settings, 0, 0, Buffer.alloc(0)), ...sent]))
  return { socket, frames: () => framesOf(bytes()) }
}

const connect = { ':method': 'CONNECT', ':authority': '10.0.0.1:80' }

t.test('the server tells its limits first, opens the session window and answers PING', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  const data = Buffer.from('0102030405060708', 'hex')
  const { frames } = await conversation(bench, frame(types.ping, 0, 0, data))
  const answer = () => frames().find(({ type }) => type === types.ping)
  await eventually('the PING is answered', () => answer() !== undefined)
  t.match(answer(), { flags: acknowledged, payload: data })
  const [first] = frames()
  t.equal(first?.type, types.settings)
  // max streams, stream window, frame size, header list; no extended CONNECT
  t.match(settingsOf(first!), { 3: 200, 4: 256 * 1024, 5: 1024 * 1024, 6: 64 * 1024, 8: 0 })
  const window = frames().find(({ type, stream }) => type === types.windowUpdate && stream === 0)
  t.equal(window?.payload.readUInt32BE(0), 1024 * 1024 - 65_535)
  await bench.close()
})

t.test(
  'a CONNECT of Envoy is served, headers that mean nothing here included; the answer is the status alone',
  async (t) => {
    const bench = await Bench.create({ onConnect: echo })
    const foreign = { ...connect, te: 'trailers', 'x-istio-source': 'waypoint', 'x-request-id': '1' }
    const { frames } = await conversation(bench, frame(types.headers, endHeaders, 1, literals(foreign)))
    const answer = () => frames().find(({ type, stream }) => type === types.headers && stream === 1)
    await eventually('the CONNECT is answered', () => answer() !== undefined)
    // one indexed field, `:status: 200` of the static table (RFC 7541 appendix A)
    t.match(answer(), { flags: endHeaders, payload: Buffer.from([0x88]) })
    await bench.close()
  },
)

t.test(
  'extended CONNECT, a CONNECT with a path and upper-case names are reset, and the session lives on',
  async (t) => {
    const bench = await Bench.create({ onConnect: echo })
    const path = { ':scheme': 'https', ':path': '/' }
    const { frames } = await conversation(
      bench,
      frame(types.headers, endHeaders, 1, literals({ ...connect, ...path, ':protocol': 'connect-udp' })),
      frame(types.headers, endHeaders, 3, literals({ ...connect, ...path })),
      frame(types.headers, endHeaders, 5, literals({ ...connect, Baggage: 'a=b' })),
      frame(types.headers, endHeaders, 7, literals(connect)),
    )
    await eventually('the good one is answered', () =>
      frames().some(({ type, stream }) => type === types.headers && stream === 7),
    )
    const reset = frames().filter(({ type }) => type === types.reset)
    t.same(
      reset.map(({ stream, payload }) => [stream, payload.readUInt32BE(0)]),
      [1, 3, 5].map((stream) => [stream, http2.constants.NGHTTP2_PROTOCOL_ERROR]),
    )
    await bench.close()
  },
)

/** A bench whose pool dials `onSocket` instead of the bench's own server. */
async function dialling(onSocket: (socket: net.Socket, bench: Bench) => void) {
  const listening = await listen((socket) => onSocket(socket, bench))
  const bench: Bench = await Bench.create({ pool: { dial: () => dialTcp(listening.port) } })
  const close = async () => {
    await bench.close()
    listening.server.close()
  }
  return { bench, close }
}

t.test('the client offers TLS 1.3 with ALPN h2 alone, sends no server name and has no ticket to show', async (t) => {
  const hello = Promise.withResolvers<Buffer>()
  const { bench, close } = await dialling((socket) => {
    socket.once('data', (chunk: Buffer) => {
      hello.resolve(chunk)
      socket.destroy()
    })
  })
  await t.rejects(bench.connect(), { code: 'TUNNEL_HANDSHAKE' })
  const extensions = extensionsOf(await hello.promise)
  t.notOk(extensions.has(0), 'server_name')
  t.notOk(extensions.has(41), 'pre_shared_key')
  t.same(extensions.get(16), Buffer.from('0003026832', 'hex'), 'application_layer_protocol_negotiation: h2')
  t.same(extensions.get(43), Buffer.from('020304', 'hex'), 'supported_versions: TLS 1.3')
  await close()
})

/** The extensions of a ClientHello in one record (RFC 8446 section 4.1.2). */
function extensionsOf(record: Buffer): ReadonlyMap<number, Buffer> {
  let at = 5 + 4 + 2 + 32
  at += 1 + record[at]!
  at += 2 + record.readUInt16BE(at)
  at += 1 + record[at]!
  const end = at + 2 + record.readUInt16BE(at)
  const extensions = new Map<number, Buffer>()
  for (at += 2; at < end; ) {
    const length = record.readUInt16BE(at + 2)
    extensions.set(record.readUInt16BE(at), record.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  return extensions
}

t.test('the client sends its limits and opens the session window', async (t) => {
  const arrived = Promise.withResolvers<readonly Frame[]>()
  const { bench, close } = await dialling((socket, { serverCredentials }) => {
    const tls = serverTls(socket, () => serverCredentials.context)
    tls.on('error', () => {})
    const bytes = collected(tls)
    tls.write(frame(types.settings, 0, 0, Buffer.alloc(0)))
    tls.on('data', () => {
      if (!bytes().subarray(0, preface.length).equals(preface)) return
      const frames = framesOf(bytes().subarray(preface.length))
      if (frames.some(({ type }) => type === types.headers)) arrived.resolve(frames)
    })
  })
  const given = bench.connect().catch(() => {})
  const frames = await arrived.promise
  t.equal(frames[0]?.type, types.settings)
  // no push; stream window, frame size, header list
  t.same(settingsOf(frames[0]!), { 2: 0, 4: 256 * 1024, 5: 1024 * 1024, 6: 16 * 1024 })
  const window = frames.find(({ type, stream }) => type === types.windowUpdate && stream === 0)
  t.equal(window?.payload.readUInt32BE(0), 1024 * 1024 - 65_535)
  await close()
  await given
})

t.test('a CONNECT of the client has method, authority and the headers of the tunnel, nothing else', async (t) => {
  const arrived = Promise.withResolvers<readonly string[]>()
  const { bench, close } = await dialling((socket, { serverCredentials }) => {
    const tls = serverTls(socket, () => serverCredentials.context)
    tls.on('error', () => {})
    tls.once('secure', () => {
      const session = http2.performServerHandshake(tls)
      session.on('error', () => {})
      session.on('stream', (stream, _headers, _flags, raw) => {
        arrived.resolve(raw as unknown as readonly string[])
        stream.on('error', () => {}).respond({ ':status': 200 })
      })
    })
  })
  const request = { authority: '[fd00::1]:80', headers: { baggage: 'a=b', traceparent: '00-1-2-00' } }
  await bench.pool.connect(bench.key(), request, AbortSignal.timeout(10_000))
  const raw = await arrived.promise
  const expected = [':authority', '[fd00::1]:80', ':method', 'CONNECT', 'baggage', 'a=b', 'traceparent', '00-1-2-00']
  t.same([...raw].sort(), expected.sort())
  await close()
})
