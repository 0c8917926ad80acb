// Which protocol the first bytes of a client are.
import fc from 'fast-check'
import t from 'tap'
import { hintOf, protocolOf, takesHttp2 } from '../../../waypoint/detect.ts'
import { requestHazards } from '../../helpers/http1-hazards.ts'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

t.test('requests are HTTP/1, however they are written', (t) => {
  for (const text of [
    'GET / HTTP/1.1\r\n',
    'GET /',
    'get /admin HTTP/1.1\r\n',
    '\r\n\r\n GET /admin HTTP/1.1\r\n',
    'GET\t/admin HTTP/1.1\r\n',
    'GET\x0b/admin\x0bHTTP/1.1\r\n',
    'GET\xa0/admin',
    'GET /a\0b',
    'OPTIONS *',
    'POST http://x/',
    'BREW /pot HTTP/1.1\r\n',
    'BREW pot HTTP/1.0',
    'GET /\r\n',
    'PRI * HTTP/2.0\r\n\r\nXX',
  ]) {
    t.equal(protocolOf(bytes(text), undefined), 'http1', JSON.stringify(text))
  }
  t.end()
})

t.test('the preface of HTTP/2 is HTTP/2, once it is complete', (t) => {
  t.equal(protocolOf(bytes(preface), undefined), 'http2')
  t.equal(protocolOf(bytes(`${preface}\0\0`), 'http'), 'http2')
  for (let length = 0; length < preface.length; length += 1) {
    t.equal(protocolOf(bytes(preface.slice(0, length)), undefined), undefined, `${length} bytes of it`)
    t.equal(protocolOf(bytes(preface.slice(0, length)), 'http'), undefined, `${length} bytes of it, hinted`)
  }
  t.equal(protocolOf(bytes(preface.slice(0, 10)), undefined, true), 'http1')
  t.end()
})

t.test('everything else is raw TCP', (t) => {
  for (const text of [
    '\x16\x03\x01\x02\x00',
    'SSH-2.0-OpenSSH_10.0\r\n',
    'EHLO x\r\n',
    'USER x\r\n',
    '*1\r\n$4\r\nPING\r\n',
    'PING\r\n',
    'AMQP\0',
    '\0\0\0\x08',
    'get key\r\n',
    `A${'a'.repeat(20_000)}`,
  ]) {
    t.equal(protocolOf(bytes(text), undefined), 'tcp', JSON.stringify(text.slice(0, 20)))
  }
  t.end()
})

t.test('a client that stalls within what may become a request is no way around', (t) => {
  for (const text of ['G', 'GE', 'GET', 'GET ', '\r\n', 'EHLO']) {
    t.equal(protocolOf(bytes(text), undefined), undefined)
    t.equal(protocolOf(bytes(text), undefined, true), 'http1')
  }
  t.end()
})

t.test('silence is raw TCP only where nothing is known of the port', (t) => {
  t.equal(protocolOf(bytes(''), undefined), undefined)
  t.equal(protocolOf(bytes(''), undefined, true), 'tcp')
  t.equal(protocolOf(bytes(''), 'http', true), undefined)
  t.equal(protocolOf(bytes('GET /'), 'tcp'), 'tcp')
  t.equal(protocolOf(bytes('EHLO x\r\n'), 'http'), 'http1')
  t.end()
})

t.test('hazards that are meant as requests are no raw TCP', (t) => {
  const others = new Set(['TLS', 'a method with a colon'])
  for (const { name, input } of requestHazards) {
    if (!others.has(name)) t.not(protocolOf(bytes(input), undefined), 'tcp', name)
  }
  t.end()
})

t.test('a verdict does not change with further bytes', (t) => {
  const text = fc.oneof(
    fc.constantFrom(
      preface,
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      'EHLO x\r\n',
      '\r\nPOST  /a HTTP/1.0\r\n',
      'BREW a b\r\n',
    ),
    fc.string({ unit: 'binary-ascii', maxLength: 40 }),
  )
  fc.assert(
    fc.property(text, (whole) => {
      let verdict: string | undefined
      for (let length = 1; length <= whole.length; length += 1) {
        const now = protocolOf(bytes(whole.slice(0, length)), undefined)
        if (verdict !== undefined && now !== verdict && !(verdict === 'tcp' && now === 'http1')) {
          throw new Error(`${verdict} became ${now}`)
        }
        verdict ??= now
      }
    }),
  )
  t.end()
})

t.test('hints are read as Istio reads them', (t) => {
  t.equal(hintOf('http'), 'http')
  t.equal(hintOf('http-web'), 'http')
  t.equal(hintOf('grpc-web'), 'http')
  t.equal(hintOf('web', 'kubernetes.io/h2c'), 'http')
  t.equal(hintOf('http', 'tcp'), 'tcp')
  t.equal(hintOf('https-web'), 'tcp')
  t.equal(hintOf('web'), undefined)
  t.equal(hintOf(''), undefined)
  t.end()
})

t.test('which ports take HTTP/2 whoever calls is said by appProtocol alone', (t) => {
  for (const name of ['http2', 'grpc', 'GRPC', 'kubernetes.io/h2c']) t.ok(takesHttp2(name), name)
  for (const name of [undefined, 'http', 'kubernetes.io/ws', 'grpc-web', 'tcp'])
    t.notOk(takesHttp2(name), name ?? 'none')
  t.end()
})
