// The analyzer over files: each broken one holds a mistake that people make, with what is to be found in its second line; the
// correct ones hold nothing to find.
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { analyze, findingOfProblem, findingsOf } from '../../../core/analyze/analyze.ts'
import { Inventory } from '../../../core/analyze/inventory.ts'
import { type AnalysisCode, analysisMessages, reaches, severityOf } from '../../../core/analyze/messages.ts'
import { parseManifests, validateManifests } from '../../../core/model/manifest.ts'
import { entry, gateway, namespace } from '../../helpers/compile-objects.ts'

const settings = {
  trustDomain: 'cluster.local',
  rootNamespaces: ['culvert-system', 'istio-system'],
  serviceDomain: 'svc.cluster.local',
  complete: false,
}

interface Found {
  readonly code: AnalysisCode
  readonly line: number
  readonly column: number
  readonly remedy: string
}

function found(file: string): readonly Found[] {
  const { objects, problems, faulty } = parseManifests(readFileSync(file, 'utf8'), file)
  const inventory = new Inventory(settings)
  for (const { object } of [...faulty, ...objects]) inventory.set(object)
  const ofValidation = [...problems, ...validateManifests(objects)].map((problem) => ({
    ...findingOfProblem(problem),
    line: problem.line ?? 0,
    column: problem.column ?? 0,
  }))
  const ofRules = objects.flatMap((manifest) =>
    findingsOf(manifest.object, inventory).map((finding) => ({ ...finding, ...manifest.locate(finding.at) })),
  )
  return [...ofValidation, ...ofRules].filter(({ code }) => reaches(severityOf(code), 'warning'))
}

/** `Code line:column` for each finding that the file's second line names. */
function expected(file: string): readonly string[] {
  const match = /^# expect: (.*)$/m.exec(readFileSync(file, 'utf8'))
  return (match?.[1] ?? '').split(', ')
}

const files = (folder: string): readonly string[] => globSync(join(import.meta.dirname, folder, '*.yaml')).sort()

t.test('thirty mistakes and more, each found at its place with a remedy', (t) => {
  t.ok(files('broken').length >= 30)
  for (const file of files('broken')) {
    const findings = found(file)
    t.same(
      findings.map(({ code, line, column }) => `${code} ${line}:${column}`),
      expected(file),
      basename(file),
    )
    for (const { remedy } of findings) t.match(remedy, /\w{3}/, `${basename(file)} says what to do`)
  }
  t.end()
})

t.test('nothing is found in correct files', (t) => {
  for (const file of files('correct')) t.same(found(file), [], basename(file))
  t.end()
})

t.test('nothing is found in the example of a mesh with a waypoint', (t) => {
  const folder = join(import.meta.dirname, '../../../examples/waypoint')
  const texts = globSync(join(folder, '*.yaml'))
    .filter((file) => basename(file) !== 'topology.yaml')
    .sort()
    .map((file) => readFileSync(file, 'utf8'))
  t.equal(texts.length, 3)
  const { objects, problems } = parseManifests(texts.join('---\n'), 'examples')
  t.same([...problems, ...validateManifests(objects)], [])
  const all = analyze(
    objects.map(({ object }) => object),
    settings,
  )
  t.same(
    all.filter(({ code }) => reaches(severityOf(code), 'warning')),
    [],
  )
  t.end()
})

t.test('the YAML of the guide to waypoints is of valid objects', (t) => {
  const text = readFileSync(join(import.meta.dirname, '../../../docs/WAYPOINTS.md'), 'utf8')
  const blocks = Array.from(text.matchAll(/^```yaml\n(.*?)^```/gms), (match) => match[1]!)
  t.ok(blocks.length >= 3)
  for (const block of blocks) {
    const { objects, problems } = parseManifests(block, 'WAYPOINTS.md')
    t.ok(objects.length > 0)
    t.same([...problems, ...validateManifests(objects)], [])
  }
  t.end()
})

t.test('every message is made by some broken file', (t) => {
  const made = new Set(files('broken').flatMap((file) => found(file).map(({ code }) => code)))
  const never = Object.keys(analysisMessages).filter(
    // files hold no instances of waypoints
    (code) => !made.has(code as AnalysisCode) && !['IgnoredField', 'WaypointWithoutInstances'].includes(code),
  )
  t.same(never, [])
  t.end()
})

t.test('in a live mesh a waypoint without instances is told of', (t) => {
  const inventory = new Inventory({ ...settings, complete: true })
  const told = (): readonly string[] => findingsOf(waypoint, inventory).map(({ code }) => code)
  const waypoint = gateway('wp')
  const instance = (serviceAccount: string) =>
    entry('i', { address: '10.0.0.1', serviceAccount, labels: { 'gateway.networking.k8s.io/gateway-name': 'wp' } })
  for (const object of [namespace('shop'), waypoint, instance('app')]) inventory.set(object)
  t.same(told(), ['WaypointWithoutInstances'])
  inventory.set(instance('wp'))
  t.same(told(), [])
  t.end()
})

t.test('in a live mesh what is missing does not exist', (t) => {
  const text = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders, namespace: shop}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders}}]}]}
`
  const objects = parseManifests(text, 'live').objects.map(({ object }) => object)
  const codes = (complete: boolean) => analyze(objects, { ...settings, complete }).map(({ code }) => code)
  t.same(
    codes(false).filter((code) => code !== 'IgnoredField'),
    [],
    'files alone may lack the service',
  )
  t.ok(codes(true).includes('HostNotFound'))
  t.ok(codes(true).includes('NamespaceNotFound'))
  t.end()
})

t.test('an inventory that lost an object is as if it never had it', (t) => {
  const { objects } = parseManifests(readFileSync(files('correct')[0]!, 'utf8'), 'shop')
  const all = objects.map(({ object }) => object)
  const inventory = new Inventory(settings)
  for (const object of all) inventory.set(object)
  for (const gone of all) {
    inventory.delete(gone)
    const fresh = new Inventory(settings)
    const rest = all.filter((object) => object !== gone)
    for (const object of rest) fresh.set(object)
    t.same(
      rest.map((object) => findingsOf(object, inventory)),
      rest.map((object) => findingsOf(object, fresh)),
      `${gone.kind} ${gone.metadata.name}`,
    )
    inventory.set(gone)
  }
  t.end()
})
