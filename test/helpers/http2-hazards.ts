// Every request of HTTP/2 that has made two servers disagree, most of them on its way to HTTP/1.1, with what must come of it: refused, or
// exactly one request with one meaning. Read by the test of the server end. Published: RFC 9113, CVEs, "HTTP/2: the sequel is always
// worse", and what Node was measured to let through.
import { errorCode } from '../../core/hbone/h2/protocol.ts'
import { frame, type RawPeer, type, uint32 } from './raw-http2.ts'

type Fields = readonly (readonly [name: string, value: string])[]

export interface Http2Hazard {
  readonly name: string
  readonly frames: (peer: RawPeer) => readonly Buffer[]
  /** `status`, `reset NAME` of stream 1, or `goaway NAME`. */
  readonly outcome: string
  /** What the stack sees: `METHOD scheme://authority path [name: value, …] body`, with `…` behind a body that is cut off. */
  readonly seen?: string
}

const endHeaders = 4
const endStream = 1
const whole = endHeaders | endStream

export const base: Fields = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'orders'],
  [':path', '/'],
]
const posted: Fields = [[':method', 'POST'], ...base.slice(1)]

function but(name: string, value: string | undefined, fields: Fields = base): Fields {
  return fields.flatMap((field) => (field[0] !== name ? [field] : value === undefined ? [] : [[name, value] as const]))
}

const get =
  (...more: Fields) =>
  (peer: RawPeer) => [frame(type.headers, whole, 1, peer.block([...base, ...more]))]
const list = (fields: Fields) => (peer: RawPeer) => [frame(type.headers, whole, 1, peer.block(fields))]
const post =
  (more: Fields, ...data: readonly Buffer[]) =>
  (peer: RawPeer) => [frame(type.headers, endHeaders, 1, peer.block([...posted, ...more])), ...data]
const data = (text: string, end = false) => frame(type.data, end ? endStream : 0, 1, Buffer.from(text))
const trailers = (fields: Fields) => (peer: RawPeer) => [
  frame(type.headers, endHeaders, 1, peer.block(posted)),
  data('ab'),
  frame(type.headers, whole, 1, peer.block(fields)),
]

const broken = 'reset protocolError'
const plain = 'GET http://orders / []'

const names: readonly Http2Hazard[] = [
  ...[
    ['an upper-case name', 'X-Upper', 'a'],
    ['a name with a space', 'x y', 'a'],
    ['a name with a colon', 'x:y', 'a'],
    ['a name with CR LF', 'x\r\ny', 'a'],
    ['a name with NUL', 'x\0', 'a'],
    ['a name that is empty', '', 'a'],
    ['a name beyond ASCII', 'x\xe9', 'a'],
    ['a value with LF', 'x', 'a\nb'],
    ['a value with CR LF and a field behind it', 'x', 'a\r\ntransfer-encoding: chunked'],
    ['a value with CR', 'x', 'a\rb'],
    ['a value with NUL', 'x', 'a\0b'],
    ['a value with another control character', 'x', 'a\x01b'],
    ['a value with DEL', 'x', 'a\x7fb'],
    ['a value that begins with a space', 'x', ' a'],
    ['a value that ends with a tab', 'x', 'a\t'],
    ['connection', 'connection', 'close'],
    ['connection that nominates', 'connection', 'x-forwarded-for'],
    ['keep-alive', 'keep-alive', 'timeout=5'],
    ['proxy-connection', 'proxy-connection', 'close'],
    ['transfer-encoding', 'transfer-encoding', 'chunked'],
    ['upgrade', 'upgrade', 'h2c'],
    ['http2-settings', 'http2-settings', 'AAMAAABkAAQAAP__'],
    ['te with more than trailers', 'te', 'trailers, gzip'],
    ['te: gzip', 'te', 'gzip'],
  ].map(
    ([name = '', field = '', value = '']): Http2Hazard => ({
      name,
      frames: get([field, value]),
      outcome: broken,
    }),
  ),
  { name: 'te: trailers', frames: get(['te', 'trailers']), outcome: '200', seen: 'GET http://orders / [te: trailers]' },
  {
    name: 'a value with obs-text',
    frames: get(['x', 'a\xe9']),
    outcome: '200',
    seen: 'GET http://orders / [x: a\xe9]',
  },
  { name: 'an empty value', frames: get(['x', '']), outcome: '200', seen: 'GET http://orders / [x: ]' },
  { name: 'authorization twice', frames: get(['authorization', 'a'], ['authorization', 'b']), outcome: '400' },
  { name: 'content_length', frames: get(['content_length', '3']), outcome: '400' },
  { name: 'x_forwarded_for', frames: get(['x_forwarded_for', '10.0.0.1']), outcome: '400' },
  {
    name: 'a repeated field stays repeated',
    frames: get(['x', '1'], ['x', '2']),
    outcome: '200',
    seen: 'GET http://orders / [x: 1, x: 2]',
  },
  {
    name: 'cookies in crumbs are one cookie',
    frames: get(['cookie', 'a=1'], ['x', '1'], ['cookie', 'b=2'], ['cookie', 'c=3']),
    outcome: '200',
    seen: 'GET http://orders / [cookie: a=1; b=2; c=3, x: 1]',
  },
]

const pseudo: readonly Http2Hazard[] = [
  ...(
    [
      ['no :method', but(':method', undefined)],
      ['no :scheme', but(':scheme', undefined)],
      ['no :path', but(':path', undefined)],
      ['an empty :path', but(':path', '')],
      [':method twice', [[':method', 'GET'], ...base]],
      [':path twice', [...base, [':path', '/admin']]],
      [':authority twice', [...base, [':authority', 'admin']]],
      [':scheme twice', [...base, [':scheme', 'http']]],
      [':status', [...base, [':status', '200']]],
      ['a pseudo-header field of the future', [...base, [':x', '1']]],
      [':path after a field', [...but(':path', undefined), ['x', '1'], [':path', '/']]],
      [':path after host', [...but(':path', undefined), ['host', 'orders'], [':path', '/']]],
      [':method with CR LF', but(':method', 'GET / HTTP/1.1\r\nx: y')],
      [':path with CR LF', but(':path', '/ HTTP/1.1\r\nx: y')],
      [':authority with CR LF', but(':authority', 'orders\r\nx: y')],
      [':scheme with CR LF', but(':scheme', 'http\r\n')],
      [':protocol without CONNECT', [...base, [':protocol', 'websocket']]],
      ['CONNECT with :path', but(':method', 'CONNECT')],
      ['CONNECT without :authority', [[':method', 'CONNECT']]],
      [
        'an extended CONNECT without :path',
        [
          [':method', 'CONNECT'],
          [':protocol', 'websocket'],
          [':scheme', 'http'],
          [':authority', 'orders'],
        ],
      ],
    ] as readonly (readonly [string, Fields])[]
  ).map(([name, fields]): Http2Hazard => ({ name, frames: list(fields), outcome: broken })),
  ...(
    [
      ['a method with a space', but(':method', 'GET /admin'), '400'],
      ['a method in lower case', but(':method', 'get'), '400'],
      ['an empty method', but(':method', ''), '400'],
      ['an unknown method', but(':method', 'BREW'), '501'],
      ['a path with a space', but(':path', '/a b'), '400'],
      ['a path with a fragment', but(':path', '/a#b'), '400'],
      ['a path that begins with a fragment', but(':path', '#/a'), '400'],
      ['a path beyond ASCII', but(':path', '/\xe9'), '400'],
      ['a path with a tab', but(':path', '/a\tb'), '400'],
      ['an absolute path', but(':path', 'http://evil/'), '400'],
      ['a path without a slash', but(':path', 'a'), '400'],
      ['* with GET', but(':path', '*'), '400'],
      ['user information', but(':authority', 'admin@orders'), '400'],
      ['user information and a path', but(':authority', 'a@b/c'), '400'],
      ['an authority with a path', but(':authority', 'orders/admin'), '400'],
      ['an authority with a space', but(':authority', 'orders admin'), '400'],
      ['an authority with two ports', but(':authority', 'orders:80:81'), '400'],
      ['an authority with a comma', but(':authority', 'orders,admin'), '400'],
      ['an empty authority', but(':authority', ''), '400'],
      ['neither authority nor host', but(':authority', undefined), '400'],
      ['another host than :authority', [...base, ['host', 'admin']], '400'],
      ['another port in host', [...base, ['host', 'orders:81']], '400'],
      ['two hosts', [...base, ['host', 'orders'], ['host', 'orders']], '400'],
      ['two hosts without :authority', [...but(':authority', undefined), ['host', 'a'], ['host', 'b']], '400'],
      ['a scheme that the connection has not', but(':scheme', 'https'), '400'],
      ['a scheme that hides an address', but(':scheme', 'http://orders/admin?'), '400'],
      [
        'CONNECT',
        [
          [':method', 'CONNECT'],
          [':authority', 'orders:80'],
        ],
        '405',
      ],
      ['an upgrade to something else', [[':method', 'CONNECT'], [':protocol', 'connect-udp'], ...base.slice(1)], '501'],
      ['a path that is too long', but(':path', `/${'a'.repeat(8_192)}`), '414'],
      ['101 fields', [...base, ...Array.from({ length: 101 }, (_, at) => [`x-${at}`, '1'] as const)], '431'],
      ['2,500 fields', [...base, ...Array.from({ length: 2_500 }, (_, at) => [`x-${at}`, '1'] as const)], '431'],
      ['a head that is too large', [...base, ['x', 'a'.repeat(40_000)]], '431'],
    ] as readonly (readonly [string, Fields, string])[]
  ).map(([name, fields, outcome]): Http2Hazard => ({ name, frames: list(fields), outcome })),
  {
    name: 'host in the place of :authority',
    frames: list([...but(':authority', undefined), ['host', 'orders']]),
    outcome: '200',
    seen: plain,
  },
  { name: 'the same host twice over', frames: get(['host', 'Orders']), outcome: '200', seen: plain },
  {
    name: 'a path is left as it came: the stack normalises it',
    frames: list(but(':path', '/a/../admin/%2e%2e/%41?x=../y')),
    outcome: '200',
    seen: 'GET http://orders /a/../admin/%2e%2e/%41?x=../y []',
  },
  {
    name: 'OPTIONS *',
    frames: list([[':method', 'OPTIONS'], ...but(':path', '*').slice(1)]),
    outcome: '200',
    seen: 'OPTIONS http://orders * []',
  },
]

const bodies: readonly Http2Hazard[] = [
  ...['+2', '-1', '0x2', '2, 2', '', '1 2', '18446744073709551618', '2.0'].map(
    (value): Http2Hazard => ({
      name: `content-length ${JSON.stringify(value)}`,
      frames: post([['content-length', value]], data('ab', true)),
      outcome: '400',
    }),
  ),
  {
    name: 'content-length twice',
    frames: post(
      [
        ['content-length', '2'],
        ['content-length', '2'],
      ],
      data('ab', true),
    ),
    outcome: '400',
  },
  {
    name: 'less than content-length, all at once',
    frames: post([['content-length', '10']], data('ab', true)),
    outcome: broken,
  },
  {
    name: 'more than content-length, all at once (H2.CL)',
    frames: post([['content-length', '0']], data('GET /admin HTTP/1.1\r\n\r\n', true)),
    outcome: broken,
  },
  {
    name: 'content-length and an end with the head',
    frames: list([...posted, ['content-length', '5']]),
    outcome: broken,
  },
  {
    name: 'content-length as it is',
    frames: post([['content-length', '4']], data('ab'), data('cd', true)),
    outcome: '200',
    seen: 'POST http://orders / [content-length: 4] abcd',
  },
  {
    name: 'a GET with a body is a GET with a body',
    frames: (peer) => [frame(type.headers, endHeaders, 1, peer.block(base)), data('ab', true)],
    outcome: '200',
    seen: 'GET http://orders / [] ab',
  },
  { name: 'a pseudo-header field in trailers', frames: trailers([[':path', '/admin']]), outcome: broken },
  { name: 'a name in upper case in trailers', frames: trailers([['X', 'a']]), outcome: broken },
  { name: 'CR LF in trailers', frames: trailers([['x', 'a\r\nb: c']]), outcome: broken },
  { name: 'content-length in trailers', frames: trailers([['content-length', '2']]), outcome: broken },
  { name: 'transfer-encoding in trailers', frames: trailers([['transfer-encoding', 'chunked']]), outcome: broken },
  { name: 'authorization in trailers', frames: trailers([['authorization', 'a']]), outcome: broken },
  { name: 'host in trailers', frames: trailers([['host', 'admin']]), outcome: broken },
  {
    name: 'a second header list without an end',
    frames: (peer) => [
      frame(type.headers, endHeaders, 1, peer.block(posted)),
      frame(type.headers, endHeaders, 1, peer.block([['x', '1']])),
    ],
    outcome: broken,
  },
  {
    name: 'trailers',
    frames: trailers([['x-sum', '1']]),
    outcome: '200',
    seen: 'POST http://orders / [] ab x-sum,1',
  },
]

const frames: readonly Http2Hazard[] = [
  {
    name: 'DATA for a stream that never was',
    frames: () => [frame(type.data, endStream, 1, 'ff')],
    outcome: 'goaway protocolError',
  },
  {
    name: 'a stream of the server',
    frames: (peer) => [frame(type.headers, whole, 2, peer.block(base))],
    outcome: 'goaway protocolError',
  },
  {
    name: 'CONTINUATION without HEADERS',
    frames: (peer) => [frame(type.continuation, endHeaders, 1, peer.block(base))],
    outcome: 'goaway protocolError',
  },
  {
    name: 'a header block that is interrupted',
    frames: (peer) => [frame(type.headers, endStream, 1, peer.block(base)), frame(type.data, endStream, 1, 'ff')],
    outcome: 'goaway protocolError',
  },
  {
    name: 'CONTINUATION without an end (CVE-2024-27316)',
    frames: (peer) => [
      frame(type.headers, endStream, 1, peer.block(base)),
      ...Array.from({ length: 64 }, () => frame(type.continuation, 0, 1, peer.block([['x', 'a'.repeat(100)]]))),
    ],
    outcome: 'goaway enhanceYourCalm',
  },
  {
    name: 'an HPACK bomb',
    frames: (peer) => {
      const long = peer.block([...base, ['x-bomb', 'a'.repeat(4_000)]])
      const again = Buffer.alloc(60_000, 0xbe)
      return [
        frame(type.headers, whole, 1, long),
        frame(type.headers, whole, 3, Buffer.concat([peer.block(base), again])),
      ]
    },
    outcome: 'goaway enhanceYourCalm',
  },
  {
    name: 'a header block that is no HPACK',
    frames: () => [frame(type.headers, whole, 1, 'ffffffffffff')],
    outcome: 'goaway compressionError',
  },
  {
    name: 'a window beyond the limit',
    frames: () => [frame(type.window, 0, 0, uint32(0x7fff_ffff))],
    outcome: 'goaway flowControlError',
  },
  {
    name: 'a stream window of nothing',
    frames: (peer) => [frame(type.headers, endHeaders, 1, peer.block(posted)), frame(type.window, 0, 1, uint32(0))],
    outcome: broken,
  },
  {
    name: 'PUSH_PROMISE by a client',
    frames: () => [frame(type.push, 4, 1, '00000002 82')],
    outcome: 'goaway protocolError',
  },
  {
    name: 'a request that is reset in the same breath costs nothing (CVE-2023-44487)',
    frames: (peer) => [
      frame(type.headers, whole, 1, peer.block(base)),
      frame(type.reset, 0, 1, uint32(errorCode.cancel)),
      frame(type.headers, whole, 3, peer.block(but(':path', '/after'))),
    ],
    outcome: '200 of 3',
    seen: 'GET http://orders /after []',
  },
]

export const http2Hazards: readonly Http2Hazard[] = [...names, ...pseudo, ...bodies, ...frames]
