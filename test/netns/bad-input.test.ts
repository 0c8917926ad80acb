// Input that is wrong, through the real CLI against a running mesh: every mistake is named by file, line and column, nothing is
// half applied, and tokens open only what they were made for.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { execOnHost } from '../../lab/exec.ts'
import { waitUntil } from '../../lab/lab.ts'
import { feedAddress } from '../../lab/units.ts'
import { type MeshLab, meshLab } from '../helpers/mesh-lab.ts'

const script = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))
const topology = `
hosts: [h1]
workloads:
- {name: only, namespace: shop, serviceAccount: only, host: h1}
`
const good = `apiVersion: v1
kind: Service
metadata:
  name: good
  namespace: shop
spec:
  ports:
    - port: 80
---
`
const entry = (name: string, address: string): string => `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: ${name}, namespace: shop}
spec:
  address: ${address}
`

interface Case {
  readonly what: string
  /** Comes after a good Service of nine lines, which must not be applied either. */
  readonly text: string
  /** `line:column: …` from the beginning of `text`. */
  readonly at: readonly [number, number]
  readonly says: RegExp
}

const cases: readonly Case[] = [
  {
    what: 'YAML that cannot be read',
    text: 'apiVersion: v1\nkind: Service\nmetadata: {name: a\nspec: [\n',
    at: [4, 1],
    says: /./,
  },
  {
    what: 'an unknown field',
    text: 'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  portz:\n    - port: 80\n',
    at: [5, 3],
    says: /spec\.portz: .*unknown.*did you mean.*ports/i,
  },
  {
    what: 'a wrong type',
    text: 'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n    - port: eighty\n',
    at: [6, 13],
    says: /spec\.ports\[0\]\.port: /,
  },
  {
    what: 'an unknown kind',
    text: 'apiVersion: v1\nkind: Servize\nmetadata: {name: a}\n',
    at: [2, 7],
    says: /Servize.*did you mean.*Service/i,
  },
  {
    what: 'a duplicate port',
    text: 'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n    - {name: x, port: 80}\n    - {name: y, port: 80}\n',
    at: [7, 0],
    says: /ports\[1\].*80/,
  },
  {
    what: 'overlapping addresses of two workloads',
    text: `${entry('one', '10.99.0.1')}---\n${entry('two', '10.99.0.1')}`,
    at: [11, 12],
    says: /spec\.address: 10\.99\.0\.1 belongs to .*one/,
  },
]

const goodLines = good.split('\n').length - 1

t.setTimeout(120_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

t.test('bad input', async (t) => {
  const manifests = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n'
  const mesh = await meshLab({ name: 'badinput', stateDir, topology, manifests })
  t.teardown(() => mesh.close())
  const pids = mesh.pids()
  const before = await stored(mesh)

  for (const { what, text, at, says } of cases) {
    await t.test(`${what} is named by file, line and column, and nothing is applied`, async (t) => {
      const file = join(stateDir, 'bad.yaml')
      writeFileSync(file, good + text)
      const { code, stdout, stderr } = await mesh.cli('apply', '-n', 'shop', '-f', file)
      t.equal(code, 1)
      t.equal(stdout, '')
      const [line, column] = at
      const place = `${file}:${line + goodLines}:${column === 0 ? '' : `${column}:`}`
      const found = stderr.split('\n').find((candidate) => candidate.startsWith(place))
      t.ok(found, `${place} in ${stderr}`)
      t.match(found?.slice(place.length), says)
      t.match(stderr, /nothing was applied/)
      t.equal(await stored(mesh), before)
    })
  }

  await t.test('standard input and several files at once are checked as a whole', async (t) => {
    const [, second] = cases
    const { code, stderr } = await mesh.run(['apply', '-n', 'shop', '-f', '-'], good + second!.text)
    t.equal(code, 1)
    t.match(stderr, /^stdin:14:3: /m)
    const files = ['a.yaml', 'b.yaml'].map((name) => join(stateDir, name))
    writeFileSync(files[0]!, good)
    writeFileSync(files[1]!, second!.text)
    const both = await mesh.cli('apply', '-n', 'shop', '-f', files[0]!, '-f', files[1]!)
    t.match(both, { code: 1, stdout: '' })
    t.match(both.stderr, `${files[1]}:5:3: `)
    t.equal(await stored(mesh), before)
  })

  await t.test('an address that the mesh already knows is refused by the server, by name', async (t) => {
    const taken = mesh.address('shop/only')
    const file = join(stateDir, 'taken.yaml')
    writeFileSync(file, entry('thief', taken))
    const { code, stderr } = await mesh.cli('apply', '-n', 'shop', '-f', file)
    t.equal(code, 1)
    t.match(stderr, `${file}:1: `)
    t.match(stderr, new RegExp(`${taken}.*only`))
    t.equal(await stored(mesh), before)
  })

  await t.test('a control plane does not start on files with mistakes, and names them', async (t) => {
    const folder = join(stateDir, 'config')
    const [, unknown] = cases
    const directory = t.testdir({ 'bad.yaml': unknown!.text })
    const words = ['control', '--state-dir', folder, '--config', directory, '--api-address', '127.0.0.1:0']
    const { code, stderr, stdout } = await mesh.cli(...words, '--feed-address', '127.0.0.1:0')
    t.equal(code, 1)
    t.match(stdout + stderr, `${join(directory, 'bad.yaml')}:5:3`)
  })

  await t.test('a join token is for one host, once, and for a time', async (t) => {
    const folder = (name: string): string => join(stateDir, name)
    const joinAs = (host: string, token: string, name: string) => {
      const words = ['join', '--host', host, '--control', feedAddress(mesh.lab.plan), '--state-dir', folder(name)]
      const line = [process.execPath, '--disable-warning=ExperimentalWarning', script, ...words, '--token', token]
      return execOnHost(mesh.lab.selector, 'h1', line)
    }
    const create = async (ttl: string): Promise<string> =>
      (await mesh.culvert('token', 'create', '--host', 'h9', '--identity', 'shop/nine', '--ttl', ttl)).trim()

    const token = await create('10m')
    const stolen = await joinAs('h8', token, 'h8')
    t.equal(stolen.code, 1)
    t.match(stolen.stderr, /another host than "h8"/)
    t.notOk(existsSync(folder('h8')), 'nothing is left of the attempt')
    const right = await joinAs('h9', token, 'h9')
    t.equal(right.code, 0, right.stderr)
    const again = await joinAs('h9', token, 'h9again')
    t.equal(again.code, 1)
    t.match(again.stderr, /used already/)

    const short = await create('1s')
    const created = Date.now()
    await waitUntil('it has expired', () => Date.now() - created > 1_100, 5_000)
    const late = await joinAs('h9', short, 'h9late')
    t.equal(late.code, 1)
    t.match(late.stderr, /expired at .*create another/)
    const malformed = await joinAs('h9', 'culvert1.nonsense', 'h9bad')
    t.equal(malformed.code, 1)
    t.match(malformed.stderr, /token/)
    const log = readFileSync(join(mesh.lab.paths.logs, 'control.log'), 'utf8')
    t.match(log, /"peer":"10\.88\.0\.1".*another host/, 'the log of the control plane names the peer')
  })

  t.same(mesh.pids(), pids, 'every process is still the same')
  const { hosts } = await mesh.status()
  t.match(
    hosts.find(({ host }) => host === 'h1'),
    { connected: true, lag: 0, refused: [] },
  )
  t.same(hosts.map(({ host }) => host).sort(), ['h1', 'h9'], 'only the right token made a host')
})

/** Everything that the store holds of services and workloads. */
async function stored(mesh: MeshLab): Promise<string> {
  return await mesh.culvert('get', 'services,workloadentries', '-A', '-o', 'name')
}
