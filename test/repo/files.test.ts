// How files look: their length, their first comment, and no folder for whatever has no place.
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { repository, sourceFiles } from '../helpers/sources.ts'

const files = sourceFiles()
const mostLines = 400

t.test('no file has more than 400 lines', (t) => {
  t.same(
    files.filter((file) => file.lines > mostLines).map(({ path, lines }) => `${path}: ${lines} lines`),
    [],
  )
  t.end()
})

t.test('the first thing in a source file says what it owns', (t) => {
  const silent = files.filter(({ path }) => {
    if (path.startsWith('test/')) return false
    const [first = ''] = readFileSync(join(repository, path), 'utf8')
      .replace(/^#!.*\n/, '')
      .split('\n', 1)
    return !/^(?:\/\/|\/\*)/.test(first)
  })
  t.same(
    silent.map((file) => file.path),
    [],
  )
  t.end()
})

t.test('no folder is called utils, common or helpers (the tests have helpers)', (t) => {
  const vague = /(?:^|\/)(?:utils?|common|helpers?|misc|shared|lib)\//
  t.same(
    files.map((file) => file.path).filter((path) => vague.test(path) && !path.startsWith('test/helpers/')),
    [],
  )
  t.end()
})

t.test('files are kebab-case', (t) => {
  t.same(
    files.map((file) => file.path).filter((path) => !/^[a-z0-9./-]+$/.test(path)),
    [],
  )
  t.end()
})

t.test('what must be executable is', (t) => {
  for (const path of ['bin/culvert', '.ci/run', 'test/hbone-peer'])
    t.ok(statSync(join(repository, path)).mode & 0o100, path)
  t.end()
})
