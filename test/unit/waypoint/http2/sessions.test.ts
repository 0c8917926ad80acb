// Sessions of messages without sockets: any traffic over any windows, and mutilated conversations at both ends.
import { type Duplex, duplexPair } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { FrameWriter } from '../../../../core/hbone/h2/frame-writer.ts'
import { heldBudget } from '../../../../core/hbone/h2/held-budget.ts'
import { HpackEncoder } from '../../../../core/hbone/h2/hpack-encoder.ts'
import { preface } from '../../../../core/hbone/h2/protocol.ts'
import { BodyChannel } from '../../../../waypoint/http/body.ts'
import { Headers } from '../../../../waypoint/http/message.ts'
import { Http2ServerConnection } from '../../../../waypoint/http2/server-connection.ts'
import { openHttp2 } from '../../../../waypoint/upstream/http2.ts'
import { answer, exchangeOf, origin, readBody } from '../../../helpers/http2-waypoint.ts'
import { eventually } from '../../../helpers/tunnel.ts'

type Handler = ConstructorParameters<typeof Http2ServerConnection>[1]['handler']
const plain = { scheme: 'http' } as const
const owner = { onAvailable: () => {}, onIdle: () => {}, onUnusable: () => {}, onClosed: () => {} }

const echo: Handler = async (exchange) => {
  const channel = new BodyChannel({
    onPause: () => exchange.body.pause(),
    onResume: () => exchange.body.resume(),
    onCancel: () => exchange.body.cancel(),
  })
  exchange.body.read({
    onData: (chunk) => channel.push(chunk),
    onEnd: (trailers) => channel.end(trailers),
    onError: (failure) => channel.fail(failure),
  })
  return answer(200, [], channel)
}

t.test('any traffic over any windows comes back as it was sent, trailers too', async (t) => {
  const plans = fc.array(
    fc.record({
      sizes: fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 6 }),
      trailers: fc.boolean(),
      late: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  )
  await fc.assert(
    fc.asyncProperty(plans, fc.integer({ min: 65_535, max: 400_000 }), async (plans, window) => {
      const [a, b] = duplexPair({ allowHalfOpen: false })
      const limits = { streamWindowBytes: window, sessionWindowBytes: window, maxFrameBytes: 16_384 + window }
      const errors: unknown[] = []
      new Http2ServerConnection(a, { origin, handler: echo, ...plain, limits, onClosed: (e) => errors.push(e) })
      const client = openHttp2(b, owner, limits)
      const right = await Promise.all(
        plans.map(async ({ sizes, trailers, late }) => {
          const sent = sizes.map((size, at) => Buffer.alloc(size, at + 1))
          const channel = new BodyChannel({})
          const send = () => {
            for (const chunk of sent) channel.push(chunk)
            channel.end(trailers ? new Headers(['x-sum', '1']) : undefined)
          }
          if (!late) send()
          const { body } = await client.send(exchangeOf('POST', '/', { body: channel }))
          if (late) send()
          const read = await readBody(body)
          return read.body.equals(Buffer.concat(sent)) && (read.trailers?.get('x-sum') === '1') === trailers
        }),
      )
      await eventually('nothing is under way', () => client.active === 0)
      client.retire()
      await eventually('closed', () => errors.length === 1)
      return right.every(Boolean) && errors[0] === undefined && heldBudget.bytes === 0
    }),
    { numRuns: 60 },
  )
  t.pass()
})

/** An honest conversation of one side, to be mutilated. */
function transcript(role: 'client' | 'server'): Buffer {
  const writer = new FrameWriter()
  const encoder = new HpackEncoder()
  if (role === 'client') writer.raw(preface)
  writer.settings([[4, 100_000]])
  writer.settingsAck()
  for (let id = 1; id < 12; id += 2) {
    const head = [':method', 'POST', ':scheme', 'http', ':authority', 'orders', ':path', `/${id}`]
    const fields = role === 'client' ? head : [':status', '200']
    writer.headers(id, encoder.encodeFlat([...fields, 'content-length', '300']), false, 16_384)
    writer.data(id, 300, id % 4 === 1)
    writer.payload(Buffer.alloc(300, id))
    writer.windowUpdate(id, 1_000)
    if (id % 4 === 3) writer.headers(id, encoder.encodeFlat(['x-sum', String(id)]), true, 16_384)
    if (id === 9) writer.resetStream(id, 8)
  }
  writer.goaway(0, 0, '')
  return Buffer.concat(writer.take().parts)
}

const cuts = fc.array(
  fc.record({
    at: fc.nat(999_999),
    kind: fc.constantFrom('flip', 'remove', 'repeat', 'insert'),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  }),
  { maxLength: 4 },
)
type Cuts = typeof cuts extends fc.Arbitrary<infer T> ? T : never

function mutate(bytes: Buffer, list: Cuts): Buffer {
  let result = Buffer.from(bytes)
  for (const { at, kind, bytes: noise } of list) {
    const from = Math.floor((at / 1_000_000) * result.length)
    const to = Math.min(result.length, from + noise.length)
    const own = result.subarray(from, to)
    const flipped = Buffer.from(own.map((byte, index) => byte ^ noise[index]!))
    const middle = { flip: [flipped], remove: [], repeat: [own, own], insert: [noise, own] }[kind]
    result = Buffer.concat([result.subarray(0, from), ...middle, result.subarray(to)])
  }
  return result
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

async function feed(far: Duplex, bytes: Buffer, piece: number): Promise<void> {
  far.on('error', () => {}).resume()
  await turns(2)
  for (let at = 0; at < bytes.length; at += piece) {
    far.write(bytes.subarray(at, at + piece))
    if (at % 5 === 0) await turns(1)
  }
  await turns(3)
  far.destroy()
  await turns(3)
}

t.test('a mutilated conversation leaves nothing behind, and every request and answer has one end', async (t) => {
  for (const role of ['client', 'server'] as const) {
    const honest = transcript(role === 'server' ? 'client' : 'server')
    const input = fc.oneof(
      { weight: 5, arbitrary: cuts.map((list) => mutate(honest, list)) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)) },
    )
    await fc.assert(
      fc.asyncProperty(input, fc.integer({ min: 1, max: 3_000 }), async (bytes, piece) => {
        const [near, far] = duplexPair({ allowHalfOpen: false })
        near.on('error', () => {})
        let closed = 0
        let begun = 0
        let ended = 0
        if (role === 'server') {
          const handler: Handler = async (exchange) => {
            begun += 1
            const { failure, body } = await readBody(exchange.body)
            // A message whose length was declared is whole, or it fails.
            const declared = exchange.head.headers.get('content-length')
            if (failure === undefined && declared !== undefined && Number(declared) !== body.length) return answer(500)
            ended += 1
            return answer(200, [], 'done')
          }
          new Http2ServerConnection(near, { origin, handler, ...plain, onClosed: () => (closed += 1) })
        } else {
          const connection = openHttp2(near, { ...owner, onClosed: () => (closed += 1) })
          for (let count = 0; count < 6; count += 1) {
            begun += 1
            void connection
              .send(exchangeOf('POST', '/'))
              .then(({ body }) => readBody(body))
              .then(
                () => (ended += 1),
                () => (ended += 1),
              )
          }
        }
        await feed(far, bytes, piece)
        near.destroy()
        await turns(3)
        return closed === 1 && begun === ended && heldBudget.bytes === 0
      }),
      { numRuns: 300 },
    )
    t.pass(role)
  }
})
