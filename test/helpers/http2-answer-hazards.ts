// What endpoints answer over HTTP/2, most of it malformed, with what must come of it: raw frames, and the answer or the failure. Read by the
// test of the client end and by the table of hazards.
import { errorCode } from '../../core/hbone/h2/protocol.ts'
import { frame, type RawPeer, type, uint32 } from './raw-http2.ts'

type Fields = readonly (readonly [string, string])[]

export interface Http2AnswerHazard {
  readonly name: string
  readonly frames: (peer: RawPeer) => readonly Buffer[]
  /** The answer, its body and its trailers; or the failure, behind `…` where it came after the head. */
  readonly outcome: string
  readonly method?: string
}

const head = (peer: RawPeer, fields: Fields, flags = 4) => frame(type.headers, flags, 1, peer.block(fields))
const data = (text: string, end: boolean) => frame(type.data, end ? 1 : 0, 1, Buffer.from(text))
const ok: Fields = [[':status', '200']]

const malformedHeads: readonly (readonly [string, Fields])[] = [
  ['no :status', [['x', '1']]],
  [':status twice', [...ok, ...ok]],
  [':status after a field', [['x', '1'], ...ok]],
  [':status 99', [[':status', '99']]],
  [':status 600', [[':status', '600']]],
  [':status 2000', [[':status', '2000']]],
  [':status +200', [[':status', '+200']]],
  ['an unsolicited 101', [[':status', '101']]],
  ['a pseudo-header field of requests', [...ok, [':path', '/']]],
  ['connection', [...ok, ['connection', 'close']]],
  ['transfer-encoding', [...ok, ['transfer-encoding', 'chunked']]],
  ['CR LF in a value', [...ok, ['x', 'a\r\nset-cookie: b']]],
  ['NUL in a value', [...ok, ['x', 'a\0']]],
  ['a name in upper case', [...ok, ['X', '1']]],
  ['content-length twice', [...ok, ['content-length', '1'], ['content-length', '1']]],
  ['content-length +1', [...ok, ['content-length', '+1']]],
  ['a head that is too large', [...ok, ['x', 'a'.repeat(40_000)]]],
  ['2,500 fields', [...ok, ...Array.from({ length: 2_500 }, (_, at) => [`x-${at}`, '1'] as const)]],
]

/** Nobody takes a part for the whole, and the connection is not used again. */
export const brokenAnswers: readonly Http2AnswerHazard[] = [
  ...malformedHeads.map(
    ([name, fields]): Http2AnswerHazard => ({ name, frames: (peer) => [head(peer, fields, 5)], outcome: 'malformed' }),
  ),
  {
    name: 'content-length and an end with the head',
    frames: (peer) => [head(peer, [...ok, ['content-length', '5']], 5)],
    outcome: 'malformed',
  },
  {
    name: 'an interim answer with an end',
    frames: (peer) => [head(peer, [[':status', '103']], 5)],
    outcome: 'malformed',
  },
  {
    name: 'more interim answers than anybody needs',
    frames: (peer) => Array.from({ length: 20 }, () => head(peer, [[':status', '103']])),
    outcome: 'malformed',
  },
  { name: 'DATA before the head', frames: () => [data('a', false)], outcome: 'malformed' },
  {
    name: 'less body than content-length',
    frames: (peer) => [head(peer, [...ok, ['content-length', '5']]), data('abc', true)],
    outcome: '200 … malformed',
  },
  {
    name: 'more body than content-length',
    frames: (peer) => [head(peer, [...ok, ['content-length', '5']]), data('abc', false), data('defg', true)],
    outcome: '200 … malformed',
  },
  {
    name: 'a body behind a HEAD',
    method: 'HEAD',
    frames: (peer) => [head(peer, [...ok, ['content-length', '5']]), data('abcde', true)],
    outcome: '200 … malformed',
  },
  {
    name: 'a body behind a 204',
    frames: (peer) => [head(peer, [[':status', '204']]), data('a', true)],
    outcome: '204 … malformed',
  },
  {
    name: 'a 204 with a length',
    frames: (peer) => [
      head(
        peer,
        [
          [':status', '204'],
          ['content-length', '5'],
        ],
        5,
      ),
    ],
    outcome: 'malformed',
  },
  {
    name: 'a body behind a 304',
    frames: (peer) => [head(peer, [[':status', '304']]), data('a', true)],
    outcome: '304 … malformed',
  },
  {
    name: 'a pseudo-header field in trailers',
    frames: (peer) => [head(peer, ok), data('abc', false), head(peer, ok, 5)],
    outcome: '200 … malformed',
  },
  {
    name: 'content-length in trailers',
    frames: (peer) => [head(peer, ok), data('abc', false), head(peer, [['content-length', '3']], 5)],
    outcome: '200 … malformed',
  },
  {
    name: 'a second head without an end',
    frames: (peer) => [head(peer, ok), data('abc', false), head(peer, ok, 4)],
    outcome: '200 … malformed',
  },
  {
    name: 'a frame that breaks the session',
    frames: () => [frame(type.push, 4, 1, '00000002 82')],
    outcome: 'malformed',
  },
  {
    name: 'bytes that are no HTTP/2',
    frames: () => [Buffer.from('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')],
    outcome: 'malformed',
  },
]

/** The connection stays. */
export const soundAnswers: readonly Http2AnswerHazard[] = [
  {
    name: 'HEAD with a length',
    method: 'HEAD',
    frames: (peer) => [head(peer, [...ok, ['content-length', '5']], 5)],
    outcome: '200 declared 5',
  },
  {
    name: 'a 304 with a length',
    frames: (peer) => [
      head(
        peer,
        [
          [':status', '304'],
          ['content-length', '5'],
        ],
        5,
      ),
    ],
    outcome: '304 declared 5',
  },
  {
    name: 'an answer that is all trailers',
    frames: (peer) => [head(peer, [...ok, ['grpc-status', '0']], 5)],
    outcome: '200',
  },
  {
    name: 'a reset after the head',
    frames: (peer) => [head(peer, ok), data('abc', false), frame(type.reset, 0, 1, uint32(errorCode.internalError))],
    outcome: '200 … reset',
  },
  {
    name: 'a refusal after the head, which came too late to be one',
    frames: (peer) => [head(peer, ok), frame(type.reset, 0, 1, uint32(errorCode.refusedStream))],
    outcome: '200 … reset',
  },
  {
    name: 'a complete answer and then a reset',
    frames: (peer) => [
      head(peer, ok),
      data('abc', false),
      head(peer, [['x-sum', '1']], 5),
      frame(type.reset, 0, 1, uint32(errorCode.noError)),
    ],
    outcome: '200 abc x-sum,1',
  },
]
