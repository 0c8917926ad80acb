// Manifests as people write them: documents, lists, anchors, and the place of everything that is wrong.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { stringify } from 'yaml'
import { parseManifests, validateManifests } from '../../../core/model/manifest.ts'
import { formatProblem } from '../../../core/model/problem.ts'

const problemsOf = (text: string) => parseManifests(text, 'f.yaml').problems.map(formatProblem)
const examples = join(import.meta.dirname, '../../../examples')

t.test('the examples are valid, as far as their kinds are served', (t) => {
  for (const name of readdirSync(examples).filter((name) => name.endsWith('.yaml'))) {
    const { objects, problems } = parseManifests(readFileSync(join(examples, name), 'utf8'), name)
    t.not(objects.length, 0, name)
    const wrong = problems.filter(({ reason }) => reason !== 'unsupported')
    t.strictSame(wrong.map(formatProblem), [], name)
  }
  t.end()
})

t.test('documents, empty ones, comments, lists and JSON are all read', (t) => {
  const text = `# nothing yet
---
apiVersion: v1
kind: Namespace
metadata: {name: a}
---
---
# only a comment
--- {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: c}}
- apiVersion: v1
  kind: NamespaceList
  items: [{apiVersion: v1, kind: Namespace, metadata: {name: d}}]
`
  const { objects, problems } = parseManifests(text, 'f.yaml')
  t.strictSame(problems, [])
  t.strictSame(
    objects.map(({ object, line, column }) => [object.metadata.name, line, column]),
    [
      ['a', 3, 1],
      ['b', 9, 5],
      ['c', 14, 3],
      ['d', 17, 11],
    ],
  )
  t.strictSame(parseManifests('', 'f.yaml'), { objects: [], problems: [], faulty: [] })
  const tabs = '{\n\t"apiVersion": "v1",\n\t"kind": "Namespace",\n\t"metadata": {\n\t\t"name": "a"\n\t}\n}\n'
  t.strictSame(problemsOf(tabs), [])
  t.end()
})

t.test('a problem has the place of its value, or of the key where there is none', (t) => {
  const text = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: a
  labels:
    app: 5
spec:
  selecter:
    matchLabels: {app: a}
  rules:
  - to:
    - operation:
        ports: ["80", "x"]
  - from:
`
  t.strictSame(
    problemsOf(text).map((problem) => problem.split(': ').slice(0, 2).join(' ')),
    [
      'f.yaml:6:10 metadata.labels.app',
      'f.yaml:8:3 spec.selecter',
      'f.yaml:13:23 spec.rules[0].to[0].operation.ports[1]',
      'f.yaml:14:5 spec.rules[1].from',
    ],
  )
  t.match(problemsOf('apiVersion: v1\nkind: List\nitems:\n- kind: Namespace\n- 5\n'), [
    /^f.yaml:4:3: apiVersion: is required/,
    /^f.yaml:5:3: must be an object/,
  ])
  t.end()
})

t.test('what YAML itself refuses has a place too', (t) => {
  t.match(problemsOf('a: 1\na: 2\n'), [/^f.yaml:2:1: .*the field stands there twice/])
  t.match(problemsOf('{"a": 1,\n "a": 2}'), [/^f.yaml:2:2: .*the field stands there twice/])
  t.match(problemsOf('a: [1\nb: 2'), [/^f.yaml:2:/, /./].slice(0, problemsOf('a: [1\nb: 2').length))
  t.match(problemsOf('a: !!binary aGk=\n')[0], /^f.yaml:1:4: /)
  t.match(problemsOf('a: *nobody\n')[0], /^f.yaml:1:\d+: .*nobody/)
  t.end()
})

t.test('anchors and merges are resolved, alias bombs are not', (t) => {
  const shared = `x: &labels {app: a}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: a, labels: &l {app: a, tier: web}}
spec: {address: 10.0.0.1, labels: {<<: *l, app: b}}
`
  const [only] = parseManifests(shared.split('---\n')[1]!, 'f.yaml').objects
  t.strictSame({ ...(only?.object.spec?.['labels'] as object) }, { app: 'b', tier: 'web' })
  const bomb = [
    'a0: &a0 [x]',
    ...Array.from({ length: 12 }, (_, n) => `a${n + 1}: &a${n + 1} [${`*a${n},`.repeat(9)}]`),
  ]
  t.match(problemsOf(bomb.join('\n')), [/^f.yaml:1:1: .*alias/])
  t.match(problemsOf('&a [*a]'), [/^f.yaml:1:/])
  t.end()
})

t.test('huge and deep files are refused, not read', { timeout: 20_000 }, (t) => {
  t.match(problemsOf('#'.repeat(17 * 1024 * 1024)), [/at most/])
  t.match(problemsOf('['.repeat(50_000)), [/./])
  t.match(problemsOf(`a: ${'['.repeat(3000)}${']'.repeat(3000)}`), [/./])
  t.end()
})

t.test('files are checked against each other', (t) => {
  const entry = (name: string, address: string) =>
    stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadEntry',
      metadata: { name, namespace: 'n' },
      spec: { address },
    })
  const manifests = [
    ...parseManifests(entry('a', '10.0.0.1'), 'one.yaml').objects,
    ...parseManifests(`${entry('b', '::ffff:10.0.0.1')}---\n${entry('a', '10.0.0.2')}`, 'two.yaml').objects,
  ]
  t.strictSame(validateManifests(manifests).map(formatProblem), [
    'two.yaml:7:12: spec.address: 10.0.0.1 belongs to WorkloadEntry.networking.istio.io n/a already',
    'two.yaml:12:9: metadata.name: WorkloadEntry.networking.istio.io n/a is defined twice',
  ])
  t.end()
})

const fragments = fc.constantFrom(
  'apiVersion: v1\n',
  'kind: Service\n',
  'spec:\n',
  '  ports:\n',
  '  - port: 1\n',
  '---\n',
  '&a ',
  '*a',
  '[',
  ']',
  '{',
  '}',
  ': ',
  '"',
  '\t',
  '\n',
  'é',
  '<<',
  '? ',
  '!!set',
  '%YAML 1.1\n',
  '|\n',
  '  ',
)

t.test('any text gives problems inside the file, and never throws', (t) => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fragments, { maxLength: 20 }).map((parts) => parts.join('')),
    fc.jsonValue().map((value) => stringify(value)),
  )
  fc.assert(
    fc.property(texts, (text) => {
      const lines = text.split('\n')
      return parseManifests(text, 'f').problems.every(({ line, column }) => {
        return line! >= 1 && line! <= lines.length && column! >= 1 && column! <= lines[line! - 1]!.length + 1
      })
    }),
    { numRuns: 1000 },
  )
  t.end()
})
