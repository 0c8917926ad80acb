import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { buildSources, javaScriptOf, shipped } from '../../../cli/build.ts'

const greet = './greet.ts'
const hello = `import { greet, type Name } from '${greet}'
interface Options { readonly name: Name }
const thrown = ({ name }: Options): never => { throw new Error(greet(name)) }
export default new URL('${greet}', import.meta.url)
if (process.argv[2] !== undefined) thrown({ name: process.argv[2] })
`

function clone(root: string): string {
  mkdirSync(join(root, 'cli'), { recursive: true })
  mkdirSync(join(root, 'lab'))
  mkdirSync(join(root, 'examples'))
  writeFileSync(join(root, 'package.json'), '{"type": "module"}')
  writeFileSync(join(root, 'cli/hello.ts'), hello)
  writeFileSync(
    join(root, 'cli/greet.ts'),
    'export type Name = string\nexport const greet = (name: Name) => "hello " + name\n',
  )
  writeFileSync(join(root, 'lab/plan.yaml'), 'a: 1\n')
  writeFileSync(join(root, 'examples/x'), 'x')
  return root
}

t.test('types go, places stay, and relative paths follow the files', (t) => {
  const script = javaScriptOf(hello)
  t.match(script, /from '\.\/greet\.js'/)
  t.match(script, /new URL\('\.\/greet\.js', import\.meta\.url\)/)
  t.notMatch(script, /interface|readonly/)
  t.same(
    script.split('\n').map((line) => line.length),
    hello.split('\n').map((line) => line.length),
  )
  t.equal(
    javaScriptOf("const a = 'x.ts', b = '../y.json', c = '@p/z.ts'\n"),
    "const a = 'x.ts', b = '../y.json', c = '@p/z.ts'\n",
  )
  t.end()
})

t.test('a build runs, and its stack traces name the lines and columns of the sources', (t) => {
  const root = clone(t.testdir())
  const build = buildSources(root)
  t.equal(readFileSync(join(build, 'lab/plan.yaml'), 'utf8'), 'a: 1\n', 'what is no source is there too')
  t.equal(readFileSync(join(build, 'examples/x'), 'utf8'), 'x')
  const { stderr } = spawnSync(process.execPath, [join(build, 'cli/hello.js'), 'you'], { encoding: 'utf8' })
  t.match(stderr, /Error: hello you/)
  const column = hello.split('\n')[2]!.indexOf('new Error') + 1
  t.match(stderr, `cli/hello.js:3:${column}`)
  t.end()
})

t.test('the same sources are built once, others beside them, and old builds go', (t) => {
  const root = clone(t.testdir())
  const first = buildSources(root)
  t.equal(buildSources(root), first)
  const builds = [first]
  for (let change = 1; change <= 4; change++) {
    writeFileSync(join(root, 'cli/greet.ts'), `export const greet = () => ${change}\n`)
    builds.push(buildSources(root))
    utimesSync(builds.at(-1)!, change, change)
  }
  t.equal(new Set(builds).size, 5)
  t.ok(existsSync(builds.at(-1)!))
  t.equal(readdirSync(join(root, 'dist')).length, 3)
  t.notOk(
    readdirSync(join(root, 'dist')).some((name) => name.startsWith('.')),
    'nothing unfinished is left',
  )
  t.end()
})

t.test('a build that a process was started from stays', async (t) => {
  const root = clone(t.testdir())
  const used = buildSources(root)
  const { spawn } = await import('node:child_process')
  const script = join(used, 'cli/greet.js')
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 30000); console.log(1)', script])
  t.teardown(() => child.kill())
  await new Promise((resolve) => child.stdout.once('data', resolve))
  utimesSync(used, 0, 0)
  for (let change = 1; change <= 4; change++) {
    writeFileSync(join(root, 'cli/greet.ts'), `export const greet = () => ${change}\n`)
    buildSources(root)
  }
  t.ok(existsSync(script))
})

t.test('the lab starts the build of just these sources', (t) => {
  const main = shipped('cli/main.ts')
  t.match(main, /\/dist\/[0-9a-f]{16}\/cli\/main\.js$/)
  t.ok(existsSync(main))
  t.equal(basename(shipped('lab/echo/main.ts')), 'main.js')
  t.end()
})
