// Joining a real control plane in this process: the good way and every way to be refused.
import { statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { nullLogger } from '../../core/base/log.ts'
import { HostCertificate } from '../../core/feed/host-certificate.ts'
import { joinMesh, parseToken } from '../../core/feed/join.ts'
import { checkIssued } from '../../core/identity/certificate.ts'
import { AgentWorld } from '../helpers/agent-world.ts'

const identities = ['shop/orders']

function options(world: AgentWorld, token: string, host = 'h1') {
  return { control: { host: '127.0.0.1', port: world.feedPort }, host, token, signal: AbortSignal.timeout(20_000) }
}

t.test("a token joins once: the certificate is the host's, a second use is refused and says what to do", async (t) => {
  const world = new AgentWorld(t)
  await world.startControl()
  const token = await world.token('h1', identities)
  const joined = await joinMesh(options(world, token))
  t.equal(joined.trustDomain, 'cluster.local')
  const { key: keyPem, chain: chainPem, bundle: bundlePem } = joined
  t.ok(checkIssued({ identity: 'spiffe://cluster.local/culvert/host/h1', keyPem, chainPem, bundlePem }, Date.now()))
  await t.rejects(joinMesh(options(world, token)), { code: 'TOKEN_INVALID', message: /used.*culvert token create/ })
})

t.test('a token of another host, an expired and an unknown one are refused', async (t) => {
  const world = new AgentWorld(t)
  await world.startControl()
  await t.rejects(joinMesh(options(world, await world.token('h2', identities))), {
    code: 'TOKEN_INVALID',
    message: /another host/,
  })
  const short = await world.token('h1', identities, 1)
  await new Promise((resolve) => setTimeout(resolve, 1100))
  await t.rejects(joinMesh(options(world, short)), { code: 'TOKEN_INVALID', message: /expired/ })
  const [, , , fingerprint] = short.split('.')
  const unknown = `culvert1.${'0'.repeat(16)}.${'a'.repeat(43)}.${fingerprint}`
  await t.rejects(joinMesh(options(world, unknown)), { code: 'TOKEN_INVALID' })
})

t.test('a control plane with another root is refused before the token is shown', async (t) => {
  const world = new AgentWorld(t)
  const other = new AgentWorld(t)
  await world.startControl()
  await other.startControl()
  const token = await other.token('h1', identities)
  await t.rejects(joinMesh(options(world, token)), { code: 'IDENTITY_INVALID', message: /does not have the root/ })
  t.ok(await joinMesh(options(other, token)), 'the token was not used up')
})

t.test('nobody there, and somebody who is no control plane, are told apart from a refusal', async (t) => {
  const world = new AgentWorld(t)
  const token = `culvert1.${'0'.repeat(16)}.${'a'.repeat(43)}.${'0'.repeat(64)}`
  await t.rejects(joinMesh({ ...options(world, token), control: { host: '127.0.0.1', port: 1 } }), {
    code: 'FEED_CLOSED',
    message: /cannot reach the control plane at 127.0.0.1:1: .*is it running/,
  })
  const garbage = createServer((socket) => {
    socket.on('error', () => {})
    socket.end('garbage\r\n\r\n')
  })
  await new Promise<void>((resolve) => garbage.listen(0, '127.0.0.1', resolve))
  t.teardown(() => garbage.close())
  const { port } = garbage.address() as { port: number }
  await t.rejects(joinMesh({ ...options(world, token), control: { host: '127.0.0.1', port } }), { code: 'FEED_CLOSED' })
})

t.test('a malformed token is refused without showing it', async (t) => {
  for (const text of [
    '',
    'culvert1.x',
    `culvert1.id.secret.${'0'.repeat(63)}`,
    `culvert2.id.secret.${'0'.repeat(64)}`,
  ]) {
    t.throws(() => parseToken(text), { code: 'TOKEN_INVALID' })
  }
  try {
    parseToken('culvert1.id.topsecret.nothex')
  } catch (error: unknown) {
    t.notMatch(String(error), 'topsecret')
  }
})

t.test('a later start needs no token; the files are private; another host name needs to join', async (t) => {
  const world = new AgentWorld(t)
  await world.startControl()
  const first = await world.startAgent('h1', await world.token('h1', identities))
  await first.ready
  await world.stopAgent(first)
  const { state, socket } = world.paths('h1')
  t.equal(statSync(state).mode & 0o777, 0o700)
  for (const file of ['host-certificate.json', 'host.json', 'model.json']) {
    t.equal(statSync(join(state, file)).mode & 0o777, 0o600, file)
  }
  const second = await world.startAgent('h1')
  await second.ready
  t.equal(statSync(socket).mode & 0o777, 0o660)
  t.equal(await HostCertificate.load(state, 'h2', nullLogger()), undefined)
  await t.rejects(world.startAgent('h3'), { code: 'CONFIG_INVALID', message: /has not joined yet.*--token/ })
})

t.test('the host certificate is renewed with a new key, and a failed renewal keeps the valid one', async (t) => {
  const world = new AgentWorld(t)
  await world.startControl()
  const agent = await world.startAgent('h1', await world.token('h1', identities))
  await agent.ready
  const { state } = world.paths('h1')
  const certificate = (await HostCertificate.load(state, 'h1', nullLogger()))!
  const before = certificate.credentials
  const refuse = async (): Promise<never> => {
    throw new Error('away')
  }
  await t.rejects(certificate.renew(refuse, AbortSignal.timeout(1000)))
  await t.rejects(
    certificate.renew(async () => ({ chain: before.chain, bundle: before.bundle }), AbortSignal.timeout(1000)),
    {
      code: 'IDENTITY_INVALID',
    },
  )
  t.same(certificate.credentials, before, 'a certificate for another key is not taken')
})
