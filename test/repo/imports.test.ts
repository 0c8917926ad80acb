// The import directions of DESIGN section 5: which folder may import which, no cycles, native code behind one door.
import { existsSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { findCycle, importsOf, repository, sourceFiles } from '../helpers/sources.ts'

const core = ['base', 'net', 'model', 'decide', 'analyze', 'identity', 'hbone', 'feed', 'admin'].map(
  (room) => `core/${room}`,
)
const processes = ['daemon', 'waypoint', 'agent', 'control']

/** Room → rooms that it may import besides itself. A process imports `core` only, never another process. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  'core/base': [],
  'core/net': ['core/base'],
  'core/model': ['core/base', 'core/net'],
  'core/decide': ['core/base', 'core/net', 'core/model'],
  'core/analyze': ['core/base', 'core/net', 'core/model', 'core/decide'],
  'core/identity': ['core/base', 'core/model'],
  'core/hbone': ['core/base', 'core/net', 'core/model', 'core/identity'],
  'core/feed': ['core/base', 'core/model', 'core/identity'],
  'core/admin': ['core/base'],
  ...Object.fromEntries(processes.map((process) => [process, core])),
  // The client of the control API, which the lab uses too; the commands stand above both.
  cli: core,
  lab: [...core, 'cli'],
  'cli/commands': [...core, ...processes, 'lab', 'cli'],
  // the page of hazards is written from the inputs that the tests replay
  docs: [...core, ...processes, 'test'],
  bench: [...core, ...processes, 'lab', 'cli', 'cli/commands', 'test'],
  test: [...core, ...processes, 'lab', 'cli', 'cli/commands', 'docs', 'bench'],
}

function roomOf(path: string): string {
  const [top = '', second = ''] = path.split('/')
  if (path === 'cli/main.ts' || path.startsWith('cli/commands/')) return 'cli/commands'
  return top === 'core' ? `core/${second}` : top
}

const files = sourceFiles()
const manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as Record<
  'dependencies' | 'devDependencies',
  Readonly<Record<string, string>>
>

t.test('there are sources to look at', (t) => {
  t.ok(files.length > 50)
  t.ok(files.some((file) => file.imports.length > 3))
  t.end()
})

t.test('every folder is in the table of directions', (t) => {
  t.same(
    [...new Set(files.map((file) => roomOf(file.path)))].filter((room) => allowed[room] === undefined),
    [],
  )
  t.end()
})

t.test('no folder imports one that it must not know', (t) => {
  const wrong = files.flatMap((file) =>
    file.imports.flatMap(({ path, line }) => {
      const [from, to] = [roomOf(file.path), path === undefined ? undefined : roomOf(path)]
      if (to === undefined || to === from || allowed[from]?.includes(to)) return []
      return [`${file.path}:${line}: ${from} must not import ${to}`]
    }),
  )
  t.same(wrong, [])
  t.end()
})

t.test('the table itself has no cycle among core and the processes', (t) => {
  t.equal(
    findCycle(new Map(Object.entries(allowed).filter(([room]) => room !== 'test' && room !== 'bench'))),
    undefined,
  )
  t.end()
})

t.test('no files import each other in a circle, types included', (t) => {
  const graph = new Map(files.map((file) => [file.path, file.imports.flatMap(({ path }) => path ?? [])]))
  t.equal(findCycle(graph)?.join(' -> '), undefined)
  t.end()
})

t.test('relative imports name an existing file with its extension', (t) => {
  const wrong = files.flatMap((file) =>
    file.imports.flatMap(({ path, specifier, line }) => {
      if (path === undefined || (/\.(?:ts|json)$/.test(path) && existsSync(join(repository, path)))) return []
      return [`${file.path}:${line}: ${specifier}`]
    }),
  )
  t.same(wrong, [])
  t.end()
})

t.test('packages are declared, those for development stay in test, bench and docs', (t) => {
  const wrong = files.flatMap((file) =>
    file.imports.flatMap(({ path, specifier, line }) => {
      if (path !== undefined || (specifier.startsWith('node:') && isBuiltin(specifier))) return []
      const name = specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/')
      const development = /^(?:test|bench|docs)\//.test(file.path)
      if (manifest.dependencies[name] || (development && manifest.devDependencies[name])) return []
      return [`${file.path}:${line}: ${specifier}`]
    }),
  )
  t.same(wrong, [])
  t.end()
})

t.test('system calls have one door: only core/net/sys*.ts import koffi', (t) => {
  const users = files.filter((file) => file.imports.some(({ specifier }) => specifier === 'koffi'))
  t.ok(users.length > 0)
  t.same(
    users.map((file) => file.path).filter((path) => !/^core\/net\/sys[^/]*\.ts$/.test(path)),
    [],
  )
  const inner = /^core\/net\/sys-(?:calls|encoding)\.ts$/
  const strangers = files.filter((file) => file.imports.some(({ path }) => path !== undefined && inner.test(path)))
  t.same(
    strangers.map((file) => file.path).filter((path) => !/^(?:core\/net\/sys|test\/)/.test(path)),
    [],
  )
  t.end()
})

t.test('the reader of imports sees every form, and no comment', (t) => {
  const source = [
    '',
    "import 'a'",
    "import type { B } from './b.ts'",
    'import {',
    '  c,',
    '} from "../c.ts"',
    "export { d } from './d.ts'",
    `const e = await ${'import'}('e')`,
    `new Worker(${'new'} URL('./worker.ts', import.meta.url))`,
    "// import './no.ts'",
    "/* from './no.ts' */",
    "const f = Buffer.from('no')",
  ].join('\n')
  t.same(
    importsOf('core/x/y.ts', source).map(({ specifier, path, line }) => [specifier, path, line]),
    [
      ['a', undefined, 2],
      ['./b.ts', 'core/x/b.ts', 3],
      ['../c.ts', 'core/c.ts', 4],
      ['./d.ts', 'core/x/d.ts', 7],
      ['e', undefined, 8],
      ['./worker.ts', 'core/x/worker.ts', 9],
    ],
  )
  t.same(
    findCycle(
      new Map([
        ['a', ['b', 'x']],
        ['b', ['c']],
        ['c', ['b']],
      ]),
    ),
    ['b', 'c', 'b'],
  )
  t.equal(
    findCycle(
      new Map([
        ['a', ['b', 'c']],
        ['b', ['d']],
        ['c', ['d']],
        ['d', []],
      ]),
    ),
    undefined,
  )
  t.end()
})
