// Who may use an etcd: certificates of both sides, users and passwords, and how the configuration of `culvert control` opens it.
import { join } from 'node:path'
import t from 'tap'
import { controlRows } from '../../control/config.ts'
import { type EtcdStoreOptions, openEtcdStore } from '../../control/store/etcd.ts'
import { EtcdTransport } from '../../control/store/etcd-transport.ts'
import { openStore } from '../../control/store/open.ts'
import { parseConfig } from '../../core/base/config.ts'
import { MeshError } from '../../core/base/errors.ts'
import { nullLogger } from '../../core/base/log.ts'
import { EtcdCluster } from '../helpers/etcd.ts'
import { FakeCa } from '../helpers/fake-ca.ts'
import { keyOf, objectOf } from '../helpers/store-cases.ts'

async function failure(promise: Promise<unknown>): Promise<MeshError> {
  try {
    await promise
  } catch (error: unknown) {
    if (error instanceof MeshError) return error
    throw error
  }
  throw new Error('did not fail')
}

async function works(options: EtcdStoreOptions): Promise<boolean> {
  const store = await openEtcdStore(options)
  try {
    await store.create(keyOf('a'), objectOf('a'))
    return (await store.get(keyOf('a'))) !== undefined
  } finally {
    await store.close()
  }
}

const open = (flags: Record<string, string>) =>
  openStore(parseConfig(controlRows, { flags: { store: 'etcd', ...flags } }), '/nowhere', nullLogger())

t.test('certificates of both sides are demanded and checked', { timeout: 60_000 }, async (t) => {
  const ca = await FakeCa.create()
  const server = await ca.leaf('spiffe://etcd/server', { dns: ['localhost'] })
  const client = await ca.leaf('spiffe://etcd/client')
  const folder = t.testdir({
    'ca.pem': ca.bundlePem,
    'server.pem': server.chainPem,
    'server.key': server.keyPem,
    'client.pem': client.chainPem,
    'client.key': client.keyPem,
  })
  const file = (name: string) => join(folder, name)
  const tls = { ca: ca.bundlePem, cert: client.chainPem, key: client.keyPem }
  const args = ['--cert-file', file('server.pem'), '--key-file', file('server.key')]
  const demand = ['--client-cert-auth', '--trusted-ca-file', file('ca.pem')]
  const cluster = await EtcdCluster.start({ scheme: 'https', host: 'localhost', tls, args: [...args, ...demand] })
  t.teardown(() => cluster.close())
  const { endpoints } = cluster
  t.ok(await works({ endpoints, tls }))
  const anonymous = await failure(works({ endpoints, tls: { ca: ca.bundlePem }, deadlineMs: 1000 }))
  t.equal(anonymous.code, 'STORE_FAILED')
  const stranger = await FakeCa.create()
  const wrong = await failure(works({ endpoints, tls: { ...tls, ca: stranger.bundlePem }, deadlineMs: 1000 }))
  t.match(wrong.message, /certificate/)

  const flags = { etcdEndpoints: String(endpoints), etcdCa: file('ca.pem'), etcdPrefix: '/by-config/' }
  const store = await open({ ...flags, etcdCert: file('client.pem'), etcdKey: file('client.key') })
  t.teardown(() => store.close())
  t.ok(await store.create(keyOf('a'), objectOf('a')))
  t.match((await failure(open({ ...flags, etcdCert: file('client.pem') }))).message, /etcd-key belong together/)
  t.match((await failure(open({ ...flags, etcdCa: file('none.pem') }))).message, /--etcd-ca.*none\.pem/)
})

t.test(
  'a user needs the right password and the right to the prefix, and outlives its token',
  { timeout: 60_000 },
  async (t) => {
    const cluster = await EtcdCluster.start({ args: ['--auth-token-ttl', '1', '--bcrypt-cost', '4'] })
    t.teardown(() => cluster.close())
    const { endpoints } = cluster
    const transport = new EtcdTransport()
    t.teardown(async () => transport.close())
    const call = (path: string, body: object) =>
      transport.call({ endpoint: endpoints[0]!, path: `/v3/auth/${path}`, body, signal: AbortSignal.timeout(10_000) })
    const at = (prefix: string, end: string) => [prefix, end].map((text) => Buffer.from(text).toString('base64'))
    const [key, range_end] = at('/culvert/', '/culvert0')
    await call('role/add', { name: 'mesh' })
    await call('role/grant', { name: 'mesh', perm: { permType: 'READWRITE', key, range_end } })
    for (const name of ['root', 'culvert']) await call('user/add', { name, password: `${name}-secret` })
    await call('role/add', { name: 'root' })
    await call('user/grant', { user: 'root', role: 'root' })
    await call('user/grant', { user: 'culvert', role: 'mesh' })
    await call('enable', {})

    const password = { user: 'culvert', password: 'culvert-secret' }
    const store = await openEtcdStore({ endpoints, ...password })
    t.teardown(() => store.close())
    await store.create(keyOf('a'), objectOf('a'))
    await new Promise((resolve) => setTimeout(resolve, 2500))
    t.ok(await store.create(keyOf('b'), objectOf('b')), 'the token has ended meanwhile')

    t.match(
      (await failure(openEtcdStore({ endpoints, user: 'culvert', password: 'guess' }))).message,
      /password.*wrong/,
    )
    t.match((await failure(openEtcdStore({ endpoints }))).message, /wants a user/)
    const elsewhere = await failure(openEtcdStore({ endpoints, ...password, prefix: '/other/' }))
    t.match(elsewhere.message, /may not do this.*grant/)
  },
)

t.test('a user where etcd knows none is refused', { timeout: 60_000 }, async (t) => {
  const cluster = await EtcdCluster.start()
  t.teardown(() => cluster.close())
  const error = await failure(openEtcdStore({ endpoints: cluster.endpoints, user: 'a', password: 'b' }))
  t.match(error.message, /knows no users/)
})

t.test('what the configuration cannot mean is refused with the flag', async (t) => {
  const folder = t.testdir({ password: 'secret\n', 'ca.pem': 'x' })
  const etcdEndpoints = 'http://127.0.0.1:1'
  t.match((await failure(open({}))).message, /--etcd-endpoints is missing/)
  t.match((await failure(open({ etcdEndpoints, etcdUser: 'a' }))).message, /--etcd-password-file belong together/)
  t.match((await failure(open({ etcdEndpoints, etcdCa: join(folder, 'ca.pem') }))).message, /is not https/)
  for (const bad of ['etcd:2379', 'ftp://a', 'http://u:p@h:1', 'http://h/path']) {
    t.throws(() => parseConfig(controlRows, { flags: { etcdEndpoints: bad } }), { code: 'CONFIG_INVALID' }, bad)
  }
  for (const bad of ['culvert/', '/culvert', '//', '/a,b/']) {
    t.throws(() => parseConfig(controlRows, { flags: { etcdPrefix: bad } }), { code: 'CONFIG_INVALID' }, bad)
  }
})
