import fc from 'fast-check'
import t from 'tap'
import { canonicalHeader, echoAnswer, echoSetHeaders, formatEnd } from '../../../lab/echo/answer.ts'
import { parseDuration, readControls } from '../../../lab/echo/controls.ts'
import { Counts } from '../../../lab/echo/counts.ts'
import { echoMessage, echoResponse } from '../../../lab/echo/grpc.ts'
import { deadlineMs } from '../../../lab/echo/grpc-answer.ts'
import { Deframer, frame, readMessage } from '../../../lab/echo/protobuf.ts'

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

const controls = (asked: Record<string, string>, attempt = 1) => readControls((name) => asked[name] ?? null, attempt)

t.test('a series of attempts fails as often as asked, each time as slowly as asked', async (t) => {
  const asked = { succeedAfter: '2', responseCode: '503', uuid: 'a', delayRetry: '1s', delay: '10ms', fault: 'reset' }
  const failing = { ok: true, controls: { status: 503, delayMs: 1_010, fault: 'reset' } }
  t.same([controls(asked, 1), controls(asked, 2)], [failing, failing])
  t.same(controls(asked, 3), { ok: true, controls: { status: 200, delayMs: 10, fault: undefined } })
  t.match(controls({ succeedAfter: '1', uuid: 'a' }), { controls: { status: 500 } })
})

t.test('a list of statuses is answered one by one, the last one from then on', async (t) => {
  const statuses = [1, 2, 3, 4].map((attempt) => controls({ status: '503,429,200', uuid: 'a' }, attempt))
  t.match(
    statuses,
    [503, 429, 200, 200].map((status) => ({ controls: { status } })),
  )
})

t.test('what cannot be understood is told, also where it would not matter', async (t) => {
  const wrong = [
    { succeedAfter: '1' },
    { succeedAfter: 'x', uuid: 'a' },
    { status: '503,200' },
    { status: '99' },
    { responseCode: '600' },
    { fault: 'none' },
    { delay: 'soon' },
    { delayRetry: '-1s' },
    { succeedAfter: '1', uuid: 'a'.repeat(129) },
  ]
  for (const asked of wrong) t.match(controls(asked), { ok: false }, JSON.stringify(asked))
})

t.test('requests are counted by series, and all together', async (t) => {
  const counts = new Counts()
  t.same([counts.arrived('a'), counts.arrived('b'), counts.arrived('a'), counts.arrived(undefined)], [1, 1, 2, 1])
  counts.cancelled('a')
  t.match(counts.series('a'), { uuid: 'a', requests: 2, cancelled: 1 })
  t.equal(counts.series('a').arrivals.length, 2)
  t.match(counts.series('c'), { requests: 0, cancelled: 0, arrivals: [] })
  t.equal(counts.requests, 4)
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

t.test('messages are found in any split of their bytes, and read back', async (t) => {
  const messages = ['', 'a', 'b'.repeat(300)].map((text, index) => echoMessage(text, context, index))
  const bytes = Buffer.concat(messages.map(frame))
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
      const ends = [...cuts.sort((a, b) => a - b), bytes.length]
      const deframer = new Deframer(1_000)
      const found = ends.flatMap((end, index) => deframer.push(bytes.subarray(ends[index - 1] ?? 0, end)))
      return Buffer.concat(found).equals(Buffer.concat(messages)) && found.length === messages.length
    }),
  )
  t.throws(() => new Deframer(10).push(frame(Buffer.alloc(11))), RangeError)
  const values = readMessage(messages[2]!).map(({ number, value }) => [number, String(value).length])
  t.same(values, [
    [1, 300],
    [2, 3],
    [3, 2],
    [4, 1],
  ])
  t.throws(() => readMessage(Buffer.from([0x0a, 5, 1])), RangeError)
})

t.test('deadlines of calls are read in all their units', async (t) => {
  t.same(['2H', '3M', '4S', '5m', '6000u'].map(deadlineMs), [7_200_000, 180_000, 4_000, 5, 6])
  t.same([undefined, '5', 'm', '123456789m'].map(deadlineMs), Array(4).fill(undefined))
})
