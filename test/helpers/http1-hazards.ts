// Every request of HTTP/1.1 that has made two servers disagree, with what must come of it: refused, or one request with one meaning.
// Read by the tests of the reader and by the comparison with Node's parser. Published: RFC 9112, CVEs, and what others met.

export interface RequestHazard {
  readonly name: string
  readonly input: string
  /** `status code` of the error, or the events of what is let through. */
  readonly outcome: string | readonly string[]
  /** Node's server refuses it, too (with room for 64 KiB of head). False: ours is the stricter one, or both let it through. */
  readonly nodeRefuses: boolean
}

const host = 'Host: x\r\n'
const get = (fields: string, target = '/') => `GET ${target} HTTP/1.1\r\n${host}${fields}\r\n`
const post = (fields: string, body = '') => `POST / HTTP/1.1\r\n${host}${fields}\r\n${body}`
const chunks = (body: string) => post('Transfer-Encoding: chunked\r\n', body)

/** Before the body, where only the body is wrong. */
const refused = (name: string, input: string, outcome: string): RequestHazard => ({
  name,
  input,
  outcome,
  nodeRefuses: true,
})
/** Node lets it through, we do not. */
const stricter = (name: string, input: string, outcome: string): RequestHazard => ({
  name,
  input,
  outcome,
  nodeRefuses: false,
})
const passed = (name: string, input: string, ...outcome: readonly string[]): RequestHazard => ({
  name,
  input,
  outcome,
  nodeRefuses: false,
})

const chunkedHead = 'POST http://x / 1.1 [] chunked'
const manyFields = (count: number) => Array.from({ length: count }, (_, index) => `x-${index}: 1\r\n`).join('')

const framing: readonly RequestHazard[] = [
  refused('TE and CL', post('Transfer-Encoding: chunked\r\nContent-Length: 3\r\n', '0\r\n\r\n'), '400 framing'),
  refused('CL and TE', post('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), '400 framing'),
  refused('CL twice', post('Content-Length: 3\r\nContent-Length: 3\r\n', 'abc'), '400 content-length'),
  refused('CL twice, different', post('Content-Length: 3\r\nContent-Length: 4\r\n', 'abc'), '400 content-length'),
  refused('CL as a list', post('Content-Length: 3, 3\r\n', 'abc'), '400 content-length'),
  refused('CL with plus', post('Content-Length: +2\r\n', 'ab'), '400 content-length'),
  refused('CL below zero', post('Content-Length: -1\r\n'), '400 content-length'),
  refused('CL in hexadecimal', post('Content-Length: 0x2\r\n', 'ab'), '400 content-length'),
  refused('CL overflow', post('Content-Length: 18446744073709551618\r\n', 'ab'), '400 content-length'),
  refused('CL empty', post('Content-Length: \r\n'), '400 content-length'),
  refused('CL with a space within', post('Content-Length: 1 2\r\n', 'a'), '400 content-length'),
  refused('CL with a space before the colon', post('Content-Length : 2\r\n', 'ab'), '400 field-name'),
  refused('TE xchunked', post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'), '400 transfer-encoding'),
  refused('TE chunked, identity', post('Transfer-Encoding: chunked, identity\r\n'), '400 transfer-encoding'),
  stricter(
    'TE identity, chunked',
    post('Transfer-Encoding: identity, chunked\r\n', '0\r\n\r\n'),
    '400 transfer-encoding',
  ),
  refused('TE identity', post('Transfer-Encoding: identity\r\n'), '400 transfer-encoding'),
  stricter('TE gzip, chunked', post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'), '501 transfer-encoding'),
  refused('TE twice', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'), '400 transfer-encoding'),
  refused(
    'TE twice, the second nothing',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n'),
    '400 transfer-encoding',
  ),
  refused('TE with a vertical tab', post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n'), '400 field-value'),
  refused('TE with a space before the colon', post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n'), '400 field-name'),
  refused('TE empty', post('Transfer-Encoding: \r\n'), '400 transfer-encoding'),
  stricter('TE in HTTP/1.0', `POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, '400 framing'),
  stricter('Content_Length', post('Content_Length: 3\r\n', ''), '400 field-ambiguous'),
  stricter('Transfer_Encoding', post('Transfer_Encoding: chunked\r\n', ''), '400 field-ambiguous'),
  stricter('X_Forwarded_For', get('X_Forwarded_For: 10.0.0.1\r\n'), '400 field-ambiguous'),
  passed(
    'GET with a body',
    get('Content-Length: 2\r\n').concat('ab'),
    'GET http://x / 1.1 [content-length=2;] length 2',
    'data ab',
    'end',
  ),
  passed('TE in capitals', post('TRANSFER-ENCODING: Chunked\r\n', '1\r\na\r\n0\r\n\r\n'), chunkedHead, 'data a', 'end'),
]

const lines: readonly RequestHazard[] = [
  refused('a folded line', get('X-A: b\r\n c\r\n'), '400 field-name'),
  refused('a folded line with a tab', get('X-A: b\r\n\tc\r\n'), '400 field-name'),
  refused('the first line folded', `GET / HTTP/1.1\r\n ${host}\r\n`, '400 field-name'),
  refused('LF alone after the request line', `GET / HTTP/1.1\n${host}\r\n`, '400 line-end'),
  refused('LF alone after a field', `GET / HTTP/1.1\r\nHost: x\n\r\n`, '400 line-end'),
  refused('LF alone at the end', `GET / HTTP/1.1\r\n${host}\nGET / HTTP/1.1\r\n\r\n`, '400 line-end'),
  refused('CR alone in a value', get('X-A: b\rc\r\n'), '400 line-end'),
  refused('CR alone at the end', `GET / HTTP/1.1\r\n${host}\rGET`, '400 line-end'),
  refused('CR twice', `GET / HTTP/1.1\r\nHost: x\r\r\n\r\n`, '400 line-end'),
  refused('NUL in a value', get('X-A: b\0c\r\n'), '400 field-value'),
  refused('NUL in a name', get('X\0A: b\r\n'), '400 field-name'),
  refused('DEL in a value', get('X-A: b\x7fc\r\n'), '400 field-value'),
  refused('a name with a space', get('X A: b\r\n'), '400 field-name'),
  refused('a name with a space before the colon', get('X-A : b\r\n'), '400 field-name'),
  refused('no name', get(': b\r\n'), '400 field-name'),
  refused('no colon', get('X-A\r\n'), '400 line-end'),
  refused('a name with obs-text', get('X-\xe9: b\r\n'), '400 field-name'),
  passed('a value with obs-text', get('X-A: \xe9\r\n'), 'GET http://x / 1.1 [x-a=\xe9;] none', 'end'),
  passed('an empty value', get('X-A:\r\n'), 'GET http://x / 1.1 [x-a=;] none', 'end'),
  passed('spaces around a value', get('X-A: \t b c \t\r\n'), 'GET http://x / 1.1 [x-a=b c;] none', 'end'),
  passed('the same name twice', get('X-A: b\r\nx-a: c\r\n'), 'GET http://x / 1.1 [x-a=b;x-a=c;] none', 'end'),
  stricter('an empty line first', `\r\n${get('')}`, '400 method'),
  stricter('2,500 fields', get(manyFields(2_500)), '431 too-many-fields'),
  stricter('101 fields', get(manyFields(100)), '431 too-many-fields'),
  stricter('16 KiB of fields', get(`X-A: ${'a'.repeat(16_384)}\r\n`), '431 head-too-large'),
  stricter('a target of 9 KiB', get('', `/${'a'.repeat(9_000)}`), '414 target-too-long'),
  stricter('Authorization twice', get('Authorization: a\r\nAuthorization: b\r\n'), '400 field-repeated'),
  stricter(
    'Proxy-Authorization twice',
    get('Proxy-Authorization: a\r\nproxy-authorization: b\r\n'),
    '400 field-repeated',
  ),
  refused('an Expect that nobody knows', get('Expect: magic\r\n'), '417 expect'),
  stricter('Expect twice', get('Expect: 100-continue\r\nExpect: 100-continue\r\n'), '417 expect'),
  passed(
    'Expect: 100-continue',
    post('Expect: 100-continue\r\nContent-Length: 1\r\n', 'a'),
    'POST http://x / 1.1 [expect=100-continue;content-length=1;] length 1 expects',
    'data a',
    'end',
  ),
]

const chunking: readonly RequestHazard[] = (
  [
    ['size 0x2', '0x2\r\nab\r\n0\r\n\r\n', '400 chunk'],
    ['a space before the size', ' 2\r\nab\r\n0\r\n\r\n', '400 chunk'],
    ['a space after the size', '2 \r\nab\r\n0\r\n\r\n', '400 chunk'],
    ['a minus', '-2\r\nab\r\n0\r\n\r\n', '400 chunk'],
    ['a plus', '+2\r\nab\r\n0\r\n\r\n', '400 chunk'],
    ['no size', '\r\nab\r\n0\r\n\r\n', '400 chunk'],
    ['overflow', '10000000000000002\r\nab\r\n0\r\n\r\n', '400 chunk'],
    ['LF alone after the size', '2\nab\r\n0\r\n\r\n', '400 chunk'],
    ['an extension with LF', '2;a=b\nab\r\n0\r\n\r\n', '400 chunk'],
    ['an extension with CR', '2;a\rb\r\nab\r\n0\r\n\r\n', '400 chunk'],
    ['an extension with NUL', '2;a\0\r\nab\r\n0\r\n\r\n', '400 chunk'],
  ] as const
).map(([name, body, outcome]) => refused(`chunks: ${name}`, chunks(body), outcome))

const chunkBodies: readonly RequestHazard[] = [
  {
    ...refused('chunks: no line end after the data', chunks('2\r\nab0\r\n\r\n'), ''),
    outcome: [chunkedHead, 'data ab', 'error 400 chunk'],
  },
  {
    ...refused('chunks: LF alone after the data', chunks('2\r\nab\n0\r\n\r\n'), ''),
    outcome: [chunkedHead, 'data ab', 'error 400 chunk'],
  },
  {
    ...refused('chunks: longer than their size', chunks('2\r\nabc\r\n0\r\n\r\n'), ''),
    outcome: [chunkedHead, 'data ab', 'error 400 chunk'],
  },
  passed('chunks: an extension is dropped', chunks('2;a=b;c="d;e"\r\nab\r\n0\r\n\r\n'), chunkedHead, 'data ab', 'end'),
  stricter('chunks: an extension without a name', chunks('2;=b\r\nab\r\n0\r\n\r\n'), '400 chunk'),
  stricter('chunks: a long extension', chunks(`2;a=${'b'.repeat(300)}\r\nab\r\n0\r\n\r\n`), '413 chunk'),
  refused('trailers: Content-Length', chunks('0\r\nContent-Length: 3\r\n\r\n'), '400 trailer'),
  refused('trailers: Transfer-Encoding', chunks('0\r\nTransfer-Encoding: chunked\r\n\r\n'), '400 trailer'),
  stricter('trailers: Host', chunks('0\r\nHost: y\r\n\r\n'), '400 trailer'),
  stricter('trailers: Authorization', chunks('0\r\nAuthorization: y\r\n\r\n'), '400 trailer'),
  stricter('trailers: X_Forwarded_For', chunks('0\r\nX_Forwarded_For: y\r\n\r\n'), '400 trailer'),
  refused('trailers: LF alone', chunks('0\r\nX-A: b\n\r\n'), '400 line-end'),
  refused('trailers: folded', chunks('0\r\nX-A: b\r\n c\r\n\r\n'), '400 field-name'),
  stricter('trailers: 33 of them', chunks(`0\r\n${manyFields(33)}\r\n`), '431 too-many-fields'),
  stricter('trailers: 9 KiB', chunks(`0\r\nX-A: ${'a'.repeat(9_000)}\r\n\r\n`), '431 trailer'),
  passed('trailers', chunks('0\r\nX-Sum: 7\r\n\r\n'), chunkedHead, 'end x-sum=7;'),
]

const targets: readonly RequestHazard[] = [
  refused('no Host', 'GET / HTTP/1.1\r\n\r\n', '400 host'),
  stricter('Host twice', `GET / HTTP/1.1\r\n${host}Host: y\r\n\r\n`, '400 host'),
  stricter('Host twice, the same', `GET / HTTP/1.1\r\n${host}${host}\r\n`, '400 host'),
  stricter('Host empty', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', '400 host'),
  ...[
    'a@b/c',
    'a@b',
    'a/b',
    'a,b',
    'a b',
    'a:',
    ':80',
    'a:99999',
    'a:0x50',
    '[::1',
    '[::g]',
    '::1',
    'a%00',
    'a\\b',
    'http://a',
    '\xe9',
  ].map((bad) => stricter(`Host ${JSON.stringify(bad)}`, `GET / HTTP/1.1\r\nHost: ${bad}\r\n\r\n`, '400 host')),
  passed(
    'Host with IPv6 and port',
    'GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n',
    'GET http://[2001:db8::1]:80 / 1.1 [] none',
    'end',
  ),
  passed('an absolute target beats Host', get('', 'http://evil:81/x?y'), 'GET http://evil:81 /x?y 1.1 [] none', 'end'),
  passed('an absolute target without a path', get('', 'HTTP://evil'), 'GET http://evil / 1.1 [] none', 'end'),
  passed('an absolute target with a query only', get('', 'http://evil?a'), 'GET http://evil /?a 1.1 [] none', 'end'),
  stricter('an absolute target with another scheme', get('', 'https://evil/'), '400 target'),
  stricter('an absolute target with user information', get('', 'http://u@evil/'), '400 target'),
  stricter('an absolute target and two Hosts', get('Host: y\r\n', 'http://evil/'), '400 host'),
  stricter('an absolute target without a host', get('', 'http:///a'), '400 target'),
  stricter('a fragment', get('', '/a#b'), '400 target'),
  stricter('GET *', get('', '*'), '400 target'),
  passed('OPTIONS *', `OPTIONS * HTTP/1.1\r\n${host}\r\n`, 'OPTIONS http://x * 1.1 [] none', 'end'),
  refused('a target that is neither', get('', 'a/b'), '400 target'),
  refused('obs-text in the target', get('', '/\xe9'), '400 target'),
  refused('NUL in the target', get('', '/\0'), '400 target'),
  refused('a tab in the request line', `GET\t/ HTTP/1.1\r\n${host}\r\n`, '400 method'),
  stricter('two spaces before the target', `GET  / HTTP/1.1\r\n${host}\r\n`, '400 target'),
  stricter('two spaces before the version', `GET /  HTTP/1.1\r\n${host}\r\n`, '400 version'),
  refused('a space after the version', `GET / HTTP/1.1 \r\n${host}\r\n`, '400 field-value'),
  stricter('HTTP/0.9', 'GET /\r\n\r\n', '400 version'),
  refused('HTTP/1.2', `GET / HTTP/1.2\r\n${host}\r\n`, '505 version'),
  stricter('HTTP/2.0 in a request line', `GET / HTTP/2.0\r\n${host}\r\n`, '505 version'),
  refused('the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '501 method'),
  refused('http/1.1', `GET / http/1.1\r\n${host}\r\n`, '400 version'),
  refused('a method that nobody knows', `BREW / HTTP/1.1\r\n${host}\r\n`, '501 method'),
  refused('a method in lower case', `get / HTTP/1.1\r\n${host}\r\n`, '400 method'),
  refused('a method with a colon', `GET: / HTTP/1.1\r\n${host}\r\n`, '400 method'),
  refused('TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '400 method'),
  stricter('CONNECT', 'CONNECT y:80 HTTP/1.1\r\nHost: y:80\r\n\r\n', '405 connect'),
  stricter('TRACE with a body', `TRACE / HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\na`, '400 framing'),
  stricter('HTTP/1.0 without Host', 'GET / HTTP/1.0\r\n\r\n', '400 host'),
  passed(
    'Upgrade: h2c is no upgrade',
    get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n'),
    'GET http://x / 1.1 [connection=Upgrade, HTTP2-Settings;upgrade=h2c;http2-settings=AA;] none',
    'end',
  ),
  passed(
    'Upgrade without Connection',
    get('Upgrade: websocket\r\n'),
    'GET http://x / 1.1 [upgrade=websocket;] none',
    'end',
  ),
  stricter(
    'an upgrade with a body',
    get('Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n'),
    '400 upgrade',
  ),
]

export const requestHazards: readonly RequestHazard[] = [...framing, ...lines, ...chunking, ...chunkBodies, ...targets]
