import t from 'tap'
import { type Answered, type Call, type CallResult, fieldOf } from '../../../lab/calls/call.ts'
import { runCalls } from '../../../lab/calls/run.ts'
import { echoService } from '../../../lab/echo/grpc.ts'
import { type EchoServer, startEcho } from '../../../lab/echo/server.ts'

const context = { namespace: 'shop', ingress: '', service: 'orders', pod: 'orders-v1', host: 'h1' }
let echo: EchoServer

t.before(async () => {
  echo = await startEcho(context, { http: [], grpc: 0, tcp: 0, tls: 0 })
})
t.teardown(() => echo.close())

async function call(
  method: string,
  headers: Record<string, string> = {},
  more: Partial<Call> = {},
): Promise<CallResult> {
  const url = `http://127.0.0.1:${echo.ports.grpc}${echoService}${method}`
  const [result] = await runCalls([{ url, protocol: 'grpc', body: 'hello', headers, ...more }])
  return result!
}

/** Texts (field 1) and numbers (field 4) of the messages. */
function read(result: CallResult): readonly (readonly [unknown, unknown])[] {
  const find = (message: readonly (readonly [number, unknown])[], wanted: number): unknown =>
    message.find(([number]) => number === wanted)?.[1]
  return ((result as Answered).messages ?? []).map((message) => [find(message, 1), find(message, 4)])
}

t.test('calls of all four kinds are answered', async (t) => {
  const rows = [
    ['Unary', 1, [['hello', 1]]],
    ['ClientStream', 3, [['15', 3]]],
    [
      'ServerStream',
      1,
      [
        ['hello', 1],
        ['hello', 2],
        ['hello', 3],
      ],
    ],
    [
      'BidiStream',
      2,
      [
        ['hello', 1],
        ['hello', 2],
      ],
    ],
  ] as const
  for (const [method, messages, expected] of rows) {
    const result = await call(method, {}, { messages })
    t.match(result, { status: 200, grpcStatus: 0 }, method)
    t.same(read(result), expected, method)
  }
  t.match(await call('Unknown'), { status: 200, grpcStatus: 12 })
})

t.test('a status comes at once, or behind the messages, with what else was asked for', async (t) => {
  const asked = { 'x-echo-grpc-status': '14', 'x-echo-grpc-message': 'try again', 'x-echo-trailer': 'x-t:1' }
  const atOnce = (await call('Unary', { ...asked, 'x-echo-set-header': 'x-h:2' })) as Answered
  t.match(atOnce, { grpcStatus: 14, grpcMessage: 'try again', messages: [] })
  t.equal(fieldOf(atOnce.headers, 'grpc-status'), '14', 'in the headers')
  t.equal(fieldOf(atOnce.headers, 'x-h'), '2')
  const atEnd = (await call('ServerStream', { ...asked, 'x-echo-grpc-status-at': 'end' })) as Answered
  t.equal(atEnd.messages?.length, 3)
  t.equal(fieldOf(atEnd.trailers, 'grpc-status'), '14', 'in the trailers')
  t.equal(fieldOf(atEnd.trailers, 'x-t'), '1')
})

t.test('statuses follow one another by series, and a series succeeds after as many failures as asked', async (t) => {
  const statuses = async (headers: Record<string, string>): Promise<readonly unknown[]> => {
    const results: unknown[] = []
    for (let index = 0; index < 3; index++) results.push(((await call('Unary', headers)) as Answered).grpcStatus)
    return results
  }
  t.same(await statuses({ 'x-echo-grpc-status': '14,8,0', 'x-echo-uuid': 'a' }), [14, 8, 0])
  t.same(await statuses({ 'x-echo-grpc-status': '14', 'x-echo-succeed-after': '2', 'x-echo-uuid': 'b' }), [14, 14, 0])
})

t.test('a call ends at its deadline, before and in the middle of its messages', async (t) => {
  t.match(await call('Unary', { 'grpc-timeout': '50m', 'x-echo-delay': '10s' }), { grpcStatus: 4, messages: [] })
  const slow = { 'grpc-timeout': '80m', 'x-echo-interval': '30ms', 'x-echo-count': '100' }
  const result = (await call('ServerStream', slow)) as Answered
  t.equal(result.grpcStatus, 4)
  t.ok(result.messages!.length > 0 && result.messages!.length < 100)
})

t.test('calls are reset, refused, or answered without gRPC', async (t) => {
  t.match(await call('Unary', { 'x-echo-fault': 'reset' }), { kind: 'failed', code: 'ERR_HTTP2_STREAM_ERROR' })
  t.match(await call('Unary', { 'x-echo-fault': 'refused' }), { kind: 'failed' })
  const plain = (await call('Unary', { 'x-echo-response-code': '503' })) as Answered
  t.equal(plain.status, 503)
  t.equal(plain.grpcStatus, undefined)
})

t.test('repeated calls are counted by who answered', async (t) => {
  t.match(await call('Unary', {}, { repeat: 100 }), { counts: { 'orders-v1': 100 } })
  t.match(await call('Unary', { 'x-echo-grpc-status': '14' }, { repeat: 10 }), { counts: { 'grpc 14': 10 } })
})
