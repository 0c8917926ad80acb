// The generated pages are in step with their tables, and what people read names what exists.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { errorCodes } from '../../core/base/errors.ts'
import { hazardTests } from '../../docs/hazards.ts'
import { generatedPages } from '../../docs/pages.ts'
import { repository } from '../helpers/sources.ts'

const read = (path: string) => readFileSync(join(repository, path), 'utf8')

for (const [name, text] of Object.entries(generatedPages())) {
  t.test(`docs/${name} is what npm run docs writes`, (t) => {
    t.ok(existsSync(join(repository, 'docs', name)))
    t.equal(read(`docs/${name}`), text, 'if not: npm run docs')
    t.end()
  })
}

t.test('docs/ERRORS.md lists exactly the codes of the table', (t) => {
  const listed = Array.from(read('docs/ERRORS.md').matchAll(/^\| `([A-Z_0-9]+)` \|/gm), (match) => match[1])
  t.same(listed, Object.keys(errorCodes))
  t.end()
})

t.test('every code of the table is used somewhere, or it would document nothing', (t) => {
  const sources = globSync('{core,daemon,agent,control,cli,lab}/**/*.ts', { cwd: repository })
  const text = sources
    .filter((path) => path !== 'core/base/errors.ts')
    .map(read)
    .join('\n')
  t.same(
    Object.keys(errorCodes).filter((code) => !text.includes(`'${code}'`)),
    [],
  )
  t.end()
})

t.test('docs/METRICS.md lists exactly the metrics of the sources', (t) => {
  const sources = globSync('{daemon,agent,waypoint,core}/**/*.ts', { cwd: repository }).map(read).join('\n')
  const named = Array.from(sources.matchAll(/'((?:istio|culvert)_[a-z_]+)'/g), (match) => match[1]!)
  const listed = Array.from(
    read('docs/METRICS.md').matchAll(/^\| `([a-z_]+)` +\| (?:counter|gauge|histogram) +\|/gm),
    (match) => match[1]!,
  )
  t.same([...new Set(listed)].sort(), [...new Set(named)].sort())
  t.end()
})

t.test('docs/HAZARDS.md names tests that exist', (t) => {
  for (const [file, names] of Object.entries(hazardTests)) {
    const text = read(`test/direct/waypoint/${file}`)
    t.same(
      names.filter((name) => !text.includes(`'${name}'`)),
      [],
      file,
    )
  }
  t.end()
})

t.test('links between the pages lead to files', (t) => {
  const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...globSync('docs/**/*.md', { cwd: repository })]
  const broken = pages.flatMap((page) =>
    Array.from(read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g), (match) => match[1]!)
      .filter((link) => !existsSync(join(repository, dirname(page), link)))
      .map((link) => `${page}: ${link}`),
  )
  t.same(broken, [])
  t.end()
})

t.test('scripts that the pages tell people to run exist', (t) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Readonly<Record<string, string>> }
  const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: repository })]
  const named = pages.flatMap((page) => Array.from(read(page).matchAll(/npm run ([a-z:-]+)/g), (match) => match[1]!))
  t.same(
    [...new Set(named)].filter((name) => scripts[name] === undefined),
    [],
  )
  t.end()
})
