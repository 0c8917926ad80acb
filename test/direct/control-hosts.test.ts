import { readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { MeshError } from '../../core/base/errors.ts'
import { parseCertificates } from '../../core/identity/certificate.ts'
import { createCsr, createKeyPair } from '../../core/identity/csr.ts'
import { hostIdentity } from '../../core/identity/spiffe.ts'
import { host, report, servicesPath } from '../helpers/control-reports.ts'
import { api, directory, enrol, Host, limitMs, start, token, until } from '../helpers/control-world.ts'

t.test('a deleted host is cut off, its certificate is worth nothing, its workloads are gone', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const h1 = await host(t, control, stateDir, 'h1')
  const h2 = await host(t, control, stateDir, 'h2')
  await h1.report(report('h1', 'a', '10.1.0.1'))
  await until('the workload elsewhere', () => h2.snapshot.workloadByAddress('10.1.0.1'))
  t.equal((await api(stateDir, 'DELETE', '/culvert/v1/hosts/h1')).status, 200)
  await until('its end', () => {
    const { state } = h1.client
    return state.kind === 'waiting' && state.error.code === 'NODE_UNAUTHORIZED'
  })
  await until('the removal elsewhere', () => h2.snapshot.workloadByAddress('10.1.0.1') === undefined)
  t.equal((await api(stateDir, 'DELETE', '/culvert/v1/hosts/h1')).status, 404)
  t.match((await api(stateDir, 'GET', '/culvert/v1/hosts')).body, { hosts: [{ host: 'h2' }] })
  t.strictSame(await h2.report(report('h2', 'x', '10.1.0.1')), [])
})

t.test('a renewed host certificate works, one from before a new join does not', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const h1 = await host(t, control, stateDir, 'h1')
  const { privateKey, pem } = createKeyPair()
  const renewed = await h1.client.requestCertificate(
    'node',
    createCsr(privateKey, 'spiffe://x/y'),
    AbortSignal.timeout(limitMs),
  )
  t.equal(parseCertificates(renewed.chain)[0]?.subjectAltName, `URI:${hostIdentity('cluster.local', 'h1')}`)
  const old = h1.credentials
  h1.credentials = { ...old, key: pem, chain: renewed.chain }
  h1.client.reconnect()
  const count = h1.deltas.length
  await until('reconnected', () => h1.deltas.length > count)
  await h1.client.close()

  const again = await enrol(control, 'h1', await token(stateDir, 'h1', ['shop/*']))
  const stale = new Host(control, old)
  t.teardown(() => stale.client.close())
  stale.client.start()
  await until(
    'refusal',
    () => stale.client.state.kind === 'waiting' && stale.client.state.error.code === 'NODE_UNAUTHORIZED',
  )
  await new Host(control, again).connect(t)
})

t.test('the newer connection of a host replaces the older', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const h1 = await host(t, control, stateDir, 'h1')
  const states: string[] = []
  h1.client.on('state', (state) => states.push(state.kind === 'waiting' ? state.error.message : state.kind))
  const twin = await new Host(control, h1.credentials).connect(t)
  await until('the end of the older', () => states.some((state) => /newer connection/.test(state)))
  await h1.client.close()
  await until('one stays', () => twin.client.state.kind === 'connected')
})

t.test('labels that the operator puts on a reported workload stay, and opt it out at once', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const h1 = await host(t, control, stateDir, 'h1')
  await h1.report(report('h1', 'a', '10.1.0.1', { labels: { app: 'a', 'culvert.dev/dataplane-mode': 'ambient' } }))
  await until('enrolled', () => h1.snapshot.workloadByUid('h1/shop/a/1')?.enrolled)
  const path = '/apis/networking.istio.io/v1/namespaces/shop/workloadentries/a'
  const { body } = await api(stateDir, 'GET', path)
  const metadata = { ...(body.metadata as object), labels: { 'culvert.dev/dataplane-mode': 'none' } }
  t.equal((await api(stateDir, 'PUT', path, { ...body, metadata })).status, 200)
  await until('opted out', () => h1.snapshot.workloadByUid('h1/shop/a/1')?.enrolled === false)
  await h1.report(report('h1', 'a', '10.1.0.1', { uid: 'h1/shop/a/2', labels: { app: 'b' } }))
  const next = await until('the next instance', () => h1.snapshot.workloadByUid('h1/shop/a/2'))
  t.strictSame(next.labels, { app: 'b', 'culvert.dev/dataplane-mode': 'none' })
  t.equal(h1.snapshot.workloadByUid('h1/shop/a/1'), undefined)
})

t.test('the API refuses who has no token, and its secrets are readable by their owner only', async (t) => {
  const stateDir = await directory(t)
  await start(t, stateDir)
  for (const wrong of ['', 'x', 'A'.repeat(43)]) {
    t.equal((await api(stateDir, 'GET', '/api/v1/namespaces', undefined, wrong)).status, 401)
    t.equal((await api(stateDir, 'POST', '/culvert/v1/tokens', {}, wrong)).status, 401)
  }
  t.equal((await api(stateDir, 'GET', '/api/v1/namespaces')).status, 200)
  for (const file of ['api-token', 'kubeconfig', 'api.json', 'ca/root.pem', 'ca/issuing.pem']) {
    t.equal((await stat(join(stateDir, file))).mode & 0o077, 0, file)
  }
  t.equal((await stat(stateDir)).mode & 0o077, 0)
  t.strictSame(
    (await readdir(stateDir)).filter((file) => file.endsWith('.tmp')),
    [],
  )
  const bad = [
    {},
    { host: 'H!', identities: ['shop/*'] },
    { host: 'h', identities: [] },
    { host: 'h', identities: ['*'] },
  ]
  for (const body of bad) t.match(await api(stateDir, 'POST', '/culvert/v1/tokens', body), { status: /^4/ })
})

t.test('conditions are written once and the store then rests', async (t) => {
  const stateDir = await directory(t)
  await start(t, stateDir)
  await api(stateDir, 'POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } })
  const path = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies'
  const object = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'p', namespace: 'shop' },
    spec: { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] },
  }
  t.equal((await api(stateDir, 'POST', path, object)).status, 201)
  const get = async () => (await api(stateDir, 'GET', `${path}/p`)).body
  const written = await until('conditions', async () => {
    const body = await get()
    return body['status'] !== undefined && body
  })
  t.match(written['status'], { conditions: [{ type: 'Accepted', status: 'True', lastTransitionTime: /^20/ }] })
  t.match(JSON.stringify(written['status']), /LayerSevenFields/)
  await pause(300)
  t.strictSame((await get()).metadata?.resourceVersion, written.metadata?.resourceVersion)
})

t.test(
  'a directory of files is applied whole or not at all, followed, and its objects go with their files',
  async (t) => {
    const stateDir = await directory(t)
    const files = await directory(t)
    const good = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: orders, namespace: shop}
spec: {ports: [{port: 80}], selector: {app: orders}}
`
    await writeFile(join(files, 'a.yaml'), good)
    await writeFile(
      join(files, 'b.yaml'),
      'apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: nowhere}\nspec: {prots: []}\n',
    )
    const failure = await start(t, stateDir, { config: files }).catch((error: unknown) => error)
    t.ok(failure instanceof MeshError)
    t.match(failure, { code: 'CONFIG_INVALID', message: /b\.yaml:4:8.*prots.*nothing was applied/s })

    await rm(join(files, 'b.yaml'))
    const control = await start(t, stateDir, { config: files })
    const status = async (path: string) => (await api(stateDir, 'GET', path)).status
    t.equal(await status(`${servicesPath}/orders`), 200)
    await writeFile(join(files, 'c.yml'), good.split('---\n')[1]!.replace('orders', 'more'))
    await until('the new file', async () => (await status(`${servicesPath}/more`)) === 200)
    await writeFile(join(files, 'd.yaml'), 'kind: [')
    await rm(join(files, 'c.yml'))
    await pause(500)
    t.equal(await status(`${servicesPath}/more`), 200, 'with a bad file nothing changes')
    await rm(join(files, 'd.yaml'))
    await until('the deletion', async () => (await status(`${servicesPath}/more`)) === 404)
    t.equal(await status(`${servicesPath}/orders`), 200)
    await control.close()
    await writeFile(join(files, 'a.yaml'), 'kind: [')
    await start(t, stateDir, { config: files })
    t.equal(await status(`${servicesPath}/orders`), 200, 'a restart keeps what the last run applied')
  },
)

t.test('a state directory keeps its trust domain, and a lost root is not replaced', async (t) => {
  const stateDir = await directory(t)
  await (await start(t, stateDir, { trustDomain: 'one' })).close()
  await t.rejects(start(t, stateDir, { trustDomain: 'two' }), { code: 'CONFIG_INVALID', message: /was made for one/ })
  await rm(join(stateDir, 'ca'), { recursive: true })
  await t.rejects(start(t, stateDir, { trustDomain: 'one' }), { code: 'STORE_FAILED', message: /root certificate/ })
})
