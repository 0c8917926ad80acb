// A thread that attacks a tunnel server over and over until it is told to stop: with the certificate of an honest client, or before
// one is asked for. Tells its parent how often it attacked and how the server ended it.
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { parentPort, workerData } from 'node:worker_threads'
import { preface } from '../../core/hbone/h2/protocol.ts'
import { Wire } from '../peer/wire.ts'
import type { ThreadData } from './bystander-worker.ts'
import { frame, type, uint32 } from './raw-http2.ts'

const { port, leaf, attack = '' } = workerData as ThreadData
const ends = new Map<string, number>()
let going = true
let attacks = 0
parentPort?.on('message', () => {
  going = false
})

const repeat = (count: number, make: (index: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, at) => make(at)))
const ping = frame(type.ping, 0, 0, '0000000000000001')
const connectBlock = (wire: Wire) =>
  wire.block([
    [':method', 'CONNECT'],
    [':authority', '10.0.0.1:2'],
  ])

/** Bytes of a flood on a session with stream 1 open. */
const floods: Readonly<Record<string, (wire: Wire) => Buffer>> = {
  'rapid reset': (wire) => {
    const block = connectBlock(wire)
    return repeat(12_000, (at) =>
      Buffer.concat([frame(type.headers, 4, 2 * at + 3, block), frame(type.reset, 0, 2 * at + 3, uint32(8))]),
    )
  },
  continuation: () =>
    Buffer.concat([frame(type.headers, 0, 3, '82'), repeat(5_000, () => frame(type.continuation, 0, 3, '82'))]),
  'hpack bomb': (wire) => {
    const block = Buffer.concat([wire.block([['x', 'v'.repeat(3_000)]]), Buffer.alloc(16_000, 0xbe)])
    return repeat(300, (at) => frame(type.headers, 5, 2 * at + 3, block))
  },
  ping: () => repeat(10_000, () => ping),
  settings: () => repeat(2_000, () => frame(type.settings, 0, 0, '000400010000')),
  'empty DATA': () => repeat(10_000, () => frame(type.data, 0, 1)),
  'window update': () => repeat(60_000, () => frame(type.window, 0, 1, uint32(1))),
}

function secured(): tls.TLSSocket {
  const socket = tls.connect({
    ...{ port, host: '127.0.0.1', key: leaf.keyPem, cert: leaf.chainPem, ca: leaf.bundlePem, ALPNProtocols: ['h2'] },
    checkServerIdentity: () => undefined,
  })
  socket.on('error', () => {})
  return socket
}

async function session(settings: string): Promise<Wire> {
  const socket = secured()
  await once(socket, 'secureConnect')
  const wire = new Wire(socket, { grants: false, timeoutMs: 20_000 })
  wire.raw(preface)
  wire.send(frame(type.settings, 0, 0, settings), frame(type.headers, 4, 1, connectBlock(wire)))
  await wire.until('an answer', () => wire.status(1) !== undefined)
  return wire
}

async function flood(make: (wire: Wire) => Buffer): Promise<string> {
  const wire = await session('')
  wire.raw(make(wire))
  await wire.within(20_000, () => wire.gone !== undefined)
  const end = wire.gone === undefined ? 'closed' : `GOAWAY ${wire.gone}`
  wire.socket.destroy()
  return end
}

/** Open connections that say nothing, or a byte now and then; all until the server closes them. */
async function slow(open: () => net.Socket, count: number, trickle: Buffer): Promise<string> {
  const sockets = Array.from({ length: count }, open)
  const closed = sockets.map((socket) => once(socket.on('error', () => {}).resume(), 'close'))
  let at = 0
  const timer = setInterval(() => {
    for (const socket of sockets) if (!socket.destroyed) socket.write(trickle.subarray(at, at + 1))
    at = Math.min(trickle.length, at + 1)
  }, 50)
  await Promise.all(closed)
  clearInterval(timer)
  return 'closed'
}

/** Answers neither PING nor anything, and reads nothing. */
async function deaf(settings: string): Promise<string> {
  const wire = await session(settings)
  Reflect.get(wire.socket, '_handle').readStop()
  wire.raw(repeat(150, (at) => frame(type.headers, 4, 2 * at + 3, connectBlock(wire))))
  // Who reads nothing sees the end only by writing.
  const probe = setInterval(() => wire.raw(ping), 700)
  await once(wire.socket, 'close')
  clearInterval(probe)
  return 'closed'
}

const tcp = () => net.connect({ port, host: '127.0.0.1' })
const record = Buffer.from('160301020001000001fc0303', 'hex')
const others: Readonly<Record<string, () => Promise<string>>> = {
  'half-open': () => slow(tcp, 100, Buffer.alloc(0)),
  'slow TLS': () => slow(tcp, 40, record),
  'slow preface': () => slow(secured, 10, preface.subarray(0, 20)),
  'zero window': () => deaf('0004 00000000'),
  'slow reader': () => deaf('0004 7fffffff'),
}

while (going) {
  attacks += 1
  const make = floods[attack]
  const end = await (make === undefined ? others[attack]!() : flood(make)).catch((error: Error) => error.message)
  ends.set(end, (ends.get(end) ?? 0) + 1)
  if (attacks === 1) parentPort?.postMessage('first')
}
parentPort?.postMessage({ attacks, ends: Object.fromEntries(ends) })
process.exit(0)
