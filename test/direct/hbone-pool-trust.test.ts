// Whom the client end of tunnels believes, and what it shows of itself, over real sockets.
import t from 'tap'
import { createCredentials } from '../../core/identity/tls.ts'
import type { LeafOptions } from '../helpers/fake-ca.ts'
import { Bench, clientIdentity, echo, serverIdentity } from '../helpers/tunnel.ts'

const untrusted: readonly { name: string; identity?: string; leaf?: LeafOptions; code: string; message: RegExp }[] = [
  {
    name: 'another identity',
    identity: `${serverIdentity}2`,
    code: 'IDENTITY_INVALID',
    message: /is URI:.*orders2, expected spiffe:.*\/orders$/,
  },
  {
    name: 'an expired certificate',
    leaf: { notBefore: 0, notAfter: Date.now() - 1_000 },
    code: 'TUNNEL_HANDSHAKE',
    message: /expired/,
  },
  { name: 'a certificate for clients', leaf: { usages: ['client'] }, code: 'TUNNEL_HANDSHAKE', message: /purpose/ },
  { name: 'no usage', leaf: { usages: [] }, code: 'IDENTITY_INVALID', message: /lacks serverAuth/ },
  {
    name: 'two names',
    leaf: { uris: [serverIdentity, clientIdentity] },
    code: 'IDENTITY_INVALID',
    message: /exactly one/,
  },
  { name: 'no name', leaf: { uris: [] }, code: 'IDENTITY_INVALID', message: /exactly one/ },
]

t.test('a server is refused that presents', async (t) => {
  for (const { name, identity = serverIdentity, leaf, code, message } of untrusted) {
    const bench = await Bench.create({ onConnect: () => t.fail('nothing may be sent') })
    bench.serverCredentials = createCredentials(await bench.ca.leaf(identity, leaf))
    await t.rejects(bench.connect(), { code, message }, name)
    t.equal(bench.pool.sessions, 0, name)
    await bench.close()
  }
})

t.test('nobody expected means nobody accepted', async (t) => {
  const bench = await Bench.create({ onConnect: echo })
  await t.rejects(bench.connect({ expectedIdentities: [] }), { code: 'IDENTITY_INVALID', message: /expected nobody/ })
  await bench.close()
})

t.test('a certificate that the server refuses is an error of the handshake, never a tunnel', async (t) => {
  const bench = await Bench.create({ onConnect: () => t.fail('must not reach the owner') })
  const foreign = 'spiffe://other.local/ns/shop/sa/frontend'
  bench.clientCredentials = createCredentials(await bench.ca.leaf(foreign))
  await t.rejects(bench.connect(), { code: 'TUNNEL_HANDSHAKE', message: /may not accept/ })
  t.equal(bench.dials, 1)
  await bench.close()
})

t.test('without a certificate of the source nothing is dialled', async (t) => {
  const bench = await Bench.create({ onConnect: echo, pool: { context: () => undefined } })
  await t.rejects(bench.connect(), { code: 'CERTIFICATE_UNAVAILABLE' })
  t.equal(bench.dials, 0)
  await bench.close()
})

t.test('the server name is sent where asked for, and none otherwise', async (t) => {
  const names: unknown[] = []
  const contexts = (serverName: string | undefined) => {
    names.push(serverName)
    return bench.serverCredentials
  }
  const named = { serverName: () => 'orders.shop.cluster.local' }
  let bench: Bench = await Bench.create({ onConnect: echo, server: { contexts }, pool: named })
  await bench.connect()
  t.same(names.splice(0), [undefined, 'orders.shop.cluster.local'])
  await bench.close()
  bench = await Bench.create({ onConnect: echo, server: { contexts } })
  await bench.connect()
  t.same(names, [undefined])
  await bench.close()
})
