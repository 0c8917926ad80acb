// Every answer of an upstream that is malformed, says two things at once or is often taken for another one, with what must come of it.
import type { Expected } from '../../waypoint/http1/response-head.ts'

export interface ResponseHazard {
  readonly name: string
  readonly input: string
  readonly expected: Expected
  /** The connection ends after the input. */
  readonly end?: boolean
  readonly outcome: readonly string[]
  readonly reusable?: boolean
}

const ok = 'HTTP/1.1 200 OK\r\n'
const wasGet: Expected = { method: 'GET' }
const wasHead: Expected = { method: 'HEAD' }
const answer = (
  name: string,
  input: string,
  outcome: readonly string[],
  more: Partial<ResponseHazard> = {},
): ResponseHazard => ({ name, input, expected: wasGet, outcome, ...more })
const wrong = (name: string, input: string, code: string, more: Partial<ResponseHazard> = {}): ResponseHazard =>
  answer(name, input, [`error 502 ${code}`], more)

export const responseHazards: readonly ResponseHazard[] = [
  wrong('TE and CL', `${ok}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`, 'framing'),
  wrong('CL twice', `${ok}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`, 'content-length'),
  wrong('CL as a list', `${ok}Content-Length: 3, 3\r\n\r\nabc`, 'content-length'),
  wrong('CL below zero', `${ok}Content-Length: -1\r\n\r\n`, 'content-length'),
  wrong('TE that is not chunked', `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 'transfer-encoding'),
  wrong('TE in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'framing'),
  wrong('a folded line', `${ok}X-A: b\r\n c\r\n\r\n`, 'field-name'),
  wrong('LF alone', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n', 'line-end'),
  wrong('NUL in a value', `${ok}X-A: \0\r\n\r\n`, 'field-value'),
  wrong('status 999', 'HTTP/1.1 999 What\r\n\r\n', 'status-line'),
  wrong('status 099', 'HTTP/1.1 099 What\r\n\r\n', 'status-line'),
  wrong('status 20', 'HTTP/1.1 20 What\r\n\r\n', 'status-line'),
  wrong('status 2000', 'HTTP/1.1 2000 What\r\n\r\n', 'status-line'),
  wrong('status abc', 'HTTP/1.1 abc What\r\n\r\n', 'status-line'),
  wrong('HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n', 'status-line'),
  wrong('another protocol', 'SSH-2.0-OpenSSH_10.0\r\n', 'status-line'),
  wrong('no answer', '', 'truncated', { end: true }),
  wrong('half a head', `${ok}X-A`, 'truncated', { end: true }),
  wrong('16 KiB of head', `${ok}X-A: ${'a'.repeat(16_384)}\r\n\r\n`, 'head-too-large'),
  wrong(
    '101 that nobody asked for',
    'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    'upgrade',
  ),
  wrong('101 to another protocol', 'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n', 'upgrade', {
    expected: { method: 'GET', upgrade: true },
  }),
  wrong('100 with a length', 'HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\nabc', 'informational'),
  answer(
    '101',
    'HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x81\x01a',
    ['101 [upgrade=websocket;] tunnel close', 'data \x81\x01a'],
    {
      expected: { method: 'GET', upgrade: true },
    },
  ),
  answer(
    '100 and 103 come first',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200\r\nContent-Length: 0\r\n\r\n',
    ['informational 100 [] none', 'informational 103 [link=</a>;] none', '200 [content-length=0;] length 0', 'end'],
    { reusable: true },
  ),
  wrong('nothing but 100', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(17), 'informational', {
    outcome: [...Array.from({ length: 16 }, () => 'informational 100 [] none'), 'error 502 informational'],
  }),
  answer('204', 'HTTP/1.1 204 No Content\r\n\r\n', ['204 [] none', 'end'], { reusable: true }),
  answer(
    '204 with CL 0',
    'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
    ['204 [content-length=0;] none', 'end'],
    { reusable: true },
  ),
  answer('204 with a body', 'HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc', [
    '204 [content-length=3;] none close',
    'end',
    'error 502 unexpected-bytes',
  ]),
  answer(
    '304 with CL',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n',
    ['304 [content-length=3;] none (3)', 'end'],
    { reusable: true },
  ),
  answer('HEAD with CL', `${ok}Content-Length: 3\r\n\r\n`, ['200 [content-length=3;] none (3)', 'end'], {
    expected: wasHead,
    reusable: true,
  }),
  answer('HEAD with TE', `${ok}Transfer-Encoding: chunked\r\n\r\n`, ['200 [] none', 'end'], {
    expected: wasHead,
    reusable: true,
  }),
  answer(
    'HEAD with a body',
    `${ok}Content-Length: 3\r\n\r\nabc`,
    ['200 [content-length=3;] none (3)', 'end', 'error 502 unexpected-bytes'],
    { expected: wasHead },
  ),
  answer('bytes behind the body', `${ok}Content-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\n`, [
    '200 [content-length=3;] length 3',
    'data abc',
    'end',
    'error 502 unexpected-bytes',
  ]),
  answer(
    'CL cut short',
    `${ok}Content-Length: 3\r\n\r\nab`,
    ['200 [content-length=3;] length 3', 'data ab', 'error 502 truncated'],
    { end: true },
  ),
  answer(
    'chunks cut short',
    `${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
    ['200 [] chunked', 'data abc', 'error 502 truncated'],
    { end: true },
  ),
  answer('a bad chunk', `${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n`, [
    '200 [] chunked',
    'data abc',
    'error 502 chunk',
  ]),
  answer(
    'trailers',
    `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nGrpc-Status: 0\r\n\r\n`,
    ['200 [] chunked', 'end grpc-status=0;'],
    { reusable: true },
  ),
  answer('a forbidden trailer', `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nSet-Cookie: a\r\n\r\n`, [
    '200 [] chunked',
    'error 502 trailer',
  ]),
  answer('HTTP/1.0 until it ends', 'HTTP/1.0 200 OK\r\n\r\nabc', ['200 [] close close', 'data abc', 'end'], {
    end: true,
  }),
  answer('HTTP/1.1 until it ends', `${ok}\r\nabc`, ['200 [] close close', 'data abc', 'end'], { end: true }),
  answer(
    'HTTP/1.0 that stays',
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na',
    ['200 [connection=keep-alive;content-length=1;] length 1', 'data a', 'end'],
    { reusable: true },
  ),
  answer('Connection: close', `${ok}Connection: close\r\nContent-Length: 1\r\n\r\na`, [
    '200 [connection=close;content-length=1;] length 1 close',
    'data a',
    'end',
  ]),
  answer('CONNECT', `${ok}\r\nabc`, ['200 [] tunnel close', 'data abc'], { expected: { method: 'CONNECT' } }),
  answer('CONNECT with a length', `${ok}Content-Length: 3\r\n\r\nabc`, ['error 502 framing'], {
    expected: { method: 'CONNECT' },
  }),
]
