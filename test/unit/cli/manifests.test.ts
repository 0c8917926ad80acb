import { join } from 'node:path'
import t from 'tap'
import { loadManifests, manifestFiles, requireManifests } from '../../../cli/manifests.ts'

const service = (name: string, extra = ''): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec:\n  selector: {app: a}\n  ports: [{port: 80}]\n${extra}`
const noInput = (): string => ''

t.test('a folder means its manifests in order, nothing else', async (t) => {
  const folder = t.testdir({ 'b.yaml': '', 'a.yml': '', 'c.json': '', 'd.txt': '', sub: { 'e.yaml': '' } })
  t.same(
    manifestFiles(folder),
    ['a.yml', 'b.yaml', 'c.json'].map((name) => join(folder, name)),
  )
  t.throws(() => manifestFiles(join(folder, 'sub', 'none')), { code: 'CONFIG_INVALID' })
  t.throws(() => manifestFiles(t.testdir({})), { message: /has no .yaml/ })
})

t.test('objects without a namespace go to that of the command, namespaces come first', async (t) => {
  const folder = t.testdir({
    'a.yaml': service('s'),
    'b.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n',
  })
  const { manifests, problems } = loadManifests([folder], 'shop', noInput)
  t.same(problems, [])
  t.same(
    manifests.map(({ object }) => [object.kind, object.metadata.namespace]),
    [
      ['Namespace', undefined],
      ['Service', 'shop'],
    ],
  )
})

t.test('problems of all files are told together with their places', async (t) => {
  const folder = t.testdir({ 'a.yaml': service('s', '  selctor: {}\n'), 'b.yaml': 'kind: [', 'c.yaml': service('t') })
  const { problems } = loadManifests([folder], 'x', noInput)
  t.match(problems, [{ file: /a.yaml$/, line: 7, column: 3 }, { file: /b.yaml$/ }])
  t.throws(() => requireManifests([folder], 'x', noInput), {
    code: 'RESOURCE_INVALID',
    message: /a\.yaml:7:3: spec\.selctor/,
  })
})

t.test('the same object twice is told at its second place', async (t) => {
  const folder = t.testdir({ 'a.yaml': `${service('s')}---\n${service('s')}` })
  const { problems } = loadManifests([folder], 'x', noInput)
  t.match(problems, [{ message: /defined twice/, line: 10 }])
})

t.test('- reads standard input', async (t) => {
  const { manifests } = loadManifests(['-'], 'x', () => service('in'))
  t.match(manifests, [{ file: 'stdin', object: { metadata: { name: 'in', namespace: 'x' } } }])
})
