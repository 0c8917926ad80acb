// The CLI as people run it, against a real control plane in this process.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ApiClient } from '../../../cli/client.ts'
import { joinDash } from '../../../cli/commands/all.ts'
import { readConnection } from '../../../cli/kubeconfig.ts'
import { namespaceKind } from '../../../core/model/kinds/core.ts'

const main = new URL('../../../cli/main.ts', import.meta.url).pathname
const state = t.testdir({})
let control: ChildProcess

interface Result {
  readonly code: number
  readonly out: string
  readonly err: string
}

function culvert(words: readonly string[], input = ''): Promise<Result> {
  const env = { ...process.env, CULVERT_KUBECONFIG: join(state, 'kubeconfig'), NODE_OPTIONS: '' }
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [main, ...words], { env, timeout: 30_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err })
    })
    child.stdin?.end(input)
  })
}

t.before(async () => {
  const words = ['control', '--state-dir', state, '--api-address', '127.0.0.1:0', '--feed-address', '127.0.0.1:0']
  const env = { ...process.env, CULVERT_LOG_LEVEL: 'error', NODE_OPTIONS: '' }
  control = spawn(process.execPath, [main, ...words], { env, stdio: 'ignore' })
  const end = performance.now() + 20_000
  for (;;) {
    if (existsSync(join(state, 'kubeconfig')) && (await culvert(['status'])).code === 0) return
    if (performance.now() > end) throw new Error('control did not start')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
})

t.teardown(async () => {
  const gone = new Promise((resolve) => control.once('exit', resolve))
  control.kill('SIGTERM')
  await gone
})

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

t.test('a wrong option is named with the one that was meant, and the usage', async (t) => {
  const { code, err } = await culvert(['get', 'svc', '--selecter', 'a=b'])
  t.equal(code, 2)
  t.match(
    err,
    /there is no option --selecter; did you mean "--selector"\?\nUsage: culvert get <target\.\.> \[options\]\n/,
  )
  t.match(await culvert(['get', 'svc', 'x', '-l', 'a=b']), { code: 2, err: /a name and a selector exclude each other/ })
  t.match(await culvert(['apply', '-f', '-', '--dry-run=maybe']), { code: 2, err: /none of client, server and none/ })
})

t.test('a list is narrowed by fields, ordered, and printed without headers or for several kinds', async (t) => {
  const service = (name: string, port: number): string =>
    `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {type: ClusterIP, ports: [{port: ${port}}]}\n`
  await culvert(['apply', '-n', 'shop', '-f', '-'], ['b', 'a', 'c'].map((name) => service(name, 80)).join('---\n'))
  const narrowed = await culvert(['get', 'svc', '-n', 'shop', '--field-selector', 'metadata.name!=b', '-o', 'name'])
  t.match(narrowed, { code: 0, out: 'service/a\nservice/c\n' })
  t.match(await culvert(['get', 'svc', '--field-selector', 'spec.nothing=x']), { code: 1, err: /not supported/ })
  const sorted = await culvert(['get', 'svc', '-n', 'shop', '--sort-by', '.spec.clusterIP', '--no-headers'])
  t.same(
    Array.from(sorted.out.matchAll(/^\w+/gm), ([name]) => name),
    ['b', 'a', 'c'],
  )
  const both = await culvert(['get', 'svc,ns', '-n', 'shop'])
  t.match(both.out, /^service\/a .*\n[\s\S]*\n\nNAME +STATUS.*\n[\s\S]*^namespace\/shop /m)
})

t.test('a dry run at the server changes nothing, and tells what would become of it', async (t) => {
  const folder = join(state, 'tree')
  mkdirSync(join(folder, 'below'), { recursive: true })
  writeFileSync(join(folder, 'ns.yaml'), 'apiVersion: v1\nkind: Namespace\nmetadata: {name: tried}\n')
  const service = 'apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: tried}\nspec: {ports: [{port: 80}]}\n'
  writeFileSync(join(folder, 'below', 'svc.yaml'), service)
  t.match(await culvert(['apply', '-f', folder, '--dry-run=server']), {
    code: 0,
    out: 'namespace/tried created (server dry run)\n',
  })
  const all = await culvert(['apply', '-R', '-f', folder, '--dry-run=server'])
  t.match(all, { code: 0, out: /^service\/x not asked for: its namespace is yet to be$/m })
  t.match(await culvert(['get', 'ns', 'tried']), { code: 1, err: /not found/ })
  t.match(await culvert(['apply', '-R', '-f', folder]), { code: 0, out: /service\/x created/ })
  t.match(await culvert(['delete', '-R', '-f', folder, '--dry-run']), { code: 0, out: /x deleted \(server dry run\)/ })
  t.match(await culvert(['get', 'svc', 'x', '-n', 'tried']), { code: 0 })
  t.match(await culvert(['delete', '-R', '-f', folder, '-o', 'name']), { code: 0, out: 'service/x\nnamespace/tried\n' })
})

t.test('status is stable JSON, and --check ends with 3 only where something is wrong', async (t) => {
  const { code, out } = await culvert(['status', '-o', 'json', '--check'])
  const report = JSON.parse(out)
  t.same(Object.keys(report), ['api', 'mesh', 'workloads', 'findings', 'problems'])
  t.match(report.mesh, { replicas: [{ leads: true }], hosts: [] })
  const isWrong = report.problems.some(({ severity }: { severity: string }) => severity === 'error')
  t.equal(code, isWrong ? 3 : 0)
  t.match(await culvert(['status', '--interval', 'x', '--watch']), { code: 2, err: /--interval/ })
  t.match(await culvert(['status', '-o', 'wide']), { code: 0, out: /^REPLICA +API +FEED +BUILD +ROLE$/m })
})

t.test('a shell completes what the mesh has, and is told nothing where it does not answer', async (t) => {
  const complete = (...words: string[]) => culvert(['--get-yargs-completions', 'culvert', ...words])
  t.match(await complete('get', 'svc', '-n', 'shop', ''), { code: 0, out: 'a\nb\nc\n', err: '' })
  t.match(await complete('get', 'ap', '-n', 'sh'), { code: 0, out: 'shop\n' })
  const away = join(state, 'away')
  writeFileSync(
    away,
    'clusters: [{name: x, cluster: {server: "https://127.0.0.1:1"}}]\ncontexts: [{name: x, context: {cluster: x}}]\n',
  )
  t.match(await complete('get', '--kubeconfig', away, 'svc', ''), { code: 0, out: '', err: '' })
  t.match(await complete('status', '--kubeconfig', away, '--context', ''), { code: 0, out: 'x\n' })
  for (const shell of ['bash', 'zsh']) t.match(await culvert(['completion', shell]), { code: 0, out: /_culvert_yargs/ })
})
