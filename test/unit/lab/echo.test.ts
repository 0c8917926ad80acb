import fc from 'fast-check'
import t from 'tap'
import { canonicalHeader, echoAnswer, echoSetHeaders, formatEnd } from '../../../lab/echo/answer.ts'
import { Attempts, parseDuration, readControls } from '../../../lab/echo/controls.ts'
import { echoResponse, frame } from '../../../lab/echo/grpc.ts'

const context = { namespace: 'ns', ingress: '', service: 'svc', pod: 'pod', host: 'h1' }

t.test(
  'headers are written as Go writes them, repeated ones kept together, Host and pseudo headers left out',
  async (t) => {
    t.equal(canonicalHeader('x-ReQuest-ID'), 'X-Request-Id')
    const answer = echoAnswer(
      {
        path: '/',
        host: 'h',
        method: 'GET',
        proto: 'HTTP/1.1',
        headers: [
          ['accept', ['a']],
          ['Accept', ['b']],
          ['host', ['h']],
          [':path', ['/']],
        ],
        remoteAddress: '',
        localAddress: '',
      },
      context,
    )
    t.same(answer.headers, { Accept: ['a', 'b'] })
  },
)

t.test('durations are read as Go reads them', async (t) => {
  t.same(['250ms', '1.5s', '1m30s', '0', null].map(parseDuration), [250, 1_500, 90_000, 0, 0])
  t.same(['', 'x', '5', '-1s', '1h', '11m', '1s ms'].map(parseDuration), Array(7).fill(undefined))
})

t.test('a series of attempts succeeds after the asked number of failures, each series by itself', async (t) => {
  const attempts = new Attempts()
  const status = (uuid: string): number | undefined => {
    const read = readControls(new URLSearchParams({ succeedAfter: '2', responseCode: '503', uuid }), attempts)
    return read.ok ? read.controls.status : undefined
  }
  t.same([status('a'), status('b'), status('a'), status('a'), status('b')], [503, 503, 503, 200, 503])
  t.equal(readControls(new URLSearchParams({ succeedAfter: '1' }), attempts).ok, false)
})

t.test('asked response headers cannot break the answer', async (t) => {
  t.same(echoSetHeaders({ 'x-echo-set-header': 'a: 1, b:2,bad name:3,:4,c' }), [
    ['a', '1'],
    ['b', '2'],
  ])
  fc.assert(
    fc.property(fc.string(), (text) =>
      echoSetHeaders({ 'x-echo-set-header': text }).every(([, value]) => !/[\r\n]/.test(value)),
    ),
  )
})

t.test('IPv4 callers on a dual-stack socket are told as IPv4', async (t) => {
  t.equal(formatEnd('::ffff:10.0.0.1', 5), '10.0.0.1:5')
  t.equal(formatEnd('fd00:0::1', 5), '[fd00::1]:5')
})

t.test('a gRPC answer is framed, and long fields have their length in varints', async (t) => {
  const message = echoResponse('M/Echo', [['x', ['y'.repeat(300)]]], 'host', context)
  const framed = frame(message)
  t.equal(framed[0], 0)
  t.equal(framed.readUInt32BE(1), message.length)
  t.equal(message[0], 0x0a, 'field 1, length-delimited')
  t.ok(message.includes(Buffer.from([0x12, 0xac, 0x02])), 'a value of 300 bytes')
})
