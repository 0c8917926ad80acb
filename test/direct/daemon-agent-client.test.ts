// The daemon's end of the agent's socket, over a real unix socket.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { deadline } from '../../core/base/deadline.ts'
import { nullLogger } from '../../core/base/log.ts'
import { createCsr, createKeyPair } from '../../core/identity/csr.ts'
import { AgentClient, type StateMessage } from '../../daemon/agent-client.ts'
import { FakeAgent } from '../helpers/fake-agent.ts'
import { FakeCa } from '../helpers/fake-ca.ts'
import { until } from '../helpers/plane-world.ts'

const identity = 'spiffe://cluster.local/ns/mesh/sa/a'
const none = { refused: [], failed: {} }

function client(t: Test, directory: string, onMessage = async (_message: StateMessage) => none, onConnect = () => {}) {
  const path = join(directory, 'agent.sock')
  const created = new AgentClient({ path, build: 'test', onMessage, onConnect, log: nullLogger() })
  t.teardown(() => created.close())
  return created
}

/** Short: the path of a unix socket has at most 107 bytes. */
function directoryFor(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'culvert-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function newCsr(): string {
  return createCsr(createKeyPair().privateKey, identity)
}

t.test('messages are applied one at a time and acknowledged in order', async (t) => {
  const directory = directoryFor(t)
  const agent = await FakeAgent.listen(directory, await FakeCa.create())
  t.teardown(() => agent.close())
  let running = 0
  let most = 0
  const seen: number[] = []
  client(t, directory, async (message) => {
    most = Math.max(most, ++running)
    await new Promise(setImmediate)
    seen.push(message.seq)
    running--
    return { refused: [], failed: { x: String(message.seq) } }
  })
  const acks = await Promise.all([1, 2, 3].map(() => agent.send({ type: 'workload-remove', uid: 'x' })))
  t.same(seen, [1, 2, 3])
  t.equal(most, 1)
  t.same(acks.at(-1), { type: 'ack', seq: 3, refused: [], failed: { x: '3' } })
})

t.test('a certificate arrives while a message still waits for it', async (t) => {
  const directory = directoryFor(t)
  const agent = await FakeAgent.listen(directory, await FakeCa.create())
  t.teardown(() => agent.close())
  const daemon: AgentClient = client(t, directory, async () => {
    await daemon.issue(identity, newCsr(), deadline(5000))
    return none
  })
  t.ok(await agent.send({ type: 'workload-remove', uid: 'x' }))
  t.same(agent.requested, [identity])
})

t.test('a refused request says why, and a cancelled one ends', async (t) => {
  const directory = directoryFor(t)
  const agent = await FakeAgent.listen(directory, await FakeCa.create())
  t.teardown(() => agent.close())
  agent.refuse = 'not your workload'
  const daemon = client(t, directory)
  const refused = { code: 'CERTIFICATE_UNAVAILABLE', message: /NODE_UNAUTHORIZED: not your workload/ }
  await t.rejects(daemon.issue(identity, newCsr(), deadline(5000)), refused)
  await t.rejects(daemon.issue(identity, newCsr(), AbortSignal.abort()), { code: 'ABORTED' })
})

t.test('without an agent a request waits until its signal ends it', async (t) => {
  const daemon = client(t, directoryFor(t))
  t.equal(daemon.connected, false)
  await t.rejects(daemon.issue(identity, newCsr(), deadline(20)), { code: 'FEED_CLOSED' })
})

t.test('an agent that comes back is found again, and open requests fail at once when it goes', async (t) => {
  const directory = directoryFor(t)
  const ca = await FakeCa.create()
  let connects = 0
  const daemon = client(t, directory, undefined, () => connects++)
  const silent = net.createServer().listen(join(directory, 'agent.sock'))
  const [socket] = (await once(silent, 'connection')) as [net.Socket]
  const asked = daemon.issue(identity, newCsr(), deadline(5000))
  await once(socket, 'data')
  socket.destroy()
  silent.close()
  await t.rejects(asked, { code: 'FEED_CLOSED' })
  const agent = await FakeAgent.listen(directory, ca)
  t.teardown(() => agent.close())
  t.match(await daemon.issue(identity, newCsr(), deadline(5000)), { bundle: ca.bundlePem })
  t.equal(connects, 2)
})

t.test('garbage and messages that cannot be applied end the connection, not the daemon', async (t) => {
  const directory = directoryFor(t)
  const daemon = client(t, directory, async () => {
    throw new Error('cannot be applied')
  })
  const connections: net.Socket[] = []
  const server = net.createServer((socket) => {
    connections.push(socket)
    socket.on('error', () => {})
    socket.resume()
    const text = connections.length === 1 ? '\u0000garbage\n' : '{"type":"workload-remove","seq":1,"uid":"x"}\n'
    socket.write(text)
  })
  server.listen(join(directory, 'agent.sock'))
  t.teardown(() => {
    server.close()
    for (const socket of connections) socket.destroy()
  })
  await until(() => connections.length >= 3, 'it connects again after both')
  t.type(daemon.connected, 'boolean')
})

t.test('the word to drain is passed on, and an agent hears of the drain, now and when it comes back', async (t) => {
  const directory = directoryFor(t)
  let told = 0
  const daemon = new AgentClient({
    path: join(directory, 'agent.sock'),
    build: 'test',
    onMessage: async () => none,
    onDrain: () => told++,
    log: nullLogger(),
  })
  t.teardown(() => daemon.close())
  const ca = await FakeCa.create()
  const agent = await FakeAgent.listen(directory, ca)
  t.match(await agent.send({ type: 'drain' }), { type: 'ack' })
  t.equal(told, 1)
  t.match(agent.said.at(0), { type: 'hello', startedAt: Number })
  t.notOk('draining' in agent.said.at(0)!)
  daemon.drain()
  daemon.drain()
  await until(() => agent.said.some(({ type }) => type === 'draining'), 'it says so')
  t.equal(agent.said.filter(({ type }) => type === 'draining').length, 1)
  await agent.close()
  const next = await FakeAgent.listen(directory, ca)
  t.teardown(() => next.close())
  await until(() => next.said.length > 0, 'it comes back')
  t.match(next.said.at(0), { type: 'hello', draining: true })
})
