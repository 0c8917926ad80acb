// Cases of test/hbone-peer about streams: their life from CONNECT to the end, half-close, resets, flow control, identifiers.
import { errorCode, flag } from '../../core/hbone/h2/protocol.ts'
import { frame, type, uint32 } from '../helpers/raw-http2.ts'
import { accepted, openTunnel, type Target } from './target.ts'
import { alive, type Expected, echoes, type PeerCase, refusal, same } from './verdict.ts'
import type { Wire } from './wire.ts'

const { protocolError, flowControlError, frameSizeError, streamClosed, refusedStream } = errorCode
const needs = ['echo'] as const

function onTunnel(name: string, source: string, run: (wire: Wire, target: Target) => ReturnType<PeerCase['run']>) {
  return { name, source, needs, run: async (target) => run(await target.tunnel(), target) } satisfies PeerCase
}

/** Frames that must not pass on a session with an open tunnel on stream 1. */
function broken(
  name: string,
  source: string,
  expected: Expected,
  frames: (wire: Wire, target: Target) => readonly Buffer[],
) {
  return onTunnel(name, source, async (wire, target) => {
    wire.send(...frames(wire, target))
    return refusal(wire, expected)
  })
}

const life: readonly PeerCase[] = [
  onTunnel('CONNECT is answered 200, without an end, and carries bytes both ways', 'RFC 9113 8.5', async (wire) => {
    same(wire.ended(1), false, 'an end with the answer')
    await echoes(wire, 1)
    await echoes(wire, 1, 'and again')
  }),
  onTunnel('several tunnels share a session without mixing', 'RFC 9113 5', async (wire, target) => {
    const ids = [3, 5, 7, 9, 11]
    wire.send(...ids.map((id) => wire.connect(id, target.echo)))
    for (const id of ids) await accepted(wire, id)
    await Promise.all(ids.map((id) => echoes(wire, id, `stream ${id} `.repeat(500))))
  }),
  onTunnel(
    'an end of ours passes through, and the peer ends after the last byte',
    'RFC 9113 5.1, 8.5',
    async (wire) => {
      await wire.data(1, Buffer.from('last words'), true)
      await wire.until('the end of the stream', () => wire.ended(1))
      same(wire.bytes(1).toString(), 'last words', 'the echo')
      same(wire.reset(1) ?? errorCode.noError, errorCode.noError, 'a reset')
      await alive(wire)
    },
  ),
  onTunnel('an end in an empty DATA frame is an end', 'RFC 9113 6.1', async (wire) => {
    await wire.data(1, Buffer.from('x'))
    wire.send(frame(type.data, flag.endStream, 1))
    await wire.until('the end of the stream', () => wire.ended(1))
    same(wire.bytes(1).toString(), 'x', 'the echo')
  }),
  onTunnel('RST_STREAM of ours ends that stream alone', 'RFC 9113 6.4', async (wire, target) => {
    await openTunnel(wire, 3, target.echo)
    wire.send(frame(type.reset, 0, 1, uint32(errorCode.cancel)))
    await echoes(wire, 3)
    await alive(wire)
    same(wire.reset(1), undefined, 'RST_STREAM in answer to RST_STREAM')
  }),
  onTunnel('RST_STREAM with an unknown code is a reset like any other', 'RFC 9113 7', async (wire, target) => {
    wire.send(frame(type.reset, 0, 1, uint32(0xdead_beef)))
    await openTunnel(wire, 3, target.echo)
    await echoes(wire, 3)
  }),
  onTunnel('after RST_STREAM of the peer the session goes on', 'RFC 9113 5.4.2', async (wire, target) => {
    wire.send(frame(type.window, 0, 1, uint32(0)))
    const judged = await refusal(wire, { codes: [protocolError], stream: 1 })
    if (wire.gone !== undefined || wire.closed) return 'the peer ends the session where a reset would do'
    await openTunnel(wire, 3, target.echo)
    await echoes(wire, 3)
    return judged
  }),
  onTunnel(
    'WINDOW_UPDATE and RST_STREAM for a stream that just ended are taken',
    'RFC 9113 5.1',
    async (wire, target) => {
      await wire.data(1, Buffer.from('x'), true)
      await wire.until('the end of the stream', () => wire.ended(1))
      wire.send(frame(type.window, 0, 1, uint32(1)), frame(type.reset, 0, 1, uint32(errorCode.cancel)))
      await openTunnel(wire, 3, target.echo)
    },
  ),
  onTunnel('volume comes back whole', 'RFC 9113 5.2', async (wire) => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 31 + (at >> 8)) & 0xff))
    await wire.data(1, bytes, true)
    await wire.until('the end of the stream', () => wire.ended(1))
    if (!wire.bytes(1).equals(bytes))
      throw new Error(`${wire.bytes(1).length} bytes came back, not those that were sent`)
  }),
]

const padding: readonly PeerCase[] = [
  onTunnel('padding of DATA is not passed on', 'RFC 9113 6.1', async (wire) => {
    wire.send(frame(type.data, flag.padded, 1, Buffer.concat([Buffer.of(200), Buffer.from('ab'), Buffer.alloc(200)])))
    wire.send(frame(type.data, flag.padded, 1, '0000'), frame(type.data, flag.padded, 1, '02 0000'))
    wire.send(frame(type.data, flag.padded, 1, Buffer.concat([Buffer.of(0), Buffer.from('cd')])))
    await wire.until('the echo', () => wire.bytes(1).length >= 5)
    same(wire.bytes(1).toString(), 'ab\0cd', 'the echo')
  }),
  broken('more padding than DATA', 'RFC 9113 6.1', { codes: [protocolError] }, () => [
    frame(type.data, flag.padded, 1, '05 00000000'),
  ]),
  broken(
    'padded DATA without a length of padding',
    'RFC 9113 4.2',
    { codes: [frameSizeError, protocolError], stream: 1 },
    () => [frame(type.data, flag.padded, 1)],
  ),
]

/** What came on stream 1 of bytes that were sent there, once the peer has answered a PING behind them. */
async function held(wire: Wire, bytes: number, why: string): Promise<void> {
  await wire.until(`${bytes} bytes: ${why}`, () => wire.bytes(1).length >= bytes)
  await alive(wire)
  await wire.within(100, () => wire.bytes(1).length > bytes)
  same(wire.bytes(1).length, bytes, why)
}

const flow: readonly PeerCase[] = [
  {
    name: 'the window of a stream stops the peer, and WINDOW_UPDATE lets it go on',
    source: 'RFC 9113 5.2, 6.9',
    needs,
    run: async (target) => {
      const wire = await target.tunnel('0004 0000000a', { grants: false })
      await wire.data(1, Buffer.alloc(100, 'w'))
      await held(wire, 10, 'the initial window')
      wire.send(frame(type.window, 0, 1, uint32(5)))
      await held(wire, 15, 'the window after an update')
      wire.send(frame(type.window, 0, 1, uint32(1_000)))
      await wire.until('the rest', () => wire.bytes(1).length === 100)
    },
  },
  {
    name: 'the window of the session stops all streams, and WINDOW_UPDATE lets them go on',
    source: 'RFC 9113 5.2, 6.9',
    needs,
    run: async (target) => {
      const wire = await target.tunnel('0004 00100000', { grants: false })
      await wire.data(1, Buffer.alloc(70_000))
      await held(wire, 65_535, 'the window of the session')
      wire.send(frame(type.window, 0, 0, uint32(465)))
      await held(wire, 66_000, 'the window of the session after an update')
      wire.send(frame(type.window, 0, 0, uint32(100_000)))
      await wire.until('the rest', () => wire.bytes(1).length === 70_000)
    },
  },
  {
    name: 'a smaller initial window can make that of a stream negative',
    source: 'RFC 9113 6.9.2',
    needs,
    run: async (target) => {
      const wire = await target.tunnel('0004 00000064', { grants: false })
      await wire.data(1, Buffer.alloc(300))
      await held(wire, 100, 'the initial window')
      wire.send(frame(type.settings, 0, 0, '0004 0000000a'), frame(type.window, 0, 1, uint32(80)))
      await held(wire, 100, 'a window below nothing')
      wire.send(frame(type.window, 0, 1, uint32(20)))
      await held(wire, 110, 'a window just above nothing')
      wire.send(frame(type.settings, 0, 0, '0004 00001000'))
      await wire.until('the rest', () => wire.bytes(1).length === 300)
    },
  },
  {
    name: 'a window of zero does not delay the answer, nor an end without bytes',
    source: 'RFC 9113 6.9',
    needs,
    run: async (target) => {
      const wire = await target.tunnel('0004 00000000', { grants: false })
      wire.send(frame(type.data, flag.endStream, 1))
      if (await wire.within(1_000, () => wire.ended(1))) return undefined
      wire.send(frame(type.window, 0, 1, uint32(1)))
      await wire.until('the end of the stream', () => wire.ended(1))
      return 'the peer waits with its end for a window that the end does not need'
    },
  },
  ...[16_384, 70_000].map((size): PeerCase => {
    return {
      name: `frames of the peer keep to our frame size of ${size}`,
      source: 'RFC 9113 4.2',
      needs,
      run: async (target) => {
        const wire = await target.tunnel(`0005 ${uint32(size).toString('hex')} 0004 00100000`)
        wire.send(frame(type.window, 0, 0, uint32(1_000_000)))
        await wire.data(1, Buffer.alloc(400_000), true)
        await wire.until('the end of the stream', () => wire.ended(1))
        same(wire.bytes(1).length, 400_000, 'bytes')
        const largest = Math.max(...wire.received.map(({ payload }) => payload.length))
        if (largest > size) throw new Error(`a frame of ${largest} bytes`)
      },
    }
  }),
  broken('WINDOW_UPDATE of 0 for a stream', 'RFC 9113 6.9', { codes: [protocolError], stream: 1 }, () => [
    frame(type.window, 0, 1, uint32(0)),
  ]),
  broken('a stream window beyond 2^31-1', 'RFC 9113 6.9.1', { codes: [flowControlError], stream: 1 }, () => [
    frame(type.window, 0, 1, uint32(2 ** 31 - 1)),
  ]),
  broken(
    'an initial window that makes that of a stream too large',
    'RFC 9113 6.9.2',
    { codes: [flowControlError] },
    () => [frame(type.window, 0, 1, uint32(2 ** 31 - 1 - 65_535)), frame(type.settings, 0, 0, '0004 00010000')],
  ),
]

const passedOver = 'the peer passes over frames of streams that it takes for closed'
const overReset = { stream: 3, why: 'the stream alone is reset' }

const identifiers: readonly PeerCase[] = [
  broken('a stream with an even number', 'RFC 9113 5.1.1', { codes: [protocolError] }, (wire, target) => [
    wire.connect(2, target.echo),
  ]),
  broken(
    'a stream with a smaller number than one before',
    'RFC 9113 5.1.1',
    { codes: [protocolError, streamClosed], orReset: overReset, orIgnored: passedOver },
    (wire, target) => [wire.connect(5, target.echo), wire.connect(3, target.echo)],
  ),
  onTunnel('a number that is used again', 'RFC 9113 5.1.1', async (wire, target) => {
    await wire.data(1, Buffer.from('x'), true)
    await wire.until('the end of the stream', () => wire.ended(1))
    wire.send(wire.connect(1, target.echo))
    return refusal(wire, { codes: [streamClosed, protocolError], stream: 1, orIgnored: passedOver })
  }),
  broken('DATA after the end', 'RFC 9113 5.1', { codes: [streamClosed], stream: 1 }, () => [
    frame(type.data, flag.endStream, 1, '00'),
    frame(type.data, 0, 1, '00'),
  ]),
  broken('HEADERS after the end', 'RFC 9113 5.1', { codes: [streamClosed, protocolError], stream: 1 }, (wire) => [
    frame(type.data, flag.endStream, 1, '00'),
    wire.headers(1, [['x', 'y']], 5),
  ]),
  onTunnel('streams beyond the limit that the peer announced', 'RFC 9113 5.1.2', async (wire, target) => {
    const limit = wire.settings.get(3)
    if (limit === undefined || limit > 2_000) return `the peer allows ${limit ?? 'any number of'} streams`
    const last = 2 * limit + 1
    for (let id = 3; id <= last; id += 2) wire.send(wire.connect(id, target.echo))
    return refusal(wire, { codes: [refusedStream, protocolError], stream: last })
  }),
]

export const streamCases: readonly PeerCase[] = [...life, ...padding, ...flow, ...identifiers]
