// Several meshes in one kubeconfig.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { contextsOf, mergeContext, useContext } from '../../../cli/contexts.ts'
import { parseKubeconfig } from '../../../cli/kubeconfig.ts'

const printed = (server: string, token: string): string => `apiVersion: v1
kind: Config
clusters: [{name: culvert, cluster: {server: "${server}", certificate-authority-data: Q0E=}}]
users: [{name: culvert, user: {token: ${token}}}]
contexts: [{name: culvert, context: {cluster: culvert, user: culvert}}]
current-context: culvert
`

function folder(t: { teardown(done: () => void): void }): string {
  const made = mkdtempSync(join(tmpdir(), 'culvert-contexts-'))
  t.teardown(() => rmSync(made, { recursive: true, force: true }))
  return made
}

t.test('meshes are put into one file, readable by its owner only, and chosen by name', (t) => {
  const file = join(folder(t), 'new', 'config')
  mergeContext(file, printed('https://10.0.0.1:15010', 'one'), 'staging')
  mergeContext(file, printed('https://10.0.0.2:15010', 'two'), 'prod')
  t.same(
    contextsOf(file).map(({ name, current, server }) => [name, current, server]),
    [
      ['staging', false, 'https://10.0.0.1:15010'],
      ['prod', true, 'https://10.0.0.2:15010'],
    ],
  )
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.equal(parseKubeconfig(readFileSync(file, 'utf8'), file).token, 'two')
  useContext(file, 'staging')
  t.equal(parseKubeconfig(readFileSync(file, 'utf8'), file).token, 'one')
  t.equal(parseKubeconfig(readFileSync(file, 'utf8'), file, 'prod').token, 'two')
  mergeContext(file, printed('https://10.0.0.3:15010', 'three'), 'prod')
  t.equal(contextsOf(file).length, 2, 'the same name is replaced')
  t.equal(parseKubeconfig(readFileSync(file, 'utf8'), file).token, 'three')
  t.end()
})

t.test('what people wrote into the file stays', (t) => {
  const file = join(folder(t), 'config')
  writeFileSync(
    file,
    `# ours\n${printed('https://k8s:6443', 'k').replaceAll('culvert', 'cluster')}preferences: {colors: true}\n`,
  )
  mergeContext(file, printed('https://10.0.0.1:15010', 'one'), 'mesh')
  const text = readFileSync(file, 'utf8')
  t.match(text, /# ours/)
  t.match(text, /colors: true/)
  t.equal(parseKubeconfig(text, file, 'cluster').token, 'k')
  t.equal(parseKubeconfig(text, file).token, 'one')
  t.end()
})

t.test('a wrong name or file says what there is', (t) => {
  const file = join(folder(t), 'config')
  t.throws(() => contextsOf(file), { code: 'CONFIG_INVALID', message: /--merge/ })
  mergeContext(file, printed('https://10.0.0.1:15010', 'one'), 'staging')
  t.throws(() => useContext(file, 'stagin'), { code: 'CONFIG_INVALID', message: /did you mean "staging"/ })
  writeFileSync(file, 'a: [')
  t.throws(() => contextsOf(file), { code: 'CONFIG_INVALID' })
  t.end()
})
