// Selecting, trying and completing on the command line, as people do it, against a real control plane.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CliWorld } from '../../helpers/cli-world.ts'

t.setTimeout(180_000)

const state = t.testdir({})
const world = new CliWorld(state)
const culvert = world.culvert.bind(world)

t.before(() => world.start(t))

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
  await culvert(['apply', '-f', '-'], 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n')
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

t.test('what the server warns of is told once, on stderr', async (t) => {
  const rule = (name: string, app: string) =>
    'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n' +
    `metadata: {name: ${name}}\nspec: {selector: {matchLabels: {app: ${app}}}, rules: [{}]}\n`
  const { code, err } = await culvert(['apply', '-f', '-'], [rule('one', 'x'), rule('two', 'x')].join('---\n'))
  t.equal(code, 0)
  const warnings = err.split('\n').filter((line) => line.startsWith('Warning: spec.selector'))
  t.equal(warnings.length, 1, err)
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

t.test('kubeconfig --merge without a file adds the mesh to the file that kubectl uses', async (t) => {
  const file = join(t.testdir({}), 'kube', 'config')
  const merge = ['kubeconfig', '--state-dir', state, '--merge', '--name', 'mesh']
  const merged = await culvert(merge, '', { KUBECONFIG: `${file}:/nowhere` })
  t.match(merged, { code: 0, out: `${file} has the context "mesh" now, and it is the current one\n` })
  t.match(await culvert(['context', 'list', '--kubeconfig', file, '-o', 'name']), { code: 0, out: 'mesh\n' })
  t.match(await culvert(['get', 'ns', '--kubeconfig', file]), { code: 0, out: /shop/ })
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
