// Reads manifests: YAML streams and JSON as people write them, into validated objects with a position for every problem. The
// CLI, the --config directory and the API server's YAML bodies come through here.
import { type Document, isAlias, isCollection, isMap, isPair, isScalar, type Node, parseAllDocuments } from 'yaml'
import { duplicateKeys } from './duplicate-keys.ts'
import { describe, isObject } from './field-check.ts'
import type { Path } from './fields/field.ts'
import { withoutNulls } from './normalize.ts'
import { type Problem, problemAt } from './problem.ts'
import type { MeshObject } from './resource.ts'
import { validateObject } from './validate.ts'
import { validateSet } from './validate-set.ts'

export interface Position {
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
}

/** One valid object and where it was written. */
export interface Manifest extends Position {
  readonly object: MeshObject
  readonly file: string
  /** Position of the value at a path of the object, or of what comes nearest to it. */
  locate(path: Path): Position
}

export interface ParsedManifests {
  readonly objects: readonly Manifest[]
  readonly problems: readonly Problem[]
  /** Objects with problems that say at least what they are: others may name them. Their fields may be anything. */
  readonly faulty: readonly Manifest[]
}

/** Characters of one file; a larger one is not read. */
export const maxManifestLength = 16 * 1024 * 1024

/** Aliases per document: enough for hand-written anchors, too few for a "billion laughs". */
const maxAliasCount = 100

const maxProblemsPerFile = 200

const yamlOptions = {
  schema: 'core',
  // tags such as !!binary or !!set would give values that no field table knows
  resolveKnownTags: false,
  merge: true,
  prettyErrors: false,
  logLevel: 'silent',
} as const

/** Reads every document of a file. Objects with problems are left out; with any problem, apply nothing. Never throws. */
export function parseManifests(text: string, file: string): ParsedManifests {
  const found: Found = { objects: [], problems: [], faulty: [] }
  for (const source of readDocuments(text, file)) {
    if (source.kind === 'problem') found.problems.push(source.problem)
    else readObject(source, found)
  }
  return { ...found, problems: found.problems.slice(0, maxProblemsPerFile) }
}

/** Checks the manifests of all files against each other. */
export function validateManifests(manifests: readonly Manifest[]): readonly Problem[] {
  const found = validateSet(manifests.map((manifest) => manifest.object))
  return found.map(({ index, ...problem }) => locateProblem(manifests[index]!, problem))
}

/** The problem with file, line and column. */
export function locateProblem(manifest: Pick<Manifest, 'file' | 'locate'>, problem: Problem): Problem {
  return { file: manifest.file, ...manifest.locate(problem.at ?? []), ...problem }
}

interface Source {
  readonly kind: 'value'
  readonly file: string
  readonly value: unknown
  /** Path of the value in its document: empty, or inside a List. */
  readonly base: Path
  locate(path: Path): Position
  /** Keys that stand twice, where `uniqueKeys` does not refuse them. */
  duplicates(): readonly Path[]
}

type DocumentSource = Source | { readonly kind: 'problem'; readonly problem: Problem }

function readDocuments(text: string, file: string, uniqueKeys = true): readonly DocumentSource[] {
  if (text.length > maxManifestLength) {
    const message = `the file has ${text.length} characters, at most ${maxManifestLength} are read`
    return [problemSource(file, { line: 1, column: 1 }, message)]
  }
  const position = positionsOf(text)
  try {
    const documents = parseAllDocuments(text, { ...yamlOptions, uniqueKeys })
    // an empty stream is an array with a mark of its own
    return [...documents].flatMap((document) => readDocument(document, file, position))
  } catch (error: unknown) {
    // the parser recurses: thousands of nested brackets end in a RangeError
    const reason = error instanceof RangeError ? 'nested too deeply' : String(error)
    return [problemSource(file, { line: 1, column: 1 }, `not readable as YAML: ${reason}`)]
  }
}

/** Turns offsets into positions; the parser sometimes points beyond the end. */
function positionsOf(text: string): ToPosition {
  const starts = [0, ...text.matchAll(/\n/g).map(({ index }) => index + 1)]
  return (offset) => {
    const inside = Math.min(Math.max(0, offset), text.length)
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (starts[middle]! <= inside) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: inside - starts[low]! + 1 }
  }
}

function problemSource(
  file: string,
  position: Position,
  message: string,
  reason: 'invalid' | 'duplicate' = 'invalid',
): DocumentSource {
  return { kind: 'problem', problem: { file, ...position, path: '', message, at: [], reason } }
}

type ToPosition = (offset: number) => Position

function readDocument(document: Document.Parsed, file: string, position: ToPosition): readonly DocumentSource[] {
  const faults = [...document.errors, ...document.warnings]
  if (faults.length > 0) {
    return faults.map(({ code, message, pos }) =>
      code === 'DUPLICATE_KEY'
        ? problemSource(file, position(pos[0]), 'the field stands there twice', 'duplicate')
        : problemSource(file, position(pos[0]), oneLine(message)),
    )
  }
  const start = position(document.contents?.range?.[0] ?? document.range[0])
  try {
    const value: unknown = document.toJS({ maxAliasCount })
    if (value === null || value === undefined) return []
    const locate = (path: Path): Position => {
      const offset = offsetOf(document, path)
      return offset === undefined ? start : position(offset)
    }
    return [{ kind: 'value', file, value, base: [], locate, duplicates: () => duplicateKeys(document.contents) }]
  } catch (error: unknown) {
    const reason = error instanceof RangeError ? 'nested too deeply' : (error as Error).message
    return [problemSource(file, start, `not readable as YAML: ${oneLine(reason)}`)]
  }
}

function oneLine(message: string): string {
  return message.split('\n', 1)[0]!
}

/** Where the value at `path` begins: the scalar itself, for collections their key, else the nearest thing around. */
function offsetOf(document: Document.Parsed, path: Path): number | undefined {
  let node: unknown = document.contents
  let offset = document.contents?.range?.[0]
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document)
    if (!isCollection(node)) return offset
    const entry = isMap(node) ? node.items.find((pair) => keyText(pair.key) === String(part)) : node.items[Number(part)]
    if (entry === undefined) return offset
    const value: unknown = isPair(entry) ? entry.value : entry
    const named = isPair(entry) && !hasOwnPlace(value) ? entry.key : value
    offset = (named as Node | null)?.range?.[0] ?? offset
    node = value
  }
  return offset
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key)
}

/** A value that stands beside its key; a collection or an empty value is better shown by the key. */
function hasOwnPlace(value: unknown): boolean {
  return isAlias(value) || (isScalar(value) && value.source !== '')
}

interface Found {
  readonly objects: Manifest[]
  readonly problems: Problem[]
  readonly faulty: Manifest[]
}

function readObject(source: Source, found: Found): void {
  const { value, file } = source
  const locate = (path: Path): Position => source.locate([...source.base, ...path])
  const items = listItems(value)
  if (items !== undefined) {
    for (const [index, item] of items.entries()) {
      readObject({ ...source, value: item, base: [...source.base, 'items', index] }, found)
    }
    return
  }
  const problems = source.base.length > 200 ? [problemAt([], 'lists are nested too deeply')] : validateObject(value)
  found.problems.push(...problems.map((problem) => locateProblem({ file, locate }, problem)))
  if (problems.length > 0 && !isNamed(value)) return
  const { status: _, ...object } = withoutNulls(value) as Record<string, unknown>
  const manifest = { object: object as unknown as MeshObject, file, ...locate([]), locate }
  if (problems.length > 0) found.faulty.push(manifest)
  else found.objects.push(manifest)
}

function isNamed(value: unknown): boolean {
  if (!isObject(value) || typeof value['kind'] !== 'string' || typeof value['apiVersion'] !== 'string') return false
  const { metadata } = value
  if (!isObject(metadata) || typeof metadata['name'] !== 'string') return false
  return metadata['namespace'] === undefined || typeof metadata['namespace'] === 'string'
}

/** The items of `kind: List`, or of the list of a kind; undefined for anything else. */
function listItems(value: unknown): readonly unknown[] | undefined {
  if (!isObject(value) || typeof value['kind'] !== 'string' || !value['kind'].endsWith('List')) return undefined
  return Array.isArray(value['items']) ? value['items'] : undefined
}

/**
 * For a text that must hold exactly one object: its raw value and the places in it, or the problems that are in the way. Without
 * `uniqueKeys` the last of several equal keys holds, and `duplicates` has them.
 */
export function readSingle(
  text: string,
  file: string,
  uniqueKeys = true,
):
  | { readonly value: unknown; locate(path: Path): Position; duplicates(): readonly Path[] }
  | { readonly problems: readonly Problem[] } {
  const sources = readDocuments(text, file, uniqueKeys)
  const problems = sources.flatMap((source) => (source.kind === 'problem' ? [source.problem] : []))
  if (problems.length > 0) return { problems }
  const [first, second] = sources
  if (first?.kind !== 'value' || second !== undefined) {
    const found = sources.length === 0 ? describe(undefined) : `${sources.length} documents`
    return { problems: [{ file, line: 1, column: 1, path: '', message: `must hold one object, found ${found}` }] }
  }
  return first
}
