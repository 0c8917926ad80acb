// The handoff's channel over real sockets.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createConnection, createServer, type Socket } from 'node:net'
import t from 'tap'
import { LineChannel } from '../../core/feed/codec.ts'
import type { HandoffToAgent, HandoffToDaemon } from '../../core/feed/handoff.ts'
import { parseHandoffToAgent, parseHandoffToDaemon } from '../../core/feed/parse.ts'

type Test = { teardown(done: () => void): void }

async function pair(t: Test): Promise<readonly [Socket, Socket]> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = createConnection((server.address() as AddressInfo).port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [Socket]
  t.teardown(() => {
    client.destroy()
    accepted.destroy()
    server.close()
  })
  return [client, accepted]
}

const limitBytes = 64 * 1024
const hello: HandoffToAgent = { type: 'hello', build: 'b', pid: 1 }

function agentEnd(socket: Socket) {
  return new LineChannel<HandoffToAgent, HandoffToDaemon>(socket, { parse: parseHandoffToAgent, limitBytes })
}

function daemonEnd(socket: Socket) {
  return new LineChannel<HandoffToDaemon, HandoffToAgent>(socket, { parse: parseHandoffToDaemon, limitBytes })
}

async function collect<T>(messages: AsyncIterable<T>): Promise<readonly T[]> {
  const seen: T[] = []
  for await (const message of messages) seen.push(message)
  return seen
}

const never = new AbortController().signal

t.test('messages cross both ways, in order, and an orderly end ends the loop', async (t) => {
  const [a, b] = await pair(t)
  const daemon = daemonEnd(a)
  const agent = agentEnd(b)
  const sent = Array.from({ length: 200 }, (_, seq): HandoffToAgent => ({ type: 'ack', seq, refused: [], failed: {} }))
  const received = collect(agent.messages(never))
  for (const message of sent) t.equal(daemon.send(message), true)
  t.equal(agent.send({ type: 'bundle', seq: 1, bundle: 'PEM' }), true)
  for await (const message of daemon.messages(never)) {
    t.match(message, { type: 'bundle' })
    break
  }
  t.strictSame((await received).slice(0, sent.length), sent)
})

t.test('what is no message ends the channel with the reason', async (t) => {
  const cases: readonly [string, string | Buffer, RegExp][] = [
    ['not JSON', 'GET / HTTP/1.1\r\n\r\n', /not UTF-8 JSON/],
    ['not UTF-8', Buffer.from([0xff, 0xfe, 0x0a]), /not UTF-8 JSON/],
    ['another message', '{"type":"state"}\n', /expected one of/],
    ['too long', 'x'.repeat(limitBytes + 1), /longer than/],
    ['cut off', '{"type":"hel', /middle of a message/],
  ]
  for (const [name, bytes, message] of cases) {
    const [a, b] = await pair(t)
    const received = collect(agentEnd(b).messages(never))
    a.end(bytes)
    await t.rejects(received, { code: 'FEED_PROTOCOL', message }, name)
    t.equal(b.destroyed, true)
  }
})

t.test('the messages before a bad one still count', async (t) => {
  const [a, b] = await pair(t)
  a.end(`${JSON.stringify(hello)}\n\nnonsense\n`)
  const seen: HandoffToAgent[] = []
  await t.rejects(
    async () => {
      for await (const message of agentEnd(b).messages(never)) seen.push(message)
    },
    { code: 'FEED_PROTOCOL' },
  )
  t.strictSame(seen, [hello])
})

t.test('abort ends the wait without an error, a reset is FEED_CLOSED', async (t) => {
  const [a, b] = await pair(t)
  const stop = new AbortController()
  const received = collect(agentEnd(b).messages(stop.signal))
  stop.abort()
  t.strictSame(await received, [])
  t.equal(agentEnd(b).send({ type: 'bundle', seq: 1, bundle: 'x' }), false)
  a.destroy()
  const [c, d] = await pair(t)
  const broken = collect(agentEnd(d).messages(never))
  c.resetAndDestroy()
  await t.rejects(broken, { code: 'FEED_CLOSED' })
})

t.test('a peer that does not read is given up before its messages fill the memory', async (t) => {
  const [a, b] = await pair(t)
  b.pause()
  const channel = daemonEnd(a)
  const reader = collect(channel.messages(never))
  let sent = 0
  while (channel.send({ ...hello, build: 'x'.repeat(200) })) sent += 1
  t.ok(sent > 0 && sent < 1_000_000)
  await t.rejects(reader, { code: 'LIMIT_REACHED' })
})
