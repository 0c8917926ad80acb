// The source files of the repository and what they import, for the tests of test/repo/.
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

export const repository = fileURLToPath(new URL('../..', import.meta.url))

export interface SourceFile {
  /** From the root of the repository, `core/base/log.ts`. */
  readonly path: string
  readonly lines: number
  readonly imports: readonly Import[]
}

export interface Import {
  /** As written. */
  readonly specifier: string
  /** From the root of the repository; undefined for packages and Node's own modules. */
  readonly path: string | undefined
  readonly line: number
}

// A declaration starts its line, and nothing but names stands between `import` or `export` and `from`.
const declaration = /^(?:import|export)\s+(?:[\w\s{},*$]*?\bfrom\s*)?(['"])([^'"\n]+)\1/gm
const dynamic = /\bimport\(\s*(['"])([^'"\n]+)\1|\bnew URL\(\s*(['"])(\.{1,2}\/[^'"\n]+\.ts)\3\s*,\s*import\.meta\.url/g

/** Imports, re-exports, dynamic imports and `new URL('./x.ts', import.meta.url)` (worker threads) of a source text. */
export function importsOf(path: string, source: string): readonly Import[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, blank).replace(/^\s*\/\/.*$/gm, blank)
  return [...code.matchAll(declaration), ...code.matchAll(dynamic)]
    .filter((match) => !(match[2] ?? match[4])!.includes('${'))
    .sort((a, b) => a.index - b.index)
    .map((match) => {
      const specifier = (match[2] ?? match[4])!
      const line = code.slice(0, match.index).split('\n').length
      return {
        specifier,
        line,
        path: specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : undefined,
      }
    })
}

function blank(comment: string): string {
  return comment.replace(/[^\n]/g, ' ')
}

/** All TypeScript files, sorted. */
export function sourceFiles(): readonly SourceFile[] {
  const ignored = /(?:^|\/)(?:node_modules|dist|\.tap|\.git)(?:\/|$)/
  const paths = globSync('**/*.ts', { cwd: repository, exclude: (name) => ignored.test(name) })
  return paths.sort().map((path) => {
    const source = readFileSync(join(repository, path), 'utf8')
    return { path, lines: source.split('\n').length - 1, imports: importsOf(path, source) }
  })
}

/** The first cycle of a graph as its nodes in order, undefined where there is none. */
export function findCycle(graph: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const done = new Set<string>()
  const path: string[] = []
  const visit = (node: string): readonly string[] | undefined => {
    const start = path.indexOf(node)
    if (start >= 0) return [...path.slice(start), node]
    if (done.has(node)) return undefined
    path.push(node)
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next)
      if (cycle !== undefined) return cycle
    }
    path.pop()
    done.add(node)
    return undefined
  }
  for (const node of graph.keys()) {
    const cycle = visit(node)
    if (cycle !== undefined) return cycle
  }
  return undefined
}
