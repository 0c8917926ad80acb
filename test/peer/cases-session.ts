// Cases of test/hbone-peer about the session as a whole: preface, SETTINGS, PING, GOAWAY, frames that are unknown or malformed.
import { errorCode, flag, preface } from '../../core/hbone/h2/protocol.ts'
import { frame, type, uint32 } from '../helpers/raw-http2.ts'
import { alive, type Expected, echoes, type PeerCase, refusal, same } from './verdict.ts'

const { protocolError, frameSizeError, flowControlError, streamClosed } = errorCode
const noPreface = 'the RFC wants SETTINGS first; this peer starts without'

/** A frame that the session must not survive, sent on a fresh one. */
function broken(name: string, source: string, bytes: Buffer, codes: readonly number[], more: Partial<Expected> = {}) {
  return {
    name,
    source,
    run: async (target) => {
      const wire = await target.session()
      wire.send(bytes)
      return refusal(wire, { codes, ...more })
    },
  } satisfies PeerCase
}

const handshake: readonly PeerCase[] = [
  {
    name: 'the first frame of the peer is SETTINGS, and it acknowledges ours',
    source: 'RFC 9113 3.4, 6.5.3',
    run: async (target) => {
      const wire = await target.session()
      same(wire.received[0]?.type, type.settings, 'the first frame')
      await wire.until('an acknowledgement', () => wire.of(type.settings).some(({ flags }) => flags === flag.ack))
      await alive(wire)
    },
  },
  {
    name: 'settings that nobody knows are acknowledged and ignored',
    source: 'RFC 9113 6.5.2',
    run: async (target) => {
      const wire = await target.session('9999 ffffffff 0a0a 00000001 0008 00000000')
      await wire.until('an acknowledgement', () => wire.of(type.settings).some(({ flags }) => flags === flag.ack))
      await alive(wire)
    },
  },
  {
    name: 'every SETTINGS is acknowledged, once each',
    source: 'RFC 9113 6.5.3',
    run: async (target) => {
      const wire = await target.session()
      for (const size of ['00020000', '00010000', '0000ffff']) wire.send(frame(type.settings, 0, 0, `0004 ${size}`))
      await alive(wire)
      same(wire.of(type.settings).filter(({ flags }) => flags === flag.ack).length, 4, 'acknowledgements')
    },
  },
  {
    name: 'a preface that is none ends the connection',
    source: 'RFC 9113 3.4',
    run: async (target) => {
      const wire = await target.wire()
      wire.raw(Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'))
      return refusal(wire, { codes: [protocolError] })
    },
  },
  {
    name: 'HTTP/1.1 is not spoken',
    source: 'RFC 9113 3.4',
    run: async (target) => {
      const wire = await target.wire()
      wire.raw(Buffer.from('CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n'))
      return refusal(wire, { codes: [protocolError] })
    },
  },
  {
    name: 'a preface in single bytes is a preface',
    source: 'RFC 9113 3.4',
    run: async (target) => {
      const wire = await target.wire()
      for (const byte of Buffer.concat([preface, frame(type.settings, 0, 0)])) wire.raw(Buffer.of(byte))
      await wire.until('SETTINGS of the peer', () => wire.of(type.settings).length > 0)
      await alive(wire)
    },
  },
  {
    name: 'a first frame that is not SETTINGS ends the session',
    source: 'RFC 9113 3.4',
    run: async (target) => {
      const wire = await target.wire()
      wire.raw(preface)
      wire.send(frame(type.window, 0, 0, uint32(1)))
      return refusal(wire, { codes: [protocolError], orIgnored: noPreface })
    },
  },
]

const control: readonly PeerCase[] = [
  {
    name: 'PING is answered with its payload',
    source: 'RFC 9113 6.7',
    run: async (target) => {
      const wire = await target.session()
      const payloads = [Buffer.alloc(8), Buffer.alloc(8, 0xff), Buffer.from('deadbeef00c0ffee', 'hex')]
      wire.send(...payloads.map((payload) => frame(type.ping, 0, 0, payload)))
      await wire.until('three answers', () => wire.of(type.ping).filter(({ flags }) => flags === 1).length === 3)
      const got = wire.of(type.ping).filter(({ flags }) => flags === 1)
      const hex = (of: readonly Buffer[]) => of.map((payload) => payload.toString('hex')).join(' ')
      same(hex(got.map(({ payload }) => payload)), hex(payloads), 'the answers')
    },
  },
  {
    name: 'an acknowledgement of PING is not answered',
    source: 'RFC 9113 6.7',
    run: async (target) => {
      const wire = await target.session()
      wire.send(frame(type.ping, flag.ack, 0, '0102030405060708'))
      try {
        await alive(wire)
      } catch (error: unknown) {
        if (wire.closed) return 'the peer ends the session for an acknowledgement that it did not ask for'
        throw error
      }
      same(wire.of(type.ping).filter(({ flags }) => flags === 1).length, 1, 'answers')
      return undefined
    },
  },
  {
    name: 'frames of unknown types are ignored, on the session and on a stream',
    source: 'RFC 9113 4.1, 5.5',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.tunnel()
      for (const kind of [0x0a, 0x0c, 0x10, 0x77, 0xff]) {
        wire.send(frame(kind, 0xff, 0, Buffer.alloc(300)), frame(kind, 0, 1, '00'), frame(kind, 0, 0))
      }
      await echoes(wire, 1)
    },
  },
  {
    name: 'flags that mean nothing and the reserved bit are ignored',
    source: 'RFC 9113 4.1',
    run: async (target) => {
      const wire = await target.session()
      wire.send(frame(type.ping, 0xfe, 0x8000_0000, 'aa00000000000000'))
      await wire.until('an answer', () => wire.of(type.ping).some(({ payload }) => payload[0] === 0xaa))
      await alive(wire)
    },
  },
  {
    name: 'PRIORITY and PRIORITY_UPDATE are ignored',
    source: 'RFC 9113 5.3.2, RFC 9218 7.1',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.tunnel()
      wire.send(frame(type.priority, 0, 1, '0000000010'), frame(type.priority, 0, 99, '8000000110'))
      wire.send(frame(0x10, 0, 0, Buffer.concat([uint32(1), Buffer.from('u=1, i')])))
      await echoes(wire, 1)
    },
  },
  {
    name: 'after GOAWAY of the client its streams go on',
    source: 'RFC 9113 6.8',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.tunnel()
      wire.send(frame(type.goaway, 0, 0, '00000000 00000000 6279 65'))
      await echoes(wire, 1)
      await wire.data(1, Buffer.from('!'), true)
      await wire.until('the end of the stream', () => wire.ended(1))
    },
  },
  {
    name: 'the GOAWAY of an error names a stream that we opened',
    source: 'RFC 9113 6.8',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.tunnel()
      wire.send(frame(type.data, 0, 0, '00'))
      const judged = await refusal(wire, { codes: [protocolError] })
      const goaway = wire.of(type.goaway).at(-1)
      if (goaway !== undefined && goaway.payload.readUInt32BE(0) !== 1) {
        return `the last stream of GOAWAY is ${goaway.payload.readUInt32BE(0)}, the only one that was opened is 1`
      }
      return judged
    },
  },
]

const s = type.settings
const sizeOnStream = { stream: 1, why: 'the stream alone is reset' }

const malformed: readonly PeerCase[] = [
  broken('SETTINGS of a wrong length', 'RFC 9113 6.5', frame(s, 0, 0, '0004 0001'), [frameSizeError]),
  broken('SETTINGS on a stream', 'RFC 9113 6.5', frame(s, 0, 1, ''), [protocolError]),
  broken('an acknowledgement with settings', 'RFC 9113 6.5', frame(s, 1, 0, '0004 00010000'), [frameSizeError]),
  broken('ENABLE_PUSH of 2', 'RFC 9113 6.5.2', frame(s, 0, 0, '0002 00000002'), [protocolError]),
  broken('INITIAL_WINDOW_SIZE of 2^31', 'RFC 9113 6.5.2', frame(s, 0, 0, '0004 80000000'), [flowControlError]),
  broken('MAX_FRAME_SIZE of 16383', 'RFC 9113 6.5.2', frame(s, 0, 0, '0005 00003fff'), [protocolError]),
  broken('MAX_FRAME_SIZE of 2^24', 'RFC 9113 6.5.2', frame(s, 0, 0, '0005 01000000'), [protocolError]),
  broken('PING of 7 bytes', 'RFC 9113 6.7', frame(type.ping, 0, 0, '00000000000000'), [frameSizeError]),
  broken('PING on a stream', 'RFC 9113 6.7', frame(type.ping, 0, 1, '0000000000000000'), [protocolError]),
  broken('GOAWAY of 7 bytes', 'RFC 9113 6.8', frame(type.goaway, 0, 0, '00000000000000'), [frameSizeError]),
  broken('GOAWAY on a stream', 'RFC 9113 6.8', frame(type.goaway, 0, 1, '0000000000000000'), [protocolError]),
  broken('WINDOW_UPDATE of 3 bytes', 'RFC 9113 6.9', frame(type.window, 0, 0, '000001'), [frameSizeError]),
  broken('WINDOW_UPDATE of 0 for the session', 'RFC 9113 6.9', frame(type.window, 0, 0, uint32(0)), [protocolError]),
  broken('a session window beyond 2^31-1', 'RFC 9113 6.9.1', frame(type.window, 0, 0, uint32(2 ** 31 - 1)), [
    flowControlError,
  ]),
  broken('WINDOW_UPDATE on an idle stream', 'RFC 9113 5.1', frame(type.window, 0, 7, uint32(1)), [protocolError]),
  broken('RST_STREAM of 3 bytes', 'RFC 9113 6.4', frame(type.reset, 0, 1, '000008'), [frameSizeError]),
  broken('RST_STREAM on stream 0', 'RFC 9113 6.4', frame(type.reset, 0, 0, uint32(8)), [protocolError]),
  broken('RST_STREAM on an idle stream', 'RFC 9113 6.4', frame(type.reset, 0, 7, uint32(8)), [protocolError]),
  broken('PRIORITY on stream 0', 'RFC 9113 6.3', frame(type.priority, 0, 0, '0000000010'), [protocolError], {
    orIgnored: 'the peer passes over PRIORITY altogether',
  }),
  broken('PRIORITY of 4 bytes', 'RFC 9113 6.3', frame(type.priority, 0, 1, '00000000'), [frameSizeError], {
    orReset: sizeOnStream,
  }),
  broken('PUSH_PROMISE of a client', 'RFC 9113 8.4', frame(type.push, 4, 1, '00000002 82'), [protocolError]),
  broken('DATA on stream 0', 'RFC 9113 6.1', frame(type.data, 0, 0, '00'), [protocolError]),
  broken('DATA on an idle stream', 'RFC 9113 5.1', frame(type.data, 0, 7, '00'), [protocolError, streamClosed], {
    orReset: { stream: 7, why: 'the stream alone is reset' },
  }),
  broken('HEADERS on stream 0', 'RFC 9113 6.2', frame(type.headers, 5, 0, '82'), [protocolError]),
  broken('CONTINUATION without HEADERS', 'RFC 9113 6.10', frame(type.continuation, 4, 1, '82'), [protocolError]),
  {
    name: 'a frame beyond the size that the peer announced',
    source: 'RFC 9113 4.2',
    needs: ['echo'],
    run: async (target) => {
      const wire = await target.tunnel()
      const bytes = (wire.settings.get(5) ?? 16_384) + 1
      if (bytes > 2 ** 24 - 1) return 'the peer takes frames of every size there is'
      wire.send(frame(type.data, 0, 1, Buffer.alloc(bytes)))
      return refusal(wire, { codes: [frameSizeError], stream: 1 })
    },
  },
]

export const sessionCases: readonly PeerCase[] = [...handshake, ...control, ...malformed]
