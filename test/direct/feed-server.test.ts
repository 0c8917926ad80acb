// The feed's listener against everything but an agent, and an agent that reads slowly.
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import type { WebSocket } from 'ws'
import type { Control } from '../../control/app.ts'
import { deadline } from '../../core/base/deadline.ts'
import { dialFeed } from '../../core/feed/dial.ts'
import type { AgentMessage, ControlMessage } from '../../core/feed/messages.ts'
import { createCsr, createKeyPair } from '../../core/identity/csr.ts'
import {
  api,
  type Credentials,
  directory,
  enrol,
  Host,
  start,
  type Test,
  token,
  until,
} from '../helpers/control-world.ts'

async function open(t: Test, control: Control, credentials: Credentials): Promise<WebSocket> {
  const { address, port } = control.addresses.feed
  const { trustDomain, key, chain, bundle } = credentials
  const socket = await dialFeed(
    { control: { host: address, port }, trustDomain, credentials: { key, chain, bundle }, handshakeMs: 5000 },
    deadline(10_000),
  )
  t.teardown(async () => socket.terminate())
  return socket
}

function send(socket: WebSocket, message: AgentMessage): void {
  socket.send(JSON.stringify(message))
}

async function next(socket: WebSocket): Promise<ControlMessage> {
  const [data] = await once(socket, 'message', { signal: deadline(10_000) })
  return JSON.parse(String(data)) as ControlMessage
}

t.test('only a host certificate of this mesh opens the feed', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const good = await enrol(control, 'h1', await token(stateDir, 'h1', ['shop/*']))
  const host = await new Host(control, good).connect(t)
  await host.report({
    uid: 'h1/shop/a/1',
    name: 'a',
    namespace: 'shop',
    serviceAccount: 'a',
    addresses: ['10.0.0.1'],
    labels: {},
    ports: {},
    locality: '',
    weight: 1,
    captured: false,
    uncapturedConnections: 0,
  })
  const { privateKey, pem } = createKeyPair()
  const identity = 'spiffe://cluster.local/ns/shop/sa/a'
  const leaf = await host.client.requestCertificate(identity, createCsr(privateKey, identity), deadline(5000))
  const otherDir = await directory(t)
  const foreign = await enrol(await start(t, otherDir), 'h1', await token(otherDir, 'h1', ['shop/*']))
  const refused = { code: 'NODE_UNAUTHORIZED' }
  await t.rejects(open(t, control, { ...good, key: pem, chain: leaf.chain }), refused, 'a workload')
  await t.rejects(open(t, control, { ...foreign, bundle: good.bundle }), refused, 'a host of another mesh')
  await t.rejects(
    open(t, control, { ...good, bundle: foreign.bundle }),
    { code: 'FEED_CLOSED' },
    'another control plane',
  )
  await t.rejects(open(t, control, { ...good, trustDomain: 'other' }), { code: 'IDENTITY_INVALID' })
})

t.test('garbage of every sort is answered or dropped, and the next host is served', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const { address: host, port } = control.addresses.feed
  for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\x00'.repeat(1000), '\x16\x03\x01\xff\xff']) {
    const socket = connectTcp(port, host)
    socket.on('error', () => undefined)
    socket.resume().end(bytes)
    await once(socket, 'close', { signal: deadline(20_000) })
  }
  const ask = async (request: string): Promise<string> => {
    const socket = connectTls({ host, port, rejectUnauthorized: false })
    let answer = ''
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString()
    })
    socket.on('error', () => undefined)
    socket.write(request)
    await once(socket, 'close', { signal: deadline(20_000) })
    return answer
  }
  const post = (body: string) => `POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  t.match(await ask('nonsense\r\n\r\n'), /^HTTP\/1.1 400/)
  t.match(await ask('GET /v1/feed HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1.1 404/)
  t.match(await ask('GET /v1/ca HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1.1 200 .*BEGIN CERTIFICATE/s)
  t.match(await ask(post('{')), /^HTTP\/1.1 400 .*not JSON/s)
  t.match(await ask(post('{"token":"x","host":"h1"}')), /^HTTP\/1.1 400 .*csr: expected/s)
  t.match(await ask(post(JSON.stringify({ token: 'x', host: 'h1', csr: 'y' }))), /^HTTP\/1.1 400 .*PKCS#10/s)
  t.match(await ask(post(JSON.stringify({ token: 'x', host: 'h1', csr: 'y'.repeat(100_000) }))), /^HTTP\/1.1 400/)
  const upgrade =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
  t.match(await ask(`GET /v1/feed HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`), /^HTTP\/1.1 401 .*not valid/s)
  t.match(await ask(`GET /other HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`), /^HTTP\/1.1 404/)
  await new Host(control, await enrol(control, 'h1', await token(stateDir, 'h1', ['shop/*']))).connect(t)
})

t.test('an agent that breaks the protocol is told why and cut off', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const credentials = await enrol(control, 'h1', await token(stateDir, 'h1', ['shop/*']))
  const hello: AgentMessage = { type: 'hello', host: 'h1', build: 'x' }
  const told: readonly [readonly AgentMessage[], string][] = [
    [[{ type: 'workloads', workloads: [] }], 'FEED_PROTOCOL'],
    [[{ ...hello, host: 'h2' }], 'NODE_UNAUTHORIZED'],
    [[hello, hello], 'FEED_PROTOCOL'],
    [[hello, { type: 'digests', digests: {} }], 'FEED_PROTOCOL'],
  ]
  for (const [messages, code] of told) {
    const socket = await open(t, control, credentials)
    const received: ControlMessage[] = []
    socket.on('message', (data) => received.push(JSON.parse(String(data)) as ControlMessage))
    for (const message of messages) send(socket, message)
    await once(socket, 'close', { signal: deadline(10_000) })
    t.match(received.at(-1), { type: 'refused', code })
  }
  for (const data of ['{', '{"type":"nothing"}', Buffer.from('{}')]) {
    const socket = await open(t, control, credentials)
    socket.send(data)
    await once(socket, 'close', { signal: deadline(10_000) })
  }
  await new Host(control, credentials).connect(t)
})

t.test('an agent that reads slowly gets what changed meanwhile as one delta', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  await api(stateDir, 'POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } })
  const socket = await open(t, control, await enrol(control, 'h1', await token(stateDir, 'h1', ['shop/*'])))
  send(socket, { type: 'hello', host: 'h1', build: 'x' })
  t.match(await next(socket), { type: 'welcome' })
  let version = 0
  let deltas = 0
  const services = new Set<string>()
  socket.on('message', (data) => {
    const message = JSON.parse(String(data)) as ControlMessage
    if (message.type !== 'delta') return
    deltas += 1
    version = message.delta.version
    for (const { kind, key } of message.delta.upserts) if (kind === 'Service') services.add(key)
  })
  await until('the first state', () => version > 0)
  socket.pause()
  // Policies large enough that a few of them fill the connection.
  const values = Array.from({ length: 2000 }, (_, n) => `cluster.local/ns/shop/sa/${'x'.repeat(200)}${n}`)
  const policy = (n: number) => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: `p${n}`, namespace: 'shop' },
    spec: { rules: [{ from: [{ source: { principals: values } }] }] },
  })
  const total = 20
  const path = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies'
  const published = async () => Number((await api(stateDir, 'GET', '/culvert/v1/status')).body['version'])
  for (let n = 0; n < total; n++) {
    const earlier = await published()
    t.equal((await api(stateDir, 'POST', path, policy(n))).status, 201)
    await until('its version', async () => (await published()) > earlier)
  }
  const last = await published()
  const before = deltas
  socket.resume()
  await until('the last version', () => version >= last)
  t.ok(deltas - before < total, `${deltas - before} deltas for ${total} versions`)
})
