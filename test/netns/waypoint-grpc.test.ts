// gRPC of all four kinds through two daemons and a waypoint: messages, trailers, deadlines, statuses, retries by status.
import t from 'tap'
import { type Answered, type Call, fieldOf } from '../../lab/calls/call.ts'
import { echoService } from '../../lab/echo/grpc.ts'
import { instances, series, virtualService, WaypointLab } from '../helpers/waypoint-lab.ts'

t.setTimeout(180_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

function call(method: string, headers: Record<string, string> = {}, more: Partial<Call> = {}): Call {
  return { url: `http://orders:7070${echoService}${method}`, protocol: 'grpc', body: 'hello', headers, ...more }
}

/** Field 1 of each message. */
function texts({ messages = [] }: Answered): readonly unknown[] {
  return messages.map((message) => message.find(([number]) => number === 1)?.[1])
}

t.test('gRPC behind a waypoint', async (t) => {
  const lab = await WaypointLab.up('wpgrpc', stateDir)
  t.teardown(() => lab.close())

  await t.test('calls of all four kinds, with their trailers', async (t) => {
    const trailer = { 'x-echo-trailer': 'x-check:1' }
    const rows = [
      ['Unary', 1, ['hello']],
      ['ClientStream', 100, ['500']],
      ['ServerStream', 1, ['hello', 'hello', 'hello']],
      ['BidiStream', 50, Array(50).fill('hello')],
    ] as const
    for (const [method, messages, expected] of rows) {
      const answer = await lab.answered(call(method, trailer, { messages }))
      t.match(answer, { status: 200, grpcStatus: 0 }, method)
      t.same(texts(answer), expected, method)
      t.equal(fieldOf(answer.trailers, 'x-check'), '1', method)
    }
  })

  await t.test('both sides of a call speak at once: the first answer comes before the last message', async (t) => {
    const { connect } = await import('node:http2')
    const { socketInside } = await import('../../lab/probe.ts')
    const { frame, text } = await import('../../lab/echo/protobuf.ts')
    const { netns } = lab.mesh.workload('shop/client')
    const socket = socketInside(netns, { address: lab.mesh.vip('shop/orders'), port: 7070 })
    const session = connect('http://orders:7070', { createConnection: () => socket })
    t.teardown(() => session.destroy())
    const stream = session.request({
      ':method': 'POST',
      ':path': `${echoService}BidiStream`,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    for (const word of ['one', 'two', 'three']) {
      stream.write(frame(text(1, word)))
      const chunk = (await new Promise((resolve) => stream.once('data', resolve))) as Buffer
      t.ok(chunk.includes(word), word)
    }
    const trailers = new Promise<Record<string, unknown>>((resolve) => stream.once('trailers', resolve))
    stream.resume()
    stream.end()
    t.equal((await trailers)['grpc-status'], '0')
  })

  await t.test('statuses pass as they are, in headers and in trailers', async (t) => {
    const asked = { 'x-echo-grpc-status': '9', 'x-echo-grpc-message': 'not now' }
    t.match(await lab.call(call('Unary', asked)), { grpcStatus: 9, grpcMessage: 'not now' })
    const late = await lab.answered(call('ServerStream', { ...asked, 'x-echo-grpc-status-at': 'end' }))
    t.match(late, { grpcStatus: 9 })
    t.equal(late.messages?.length, 3)
    t.match(await lab.call(call('Unknown')), { grpcStatus: 12 })
  })

  await t.test('deadlines reach the backend, which hears when the caller has given up', async (t) => {
    t.match(await lab.call(call('Unary', { 'grpc-timeout': '100m', 'x-echo-delay': '5s' })), { grpcStatus: 4 })
    const uuid = series()
    const given = await lab.call(call('Unary', { 'x-echo-delay': '5s', 'x-echo-uuid': uuid }, { timeoutMs: 300 }))
    t.match(given, { kind: 'failed', code: 'TIMEOUT' })
    const cancelled = async (): Promise<number> => {
      const counts = await Promise.all(instances.map((each) => lab.counted(each, uuid)))
      return counts.reduce((sum, count) => sum + count.cancelled, 0)
    }
    const end = performance.now() + 4_000
    while ((await cancelled()) === 0 && performance.now() < end);
    t.equal(await cancelled(), 1)
  })

  await t.test('a deadline of the route ends a call with DEADLINE_EXCEEDED', async (t) => {
    await lab.with(virtualService('- timeout: 200ms\n  route: [{destination: {host: orders}}]'), async () => {
      t.match(await lab.call(call('Unary', { 'x-echo-delay': '5s' })), { status: 200, grpcStatus: 4 })
    })
  })

  await t.test('a call is tried again by its status, also where that comes in trailers', async (t) => {
    const rule = virtualService(
      '- retries: {attempts: 3, retryOn: unavailable}\n  route: [{destination: {host: orders}}]',
    )
    await lab.with(rule, async () => {
      const uuid = series()
      const headers = { 'x-echo-grpc-status': '14', 'x-echo-uuid': uuid }
      t.match(await lab.call(call('Unary', headers)), { grpcStatus: 14 })
      t.equal(await lab.total(uuid), 4)
      const other = series()
      t.match(await lab.call(call('Unary', { ...headers, 'x-echo-grpc-status': '9', 'x-echo-uuid': other })), {
        grpcStatus: 9,
      })
      t.equal(await lab.total(other), 1)
    })
  })

  await t.test('requests of one connection are spread over all instances', async (t) => {
    const result = await lab.call(call('Unary', {}, { repeat: 400, concurrency: 8 }))
    const counts = result.kind === 'counted' ? result.counts : {}
    t.equal(Object.keys(counts).length, 4, JSON.stringify(counts))
  })
})
