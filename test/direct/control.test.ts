import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { parseCertificates } from '../../core/identity/certificate.ts'
import { hostIdentity } from '../../core/identity/spiffe.ts'
import { host, report, service, servicesPath } from '../helpers/control-reports.ts'
import { api, directory, enrol, Host, limitMs, start, token, until } from '../helpers/control-world.ts'

t.test('a host joins, reports, gets the model and certificates, and learns of changes', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const h1 = await host(t, control, stateDir, 'h1')
  t.equal(h1.deltas[0]!.full, true)
  t.strictSame(await h1.report(report('h1', 'orders', '10.1.0.1')), [])
  const workload = await until('the workload', () => h1.snapshot.workloadByAddress('10.1.0.1'))
  t.match(workload, { uid: 'h1/shop/orders/1', node: 'h1', protocol: 'TCP', enrolled: false })

  const created = await api(stateDir, 'POST', servicesPath, service('orders'))
  t.equal(created.status, 201)
  const orders = await until('the service', () => h1.snapshot.serviceByHostname('orders.shop.svc.cluster.local'))
  t.match(orders.vips, [/^240\.240\./, /^2001:2:/])
  await until('the endpoint', () => h1.snapshot.endpointsOf('shop/orders.shop.svc.cluster.local').length === 1)

  const label = { metadata: { labels: { 'culvert.dev/dataplane-mode': 'ambient' } } }
  t.equal((await api(stateDir, 'PATCH', '/api/v1/namespaces/shop', label)).status, 200)
  await until('enrolment', () => h1.snapshot.workloadByUid('h1/shop/orders/1')?.enrolled)
  await h1.report(report('h1', 'orders', '10.1.0.1', { captured: true, uncapturedConnections: 3 }))
  await until('the tunnel', () => h1.snapshot.workloadByUid('h1/shop/orders/1')?.protocol === 'HBONE')

  const identity = 'spiffe://cluster.local/ns/shop/sa/orders'
  const { chain, bundle } = await h1.certificate(identity)
  const [leaf, issuing] = parseCertificates(chain)
  t.equal(leaf?.subjectAltName, `URI:${identity}`)
  t.ok(leaf?.checkIssued(issuing!))
  t.equal(bundle, h1.credentials.bundle)

  const status = await until('acknowledged', async () => {
    const { body } = await api(stateDir, 'GET', '/culvert/v1/status')
    const [first] = body['hosts'] as { lag: number }[]
    return first?.lag === 0 && body
  })
  t.match(status, {
    trustDomain: 'cluster.local',
    hosts: [
      {
        host: 'h1',
        connected: true,
        refused: [],
        workloads: [{ name: 'orders', captured: true, uncapturedConnections: 3 }],
        certificates: [{ serial: /^[0-9a-f]+$/ }],
      },
    ],
  })
})

t.test(
  'node authorization: what the token does not allow, or belongs to another, is refused with the reason',
  async (t) => {
    const stateDir = await directory(t)
    const control = await start(t, stateDir)
    const h1 = await host(t, control, stateDir, 'h1', ['shop/a', 'shop/b'], { cidrs: ['10.1.0.0/16'] })
    const h2 = await host(t, control, stateDir, 'h2', ['shop/*'])
    t.strictSame(await h2.report(report('h2', 'z', '10.1.0.9')), [])
    const refused = await h1.report(
      report('h1', 'a', '10.1.0.1'),
      report('h1', 'c', '10.1.0.2'),
      report('h1', 'b', '10.2.0.1'),
      report('h1', 'b2', '10.1.0.9', { serviceAccount: 'b' }),
      report('h1', 'b3', '240.240.0.7', { serviceAccount: 'b' }),
      report('h1', 'b4', '10.1.0.1', { serviceAccount: 'b' }),
      report('h2', 'b5', '10.1.0.5', { serviceAccount: 'b' }),
      report('h1', 'z', '10.1.0.6', { serviceAccount: 'b' }),
    )
    t.match(
      refused.map(({ uid, reason }) => `${uid.split('/')[2]}: ${reason}`),
      [
        /^c: .*not granted shop\/c/,
        /^b: 10\.2\.0\.1 is outside the ranges/,
        /^b2: 10\.1\.0\.9 belongs to the workload shop\/z/,
        /^b3: 240\.240\.0\.7 is in the range of virtual IPs/,
        /^b4: 10\.1\.0\.1 belongs to the workload shop\/a/,
        /^b5: the uid does not have the form h1\//,
        /^z: a WorkloadEntry shop\/z exists already/,
      ],
    )
    t.equal(refused.length, 7)
    await h1.certificate('spiffe://cluster.local/ns/shop/sa/a')
    const denied = ['shop/sa/b', 'shop/sa/z', 'culvert-system/sa/x'].map((part) => `spiffe://cluster.local/ns/${part}`)
    for (const identity of [...denied, 'spiffe://other/ns/shop/sa/a']) {
      await t.rejects(h1.certificate(identity), { code: 'NODE_UNAUTHORIZED' }, identity)
    }
    for (const identity of [hostIdentity('cluster.local', 'h1'), 'spiffe://cluster.local/culvert/control', 'x']) {
      await t.rejects(h1.certificate(identity), { code: 'IDENTITY_INVALID' }, identity)
    }
    await t.rejects(
      h1.client.requestCertificate('spiffe://cluster.local/ns/shop/sa/a', 'junk', AbortSignal.timeout(limitMs)),
      {
        code: 'IDENTITY_INVALID',
      },
    )
    await h1.report()
    await t.rejects(
      h1.certificate('spiffe://cluster.local/ns/shop/sa/a'),
      { code: 'NODE_UNAUTHORIZED' },
      'gone, so is its right',
    )
    t.strictSame(await h1.report(report('h1', 'b', '10.1.0.1')), [], 'a freed address may be used again')
  },
)

t.test('a token works once, for its host, its mesh and its time', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const once = await token(stateDir, 'h1', ['shop/*'])
  await t.rejects(enrol(control, 'h2', once), { code: 'TOKEN_INVALID' }, 'another host')
  await enrol(control, 'h1', once)
  await t.rejects(enrol(control, 'h1', once), { code: 'TOKEN_INVALID' }, 'used')
  const short = await token(stateDir, 'h1', ['shop/*'], { ttlSeconds: 1 })
  await pause(1100)
  await t.rejects(enrol(control, 'h1', short), { code: 'TOKEN_INVALID', message: /expired/ }, 'expired')
  const good = await token(stateDir, 'h1', ['shop/*'])
  const [version, id, , fingerprint] = good.split('.')
  await t.rejects(enrol(control, 'h1', [version, id, 'A'.repeat(43), fingerprint].join('.')), { code: 'TOKEN_INVALID' })
  const otherDir = await directory(t)
  const other = await start(t, otherDir)
  await t.rejects(enrol(other, 'h1', good), { code: 'IDENTITY_INVALID' }, 'another mesh')
  await enrol(control, 'h1', good)
  const stored = JSON.stringify(await readFile(join(stateDir, 'store.sqlite'), 'latin1'))
  t.notOk(stored.includes(good.split('.')[2]!), 'the secret is nowhere in the store')
})

t.test('many guesses from one address are stopped, and a token whose secret is guessed at is burnt', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const good = await token(stateDir, 'h1', ['shop/*'])
  const [version, id, , fingerprint] = good.split('.')
  const guess = () => enrol(control, 'h1', [version, id, 'A'.repeat(43), fingerprint].join('.'))
  for (let n = 0; n < 5; n++) await t.rejects(guess(), { code: 'TOKEN_INVALID', message: /unknown/ })
  await t.rejects(enrol(control, 'h1', good), { code: 'TOKEN_INVALID' }, 'burnt')
  for (let n = 0; n < 4; n++) await t.rejects(guess(), { code: 'TOKEN_INVALID' })
  await t.rejects(guess(), { code: 'TOKEN_INVALID', message: /too many/ })
})

t.test('after a restart a host gets only what differs, and keeps its place', async (t) => {
  const stateDir = await directory(t)
  const first = await start(t, stateDir)
  const before = await host(t, first, stateDir, 'h1')
  await before.report(report('h1', 'a', '10.1.0.1'), report('h1', 'b', '10.1.0.2'))
  await api(stateDir, 'POST', servicesPath, service('a'))
  await api(stateDir, 'POST', servicesPath, service('gone'))
  await until('both services', () => [...before.snapshot.services()].length === 2)
  const vips = before.snapshot.serviceByHostname('a.shop.svc.cluster.local')!.vips
  await before.client.close()
  const api1 = first.addresses.api
  await first.close()

  const second = await start(t, stateDir)
  t.strictSame(second.addresses.api, api1, 'the kubeconfig stays right')
  await api(stateDir, 'DELETE', `${servicesPath}/gone`)
  await api(stateDir, 'POST', servicesPath, service('new'))
  const after = await new Host(second, before.credentials, before.snapshot).connect(t)
  await until('the new service', () => after.snapshot.serviceByHostname('new.shop.svc.cluster.local'))
  await until('the removal', () => after.snapshot.serviceByHostname('gone.shop.svc.cluster.local') === undefined)
  const sent = after.deltas.flatMap((delta) => [
    ...(delta.full ? ['full'] : []),
    ...delta.upserts.map(({ kind, key }) => `${kind}/${key}`),
    ...delta.removes.map(({ key }) => `-${key}`),
  ])
  t.strictSame(sent.sort(), ['-shop/gone.shop.svc.cluster.local', 'Service/shop/new.shop.svc.cluster.local'])
  t.strictSame(after.snapshot.serviceByHostname('a.shop.svc.cluster.local')!.vips, vips)
  t.ok(after.snapshot.workloadByUid('h1/shop/a/1'), 'a host that is away keeps its workloads')

  await after.client.close()
  const third = await new Host(second, before.credentials, after.snapshot).connect(t)
  t.match(third.deltas, [{ full: false, upserts: [], removes: [] }], 'within an epoch the version is enough')
})

t.test('after a restart in which nothing changed a host goes on with its version', async (t) => {
  const stateDir = await directory(t)
  const first = await start(t, stateDir)
  const before = await host(t, first, stateDir, 'h1')
  await before.report(report('h1', 'a', '10.1.0.1'))
  await api(stateDir, 'POST', servicesPath, service('a'))
  await until('the service', () => [...before.snapshot.services()].length === 1)
  const { epoch, version } = before.snapshot
  await before.client.close()
  await first.close()

  const second = await start(t, stateDir)
  const after = await new Host(second, before.credentials, before.snapshot).connect(t)
  t.match(after.deltas, [{ epoch, full: false, upserts: { length: 0 }, removes: { length: 0 } }])
  t.ok(after.snapshot.version >= version)
  t.equal(after.resyncs, 0)
  await api(stateDir, 'POST', servicesPath, service('b'))
  await until('the next service', () => [...after.snapshot.services()].length === 2)
})

t.test('what is only said of an object wakes no host', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const h1 = await host(t, control, stateDir, 'h1')
  await h1.report(report('h1', 'a', '10.1.0.1'))
  const path = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies'
  const metadata = { name: 'p', namespace: 'shop' }
  await api(stateDir, 'POST', path, {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata,
    spec: { rules: [{}] },
  })
  await until('its conditions', async () => {
    const { body } = await api(stateDir, 'GET', `${path}/p`)
    return (body['status'] as { conditions?: unknown } | undefined)?.conditions
  })
  const status = async () => (await api(stateDir, 'GET', '/culvert/v1/status')).body
  await until('the revision of the conditions', async () => {
    const { version, revision } = await status()
    return Number(revision) > Number(version)
  })
  await until('no lag', async () => ((await status())['hosts'] as { lag: number }[])[0]?.lag === 0)
  t.notOk(h1.deltas.slice(1).some(({ upserts, removes }) => upserts.length + removes.length === 0))
})

t.test('a host that refuses every version is told of, and keeps nobody else from anything', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const [h1, h2] = [await host(t, control, stateDir, 'h1'), await host(t, control, stateDir, 'h2')]
  h1.acknowledges = false
  h1.client.on('delta', ({ epoch, version, upserts }) => {
    const refused = upserts.map(({ kind, key }) => ({ kind, key, reason: 'no' }))
    h1.client.acknowledge(epoch, version, [
      ...refused,
      ...Array(5000).fill({ kind: 'Service', key: 'x', reason: 'no' }),
    ])
  })
  await h2.report(report('h2', 'a', '10.1.0.1'))
  for (let n = 0; n < 20; n++) await api(stateDir, 'POST', servicesPath, service(`s${n}`))
  await until('all services', () => [...h2.snapshot.services()].length === 20)
  const refused = await until('its refusal', async () => {
    const { body } = await api(stateDir, 'GET', '/culvert/v1/status')
    const [first] = body['hosts'] as { lag: number; refused: { key: string }[] }[]
    return first?.lag === 0 && first.refused.length > 0 && first.refused
  })
  t.equal(refused.length, 1000, 'of what it refuses the beginning is kept')
})

t.test('a version that does not exist yet cannot be acknowledged in advance', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const h1 = await host(t, control, stateDir, 'h1')
  const { epoch, version } = h1.snapshot
  const cut = new Promise<string>((resolve) => {
    h1.client.on('state', (state) => state.kind === 'waiting' && resolve(state.error.code))
  })
  h1.client.acknowledge(epoch, version + 1000, [])
  t.equal(await cut, 'FEED_PROTOCOL')
  const { body } = await api(stateDir, 'GET', '/culvert/v1/status')
  const [known] = body['hosts'] as readonly { readonly version: number }[]
  t.ok(known!.version <= version)
})
