// The CLI as people run it, against a real control plane in this process.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ApiClient } from '../../../cli/client.ts'
import { joinDash } from '../../../cli/commands/all.ts'
import { readConnection } from '../../../cli/kubeconfig.ts'
import { namespaceKind } from '../../../core/model/kinds/core.ts'
import { CliWorld } from '../../helpers/cli-world.ts'

t.setTimeout(180_000)

const state = t.testdir({})
const world = new CliWorld(state)
const culvert = world.culvert.bind(world)

t.before(() => world.start(t))

t.test('a wrong command line ends with 2 and says where help is', async (t) => {
  for (const words of [
    [],
    ['aply'],
    ['get'],
    ['get', 'nothing'],
    ['apply'],
    ['get', 'svc', '--bad'],
    ['token', 'create'],
  ]) {
    const { code, err } = await culvert(words)
    t.equal(code, 2, words.join(' '))
    t.match(err, /culvert/)
  }
})

t.test('a lone dash is standard input, but not behind --', async (t) => {
  t.same(joinDash(['-f', '-', '--', '-f', '-']), ['-f=-', '--', '-f', '-'])
})

t.test('help and version end with 0', async (t) => {
  t.match(await culvert(['version']), { code: 0, out: /^culvert \d/ })
  t.match(await culvert(['apply', '--help']), { code: 0, out: /Examples:[\s\S]*apply -f policy.yaml/ })
})

t.test('apply creates, leaves alone, and changes what has changed', async (t) => {
  const service = (port: number): string =>
    `apiVersion: v1\nkind: Service\nmetadata: {name: orders}\nspec: {selector: {app: orders}, ports: [{port: ${port}}]}\n`
  const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n'
  const words = ['apply', '-n', 'shop', '-f', '-']
  t.match(await culvert(words, `${service(80)}---\n${namespace}`), {
    code: 0,
    out: 'namespace/shop created\nservice/orders created\n',
  })
  t.match(await culvert(words, service(80)), { code: 0, out: 'service/orders unchanged\n' })
  t.match(await culvert(words, service(81)), { code: 0, out: 'service/orders configured\n' })
  const got = await culvert(['get', 'svc', 'orders', '-n', 'shop', '-o', 'json'])
  t.match(JSON.parse(got.out), { spec: { ports: [{ port: 81 }], clusterIP: /^240\.240\./ } })
})

t.test('one bad file and nothing is applied', async (t) => {
  const good = join(state, 'good.yaml')
  const bad = join(state, 'bad.yaml')
  writeFileSync(good, 'apiVersion: v1\nkind: Namespace\nmetadata: {name: never}\n')
  writeFileSync(bad, 'apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec:\n  ports: [{port: 80000}]\n')
  const { code, err, out } = await culvert(['apply', '-f', good, '-f', bad])
  t.equal(code, 1)
  t.match(err, /bad\.yaml:5:18: spec\.ports\[0\]\.port/)
  t.match(err, /nothing was applied/)
  t.equal(out, '')
  t.match(await culvert(['get', 'ns', 'never']), { code: 1, err: /not found/ })
})

t.test('labels, describe and delete work by name', async (t) => {
  t.match(await culvert(['label', 'ns', 'shop', 'culvert.dev/dataplane-mode=ambient']), {
    code: 0,
    out: 'namespace/shop labeled\n',
  })
  t.match(await culvert(['label', 'ns', 'shop', 'culvert.dev/dataplane-mode=none']), { code: 1, err: /--overwrite/ })
  t.match(await culvert(['get', 'ns', '-l', 'culvert.dev/dataplane-mode=ambient', '-o', 'name']), {
    out: 'namespace/shop\n',
  })
  t.match(await culvert(['describe', 'svc/orders', '-n', 'shop']), { code: 0, out: /Name: +orders/ })
  t.match(await culvert(['delete', 'svc', 'orders', '-n', 'shop']), { code: 0, out: 'service/orders deleted\n' })
  t.match(await culvert(['delete', 'svc', 'orders', '-n', 'shop']), { code: 1 })
})

t.test(
  'workloads are selected by the labels that their host reported, and what bypasses the mesh is told',
  async (t) => {
    const entry = (name: string, app: string): string =>
      `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: ${name}, annotations: {culvert.dev/redirection: enabled, culvert.dev/uncaptured-connections: "3"}}
spec: {address: 10.0.0.${name.length}, labels: {app: ${app}}}
`
    t.match(await culvert(['apply', '-n', 'shop', '-f', '-'], `${entry('a', 'orders')}---\n${entry('bb', 'other')}`), {
      code: 0,
    })
    for (const words of [['-n', 'shop'], ['-A'], []]) {
      const { out } = await culvert(['workloads', '-l', 'app=orders', ...words])
      t.match(out, /^shop +a .*captured \(3 connections from before bypass it\)$/m)
      t.notMatch(out, /bb/)
    }
    t.match(await culvert(['workloads', '-l', 'a=b=c']), { code: 2, err: /label selector/ })
    t.match(await culvert(['status']), { code: 0, out: /workload a.shop: .*3 connections from before bypass it/ })
  },
)

t.test('a token is printed alone, so that it can be piped', async (t) => {
  const { code, out } = await culvert(['token', 'create', '--host', 'h1', '--identity', 'shop/a,shop/*', '--ttl', '5m'])
  t.equal(code, 0)
  t.match(out, /^culvert1\.[0-9a-f]+\.[^.]+\.[0-9a-f]{64}\n$/)
  t.equal((await culvert(['token', 'create', '--host', 'h1', '--identity', 'shop'])).code, 2)
  const ofWaypoint = await culvert(['token', 'create', '--waypoint', 'shop/wp', '-o', 'json'])
  t.equal((JSON.parse(ofWaypoint.out) as { readonly host: string }).host, 'wp.shop', 'the host that it will join as')
  t.match(await culvert(['token', 'create', '--identity', 'shop/a']), { code: 2, err: /--host/ })
  t.match(await culvert(['token', 'create', '--waypoint', 'shop/a,shop/b']), { code: 2, err: /--host/ })
})

t.test('a watch sees changes, and ends when it is told to', async (t) => {
  const client = new ApiClient(readConnection({ kubeconfig: join(state, 'kubeconfig') }))
  t.teardown(() => client.close())
  const { resourceVersion } = await client.list(namespaceKind)
  const abort = new AbortController()
  await client.create(namespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'watched' } })
  for await (const event of client.watch(namespaceKind, { resourceVersion }, abort.signal)) {
    t.match(event, { type: 'ADDED', object: { metadata: { name: 'watched' } } })
    break
  }
  abort.abort()
})

t.test('a caller without the token is refused, and another CA is not trusted', async (t) => {
  const connection = readConnection({ kubeconfig: join(state, 'kubeconfig') })
  const stranger = new ApiClient({ ...connection, token: 'wrong' })
  t.teardown(() => stranger.close())
  await t.rejects(stranger.list(namespaceKind), { name: 'ApiError', status: 401 })
  const { ca: _ca, ...withoutCa } = connection
  const distrustful = new ApiClient(withoutCa)
  t.teardown(() => distrustful.close())
  await t.rejects(distrustful.list(namespaceKind), { code: 'CONNECT_FAILED', message: /does not fit the CA/ })
})

t.test('explain answers in text, JSON and YAML, and its exit code says how it went', async (t) => {
  const words = ['explain', '10.0.0.9', '10.0.0.7:8080']
  t.match(await culvert(words), {
    code: 0,
    out: /^NOT-CAPTURED {2}10\.0\.0\.9 to 10\.0\.0\.7:8080[\s\S]*\n 1\. source: /,
  })
  const json = await culvert([...words, '-o', 'json', '--live', '--header', 'A: b', '--method', 'GET'])
  t.match(JSON.parse(json.out), { verdict: 'not-captured', live: [] })
  t.match(await culvert([...words, '-o', 'yaml']), { code: 0, out: /^verdict: not-captured$/m })
  t.match(await culvert([...words, '--check']), { code: 0 })
  t.match(await culvert(['explain', '10.0.0.9', '240.240.0.99:80', '--check']), { code: 3, out: /^UNREACHABLE/ })
  t.match(await culvert(['explain', 'nobody', '10.0.0.7:8080']), { code: 1, err: /NotFound: no workload "nobody"/ })
  t.match(await culvert(['explain', '10.0.0.9', '10.0.0.7']), { code: 1, err: /to which port of 10\.0\.0\.7\?/ })
  t.match(await culvert(['explain', '10.0.0.9']), { code: 2 })
  t.match(await culvert([...words, '--header', 'nothing']), { code: 2, err: /'Name: value'/ })
  t.match(await culvert(['explain', '--help']), { code: 0, out: /Examples:[\s\S]*--live/ })
})
