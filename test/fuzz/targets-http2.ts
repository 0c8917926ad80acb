// Fuzz targets of the HTTP/2 engine: the frame parser, HPACK (also beside node:http2), whole sessions in both roles.
import http2 from 'node:http2'
import { type Duplex, duplexPair } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import fc from 'fast-check'
import { type FrameHandler, FrameReader } from '../../core/hbone/h2/frame-reader.ts'
import { HpackDecoder } from '../../core/hbone/h2/hpack-decoder.ts'
import { HpackEncoder } from '../../core/hbone/h2/hpack-encoder.ts'
import { entryOverhead, type HeaderField } from '../../core/hbone/h2/hpack-table.ts'
import { errorCode, preface, SessionError } from '../../core/hbone/h2/protocol.ts'
import { Http2Session } from '../../core/hbone/h2/session.ts'
import { defaultLimits } from '../../core/hbone/limits.ts'
import { frame, type } from '../helpers/raw-http2.ts'
import { Wire } from '../peer/wire.ts'
import { mutated, mutations, pieces, sizes } from './bytes.ts'
import { conversation, headerList } from './conversation.ts'
import { demand, type FuzzTarget, fuzzTarget } from './target.ts'

const readerLimits = { maxFrameBytes: 16_384, maxBlockBytes: 2_000 }

/** What a parser handed out, in order, and how it ended; DATA is joined, since it comes in the pieces of the reads. */
function parsed(chunks: readonly Buffer[]): string {
  const events: string[] = []
  let body = ''
  const at = (...parts: readonly unknown[]) => void events.push(parts.map(String).join(' '))
  const handler: FrameHandler = {
    dataBegins: (id, bytes) => at('data', id, bytes),
    data: (chunk, start, to) => {
      body += chunk.toString('hex', start, to)
    },
    dataEnds: (end, padding) => {
      at('end', end, padding, body)
      body = ''
    },
    headers: (id, end, block, start, to) => at('headers', id, end, block.toString('hex', start, to)),
    resetStream: (id, code) => at('reset', id, code),
    settings: (ack, payload, start, to) => at('settings', ack, payload.toString('hex', start, to)),
    ping: (ack, payload, start) => at('ping', ack, payload.toString('hex', start, start + 8)),
    goaway: (last, code) => at('goaway', last, code),
    windowUpdate: (id, increment) => at('window', id, increment),
    ignored: () => at('ignored'),
  }
  const reader = new FrameReader(handler, readerLimits)
  try {
    for (const chunk of chunks) reader.push(chunk)
  } catch (error: unknown) {
    if (!(error instanceof SessionError)) throw error
    at('broken', error.code, error.message)
  }
  return `${events.join('\n')}\n${body}`
}

/** The first bytes of a frame that is too long are seen before its rest: the ends agree, whatever the pieces. */
const frames = fuzzTarget(
  'frames',
  fc.asyncProperty(conversation, mutations, sizes, async (bytes, changes, cuts) => {
    const wrong = mutated(bytes, changes)
    const whole = parsed([wrong])
    demand(whole === parsed(pieces(wrong, cuts)), 'the pieces make a difference')
  }),
)

const hpackLimits = { maxListBytes: 4_000, maxFields: 50 }

function decodes(decoder: HpackDecoder, block: Buffer): 'broken' | readonly HeaderField[] {
  try {
    const { fields } = decoder.decode(block, 0, block.length)
    const bytes = fields.reduce((sum, [name, value]) => sum + name.length + value.length + entryOverhead, 0)
    demand(bytes <= hpackLimits.maxListBytes && fields.length <= hpackLimits.maxFields, 'a list beyond the limits')
    return fields
  } catch (error: unknown) {
    if (!(error instanceof SessionError)) throw error
    demand(error.code === errorCode.compressionError || error.code === errorCode.enhanceYourCalm, `code ${error.code}`)
    return 'broken'
  }
}

const blocks = fc.array(headerList, { minLength: 1, maxLength: 5 }).map((lists) => {
  const encoder = new HpackEncoder(['forwarded'])
  return lists.map((fields) => Buffer.from(encoder.encode(fields)))
})

const hpack = fuzzTarget(
  'hpack',
  fc.asyncProperty(blocks, mutations, fc.nat(4_096), async (good, changes, tableBytes) => {
    const decoder = new HpackDecoder({ ...hpackLimits, tableBytes })
    for (const block of good.map((one, at) => (at === 0 ? one : mutated(one, changes)))) {
      if (decodes(decoder, block) === 'broken') break
      demand(decoder.tableSize <= tableBytes, 'a table beyond its size')
    }
  }),
)

const roundTrip = fuzzTarget(
  'hpack-round-trip',
  fc.asyncProperty(fc.array(fc.tuple(headerList, fc.nat(5_000)), { maxLength: 20 }), async (lists) => {
    const encoder = new HpackEncoder(['forwarded'])
    const decoder = new HpackDecoder({ maxListBytes: 1e6, maxFields: 1_000 })
    for (const [fields, table] of lists) {
      encoder.limitTable(table)
      const block = encoder.encode(fields)
      const got = decoder.decode(block, 0, block.length)
      demand(JSON.stringify(got.fields) === JSON.stringify(fields), 'other fields came out')
    }
  }),
)

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** Whether a server of node:http2 ends the session with COMPRESSION_ERROR for blocks, each on a stream of its own. */
async function nodeCallsBroken(given: readonly Buffer[]): Promise<boolean> {
  const [near, far] = duplexPair()
  const session = http2.performServerHandshake(far)
  session.on('error', () => {}).on('stream', (stream) => stream.on('error', () => {}))
  const wire = new Wire(near)
  wire.raw(preface)
  wire.send(frame(type.settings, 0, 0), ...given.map((block, at) => frame(type.headers, 5, 2 * at + 1, block)))
  wire.send(frame(type.ping, 0, 0, '0000000000000007'))
  const done = () => wire.of(type.goaway).length > 0 || wire.of(type.ping).some(({ flags }) => flags === 1)
  await wire.within(5_000, done)
  // A broken block is told by GOAWAY in the turn in which it is read.
  await turns(2)
  const broken = wire.gone === errorCode.compressionError
  session.destroy()
  near.destroy()
  return broken
}

const beside = fuzzTarget(
  'hpack-beside-node',
  fc.asyncProperty(blocks, mutations, async (good, changes) => {
    const given = good.map((one, at) => (at === good.length - 1 ? mutated(one, changes) : one))
    const decoder = new HpackDecoder({ maxListBytes: 65_536, maxFields: 128 })
    let ours = false
    try {
      for (const block of given) decoder.decode(block, 0, block.length)
    } catch (error: unknown) {
      ours = error instanceof SessionError && error.code === errorCode.compressionError
      // A bomb: Node is more patient.
      if (!ours) return
    }
    const theirs = await nodeCallsBroken(given)
    demand(
      ours === theirs,
      `broken for ${ours ? 'us' : 'node:http2'} alone: ${given.map((one) => one.toString('hex'))}`,
    )
  }),
  true,
)

/** A session with an owner who answers and echoes. */
function started(socket: Duplex, role: 'client' | 'server', over: unknown[]): Http2Session {
  socket.on('error', () => {})
  const limits = { ...defaultLimits, streamWindowBytes: 65_535, sessionWindowBytes: 65_535, serverMaxStreams: 5 }
  const session: Http2Session = new Http2Session(socket as unknown as TLSSocket, role, limits, {
    onSettings: () => {},
    onHeaders: (stream) => {
      if (role === 'server') session.respond(stream, [[':status', '200']])
      stream.on('data', (chunk: Buffer) => stream.write(chunk)).on('end', () => stream.end())
    },
    onGoaway: () => {},
    onClosed: (error) => over.push(error),
  })
  return session
}

function sessionTarget(role: 'client' | 'server'): FuzzTarget {
  return fuzzTarget(
    `session-${role}`,
    fc.asyncProperty(conversation, mutations, sizes, async (bytes, changes, cuts) => {
      const [near, far] = duplexPair()
      const over: unknown[] = []
      const session = started(far, role, over)
      const wire = new Wire(near, { role: role === 'client' ? 'server' : 'client', answers: false, grants: false })
      if (role === 'client')
        for (let at = 0; at < 3; at += 1)
          session.request([
            [':method', 'CONNECT'],
            [':authority', 'a:1'],
          ])
      else wire.raw(preface)
      for (const piece of pieces(
        mutated(bytes, changes),
        cuts.map((size) => size * 20),
      ))
        wire.raw(piece)
      await turns(8)
      near.end()
      for (let turn = 0; turn < 100 && over.length === 0; turn += 1) await turns(1)
      session.destroy()
      demand(wire.gone !== errorCode.internalError, `a fault of ours: ${wire.of(type.goaway).at(-1)?.payload}`)
      demand(over.length === 1, `it ended ${over.length} times`)
      demand(session.streams === 0, 'streams are left')
      near.destroy()
    }),
    true,
  )
}

export const http2Targets: readonly FuzzTarget[] = [
  frames,
  hpack,
  roundTrip,
  beside,
  sessionTarget('server'),
  sessionTarget('client'),
]
